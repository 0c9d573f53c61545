/* A run's process, from the fork to its exit status. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/forked.h"
#include "base/fs.h"
#include "base/logger.h"
#include "base/utf8.h"
#include "exec/exec.h"
#include "history/history.h"
#include "launch/inside.h"
#include "record/record.h"

struct launched {
    const struct launcher_options *options;
    const char *run_id;
    int report_fd;
    struct launch_read read;
    bool made_directory;
    struct prepared prepared;
    struct run *run;
};

/* As a program has them that a user starts. */
static void reset_signals(void)
{
    static const int used[] = {SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2};
    sigset_t none;

    for (size_t i = 0; i < sizeof(used) / sizeof(*used); i++)
        signal(used[i], SIG_DFL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

/* Nobody may listen any more; the run is none the worse for it. */
static void report(struct launched *l, enum launch_kind kind, enum err_code code, const char *text)
{
    struct launch_report head = {.kind = kind, .pid = getpid(), .code = code};
    const struct iovec parts[] = {{.iov_base = &head, .iov_len = sizeof(head)},
                                  {.iov_base = (void *)text,
                                   .iov_len =
                                       utf8_valid_prefix(text, strnlen(text, LAUNCH_TEXT_MAX))}};
    const struct msghdr message = {.msg_iov = (struct iovec *)parts, .msg_iovlen = 2};

    memcpy(head.run_id, l->run_id, strlen(l->run_id) + 1);
    while (sendmsg(l->report_fd, &message, MSG_NOSIGNAL) < 0 && errno == EINTR)
        ;
    close(steal_fd(&l->report_fd));
}

/* --- before the record --- */

static int read_request(struct launched *l, int fd, struct err *err)
{
    CLEANUP_BUF struct buf bytes = BUF_INIT;
    struct stat st;

    if (fstat(fd, &st) < 0)
        return err_errno(err, "cannot read what is to be run");
    if (!S_ISREG(st.st_mode) || st.st_size > LAUNCH_REQUEST_MAX)
        return err_set(err, ERR_PROTOCOL, "the launcher got something that is no request");
    buf_reserve(&bytes, (size_t)st.st_size);
    while (bytes.len < (size_t)st.st_size) {
        ssize_t got =
            pread(fd, bytes.data + bytes.len, (size_t)st.st_size - bytes.len, (off_t)bytes.len);

        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return err_errno(err, "cannot read what is to be run");
        bytes.len += (size_t)got;
    }
    return launch_request_read(&bytes, &l->read, err);
}

/* One that is named after the run is its own, although an earlier attempt to begin it has made it.
 */
static bool is_own_directory(const struct launched *l, const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash && strcmp(slash + 1, l->run_id) == 0;
}

static int enter_directory(struct launched *l, struct err *err)
{
    const char *path = l->read.request.directory;

    if (!path)
        return 0;
    l->made_directory = is_own_directory(l, path) || !fs_exists(path);
    if (fs_mkdir_p(path, 0777, err) < 0)
        return err_wrap(err, "cannot make the directory of the run");
    if (chdir(path) < 0)
        return err_errno(err, "cannot use the directory of the run, %s", path);
    return 0;
}

/* -1: errors are in the diagnostics, or in *err. */
static int make_plan(struct launched *l, struct err *err)
{
    const struct launch_request *request = &l->read.request;
    struct prepared *p = &l->prepared;

    p->mask = mask_new();
    if (prepared_text(p, request->args, request->name, request->text, request->size) == 0 &&
        prepared_plan(p, request->args, l->options->run.kinds, err) == 0)
        return 0;
    if (err->code && err->code != ERR_SYSTEM)
        err->code = ERR_INVALID;
    return -1;
}

static char *mask_message(void *mask, const char *text)
{
    return mask_text(mask, text);
}

static int begin_run(struct launched *l, struct err *err)
{
    struct run_options options = l->options->run;
    const struct run_record record = {.history = l->options->history,
                                      .origin = l->read.request.origin,
                                      .user = l->read.request.user,
                                      .source = l->read.request.text,
                                      .source_size = l->read.request.size,
                                      .log_bytes = l->options->log_bytes};

    options.id = l->run_id;
    options.mask = l->prepared.mask;
    logger_set_filter(mask_message, options.mask);
    /* Before the file is recorded. */
    (void)exec_mask_known(l->prepared.plan, options.mask);
    if (run_begin(&options, &l->run, err) < 0)
        return -1;
    return run_record(l->run, &record, err) < 0 ? -1 : run_attend(l->run, err);
}

static int begin(struct launched *l, int request_fd, struct err *err)
{
    int result = read_request(l, request_fd, err);

    close(request_fd);
    if (result < 0 || enter_directory(l, err) < 0 || make_plan(l, err) < 0)
        return -1;
    return begin_run(l, err);
}

enum err_code launch_code(const struct err *why)
{
    return err_is_short(why) ? ERR_UNAVAILABLE : why->code;
}

/* A conflict says that this very run has begun before. There are others. */
static enum err_code code_of(const struct launched *l, const struct err *why)
{
    CLEANUP_FREE char *history = NULL;
    CLEANUP_FREE char *runs = NULL;
    CLEANUP_RECORD struct record *record = NULL;

    if (!why->code)
        return ERR_INVALID;
    if (why->code != ERR_CONFLICT)
        return launch_code(why);
    history = history_dir(l->options->history, NULL);
    runs = history ? fs_join(history, "runs") : NULL;
    return runs && record_open(runs, l->run_id, &record, NULL) == 0 ? ERR_CONFLICT : ERR_SYSTEM;
}

/* What the user wrote is told as it is of a file: with lines, and what is there. */
static void refuse(struct launched *l, const struct err *why)
{
    CLEANUP_BUF struct buf text = BUF_INIT;

    if (why->code) {
        CLEANUP_FREE char *masked = mask_text(l->prepared.mask, why->message);

        buf_addstr(&text, masked ? masked : why->message);
    } else {
        prepared_diagnostics(&l->prepared, &text);
    }
    run_abort(l->run);
    report(l, LAUNCH_REFUSED, code_of(l, why), text.data);
}

/* --- behind it --- */

/* What the run has made: a workdir of exec is treated alike. What is not empty stays after a
 * failure. */
static void leave_directory(const struct launched *l, bool succeeded)
{
    const char *path = l->read.request.directory;
    struct err err = ERR_INIT;

    if (!l->made_directory || l->options->run.keep || chdir("/") < 0)
        return;
    if (!succeeded)
        (void)!rmdir(path);
    else if (fs_remove_tree(path, &err) < 0)
        log_warn("launch", "the directory of run %s could not be removed: %s", l->run_id,
                 err.message);
}

static int execute(struct launched *l)
{
    struct exec_verdict verdict;
    struct err err = ERR_INIT;
    int status;

    run_execute(l->run, l->prepared.plan, &verdict);
    status = run_exit_status(l->run, &verdict);
    leave_directory(l, verdict.state == STATE_SUCCEEDED);
    if (run_end(l->run, status, NULL, &err) < 0)
        log_warn("launch", "run %s is not all recorded: %s", l->run_id, err.message);
    return status;
}

void launch_run(const struct launcher_options *options, const char *run_id, int request_fd,
                int report_fd)
{
    struct launched l = {.options = options,
                         .run_id = run_id,
                         .report_fd = report_fd,
                         .prepared = PREPARED_INIT};
    struct err err = ERR_INIT;
    int status = RUN_EXIT_FAILED;

    setsid();
    reset_signals();
    prctl(PR_SET_NAME, "runner-run");
    if (begin(&l, request_fd, &err) < 0) {
        /* Else it may be that of the run which has begun. */
        if (err.code != ERR_CONFLICT)
            leave_directory(&l, false);
        refuse(&l, &err);
    } else {
        report(&l, LAUNCH_BEGAN, ERR_NONE, "");
        status = execute(&l);
    }
    logger_set_filter(NULL, NULL);
    prepared_release(&l.prepared);
    launch_read_release(&l.read);
    forked_exit(status);
}
