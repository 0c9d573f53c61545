/* Process trees: finding and killing everything below this process.
 *
 * A process that calls tree_adopt_orphans() becomes the parent of every descendant whose own parent
 * ends, wherever it has moved to (setsid, double fork). Killing its children over and over until it
 * has none therefore ends the whole tree:
 *
 *     tree_adopt_orphans(err)
 *     while (tree_reap(...) has children left) { tree_kill_children(NULL, 0); wait for SIGCHLD }
 *
 * For single-threaded processes. Reads /proc/PID/task/TID/children (CONFIG_PROC_CHILDREN). */
#pragma once

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/cleanup.h"
#include "base/err.h"

struct pidvec {
    pid_t *items;
    size_t len;
    size_t cap;
};

#define CLEANUP_PIDVEC CLEANUP(cleanup_free)

int tree_adopt_orphans(struct err *err) __attribute__((warn_unused_result));
/* Whether this kernel lists children. */
bool tree_supported(void);

/* Adds the children of all threads of pid; a process that has gone has none. */
void tree_children(pid_t pid, struct pidvec *out);
/* Adds all that is below pid, parents before their children. */
void tree_descendants(pid_t pid, struct pidvec *out);
/* Sends SIGKILL to every child but those in `except`, and to all that is below the killed ones;
 * returns how many children there were. One round: what was forked meanwhile turns up in the next.
 */
size_t tree_kill_children(const pid_t *except, size_t except_count);
/* Sends sig to the process group and to all descendants of this process that are not in it, each
 * once. 0: there is no such group (the number of a leader that has been waited for may be somebody
 * else's by now). */
void tree_signal(pid_t group, int sig);
