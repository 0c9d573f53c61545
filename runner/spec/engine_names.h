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

/* Adds names to the table, which ends with one whose name is NULL and stays the caller's. For what
 * a program adds that embeds the runner: while it has one thread, and before it reads a pipeline
 * file. */
void spec_engine_names_add(const struct spec_engine_name *names);
/* Whether the row is one of those. */
bool spec_engine_name_is_added(const struct spec_engine_name *row);
/* The row of a URL; NULL: there is none. */
const struct spec_engine_name *spec_engine_name_find(const char *url);
/* Whether it means this engine. */
bool spec_engine_is(const char *url, const char *engine);
