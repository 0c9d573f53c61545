#include "exec/context.h"

#include <jansson.h>
#include <string.h>

#include "base/utf8.h"
#include "event/json.h"
#include "exec/job.h"

/* Of the form of the document; what is added to it does not count. */
#define CONTEXT_API 1

static json_t *string(const char *text)
{
    CLEANUP_BUF struct buf clean = BUF_INIT;

    if (!text)
        return json_null();
    utf8_add_valid(&clean, text, strlen(text));
    return json_string(clean.data);
}

/* With the bus's lock held. */
static json_t *earlier_step(const struct plan_step *step, const struct node *node)
{
    json_t *object = json_object();

    json_object_set_new(object, "name", string(step->name));
    json_object_set_new(object, "status", string(state_name((enum state)node->state)));
    if (node->has_exit_code)
        json_object_set_new(object, "exit_code", json_integer(node->exit_code));
    json_object_set_new(object, "outputs", strmap_to_json(&node->outputs));
    return object;
}

/* Steps of the job that have ended, by their ids: other threads may end others. */
static json_t *earlier_steps(const struct job_run *j)
{
    json_t *object = json_object();

    pthread_mutex_lock(&j->run->bus->mu);
    for (uint32_t i = 0; i < j->plan->step_count; i++) {
        const struct node *node = &j->node->children[i];

        if (state_is_final((enum state)node->state))
            json_object_set_new(object, j->plan->steps[i].id,
                                earlier_step(&j->plan->steps[i], node));
    }
    pthread_mutex_unlock(&j->run->bus->mu);
    return object;
}

static json_t *named(const char *name)
{
    json_t *object = json_object();

    json_object_set_new(object, "name", string(name));
    return object;
}

void context_document(const struct job_run *j, uint32_t index, const struct lowering *step,
                      struct buf *out)
{
    const struct node *node = &j->node->children[index];
    json_t *root = json_object();
    json_t *pipeline = named(j->run->plan->name);
    json_t *job = named(j->plan->name);
    json_t *self = named(node->name);
    char *text;

    json_object_set_new(pipeline, "id", string(j->run->id));
    json_object_set_new(job, "matrix", strmap_to_json(&j->plan->matrix));
    if (j->plan->host)
        json_object_set_new(job, "host", string(j->plan->host->spec->name.text));
    json_object_set_new(self, "id", string(j->plan->steps[index].id));
    json_object_set_new(self, "attempt", json_integer(node->attempt ? node->attempt : 1));
    json_object_set_new(root, "api", json_integer(CONTEXT_API));
    json_object_set_new(root, "pipeline", pipeline);
    json_object_set_new(root, "stage", named(j->node->parent->name));
    json_object_set_new(root, "job", job);
    json_object_set_new(root, "step", self);
    json_object_set_new(root, "workdir", string(step->settings.workdir));
    json_object_set_new(root, "steps", earlier_steps(j));
    text = json_dumps(root, JSON_COMPACT);
    buf_addf(out, "%s\n", text ? text : "{}");
    free(text);
    json_decref(root);
}

void context_runnable_make(const struct job_run *j, uint32_t index, const struct lowering *step,
                           struct context_runnable *ret)
{
    *ret = (struct context_runnable){.runnable = step->lowered->runnable, .document = BUF_INIT};
    if (!step->lowered->context.path)
        return;
    context_document(j, index, step, &ret->document);
    ret->file = (struct placed_file){.path = step->lowered->context.path,
                                     .data = ret->document.data,
                                     .size = ret->document.len};
    ret->runnable.placed = &ret->file;
}

void context_runnable_release(struct context_runnable *what)
{
    buf_release(&what->document);
}
