/* The files of the web console, which the build puts into the program: those of console/static/,
 * in one level of folders. Served below /console/ by runner/server. */
#pragma once

#include <stddef.h>

struct console_file {
    const char *name; /* "index.html", "js/main.js" */
    const char *content_type;
    const char *etag; /* with its quotes */
    const char *data;
    size_t size;
};

/* NULL: there is none of that name. */
const struct console_file *console_find(const char *name);
/* All of them, *ret_count many. */
const struct console_file *console_files(size_t *ret_count);
