/* The child is made with vfork(): it borrows the parent's memory until exec, which costs a tenth
 * of copying page tables. The price is that the child may only do system calls: everything it needs
 * is prepared before. User and group are switched by raw system calls, because the C library's
 * wrappers act on all threads. What fails before exec comes back through a pipe that exec closes,
 * which also holds where a sanitizer makes a fork of the vfork. */
#include "base/process.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/fs.h"
#include "base/parse.h"

#ifndef SYS_close_range
#define SYS_close_range 436 /* the same on every architecture; Linux 5.9 */
#endif
#ifndef CLOSE_RANGE_CLOEXEC
#define CLOSE_RANGE_CLOEXEC 4U /* Linux 5.11 */
#endif

#define DEFAULT_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

static const char *env_value(const char *const *envp, const char *key)
{
    size_t len = strlen(key);

    for (; envp && *envp; envp++) {
        if (strncmp(*envp, key, len) == 0 && (*envp)[len] == '=')
            return *envp + len + 1;
    }
    return NULL;
}

/* The path to execute: argv0 itself if it has a slash, else its first executable match in PATH.
 * A relative PATH entry or argv0 is meant from the child's working directory and left to exec. */
static char *resolve_program(const struct process_options *o, struct err *err)
{
    const char *name = o->argv[0];
    const char *path = env_value(o->envp, "PATH");
    CLEANUP_BUF struct buf candidate = BUF_INIT;
    bool denied = false;

    if (strchr(name, '/'))
        return xstrdup(name);
    for (path = path && *path ? path : DEFAULT_PATH; *path;) {
        size_t len = strcspn(path, ":");

        buf_reset(&candidate);
        buf_add(&candidate, path, len);
        buf_addf(&candidate, "%s%s", len ? "/" : "", name);
        if (access(candidate.data, X_OK) < 0)
            denied |= errno == EACCES;
        else if (!fs_is_directory(candidate.data))
            return buf_steal(&candidate);
        path += len + (path[len] == ':');
    }
    err_set(err, denied ? ERR_DENIED : ERR_NOT_FOUND, "%s: %s", name,
            denied ? "permission denied" : "command not found");
    if (err)
        err->errnum = denied ? EACCES : ENOENT;
    return NULL;
}

enum child_step { STEP_NONE, STEP_FDS, STEP_USER, STEP_CWD, STEP_EXEC };

struct child_failure {
    enum child_step step;
    int errnum; /* 0: none, the program runs */
};

static bool switch_user(const struct process_user *user)
{
    return syscall(SYS_setgroups, user->group_count, user->groups) == 0 &&
           syscall(SYS_setresgid, user->gid, user->gid, user->gid) == 0 &&
           syscall(SYS_setresuid, user->uid, user->uid, user->uid) == 0;
}

/* Moves the three descriptors to 0, 1, 2 without one overwriting another. */
static bool place_fds(const int given[3], int null_fd)
{
    int fds[3];

    for (int i = 0; i < 3; i++) {
        fds[i] = given[i] >= 0 ? given[i] : null_fd;
        if (fds[i] < 3) {
            fds[i] = fcntl(fds[i], F_DUPFD_CLOEXEC, 3);
            if (fds[i] < 0)
                return false;
        }
    }
    for (int i = 0; i < 3; i++) {
        if (dup2(fds[i], i) < 0)
            return false;
    }
    return true;
}

static void reset_signals(void)
{
    struct sigaction action = {.sa_handler = SIG_DFL};
    sigset_t none;

    for (int sig = 1; sig < NSIG; sig++)
        sigaction(sig, &action, NULL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

/* Libraries open descriptors that exec would hand on: libcurl its connections. */
static void keep_others_back(void)
{
    long limit;

    if (syscall(SYS_close_range, 3U, ~0U, CLOSE_RANGE_CLOEXEC) == 0)
        return;
    limit = sysconf(_SC_OPEN_MAX); /* before Linux 5.11 */
    for (int fd = 3; fd < limit; fd++)
        fcntl(fd, F_SETFD, FD_CLOEXEC);
}

static void __attribute__((noreturn))
child(const struct process_options *o, const char *program, int null_fd, int failure_fd)
{
    const int fds[3] = {o->stdin_fd, o->stdout_fd, o->stderr_fd};
    struct child_failure failure = {0};
    ssize_t ignored;

    if (failure_fd < 3) /* place_fds() would overwrite it */
        failure_fd = fcntl(failure_fd, F_DUPFD_CLOEXEC, 3);
    if (o->new_session)
        setsid();
    failure.step = STEP_FDS;
    if (!place_fds(fds, null_fd))
        goto failed;
    if (o->controlling_tty && ioctl(STDOUT_FILENO, TIOCSCTTY, 0) < 0)
        goto failed;
    failure.step = STEP_USER;
    if (o->user && !switch_user(o->user))
        goto failed;
    failure.step = STEP_CWD;
    if (o->cwd && chdir(o->cwd) < 0)
        goto failed;
    failure.step = STEP_EXEC;
    reset_signals();
    keep_others_back();
    execve(program, (char *const *)o->argv, (char *const *)o->envp);
failed:
    failure.errnum = errno;
    ignored = write(failure_fd, &failure, sizeof(failure));
    (void)ignored;
    _exit(127);
}

/* Of "NAME=VALUE", as much of it as a message can bear. */
static size_t name_length(const char *variable)
{
    size_t len = strcspn(variable, "=");

    return len < 64 ? len : 64;
}

/* Appends what the kernel found too large: one string, or all of them together.
 * Source: execve(2), "Limits on size of arguments and environment". */
static void add_too_large(const struct process_options *o, struct buf *out)
{
    const size_t string_max = 32 * (size_t)sysconf(_SC_PAGESIZE); /* MAX_ARG_STRLEN */
    const char *const *const lists[] = {o->argv, o->envp};
    CLEANUP_BUF struct buf largest = BUF_INIT;
    size_t largest_size = 0;
    size_t total = 0;

    for (size_t list = 0; list < 2; list++) {
        for (size_t i = 0; lists[list] && lists[list][i]; i++) {
            const char *s = lists[list][i];
            size_t size = strlen(s) + 1;

            total += size + sizeof(char *);
            if (size <= largest_size)
                continue;
            largest_size = size;
            buf_reset(&largest);
            if (lists[list] == o->argv)
                buf_addf(&largest, "argument %zu", i);
            else
                buf_addf(&largest, "the variable %.*s", (int)name_length(s), s);
        }
    }
    if (largest_size > string_max)
        buf_addf(out, ": %s has %zu bytes, at most %zu are possible", largest.data, largest_size,
                 string_max);
    else
        buf_addf(out,
                 ": arguments and environment have %zu bytes, at most %ld are possible; %s "
                 "has the most, %zu",
                 total, sysconf(_SC_ARG_MAX), largest.data, largest_size);
}

static int exec_error(const struct process_options *o, enum err_code code, int errnum,
                      struct err *err)
{
    CLEANUP_BUF struct buf detail = BUF_INIT;

    if (errnum == E2BIG)
        add_too_large(o, &detail);
    return err_set(err, code, "%s: %s%s", o->argv[0],
                   errnum == ENOENT ? "command not found" : strerror(errnum),
                   detail.len ? detail.data : "");
}

static int spawn_error(const struct process_options *o, const struct child_failure *failure,
                       struct err *err)
{
    int errnum = failure->errnum;
    enum err_code code = errnum == ENOENT || errnum == ENOTDIR ? ERR_NOT_FOUND
                         : errnum == EACCES || errnum == EPERM ? ERR_DENIED
                                                               : ERR_SYSTEM;

    switch (failure->step) {
    case STEP_CWD:
        err_set(err, code, "cannot enter the working directory %s: %s", o->cwd, strerror(errnum));
        break;
    case STEP_USER:
        err_set(err, code, "cannot switch to user %u: %s", (unsigned)o->user->uid,
                strerror(errnum));
        break;
    case STEP_EXEC:
        exec_error(o, code, errnum, err);
        break;
    default:
        err_set(err, ERR_SYSTEM, "cannot set up %s: %s", o->argv[0], strerror(errnum));
        break;
    }
    if (err)
        err->errnum = errnum;
    return -1;
}

/* No handler of the parent may run in the child while it shares its memory. */
static pid_t fork_child(const struct process_options *options, const char *program, int null_fd,
                        int failure_fd)
{
    sigset_t all;
    sigset_t before;
    pid_t pid;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    pid = vfork();
    if (pid == 0)
        child(options, program, null_fd, failure_fd);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return pid;
}

/* Starts the child and waits until it has executed the program or said why not. */
static int start_child(const struct process_options *options, const char *program, int null_fd,
                       pid_t *ret_pid, struct child_failure *ret_failure, struct err *err)
{
    int ends[2];

    if (pipe2(ends, O_CLOEXEC) < 0)
        return err_errno(err, "cannot make a pipe");
    *ret_pid = fork_child(options, program, null_fd, ends[1]);
    close(ends[1]);
    if (*ret_pid < 0)
        err_errno(err, "cannot start %s", options->argv[0]);
    while (*ret_pid > 0 && read(ends[0], ret_failure, sizeof(*ret_failure)) < 0 && errno == EINTR)
        ;
    close(ends[0]);
    return *ret_pid < 0 ? -1 : 0;
}

int process_spawn(const struct process_options *options, pid_t *ret_pid, struct err *err)
{
    struct child_failure failure = {0};
    CLEANUP_FREE char *program = resolve_program(options, err);
    CLEANUP_FD int null_fd = -1;
    pid_t pid = -1;

    if (options->ret_exec_failed)
        *options->ret_exec_failed = !program;
    if (!program)
        return -1;
    null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (null_fd < 0)
        return err_errno(err, "cannot open /dev/null");
    if (start_child(options, program, null_fd, &pid, &failure, err) < 0)
        return -1;
    if (failure.errnum) {
        while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
            ;
        if (options->ret_exec_failed)
            *options->ret_exec_failed = failure.step == STEP_EXEC;
        return spawn_error(options, &failure, err);
    }
    *ret_pid = pid;
    return 0;
}

static bool number_id(const char *text, unsigned *ret)
{
    int64_t value;

    if (parse_int64(text, &value, NULL) < 0 || value < 0 || value > UINT32_MAX - 1)
        return false;
    *ret = (unsigned)value;
    return true;
}

enum { ENTRY_BYTES = 16384, ENTRY_MAX_BYTES = 16 << 20 };

/* The gid of a group by its name. Its entry has the names of all members: any size. */
static int group_id(const char *name, gid_t *ret, struct err *err)
{
    struct group entry;
    struct group *found = NULL;
    int error = ERANGE;

    for (size_t size = ENTRY_BYTES; error == ERANGE && size <= ENTRY_MAX_BYTES; size *= 4) {
        CLEANUP_FREE char *space = xmalloc(size);

        error = getgrnam_r(name, &entry, space, size, &found);
    }
    if (error && error != ENOENT && error != ESRCH) { /* so some name services say "no" */
        errno = error;
        return err_errno(err, "cannot look up the group \"%s\"", name);
    }
    if (!found)
        return err_set(err, ERR_NOT_FOUND, "group \"%s\" does not exist on this host", name);
    *ret = entry.gr_gid;
    return 0;
}

int process_user_lookup(const char *text, struct process_user *ret, struct err *err)
{
    const char *colon = strchr(text, ':');
    CLEANUP_FREE char *name = xstrndup(text, colon ? (size_t)(colon - text) : strlen(text));
    struct process_user user = {0};
    struct passwd record;
    struct passwd *found = NULL;
    char space[ENTRY_BYTES];

    if (number_id(name, &user.uid))
        getpwuid_r(user.uid, &record, space, sizeof(space), &found);
    else if (getpwnam_r(name, &record, space, sizeof(space), &found) != 0 || !found)
        return err_set(err, ERR_NOT_FOUND, "user \"%s\" does not exist on this host", name);
    if (found) {
        int count = (int)(sizeof(user.groups) / sizeof(*user.groups));

        user.uid = found->pw_uid;
        user.gid = found->pw_gid;
        if (getgrouplist(found->pw_name, found->pw_gid, user.groups, &count) < 0)
            return err_set(err, ERR_LIMIT, "user \"%s\" is in more than 64 groups", name);
        user.group_count = (size_t)count;
    }
    if (colon && !number_id(colon + 1, &user.gid) && group_id(colon + 1, &user.gid, err) < 0)
        return -1;
    *ret = user;
    return 0;
}

struct exchange {
    const char *input;
    size_t input_len;
    struct buf *output;
    size_t max_output;
    struct buf *err_output;
    int fds[3]; /* our ends: write to stdin, read stdout, read stderr; -1 once closed */
};

static void close_end(int *fd)
{
    close(steal_fd(fd));
}

static int read_end(struct exchange *x, int which, struct buf *into, size_t max, bool cut,
                    struct err *err)
{
    char chunk[8192];
    ssize_t got = read(x->fds[which], chunk, sizeof(chunk));

    if (got < 0 && (errno == EINTR || errno == EAGAIN))
        return 0;
    if (got <= 0) {
        close_end(&x->fds[which]);
        return 0;
    }
    if (into && into->len + (size_t)got > max) {
        if (!cut)
            return err_set(err, ERR_LIMIT, "it printed more than %zu bytes", max);
        got = (ssize_t)(max - into->len);
    }
    if (into)
        buf_add(into, chunk, (size_t)got);
    return 0;
}

static int exchange(const struct ctx *ctx, struct exchange *x, struct err *err)
{
    while (x->fds[1] >= 0 || x->fds[2] >= 0) {
        struct pollfd fds[3] = {{.fd = x->fds[0], .events = POLLOUT},
                                {.fd = x->fds[1], .events = POLLIN},
                                {.fd = x->fds[2], .events = POLLIN}};

        if (ctx_poll(ctx, fds, 3, -1, err) < 0)
            return -1;
        if (fds[0].revents) {
            ssize_t put = write(x->fds[0], x->input, x->input_len);

            if (put > 0) {
                x->input += put;
                x->input_len -= (size_t)put;
            }
            if ((put < 0 && errno != EINTR && errno != EAGAIN) || !x->input_len)
                close_end(&x->fds[0]);
        }
        if (fds[1].revents && read_end(x, 1, x->output, x->max_output, false, err) < 0)
            return -1;
        if (fds[2].revents && read_end(x, 2, x->err_output, 4096, true, err) < 0)
            return -1;
    }
    return 0;
}

/* Returns when the process has ended, or -1 when the context has. */
static int wait_for_end(const struct ctx *ctx, pid_t pid, struct err *err)
{
    CLEANUP_FD int fd = (int)syscall(SYS_pidfd_open, pid, 0);
    struct pollfd end = {.fd = fd, .events = POLLIN};

    /* Before Linux 5.3 one that closes its output and goes on is waited for without a limit. */
    return fd < 0 ? 0 : ctx_poll(ctx, &end, 1, -1, err);
}

static int wait_for(pid_t pid, int *ret_status)
{
    while (waitpid(pid, ret_status, 0) < 0) {
        if (errno != EINTR)
            return -1;
    }
    return 0;
}

int process_run(const struct ctx *ctx, const struct process_options *options, const char *input,
                struct buf *output, size_t max_output, struct buf *err_output, int *ret_status,
                struct err *err)
{
    struct process_options o = *options;
    struct exchange x = {.input = input,
                         .input_len = input ? strlen(input) : 0,
                         .output = output,
                         .max_output = max_output,
                         .err_output = err_output,
                         .fds = {-1, -1, -1}};
    int theirs[3] = {-1, -1, -1};
    pid_t pid = -1;
    int result = -1;
    int status = 0;

    for (int i = 0; i < 3; i++) {
        int ends[2];

        if (pipe2(ends, O_CLOEXEC) < 0) {
            err_errno(err, "cannot make a pipe");
            goto out;
        }
        x.fds[i] = ends[i == 0 ? 1 : 0];
        theirs[i] = ends[i == 0 ? 0 : 1];
        if (fcntl(x.fds[i], F_SETFL, O_NONBLOCK) < 0) {
            err_errno(err, "cannot make a pipe non-blocking");
            goto out;
        }
    }
    o.stdin_fd = theirs[0];
    o.stdout_fd = theirs[1];
    o.stderr_fd = theirs[2];
    o.new_session = true;
    if (process_spawn(&o, &pid, err) < 0)
        goto out;
    for (int i = 0; i < 3; i++)
        close_end(&theirs[i]);
    if (!x.input_len)
        close_end(&x.fds[0]);
    result = exchange(ctx, &x, err);
    if (result == 0 && wait_for_end(ctx, pid, err) < 0)
        result = -1;
    if (result < 0)
        kill(-pid, SIGKILL);
    wait_for(pid, &status);
    if (result == 0)
        *ret_status = status;
out:
    for (int i = 0; i < 3; i++) {
        if (theirs[i] >= 0)
            close(theirs[i]);
        if (x.fds[i] >= 0)
            close(x.fds[i]);
    }
    return result;
}
