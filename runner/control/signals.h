/* Signals of the process, handled in one place: a thread that reads a signalfd. The first SIGINT,
 * SIGTERM or SIGHUP cancels, the second cuts grace periods short; cleanup always happens. The same
 * thread serves the control socket of a run. */
#pragma once

#include "base/ctx.h"
#include "control/control.h"

struct signals;

/* Before any thread or child: blocks what the thread will read, in all threads to come. Until then
 * signals end the program as usual. Those that it was started to ignore stay ignored. Programs that
 * are started get all of it reset. */
void signals_block(void);
/* All stay the caller's, and are used until signals_stop(); `control` may be NULL. */
int signals_start(struct ctx *cancel, struct ctx_signal *hurry, struct control_server *control,
                  struct signals **ret, struct err *err) __attribute__((warn_unused_result));
/* The first signal that came, 0 if none did. NULL is fine. */
int signals_first(const struct signals *signals);
/* Returns the same. */
int signals_stop(struct signals *signals);

/* The whole of it around one call, for commands that need no more: `fn` gets a context that the
 * first signal ends. Returns what fn returns, or -1 if it could not be called. *ret_signal: the
 * first signal that came, 0 if none did. */
int signals_run(int (*fn)(const struct ctx *ctx, void *arg, struct err *err), void *arg,
                int *ret_signal, struct err *err) __attribute__((warn_unused_result));
