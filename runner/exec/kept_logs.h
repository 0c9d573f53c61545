/* Logs of what a step has deployed, kept as an artifact when it failed: whole, where the output has
 * the last lines. In files of the run's own directory until then, without its secrets.
 *
 * Threads: one at a time. */
#pragma once

#include "base/vec.h"
#include "exec/artifacts.h"
#include "mask/mask.h"

struct kept_log;

struct kept_logs {
    struct run *run;
    const struct node *node;
    char *directory; /* NULL: nothing has been kept */
    VEC(struct kept_log *)
    logs;
    struct err err; /* why something could not be */
};

void kept_logs_init(struct kept_logs *logs, struct run *run, const struct node *node);
/* As output.keep. */
void kept_logs_add(struct kept_logs *logs, const char *name, const void *data, size_t len);
/* Makes an artifact NAME of them, if there are any; what goes wrong is a remark. `ctx` may have
 * ended. */
void kept_logs_save(struct kept_logs *logs, const struct ctx *ctx,
                    const struct artifacts_owner *owner, const char *name);
/* Removes the files. */
void kept_logs_release(struct kept_logs *logs);
