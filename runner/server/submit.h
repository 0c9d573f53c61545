/* What is submitted, by whatever way it came. */
#pragma once

#include <jansson.h>

#include "own/own.h"
#include "server/server.h"

struct submitted {
    char id[OWN_RUN_ID_SIZE];
    bool detached;
    /* When the file is not valid: what is wrong with it, as an array and as lines for people. */
    json_t *diagnostics;
    char *lines;
};

/* `options` (NULL: none) is the object that names engine, environment and so on, with "priority"
 * and "name" beside them; `detach` wins over what it says. The file is looked at before it is
 * submitted. `ret` is zeroed, and the caller's to release in any case. */
int server_submit(const struct ctx *ctx, struct server *server, const char *file,
                  const json_t *options, bool detach, const char *client, struct submitted *ret,
                  struct err *err) __attribute__((warn_unused_result));
void submitted_release(struct submitted *submitted);
