/* The known name that a misspelt one most likely meant.
 *
 *     struct nearest n = {.text = "comand"};
 *     for each known name: nearest_offer(&n, name);
 *     if (n.best) "did you mean \"%s\"?"
 *
 * Distance is optimal string alignment (insert, delete, replace, swap of neighbours), letters
 * compared without case. A name further away than a third of its length is no suggestion. */
#pragma once

#include <stddef.h>

struct nearest {
    const char *text; /* what was written */
    const char *best; /* the closest name offered so far, NULL: none is close; borrowed */
    size_t distance;  /* of best */
};

void nearest_offer(struct nearest *nearest, const char *name);
