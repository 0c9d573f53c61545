/* How nodes end. One place decides which state, reason and words follow from an error, an exit
 * record or the children's states, so that every level tells the same story. */
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "exec/run.h"

char *timeout_label(const struct node *node)
{
    return xasprintf("%s \"%s\"", node_level_name((enum node_level)node->level), node->name);
}

void announce_timeout(struct run *run, const struct node *node, int64_t timeout_ms)
{
    char limit[CLOCK_DURATION_SIZE];

    if (timeout_ms <= 0)
        return;
    clock_format_limit(timeout_ms, limit, sizeof(limit));
    event_bus_note(run->bus, node, "timeout: %s", limit);
}

/* The `error` of a state that a timeout ended: `stage timeout after 60 seconds: context deadline
 * exceeded`, named after the level whose limit it was. */
static char *timeout_error(const struct ctx *ctx)
{
    const struct ctx *from = ctx->deadline_from;
    char limit[CLOCK_DURATION_SIZE];
    int word = (int)strcspn(from->label, " ");

    clock_format_limit(from->limit_ms, limit, sizeof(limit));
    return xasprintf("%.*s timeout after %s: context deadline exceeded", word, from->label, limit);
}

bool outcome_is_timeout_of(const struct ctx *ctx, const struct node *node)
{
    CLEANUP_FREE char *error = NULL;

    if (node->state != STATE_FAILED || node->reason != REASON_TIMEOUT || !ctx_expired(ctx))
        return false;
    error = timeout_error(ctx);
    return node->error && strcmp(node->error, error) == 0;
}

bool outcome_timed_out(const struct ctx *ctx)
{
    return ctx_expired(ctx) && ctx_cancel_cause(ctx) == CTX_CAUSE_NONE;
}

static enum reason reason_of(enum err_code code)
{
    switch (code) {
    case ERR_TIMEOUT:
        return REASON_TIMEOUT;
    case ERR_LOST:
        return REASON_LOST;
    case ERR_IMAGE_PULL:
        return REASON_IMAGE_PULL;
    default:
        return REASON_ERROR;
    }
}

void outcome_error(struct run *run, const struct ctx *ctx, struct node *node, const struct err *err,
                   const char *tail)
{
    bool by_ctx = err->code == ERR_TIMEOUT && ctx_expired(ctx);
    CLEANUP_FREE char *error = by_ctx ? timeout_error(ctx) : xstrdup(err->message);
    struct node_result result = {.reason = reason_of(err->code),
                                 .error = error,
                                 .message = err->message,
                                 .tail = tail};

    if (err->code == ERR_UNAVAILABLE)
        atomic_store(&run->unavailable, true);
    if (err->code == ERR_CANCELLED) {
        node_set_state(run->bus, node, STATE_CANCELLED, NULL);
        return;
    }
    node_set_state(run->bus, node, STATE_FAILED, &result);
}

void outcome_record(struct run *run, struct node *node, const struct exit_record *record,
                    const char *tail)
{
    CLEANUP_BUF struct buf error = BUF_INIT;
    struct node_result result = {.reason = record->reason ? record->reason : REASON_ERROR,
                                 .has_exit_code = record->kind != EXIT_LOST,
                                 .exit_code = record->code,
                                 .tail = tail};

    if (record->kind == EXIT_CODE && record->code == 0 && record->reason == REASON_NONE) {
        result = (struct node_result){.has_exit_code = true};
        node_set_state(run->bus, node, STATE_SUCCEEDED, &result);
        return;
    }
    if (record->kind == EXIT_LOST) {
        result.reason = REASON_LOST;
        buf_addstr(&error, "lost: no exit record");
    } else if (record->kind == EXIT_SIGNAL) {
        buf_addf(&error, "ended by signal %d (SIG%s)", record->signal,
                 sigabbrev_np(record->signal) ? sigabbrev_np(record->signal) : "?");
    } else {
        buf_addf(&error, "exit code %d", record->code);
    }
    if (*record->detail)
        buf_addf(&error, ": %s", record->detail);
    result.error = error.data;
    node_set_state(run->bus, node, STATE_FAILED, &result);
}

static char *failure_of(const struct node *child, const char *why)
{
    return xasprintf("%s \"%s\" failed: %s", node_level_name((enum node_level)child->level),
                     child->name, why ? why : "");
}

void outcome_of_children(struct run *run, const struct ctx *ctx, struct node *node)
{
    const struct node *failed = NULL;
    bool incomplete = false; /* a child did not run although it was meant to */
    CLEANUP_FREE char *error = NULL;
    CLEANUP_FREE char *message = NULL;
    struct node_result result = {0};
    struct err err = ERR_INIT;

    for (uint32_t i = 0; i < node->child_count; i++) {
        const struct node *child = &node->children[i];

        /* The failure of `post` counts when all was well before it. */
        if (incomplete && !node->parent && run->plan->stages[i].kind == PLAN_STAGE_POST)
            break;
        incomplete =
            incomplete || child->state == STATE_CANCELLED || child->reason == REASON_DEPENDENCY;
        /* Of several failed children the one that failed first tells why. */
        if (child->state == STATE_FAILED && (!failed || child->ended_at_ms < failed->ended_at_ms))
            failed = child;
    }
    /* A deadline can pass between two children, when neither of them fails by it. */
    if (failed ? outcome_is_timeout_of(ctx, failed) : incomplete && outcome_timed_out(ctx)) {
        ctx_timeout_error(ctx, &err);
        outcome_error(run, ctx, node, &err, NULL);
        return;
    }
    if (!failed) {
        node_set_state(run->bus, node, incomplete ? STATE_CANCELLED : STATE_SUCCEEDED, NULL);
        return;
    }
    result.reason = (enum reason)failed->reason;
    error = failure_of(failed, failed->error);
    message = failure_of(failed, node_message(failed));
    result.error = error;
    result.message = message;
    node_set_state(run->bus, node, STATE_FAILED, &result);
}

void outcome_not_started(struct run *run, struct node *node, enum state state, enum reason reason)
{
    struct node_result result = {.reason = reason};

    for (uint32_t i = 0; i < node->child_count; i++)
        outcome_not_started(run, &node->children[i], state, reason);
    node_set_state(run->bus, node, state, &result);
}

void outcome_rest(struct run *run, const struct ctx *ctx, struct node *node)
{
    bool fail_fast = ctx_cancel_cause(ctx) == CTX_CAUSE_FAIL_FAST;

    if (ctx_done(ctx) && !fail_fast)
        outcome_not_started(run, node, STATE_CANCELLED, REASON_NONE);
    else
        outcome_not_started(run, node, STATE_SKIPPED, REASON_DEPENDENCY);
}
