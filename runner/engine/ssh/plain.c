#include "engine/ssh/plain.h"

#include <ctype.h>
#include <string.h>

#include "base/alloc.h"

enum { KILL_WAIT_MS = 10000 };

/* --- the script --- */

/* A command that writes the data to $D/name, whatever bytes it has. */
static void add_file(struct buf *out, const char *name, const void *data, size_t size)
{
    const unsigned char *bytes = data;

    buf_addf(out, "printf '");
    for (size_t i = 0; i < size; i++) {
        if (bytes[i] == '\n' || (bytes[i] >= ' ' && bytes[i] < 127 && !strchr("'\\%", bytes[i])))
            buf_add(out, &bytes[i], 1);
        else
            buf_addf(out, "\\%03o", bytes[i]);
    }
    buf_addf(out, "' >\"$D\"/");
    machine_quote(out, name);
    buf_add(out, "\n", 1);
}

static bool is_identifier(const char *name)
{
    if (!isalpha((unsigned char)*name) && *name != '_')
        return false;
    for (; *name; name++) {
        if (!isalnum((unsigned char)*name) && *name != '_')
            return false;
    }
    return true;
}

/* What the shell becomes the program with. */
static void make_program(const struct runnable *runnable, const char *workdir, struct buf *out)
{
    buf_addf(out, "D=$1\numask \"$2\"\n");
    strmap_foreach (entry, runnable->environment) {
        /* A shell has no others. */
        if (!is_identifier(entry->key))
            continue;
        buf_addf(out, "export %s=", entry->key);
        machine_quote(out, entry->value);
        buf_add(out, "\n", 1);
    }
    for (size_t i = 0; i < runnable->return_count; i++) {
        buf_addf(out, "export %s=\"$D\"/", runnable->returns[i].variable);
        machine_quote(out, runnable->returns[i].name);
        buf_add(out, "\n", 1);
    }
    buf_addf(out, "cd ");
    machine_quote(out, runnable->workdir ? runnable->workdir : workdir);
    buf_addf(out, " || exit 126\nexec");
    for (const char *const *arg = runnable->argv; *arg; arg++) {
        bool of_files = strncmp(*arg, RUNNABLE_FILES, strlen(RUNNABLE_FILES)) == 0;

        buf_addf(out, of_files ? " \"$D\"/" : " ");
        machine_quote(out, *arg + (of_files ? strlen(RUNNABLE_FILES) : 0));
    }
    buf_add(out, "\n", 1);
}

static const char begin[] =
    "exec 3<&0\n"
    "if command -v setsid >/dev/null 2>&1; then\n"
    "    setsid sh \"$D/.program\" \"$D\" \"$2\" </dev/null 3<&- &\n"
    "else\n"
    "    set -m\n"
    "    sh \"$D/.program\" \"$D\" \"$2\" </dev/null 3<&- &\n"
    "    set +m\n"
    "fi\n"
    "group=$!\n"
    "(\n"
    "    while read -r signal; do kill -s \"$signal\" -- \"-$group\"; done\n"
    "    kill -s KILL -- \"-$group\"\n"
    "    rm -rf \"$D\"\n"
    ") <&3 >/dev/null 2>&1 &\n"
    "guard=$!\n"
    "trap '' PIPE\n"
    "wait \"$group\" 2>/dev/null\n"
    "code=$?\n"
    "kill \"$guard\"\n"
    "kill -s KILL -- \"-$group\" 2>/dev/null\n"
    "byte() { printf \"\\\\$(printf %03o $(($1 % 256)))\"; }\n"
    "give() {\n"
    "    state=w\n"
    "    if [ -f \"$1\" ] && [ ! -h \"$1\" ] && [ -r \"$1\" ]; then\n"
    "        size=$(($(wc -c <\"$1\")))\n"
    "        if [ \"$size\" -gt \"$2\" ]; then size=$2 state=t; fi\n"
    "        if [ \"$size\" -gt 0 ]; then\n"
    "            printf D\n"
    "            for shift in 1 256 65536 16777216; do byte $((size / shift)); done\n"
    "            head -c \"$size\" \"$1\"\n"
    "        fi\n"
    "    elif [ -e \"$1\" ] || [ -h \"$1\" ]; then\n"
    "        state=u\n"
    "    fi\n"
    "    printf 'E%s' \"$state\"\n"
    "}\n";

int plain_script(const struct runnable *runnable, const char *workdir, const char *mark,
                 struct buf *out, struct err *err)
{
    CLEANUP_BUF struct buf program = BUF_INIT;

    if (runnable->tty)
        return err_set(err, ERR_UNSUPPORTED,
                       "a step on this host can have no terminal: that needs "
                       "the helper, which runs on Linux");
    make_program(runnable, workdir, &program);
    buf_addf(out, "D=$1\n");
    for (size_t i = 0; i < runnable->file_count; i++) {
        add_file(out, runnable->files[i].name, runnable->files[i].data, runnable->files[i].size);
        if (runnable->files[i].executable) {
            buf_addf(out, "chmod 700 \"$D\"/");
            machine_quote(out, runnable->files[i].name);
            buf_add(out, "\n", 1);
        }
    }
    for (size_t i = 0; i < runnable->return_count; i++)
        add_file(out, runnable->returns[i].name, "", 0);
    add_file(out, ".program", program.data, program.len);
    buf_add(out, begin, sizeof(begin) - 1);
    buf_addf(out, "printf '\\036%s'\n", mark + 1);
    for (size_t i = 0; i < runnable->return_count; i++) {
        buf_addf(out, "give \"$D\"/");
        machine_quote(out, runnable->returns[i].name);
        buf_addf(out, " %zu\n", runnable->returns[i].max_bytes);
    }
    buf_addf(out,
             "printf '\\036%s %%s\\n' \"$code\" >&2\nprintf ' %%s\\n' \"$code\"\nrm -rf \"$D\"\n",
             mark + 1);
    return 0;
}

/* --- running it --- */

struct plain {
    const struct remote_ops *ops;
    struct remote_command *command;
    struct helped helped;
    struct buf out; /* for its standard input, from `at` on */
    size_t at;
};

/* Byte by byte, as whatever reads ahead would take the signals behind the script. */
static const char bringing[] =
    "mask=`umask`; umask 077; D=${TMPDIR:-/tmp}/%s; mkdir \"$D\" || exit 126; "
    "dd bs=1 count=%zu 2>/dev/null >\"$D/.run\"; "
    "if [ \"`wc -c <\"$D/.run\"`\" -eq %zu ]; then sh \"$D/.run\" \"$D\" \"$mask\"; "
    "else rm -rf \"$D\"; exit 126; fi";

/* 1: some of it has been taken. */
static int send_input(struct plain *plain, struct err *err)
{
    int moved = 0;

    while (plain->at < plain->out.len) {
        ssize_t n = plain->ops->write(plain->command, plain->out.data + plain->at,
                                      plain->out.len - plain->at, err);

        if (n <= 0)
            return n < 0 ? -1 : moved;
        plain->at += (size_t)n;
        moved = 1;
    }
    return moved;
}

static int wait_for(const struct ctx *ctx, struct plain *plain, int room, struct err *err)
{
    struct pollfd fd = {.fd = room, .events = POLLIN};

    if (room >= 0)
        return ctx_poll(ctx, &fd, 1, -1, err) < 0 ? -1 : 0;
    return plain->ops->wait(ctx, plain->command, NULL, 0, -1, err) < 0 ? -1 : 0;
}

/* Until the script has said how the program ended; -1 with ctx, or when it will not any more. */
static int drive(const struct ctx *ctx, struct plain *plain, struct err *err)
{
    struct output *output = plain->helped.output;

    while (!helped_done(&plain->helped)) {
        struct remote_output got;
        int room = output->room_fd ? output->room_fd(output) : -1;
        enum remote_read read = REMOTE_AGAIN;
        int moved;

        if (ctx_check(ctx, err) < 0 || send_input(plain, err) < 0)
            return -1;
        if (room < 0)
            read = plain->ops->read(plain->command, &got, err);
        if (read == REMOTE_ERROR)
            return -1;
        if (read == REMOTE_ENDED)
            return err_set(err, ERR_LOST,
                           "the shell on the host ended without saying how the step did");
        if (read == REMOTE_OUTPUT &&
            helped_feed(&plain->helped, got.stream, got.data, got.len, err) < 0)
            return -1;
        if (plain->at == plain->out.len)
            helped_begun(&plain->helped);
        if (read != REMOTE_AGAIN)
            continue;
        /* The word that there is room again may have been taken with what was read. */
        moved = send_input(plain, err);
        if (moved < 0 || (!moved && wait_for(ctx, plain, room, err) < 0))
            return -1;
    }
    return 0;
}

static void send_signal(struct plain *plain, const char *name)
{
    buf_addf(&plain->out, "%s\n", name);
}

/* The context ended: TERM, the grace, KILL. */
static void end_program(const struct ctx *ctx, struct plain *plain)
{
    CLEANUP_CTX struct ctx grace;
    CLEANUP_CTX struct ctx last;

    ctx_init_grace(&grace, ctx, plain->helped.runnable->grace_ms);
    ctx_init_cleanup(&last, KILL_WAIT_MS);
    send_signal(plain, "TERM");
    if (drive(&grace, plain, NULL) == 0)
        return;
    ctx_release(&last);
    ctx_init_cleanup(&last, KILL_WAIT_MS);
    send_signal(plain, "KILL");
    (void)!drive(&last, plain, NULL);
}

static int converse(const struct ctx *ctx, struct plain *plain, struct exit_record *ret,
                    struct err *err)
{
    struct err why = ERR_INIT;

    if (drive(ctx, plain, &why) == 0) {
        helped_record(&plain->helped, helper_reply_code(&plain->helped.reply), ret);
        helped_give_back(&plain->helped);
        return 0;
    }
    if (!ctx_done(ctx)) {
        *ret = (struct exit_record){.kind = EXIT_LOST, .reason = REASON_LOST};
        snprintf(ret->detail, sizeof(ret->detail), "%.250s", why.message);
        return 0;
    }
    end_program(ctx, plain);
    helped_give_back(&plain->helped);
    if (helped_done(&plain->helped))
        *ret = (struct exit_record){.kind = EXIT_CODE,
                                    .code = helper_reply_code(&plain->helped.reply)};
    return ctx_check(ctx, err);
}

static int start(const struct ctx *ctx, const struct machine_base *base, struct plain *plain,
                 struct err *err)
{
    CLEANUP_FREE char *name = machine_unique_name(base->machine);
    CLEANUP_FREE char *script = xasprintf(bringing, name, plain->out.len, plain->out.len);
    const char *const argv[] = {"sh", "-c", script, NULL};

    return plain->ops->start(ctx, &base->remote, argv, true, &plain->command, err);
}

int plain_run(const struct ctx *ctx, const struct machine_base *base,
              const struct runnable *runnable, const char *workdir, struct output *output,
              struct exit_record *ret, struct err *err)
{
    struct plain plain = {.ops = base->remote.ops, .out = BUF_INIT};
    int result;

    helped_init(&plain.helped, runnable, output);
    for (size_t i = 0; i < runnable->return_count; i++)
        helper_reply_expect(&plain.helped.reply, runnable->returns[i].max_bytes);
    result = plain_script(runnable, workdir, plain.helped.reply.mark, &plain.out, err);
    if (result == 0)
        result = start(ctx, base, &plain, err);
    if (result == 0) {
        result = converse(ctx, &plain, ret, err);
        plain.ops->free(plain.command);
    }
    helped_release(&plain.helped);
    buf_release(&plain.out);
    return result;
}
