#include "engine/remote/program.h"

#include <string.h>

#include "helper/request.h"

#define PIECE_SIZE   (64u << 10)
#define MESSAGES_MAX (16u << 10)
#define TAIL_SIZE    (sizeof(HELPER_DONE) - 1)

struct talk {
    const struct remote_program *program;
    const struct remote_ops *ops;
    struct remote_command *command;
    struct buf *messages;
    char *piece; /* of its input: `len` bytes, sent up to `at` */
    size_t at, len;
    bool input_ended;
    char tail[TAIL_SIZE]; /* the end of its output */
    size_t tail_len;
};

ssize_t remote_read_text(void *arg, void *data, size_t size, struct err *err)
{
    struct remote_text *text = arg;
    size_t left = text->data->len - text->at;

    (void)err;
    if (size > left)
        size = left;
    memcpy(data, text->data->data + text->at, size);
    text->at += size;
    return (ssize_t)size;
}

/* 1: some of it has been taken. */
static int send_input(struct talk *talk, struct err *err)
{
    int moved = 0;

    while (!talk->input_ended) {
        ssize_t n;

        if (talk->at == talk->len) {
            n = talk->program->read(talk->program->arg, talk->piece, PIECE_SIZE, err);
            if (n < 0)
                return -1;
            talk->at = 0;
            talk->len = (size_t)n;
            talk->input_ended = n == 0;
            continue;
        }
        n = talk->ops->write(talk->command, talk->piece + talk->at, talk->len - talk->at, err);
        if (n < 0)
            return -1;
        if (n == 0)
            return moved;
        talk->at += (size_t)n;
        moved = 1;
    }
    return moved;
}

static void keep_tail(struct talk *talk, const char *data, size_t len)
{
    const size_t fresh = len < TAIL_SIZE ? len : TAIL_SIZE;
    const size_t kept = talk->tail_len < TAIL_SIZE - fresh ? talk->tail_len : TAIL_SIZE - fresh;

    memmove(talk->tail, talk->tail + talk->tail_len - kept, kept);
    memcpy(talk->tail + kept, data + len - fresh, fresh);
    talk->tail_len = kept + fresh;
}

/* Not every connection tells a program that has ended from one that is only not heard any more. */
static int check_done(const struct talk *talk, struct err *err)
{
    if (!talk->program->says_done ||
        (talk->tail_len == TAIL_SIZE && memcmp(talk->tail, HELPER_DONE, TAIL_SIZE) == 0))
        return 0;
    return err_set(err, ERR_LOST, "%s was not heard to its end", talk->program->argv[0]);
}

static int take(struct talk *talk, const struct remote_output *output, struct err *err)
{
    if (output->stream == HELPER_STDOUT) {
        keep_tail(talk, output->data, output->len);
        return talk->program->write
                   ? talk->program->write(talk->program->arg, output->data, output->len, err)
                   : 0;
    }
    if (talk->messages && talk->messages->len + output->len <= MESSAGES_MAX)
        buf_add(talk->messages, output->data, output->len);
    return 0;
}

static int find_code(struct talk *talk, int *ret_code, struct err *err)
{
    while (talk->messages && talk->messages->len > 0 &&
           talk->messages->data[talk->messages->len - 1] == '\n')
        buf_truncate(talk->messages, talk->messages->len - 1);
    if (talk->ops->exit_code(talk->command, ret_code, err) < 0)
        return -1;
    return *ret_code == 0 ? check_done(talk, err) : 0;
}

static int converse(const struct ctx *ctx, struct talk *talk, int *ret_code, struct err *err)
{
    for (;;) {
        struct remote_output output;
        int moved;

        if (ctx_check(ctx, err) < 0 || send_input(talk, err) < 0)
            return -1;
        switch (talk->ops->read(talk->command, &output, err)) {
        case REMOTE_OUTPUT:
            if (take(talk, &output, err) < 0)
                return -1;
            break;
        case REMOTE_AGAIN:
            /* There may be room for more of the input by now, and the word of it may have been
             * taken with what was read. */
            moved = send_input(talk, err);
            if (moved < 0)
                return -1;
            if (moved)
                break;
            if (talk->ops->wait(ctx, talk->command, NULL, 0, -1, err) < 0)
                return -1;
            break;
        case REMOTE_ENDED:
            return find_code(talk, ret_code, err);
        case REMOTE_ERROR:
            return -1;
        }
    }
}

int remote_run(const struct ctx *ctx, const struct remote *remote,
               const struct remote_program *program, int *ret_code, struct buf *messages,
               struct err *err)
{
    CLEANUP_BUF struct buf piece = BUF_INIT;
    struct talk talk = {.program = program,
                        .ops = remote->ops,
                        .messages = messages,
                        .input_ended = program->read == NULL};
    int result;

    if (remote->ops->start(ctx, remote, program->argv, program->read != NULL, &talk.command, err) <
        0)
        return -1;
    buf_reserve(&piece, PIECE_SIZE);
    talk.piece = piece.data;
    result = converse(ctx, &talk, ret_code, err);
    remote->ops->free(talk.command);
    return result;
}

static enum err_code code_of(int exit_code)
{
    return exit_code == HELPER_EXIT_NOT_FOUND ? ERR_NOT_FOUND : ERR_SYSTEM;
}

int remote_do(const struct ctx *ctx, const struct remote *remote,
              const struct remote_program *program, struct err *err)
{
    CLEANUP_BUF struct buf messages = BUF_INIT;
    int code = -1;

    if (remote_run(ctx, remote, program, &code, &messages, err) < 0)
        return -1;
    if (code == 0)
        return 0;
    if (messages.len)
        return err_set(err, code_of(code), "%s", messages.data);
    return err_set(err, code_of(code), "%s ended with exit code %d", program->argv[0], code);
}
