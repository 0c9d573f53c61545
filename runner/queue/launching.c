#include "queue/launching.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/fs.h"
#include "control/control.h"

struct prepare_args queue_launching_args(const struct queue_launching *launching,
                                         const struct submission_options *options)
{
    struct prepare_args args =
        launching->defaults ? *launching->defaults : (struct prepare_args){0};
    const struct strmap env = args.env;
    const struct strmap inputs = args.inputs;

    args.env = (struct strmap){0};
    args.inputs = (struct strmap){0};
    strmap_merge(&args.env, &env);
    strmap_merge(&args.env, &options->env);
    strmap_merge(&args.inputs, &inputs);
    strmap_merge(&args.inputs, &options->inputs);
    args.engine = options->engine ? options->engine : args.engine;
    args.image = options->image ? options->image : args.image;
    args.workdir = options->workdir ? options->workdir : args.workdir;
    args.timeout_ms = options->timeout_ms ? options->timeout_ms : args.timeout_ms;
    return args;
}

void queue_launching_args_release(struct prepare_args *args)
{
    strmap_release(&args->env);
    strmap_release(&args->inputs);
}

static int start(const struct ctx *ctx, void *arg, const struct queue_start *start, struct err *err)
{
    const struct queue_launching *launching = arg;
    CLEANUP_FREE char *directory =
        launching->workdir ? fs_join(launching->workdir, start->id) : NULL;
    struct prepare_args args = queue_launching_args(launching, start->options);
    const struct launch_request request = {
        .run_id = start->id,
        .text = start->file,
        .size = strlen(start->file),
        .name = *start->name ? start->name : NULL,
        .origin = "server",
        .user = *start->client ? start->client : NULL,
        .directory = directory,
        .args = &args,
    };
    int status = launcher_run(ctx, launching->launcher, &request, err);

    queue_launching_args_release(&args);
    return status;
}

static int fd(void *arg)
{
    return launcher_fd(((const struct queue_launching *)arg)->launcher);
}

static const enum queue_told_kind kinds[] = {
    [LAUNCH_BEGAN] = QUEUE_BEGUN,
    [LAUNCH_REFUSED] = QUEUE_REFUSED,
    [LAUNCH_ENDED] = QUEUE_ENDED,
};

static int next(void *arg, struct queue_told *ret, struct err *err)
{
    struct launch_event event = {0};
    int got = launcher_next(((const struct queue_launching *)arg)->launcher, &event, err);

    if (got <= 0)
        return got;
    *ret = (struct queue_told){
        .kind = kinds[event.kind],
        .code = event.code,
        .text = event.text,
        .wait_status = event.status,
    };
    memcpy(ret->id, event.run_id, sizeof(ret->id));
    return 1;
}

static int cancel(const struct ctx *ctx, void *arg, const char *id,
                  const struct queue_cancel *cancel, struct err *err)
{
    const struct queue_launching *launching = arg;
    struct err why = ERR_INIT;

    if (control_cancel(ctx, launching->runs_dir, id, cancel->reason, cancel->by, err) < 0)
        return -1;
    /* It may have ended in between. */
    if (!cancel->hurry || control_hurry(ctx, launching->runs_dir, id, &why) == 0 ||
        why.code == ERR_CONFLICT)
        return 0;
    return err_set(err, why.code, "%s", why.message);
}

struct queue_launcher queue_launching_ops(struct queue_launching *launching)
{
    return (struct queue_launcher){
        .start = start,
        .fd = fd,
        .next = next,
        .cancel = cancel,
        .arg = launching,
    };
}
