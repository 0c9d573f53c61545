/* A step on a host that has no helper, because it is no Linux, or of another architecture: by a
 * shell script, which does what it can.
 *
 * It runs the program in a process group of its own, passes signals on to that, which come as lines
 * of its standard input, and kills it at the end of that: so nothing of the group outlives the
 * connection. What leaves the group does. Behind the output it says how the program ended and what
 * its files hold, as the helper does (helper/request.h); without that there is no record. Files are
 * given back at the end only, also live ones. */
#pragma once

#include "engine/helped.h"
#include "engine/ssh/machine.h"

/* As run() of the engine; `workdir` is for a runnable that names none. */
int plain_run(const struct ctx *ctx, const struct machine_base *base,
              const struct runnable *runnable, const char *workdir, struct output *output,
              struct exit_record *ret, struct err *err) __attribute__((warn_unused_result));

/* The script, for a reply with that mark; its first argument is the directory that it is in, the
 * second a umask. Pure. ERR_UNSUPPORTED: what needs the helper. */
int plain_script(const struct runnable *runnable, const char *workdir, const char *mark,
                 struct buf *out, struct err *err) __attribute__((warn_unused_result));
