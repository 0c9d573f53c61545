/* How nodes end. One place decides which state, reason and words follow from an error, an exit
 * record or the children's states, so that every level tells the same story. */
#include <stdio.h>
#include <stdlib.h>
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

static bool is_timeout_of(const struct ctx *ctx, enum state state, enum reason reason,
                          const char *error)
{
    CLEANUP_FREE char *expected = NULL;

    if (state != STATE_FAILED || reason != REASON_TIMEOUT || !ctx_expired(ctx))
        return false;
    expected = timeout_error(ctx);
    return error && strcmp(error, expected) == 0;
}

bool outcome_is_timeout_of(const struct ctx *ctx, const struct node *node)
{
    return is_timeout_of(ctx, (enum state)node->state, (enum reason)node->reason, node->error);
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

void outcome_release(struct outcome *outcome)
{
    free(outcome->error);
    free(outcome->message);
    free(outcome->tail);
    *outcome = (struct outcome){0};
}

void outcome_of_error(const struct ctx *ctx, const struct err *err, struct outcome *ret)
{
    bool by_ctx = err->code == ERR_TIMEOUT && ctx_expired(ctx);

    *ret = (struct outcome){.state = STATE_FAILED};
    if (err->code == ERR_CANCELLED) {
        ret->state = STATE_CANCELLED;
        return;
    }
    ret->error = by_ctx ? timeout_error(ctx) : xstrdup(err->message);
    ret->message = xstrdup(err->message);
    ret->result = (struct node_result){.reason = reason_of(err->code),
                                       .by_engine = !by_ctx,
                                       .error = ret->error,
                                       .message = ret->message};
}

void outcome_of_record(const struct exit_record *record, struct outcome *ret)
{
    CLEANUP_BUF struct buf error = BUF_INIT;

    *ret = (struct outcome){
        .state = STATE_FAILED,
        .result = {.reason = record->reason ? record->reason : REASON_ERROR,
                   .has_exit_code = record->kind != EXIT_LOST,
                   .exit_code = record->code},
    };
    if (record->kind == EXIT_CODE && record->code == 0 && record->reason == REASON_NONE) {
        ret->state = STATE_SUCCEEDED;
        ret->result.reason = REASON_NONE;
        return;
    }
    if (record->kind == EXIT_LOST) {
        /* An engine that knows why there is none says that instead. */
        if (record->reason == REASON_NONE || record->reason == REASON_LOST) {
            ret->result.reason = REASON_LOST;
            buf_addstr(&error, "lost: no exit record");
        }
    } else if (record->kind == EXIT_SIGNAL) {
        buf_addf(&error, "ended by signal %d (SIG%s)", record->signal,
                 sigabbrev_np(record->signal) ? sigabbrev_np(record->signal) : "?");
    } else {
        buf_addf(&error, "exit code %d", record->code);
    }
    if (*record->detail)
        buf_addf(&error, "%s%s", error.len ? ": " : "", record->detail);
    else if (!error.len)
        buf_addstr(&error, reason_name(record->reason));
    ret->result.error = ret->error = buf_steal(&error);
}

static bool lists_code(const struct spec_allow_failure *allow, bool has_code, int code)
{
    for (size_t i = 0; has_code && i < allow->code_count; i++) {
        if (allow->codes[i] == code)
            return true;
    }
    return false;
}

/* Whether steps below the node have failed, and all of them with a code that is listed. */
static bool lists_codes_below(const struct spec_allow_failure *allow, const struct node *node)
{
    bool any = false;

    for (uint32_t i = 0; i < node->child_count; i++) {
        const struct node *child = &node->children[i];

        if (!node_has_failed(child))
            continue;
        if (child->level == NODE_STEP ? !lists_code(allow, child->has_exit_code, child->exit_code)
                                      : !lists_codes_below(allow, child))
            return false;
        any = true;
    }
    return any;
}

static bool allows(const struct plan_flow *flow, const struct ctx *above, const struct node *node,
                   const struct outcome *outcome)
{
    const struct spec_allow_failure *allow = flow && flow->spec ? &flow->spec->allow_failure : NULL;
    const struct node_result *result = &outcome->result;

    if (outcome->state != STATE_FAILED ||
        (above && is_timeout_of(above, outcome->state, result->reason, result->error)))
        return false;
    if (outcome->ignored || (allow && allow->any == SPEC_TRUE))
        return true;
    if (!allow)
        return false;
    return node->level == NODE_STEP ? lists_code(allow, result->has_exit_code, result->exit_code)
                                    : lists_codes_below(allow, node);
}

bool outcome_counts(const struct ctx *above, const struct node *node, const struct plan_flow *flow,
                    const struct outcome *outcome)
{
    return outcome->state == STATE_FAILED && !allows(flow, above, node, outcome);
}

void outcome_apply(struct run *run, const struct ctx *above, struct node *node,
                   const struct plan_flow *flow, struct outcome *outcome)
{
    outcome->result.allowed = allows(flow, above, node, outcome);
    node_set_state(run->bus, node, outcome->state, &outcome->result);
}

void outcome_error(struct run *run, const struct ctx *above, struct node *node,
                   const struct plan_flow *flow, const struct err *err)
{
    struct outcome outcome;

    if (err->code == ERR_UNAVAILABLE)
        atomic_store(&run->unavailable, true);
    outcome_of_error(above, err, &outcome);
    outcome_apply(run, above, node, flow, &outcome);
    outcome_release(&outcome);
}

static char *failure_of(const struct node *child, const char *why)
{
    return xasprintf("%s \"%s\" failed: %s", node_level_name((enum node_level)child->level),
                     child->name, why ? why : "");
}

bool outcome_was_cut_short(const struct ctx *ctx, const struct node *child)
{
    return child->state == STATE_CANCELLED || (child->reason == REASON_DEPENDENCY && ctx_done(ctx));
}

void outcome_of_children(const struct ctx *ctx, const struct node *node, struct outcome *ret)
{
    const struct node *failed = NULL;
    bool cancelled = false;
    struct err err = ERR_INIT;

    *ret = (struct outcome){.state = STATE_SUCCEEDED};
    for (uint32_t i = 0; i < node->child_count; i++) {
        const struct node *child = &node->children[i];

        /* The failure of `post` counts when all was well before it. */
        if (cancelled && child->is_post)
            continue;
        cancelled = cancelled || outcome_was_cut_short(ctx, child);
        /* Of several failed children the one that failed first tells why. */
        if (node_has_failed(child) && (!failed || child->ended_mono_ms < failed->ended_mono_ms))
            failed = child;
    }
    /* A deadline can pass between two children, when neither of them fails by it. */
    if (failed ? outcome_is_timeout_of(ctx, failed) : cancelled && outcome_timed_out(ctx)) {
        ctx_timeout_error(ctx, &err);
        outcome_of_error(ctx, &err, ret);
        return;
    }
    if (!failed) {
        ret->state = cancelled ? STATE_CANCELLED : STATE_SUCCEEDED;
        return;
    }
    ret->state = STATE_FAILED;
    ret->failed = failed;
    ret->error = failure_of(failed, failed->error);
    ret->message = failure_of(failed, node_message(failed));
    ret->result = (struct node_result){.reason = (enum reason)failed->reason,
                                       .by_engine = failed->by_engine,
                                       .error = ret->error,
                                       .message = ret->message};
}

void outcome_not_started(struct run *run, struct node *node, enum state state, enum reason reason,
                         const char *why)
{
    struct node_result result = {.reason = reason, .error = why};

    for (uint32_t i = 0; i < node->child_count; i++)
        outcome_not_started(run, &node->children[i], state, reason, NULL);
    node_set_state(run->bus, node, state, &result);
}

void outcome_rest(struct run *run, const struct ctx *ctx, struct node *node)
{
    bool fail_fast = ctx_cancel_cause(ctx) == CTX_CAUSE_FAIL_FAST;

    if (ctx_done(ctx) && !fail_fast)
        outcome_not_started(run, node, STATE_CANCELLED, REASON_NONE, NULL);
    else
        outcome_not_started(run, node, STATE_SKIPPED, REASON_DEPENDENCY, NULL);
}

void outcome_children_not_started(struct run *run, struct node *node)
{
    for (uint32_t i = 0; i < node->child_count; i++)
        outcome_not_started(run, &node->children[i], STATE_SKIPPED, REASON_DEPENDENCY, NULL);
}
