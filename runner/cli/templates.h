/* Pipeline files to start from: those of cli/templates/, which the build puts into the program. The
 * first line of each is a comment that says what it is for. */
#pragma once

#include <stddef.h>

/* The names, NULL-terminated. */
extern const char *const template_names[];

struct template_text {
    const char *data; /* not terminated */
    size_t len;
};

/* Of template_names[number]. */
struct template_text template_get(size_t number);
/* What that is for: its first line without the "# "; *ret_len bytes of it. */
const char *template_summary(size_t number, size_t *ret_len);
