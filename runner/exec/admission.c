#include "exec/admission.h"

#include "exec/conditions.h"

/* What was left out on purpose counts as if it had succeeded. So does what still runs although its
 * turn is over: it goes on in the background, for which it is ready. */
static bool edge_holds(const struct plan_edge *edge, const struct node *from)
{
    bool left_out = from->state == STATE_SKIPPED && from->reason == REASON_POLICY;

    switch ((enum spec_condition)edge->condition) {
    case SPEC_CONDITION_FAILED:
        return from->state == STATE_FAILED;
    case SPEC_CONDITION_COMPLETED:
        return true;
    default:
        return from->state == STATE_SUCCEEDED || from->state == STATE_RUNNING || left_out ||
               (from->state == STATE_FAILED && from->allowed);
    }
}

/* A dependency whose condition the file does not say is left to `if`, where that asks how things
 * went. */
static enum admission ask_edges(const struct admission_question *q, struct buf *why)
{
    const struct plan_flow *flow = q->flow;

    for (uint32_t i = 0; flow && i < flow->edge_count; i++) {
        const struct plan_edge *edge = &flow->edges[i];
        const struct node *from = &q->siblings->nodes[edge->from];

        if ((!edge->given && flow->asks_status) || edge_holds(edge, from))
            continue;
        buf_addf(why, "it needs \"%s\" %s, which %s", from->name,
                 edge->condition == SPEC_CONDITION_FAILED ? "to fail" : "to succeed",
                 from->state == STATE_SKIPPED     ? "was skipped"
                 : from->state == STATE_CANCELLED ? "was cancelled"
                 : from->state == STATE_FAILED    ? "failed"
                 : from->state == STATE_RUNNING   ? "goes on in the background"
                                                  : "succeeded");
        return edge->condition == SPEC_CONDITION_FAILED ? ADMISSION_SKIP : ADMISSION_DEPENDENCY;
    }
    return ADMISSION_RUN;
}

/* In a serial list a failure stops what follows, unless that asks how things went. */
static enum admission ask_order(const struct admission_question *q, struct buf *why)
{
    const struct siblings *s = q->siblings;

    if (s->order != PLAN_ORDER_SERIAL || (q->flow && q->flow->asks_status))
        return ADMISSION_RUN;
    if (!s->before.failed && !s->before.cancelled)
        return ADMISSION_RUN;
    buf_addstr(why, s->before.failed ? "something before it failed"
                                     : "something before it was cancelled");
    return ADMISSION_DEPENDENCY;
}

enum admission admission_ask(const struct admission_question *q, struct buf *why, struct err *err)
{
    enum admission answer = ask_edges(q, why);
    bool holds = true;

    if (answer == ADMISSION_RUN && !q->always)
        answer = ask_order(q, why);
    if (answer != ADMISSION_RUN || !q->flow || !q->flow->spec ||
        (!q->flow->condition && !q->flow->spec->when))
        return answer;
    if (conditions_hold(q, &holds, why, err) < 0)
        return ADMISSION_ERROR;
    return holds ? ADMISSION_RUN : ADMISSION_SKIP;
}

bool admission_passes(const struct admission_question *q, struct node *node)
{
    CLEANUP_BUF struct buf why = BUF_INIT;
    struct err err = ERR_INIT;

    switch (admission_ask(q, &why, &err)) {
    case ADMISSION_RUN:
        return true;
    case ADMISSION_SKIP:
        outcome_not_started(q->run, node, STATE_SKIPPED, REASON_NONE, why.data);
        return false;
    case ADMISSION_DEPENDENCY:
        outcome_not_started(q->run, node, STATE_SKIPPED, REASON_DEPENDENCY, NULL);
        return false;
    case ADMISSION_ERROR:
        outcome_children_not_started(q->run, node);
        outcome_error(q->run, q->ctx, node, q->flow, &err);
        return false;
    }
    return false;
}

bool hook_is_for(const struct plan_job *job, enum plan_post outcome)
{
    for (uint32_t i = 0; i < job->step_count; i++) {
        if (job->steps[i].post == PLAN_POST_ALWAYS || job->steps[i].post == outcome)
            return true;
    }
    return false;
}
