/* What a runner has on a host: connections, a private directory with the helper, and lanes to
 * relays that the helper runs there (engine/remote/lane_pool.h).
 *
 * The directory is made by the same command that brings the helper and starts the first relay; from
 * then on the relays hold it, and the last of them to end removes it: when it is told to, or when
 * nothing is heard of the runner for LANE_LEASE_MS. So nothing stays, whatever becomes of the
 * runner or of the connection.
 *
 * When the directory is found gone, because the host was started anew or somebody has cleaned up
 * there, another is made for what comes then: a machine may have had several *bases*, of which the
 * last one counts. The others stay in memory, as lanes and places may still name what is in them.
 *
 * Threads: any; one of its own keeps the lanes alive that nobody uses. */
#pragma once

#include "engine/remote/lane_pool.h"
#include "engine/ssh/links.h"

struct machine;

/* Where things are there. Does not change, but for the lanes, and lives as long as the machine. */
struct machine_base {
    struct remote remote; /* what is started there */
    struct machine *machine;
    bool plain;      /* no helper runs there: plain.h */
    char *directory; /* NULL: plain */
    char *helper;    /* likewise */
    char *home;      /* where a login begins */
    char *uname;     /* "Linux x86_64"; NULL: unless plain, not asked */
    struct lane_pool lanes;
    struct machine_base *next;
};

struct machine {
    struct links links;
    char *name;           /* USER@HOST:PORT */
    char *directory_name; /* of the first directory, without those that it is in */
    bool keep;            /* the directory stays */

    struct gate making;        /* guards these: */
    struct machine_base *base; /* NULL: to be made */
    unsigned base_count;

    struct ctx background;
    pthread_t keeper;
    bool keeping;
    pthread_mutex_t mu;         /* guards: */
    struct machine_base *bases; /* all, the newest first */
    unsigned place_count;
};

/* `target` is borrowed; `run_id` names the directory. No I/O. */
int machine_init(struct machine *machine, const struct ssh_target *target, const char *run_id,
                 bool keep, struct err *err) __attribute__((warn_unused_result));
/* Ends everything there and waits for that, as far as the host can be reached; nobody uses a lane.
 */
void machine_release(struct machine *machine);

/* Brings the helper, unless it is there, or finds that there is none for such a machine.
 * ERR_UNSUPPORTED: commands do not run there, or nothing that is brought. */
int machine_ensure(const struct ctx *ctx, struct machine *machine, struct machine_base **ret,
                   struct err *err) __attribute__((warn_unused_result));
/* What was brought is not there any more: the next machine_ensure() does it again. */
int machine_forget(const struct ctx *ctx, const struct machine_base *base, struct err *err)
    __attribute__((warn_unused_result));
/* The name of a directory, for one step; the caller's. */
char *machine_unique_name(struct machine *machine);
/* A lane that nobody else uses, or, if `fresh`, has used before; of a base that is not plain. 1,
 * with an error: the base is gone. */
int machine_take_lane(const struct ctx *ctx, struct machine_base *base, bool fresh,
                      struct lane **ret, struct err *err) __attribute__((warn_unused_result));
void machine_give_lane(struct machine_base *base, struct lane *lane, bool reusable);

/* How a base starts commands (command.c, likewise what follows). */
extern const struct remote_ops machine_ops;
/* Runs a script of sh, in one line, for its output, which is short, and its messages; neither may
 * be NULL. `input` (NULL: none) is all it reads. The exit code of one that a signal ended is 128
 * and the signal. */
int machine_ask(const struct ctx *ctx, struct machine *machine, const char *script,
                const struct buf *input, struct buf *output, struct buf *messages, int *ret_code,
                struct err *err) __attribute__((warn_unused_result));
/* Adds a word for a POSIX shell, csh and fish. */
void machine_quote(struct buf *out, const char *word);
