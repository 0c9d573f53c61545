/* A history, a queue, and a launcher that is this process: it makes real records when the test says
 * so, and gives what a real one will not: refusals, deaths, silence. */
#pragma once

#include "tests/unit/assert_err.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/fs.h"
#include "event/event.h"
#include "queue/queue.h"
#include "store/submissions.h"
#include "tests/unit/fixture/stores.h"

enum { RUNS_MAX = 2048 };

/* A run that the launcher was asked for. */
struct fake_run {
    char id[OWN_RUN_ID_SIZE];
    int started; /* how often */
    char *file;
    char *name;
    char *image;
    struct fake_ear *ear;        /* of whom it was started */
    struct recording *recording; /* while it goes on */
    struct event_bus bus;
    struct node root;
};

/* What a queue is told. */
struct fake_ear {
    struct queue_told told[4 * RUNS_MAX];
    size_t told_first;
    size_t told_end;
    bool heard; /* all of that, and what was made of it is done */
    int event_fd;
};

enum { EARS = 4 };

struct fake {
    pthread_mutex_t mu;
    pthread_cond_t changed;
    struct fake_run runs[RUNS_MAX];
    size_t count;
    struct fake_ear ears[EARS];
    size_t ear_count;
    bool gone;
    bool automatic;  /* each run begins and ends at once */
    int short_of;    /* errno of what keeps the next from being started; 0: nothing */
    char order[512]; /* the files of what was started, one after the other */
    /* Of the last cancel. */
    char cancelled[OWN_RUN_ID_SIZE];
    char reason[64];
    char by[64];
    bool hurry;
    int cancels;
    enum err_code cancel_result;
    /* Of the queue's owner. */
    struct {
        char id[OWN_RUN_ID_SIZE];
        enum state state;
    } changes[8 * RUNS_MAX];
    size_t change_count;
    int fatals;
    struct strvec left;
};

static struct fake fake;
static struct history *history;
static struct queue *queue;

/* --- runs; need no lock but where said --- */

static inline struct fake_run *fake_find(const char *id)
{
    for (size_t i = 0; i < fake.count; i++) {
        if (strcmp(fake.runs[i].id, id) == 0)
            return &fake.runs[i];
    }
    return NULL;
}

/* Called with fake.mu held, as all above `what the test tells it` is. */
static inline void fake_tell(const struct queue_told *told)
{
    struct fake_ear *ear = fake_find(told->id)->ear;
    const uint64_t one = 1;

    ear->heard = false;
    ear->told[ear->told_end++ % (4 * RUNS_MAX)] = *told;
    (void)!write(ear->event_fd, &one, sizeof(one));
}

static inline void fake_tell_kind(const char *id, enum queue_told_kind kind, int wait_status)
{
    struct queue_told told = {.kind = kind, .wait_status = wait_status};

    snprintf(told.id, sizeof(told.id), "%s", id);
    fake_tell(&told);
}

static inline void fake_make_record(struct fake_run *run)
{
    const struct record_options options = {
        .run_id = run->id,
        .origin = "server",
        .owner = "boot/1/2/3",
        .source = "x",
        .source_size = 1,
    };
    struct err err = ERR_INIT;

    run->root = (struct node){.name = "of the run"};
    run->bus = (struct event_bus)EVENT_BUS_INIT;
    node_add_children(&run->root, 1);
    node_set_name(&run->bus, &run->root.children[0], "stage");
    if (recording_begin(history->dir, &options, &run->recording, &err) < 0) {
        fprintf(stderr, "%s\n", err.message);
        abort();
    }
    event_bus_add(&run->bus, recording_sink(run->recording));
    node_set_state(&run->bus, &run->root, STATE_RUNNING, NULL);
    node_set_state(&run->bus, &run->root.children[0], STATE_RUNNING, NULL);
}

static inline void fake_end_record(struct fake_run *run, enum state state)
{
    const struct node_result result = {.reason =
                                           state == STATE_FAILED ? REASON_ERROR : REASON_NONE};
    const struct record_end end = {.root = &run->root, .has_exit_code = true};
    struct err err = ERR_INIT;

    node_set_state(&run->bus, &run->root.children[0], state, &result);
    node_set_state(&run->bus, &run->root, state, &result);
    if (recording_end(NULL, run->recording, &end, NULL, &err) < 0) {
        fprintf(stderr, "%s\n", err.message);
        abort();
    }
    run->recording = NULL;
    node_release(&run->root);
}

/* --- the launcher --- */

static inline int fake_start(const struct ctx *ctx, void *arg, const struct queue_start *start,
                             struct err *err)
{
    struct fake_run *run;

    (void)ctx;
    pthread_mutex_lock(&fake.mu);
    if (fake.gone) {
        pthread_mutex_unlock(&fake.mu);
        return err_set(err, ERR_LOST, "the launcher is gone");
    }
    if (fake.short_of) {
        errno = fake.short_of;
        fake.short_of = 0;
        pthread_mutex_unlock(&fake.mu);
        return err_errno(err, "no");
    }
    run = fake_find(start->id);
    if (!run) {
        run = &fake.runs[fake.count++];
        snprintf(run->id, sizeof(run->id), "%s", start->id);
        run->file = xstrdup(start->file);
        run->name = xstrdup(start->name);
        run->image = start->options->image ? xstrdup(start->options->image) : NULL;
    }
    run->ear = arg;
    run->started++;
    if (strlen(fake.order) + strlen(start->file) + 2 < sizeof(fake.order)) {
        strcat(fake.order, *fake.order ? " " : "");
        strcat(fake.order, start->file);
    }
    if (fake.automatic) {
        fake_make_record(run);
        fake_tell_kind(run->id, QUEUE_BEGUN, 0);
        fake_end_record(run, STATE_SUCCEEDED);
        fake_tell_kind(run->id, QUEUE_ENDED, 0);
    }
    pthread_cond_broadcast(&fake.changed);
    pthread_mutex_unlock(&fake.mu);
    return 0;
}

static inline int fake_fd(void *arg)
{
    return ((struct fake_ear *)arg)->event_fd;
}

static inline int fake_next(void *arg, struct queue_told *ret, struct err *err)
{
    struct fake_ear *ear = arg;
    uint64_t count;
    int got = 0;

    (void)!read(ear->event_fd, &count, sizeof(count));
    pthread_mutex_lock(&fake.mu);
    if (ear->told_first < ear->told_end) {
        *ret = ear->told[ear->told_first++ % (4 * RUNS_MAX)];
        got = 1;
    } else if (fake.gone) {
        got = err_set(err, ERR_LOST, "the launcher is gone");
    } else {
        ear->heard = true;
        pthread_cond_broadcast(&fake.changed);
    }
    pthread_mutex_unlock(&fake.mu);
    return got;
}

static inline int fake_cancel(const struct ctx *ctx, void *arg, const char *id,
                              const struct queue_cancel *cancel, struct err *err)
{
    int status = 0;

    (void)ctx;
    (void)arg;
    pthread_mutex_lock(&fake.mu);
    snprintf(fake.cancelled, sizeof(fake.cancelled), "%s", id);
    snprintf(fake.reason, sizeof(fake.reason), "%s", cancel->reason ? cancel->reason : "");
    snprintf(fake.by, sizeof(fake.by), "%s", cancel->by ? cancel->by : "");
    fake.hurry = cancel->hurry;
    fake.cancels++;
    if (fake.cancel_result)
        status = err_set(err, fake.cancel_result, "told so");
    pthread_cond_broadcast(&fake.changed);
    pthread_mutex_unlock(&fake.mu);
    return status;
}

/* --- what the test tells it --- */

static inline void fake_begin(const char *id)
{
    pthread_mutex_lock(&fake.mu);
    fake_make_record(fake_find(id));
    fake_tell_kind(id, QUEUE_BEGUN, 0);
    pthread_mutex_unlock(&fake.mu);
}

static inline void fake_end(const char *id, enum state state)
{
    pthread_mutex_lock(&fake.mu);
    fake_end_record(fake_find(id), state);
    fake_tell_kind(id, QUEUE_ENDED, 0);
    pthread_mutex_unlock(&fake.mu);
}

/* Whatever the record says. */
static inline void fake_say(const char *id, enum queue_told_kind kind, int wait_status)
{
    pthread_mutex_lock(&fake.mu);
    fake_tell_kind(id, kind, wait_status);
    pthread_mutex_unlock(&fake.mu);
}

static inline void fake_refuse(const char *id, enum err_code code, const char *text)
{
    struct queue_told told = {.kind = QUEUE_REFUSED, .code = code, .text = text};

    pthread_mutex_lock(&fake.mu);
    snprintf(told.id, sizeof(told.id), "%s", id);
    fake_tell(&told);
    pthread_mutex_unlock(&fake.mu);
}

static inline void fake_die(void)
{
    const uint64_t one = 1;

    pthread_mutex_lock(&fake.mu);
    fake.gone = true;
    for (size_t i = 0; i < EARS; i++)
        (void)!write(fake.ears[i].event_fd, &one, sizeof(one));
    pthread_mutex_unlock(&fake.mu);
}

/* The record of a run has come as far as fake_make_record() brings it: who has begun it, its plan,
 * two states. */
static inline bool is_recorded(const char *id)
{
    CLEANUP_FREE char *path = xasprintf("%s/%s/events", history->runs, id);
    CLEANUP_BUF struct buf events = BUF_INIT;
    int lines = 0;

    if (fs_read_file(path, 1 << 20, &events, NULL) < 0)
        return false;
    for (size_t i = 0; i < events.len; i++)
        lines += events.data[i] == '\n';
    return lines == 4;
}

/* A process that will make the record of a run, and die: to be forked before there are threads. */
struct doomed {
    pid_t pid;
    int pipe[2];
};

static inline void fork_doomed(struct doomed *doomed)
{
    assert_int_equal(pipe2(doomed->pipe, O_CLOEXEC), 0);
    doomed->pid = fork();
    assert_true(doomed->pid >= 0);
    if (doomed->pid == 0) {
        struct fake_run run = {0};

        if (read(doomed->pipe[0], run.id, sizeof(run.id)) != sizeof(run.id))
            _exit(1);
        fake_make_record(&run);
        while (!is_recorded(run.id))
            usleep(1000);
        _exit(0);
    }
}

static inline void record_and_die(struct doomed *doomed, const char *id)
{
    char whole[OWN_RUN_ID_SIZE] = "";
    int status;

    snprintf(whole, sizeof(whole), "%s", id);
    assert_int_equal(write(doomed->pipe[1], whole, sizeof(whole)), sizeof(whole));
    assert_int_equal(waitpid(doomed->pid, &status, 0), doomed->pid);
    assert_int_equal(status, 0);
    close(doomed->pipe[0]);
    close(doomed->pipe[1]);
}

/* --- the owner --- */

static inline void owner_changed(void *arg, const char *id, enum state state)
{
    (void)arg;
    pthread_mutex_lock(&fake.mu);
    snprintf(fake.changes[fake.change_count].id, OWN_RUN_ID_SIZE, "%s", id);
    fake.changes[fake.change_count++].state = state;
    pthread_cond_broadcast(&fake.changed);
    pthread_mutex_unlock(&fake.mu);
}

static inline void owner_fatal(void *arg, const struct err *err)
{
    (void)arg;
    (void)err;
    pthread_mutex_lock(&fake.mu);
    fake.fatals++;
    pthread_cond_broadcast(&fake.changed);
    pthread_mutex_unlock(&fake.mu);
}

static inline void owner_left(void *arg, const char *id)
{
    (void)arg;
    pthread_mutex_lock(&fake.mu);
    strvec_push(&fake.left, id);
    pthread_cond_broadcast(&fake.changed);
    pthread_mutex_unlock(&fake.mu);
}

/* --- waiting, for as long as it takes --- */

static inline void await_started(size_t count)
{
    pthread_mutex_lock(&fake.mu);
    while (fake.count < count)
        pthread_cond_wait(&fake.changed, &fake.mu);
    pthread_mutex_unlock(&fake.mu);
}

/* That run, so often. */
static inline void await_starts(const char *id, int count)
{
    pthread_mutex_lock(&fake.mu);
    while (!fake_find(id) || fake_find(id)->started < count)
        pthread_cond_wait(&fake.changed, &fake.mu);
    pthread_mutex_unlock(&fake.mu);
}

/* All that was told of that run has been heard. */
static inline void await_heard(const char *id)
{
    pthread_mutex_lock(&fake.mu);
    while (!fake_find(id)->ear->heard)
        pthread_cond_wait(&fake.changed, &fake.mu);
    pthread_mutex_unlock(&fake.mu);
}

static inline size_t count_changes(const char *id, enum state state)
{
    size_t count = 0;

    for (size_t i = 0; i < fake.change_count; i++)
        count += (!id || strcmp(fake.changes[i].id, id) == 0) && fake.changes[i].state == state;
    return count;
}

static inline void await_changes(const char *id, enum state state, size_t count)
{
    pthread_mutex_lock(&fake.mu);
    while (count_changes(id, state) < count)
        pthread_cond_wait(&fake.changed, &fake.mu);
    pthread_mutex_unlock(&fake.mu);
}

static inline void await_state(const char *id, enum state state)
{
    await_changes(id, state, 1);
}

/* --- the test's --- */

static inline void open_queue(const struct queue_options *options)
{
    struct queue_options all = options ? *options : (struct queue_options){0};

    all.changed = owner_changed;
    all.fatal = owner_fatal;
    all.left = owner_left;
    fake.gone = false;
    assert_ok(queue_open(&test_ctx, history,
                         &(struct queue_launcher){
                             .start = fake_start,
                             .fd = fake_fd,
                             .next = fake_next,
                             .cancel = fake_cancel,
                             .arg = &fake.ears[fake.ear_count++ % EARS],
                         },
                         &all, &queue, &test_err));
}

static inline void close_queue(void)
{
    queue_close(queue);
    queue = NULL;
}

static inline int rig_setup(void **state)
{
    static int number;

    (void)state;
    memset(&fake, 0, sizeof(fake));
    pthread_mutex_init(&fake.mu, NULL);
    pthread_cond_init(&fake.changed, NULL);
    for (size_t i = 0; i < EARS; i++)
        fake.ears[i].event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    assert_ok(ctx_init_root(&test_ctx, NULL, &test_err));
    history = xcalloc(1, sizeof(*history));
    history->dir = xasprintf("%s/history%d", stores_directory(), ++number);
    history->runs = fs_join(history->dir, "runs");
    assert_ok(fs_mkdir_p(history->dir, 0700, &test_err));
    assert_ok(store_open(&test_ctx, stores_make(), NULL, &history->store, &test_err));
    return 0;
}

static inline int rig_teardown(void **state)
{
    (void)state;
    close_queue();
    strvec_release(&fake.left);
    for (size_t i = 0; i < fake.count; i++) {
        if (fake.runs[i].recording)
            fake_end_record(&fake.runs[i], STATE_SUCCEEDED);
        free(fake.runs[i].file);
        free(fake.runs[i].name);
        free(fake.runs[i].image);
    }
    history_close(history);
    for (size_t i = 0; i < EARS; i++)
        close(fake.ears[i].event_fd);
    ctx_release(&test_ctx);
    return 0;
}

/* Returns the id, the caller's. */
static inline char *submit_as(const char *client, const char *file, int64_t priority)
{
    const struct submission submission = {
        .file = file,
        .name = "given",
        .client = client,
        .priority = priority,
    };
    char id[OWN_RUN_ID_SIZE];

    assert_ok(queue_submit(&test_ctx, queue, &submission, id, &test_err));
    return xstrdup(id);
}

static inline struct store_run stored(const char *id)
{
    static struct store_runs runs;

    store_runs_release(&runs);
    runs = (struct store_runs){0};
    assert_ok(store_get(&test_ctx, history->store, id, &runs, &test_err));
    return runs.items[0];
}
