#include "engine/ssh/machine.h"

#include <string.h>
#include <sys/random.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/logger.h"
#include "helper/helper.h"

enum {
    THREAD_STACK = 256 * 1024,
    QUIT_MS = 15000, /* for everything there to end */
};

#define READY "runner-ready"
#define OTHER "runner-other"

/* --- the helper --- */

/* Makes the directory where it can be and programs can run, keeps the helper there that it reads,
 * and starts the first relay. Each place is left as it was if that does not succeed. One line, as
 * csh has no words that go over several. What logins print before is told apart by the marks. */
static const char bringing[] =
    "mask=`umask`; umask 077; machine=`uname -s -m`; echo; "
    "if [ \"$machine\" = \"Linux %1$s\" ]; then :; "
    "else echo " OTHER " \"$machine\"; pwd; exit 0; fi; "
    "last=; for base in \"${TMPDIR:-/tmp}\" /var/tmp \"$HOME\"; do "
    "new=$base/%2$s; mkdir \"$new\" || continue; "
    "if [ \"$last\" ]; then mv \"$last/helper\" \"$new/helper\"; rm -rf \"$last\"; "
    "else cat >\"$new/helper\"; fi; last=$new; "
    "if [ \"`wc -c <\"$new/helper\"`\" -eq %3$zu ] && chmod 700 \"$new/helper\" && "
    "umask $mask && \"$new/helper\" lane \"$new/0\" %4$d %5$s; "
    "then echo " READY " \"$new\"; pwd; exit 0; fi; "
    "done; if [ \"$last\" ]; then rm -rf \"$last\"; fi; exit 1";

static const struct {
    const char *architecture; /* in the words of helper_program_find() */
    const char *machine;      /* in those of uname -m */
} architectures[] = {{"amd64", "x86_64"}, {"arm64", "aarch64"}};

enum { ARCHITECTURES = sizeof(architectures) / sizeof(*architectures) };

static int bring(const struct ctx *ctx, struct machine *machine, size_t which, struct buf *output,
                 struct err *err)
{
    CLEANUP_FREE char *name = machine->base_count
                                  ? xasprintf("%s-%u", machine->directory_name, machine->base_count)
                                  : xstrdup(machine->directory_name);
    CLEANUP_BUF struct buf messages = BUF_INIT;
    CLEANUP_BUF struct buf script = BUF_INIT;
    struct helper_program helper;
    struct buf program;
    int code = -1;

    if (helper_program_find(architectures[which].architecture, &helper) < 0)
        return err_set(err, ERR_UNSUPPORTED, "this runner was built without a helper for %s",
                       architectures[which].machine);
    program = (struct buf){.data = (char *)helper.data, .len = helper.size};
    buf_addf(&script, bringing, architectures[which].machine, name, helper.size, LANE_LEASE_MS,
             machine->keep ? "" : "\"$new\"");
    if (machine_ask(ctx, machine, script.data, &program, output, &messages, &code, err) < 0)
        return -1;
    if (code == 0)
        return 0;
    while (messages.len && messages.data[messages.len - 1] == '\n')
        buf_truncate(&messages, messages.len - 1);
    return err_set(
        err, ERR_UNSUPPORTED,
        "the helper cannot be brought to %s (exit code %d)%s%s; it needs a POSIX sh, and "
        "a directory with some room where programs may run: $TMPDIR or /tmp, /var/tmp or "
        "the home",
        machine->name, code, messages.len ? ": " : "", messages.len ? messages.data : "");
}

/* The rest of the line behind a mark, for the caller; NULL: there is none. *ret_next: behind it. */
static char *line_behind(const char *text, const char *mark, const char **ret_next)
{
    const char *found = text ? strstr(text, mark) : NULL;
    size_t len;

    if (!found)
        return NULL;
    found += strlen(mark);
    len = strcspn(found, "\n");
    *ret_next = found[len] ? found + len + 1 : found + len;
    return xstrndup(found, len);
}

/* In use by the caller. */
static int add_lane(struct machine_base *base, unsigned number, struct lane **ret, struct err *err)
{
    CLEANUP_FREE char *directory = xasprintf("%s/%u", base->directory, number);

    return lane_pool_add(&base->lanes, directory, ret, err);
}

static void free_base(struct machine_base *base)
{
    if (!base)
        return;
    lane_pool_release(&base->lanes);
    free(base->directory);
    free(base->helper);
    free(base->home);
    free(base->uname);
    free(base);
}

static void free_basep(struct machine_base **base)
{
    free_base(*base);
}

/* 1: it is a machine of another kind, which is in base->uname. */
static int read_answer(struct machine_base *base, const char *output, struct err *err)
{
    const char *next;

    free(base->uname);
    base->uname = line_behind(output, "\n" OTHER " ", &next);
    if (base->uname) {
        free(base->home);
        base->home = xstrndup(next, strcspn(next, "\n"));
        return 1;
    }
    base->directory = line_behind(output, "\n" READY " ", &next);
    if (!base->directory)
        return err_set(err, ERR_UNSUPPORTED,
                       "commands do not run there as they are asked for: the host answers %.100s",
                       output && *output ? output : "nothing");
    free(base->home);
    base->home = xstrndup(next, strcspn(next, "\n"));
    base->helper = xasprintf("%s/helper", base->directory);
    base->remote.helper = base->helper;
    return 0;
}

/* Whatever it finds is in `base`. */
static int bring_what_fits(const struct ctx *ctx, struct machine *machine,
                           struct machine_base *base, struct err *err)
{
    size_t which = 0;
    int result;

    while (which < ARCHITECTURES &&
           strcmp(architectures[which].architecture, helper_architecture()) != 0)
        which++;
    for (size_t tried = 0; tried < ARCHITECTURES; tried++) {
        CLEANUP_BUF struct buf output = BUF_INIT;

        if (bring(ctx, machine, which, &output, err) < 0)
            return -1;
        result = read_answer(base, output.data, err);
        if (result <= 0)
            return result;
        for (which = 0; which < ARCHITECTURES; which++) {
            const char *name = strchr(base->uname, ' ');

            if (strncmp(base->uname, "Linux ", 6) == 0 &&
                strcmp(name + 1, architectures[which].machine) == 0)
                break;
        }
        if (which == ARCHITECTURES)
            break;
    }
    base->plain = true;
    return 0;
}

static int make(const struct ctx *ctx, struct machine *machine, struct err *err)
{
    CLEANUP(free_basep) struct machine_base *base = xcalloc(1, sizeof(*base));
    struct lane *lane;

    base->remote = (struct remote){.ops = &machine_ops, .name = machine->name};
    base->machine = machine;
    lane_pool_init(&base->lanes, &base->remote);
    if (bring_what_fits(ctx, machine, base, err) < 0)
        return -1;
    if (!base->plain) {
        if (add_lane(base, lane_pool_number(&base->lanes), &lane, err) < 0)
            return -1;
        lane_pool_put(&base->lanes, lane);
    }
    machine->base_count++;
    machine->base = base;
    pthread_mutex_lock(&machine->mu);
    base->next = machine->bases;
    machine->bases = steal_ptr(&base);
    pthread_mutex_unlock(&machine->mu);
    return 0;
}

/* --- keeping the lanes that nobody uses --- */

static void keep_lane(const struct ctx *ctx, void *arg, struct lane *lane)
{
    struct machine_base *base = arg;
    struct machine *machine = base->machine;
    struct err err = ERR_INIT;
    enum lane_move move = lane_keep(ctx, lane, &err);
    bool ended = lane->channel.quit && move >= LANE_IDLE && lane_await_end(ctx, lane);

    if ((ended || (move == LANE_FAILED && err.code != ERR_TIMEOUT) ||
         (move == LANE_AWAY && lane->unreachable) || channel_ended(&lane->channel)) &&
        !ctx_done(&machine->background)) {
        log_debug("ssh", "%s: a relay has ended: %s", machine->name, lane->why.message);
        lane_pool_break(&base->lanes, lane);
    }
}

/* What it begins with stays the rest of it: bases are only ever put in front. */
static struct machine_base *all_bases(struct machine *machine)
{
    struct machine_base *base;

    pthread_mutex_lock(&machine->mu);
    base = machine->bases;
    pthread_mutex_unlock(&machine->mu);
    return base;
}

static void *keeper_main(void *arg)
{
    struct machine *machine = arg;

    while (ctx_sleep(&machine->background, LANE_RENEW_MS / 2, NULL) == 0) {
        for (struct machine_base *base = all_bases(machine); base; base = base->next)
            lane_pool_keep(&machine->background, &base->lanes, keep_lane, base);
    }
    return NULL;
}

static void begin_keeping(struct machine *machine)
{
    pthread_attr_t attr;

    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, THREAD_STACK);
    machine->keeping = pthread_create(&machine->keeper, &attr, keeper_main, machine) == 0;
    pthread_attr_destroy(&attr);
}

int machine_ensure(const struct ctx *ctx, struct machine *machine, struct machine_base **ret,
                   struct err *err)
{
    int result = 0;

    if (gate_enter(ctx, &machine->making, err) < 0)
        return -1;
    if (!machine->base)
        result = make(ctx, machine, err);
    if (result == 0) {
        *ret = machine->base;
        if (!machine->base->plain && !machine->keeping)
            begin_keeping(machine);
    }
    gate_leave(&machine->making);
    return result;
}

int machine_forget(const struct ctx *ctx, const struct machine_base *base, struct err *err)
{
    struct machine *machine = base->machine;

    if (gate_enter(ctx, &machine->making, err) < 0)
        return -1;
    if (machine->base == base) {
        log_warn("ssh", "%s: %s is gone, as after a restart of the host: it is made again",
                 machine->name, base->directory);
        machine->base = NULL;
    }
    gate_leave(&machine->making);
    return 0;
}

/* --- using lanes --- */

char *machine_unique_name(struct machine *machine)
{
    unsigned number;

    pthread_mutex_lock(&machine->mu);
    number = machine->place_count++;
    pthread_mutex_unlock(&machine->mu);
    return xasprintf("%s.%u", machine->directory_name, number);
}

/* 1, with an error: there is no helper any more to run it. */
static int make_lane(const struct ctx *ctx, struct machine_base *base, struct lane **ret,
                     struct err *err)
{
    struct machine *machine = base->machine;
    CLEANUP_BUF struct buf messages = BUF_INIT;
    CLEANUP_BUF struct buf output = BUF_INIT;
    CLEANUP_BUF struct buf command = BUF_INIT;
    unsigned number = lane_pool_number(&base->lanes);
    int code;

    buf_addf(&command, "exec ");
    machine_quote(&command, base->helper);
    buf_addf(&command, " lane ");
    machine_quote(&command, base->directory);
    buf_addf(&command, "/%u %d ", number, LANE_LEASE_MS);
    if (!machine->keep)
        machine_quote(&command, base->directory);
    if (machine_ask(ctx, machine, command.data, NULL, &output, &messages, &code, err) < 0)
        return -1;
    if (code == HELPER_EXIT_NOT_FOUND) {
        err_set(err, ERR_NOT_FOUND, "what was brought there, %s, has vanished", base->directory);
        return 1;
    }
    if (code != 0)
        return err_set(err, ERR_SYSTEM, "%s",
                       messages.len ? messages.data : "the helper does not run");
    return add_lane(base, number, ret, err);
}

int machine_take_lane(const struct ctx *ctx, struct machine_base *base, bool fresh,
                      struct lane **ret, struct err *err)
{
    int result = 0;

    *ret = fresh ? NULL : lane_pool_find(&base->lanes);
    if (!*ret)
        result = make_lane(ctx, base, ret, err);
    return result != 0 ? result : lane_pool_enter(ctx, &base->lanes, *ret, err);
}

void machine_give_lane(struct machine_base *base, struct lane *lane, bool reusable)
{
    lane->quitting = lane->channel.quit;
    lane_pool_give(&base->lanes, lane, reusable);
}

/* --- the whole --- */

int machine_init(struct machine *machine, const struct ssh_target *target, const char *run_id,
                 bool keep, struct err *err)
{
    unsigned long long random = 0;

    *machine = (struct machine){.keep = keep};
    if (getrandom(&random, sizeof(random), 0) != (ssize_t)sizeof(random))
        return err_errno(err, "there is no randomness");
    if (links_init(&machine->links, target, err) < 0)
        return -1;
    if (gate_init(&machine->making, 1, err) < 0) {
        links_release(&machine->links);
        return -1;
    }
    if (ctx_init_root(&machine->background, NULL, err) < 0) {
        gate_release(&machine->making);
        links_release(&machine->links);
        return -1;
    }
    pthread_mutex_init(&machine->mu, NULL);
    machine->name = xasprintf("%s@%s", target->user, target->alias);
    machine->directory_name = xasprintf("runner-%s-%08llx", run_id, random & 0xffffffff);
    return 0;
}

/* What a relay would have done that was killed. */
static void remove_directory(const struct machine_base *base)
{
    struct machine *machine = base->machine;
    CLEANUP_BUF struct buf messages = BUF_INIT;
    CLEANUP_BUF struct buf output = BUF_INIT;
    CLEANUP_BUF struct buf command = BUF_INIT;
    CLEANUP_CTX struct ctx ctx;
    struct err err = ERR_INIT;
    int code = 0;

    ctx_init_cleanup(&ctx, QUIT_MS);
    buf_addf(&command, "rm -rf ");
    machine_quote(&command, base->directory);
    if (machine_ask(&ctx, machine, command.data, NULL, &output, &messages, &code, &err) < 0)
        log_warn("ssh", "%s cannot be reached; what runs there ends within %d seconds: %s",
                 machine->name, LANE_LEASE_MS / 1000, err.message);
    else if (code != 0)
        log_warn("ssh", "%s: %s stays there: %s", machine->name, base->directory,
                 messages.len ? messages.data : "rm fails");
}

/* False: of some relay that is not known. */
static bool all_have_ended(const struct ctx *ctx, const struct machine_base *base)
{
    bool ended = true;

    for (struct lane *lane = base->lanes.lanes; lane; lane = lane->next)
        ended = lane_await_end(ctx, lane) && ended;
    return ended;
}

static void quit_all(const struct ctx *ctx, const struct machine_base *base)
{
    for (struct lane *lane = base->lanes.lanes; lane; lane = lane->next) {
        if (lane->command || lane_move(ctx, lane, false, NULL) >= LANE_IDLE)
            lane_quit(ctx, lane);
    }
}

static void end_lanes(struct machine *machine)
{
    CLEANUP_CTX struct ctx ctx;

    ctx_init_cleanup(&ctx, QUIT_MS);
    for (const struct machine_base *base = machine->bases; base; base = base->next)
        quit_all(&ctx, base);
    for (const struct machine_base *base = machine->bases; base; base = base->next) {
        if (!base->plain && !all_have_ended(&ctx, base) && !machine->keep)
            remove_directory(base);
    }
}

void machine_release(struct machine *machine)
{
    ctx_cancel(&machine->background, CTX_CAUSE_USER);
    if (machine->keeping)
        pthread_join(machine->keeper, NULL);
    end_lanes(machine);
    while (machine->bases) {
        struct machine_base *base = machine->bases;

        machine->bases = base->next;
        free_base(base);
    }
    links_release(&machine->links);
    ctx_release(&machine->background);
    gate_release(&machine->making);
    pthread_mutex_destroy(&machine->mu);
    free(machine->name);
    free(machine->directory_name);
}
