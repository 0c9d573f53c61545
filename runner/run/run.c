#include "run/run.h"

#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/logger.h"
#include "control/control.h"
#include "control/signals.h"
#include "engine/host/supervisor.h"
#include "history/history.h"
#include "reap/keeper.h"

enum {
    DESCRIPTORS_WANTED = 65536,
    END_MS = 2000, /* for all that is to be done with the store */
};

struct run {
    struct run_options options;
    struct own_run *own;
    struct keeper *keeper;
    struct engine_services services;
    struct ctx_signal hurry;
    struct ctx ctx;
    struct event_bus bus;
    struct node root;
    struct recording *recording;    /* NULL: none */
    struct control_server *control; /* NULL: none */
    struct signals *signals;
    bool cancelled; /* so it ended */
    /* Why somebody has cancelled it. A note about it needs the tree, which is there with the first
     * event: that `watch` sees, under the lock of the bus, which is taken below `mu`. */
    struct event_sink watch;
    atomic_bool begun;
    atomic_bool asked; /* to cancel it */
    pthread_mutex_t mu;
    char *why;      /* guarded by mu */
    bool noted;     /* likewise */
    bool concluded; /* likewise: there are no more events */
};

/* --- being asked --- */

static void watch(struct event_sink *sink, const struct event *event)
{
    struct run *run = (struct run *)((char *)sink - offsetof(struct run, watch));

    (void)event;
    atomic_store_explicit(&run->begun, true, memory_order_release);
}

static char *describe(struct mask *mask, const char *reason, const char *by)
{
    char *text = xasprintf("cancelled%s%s%s%s", *by ? " by " : "", by, *reason ? ": " : "", reason);
    char *masked = mask_text(mask, text);

    if (!masked)
        return text;
    free(text);
    return masked;
}

static void note_why(struct run *run)
{
    if (!run->why || run->noted)
        return;
    run->noted = true;
    event_bus_note(&run->bus, &run->root, "%s", run->why);
}

static void on_cancel(void *arg, const char *reason, const char *by)
{
    struct run *run = arg;

    pthread_mutex_lock(&run->mu);
    if (!run->why) {
        run->why = describe(run->options.mask, reason, by);
        log_debug("run", "run %s is %s", run_id(run), run->why);
        if (!run->concluded && atomic_load_explicit(&run->begun, memory_order_acquire))
            note_why(run);
    }
    pthread_mutex_unlock(&run->mu);
    atomic_store(&run->asked, true);
    ctx_cancel(&run->ctx, CTX_CAUSE_USER);
}

static void on_hurry(void *arg)
{
    struct run *run = arg;

    ctx_signal_raise(&run->hurry, CTX_CAUSE_USER);
}

/* --- beginning --- */

/* A few descriptors for each job that runs: 1024, the usual limit, is soon reached. Host steps come
 * from the keeper and keep the limit that the runner was started with. */
static void raise_descriptor_limit(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur >= DESCRIPTORS_WANTED)
        return;
    limit.rlim_cur = limit.rlim_max < DESCRIPTORS_WANTED ? limit.rlim_max : DESCRIPTORS_WANTED;
    setrlimit(RLIMIT_NOFILE, &limit);
}

static int begin(struct run *run, struct err *err)
{
    const struct keeper_options keeper = {.run = run->own,
                                          .engines = run->options.engines,
                                          .services = &run->services,
                                          .supervisor = supervisor_main};

    run->services = run->options.services;
    run->services.run = run->own;
    run->services.keep = run->options.keep;
    run->services.supervisor = keeper_supervisor;
    if (keeper_start(&keeper, &run->keeper, err) < 0)
        return -1;
    run->services.supervisor_arg = run->keeper;
    log_debug("cli", "run %s begins: version %s, process %ld", run_id(run), RUNNER_VERSION,
              (long)getpid());
    raise_descriptor_limit();
    return ctx_signal_init(&run->hurry, err) < 0 || ctx_init_root(&run->ctx, &run->hurry, err) < 0
               ? -1
               : 0;
}

int run_begin(const struct run_options *options, struct run **ret, struct err *err)
{
    struct run *run = xcalloc(1, sizeof(*run));

    *run = (struct run){.options = *options,
                        .hurry = {.event_fd = -1},
                        .ctx = {.cancel = {.event_fd = -1}},
                        .bus = EVENT_BUS_INIT,
                        .watch = {.handle = watch},
                        .mu = PTHREAD_MUTEX_INITIALIZER};
    run->bus.mask = options->mask;
    signals_block();
    if (own_run_begin_as(NULL, options->id, &run->own, err) < 0 || begin(run, err) < 0) {
        run_abort(run);
        return -1;
    }
    *ret = run;
    return 0;
}

static int furnish(void *arg, int dir_fd, struct err *err)
{
    struct run *run = arg;
    const struct control_handler handler = {.cancel = on_cancel, .hurry = on_hurry, .arg = run};

    return control_server_new(dir_fd, &handler, &run->control, err);
}

int run_record(struct run *run, const struct run_record *record, struct err *err)
{
    CLEANUP_FREE char *text = xstrndup(record->source ? record->source : "", record->source_size);
    CLEANUP_FREE char *masked = mask_text(run->options.mask, text);
    char directory[PATH_MAX];
    struct record_options options = {
        .run_id = run_id(run),
        .origin = record->origin,
        .owner = strmap_get(own_run_labels(run->own), OWN_LABEL_OWNER),
        .user = record->user,
        .directory = getcwd(directory, sizeof(directory)),
        .source = masked ? masked : text,
        .log_limit_bytes = record->log_bytes,
        .furnish = furnish,
        .furnish_arg = run,
    };

    options.source_size = strlen(options.source);
    if (recording_begin(record->history, &options, &run->recording, err) < 0) {
        control_server_free(steal_ptr(&run->control));
        return -1;
    }
    event_bus_add(&run->bus, &run->watch);
    event_bus_add(&run->bus, recording_sink(run->recording));
    return 0;
}

int run_attend(struct run *run, struct err *err)
{
    return signals_start(&run->ctx, &run->hurry, run->control, &run->signals, err);
}

/* --- running and ending --- */

void run_execute(struct run *run, const struct plan *plan, struct exec_verdict *ret)
{
    const struct exec_options exec = {.engines = run->options.engines,
                                      .kinds = run->options.kinds,
                                      .services = &run->services,
                                      .bus = &run->bus,
                                      .jobs = run->options.jobs,
                                      .force_clean = run->options.force_clean,
                                      .keep = run->options.keep,
                                      .open_store = run->options.open_store,
                                      .open_store_arg = run->options.open_store_arg};

    exec_run(&run->ctx, plan, &exec, &run->root, ret);
    run->cancelled = ret->cancelled;
    pthread_mutex_lock(&run->mu);
    note_why(run);
    run->concluded = true;
    pthread_mutex_unlock(&run->mu);
}

static int end_record(struct run *run, int exit_status, const struct store_retention *keep,
                      struct err *err)
{
    const struct record_end end = {.root = &run->root,
                                   .has_exit_code = true,
                                   .exit_code = exit_status,
                                   .text = run->cancelled ? run->why : NULL};
    struct ctx ctx;
    int result;

    if (!run->recording)
        return 0;
    ctx_init_cleanup(&ctx, END_MS);
    result = recording_end(&ctx, steal_ptr(&run->recording), &end, keep, err);
    ctx_release(&ctx);
    return result;
}

static void remove_what_was_made(struct run *run)
{
    signals_stop(steal_ptr(&run->signals));
    if (run->options.keep)
        own_run_abandon(run->own);
    else
        own_run_end(run->own);
    keeper_stop(run->keeper);
}

static void release(struct run *run)
{
    control_server_free(run->control);
    node_release(&run->root);
    ctx_release(&run->ctx);
    ctx_signal_release(&run->hurry);
    pthread_mutex_destroy(&run->mu);
    free(run->why);
    free(run);
}

int run_end(struct run *run, int exit_status, const struct store_retention *keep, struct err *err)
{
    int result;

    if (!run)
        return 0;
    remove_what_was_made(run);
    result = end_record(run, exit_status, keep, err);
    release(run);
    return result;
}

void run_abort(struct run *run)
{
    if (!run)
        return;
    remove_what_was_made(run);
    recording_discard(run->recording);
    release(run);
}

/* --- looking --- */

const char *run_id(const struct run *run)
{
    return own_run_id(run->own);
}

struct own_run *run_own(struct run *run)
{
    return run->own;
}

struct event_bus *run_bus(struct run *run)
{
    return &run->bus;
}

struct ctx *run_ctx(struct run *run)
{
    return &run->ctx;
}

const struct node *run_root(const struct run *run)
{
    return &run->root;
}

int run_signal(const struct run *run)
{
    int first = signals_first(run->signals);

    return first ? first : atomic_load(&run->asked) ? SIGTERM : 0;
}

int run_exit_status(const struct run *run, const struct exec_verdict *verdict)
{
    int first = run_signal(run);

    if (verdict->state == STATE_SUCCEEDED)
        return RUN_EXIT_SUCCEEDED;
    if (verdict->own_deadline)
        return RUN_EXIT_TIMEOUT;
    if (first && verdict->cancelled)
        return 128 + first;
    return verdict->engine_unavailable ? RUN_EXIT_UNAVAILABLE : RUN_EXIT_FAILED;
}
