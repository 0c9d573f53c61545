/* Everything that a process has started. The helper is the subreaper (or process 1) of it, so that
 * nothing gets away by setsid() or by forking twice, and a program counts as ended only when
 * nothing of it is left. */
#pragma once

#include <asm/signal.h>
#include <stdbool.h>

struct tree {
    int main_pid; /* 0: none */
    bool main_ended;
    int exit_code; /* of the main process, 128 + the signal that killed it */
};

#define KERNEL_SIGSET_SIZE 8
#define SIGNAL_BIT(signal) (1ul << ((signal)-1))

/* What a program that is started must have unblocked: what tree_signals() blocks. */
#define TREE_BLOCKED                                                                               \
    (SIGNAL_BIT(SIGCHLD) | SIGNAL_BIT(SIGTERM) | SIGNAL_BIT(SIGINT) | SIGNAL_BIT(SIGHUP) |         \
     SIGNAL_BIT(SIGPIPE))

/* Makes the helper the one who adopts, and blocks what would end it. Returns a signalfd of SIGCHLD,
 * SIGTERM, SIGINT and SIGHUP, so that they come to process 1, too, which would not get them
 * otherwise. */
int tree_signals(void);
/* Reads the signalfd: 0, or the last of the signals other than SIGCHLD. */
int tree_take_signals(int signals);
/* Sends a signal to every descendant. */
void tree_signal(int signal);
/* Collects what has ended; false when there are no children any more. */
bool tree_reap(struct tree *tree);
/* Kills and collects all descendants; false when something could not be ended. */
bool tree_end(struct tree *tree);
