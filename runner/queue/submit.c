/* Submitting: whoever comes first writes for all that have come meanwhile, so that the disk is
 * waited for once and not by each of them. */
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "queue/inside.h"

enum {
    BATCH_MAX = 256,
    FILE_BYTES_MAX = 16 << 20,
    /* Until somebody who writes for others has ended; asked for again then. */
    WRITTEN_MS = 60000,
};

struct request {
    const struct submission *given;
    struct store_run run;
    char id[OWN_RUN_ID_SIZE];
    char *options; /* JSON */
    /* Of who writes it: */
    struct active *reserved; /* a place was free */
    bool taken;
    bool done;
    int status;
    struct err err;
    struct request *next;
};

/* --- those who wait; all of it needs mu --- */

static int join(struct queue *queue, struct request *request, struct err *err)
{
    if (queue->draining || queue->closing || queue->launcher_gone)
        return err_set(err, ERR_UNAVAILABLE, "the server is ending and accepts nothing any more");
    if (queue->order.count >= queue->options.max_waiting)
        return err_set(err, ERR_LIMIT, "%zu runs wait already; try again later",
                       queue->order.count);
    *queue->requests_end = request;
    queue->requests_end = &request->next;
    return 0;
}

static void leave(struct queue *queue, struct request **at)
{
    struct request *request = *at;

    *at = request->next;
    if (queue->requests_end == &request->next)
        queue->requests_end = at;
}

/* False: somebody writes it just now, or has. */
static bool withdraw(struct queue *queue, struct request *request)
{
    struct request **at = &queue->requests;

    if (request->taken)
        return false;
    while (*at != request)
        at = &(*at)->next;
    leave(queue, at);
    return true;
}

/* What can be started at once is taken by what submits it: then the disk is waited for once. */
static bool can_start(struct queue *queue, const struct request *request)
{
    return !queue->order.count && !queue->draining && !queue->launcher_gone &&
           queue_has_room(queue, request->run.client);
}

static size_t take_batch(struct queue *queue, struct request *batch[BATCH_MAX],
                         struct store_submission submissions[BATCH_MAX])
{
    size_t count = 0;

    for (; queue->requests && count < BATCH_MAX; count++) {
        struct request *request = queue->requests;

        leave(queue, &queue->requests);
        request->taken = true;
        if (can_start(queue, request))
            request->reserved =
                queue_add_active(queue, request->id, request->run.client, request->run.priority,
                                 request->run.submitted_ms, ACTIVE_RESERVED);
        queue->took = queue->took || request->reserved || request->given->held;
        batch[count] = request;
        submissions[count] = (struct store_submission){
            .run = &request->run,
            .file = request->given->file,
            .options = request->options,
            .taken_by = request->reserved ? queue->owner : "",
            .held_by = request->given->held ? queue->owner : "",
        };
    }
    return count;
}

/* --- who writes --- */

static void settle_reserved(struct request *request)
{
    struct active *active = request->reserved;

    active->file = xstrdup(request->given->file);
    active->name = xstrdup(request->run.name);
    /* What was written by itself can be read. */
    if (request->given->options) {
        json_t *options = json_loads(request->options, 0, NULL);

        (void)!submission_options_from_json(options, &active->options, NULL);
        json_decref(options);
    }
    active->stage = ACTIVE_TAKEN;
}

/* Needs mu. */
static void settle(struct queue *queue, struct request *request,
                   const struct store_submission *submission, int status, const struct err *why)
{
    if (status == 0 && submission->result != ERR_NONE)
        status =
            err_set(&request->err, submission->result, "there is a run %s already", request->id);
    else if (status < 0)
        request->err = *why;
    /* A database that did not get to answer may have written it. */
    if (status < 0 && submission->result == ERR_NONE) {
        strvec_push(&queue->doubtful, request->id);
        queue->doubted = true;
    }
    if (status < 0 && request->reserved)
        queue_remove_active(queue, request->reserved);
    else if (status == 0 && request->reserved)
        settle_reserved(request);
    else if (status == 0)
        order_add(&queue->order, request->id, request->run.client, request->run.priority,
                  request->run.submitted_ms);
    if (status == 0)
        queue_changed(queue, request->id, STATE_PENDING);
    request->status = status;
    request->done = true;
}

static void write_batch(struct queue *queue)
{
    struct request *batch[BATCH_MAX];
    struct store_submission submissions[BATCH_MAX];
    struct err why = ERR_INIT;
    size_t count;
    int status;

    pthread_mutex_lock(&queue->mu);
    count = take_batch(queue, batch, submissions);
    pthread_mutex_unlock(&queue->mu);
    status = store_submit(&queue->ctx, queue->store, submissions, count, &why);
    pthread_mutex_lock(&queue->mu);
    for (size_t i = 0; i < count; i++)
        settle(queue, batch[i], &submissions[i], status, &why);
    pthread_mutex_unlock(&queue->mu);
    queue_wake(queue);
}

static bool is_done(struct queue *queue, const struct request *request)
{
    bool done;

    pthread_mutex_lock(&queue->mu);
    done = request->done;
    pthread_mutex_unlock(&queue->mu);
    return done;
}

/* 0: the turn of this thread came, and its request is done. */
static int take_turn(const struct ctx *ctx, struct queue *queue, const struct request *request,
                     struct err *err)
{
    if (gate_enter(ctx, &queue->submitting, err) < 0)
        return -1;
    while (!is_done(queue, request))
        write_batch(queue);
    gate_leave(&queue->submitting);
    return 0;
}

/* The request must not be given up while another thread writes it. */
static void wait_until_done(struct queue *queue, const struct request *request)
{
    while (!is_done(queue, request)) {
        struct ctx ctx;

        ctx_init_cleanup(&ctx, WRITTEN_MS);
        (void)!take_turn(&ctx, queue, request, NULL);
        ctx_release(&ctx);
    }
}

static int submit(const struct ctx *ctx, struct queue *queue, struct request *request,
                  struct err *err)
{
    bool withdrawn;
    int status;

    pthread_mutex_lock(&queue->mu);
    status = join(queue, request, err);
    pthread_mutex_unlock(&queue->mu);
    if (status < 0)
        return -1;
    if (take_turn(ctx, queue, request, err) < 0) {
        pthread_mutex_lock(&queue->mu);
        withdrawn = withdraw(queue, request);
        pthread_mutex_unlock(&queue->mu);
        if (withdrawn)
            return -1;
        wait_until_done(queue, request);
    }
    return request->status < 0 ? err_set(err, request->err.code, "%s", request->err.message) : 0;
}

static int check(const struct submission *submission, struct err *err)
{
    if (strlen(submission->file) > FILE_BYTES_MAX)
        return err_set(err, ERR_LIMIT, "the pipeline file has more than %d MiB",
                       FILE_BYTES_MAX >> 20);
    return 0;
}

int queue_submit(const struct ctx *ctx, struct queue *queue, const struct submission *submission,
                 char ret_id[OWN_RUN_ID_SIZE], struct err *err)
{
    static const struct submission_options none = {0};
    struct request request = {.given = submission};
    CLEANUP_FREE char *options = NULL;
    json_t *object;

    if (check(submission, err) < 0 || own_run_make_id(request.id, err) < 0)
        return -1;
    object = submission_options_to_json(submission->options ? submission->options : &none);
    request.options = options = json_dumps(object, JSON_COMPACT);
    json_decref(object);
    request.run = (struct store_run){
        .id = request.id,
        .name = submission->name ? submission->name : "",
        .origin = "server",
        .client = submission->client ? submission->client : "",
        .priority = submission->priority,
        .submitted_ms = clock_wall_ms(),
        .exit_status = -1,
    };
    if (submit(ctx, queue, &request, err) < 0)
        return -1;
    memcpy(ret_id, request.id, sizeof(request.id));
    return 0;
}

/* --- again --- */

static int read_again(const struct ctx *ctx, struct queue *queue, const char *id,
                      struct store_runs *run, struct store_submitted *submitted, struct err *err)
{
    struct err why = ERR_INIT;

    if (store_get(ctx, queue->store, id, run, err) < 0)
        return -1;
    if (store_read_submitted(ctx, queue->store, run->items[0].id, submitted, &why) == 0)
        return 0;
    if (why.code == ERR_NOT_FOUND)
        return err_set(err, ERR_UNSUPPORTED,
                       "run %s was not submitted to a server: there is no file to run again",
                       run->items[0].id);
    return err_set(err, why.code, "%s", why.message);
}

int queue_rerun(const struct ctx *ctx, struct queue *queue, const char *id, const char *client,
                int64_t priority, char ret_id[OWN_RUN_ID_SIZE], struct err *err)
{
    CLEANUP_STORE_RUNS struct store_runs run = {0};
    CLEANUP_STORE_SUBMITTED struct store_submitted submitted = {0};
    CLEANUP_SUBMISSION_OPTIONS struct submission_options options = {0};
    struct submission submission;
    json_t *object;
    int status;

    if (read_again(ctx, queue, id, &run, &submitted, err) < 0)
        return -1;
    object = json_loads(submitted.options, 0, NULL);
    status = submission_options_from_json(object, &options, err);
    json_decref(object);
    if (status < 0)
        return err_wrap(err, "the options of run %s", run.items[0].id);
    submission = (struct submission){
        .file = submitted.file,
        .name = run.items[0].name,
        .client = client,
        .priority = priority,
        .options = &options,
    };
    return queue_submit(ctx, queue, &submission, ret_id, err);
}
