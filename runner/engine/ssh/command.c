/* Commands on a host: those of programs on a remote, and short questions. */
#include <string.h>

#include "base/alloc.h"
#include "engine/ssh/machine.h"

enum {
    ANSWER_MAX = 64 << 10,
    REST_MS = 5000, /* for an answer that nobody waits for any more */
};

/* Behind what the start-up files of a login print. Its first letter is in it once. */
#define BEGIN "Runner-begins"

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
        if (strchr("'\\!", *word)) /* csh looks for ! in quotes, too */
            buf_addf(out, "'\\%c'", *word);
        else
            buf_add(out, word, 1);
    }
    buf_add(out, "'", 1);
}

/* For whatever shell a login has, of which no more is wanted than that it runs this: shells differ
 * in what they call a program that is not there. */
static char *for_any_shell(const char *script)
{
    CLEANUP_BUF struct buf text = BUF_INIT;

    buf_addf(&text, "exec sh -c ");
    machine_quote(&text, script);
    return buf_steal(&text);
}

static int start(const struct ctx *ctx, const struct remote *remote, const char *const *argv,
                 bool with_stdin, struct remote_command **ret, struct err *err)
{
    struct machine *machine = ((const struct machine_base *)remote)->machine;
    CLEANUP_BUF struct buf script = BUF_INIT;
    CLEANUP_FREE char *text = NULL;
    struct ssh_exec_options options = {.with_stdin = with_stdin};
    struct machine_command *command;
    struct ssh_exec *exec;
    struct link *link;

    buf_addf(&script, "echo " BEGIN "; exec");
    for (; *argv; argv++) {
        buf_add(&script, " ", 1);
        machine_quote(&script, *argv);
    }
    text = for_any_shell(script.data);
    options.command = text;
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

const struct remote_ops machine_ops = {
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
                    size_t *at, struct buf *output, struct buf *messages, struct err *err)
{
    for (;;) {
        struct ssh_exec_output piece;
        struct buf *to;
        size_t before;

        if (ctx_check(ctx, err) < 0 || (input && send_input(exec, input, at, err) < 0))
            return -1;
        switch (ssh_exec_read(exec, &piece, err)) {
        case SSH_EXEC_OUTPUT:
            to = piece.stream == SSH_EXEC_STDOUT ? output : messages;
            if (to->len + piece.len <= ANSWER_MAX)
                buf_add(to, piece.data, piece.len);
            continue;
        case SSH_EXEC_AGAIN:
            /* The word that there is room again may have been taken with what was read. */
            before = *at;
            if (input && send_input(exec, input, at, err) < 0)
                return -1;
            if (*at == before && ssh_exec_wait(ctx, exec, NULL, 0, -1, err) < 0)
                return -1;
            continue;
        case SSH_EXEC_ENDED:
            return 0;
        case SSH_EXEC_ERROR:
            return -1;
        }
    }
}

/* What has begun there is heard to its end although ctx has ended: else nobody would know what it
 * has made, and tell it to go. */
static int hear_out(const struct ctx *ctx, struct ssh_exec *exec, const struct buf *input,
                    struct buf *output, struct buf *messages, struct err *err)
{
    size_t at = 0;
    struct ctx rest;
    int result = converse(ctx, exec, input, &at, output, messages, err);

    if (result == 0 || !ctx_done(ctx))
        return result;
    ctx_init_grace(&rest, ctx, REST_MS);
    result = converse(&rest, exec, input, &at, output, messages, NULL);
    ctx_release(&rest);
    return result;
}

int machine_ask(const struct ctx *ctx, struct machine *machine, const char *script,
                const struct buf *input, struct buf *output, struct buf *messages, int *ret_code,
                struct err *err)
{
    CLEANUP_FREE char *command = for_any_shell(script);
    const struct ssh_exec_options options = {.command = command, .with_stdin = input != NULL};
    struct ssh_exec *exec;
    struct link *link;
    int result;

    if (links_exec(ctx, &machine->links, &options, &exec, &link, err) < 0)
        return -1;
    result = hear_out(ctx, exec, input, output, messages, err);
    if (result == 0)
        *ret_code = code_of(exec);
    ssh_exec_free(exec);
    links_give_back(&machine->links, link);
    return result;
}
