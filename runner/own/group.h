/* Groups: runs, jobs or deployments of one name that exclude each other on this machine, for one
 * user.
 *
 *     own_group_enter(ctx, &request, &group, err)    waits for its turn
 *     own_group_leave(group)
 *
 * Who wants to enter takes a ticket: a file with the next number, locked as long as its owner lives
 * and wants it. The lowest that is still locked is in, the others wait for those before them. A
 * lock ends with its process, however that ends, so that the dead block nobody; who meets the
 * ticket of one removes it. Source of the order: Lamport's bakery.
 *
 * Tickets lie in `groups` below the state directory, of those of own_run_begin() the one that is
 * the same in all sessions: $XDG_STATE_HOME/runner, ~/.local/state/runner, /tmp/runner-UID.
 *
 * Threads: any; each has a ticket of its own. */
#pragma once

#include <stdbool.h>

#include "base/ctx.h"
#include "base/err.h"

struct own_group;

struct own_group_request {
    const char *name;
    const char *title;  /* what texts call a group of this sort; NULL: "group" */
    const char *run_id; /* of the one that wants to enter */
    const char *what;   /* it for people: `job "deploy" of pipeline "site"` */
    bool whole;         /* it is the whole run: nothing of the same run may wait for it */
    bool cancel;        /* SIGTERM to the processes of all that are before it */
    /* Told who is in, before the first wait and whenever that changes. */
    void (*waiting)(void *arg, const char *text);
    void *arg;
};

/* ERR_CONFLICT: the run itself is in the group as a whole. *ret goes to the caller. */
int own_group_enter(const struct ctx *ctx, const struct own_group_request *request,
                    struct own_group **ret, struct err *err) __attribute__((warn_unused_result));
/* NULL is fine. */
void own_group_leave(struct own_group *group);
