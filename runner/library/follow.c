/* What happens in a run, given to a function. */
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "library/library.h"
#include "record/follow.h"
#include "record/watch.h"

struct follower {
    struct record *record;
    struct record_position position;
    runner_event_fn fn;
    void *arg;
};

_Static_assert((int)RUNNER_POSITION_SIZE == (int)RECORD_POSITION_SIZE, "one is the other");

static int open_follower(const struct runner *runner, const char *id, const char *position,
                         runner_event_fn fn, void *arg, struct follower *ret, struct err *err)
{
    *ret = (struct follower){.fn = fn, .arg = arg};
    if (position && record_position_parse(position, &ret->position, err) < 0)
        return -1;
    return record_open(runner->runs, id, &ret->record, err);
}

static const enum runner_event_kind kinds[] = {[RECORD_STDOUT] = RUNNER_STDOUT,
                                               [RECORD_STDERR] = RUNNER_STDERR,
                                               [RECORD_NOTE] = RUNNER_NOTE,
                                               [RECORD_MISSING] = RUNNER_MISSING};

static int give_event(const struct follower *f, const struct record_event *item,
                      struct runner_event *event)
{
    event->kind = RUNNER_STATE;
    event->data = item->json;
    event->size = item->size;
    /* A note comes as an item of the log as well. */
    return record_event_is_note(item) ? 0 : f->fn(f->arg, event);
}

static int give_item(const struct follower *f, const struct record_item *item,
                     struct runner_event *event)
{
    CLEANUP_BUF struct buf note = BUF_INIT;

    event->kind = kinds[item->stream];
    event->node = item->node;
    event->time_ms = item->time_ms;
    event->data = item->data ? item->data : "";
    event->size = item->size;
    if (event->kind == RUNNER_MISSING) {
        event->size = (size_t)item->missing_bytes;
    } else if (event->kind == RUNNER_NOTE) {
        buf_add(&note, item->data, item->size);
        event->data = note.data;
    }
    return f->fn(f->arg, event);
}

static int give(const struct follower *f, const struct record_followed *item)
{
    char position[RUNNER_POSITION_SIZE];
    struct runner_event event = {.position = position, .node = ""};

    record_position_format(item->position, position);
    return item->is_event ? give_event(f, &item->event, &event) : give_item(f, &item->item, &event);
}

static int give_end(const struct follower *f, const struct record_follow *follow)
{
    char position[RUNNER_POSITION_SIZE];
    const struct runner_event event = {.kind = RUNNER_END,
                                       .position = position,
                                       .node = "",
                                       .data = ""};

    record_position_format(record_follow_position(follow), position);
    return f->fn(f->arg, &event);
}

/* What is damaged in a record is left out: others are none the worse for it. */
static int run_follower(const struct ctx *ctx, const struct follower *f, struct err *err)
{
    CLEANUP_RECORD_WATCH struct record_watch *watch = NULL;
    CLEANUP_RECORD_FOLLOW struct record_follow *follow = NULL;
    struct record_followed item;
    int result = 0;

    record_watch_open(f->record, &watch);
    record_follow_open(f->record, f->position, NULL, &follow);
    while (result == 0) {
        switch (record_follow_next(follow, &item, NULL)) {
        case RECORD_ITEM:
            result = ctx_check(ctx, err) < 0 ? -1 : give(f, &item);
            break;
        case RECORD_NONE_YET:
            result = record_watch_wait(watch, ctx, -1, err) < 0 ? -1 : 0;
            break;
        case RECORD_END:
            return give_end(f, follow);
        case RECORD_DAMAGED:
            break;
        }
    }
    return result;
}

int runner_follow(const struct ctx *ctx, struct runner *runner, const char *id,
                  const char *position, runner_event_fn fn, void *arg, struct err *err)
{
    struct follower f;
    int result;

    if (open_follower(runner, id, position, fn, arg, &f, err) < 0)
        return -1;
    result = run_follower(library_ctx(runner, ctx), &f, err);
    record_close(f.record);
    return result;
}

/* --- in a thread --- */

struct runner_subscription {
    struct follower follower;
    struct ctx ctx;
    pthread_t thread;
};

static void *subscription_main(void *arg)
{
    struct runner_subscription *s = arg;

    (void)!run_follower(&s->ctx, &s->follower, NULL);
    return NULL;
}

static void release(struct runner_subscription *s)
{
    record_close(s->follower.record);
    ctx_release(&s->ctx);
    free(s);
}

int runner_subscribe(struct runner *runner, const char *id, const char *position,
                     runner_event_fn fn, void *arg, struct runner_subscription **ret,
                     struct err *err)
{
    struct runner_subscription *s = xcalloc(1, sizeof(*s));
    int failed;

    s->ctx.cancel.event_fd = -1;
    if (open_follower(runner, id, position, fn, arg, &s->follower, err) < 0 ||
        ctx_init_root(&s->ctx, NULL, err) < 0) {
        release(s);
        return -1;
    }
    failed = pthread_create(&s->thread, NULL, subscription_main, s);
    if (failed) {
        release(s);
        return err_set(err, ERR_SYSTEM, "cannot start a thread for a subscription: %s",
                       strerror(failed));
    }
    *ret = s;
    return 0;
}

void runner_unsubscribe(struct runner_subscription *s)
{
    if (!s)
        return;
    ctx_cancel(&s->ctx, CTX_CAUSE_USER);
    pthread_join(s->thread, NULL);
    release(s);
}
