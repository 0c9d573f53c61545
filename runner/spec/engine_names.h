/* What an `engine` of the file may be called: the one table of names and schemes. Whatever depends
 * on which engine a URL means asks here, so that another name is one more row. */
#pragma once

#include <stdbool.h>

struct spec_engine_name {
    const char *name;   /* stands alone, or in front of "://" */
    const char *engine; /* struct engine.name of the one that it means */
    bool remote;        /* the machine of a login, with files of its own */
    /* Where it is when the name stands alone: the first that there is, with ${NAME} of the runner's
     * environment; ends with NULL. NULL: the engine finds it. */
    const char *const *addresses;
};

/* The row of a URL; NULL: there is none. */
const struct spec_engine_name *spec_engine_name_find(const char *url);
/* Whether it means this engine. */
bool spec_engine_is(const char *url, const char *engine);
