/* A step is run by an engine, its output goes to the log path, and how it ended decides whether it
 * is tried again. */
#include <stdlib.h>

#include "base/alloc.h"
#include "exec/context.h"
#include "exec/job.h"
#include "exec/retry.h"

enum { TAIL_LINES = 20 };

struct step_output {
    struct output output;
    struct log_pump pump;
};

static void output_write(struct output *output, const struct ctx *ctx, enum output_stream stream,
                         const void *data, size_t len)
{
    struct step_output *out = (struct step_output *)output;

    log_pump_write(&out->pump, ctx, stream == OUTPUT_STDOUT ? EVENT_STDOUT : EVENT_STDERR, data,
                   len);
}

static int output_room_fd(struct output *output)
{
    return event_bus_room_fd(((struct step_output *)output)->pump.bus);
}

static void output_note(struct output *output, const char *text)
{
    struct step_output *out = (struct step_output *)output;

    event_bus_note(out->pump.bus, out->pump.node, "%s", text);
}

static int run_in_place(struct job_run *j, const struct ctx *ctx, uint32_t index, struct slot *slot,
                        struct step_output *out, struct exit_record *record, struct err *err)
{
    CLEANUP_BUF struct buf document = BUF_INIT;
    struct placed_file context;
    struct runnable runnable;
    struct open_place open;

    if (slot_fill(j, slot, index, err) < 0 ||
        places_get(&j->places, ctx, slot->step.url, &open, err) < 0)
        return -1;
    slots_look_ahead(j, index, slot->step.url, &open);
    runnable = slot->step.lowered->runnable;
    if (slot->step.lowered->context.path) {
        context_document(j, index, &slot->step, &document);
        context = (struct placed_file){.path = slot->step.lowered->context.path,
                                       .data = document.data,
                                       .size = document.len};
        runnable.placed = &context;
    }
    return open.engine->run(ctx, open.place, &runnable, &out->output, record, err);
}

/* Runs it once. The strings of *ret and *ret_tail go to the caller. */
static void attempt(struct job_run *j, const struct ctx *ctx, uint32_t index, struct slot *slot,
                    struct outcome *ret, char **ret_tail)
{
    struct run *run = j->run;
    struct step_output out = {
        .output = {.write = output_write, .room_fd = output_room_fd, .note = output_note}};
    struct exit_record record = {0};
    struct err err = ERR_INIT;
    int result;

    log_pump_init(&out.pump, run->flusher, run->bus, &j->node->children[index]);
    result = run_in_place(j, ctx, index, slot, &out, &record, &err);
    log_pump_finish(&out.pump);
    *ret_tail = log_pump_tail(&out.pump, TAIL_LINES);
    log_pump_release(&out.pump);
    if (result == 0) {
        atomic_fetch_add(&run->steps_run, 1);
        outcome_of_record(&record, ret);
        return;
    }
    if (err.code == ERR_UNAVAILABLE)
        atomic_store(&run->unavailable, true);
    outcome_of_error(ctx, &err, ret);
}

/* Each attempt has the whole of the step's own time. */
static void run_attempts(struct job_run *j, const struct ctx *parent, uint32_t index,
                         struct slot *slot)
{
    const struct plan_step *step = &j->plan->steps[index];
    struct node *node = &j->node->children[index];
    CLEANUP_FREE char *label = timeout_label(node);
    bool again;

    do {
        CLEANUP_FREE char *tail = NULL;
        struct outcome outcome;
        struct ctx ctx;

        ctx_init(&ctx, parent);
        ctx_set_timeout(&ctx, plan_timeout_ms(&step->scope), label);
        attempt(j, &ctx, index, slot, &outcome, &tail);
        ctx_release(&ctx);
        again = exec_retry_follows(step->spec->retry, node->attempt, &outcome) &&
                exec_retry_wait(j->run, parent, node, step->spec->retry, &outcome);
        if (again) {
            slot_clear(slot);
        } else {
            if (outcome.state == STATE_FAILED)
                outcome.result.tail = tail;
            outcome_apply(j->run, node, step->flow, &outcome);
        }
        outcome_release(&outcome);
    } while (again);
}

void step_run(struct job_run *j, const struct ctx *ctx, uint32_t index)
{
    struct slot own = {0};
    struct slot *slot = slots_get(j, index);

    if (!slot)
        slot = &own;
    node_set_state(j->run->bus, &j->node->children[index], STATE_RUNNING, NULL);
    announce_timeout(j->run, &j->node->children[index],
                     plan_timeout_ms(&j->plan->steps[index].scope));
    run_attempts(j, ctx, index, slot);
    slot_clear(slot);
}
