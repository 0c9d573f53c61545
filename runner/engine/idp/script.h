/* The command that an agent gets for a step: a shell script that brings the helper, lets it run the
 * request, and ends as that does; and what it takes along in variables.
 *
 * The agent hands a script to `sh -c`, and the kernel takes no argument or variable of 128 KiB: so
 * the helper and the request are in variables, in pieces, which the script removes. It makes a
 * private directory for the helper and the fifo that is its input, which the helper removes as the
 * first thing; keeps the fifo open, by which signals can be sent (idp_script_signal()) and by whose
 * end the helper sees that the shell has been killed; and says on standard output
 *
 *     "\x1e" TOKEN " " PID "\n"
 *
 * before the program can, PID being the shell's own. What goes wrong before that it says on
 * standard error in the helper's words, and exits with HELPER_EXIT_CANNOT. Pure. */
#pragma once

#include "apis/idp/message.h"
#include "base/map.h"
#include "engine/engine.h"
#include "helper/helper.h"

struct idp_script {
    struct buf text;
    struct strmap environment; /* of the command */
    struct strmap rest;        /* what has to come by way of the helper instead */
};

#define IDP_SCRIPT_INIT                                                                            \
    {                                                                                              \
        .text = BUF_INIT                                                                           \
    }
#define CLEANUP_IDP_SCRIPT CLEANUP(idp_script_release)

/* What goes into the environment of the command, and what a shell would drop or JSON cannot hold.
 * ERR_LIMIT: a variable is larger than the kernel allows. */
int idp_script_environment(struct idp_script *script, const struct runnable *runnable,
                           struct err *err) __attribute__((warn_unused_result));
/* The text, and the pieces in the environment. `token`: letters and digits, nobody else's.
 * ERR_LIMIT: all of it together is more than a kernel takes. */
int idp_script_make(struct idp_script *script, const char *token,
                    const struct helper_program *helper, const struct runnable *runnable,
                    const struct buf *request, struct err *err) __attribute__((warn_unused_result));
/* Another script, which sends a signal to the tree of the program, if that still runs. */
void idp_script_signal(struct buf *out, const char *token, unsigned long pid, int signal);
void idp_script_release(struct idp_script *script);
