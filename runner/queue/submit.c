/* Submitting: a thread of its own writes all that has come meanwhile, so that the disk is waited
 * for once and not by each of them. Who submits waits for it no longer than its context lasts,
 * whatever the database does: the request belongs to the thread then, which takes back what it
 * comes to write after all. */
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "queue/inside.h"

enum {
    BATCH_MAX = 256,
    FILE_BYTES_MAX = 16 << 20,
};

/* Belongs to who submits; from `left` on, to the thread. */
struct request {
    char id[OWN_RUN_ID_SIZE];
    char *file;
    char *name;
    char *client;
    char *options; /* JSON */
    bool held;
    struct store_run run;
    int event_fd; /* readable when it is done */
    /* Guarded by mu: */
    struct active *reserved; /* a place was free */
    bool taken;              /* out of the list, by the thread */
    bool done;
    bool left; /* nobody waits for it any more */
    int status;
    struct err err;
    struct request *next;
};

static void free_request(struct request *request)
{
    if (!request)
        return;
    cleanup_fd(&request->event_fd);
    free(request->file);
    free(request->name);
    free(request->client);
    free(request->options);
    free(request);
}

static struct request *make_request(const struct submission *submission, struct err *err)
{
    static const struct submission_options none = {0};
    struct request *request = xcalloc(1, sizeof(*request));
    json_t *object;

    request->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (request->event_fd < 0)
        err_errno(err, "cannot wait for the store");
    if (request->event_fd < 0 || own_run_make_id(request->id, err) < 0) {
        free_request(request);
        return NULL;
    }
    object = submission_options_to_json(submission->options ? submission->options : &none);
    request->options = json_dumps(object, JSON_COMPACT);
    json_decref(object);
    request->file = xstrdup(submission->file);
    request->name = xstrdup(submission->name ? submission->name : "");
    request->client = xstrdup(submission->client ? submission->client : "");
    request->held = submission->held;
    request->run = (struct store_run){
        .id = request->id,
        .name = request->name,
        .origin = "server",
        .client = request->client,
        .priority = submission->priority,
        .submitted_ms = clock_wall_ms(),
        .exit_status = -1,
    };
    return request;
}

/* --- those who wait; all of it needs mu --- */

static int refuse_all(struct err *err)
{
    return err_set(err, ERR_UNAVAILABLE, "the server is ending and accepts nothing any more");
}

static int join(struct queue *queue, struct request *request, struct err *err)
{
    if (queue->draining || queue->closing || queue->launcher_gone)
        return refuse_all(err);
    if (queue->order.count >= queue->options.max_waiting)
        return err_set(err, ERR_LIMIT, "%zu runs wait already; try again later",
                       queue->order.count);
    *queue->requests_end = request;
    queue->requests_end = &request->next;
    eventfd_write(queue->submit_fd, 1);
    return 0;
}

static void take_out(struct queue *queue, struct request **at)
{
    struct request *request = *at;

    *at = request->next;
    if (queue->requests_end == &request->next)
        queue->requests_end = at;
}

/* Who has submitted it does not wait any more. */
static void leave(struct queue *queue, struct request *request)
{
    struct request **at = &queue->requests;

    if (request->taken) {
        request->left = true;
        return;
    }
    while (*at != request)
        at = &(*at)->next;
    take_out(queue, at);
    free_request(request);
}

static void finish(struct request *request, int status)
{
    request->status = status;
    request->done = true;
    if (request->left)
        free_request(request);
    else
        eventfd_write(request->event_fd, 1);
}

/* What can be started at once is taken by what submits it: then the disk is waited for once. */
static bool can_start(struct queue *queue, const struct request *request)
{
    return !queue->order.count && !queue->draining && !queue->launcher_gone &&
           queue_has_room(queue, request->run.client);
}

/* A clock that was set back does not bring it before what waits. */
static void keep_in_order(const struct queue *queue, struct request *request)
{
    int64_t newest_ms = order_newest_ms(&queue->order, request->client, request->run.priority);

    if (request->run.submitted_ms < newest_ms)
        request->run.submitted_ms = newest_ms;
}

static size_t take_batch(struct queue *queue, struct request *batch[BATCH_MAX],
                         struct store_submission submissions[BATCH_MAX])
{
    size_t count = 0;

    for (; queue->requests && count < BATCH_MAX; count++) {
        struct request *request = queue->requests;

        take_out(queue, &queue->requests);
        request->taken = true;
        strvec_push(&queue->writing, request->id);
        keep_in_order(queue, request);
        if (can_start(queue, request))
            request->reserved =
                queue_add_active(queue, request->id, request->run.client, request->run.priority,
                                 request->run.submitted_ms, ACTIVE_RESERVED);
        queue->took = queue->took || request->reserved || request->held;
        batch[count] = request;
        submissions[count] = (struct store_submission){
            .run = &request->run,
            .file = request->file,
            .options = request->options,
            .taken_by = request->reserved ? queue->owner : "",
            .held_by = request->held ? queue->owner : "",
        };
    }
    return count;
}

/* --- the thread that writes --- */

static void settle_reserved(struct request *request)
{
    struct active *active = request->reserved;
    json_t *options = json_loads(request->options, 0, NULL);

    active->file = steal_ptr(&request->file);
    active->name = steal_ptr(&request->name);
    /* What was written by itself can be read. */
    (void)!submission_options_from_json(options, &active->options, NULL);
    json_decref(options);
    active->stage = ACTIVE_TAKEN;
}

/* Needs mu. It is in the store, and somebody waits to hear so. */
static void admit(struct queue *queue, struct request *request)
{
    if (request->reserved)
        settle_reserved(request);
    else
        order_add(&queue->order, request->id, request->run.client, request->run.priority,
                  request->run.submitted_ms);
    queue_changed(queue, request->id, STATE_PENDING);
}

/* Needs mu. Nobody knows of it: it must not run, be it in the store or not. */
static void take_back(struct queue *queue, const struct request *request)
{
    unsettled_add(&queue->doubts, request->id);
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
    if (status < 0 && submission->result == ERR_NONE)
        queue->doubted = true;
    if (submission->result == ERR_NONE && (status < 0 || request->left))
        take_back(queue, request);
    if (request->reserved && (status < 0 || request->left))
        queue_remove_active(queue, request->reserved);
    else if (status == 0 && !request->left)
        admit(queue, request);
    finish(request, status);
}

static bool has_requests(struct queue *queue)
{
    bool has;

    pthread_mutex_lock(&queue->mu);
    has = queue->requests;
    pthread_mutex_unlock(&queue->mu);
    return has;
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
    if (status < 0 && why.code == ERR_CANCELLED)
        refuse_all(&why);
    pthread_mutex_lock(&queue->mu);
    for (size_t i = 0; i < count; i++)
        settle(queue, batch[i], &submissions[i], status, &why);
    strvec_release(&queue->writing);
    pthread_mutex_unlock(&queue->mu);
    queue_wake(queue);
}

/* What came too late has not been written. */
static void refuse_rest(struct queue *queue)
{
    pthread_mutex_lock(&queue->mu);
    while (queue->requests) {
        struct request *request = queue->requests;

        take_out(queue, &queue->requests);
        finish(request, refuse_all(&request->err));
    }
    pthread_mutex_unlock(&queue->mu);
}

void *queue_writer(void *arg)
{
    struct queue *queue = arg;
    struct pollfd wanted = {.fd = queue->submit_fd, .events = POLLIN};

    /* The context ends when the queue does. */
    while (ctx_poll(&queue->ctx, &wanted, 1, -1, NULL) > 0) {
        eventfd_t count;

        eventfd_read(queue->submit_fd, &count);
        while (has_requests(queue))
            write_batch(queue);
    }
    refuse_rest(queue);
    return NULL;
}

/* --- who submits --- */

/* Takes the request over. */
static int submit(const struct ctx *ctx, struct queue *queue, struct request *request,
                  struct err *err)
{
    struct pollfd done = {.fd = request->event_fd, .events = POLLIN};
    struct err why = ERR_INIT;
    int status;

    pthread_mutex_lock(&queue->mu);
    status = join(queue, request, err);
    pthread_mutex_unlock(&queue->mu);
    if (status < 0) {
        free_request(request);
        return -1;
    }
    (void)!ctx_poll(ctx, &done, 1, -1, &why);
    pthread_mutex_lock(&queue->mu);
    if (!request->done) {
        leave(queue, request);
        pthread_mutex_unlock(&queue->mu);
        return err_set(err, why.code, "%s", why.message);
    }
    pthread_mutex_unlock(&queue->mu);
    status = request->status < 0 ? err_set(err, request->err.code, "%s", request->err.message) : 0;
    free_request(request);
    return status;
}

int queue_check_size(size_t size, struct err *err)
{
    if (size <= FILE_BYTES_MAX)
        return 0;
    return err_set(err, ERR_LIMIT, "the pipeline file has %zu bytes, and may have %d MiB", size,
                   FILE_BYTES_MAX >> 20);
}

int queue_submit(const struct ctx *ctx, struct queue *queue, const struct submission *submission,
                 char ret_id[OWN_RUN_ID_SIZE], struct err *err)
{
    struct request *request;
    char id[OWN_RUN_ID_SIZE];

    if (queue_check_size(strlen(submission->file), err) < 0)
        return -1;
    request = make_request(submission, err);
    if (!request)
        return -1;
    memcpy(id, request->id, sizeof(id));
    if (submit(ctx, queue, request, err) < 0)
        return -1;
    memcpy(ret_id, id, sizeof(id));
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
