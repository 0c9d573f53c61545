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

static int fill_once(const struct ctx *ctx, struct ssh_place *place, struct output *output,
                     struct err *err)
{
    struct machine *machine = &place->instance->machine;
    unsigned number;

    if (!place->workspace) {
        pthread_mutex_lock(&machine->mu);
        number = machine->place_count++;
        pthread_mutex_unlock(&machine->mu);
        place->workspace = xasprintf("%s/work%u", machine->directory, number);
    }
    return remote_fill(ctx, &machine->remote, place->local, place->workspace, output, err);
}

static int fill(const struct ctx *ctx, struct ssh_place *place, struct output *output,
                struct err *err)
{
    int result = 0;

    if (place->empty)
        return 0;
    if (place->instance->machine.plain)
        return err_set(err, ERR_UNSUPPORTED,
                       "checkout: workdir needs the helper, which there is none of for %s",
                       place->instance->machine.uname);
    if (gate_enter(ctx, &place->filling, err) < 0)
        return -1;
    if (!place->filled) {
        result = fill_once(ctx, place, output, err);
        place->filled = result == 0;
        if (result < 0)
            err_wrap(err, "cannot copy %s to the host", place->local);
    }
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

/* A relay that was there, and that a command on its own host cannot reach, has ended. */
static bool relay_has_ended(void *arg, struct err *why)
{
    struct lane *lane = arg;

    if (!lane->met || !lane->unreachable)
        return false;
    err_set(why, ERR_LOST, "the helper on the host has ended, and the step with it: %s",
            lane->why.message);
    return true;
}

static int run_over(const struct ctx *ctx, struct lane *lane, const struct runnable *runnable,
                    const char *workdir, struct output *output, bool *ret_reusable,
                    struct exit_record *ret, struct err *err)
{
    const struct remote_watch watch = {.fd = -1,
                                       .heard = ignore_news,
                                       .ended = relay_has_ended,
                                       .arg = lane};
    struct remote_session session;
    int result = -1;

    remote_session_init(&session, lane, &watch, runnable, output);
    switch (remote_session_run(ctx, &session, workdir, err)) {
    case SESSION_EXITED:
        helped_record(&session.helped, helper_reply_code(&session.helped.reply), ret);
        if (ret->code != 0 && helper_reply_out_of_memory(&session.helped.reply))
            helped_record_oom(0, ret);
        result = 0;
        break;
    case SESSION_LOST:
        *ret = (struct exit_record){.kind = EXIT_LOST, .reason = REASON_LOST};
        snprintf(ret->detail, sizeof(ret->detail), "%.250s", session.why.message);
        result = 0;
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

static void move(const struct ssh_place *place, const struct runnable *runnable, struct moved *ret)
{
    *ret =
        (struct moved){.runnable = *runnable,
                       .home = place->workspace ? place->workspace : place->instance->machine.home};
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

static int run_there(const struct ctx *ctx, struct ssh_place *place,
                     const struct runnable *runnable, struct output *output,
                     struct exit_record *ret, struct err *err)
{
    struct machine *machine = &place->instance->machine;
    CLEANUP_MOVED struct moved moved = {0};
    struct lane *lane;
    bool reusable;
    int result;

    move(place, runnable, &moved);
    if (machine->plain)
        return plain_run(ctx, machine, &moved.runnable, moved.home, output, ret, err);
    if (machine_take_lane(ctx, machine, &lane, err) < 0)
        return -1;
    result = run_over(ctx, lane, &moved.runnable, moved.home, output, &reusable, ret, err);
    machine_give_lane(machine, lane, reusable);
    return result;
}

int ssh_place_run(const struct ctx *ctx, struct place *opaque, const struct runnable *runnable,
                  struct output *output, struct exit_record *ret, struct err *err)
{
    struct ssh_place *place = (struct ssh_place *)opaque;
    const char *user = place->instance->target->user;

    if (runnable->user && strcmp(runnable->user, user) != 0)
        return err_set(err, ERR_UNSUPPORTED,
                       "a step on a host runs as who logs in, here %s: for %s name the engine "
                       "ssh://%s@…",
                       user, runnable->user, runnable->user);
    if (machine_ensure(ctx, &place->instance->machine, err) < 0 ||
        fill(ctx, place, output, err) < 0)
        return -1;
    return run_there(ctx, place, runnable, output, ret, err);
}

int ssh_place_check(const struct ctx *ctx, struct place *opaque, const struct runnable *running,
                    const struct probe *probe, struct err *err)
{
    struct ssh_place *place = (struct ssh_place *)opaque;
    struct machine *machine = &place->instance->machine;
    CLEANUP_MOVED struct moved moved = {0};

    if (machine_ensure(ctx, machine, err) < 0)
        return -1;
    if (machine->plain)
        return err_set(err, ERR_UNSUPPORTED,
                       "whether something is ready cannot be seen on %s without the helper; only a "
                       "line of its log can be waited for",
                       machine->uname);
    move(place, running, &moved);
    return remote_check(ctx, &machine->remote, moved.home, &moved.runnable, probe, err);
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
    if (remote_get(ctx, &place->instance->machine.remote, place->workspace, path, into, err) < 0)
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
    if (remote_put(ctx, &place->instance->machine.remote, place->local, paths, place->workspace,
                   err) < 0)
        return err_wrap(err, "cannot copy to the host");
    return 0;
}
