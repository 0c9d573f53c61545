/* Context: the deadline and the cancellation that bound an operation.
 *
 * Everything that can block takes a `struct ctx *` first and waits only through ctx_poll(),
 * ctx_sleep() or ctx_fds(). A child's deadline is never later than its parent's; cancelling a
 * context ends all its descendants at once, in whatever thread they wait.
 *
 *     struct ctx stage;
 *     if (ctx_init_cancel(&stage, parent, err)) ...       // can be cancelled by itself
 *     ctx_set_timeout(&stage, 60000, "stage \"build\"");
 *     ...
 *     ctx_release(&stage);
 *
 * A context lives in its owner's frame and must outlive its descendants. TIMEOUT and CANCELLED are
 * different errors: whichever holds when it is asked, with cancellation looked at first.
 *
 * What has to happen although the context has ended takes a fresh one: ctx_init_grace() for the
 * wait between SIGTERM and SIGKILL (a "hurry" on the root ends it early), ctx_init_cleanup() for
 * removing what was created (nothing but its own deadline ends it).
 *
 * Threads: ctx_cancel() and ctx_hurry() may be called from any thread; a context is otherwise
 * changed only by the thread that owns it, before descendants exist. */
#pragma once

#include <poll.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

/* Most descriptors that ctx_fds() gives. */
#define CTX_FDS_MAX 6

enum ctx_cause {
    CTX_CAUSE_NONE,
    CTX_CAUSE_USER,      /* Ctrl-C, SIGTERM, API */
    CTX_CAUSE_FAIL_FAST, /* a sibling failed */
};

/* A flag that a poll can wait for. */
struct ctx_signal {
    atomic_int cause; /* enum ctx_cause; CTX_CAUSE_NONE: not raised */
    int event_fd;     /* readable for ever once raised; -1: there is none to wait for */
};

struct ctx {
    const struct ctx *parent;
    int64_t deadline_ms;             /* CLOCK_MONOTONIC; INT64_MAX: none */
    const struct ctx *deadline_from; /* the ancestor (or self) whose limit is the tightest */
    int64_t limit_ms;                /* the limit that this context set itself, 0: none */
    const char *label;               /* names that limit, e.g. `stage "build"`; borrowed */
    struct ctx_signal cancel;
    const struct ctx_signal *also; /* a foreign signal that ends it too, or NULL */
    struct ctx_signal *hurry;      /* the root's; NULL: none */
};

#define CLEANUP_CTX CLEANUP(ctx_release)

/* A root: no deadline; can be cancelled. `hurry` (may be NULL) is the signal that cuts graces
 * short; it belongs to the caller. */
int ctx_init_root(struct ctx *ctx, struct ctx_signal *hurry, struct err *err)
    __attribute__((warn_unused_result));
/* A child that ends with its parent and adds no cancellation of its own. */
void ctx_init(struct ctx *ctx, const struct ctx *parent);
/* A child that can also be cancelled by itself. */
int ctx_init_cancel(struct ctx *ctx, const struct ctx *parent, struct err *err)
    __attribute__((warn_unused_result));
/* Not a child: ends after timeout_ms, or when the root of `of` is told to hurry. */
void ctx_init_grace(struct ctx *ctx, const struct ctx *of, int64_t timeout_ms);
/* Not a child: ends after timeout_ms only. */
void ctx_init_cleanup(struct ctx *ctx, int64_t timeout_ms);
void ctx_release(struct ctx *ctx);

/* Sets the limit of a context that has no descendants yet; timeout_ms <= 0 sets none. `label` is
 * borrowed for the life of the context. */
void ctx_set_timeout(struct ctx *ctx, int64_t timeout_ms, const char *label);

void ctx_cancel(struct ctx *ctx, enum ctx_cause cause);

int ctx_signal_init(struct ctx_signal *signal, struct err *err) __attribute__((warn_unused_result));
void ctx_signal_raise(struct ctx_signal *signal, enum ctx_cause cause);
void ctx_signal_release(struct ctx_signal *signal);

/* Whether the context has ended. */
bool ctx_done(const struct ctx *ctx);
/* 0 while the context lasts; else -1 with ERR_CANCELLED, or ERR_TIMEOUT with the message
 * `LABEL timeout after N seconds` of the level whose limit passed. */
int ctx_check(const struct ctx *ctx, struct err *err);
/* Whether the deadline has passed, cancelled or not. */
bool ctx_expired(const struct ctx *ctx);
/* The error of an expired context, as ctx_check() gives it; returns -1. */
int ctx_timeout_error(const struct ctx *ctx, struct err *err);
/* Why it was cancelled, CTX_CAUSE_NONE if it was not. */
enum ctx_cause ctx_cancel_cause(const struct ctx *ctx);

/* Milliseconds until the deadline (0 when past), at most `max_ms`; max_ms < 0 means no cap, and -1
 * comes back when there is neither. Suits poll()'s timeout. */
int ctx_remaining_ms(const struct ctx *ctx, int max_ms);
/* Fills fds with the descriptors that become readable on cancellation; returns how many. */
size_t ctx_fds(const struct ctx *ctx, int fds[CTX_FDS_MAX]);

/* poll() bounded by the context. Returns the number of ready entries, 0 after timeout_ms (< 0: no
 * timeout of its own), -1 when the context ended or poll failed (err says which). A context that
 * has ended already answers -1 even if entries are ready. At most 16 entries. */
int ctx_poll(const struct ctx *ctx, struct pollfd *fds, size_t count, int timeout_ms,
             struct err *err);
/* 0 after `ms`, -1 when the context ended before. */
int ctx_sleep(const struct ctx *ctx, int64_t ms, struct err *err);
