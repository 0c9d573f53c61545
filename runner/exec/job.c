/* A job has one place on each engine that its steps name, opened with the first of them and closed
 * with the job. Steps are lowered a little ahead of their turn, and the engine is told, so that it
 * can hide the start of what comes next behind what runs now. */
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/logger.h"
#include "base/vec.h"
#include "exec/run.h"

/* How many steps are lowered and announced beyond the running one. */
enum { LOOKAHEAD = 2, TAIL_LINES = 20 };

struct open_place {
    const struct engine *engine;
    struct engine_instance *instance;
    struct place *place;
};

/* A step that has been lowered; empty while step.lowered is NULL. */
struct slot {
    struct lowering step;
    bool announced;
};

struct job_run {
    struct run *run;
    const struct plan_job *plan;
    struct node *node;
    const bool *skip;
    struct ctx ctx;
    VEC(struct open_place)
    places;
    struct slot slots[LOOKAHEAD + 1]; /* by step index modulo their number */
};

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

static struct slot *slot_of(struct job_run *j, uint32_t index)
{
    return &j->slots[index % (LOOKAHEAD + 1)];
}

static void slot_clear(struct slot *slot)
{
    lowering_release(&slot->step);
    slot->announced = false;
}

/* No values that the file computes from what may be secret, and of the engine no address. */
static void log_settings(const struct run *run, const struct lowering *step)
{
    const struct engine *engine = engine_find(run->options->engines, step->url);
    const struct plan_settings *s = &step->settings;

    log_debug("exec",
              "%s: step \"%s\": engine %s, image %s, workdir %s, user %s, shell %s, "
              "%u variables, grace %lld ms",
              step->lowered->runnable.id, step->lowered->runnable.name, engine ? engine->name : "?",
              s->image ? s->image : "-", s->workdir, s->user ? s->user : "-",
              s->shell ? s->shell : "-", (unsigned)s->environment.len, (long long)s->grace_ms);
}

static int slot_fill(struct job_run *j, uint32_t index, struct err *err)
{
    struct slot *slot = slot_of(j, index);

    if (slot->step.lowered)
        return 0;
    if (lowering_make(j->run, j->run->plan, &j->plan->steps[index], &j->node->children[index],
                      &slot->step, err) < 0)
        return -1;
    log_settings(j->run, &slot->step);
    return 0;
}

static struct open_place *find_place(struct job_run *j, const struct engine_instance *instance)
{
    vec_foreach (struct open_place *, open, &j->places) {
        if (open->instance == instance)
            return open;
    }
    return NULL;
}

static int open_place(struct job_run *j, const struct ctx *ctx, const char *url,
                      struct open_place **ret, struct err *err)
{
    struct open_place new;
    CLEANUP_BUF struct buf id = BUF_INIT;
    struct place_options options = {.name = j->plan->name, .workspace = j->run->plan->workdir};

    if (instances_get(j->run->instances, ctx, url, &new.instance, &new.engine, err) < 0) {
        if (!ctx_done(ctx))
            atomic_store(&j->run->unavailable, true);
        return -1;
    }
    *ret = find_place(j, new.instance);
    if (*ret)
        return 0;
    node_id(j->node, j->run->id, &id);
    options.id = id.data;
    if (new.engine->open(ctx, new.instance, &options, &new.place, err) < 0)
        return -1;
    vec_push(&j->places, new);
    *ret = &j->places.items[j->places.len - 1];
    return 0;
}

/* Lowers the steps that come next and tells the engine of those that it runs itself. What cannot
 * be lowered now is tried again, and reported, when its turn comes. */
static void look_ahead(struct job_run *j, uint32_t index, const char *url,
                       const struct open_place *open)
{
    for (uint32_t i = index + 1; i <= index + LOOKAHEAD && i < j->plan->step_count; i++) {
        struct slot *slot = slot_of(j, i);

        if ((j->skip && j->skip[i]) || slot->announced)
            continue;
        if (slot_fill(j, i, NULL) < 0 || strcmp(slot->step.url, url) != 0)
            return;
        slot->announced = true;
        if (open->engine->prepare)
            open->engine->prepare(open->place, &slot->step.lowered->runnable);
    }
}

static int run_in_place(struct job_run *j, const struct ctx *ctx, uint32_t index,
                        struct step_output *out, struct exit_record *record, struct err *err)
{
    struct slot *slot = slot_of(j, index);
    struct open_place *open;

    if (slot_fill(j, index, err) < 0 || open_place(j, ctx, slot->step.url, &open, err) < 0)
        return -1;
    look_ahead(j, index, slot->step.url, open);
    return open->engine->run(ctx, open->place, &slot->step.lowered->runnable, &out->output, record,
                             err);
}

static void step_run(struct job_run *j, uint32_t index)
{
    struct run *run = j->run;
    const struct plan_step *step = &j->plan->steps[index];
    struct node *node = &j->node->children[index];
    struct step_output out = {
        .output = {.write = output_write, .room_fd = output_room_fd, .note = output_note}};
    struct exit_record record = {0};
    int64_t timeout_ms = plan_timeout_ms(&step->scope);
    CLEANUP_FREE char *label = timeout_label(node);
    CLEANUP_FREE char *tail = NULL;
    struct err err = ERR_INIT;
    struct ctx ctx;
    int result;

    ctx_init(&ctx, &j->ctx);
    ctx_set_timeout(&ctx, timeout_ms, label);
    node_set_state(run->bus, node, STATE_RUNNING, NULL);
    announce_timeout(run, node, timeout_ms);
    log_pump_init(&out.pump, run->flusher, run->bus, node);
    result = run_in_place(j, &ctx, index, &out, &record, &err);
    log_pump_finish(&out.pump);
    tail = log_pump_tail(&out.pump, TAIL_LINES);
    log_pump_release(&out.pump);
    if (result == 0) {
        atomic_fetch_add(&run->steps_run, 1);
        outcome_record(run, node, &record, tail);
    } else {
        outcome_error(run, &ctx, node, &err, tail);
    }
    slot_clear(slot_of(j, index));
    ctx_release(&ctx);
}

static void run_steps(struct job_run *j)
{
    bool stopped = false;

    for (uint32_t i = 0; i < j->plan->step_count; i++) {
        struct node *node = &j->node->children[i];

        if (j->skip && j->skip[i]) {
            outcome_not_started(j->run, node, STATE_SKIPPED, REASON_NONE);
        } else if (stopped || ctx_done(&j->ctx)) {
            outcome_rest(j->run, &j->ctx, node);
        } else {
            step_run(j, i);
            stopped = node->state != STATE_SUCCEEDED;
        }
    }
}

void job_run(struct run *run, const struct ctx *ctx, const struct plan_job *job, struct node *node,
             const bool *skip)
{
    struct job_run j = {.run = run, .plan = job, .node = node, .skip = skip};
    CLEANUP_FREE char *label = timeout_label(node);
    int64_t timeout_ms = plan_timeout_ms(&job->scope);

    ctx_init(&j.ctx, ctx);
    ctx_set_timeout(&j.ctx, timeout_ms, label);
    node_set_state(run->bus, node, STATE_RUNNING, NULL);
    announce_timeout(run, node, timeout_ms);
    run_steps(&j);
    vec_foreach (struct open_place *, open, &j.places)
        open->engine->close(open->place);
    vec_release(&j.places);
    for (uint32_t i = 0; i <= LOOKAHEAD; i++)
        slot_clear(&j.slots[i]);
    outcome_of_children(run, &j.ctx, node);
    ctx_release(&j.ctx);
}
