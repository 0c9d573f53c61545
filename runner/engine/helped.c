#include "engine/helped.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"

static void give_file(struct helped *helped, size_t number, enum helper_returned how,
                      const char *data, size_t size)
{
    enum returned_state state = how == HELPER_WHOLE       ? RETURNED_WHOLE
                                : how == HELPER_TRUNCATED ? RETURNED_TRUNCATED
                                                          : RETURNED_UNREADABLE;

    helped->output->returned(helped->output, &helped->runnable->returns[number], state, data,
                             state == RETURNED_UNREADABLE ? 0 : size);
}

/* What cannot be read now may be there at the end. */
static void on_changed(void *arg, size_t number, enum helper_returned how, const char *data,
                       size_t size)
{
    struct helped *helped = arg;

    if (helped->output->returned && how != HELPER_UNREADABLE)
        give_file(helped, number, how, data, size);
}

void helped_init(struct helped *helped, const struct runnable *runnable, struct output *output)
{
    *helped =
        (struct helped){.runnable = runnable, .output = output, .request = (struct buf)BUF_INIT};
    helper_reply_init(&helped->reply);
    helped->reply.changed = on_changed;
    helped->reply.changed_arg = helped;
}

void helped_release(struct helped *helped)
{
    buf_release(&helped->request);
    helper_reply_release(&helped->reply);
}

static void add_arguments(struct helped *helped, const struct helped_how *how)
{
    const struct container_shape *container = helped->runnable->container;
    const char *const *entrypoint = how->bare || !container ? NULL : container->entrypoint;
    const char *const *arguments = helped->runnable->argv;

    if (!entrypoint)
        entrypoint = how->entrypoint;
    helped->not_found = entrypoint && *entrypoint ? NULL : helped->runnable->not_found;
    for (; entrypoint && *entrypoint; entrypoint++)
        helper_request_string(&helped->request, HELPER_ARG, *entrypoint);
    if (!arguments)
        arguments = how->arguments;
    for (; arguments && *arguments; arguments++)
        helper_request_string(&helped->request, HELPER_ARG, *arguments);
}

static void add_files(struct helped *helped)
{
    const struct runnable *runnable = helped->runnable;
    struct buf *request = &helped->request;

    for (size_t i = 0; i < runnable->file_count; i++)
        helper_request_file(request, runnable->files[i].name, runnable->files[i].data,
                            runnable->files[i].size, runnable->files[i].executable);
    for (size_t i = 0; i < runnable->return_count; i++) {
        const struct runnable_return *file = &runnable->returns[i];

        helper_request_return(request, file->name, file->variable, file->max_bytes, file->live);
        helper_reply_expect(&helped->reply, file->max_bytes);
    }
}

int helped_request(struct helped *helped, const struct helped_how *how, struct err *err)
{
    const struct runnable *runnable = helped->runnable;
    const char *workdir = runnable->workdir ? runnable->workdir : how->workdir;
    CLEANUP_FREE char *directory = xasprintf(".runner-%s", runnable->id);
    struct buf *request = &helped->request;

    helper_request_begin(request);
    add_arguments(helped, how);
    if (how->environment)
        helper_request_env(request, how->environment);
    if (runnable->environment && !how->bare)
        helper_request_env(request, runnable->environment);
    if (workdir)
        helper_request_string(request, HELPER_CWD, workdir);
    if (helped->not_found)
        helper_request_string(request, HELPER_NOT_FOUND, helped->not_found);
    if (runnable->tty)
        helper_request_string(request, HELPER_TTY, "");
    if (how->deadline_ms > 0)
        helper_request_deadline(request, how->deadline_ms, runnable->grace_ms);
    helper_request_string(request, HELPER_MARK, helped->reply.mark);
    helper_request_string(request, HELPER_DIRECTORY, directory);
    add_files(helped);
    return helper_request_end(request, err);
}

void helped_begun(struct helped *helped)
{
    if (helped->begun)
        return;
    helped->begun = true;
    if (helped->output->started)
        helped->output->started(helped->output);
}

/* --- what comes back --- */

static int write_stdout(void *arg, const char *data, size_t len, struct err *err)
{
    struct helped *helped = arg;

    (void)err;
    helped->output->write(helped->output, helped->ctx, OUTPUT_STDOUT, data, len);
    return 0;
}

static int write_stderr(void *arg, const char *data, size_t len, struct err *err)
{
    struct helped *helped = arg;

    (void)err;
    if (helped->head_len + len <= HELPED_HEAD_SIZE)
        memcpy(helped->head + helped->head_len, data, len);
    helped->head_len += len;
    helped->output->write(helped->output, helped->ctx, OUTPUT_STDERR, data, len);
    return 0;
}

int helped_feed(struct helped *helped, enum helper_stream stream, const char *data, size_t len,
                struct err *err)
{
    return helper_reply_feed(&helped->reply, stream, data, len,
                             stream == HELPER_STDOUT ? write_stdout : write_stderr, helped, err);
}

int helped_flush(struct helped *helped, struct err *err)
{
    if (helper_reply_flush(&helped->reply, HELPER_STDOUT, write_stdout, helped, err) < 0)
        return -1;
    return helper_reply_flush(&helped->reply, HELPER_STDERR, write_stderr, helped, err);
}

/* A line of the helper's own about a program that could not be run is the detail. */
static void record_message(const struct helped *helped, struct exit_record *ret)
{
    const char *not_found = helped->not_found;
    size_t len = helped->head_len;
    bool own;

    if (len == 0 || len > HELPED_HEAD_SIZE || len > sizeof(ret->detail) ||
        helped->head[len - 1] != '\n')
        return;
    len--;
    own = len > strlen(HELPER_MESSAGE_PREFIX) &&
          memcmp(helped->head, HELPER_MESSAGE_PREFIX, strlen(HELPER_MESSAGE_PREFIX)) == 0;
    if (!own && not_found)
        own = strlen(not_found) == len && memcmp(helped->head, not_found, len) == 0;
    if (own && !memchr(helped->head, '\n', len)) {
        memcpy(ret->detail, helped->head, len);
        ret->detail[len] = '\0';
    }
}

void helped_record(const struct helped *helped, int code, struct exit_record *ret)
{
    *ret = (struct exit_record){.kind = EXIT_CODE, .code = code};
    if (code == HELPER_EXIT_CANNOT || code == HELPER_EXIT_NOT_FOUND)
        record_message(helped, ret);
}

void helped_record_oom(int64_t limit_bytes, struct exit_record *ret)
{
    static const char text[] = "killed: out of memory";

    ret->reason = REASON_OOM;
    if (limit_bytes > 0 && limit_bytes % (1 << 20) == 0)
        snprintf(ret->detail, sizeof(ret->detail), "%s (limit %lld MiB)", text,
                 (long long)(limit_bytes >> 20));
    else if (limit_bytes > 0)
        snprintf(ret->detail, sizeof(ret->detail), "%s (limit %lld bytes)", text,
                 (long long)limit_bytes);
    else
        snprintf(ret->detail, sizeof(ret->detail), "%s", text);
}

void helped_give_back(struct helped *helped)
{
    if (!helped->output->returned || !helped_done(helped))
        return;
    for (size_t i = 0; i < helped->runnable->return_count; i++) {
        const struct helper_file *file = &helped->reply.files.items[i];

        give_file(helped, i, file->state, file->data.data, file->data.len);
    }
}
