/* run(): one program under one supervisor, watched by one poll loop over its two pipes and the
 * supervisor's socket.
 *
 * The loop is in one of three phases, each bounded by a context of its own:
 *
 *     RUNNING      the caller's context; when it ends: TERM
 *     TERMINATING  the grace; when it ends: KILL
 *     CLOSING      a fixed limit; when it ends there are processes that nobody can kill
 *
 * CLOSING also follows RUNNING directly, once the main process has ended or the supervisor is lost:
 * from then on the result is known and only the tree is waited for.
 *
 * The reader of the output may be slower than the program, or not read at all. While there is no
 * room the pipes are left alone, which holds the program up, but the socket and the contexts are
 * not: a reader never delays a signal, nor the news that the tree has gone. What is in a pipe when
 * its last writer has gone is little, and is taken without asking for room. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fdpass.h"
#include "base/fs.h"
#include "base/logger.h"
#include "base/vec.h"
#include "engine/host/private.h"
#include "engine/host/wire.h"

enum {
    PIPE_BYTES_DEFAULT = 64 * 1024,
    PIPE_BYTES_LARGE = 1024 * 1024,
    TTY_BYTES_MAX = 128 * 1024,
    CLOSING_MS = 10000,
    RETURN_CHUNK_BYTES = 64 * 1024,
};

/* Of a file, to see that it has changed. */
struct seen {
    ino_t inode;
    off_t size;
    struct timespec modified;
};

enum phase { RUNNING, TERMINATING, CLOSING };

struct attempt {
    struct host_place *place;
    const struct runnable *runnable;
    struct output *output;
    const struct ctx *caller;

    struct wire_program program;
    struct strvec argv;
    struct strmap environment; /* with what is added here; empty: the runnable's */
    char *files_dir;
    struct seen *seen; /* of each return: what was given of it last */
    char *chunk;       /* HOST_CHUNK_BYTES; made on first use */

    int supervisor;
    int pipes[2]; /* by output_stream; -1 after their end */
    int tty;      /* the program's side of the terminal that pipes[0] is then; -1: none */
    bool large[2];
    struct wire_reply reply; /* as far as it has come */
    size_t reply_len;

    int64_t started_ms; /* monotonic */
    enum phase phase;
    struct ctx phase_ctx; /* of TERMINATING and CLOSING */
    bool exited;          /* record is complete */
    bool gone;            /* the supervisor has nothing left below it */
    bool lost;            /* the supervisor has gone itself */
    struct exit_record record;
};

/* In a->files_dir, for the program's user. */
static int create_file(const struct attempt *a, const char *name, mode_t mode, struct err *err)
{
    CLEANUP_FREE char *path = fs_join(a->files_dir, name);
    int fd;

    if (strchr(name, '/'))
        return err_set(err, ERR_INVALID, "file name \"%s\" holds a slash", name);
    fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
    if (fd < 0)
        return err_errno(err, "cannot create %s", path);
    if (a->program.has_user && fchown(fd, a->program.user.uid, a->program.user.gid) < 0) {
        err_errno(err, "cannot give %s to the step's user", path);
        close(fd);
        return -1;
    }
    return fd;
}

static int write_file(const struct attempt *a, const struct runnable_file *file, struct err *err)
{
    CLEANUP_FD int fd = create_file(a, file->name, file->executable ? 0700 : 0600, err);

    return fd < 0 ? -1 : fs_write_all(fd, file->data, file->size, err);
}

static int make_return(const struct attempt *a, const struct runnable_return *file, struct err *err)
{
    CLEANUP_FD int fd = create_file(a, file->name, 0600, err);

    return fd < 0 ? -1 : 0;
}

/* The names are for the caller to free. */
static struct host_files files_of(const struct attempt *a)
{
    const struct runnable *r = a->runnable;
    CLEANUP_BUF struct buf names = BUF_INIT;

    for (size_t i = 0; i < r->return_count; i++)
        buf_addf(&names, "%s/", r->returns[i].name);
    return (struct host_files){.dir = a->files_dir,
                               .names = buf_steal(&names),
                               .uid = a->program.has_user ? a->program.user.uid : geteuid(),
                               .gid = a->program.has_user ? a->program.user.gid : getegid()};
}

static char *take_files(const struct attempt *a)
{
    struct host_files wanted = files_of(a);
    char *dir = host_files_take(a->place->instance, &wanted);

    free(wanted.names);
    return dir;
}

static int make_files(struct attempt *a, struct err *err)
{
    const struct runnable *r = a->runnable;
    const char *parent;
    char *dir;

    if (!r->file_count)
        a->files_dir = take_files(a);
    if (a->files_dir)
        return 0;
    parent = own_run_temp_dir(a->place->instance->services->run, err);
    if (!parent)
        return -1;
    dir = xasprintf("%s/step-XXXXXX", parent);
    if (!mkdtemp(dir)) {
        err_errno(err, "cannot create a directory in %s", parent);
        free(dir);
        return -1;
    }
    a->files_dir = dir;
    for (size_t i = 0; i < r->file_count; i++) {
        if (write_file(a, &r->files[i], err) < 0)
            return -1;
    }
    for (size_t i = 0; i < r->return_count; i++) {
        if (make_return(a, &r->returns[i], err) < 0)
            return -1;
    }
    /* Last: until here only we may touch it. */
    if (a->program.has_user && chown(dir, a->program.user.uid, a->program.user.gid) < 0)
        return err_errno(err, "cannot give %s to the step's user", dir);
    return 0;
}

static int provide_files(struct attempt *a, struct err *err)
{
    const struct runnable *r = a->runnable;

    if (r->placed_count)
        return err_set(err, ERR_UNSUPPORTED, "%s can only be brought into a container",
                       r->placed->path);
    if (!r->file_count && !r->return_count)
        return 0;
    if (make_files(a, err) < 0)
        return -1;
    if (r->return_count) {
        strmap_merge(&a->environment, r->environment);
        a->seen = xcalloc(r->return_count, sizeof(*a->seen));
    }
    for (size_t i = 0; i < r->return_count; i++)
        strmap_setf(&a->environment, r->returns[i].variable, "%s/%s", a->files_dir,
                    r->returns[i].name);
    return 0;
}

static void drop_files(struct attempt *a)
{
    struct host_files files;
    struct err err = ERR_INIT;

    if (!a->files_dir)
        return;
    files = files_of(a);
    if (a->gone && !a->runnable->file_count && host_files_give_back(a->place->instance, &files))
        return;
    free(files.names);
    if (fs_remove_tree(a->files_dir, &err) < 0)
        a->output->note(a->output, err.message);
    free(a->files_dir);
}

/* The program may have put anything in the place of the file: what it links to, a device or a
 * named pipe is not read. */
static enum returned_state read_return(const struct attempt *a, const struct runnable_return *file,
                                       struct buf *data)
{
    CLEANUP_FREE char *path = fs_join(a->files_dir, file->name);
    CLEANUP_FD int fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    struct stat status;
    ssize_t got;

    if (fd < 0 && errno == ENOENT)
        return RETURNED_WHOLE;
    if (fd < 0 || fstat(fd, &status) < 0 || !S_ISREG(status.st_mode))
        return RETURNED_UNREADABLE;
    /* Another user's: a hard link, to what the program itself could not read. */
    if (a->program.has_user && status.st_uid != a->program.user.uid)
        return RETURNED_UNREADABLE;
    while (data->len <= file->max_bytes) {
        size_t left = file->max_bytes + 1 - data->len;
        size_t most = left < RETURN_CHUNK_BYTES ? left : RETURN_CHUNK_BYTES;

        buf_reserve(data, most);
        got = read(fd, data->data + data->len, most);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return RETURNED_UNREADABLE;
        if (got == 0)
            return RETURNED_WHOLE;
        data->len += (size_t)got;
    }
    data->len = file->max_bytes;
    return RETURNED_TRUNCATED;
}

/* When nothing of the program writes any more. */
static void give_back(struct attempt *a)
{
    const struct runnable *r = a->runnable;

    for (size_t i = 0; a->output->returned && i < r->return_count; i++) {
        CLEANUP_BUF struct buf data = BUF_INIT;
        enum returned_state state = read_return(a, &r->returns[i], &data);

        a->output->returned(a->output, &r->returns[i], state, data.data,
                            state == RETURNED_UNREADABLE ? 0 : data.len);
    }
}

static bool has_changed(const struct attempt *a, size_t index)
{
    CLEANUP_FREE char *path = fs_join(a->files_dir, a->runnable->returns[index].name);
    struct seen *seen = &a->seen[index];
    struct stat status;

    if (lstat(path, &status) < 0 || (!status.st_size && !seen->size))
        return false;
    if (seen->inode == status.st_ino && seen->size == status.st_size &&
        seen->modified.tv_sec == status.st_mtim.tv_sec &&
        seen->modified.tv_nsec == status.st_mtim.tv_nsec)
        return false;
    *seen = (struct seen){status.st_ino, status.st_size, status.st_mtim};
    return true;
}

/* What the program has written to them it wrote before what has been read of its output now. */
static void give_live(struct attempt *a)
{
    const struct runnable *r = a->runnable;

    for (size_t i = 0; a->output->returned && i < r->return_count; i++) {
        CLEANUP_BUF struct buf data = BUF_INIT;
        enum returned_state state;

        if (!r->returns[i].live || !has_changed(a, i))
            continue;
        state = read_return(a, &r->returns[i], &data);
        if (state != RETURNED_UNREADABLE)
            a->output->returned(a->output, &r->returns[i], state, data.data, data.len);
    }
}

static int describe_program(struct attempt *a, struct err *err)
{
    const struct runnable *r = a->runnable;
    const size_t marker = strlen(RUNNABLE_FILES);

    a->program.cwd = r->workdir ? r->workdir : a->place->workspace;
    a->program.has_tty = r->tty;
    if (r->user) {
        if (process_user_lookup(r->user, &a->program.user, err) < 0)
            return -1;
        a->program.has_user = true;
    }
    if (provide_files(a, err) < 0)
        return -1;
    for (const char *const *arg = r->argv; *arg; arg++) {
        if (a->files_dir && strncmp(*arg, RUNNABLE_FILES, marker) == 0)
            strvec_pushf(&a->argv, "%s/%s", a->files_dir, *arg + marker);
        else
            strvec_push(&a->argv, *arg);
    }
    a->program.argv = (const char **)a->argv.items;
    return 0;
}

static int open_pipes(struct attempt *a, int theirs[2], struct err *err)
{
    for (int i = 0; i < 2; i++) {
        int ends[2];

        if (pipe2(ends, O_CLOEXEC) < 0)
            return err_errno(err, "cannot make a pipe for the output of \"%s\"", a->runnable->name);
        a->pipes[i] = ends[0];
        theirs[i] = ends[1];
        if (fcntl(ends[0], F_SETFL, O_NONBLOCK) < 0)
            return err_errno(err, "cannot make a pipe non-blocking");
    }
    return 0;
}

/* Lines end as the program ends them, and nothing is echoed. */
static void set_tty_modes(int fd)
{
    static const struct winsize window = {.ws_row = 24, .ws_col = 80};
    struct termios modes;

    if (tcgetattr(fd, &modes) == 0) {
        modes.c_oflag &= ~(tcflag_t)OPOST;
        modes.c_lflag &= ~(tcflag_t)ECHO;
        tcsetattr(fd, TCSANOW, &modes);
    }
    ioctl(fd, TIOCSWINSZ, &window);
}

/* A terminal in place of the pipes. Our own descriptor of the program's side stays, so that the
 * terminal has no end before the step has: else a program that closes its output was hung up. */
static int open_tty(struct attempt *a, int theirs[2], struct err *err)
{
    int unlocked = 0;
    int master = posix_openpt(O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);

    a->pipes[OUTPUT_STDOUT] = master;
    if (master >= 0 && ioctl(master, TIOCSPTLCK, &unlocked) == 0)
        a->tty = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (a->tty >= 0) {
        theirs[0] = fcntl(a->tty, F_DUPFD_CLOEXEC, 3);
        theirs[1] = fcntl(a->tty, F_DUPFD_CLOEXEC, 3);
    }
    if (theirs[0] < 0 || theirs[1] < 0)
        return err_errno(err, "cannot make a terminal for \"%s\"", a->runnable->name);
    if (a->program.has_user && fchown(a->tty, a->program.user.uid, (gid_t)-1) < 0)
        return err_errno(err, "cannot give the terminal to the step's user");
    set_tty_modes(a->tty);
    return 0;
}

/* Sends all of it, and the descriptors (may be none) with its first byte. */
static int send_request(const struct ctx *ctx, int socket, enum wire_request request,
                        const struct buf *payload, const int *fds, size_t fd_count, struct err *err)
{
    struct wire_header header = {.request = request, .size = (uint32_t)payload->len};
    struct iovec parts[] = {{.iov_base = &header, .iov_len = sizeof(header)},
                            {.iov_base = payload->data, .iov_len = payload->len}};

    while (parts[0].iov_len + parts[1].iov_len > 0) {
        struct pollfd ready = {.fd = socket, .events = POLLOUT};
        ssize_t sent = fdpass_send(socket, parts, 2, fds, fd_count, MSG_DONTWAIT);

        if (sent < 0 && errno != EAGAIN)
            return err_set(err, ERR_LOST, "the supervisor does not answer: %s", strerror(errno));
        if (sent < 0) {
            if (ctx_poll(ctx, &ready, 1, -1, err) < 0)
                return -1;
            continue;
        }
        fd_count = 0;
        for (int i = 0; i < 2; i++) {
            size_t part = (size_t)sent < parts[i].iov_len ? (size_t)sent : parts[i].iov_len;

            parts[i].iov_base = (char *)parts[i].iov_base + part;
            parts[i].iov_len -= part;
            sent -= (ssize_t)part;
        }
    }
    return 0;
}

/* An idle supervisor may have died since it was last used: then the next one gets the request. Only
 * a fresh one's failure counts. */
static int hand_over(struct attempt *a, const int theirs[2], struct err *err)
{
    CLEANUP_BUF struct buf payload = BUF_INIT;

    if (wire_encode(&a->program, a->environment.len ? &a->environment : a->runnable->environment,
                    &payload, err) < 0)
        return -1;
    for (;;) {
        bool fresh;
        struct err why = ERR_INIT;
        int socket = host_supervisor_take(a->caller, a->place->instance, &fresh, err);

        if (socket < 0)
            return -1;
        if (send_request(a->caller, socket, WIRE_RUN, &payload, theirs, WIRE_FDS, &why) == 0) {
            a->supervisor = socket;
            return 0;
        }
        close(socket);
        if (fresh || why.code != ERR_LOST)
            return err_set(err, why.code, "%s", why.message);
    }
}

static int start(struct attempt *a, struct err *err)
{
    int theirs[2] = {-1, -1};
    int result = a->runnable->tty ? open_tty(a, theirs, err) : open_pipes(a, theirs, err);

    if (result == 0)
        result = hand_over(a, theirs, err);
    for (int i = 0; i < 2; i++) {
        if (theirs[i] >= 0)
            close(theirs[i]);
    }
    return result;
}

static const struct ctx *phase_ctx(const struct attempt *a)
{
    return a->phase == RUNNING ? a->caller : &a->phase_ctx;
}

static void enter_closing(struct attempt *a)
{
    a->phase = CLOSING;
    ctx_init_cleanup(&a->phase_ctx, CLOSING_MS);
}

/* Takes what has come, at most `most` bytes; returns how many. */
static size_t pump(struct attempt *a, enum output_stream stream, size_t most)
{
    ssize_t got;

    if (a->pipes[stream] < 0)
        return 0;
    if (!a->chunk)
        a->chunk = atomic_exchange(&a->place->chunk, NULL);
    if (!a->chunk)
        a->chunk = xmalloc(HOST_CHUNK_BYTES);
    do {
        got = read(a->pipes[stream], a->chunk, most < HOST_CHUNK_BYTES ? most : HOST_CHUNK_BYTES);
    } while (got < 0 && errno == EINTR);
    if (got < 0 && errno == EAGAIN)
        return 0;
    if (got <= 0) {
        close(steal_fd(&a->pipes[stream]));
        return 0;
    }
    /* Memory for a large pipe only where it is used: a user's total is limited by the kernel, and
     * a refusal does not matter. */
    if (got >= PIPE_BYTES_DEFAULT && !a->large[stream]) {
        a->large[stream] = true;
        fcntl(a->pipes[stream], F_SETPIPE_SZ, PIPE_BYTES_LARGE);
    }
    give_live(a);
    a->output->write(a->output, NULL, stream, a->chunk, (size_t)got);
    return (size_t)got;
}

static int room_fd(const struct attempt *a)
{
    return a->output->room_fd ? a->output->room_fd(a->output) : -1;
}

/* Once the tree has gone everything that it printed is in the pipes: what comes later is not its
 * own, even if somebody outside of the tree holds them open and goes on writing. */
static void pump_rest(struct attempt *a)
{
    for (int i = 0; i < 2; i++) {
        int left = 0;
        size_t got;

        if (a->pipes[i] < 0 || ioctl(a->pipes[i], FIONREAD, &left) < 0)
            continue;
        if (a->tty >= 0)
            left = TTY_BYTES_MAX; /* it does not count what is on its way between the two sides */
        while (left > 0 && (got = pump(a, (enum output_stream)i, (size_t)left)) > 0)
            left -= (int)got;
    }
}

/* Steps that print little are held up by a slow reader here, as long as they may last. */
static void wait_for_room(const struct attempt *a)
{
    struct pollfd room = {.fd = room_fd(a), .events = POLLIN};

    if (room.fd >= 0 && ctx_poll(a->caller, &room, 1, -1, NULL) < 0)
        return; /* the result stays what it is */
}

static void set_exit_record(struct exit_record *record, int status)
{
    *record = (struct exit_record){.kind = EXIT_CODE};
    if (!WIFSIGNALED(status)) {
        record->code = WEXITSTATUS(status);
        return;
    }
    record->kind = EXIT_SIGNAL;
    record->signal = WTERMSIG(status);
    record->code = 128 + record->signal;
    if (record->signal == SIGKILL)
        snprintf(record->detail, sizeof(record->detail),
                 "killed by signal 9, which the runner did not send; the kernel does so when "
                 "memory runs out");
    else
        snprintf(record->detail, sizeof(record->detail), "killed by signal %d (%s)%s",
                 record->signal, strsignal(record->signal),
                 WCOREDUMP(status) ? ", core dumped" : "");
}

/* Of a program that could not be started: a result, as from a shell, if the program itself is at
 * fault, else an error. */
static int set_failed_record(struct attempt *a, struct err *err)
{
    const struct wire_reply *reply = &a->reply;

    a->gone = true;
    if (!reply->exec_failed) {
        err_set(err, (enum err_code)reply->code, "%.*s", (int)sizeof(reply->message),
                reply->message);
        if (err)
            err->errnum = reply->errnum;
        return -1;
    }
    a->exited = true;
    a->record =
        (struct exit_record){.kind = EXIT_CODE, .code = reply->code == ERR_NOT_FOUND ? 127 : 126};
    snprintf(a->record.detail, sizeof(a->record.detail), "%.*s", (int)sizeof(a->record.detail) - 1,
             reply->message);
    return 0;
}

static void set_lost_record(struct attempt *a)
{
    a->lost = true;
    if (a->phase != CLOSING)
        enter_closing(a);
    if (a->exited)
        return;
    a->record = (struct exit_record){.kind = EXIT_LOST, .reason = REASON_LOST};
    snprintf(a->record.detail, sizeof(a->record.detail),
             "the process that supervises the step has died; how the step ended is not known");
}

static int take_reply(struct attempt *a, struct err *err)
{
    a->reply_len = 0;
    switch ((enum wire_answer)a->reply.answer) {
    case WIRE_FAILED:
        return set_failed_record(a, err);
    case WIRE_EXITED:
        a->exited = true;
        set_exit_record(&a->record, a->reply.status);
        log_debug("host", "%s: process %d ended after %lld ms with code %d", a->runnable->id,
                  a->reply.pid, (long long)(clock_monotonic_ms() - a->started_ms), a->record.code);
        if (a->phase == RUNNING)
            enter_closing(a);
        return 0;
    case WIRE_GONE:
        a->gone = true;
        return 0;
    }
    return err_set(err, ERR_PROTOCOL, "the supervisor gave answer %u", (unsigned)a->reply.answer);
}

/* Takes all that the supervisor has said so far. */
static int receive(struct attempt *a, struct err *err)
{
    while (!a->gone && !a->lost) {
        ssize_t got = recv(a->supervisor, (char *)&a->reply + a->reply_len,
                           sizeof(a->reply) - a->reply_len, MSG_DONTWAIT);

        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0 && errno == EAGAIN)
            return 0;
        if (got <= 0) {
            set_lost_record(a);
            return 0;
        }
        a->reply_len += (size_t)got;
        if (a->reply_len == sizeof(a->reply) && take_reply(a, err) < 0)
            return -1;
    }
    return 0;
}

static void request(struct attempt *a, enum wire_request what)
{
    const struct buf nothing = BUF_INIT;

    log_debug("host", "%s: %s to the whole tree", a->runnable->id,
              what == WIRE_TERM ? "SIGTERM" : "SIGKILL");
    /* A supervisor that cannot be reached is noticed by its socket's end. */
    if (!a->lost && send_request(phase_ctx(a), a->supervisor, what, &nothing, NULL, 0, NULL) < 0)
        return;
}

/* The context of the phase has ended. Returns whether there is another phase. */
static bool escalate(struct attempt *a)
{
    if (a->phase == RUNNING) {
        ctx_init_grace(&a->phase_ctx, a->caller, a->runnable->grace_ms);
        a->phase = TERMINATING;
        request(a, WIRE_TERM);
        return true;
    }
    if (a->phase == TERMINATING) {
        enter_closing(a);
        request(a, WIRE_KILL);
        return true;
    }
    return false;
}

/* One wait and what follows from it; -1 when the phase's context ended or on an error. */
static int attend(struct attempt *a, struct err *err)
{
    int room = room_fd(a);
    short wanted = room < 0 ? POLLIN : 0; /* POLLHUP, the last writer's end, comes all the same */
    struct pollfd fds[] = {{.fd = a->pipes[OUTPUT_STDOUT], .events = wanted},
                           {.fd = a->pipes[OUTPUT_STDERR], .events = wanted},
                           {.fd = a->lost ? -1 : a->supervisor, .events = POLLIN},
                           {.fd = room, .events = POLLIN}};

    if (ctx_poll(phase_ctx(a), fds, 4, -1, err) < 0)
        return -1;
    for (int i = 0; i < 2; i++) {
        if (fds[i].revents)
            pump(a, (enum output_stream)i, HOST_CHUNK_BYTES);
    }
    return fds[2].revents ? receive(a, err) : 0;
}

static bool finished(const struct attempt *a)
{
    return a->gone || (a->lost && a->pipes[0] < 0 && a->pipes[1] < 0);
}

/* Until the tree has gone. */
static int watch(struct attempt *a, struct err *err)
{
    struct err ended = ERR_INIT; /* why the caller's context ended */
    bool killed = true;

    while (!finished(a)) {
        struct err why = ERR_INIT;
        bool running = a->phase == RUNNING;

        if (attend(a, &why) == 0)
            continue;
        if (why.code != ERR_TIMEOUT && why.code != ERR_CANCELLED)
            return err_set(err, why.code, "%s", why.message);
        if (running)
            ended = why;
        killed = escalate(a);
        if (!killed)
            break;
    }
    pump_rest(a);
    wait_for_room(a);
    if (!killed)
        a->output->note(a->output, "processes of this step could not be killed and are left");
    if (a->exited || a->gone)
        give_back(a);
    if (ended.code != ERR_NONE)
        return err_set(err, ended.code, "%s", ended.message);
    if (!a->exited && !a->lost)
        return err_set(err, ERR_LOST, "the step's processes could not be killed");
    return 0;
}

static void release(struct attempt *a)
{
    /* One that has not finished goes on killing by itself when its socket closes. */
    if (a->supervisor >= 0 && a->gone)
        host_supervisor_give_back(a->place->instance, a->supervisor);
    else if (a->supervisor >= 0)
        close(a->supervisor);
    for (int i = 0; i < 2; i++) {
        if (a->pipes[i] >= 0)
            close(a->pipes[i]);
    }
    if (a->tty >= 0)
        close(a->tty);
    drop_files(a);
    if (a->chunk)
        free(atomic_exchange(&a->place->chunk, a->chunk));
    free(a->seen);
    strmap_release(&a->environment);
    strvec_release(&a->argv);
}

int host_run(const struct ctx *ctx, struct place *place, const struct runnable *runnable,
             struct output *output, struct exit_record *ret, struct err *err)
{
    struct attempt a = {.place = (struct host_place *)place,
                        .runnable = runnable,
                        .output = output,
                        .caller = ctx,
                        .started_ms = clock_monotonic_ms(),
                        .supervisor = -1,
                        .pipes = {-1, -1},
                        .tty = -1};
    int result = ctx_check(ctx, err);

    if (result == 0)
        result = describe_program(&a, err);
    if (result == 0)
        result = start(&a, err);
    if (result == 0 && output->started)
        output->started(output);
    if (result == 0)
        result = watch(&a, err);
    release(&a);
    if (result == 0 || a.exited)
        *ret = a.record;
    return result;
}
