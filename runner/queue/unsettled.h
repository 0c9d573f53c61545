/* Names of what the store may still come to write although nobody waits for that any more: a
 * commit that is on its way. What was asked before the first look at such a name is there, or
 * never will be, from the moment on that says so (struct store_moment).
 *
 * Threads: one at a time. */
#pragma once

#include <stdbool.h>

#include "base/vec.h"
#include "store/submissions.h"

struct unsettled_name {
    char *name;
    int64_t begun; /* of the moment of the first look; 0: there was none */
};

struct unsettled {
    VEC(struct unsettled_name)
    names;
};

void unsettled_release(struct unsettled *unsettled);
bool unsettled_has(const struct unsettled *unsettled, const char *name);
/* Not looked at yet. */
void unsettled_add(struct unsettled *unsettled, const char *name);
/* Looks at one, which is added if it is not there. True: what is not in the store now will not
 * come. */
bool unsettled_look(struct unsettled *unsettled, const char *name, const struct store_moment *now);
void unsettled_drop(struct unsettled *unsettled, const char *name);
/* Drops all others. */
void unsettled_keep(struct unsettled *unsettled, const struct strvec *names);
