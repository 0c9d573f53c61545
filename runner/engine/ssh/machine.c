#include "engine/ssh/machine.h"

#include <string.h>
#include <sys/random.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/logger.h"
#include "helper/helper.h"

enum {
    THREAD_STACK = 256 * 1024,
    KEEP_MS = 5000, /* for one lane, which its user may be waiting for */
    MOVES_MAX = 16,
    QUIT_MS = 15000, /* for everything there to end */
    ANSWER_MAX = 64 << 10,
};

#define READY "runner-ready"
#define OTHER "runner-other"
/* Behind what the start-up files of a login print. Its first letter is in it once. */
#define BEGIN "Runner-begins"

/* --- commands --- */

struct machine_command {
    struct remote_command command;
    struct machine *machine;
    struct ssh_exec *exec;
    struct link *link;
    size_t begun; /* so many characters of BEGIN have come, and its line break */
};

static struct machine_command *of(const struct remote_command *command)
{
    return (struct machine_command *)command;
}

void machine_quote(struct buf *out, const char *word)
{
    buf_add(out, "'", 1);
    for (; *word; word++) {
        if (*word == '\'' || *word == '\\')
            buf_addf(out, "'\\%c'", *word);
        else
            buf_add(out, word, 1);
    }
    buf_add(out, "'", 1);
}

static int start(const struct ctx *ctx, const struct remote *remote, const char *const *argv,
                 bool with_stdin, struct remote_command **ret, struct err *err)
{
    struct machine *machine = (struct machine *)remote;
    CLEANUP_BUF struct buf text = BUF_INIT;
    struct ssh_exec_options options = {.with_stdin = with_stdin};
    struct machine_command *command;
    struct ssh_exec *exec;
    struct link *link;

    buf_addf(&text, "echo " BEGIN "; exec");
    for (; *argv; argv++) {
        buf_add(&text, " ", 1);
        machine_quote(&text, *argv);
    }
    options.command = text.data;
    if (links_exec(ctx, &machine->links, &options, &exec, &link, err) < 0)
        return -1;
    command = xcalloc(1, sizeof(*command));
    *command = (struct machine_command){{remote->ops}, machine, exec, link, 0};
    *ret = &command->command;
    return 0;
}

/* Takes away what is not the command's own. */
static void skip_greeting(struct machine_command *command, struct remote_output *output)
{
    static const char mark[] = BEGIN "\n";

    while (output->len > 0 && command->begun < sizeof(mark) - 1) {
        char c = *output->data++;

        output->len--;
        if (c == mark[command->begun])
            command->begun++;
        else
            command->begun = c == mark[0];
    }
}

static enum remote_read read_command(struct remote_command *command, struct remote_output *ret,
                                     struct err *err)
{
    struct ssh_exec_output output;

    for (;;) {
        switch (ssh_exec_read(of(command)->exec, &output, err)) {
        case SSH_EXEC_OUTPUT:
            ret->stream = output.stream == SSH_EXEC_STDOUT ? HELPER_STDOUT : HELPER_STDERR;
            ret->data = output.data;
            ret->len = output.len;
            if (ret->stream == HELPER_STDOUT)
                skip_greeting(of(command), ret);
            if (ret->len > 0)
                return REMOTE_OUTPUT;
            continue;
        case SSH_EXEC_AGAIN:
            return REMOTE_AGAIN;
        case SSH_EXEC_ENDED:
            return REMOTE_ENDED;
        case SSH_EXEC_ERROR:
            return REMOTE_ERROR;
        }
    }
}

static ssize_t write_command(struct remote_command *command, const void *data, size_t len,
                             struct err *err)
{
    return ssh_exec_write(of(command)->exec, data, len, err);
}

static size_t queued(const struct remote_command *command)
{
    return ssh_exec_queued(of(command)->exec);
}

static int wait_command(const struct ctx *ctx, struct remote_command *command, struct pollfd *fds,
                        size_t count, int timeout_ms, struct err *err)
{
    return ssh_exec_wait(ctx, of(command)->exec, fds, count, timeout_ms, err);
}

static int code_of(const struct ssh_exec *exec)
{
    const struct ssh_exec_result *result = ssh_exec_result(exec);

    return result->exited ? result->exit_code : 128 + result->signal_number;
}

static int exit_code(const struct remote_command *command, int *ret, struct err *err)
{
    (void)err;
    *ret = code_of(of(command)->exec);
    return 0;
}

static void free_command(struct remote_command *command)
{
    struct machine_command *own = of(command);

    ssh_exec_free(own->exec);
    links_give_back(&own->machine->links, own->link);
    free(own);
}

static const struct remote_ops ops = {
    .what = "relay on the host",
    .start = start,
    .read = read_command,
    .write = write_command,
    .queued = queued,
    .wait = wait_command,
    .exit_code = exit_code,
    .free = free_command,
};

/* --- questions --- */

static int send_input(struct ssh_exec *exec, const struct buf *input, size_t *at, struct err *err)
{
    while (*at < input->len) {
        ssize_t n = ssh_exec_write(exec, input->data + *at, input->len - *at, err);

        if (n <= 0)
            return n < 0 ? -1 : 0;
        *at += (size_t)n;
        if (*at == input->len)
            return ssh_exec_close_stdin(exec, err);
    }
    return 0;
}

static int converse(const struct ctx *ctx, struct ssh_exec *exec, const struct buf *input,
                    struct buf *output, struct buf *messages, struct err *err)
{
    size_t at = 0, before;

    for (;;) {
        struct ssh_exec_output piece;
        struct buf *to;

        if (ctx_check(ctx, err) < 0 || (input && send_input(exec, input, &at, err) < 0))
            return -1;
        switch (ssh_exec_read(exec, &piece, err)) {
        case SSH_EXEC_OUTPUT:
            to = piece.stream == SSH_EXEC_STDOUT ? output : messages;
            if (to->len + piece.len <= ANSWER_MAX)
                buf_add(to, piece.data, piece.len);
            continue;
        case SSH_EXEC_AGAIN:
            /* The word that there is room again may have been taken with what was read. */
            before = at;
            if (input && send_input(exec, input, &at, err) < 0)
                return -1;
            if (at == before && ssh_exec_wait(ctx, exec, NULL, 0, -1, err) < 0)
                return -1;
            continue;
        case SSH_EXEC_ENDED:
            return 0;
        case SSH_EXEC_ERROR:
            return -1;
        }
    }
}

int machine_ask(const struct ctx *ctx, struct machine *machine, const char *command,
                const struct buf *input, struct buf *output, struct buf *messages, int *ret_code,
                struct err *err)
{
    const struct ssh_exec_options options = {.command = command, .with_stdin = input != NULL};
    struct ssh_exec *exec;
    struct link *link;
    int result;

    if (links_exec(ctx, &machine->links, &options, &exec, &link, err) < 0)
        return -1;
    result = converse(ctx, exec, input, output, messages, err);
    if (result == 0)
        *ret_code = code_of(exec);
    ssh_exec_free(exec);
    links_give_back(&machine->links, link);
    return result;
}

/* --- the helper --- */

/* Makes the directory where it can be and programs can run, keeps the helper there that it reads,
 * and starts the first relay. Each place is left as it was if that does not succeed. One line, and
 * nothing that csh would take for its own. What logins print before is told apart by the marks. */
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
    CLEANUP_BUF struct buf messages = BUF_INIT;
    CLEANUP_BUF struct buf script = BUF_INIT;
    CLEANUP_BUF struct buf command = BUF_INIT;
    struct helper_program helper;
    struct buf program;
    int code = -1;

    if (helper_program_find(architectures[which].architecture, &helper) < 0)
        return err_set(err, ERR_UNSUPPORTED, "this runner was built without a helper for %s",
                       architectures[which].machine);
    program = (struct buf){.data = (char *)helper.data, .len = helper.size};
    buf_addf(&script, bringing, architectures[which].machine, machine->directory_name, helper.size,
             LANE_LEASE_MS, machine->keep ? "" : "\"$new\"");
    buf_addf(&command, "exec sh -c ");
    machine_quote(&command, script.data);
    if (machine_ask(ctx, machine, command.data, &program, output, &messages, &code, err) < 0)
        return -1;
    if (code == 0)
        return 0;
    while (messages.len && messages.data[messages.len - 1] == '\n')
        buf_truncate(&messages, messages.len - 1);
    return err_set(err, ERR_UNSUPPORTED, "the helper cannot be brought there (exit code %d)%s%s",
                   code, messages.len ? ": " : "", messages.len ? messages.data : "");
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

static int add_lane(struct machine *machine, unsigned number, bool used, struct lane **ret,
                    struct err *err)
{
    CLEANUP_FREE char *directory = xasprintf("%s/%u", machine->directory, number);

    if (lane_new(&machine->remote, directory, ret, err) < 0)
        return -1;
    (*ret)->used = used;
    pthread_mutex_lock(&machine->mu);
    (*ret)->next = machine->lanes;
    machine->lanes = *ret;
    pthread_mutex_unlock(&machine->mu);
    return 0;
}

/* 1: it is a machine of another kind, which is in machine->uname. */
static int read_answer(struct machine *machine, const char *output, struct err *err)
{
    const char *next;
    struct lane *lane;

    free(steal_ptr(&machine->uname));
    machine->uname = line_behind(output, "\n" OTHER " ", &next);
    if (machine->uname) {
        free(machine->home);
        machine->home = xstrndup(next, strcspn(next, "\n"));
        return 1;
    }
    machine->directory = line_behind(output, "\n" READY " ", &next);
    if (!machine->directory)
        return err_set(err, ERR_UNSUPPORTED,
                       "commands do not run there as they are asked for: the host answers %.100s",
                       output && *output ? output : "nothing");
    free(machine->home);
    machine->home = xstrndup(next, strcspn(next, "\n"));
    machine->helper = xasprintf("%s/helper", machine->directory);
    machine->remote.helper = machine->helper;
    return add_lane(machine, 0, false, &lane, err);
}

static int make(const struct ctx *ctx, struct machine *machine, struct err *err)
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
        result = read_answer(machine, output.data, err);
        if (result <= 0)
            return result;
        for (which = 0; which < ARCHITECTURES; which++) {
            const char *name = strchr(machine->uname, ' ');

            if (strncmp(machine->uname, "Linux ", 6) == 0 &&
                strcmp(name + 1, architectures[which].machine) == 0)
                break;
        }
        if (which == ARCHITECTURES)
            break;
    }
    machine->plain = true;
    return 0;
}

/* --- keeping the lanes that nobody uses --- */

static void keep_lane(struct machine *machine, struct lane *lane)
{
    enum lane_move move = LANE_MOVED;
    struct err err = ERR_INIT;
    struct ctx ctx;

    ctx_init(&ctx, &machine->background);
    ctx_set_timeout(&ctx, KEEP_MS, "lane");
    for (int i = 0; i < MOVES_MAX && move == LANE_MOVED; i++)
        move = lane_move(&ctx, lane, true, &err);
    ctx_release(&ctx);
    if (((move == LANE_FAILED && err.code != ERR_TIMEOUT) ||
         (move == LANE_AWAY && lane->met && lane->unreachable) || channel_ended(&lane->channel)) &&
        !ctx_done(&machine->background)) {
        log_debug("ssh", "%s: a relay has ended: %s", machine->name, lane->why.message);
        pthread_mutex_lock(&machine->mu);
        lane->broken = true;
        pthread_mutex_unlock(&machine->mu);
    }
}

/* The one behind `after`; lanes are only ever put in front. */
static struct lane *next_idle(struct machine *machine, const struct lane *after)
{
    struct lane *lane;

    pthread_mutex_lock(&machine->mu);
    lane = after ? after->next : machine->lanes;
    while (lane && (lane->used || lane->broken))
        lane = lane->next;
    pthread_mutex_unlock(&machine->mu);
    return lane;
}

static void *keeper_main(void *arg)
{
    struct machine *machine = arg;

    while (ctx_sleep(&machine->background, LANE_RENEW_MS / 2, NULL) == 0) {
        for (struct lane *lane = next_idle(machine, NULL); lane; lane = next_idle(machine, lane)) {
            if (gate_enter_within(&machine->background, &lane->busy, 0, NULL) <= 0)
                continue;
            keep_lane(machine, lane);
            gate_leave(&lane->busy);
        }
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

int machine_ensure(const struct ctx *ctx, struct machine *machine, struct err *err)
{
    int result = 0;

    if (gate_enter(ctx, &machine->making, err) < 0)
        return -1;
    if (!machine->ready) {
        result = make(ctx, machine, err);
        machine->ready = result == 0;
        if (machine->ready && !machine->plain)
            begin_keeping(machine);
    }
    gate_leave(&machine->making);
    return result;
}

/* --- using lanes --- */

static struct lane *find_free(struct machine *machine)
{
    struct lane *lane;

    pthread_mutex_lock(&machine->mu);
    for (lane = machine->lanes; lane && (lane->used || lane->broken);)
        lane = lane->next;
    if (lane)
        lane->used = true;
    pthread_mutex_unlock(&machine->mu);
    return lane;
}

static void set_free(struct machine *machine, struct lane *lane, bool reusable)
{
    pthread_mutex_lock(&machine->mu);
    lane->used = false;
    lane->broken = lane->broken || !reusable;
    pthread_mutex_unlock(&machine->mu);
}

char *machine_unique_name(struct machine *machine)
{
    unsigned number;

    pthread_mutex_lock(&machine->mu);
    number = machine->place_count++;
    pthread_mutex_unlock(&machine->mu);
    return xasprintf("%s.%u", machine->directory_name, number);
}

static int make_lane(const struct ctx *ctx, struct machine *machine, struct lane **ret,
                     struct err *err)
{
    CLEANUP_BUF struct buf messages = BUF_INIT;
    CLEANUP_BUF struct buf output = BUF_INIT;
    CLEANUP_BUF struct buf command = BUF_INIT;
    unsigned number;
    int code;

    pthread_mutex_lock(&machine->mu);
    number = ++machine->lane_count;
    pthread_mutex_unlock(&machine->mu);
    buf_addf(&command, "exec ");
    machine_quote(&command, machine->helper);
    buf_addf(&command, " lane ");
    machine_quote(&command, machine->directory);
    buf_addf(&command, "/%u %d ", number, LANE_LEASE_MS);
    if (!machine->keep)
        machine_quote(&command, machine->directory);
    if (machine_ask(ctx, machine, command.data, NULL, &output, &messages, &code, err) < 0)
        return -1;
    if (code != 0)
        return err_set(err, ERR_SYSTEM, "%s",
                       messages.len ? messages.data : "the helper does not run");
    return add_lane(machine, number, true, ret, err);
}

int machine_take_lane(const struct ctx *ctx, struct machine *machine, struct lane **ret,
                      struct err *err)
{
    *ret = find_free(machine);
    if (!*ret && make_lane(ctx, machine, ret, err) < 0)
        return -1;
    if (gate_enter(ctx, &(*ret)->busy, err) < 0) {
        set_free(machine, *ret, true);
        return -1;
    }
    return 0;
}

void machine_give_lane(struct machine *machine, struct lane *lane, bool reusable)
{
    gate_leave(&lane->busy);
    set_free(machine, lane, reusable);
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
    machine->remote = (struct remote){.ops = &ops, .name = machine->name};
    return 0;
}

/* What a relay would have done that was killed. */
static void remove_directory(const struct ctx *ctx, struct machine *machine)
{
    CLEANUP_BUF struct buf messages = BUF_INIT;
    CLEANUP_BUF struct buf output = BUF_INIT;
    CLEANUP_BUF struct buf command = BUF_INIT;
    struct err err = ERR_INIT;
    int code = 0;

    buf_addf(&command, "rm -rf ");
    machine_quote(&command, machine->directory);
    if (machine_ask(ctx, machine, command.data, NULL, &output, &messages, &code, &err) < 0)
        log_warn("ssh", "%s cannot be reached; what runs there ends within %d seconds: %s",
                 machine->name, LANE_LEASE_MS / 1000, err.message);
    else if (code != 0)
        log_warn("ssh", "%s: %s stays there: %s", machine->name, machine->directory,
                 messages.len ? messages.data : "rm fails");
}

static void end_lanes(struct machine *machine)
{
    CLEANUP_CTX struct ctx ctx;
    bool ended = true;

    ctx_init_cleanup(&ctx, QUIT_MS);
    for (struct lane *lane = machine->lanes; lane; lane = lane->next) {
        if (!lane->command && lane_move(&ctx, lane, false, NULL) < LANE_IDLE)
            continue;
        lane_quit(&ctx, lane);
    }
    for (struct lane *lane = machine->lanes; lane; lane = lane->next)
        ended = lane_await_end(&ctx, lane) && ended;
    if (!ended && !machine->keep)
        remove_directory(&ctx, machine);
}

void machine_release(struct machine *machine)
{
    ctx_cancel(&machine->background, CTX_CAUSE_USER);
    if (machine->keeping)
        pthread_join(machine->keeper, NULL);
    end_lanes(machine);
    while (machine->lanes) {
        struct lane *lane = machine->lanes;

        machine->lanes = lane->next;
        lane_free(lane);
    }
    links_release(&machine->links);
    ctx_release(&machine->background);
    gate_release(&machine->making);
    pthread_mutex_destroy(&machine->mu);
    free(machine->name);
    free(machine->directory_name);
    free(machine->directory);
    free(machine->helper);
    free(machine->home);
    free(machine->uname);
}
