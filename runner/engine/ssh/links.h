/* The connections to one host. A command gets a channel of one of them; when the server opens no
 * more on it (MaxSessions of sshd), another connection is made.
 *
 * Threads: any. */
#pragma once

#include <pthread.h>

#include "apis/ssh/exec.h"
#include "base/gate.h"

struct link {
    struct ssh_session *session;
    unsigned users; /* commands, and those who are about to start one */
    bool full;      /* it was refused a channel, and none has been given back since */
    bool broken;
    struct link *next;
};

struct links {
    const struct ssh_target *target; /* borrowed */
    struct gate connecting;          /* one makes a connection, others may then share it */
    pthread_mutex_t mu;
    struct link *list; /* guarded by mu */
    bool noted;        /* likewise: what the first connection had to say has been said */
};

int links_init(struct links *links, const struct ssh_target *target, struct err *err)
    __attribute__((warn_unused_result));
/* Every command has been given back. */
void links_release(struct links *links);

/* Makes the first connection, so that who cannot log in hears of it before anything is to run. */
int links_open(const struct ctx *ctx, struct links *links, struct err *err)
    __attribute__((warn_unused_result));
/* *ret_link belongs to the command until links_give_back(), to be called when that has been freed.
 * Errors: those of ssh_session_open() and ssh_exec_open(). */
int links_exec(const struct ctx *ctx, struct links *links, const struct ssh_exec_options *options,
               struct ssh_exec **ret, struct link **ret_link, struct err *err)
    __attribute__((warn_unused_result));
void links_give_back(struct links *links, struct link *link);
