/* From a pipeline to a run that has begun. */
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "library/library.h"
#include "prepare/prepare.h"

enum { ANSWER_MS = 60000 }; /* a launcher that says nothing for so long is stuck */

/* --- what is said beside the file --- */

static void set_pairs(const char *const *pairs, struct strmap *out)
{
    for (; pairs && *pairs; pairs++) {
        size_t len = strcspn(*pairs, "=");
        CLEANUP_FREE char *name = xstrndup(*pairs, len);

        strmap_set(out, name, (*pairs)[len] ? *pairs + len + 1 : "");
    }
}

static void fill_args(const struct runner_pipeline *pipeline, struct prepare_args *args)
{
    *args = (struct prepare_args){.workdir = xstrdup_null(pipeline->workdir),
                                  .image = xstrdup_null(pipeline->image),
                                  .engine = xstrdup_null(pipeline->engine),
                                  .timeout_ms = pipeline->timeout_ms};
    set_pairs(pipeline->env, &args->env);
    set_pairs(pipeline->inputs, &args->inputs);
    for (const char *const *name = pipeline->allow_env; name && *name; name++)
        strvec_push(&args->allow_env, *name);
}

static void release_args(struct prepare_args *args)
{
    free(args->workdir);
    free(args->image);
    free(args->engine);
    strmap_release(&args->env);
    strmap_release(&args->inputs);
    strvec_release(&args->allow_env);
}

static size_t size_of(const struct runner_pipeline *pipeline)
{
    return pipeline->size ? pipeline->size : strlen(pipeline->text);
}

static const char *name_of(const struct runner_pipeline *pipeline)
{
    return pipeline->name ? pipeline->name : "pipeline";
}

/* --- checking --- */

int runner_check(struct runner *runner, const struct runner_pipeline *pipeline, char **ret_lines)
{
    struct prepared p = PREPARED_INIT;
    struct prepare_args args;
    CLEANUP_BUF struct buf lines = BUF_INIT;
    struct err err = ERR_INIT;
    int result = -1;

    fill_args(pipeline, &args);
    args.directory = pipeline->directory ? pipeline->directory : runner->directory;
    if (prepared_text(&p, &args, name_of(pipeline), pipeline->text, size_of(pipeline)) == 0)
        result = prepared_plan(&p, &args, runner->kinds, &err);
    prepared_diagnostics(&p, &lines);
    if (err.code)
        buf_addf(&lines, "%s\n", err.message);
    prepared_release(&p);
    release_args(&args);
    *ret_lines = buf_steal(&lines);
    return result;
}

/* --- starting --- */

static void forget(struct runner *runner, const char *id)
{
    pthread_mutex_lock(&runner->mu);
    for (size_t i = 0; i < runner->started.len; i++) {
        if (strcmp(runner->started.items[i], id) != 0)
            continue;
        free(runner->started.items[i]);
        runner->started.items[i] = runner->started.items[--runner->started.len];
        runner->started.items[runner->started.len] = NULL;
        break;
    }
    pthread_mutex_unlock(&runner->mu);
}

static void remember(struct runner *runner, const char *id)
{
    pthread_mutex_lock(&runner->mu);
    strvec_push(&runner->started, id);
    pthread_mutex_unlock(&runner->mu);
}

/* 1: it was the answer that run `id` has begun; 0: it was about another. */
static int take(struct runner *runner, const struct launch_event *event, const char *id,
                struct err *err)
{
    if (event->kind == LAUNCH_ENDED)
        forget(runner, event->run_id);
    if (strcmp(event->run_id, id) != 0)
        return 0;
    switch (event->kind) {
    case LAUNCH_BEGAN:
        return 1;
    case LAUNCH_REFUSED:
        return err_set(err, event->code, "%.*s", (int)strcspn(event->text, "\n"), event->text);
    default:
        return err_set(err, ERR_LOST, "the process of run %s has died before it had begun", id);
    }
}

/* A request that was sent is answered in some milliseconds: that is waited for in any case, so that
 * nothing begins that nobody knows of. */
static int await_answer(struct runner *runner, const char *id, struct err *err)
{
    struct ctx ctx;
    int result = 0;

    ctx_init_cleanup(&ctx, ANSWER_MS);
    ctx.label = "the start of a run:";
    while (result == 0) {
        struct launch_event event;
        struct pollfd ready = {.fd = launcher_fd(runner->launcher), .events = POLLIN};
        int got = launcher_next(runner->launcher, &event, err);

        if (got > 0)
            result = take(runner, &event, id, err);
        else if (got < 0 || ctx_poll(&ctx, &ready, 1, -1, err) < 0)
            result = -1;
    }
    ctx_release(&ctx);
    return result < 0 ? -1 : 0;
}

static int start(const struct ctx *ctx, struct runner *runner, const struct launch_request *request,
                 struct err *err)
{
    int result;

    if (gate_enter(ctx, &runner->starting, err) < 0)
        return -1;
    remember(runner, request->run_id);
    result = launcher_run(ctx, runner->launcher, request, err);
    if (result == 0)
        result = await_answer(runner, request->run_id, err);
    if (result < 0)
        forget(runner, request->run_id);
    gate_leave(&runner->starting);
    return result;
}

int runner_start(const struct ctx *ctx, struct runner *runner,
                 const struct runner_pipeline *pipeline, char ret_id[RUNNER_ID_SIZE],
                 struct err *err)
{
    struct prepare_args args;
    char id[OWN_RUN_ID_SIZE];
    struct launch_request request = {
        .run_id = id,
        .text = pipeline->text,
        .size = size_of(pipeline),
        .name = name_of(pipeline),
        .origin = "library",
        .user = pipeline->user ? pipeline->user : runner->user,
        .directory = pipeline->directory ? pipeline->directory : runner->directory,
        .args = &args,
    };
    int result;

    if (own_run_make_id(id, err) < 0)
        return -1;
    fill_args(pipeline, &args);
    result = start(library_ctx(runner, ctx), runner, &request, err);
    release_args(&args);
    if (result == 0)
        memcpy(ret_id, id, sizeof(id));
    return result;
}

_Static_assert(RUNNER_ID_SIZE == OWN_RUN_ID_SIZE, "one is the other");
