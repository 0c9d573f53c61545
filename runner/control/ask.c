#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/json_at.h"
#include "base/json_text.h"
#include "control/control.h"
#include "control/inside.h"
#include "record/record.h"

enum { ANSWER_MAX = 4096, RETRY_MS = 20, TRIES_MAX = 20 };

/* What became of a try. */
enum outcome {
    FAILED = -1,
    ANSWERED = 0,
    AGAIN, /* there was nobody to take it, or to answer */
};

/* Nobody listens: because it has ended, or because nobody ever did. */
static int not_there(const struct record *record, struct err *err)
{
    if (!record_is_written(record))
        return err_set(err, ERR_CONFLICT, "run %s has ended already", record_run_id(record));
    return err_set(err, ERR_UNSUPPORTED,
                   "run %s cannot be asked through %s/" CONTROL_NAME
                   ": its runner is older, or on another machine",
                   record_run_id(record), record_path(record));
}

static enum outcome join(const struct record *record, int *ret_fd, struct err *err)
{
    CLEANUP_FD int dir_fd = open(record_path(record), O_PATH | O_DIRECTORY | O_CLOEXEC);
    CLEANUP_FD int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    struct sockaddr_un address;

    if (dir_fd < 0 && errno == ENOENT)
        return not_there(record, err);
    if (dir_fd < 0 || fd < 0)
        return err_errno(err, "cannot ask run %s", record_run_id(record));
    control_address(dir_fd, &address);
    if (connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0) {
        *ret_fd = steal_fd(&fd);
        return ANSWERED;
    }
    if (errno == EAGAIN || errno == EINTR)
        return AGAIN;
    if (errno == ENOENT || errno == ECONNREFUSED)
        return not_there(record, err);
    return err_errno(err, "cannot ask run %s through %s/" CONTROL_NAME, record_run_id(record),
                     record_path(record));
}

/* 0 if it is a yes. */
static int read_answer(const struct record *record, const char *text, size_t size, struct err *err)
{
    json_t *answer = json_loadb(text, size, 0, NULL);
    bool yes = json_is_true(json_at(answer, "ok"));
    const char *why = json_at_string(answer, "error");
    int result = 0;

    if (!yes)
        result = err_set(err, ERR_PROTOCOL, "run %s does not do what it is asked: %s",
                         record_run_id(record), *why ? why : "its answer cannot be understood");
    json_decref(answer);
    return result;
}

static enum outcome ask_once(const struct ctx *ctx, const struct record *record,
                             const char *request, struct err *err)
{
    CLEANUP_FD int fd = -1;
    struct pollfd ready = {.events = POLLIN};
    enum outcome joined = join(record, &fd, err);
    char answer[ANSWER_MAX];
    ssize_t got;

    if (joined != ANSWERED)
        return joined;
    /* The socket is new and empty: it takes a packet, or nobody reads it any more. */
    if (send(fd, request, strlen(request), MSG_NOSIGNAL) < 0)
        return AGAIN;
    ready.fd = fd;
    if (ctx_poll(ctx, &ready, 1, -1, err) < 0)
        return FAILED;
    got = recv(fd, answer, sizeof(answer), 0);
    if (got <= 0)
        return AGAIN;
    return read_answer(record, answer, (size_t)got, err) < 0 ? FAILED : ANSWERED;
}

/* A run that closes without an answer has ended, or has let go of who was there for the longest
 * time: the request can be made again, as none does more the second time. */
static int ask_record(const struct ctx *ctx, const struct record *record, const char *request,
                      struct err *err)
{
    for (int i = 0; i < TRIES_MAX; i++) {
        enum outcome outcome = ask_once(ctx, record, request, err);

        if (outcome != AGAIN)
            return outcome == ANSWERED ? 0 : -1;
        if (!record_is_written(record))
            return not_there(record, err);
        if (ctx_sleep(ctx, RETRY_MS, err) < 0)
            return -1;
    }
    return err_set(err, ERR_UNAVAILABLE, "run %s does not answer: too many ask it at once",
                   record_run_id(record));
}

static int ask(const struct ctx *ctx, const char *runs_dir, const char *run_id, const char *request,
               struct err *err)
{
    CLEANUP_RECORD struct record *record = NULL;
    CLEANUP_FREE char *label = xasprintf("asking run %s:", run_id);
    struct ctx limited;
    int result;

    if (record_open(runs_dir, run_id, &record, err) < 0)
        return -1;
    ctx_init(&limited, ctx);
    ctx_set_timeout(&limited, CONTROL_ANSWER_MS, label);
    result = ask_record(&limited, record, request, err);
    ctx_release(&limited);
    return result;
}

int control_cancel(const struct ctx *ctx, const char *runs_dir, const char *run_id,
                   const char *reason, const char *by, struct err *err)
{
    CLEANUP_FREE char *short_reason = control_line(reason ? reason : "", CONTROL_REASON_MAX);
    CLEANUP_FREE char *short_by = control_line(by ? by : "", CONTROL_BY_MAX);
    json_t *request = json_object();
    CLEANUP_FREE char *text = NULL;

    json_object_set_new(request, "do", json_string("cancel"));
    json_object_set_new(request, "reason", json_safe_string(short_reason));
    json_object_set_new(request, "by", json_safe_string(short_by));
    text = json_dumps(request, JSON_COMPACT);
    json_decref(request);
    return ask(ctx, runs_dir, run_id, text, err);
}

int control_hurry(const struct ctx *ctx, const char *runs_dir, const char *run_id, struct err *err)
{
    return ask(ctx, runs_dir, run_id, "{\"do\":\"hurry\"}", err);
}
