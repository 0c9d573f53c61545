#include <string.h>

#include "base/alloc.h"
#include "engine/remote/check.h"
#include "engine/remote/files.h"
#include "engine/remote/session.h"
#include "engine/ssh/instance.h"
#include "engine/ssh/plain.h"

int ssh_place_open(const struct ctx *ctx, struct engine_instance *instance,
                   const struct place_options *options, struct place **ret, struct err *err)
{
    struct ssh_place *place = xcalloc(1, sizeof(*place));

    (void)ctx;
    if (gate_init(&place->filling, 1, err) < 0) {
        free(place);
        return -1;
    }
    place->engine = ((struct ssh_instance *)instance)->engine;
    place->instance = (struct ssh_instance *)instance;
    place->local = xstrdup(options->workspace);
    place->empty = options->empty;
    *ret = (struct place *)place;
    return 0;
}

/* The copy goes with the directory of the machine. */
void ssh_place_close(struct place *opaque)
{
    struct ssh_place *place = (struct ssh_place *)opaque;

    if (!place)
        return;
    gate_release(&place->filling);
    free(place->workspace);
    free(place->local);
    free(place);
}

/* --- the workspace --- */

static int fill_once(const struct ctx *ctx, struct ssh_place *place,
                     const struct machine_base *base, struct output *output, struct err *err)
{
    struct machine *machine = base->machine;
    unsigned number;

    if (place->base != base) {
        pthread_mutex_lock(&machine->mu);
        number = machine->place_count++;
        pthread_mutex_unlock(&machine->mu);
        free(place->workspace);
        place->workspace = xasprintf("%s/work%u", base->directory, number);
        place->base = base;
    }
    if (remote_fill(ctx, &base->remote, place->local, place->workspace, output, err) < 0)
        return err_wrap(err, "cannot copy %s to the host", place->local);
    place->filled = true;
    return 0;
}

/* What steps have made in a copy cannot be made again by copying once more. */
static int copy_is_gone(const struct ssh_place *place, struct err *err)
{
    return err_set(err, ERR_LOST,
                   "the copy of the workspace is gone, and what earlier steps have made there: %s "
                   "is not on the host any more; run the job again",
                   place->workspace);
}

static int fill(const struct ctx *ctx, struct ssh_place *place, const struct machine_base *base,
                struct output *output, struct err *err)
{
    int result = 0;

    if (place->empty)
        return 0;
    if (base->plain)
        return err_set(err, ERR_UNSUPPORTED,
                       "checkout: workdir needs the helper, which there is none of for %s",
                       base->uname);
    if (gate_enter(ctx, &place->filling, err) < 0)
        return -1;
    if (!place->filled)
        result = fill_once(ctx, place, base, output, err);
    else if (place->base != base)
        result = copy_is_gone(place, err);
    gate_leave(&place->filling);
    return result;
}

/* Where a path of the workspace here is there; NULL: it is none. The caller's. */
static char *there(const struct ssh_place *place, const char *path)
{
    size_t len = strlen(place->local);

    if (!place->workspace || strncmp(path, place->local, len) != 0 ||
        (path[len] != '\0' && path[len] != '/'))
        return NULL;
    return xasprintf("%s%s", place->workspace, path + len);
}

/* What the runner itself says of directories names those there. */
static void translate(const struct ssh_place *place, const struct strmap *from, struct strmap *ret)
{
    strmap_foreach (entry, from) {
        CLEANUP_FREE char *path =
            strncmp(entry->key, "PIPELINE_", 9) == 0 ? there(place, entry->value) : NULL;

        strmap_set(ret, entry->key, path ? path : entry->value);
    }
}

/* --- steps --- */

static void ignore_news(void *arg)
{
    (void)arg;
}

/* It took connections before there was a lane to it: when a command on its own host cannot reach
 * it, it has ended. */
static bool relay_has_ended(void *arg, struct err *why)
{
    struct lane *lane = arg;

    if (!lane->unreachable)
        return false;
    err_set(why, ERR_LOST, "the helper on the host has ended, and the step with it: %s",
            lane->why.message);
    return true;
}

static void record_lost(const struct err *why, struct exit_record *ret)
{
    *ret = (struct exit_record){.kind = EXIT_LOST, .reason = REASON_LOST};
    snprintf(ret->detail, sizeof(ret->detail), "%.250s", why->message);
}

enum run_end {
    RUN_FAILED = -1, /* err */
    RUN_ENDED,       /* there is a record */
    RUN_UNSENT,      /* likewise, of one that has never been there: that of another lane may */
    RUN_GONE,        /* err; there is nothing on the host any more to run it by */
};

static enum run_end run_over(const struct ctx *ctx, struct lane *lane,
                             const struct runnable *runnable, const char *workdir,
                             struct output *output, bool *ret_reusable, struct exit_record *ret,
                             struct err *err)
{
    const struct remote_watch watch = {.fd = -1,
                                       .heard = ignore_news,
                                       .ended = relay_has_ended,
                                       .arg = lane};
    enum run_end result = RUN_FAILED;
    struct remote_session session;

    remote_session_init(&session, lane, &watch, runnable, output);
    switch (remote_session_run(ctx, &session, workdir, err)) {
    case SESSION_EXITED:
        helped_record(&session.helped, helper_reply_code(&session.helped.reply), ret);
        if (ret->code != 0 && helper_reply_out_of_memory(&session.helped.reply))
            helped_record_oom(0, ret);
        result = RUN_ENDED;
        break;
    case SESSION_LOST:
        record_lost(&session.why, ret);
        result = lane->unreachable && remote_session_unsent(&session) ? RUN_UNSENT : RUN_ENDED;
        break;
    case SESSION_STOPPED:
        remote_session_record_end(&session, ret);
        break;
    case SESSION_FAILED:
        break;
    }
    *ret_reusable = remote_session_release(&session);
    return result;
}

/* A runnable with what is there in place of what is here. */
struct moved {
    struct runnable runnable;
    char *workdir;
    struct strmap environment;
    const char *home; /* where it runs that names no other directory */
};

static void moved_release(struct moved *moved)
{
    free(moved->workdir);
    strmap_release(&moved->environment);
}

#define CLEANUP_MOVED CLEANUP(moved_release)

static void move(const struct ssh_place *place, const struct machine_base *base,
                 const struct runnable *runnable, struct moved *ret)
{
    *ret = (struct moved){.runnable = *runnable,
                          .home = place->workspace ? place->workspace : base->home};
    if (runnable->workdir)
        ret->workdir = there(place, runnable->workdir);
    if (runnable->workdir && !ret->workdir && *runnable->workdir != '/')
        ret->workdir = xasprintf("%s/%s", ret->home, runnable->workdir);
    if (ret->workdir)
        ret->runnable.workdir = ret->workdir;
    if (place->workspace && runnable->environment) {
        translate(place, runnable->environment, &ret->environment);
        ret->runnable.environment = &ret->environment;
    }
}

/* An end of the connection that is known here should not take the request along. */
static void look_at_lane(const struct ctx *ctx, struct lane *lane)
{
    if (lane->command)
        (void)!lane_move(ctx, lane, true, NULL);
}

/* `fresh`: by a lane that nobody has used yet. */
static enum run_end run_there(const struct ctx *ctx, struct ssh_place *place,
                              struct machine_base *base, bool fresh,
                              const struct runnable *runnable, struct output *output,
                              struct exit_record *ret, struct err *err)
{
    CLEANUP_MOVED struct moved moved = {0};
    enum run_end result;
    struct lane *lane;
    bool reusable;
    int taken;

    if (fill(ctx, place, base, output, err) < 0)
        return err->code == ERR_NOT_FOUND ? RUN_GONE : RUN_FAILED;
    move(place, base, runnable, &moved);
    if (base->plain)
        return plain_run(ctx, base, &moved.runnable, moved.home, output, ret, err) < 0 ? RUN_FAILED
                                                                                       : RUN_ENDED;
    taken = machine_take_lane(ctx, base, fresh, &lane, err);
    if (taken != 0)
        return taken < 0 ? RUN_FAILED : RUN_GONE;
    look_at_lane(ctx, lane);
    result = run_over(ctx, lane, &moved.runnable, moved.home, output, &reusable, ret, err);
    machine_give_lane(base, lane, reusable);
    return result;
}

/* Once more when that is safe: when what it was to run by had gone before it was asked for. */
static int run_somehow(const struct ctx *ctx, struct ssh_place *place,
                       const struct runnable *runnable, struct output *output,
                       struct exit_record *ret, struct err *err)
{
    bool fresh = false, made_again = false;

    for (;;) {
        struct machine_base *base;

        err_clear(err);
        if (machine_ensure(ctx, &place->instance->machine, &base, err) < 0)
            return -1;
        switch (run_there(ctx, place, base, fresh, runnable, output, ret, err)) {
        case RUN_FAILED:
            return -1;
        case RUN_ENDED:
            return 0;
        case RUN_UNSENT:
            if (fresh)
                return 0;
            fresh = true;
            break;
        case RUN_GONE:
            if (made_again)
                return -1;
            made_again = true;
            if (machine_forget(ctx, base, err) < 0)
                return -1;
            break;
        }
    }
}

int ssh_place_run(const struct ctx *ctx, struct place *opaque, const struct runnable *runnable,
                  struct output *output, struct exit_record *ret, struct err *err)
{
    struct ssh_place *place = (struct ssh_place *)opaque;
    const char *user = place->instance->target->user;
    struct err why = ERR_INIT;

    if (runnable->user && strcmp(runnable->user, user) != 0)
        return err_set(err, ERR_UNSUPPORTED,
                       "a step on a host runs as who logs in, here %s: for %s name the engine "
                       "ssh://%s@…",
                       user, runnable->user, runnable->user);
    if (run_somehow(ctx, place, runnable, output, ret, &why) == 0)
        return 0;
    if (why.code == ERR_LOST && !ctx_done(ctx)) {
        record_lost(&why, ret);
        return 0;
    }
    if (err)
        *err = why;
    return -1;
}

int ssh_place_check(const struct ctx *ctx, struct place *opaque, const struct runnable *running,
                    const struct probe *probe, struct err *err)
{
    struct ssh_place *place = (struct ssh_place *)opaque;
    CLEANUP_MOVED struct moved moved = {0};
    struct machine_base *base;

    if (machine_ensure(ctx, &place->instance->machine, &base, err) < 0)
        return -1;
    if (base->plain)
        return err_set(err, ERR_UNSUPPORTED,
                       "whether something is ready cannot be seen on %s without the helper; only a "
                       "line of its log can be waited for",
                       base->uname);
    move(place, base, running, &moved);
    return remote_check(ctx, &base->remote, moved.home, &moved.runnable, probe, err);
}

/* --- files --- */

static bool is_filled(const struct ctx *ctx, struct ssh_place *place, struct err *err, int *ret)
{
    bool filled;

    *ret = gate_enter(ctx, &place->filling, err);
    if (*ret < 0)
        return false;
    filled = place->filled;
    gate_leave(&place->filling);
    return filled;
}

int ssh_place_get(const struct ctx *ctx, struct place *opaque, const char *path, const char *into,
                  struct err *err)
{
    struct ssh_place *place = (struct ssh_place *)opaque;
    int result;

    if (!is_filled(ctx, place, err, &result))
        return result;
    if (remote_get(ctx, &place->base->remote, place->workspace, path, into, err) < 0)
        return err_wrap(err, "cannot bring %s from the host", *path ? path : "the workspace");
    return 0;
}

int ssh_place_put(const struct ctx *ctx, struct place *opaque, const char *const *paths,
                  struct err *err)
{
    struct ssh_place *place = (struct ssh_place *)opaque;
    int result;

    /* One that is filled later will have them. */
    if (!is_filled(ctx, place, err, &result))
        return result;
    if (remote_put(ctx, &place->base->remote, place->local, paths, place->workspace, err) < 0)
        return err_wrap(err, "cannot copy to the host");
    return 0;
}
