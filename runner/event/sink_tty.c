#include "event/sink_tty.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/logger.h"
#include "event/live.h"
#include "event/sink_plain.h"

enum { FRAME_MS = 100, CLOCK_MS = 1000, ROWS_DEFAULT = 24, COLUMNS_DEFAULT = 80 };

struct sink_tty {
    struct event_sink sink;
    struct event_bus *bus; /* its lock guards `live` */
    struct output_queue *queue;
    struct live *live;
    struct sink_plain plain; /* for standard output that goes elsewhere */
    bool stdout_elsewhere;
    struct live_size size; /* the thread's */
    int64_t drawn_ms;      /* the thread's: when the last frame was made */
    int room_fd;
    atomic_bool full;
    pthread_mutex_t said_mu;
    struct buf said; /* guarded by said_mu: diagnostic messages */
    int signal_fd;
    int stop_fd;
    pthread_t thread;
};

bool sink_tty_possible(void)
{
    const char *term = getenv("TERM");

    return isatty(STDERR_FILENO) && term && *term && strcmp(term, "dumb") != 0;
}

static void signal_set(sigset_t *set)
{
    sigemptyset(set);
    sigaddset(set, SIGWINCH);
    sigaddset(set, SIGCONT);
}

void sink_tty_block_signals(void)
{
    sigset_t set;

    signal_set(&set);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
}

static struct live_size terminal_size(void)
{
    struct winsize size;

    if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) < 0 || !size.ws_row || !size.ws_col)
        return (struct live_size){ROWS_DEFAULT, COLUMNS_DEFAULT};
    return (struct live_size){size.ws_row, size.ws_col};
}

/* By the first of the variables that say so, as setlocale() has it. */
static bool terminal_is_utf8(void)
{
    static const char *const names[] = {"LC_ALL", "LC_CTYPE", "LANG"};

    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
        const char *value = getenv(names[i]);

        if (value && *value)
            return strcasestr(value, "utf-8") || strcasestr(value, "utf8");
    }
    return false;
}

/* Whether standard output is not the terminal that standard error is. */
static bool stdout_is_elsewhere(void)
{
    struct stat out;
    struct stat err;

    return fstat(STDOUT_FILENO, &out) < 0 || fstat(STDERR_FILENO, &err) < 0 ||
           !isatty(STDOUT_FILENO) || out.st_dev != err.st_dev || out.st_ino != err.st_ino;
}

/* --- the sink --- */

static void handle(struct event_sink *sink, const struct event *event)
{
    struct sink_tty *tty = (struct sink_tty *)sink;
    eventfd_t ignored;

    if (event->type == EVENT_LOG && event->stream == EVENT_STDOUT && tty->stdout_elsewhere)
        tty->plain.sink.handle(&tty->plain.sink, event);
    live_take(tty->live, event);
    if (!atomic_load(&tty->full) && live_waiting(tty->live) >= LIVE_ABOVE_MARK) {
        eventfd_read(tty->room_fd, &ignored);
        atomic_store(&tty->full, true);
    }
}

static int room_fd(struct event_sink *sink)
{
    struct sink_tty *tty = (struct sink_tty *)sink;

    return atomic_load(&tty->full) ? tty->room_fd : output_queue_room_fd(tty->queue);
}

/* Takes a diagnostic message, from any thread. */
static void say(void *arg, const char *line, size_t size)
{
    struct sink_tty *tty = arg;

    pthread_mutex_lock(&tty->said_mu);
    buf_add(&tty->said, line, size);
    pthread_mutex_unlock(&tty->said_mu);
}

/* --- the thread --- */

static bool take_said(struct sink_tty *tty)
{
    bool some;

    pthread_mutex_lock(&tty->said_mu);
    some = tty->said.len > 0;
    live_say(tty->live, tty->said.data, tty->said.len);
    buf_reset(&tty->said);
    pthread_mutex_unlock(&tty->said_mu);
    return some;
}

/* False: nothing can be drawn now. */
static bool draw(struct sink_tty *tty, bool moved)
{
    CLEANUP_BUF struct buf frame = BUF_INIT;
    struct live_size size = terminal_size();
    bool resized = size.rows != tty->size.rows || size.columns != tty->size.columns;
    int64_t now_ms = clock_monotonic_ms();

    /* A terminal that is stopped gets nothing but what it has to. */
    if (output_queue_unwritten(tty->queue) > 0)
        return false;
    pthread_mutex_lock(&tty->bus->mu);
    if (moved)
        live_forget(tty->live);
    if (take_said(tty) || resized || live_has_news(tty->live) ||
        now_ms / CLOCK_MS != tty->drawn_ms / CLOCK_MS) {
        live_frame(tty->live, size, now_ms, &frame);
        output_queue_add(tty->queue, STDERR_FILENO, frame.data, frame.len);
        tty->size = size;
        tty->drawn_ms = now_ms;
        if (atomic_load(&tty->full)) {
            atomic_store(&tty->full, false);
            eventfd_write(tty->room_fd, 1);
        }
    }
    pthread_mutex_unlock(&tty->bus->mu);
    return true;
}

/* Reads what signals came; true if the program has been stopped meanwhile. */
static bool was_stopped(const struct sink_tty *tty)
{
    struct signalfd_siginfo info;
    bool stopped = false;

    while (read(tty->signal_fd, &info, sizeof(info)) == sizeof(info))
        stopped = stopped || info.ssi_signo == SIGCONT;
    return stopped;
}

static void *tty_main(void *arg)
{
    struct sink_tty *tty = arg;
    struct pollfd stop = {.fd = tty->stop_fd, .events = POLLIN};
    bool moved = false;

    cells_begin_thread();
    while (poll(&stop, 1, FRAME_MS) >= 0 || errno == EINTR) {
        if (stop.revents)
            break;
        moved = was_stopped(tty) || moved;
        if (draw(tty, moved))
            moved = false;
    }
    return NULL;
}

static int open_fds(struct sink_tty *tty, struct err *err)
{
    sigset_t set;

    signal_set(&set);
    tty->room_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    tty->stop_fd = eventfd(0, EFD_CLOEXEC);
    tty->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (tty->room_fd < 0 || tty->stop_fd < 0 || tty->signal_fd < 0)
        return err_errno(err, "cannot start the display");
    return 0;
}

static void release(struct sink_tty *tty)
{
    cleanup_fd(&tty->room_fd);
    cleanup_fd(&tty->stop_fd);
    cleanup_fd(&tty->signal_fd);
    live_free(tty->live);
    buf_release(&tty->said);
    pthread_mutex_destroy(&tty->said_mu);
    free(tty);
}

int sink_tty_start(const struct sink_tty_options *options, struct sink_tty **ret, struct err *err)
{
    struct sink_tty *tty = xcalloc(1, sizeof(*tty));
    const struct cells_look look = {options->color, terminal_is_utf8()};
    struct live_options live = {.look = look, .timestamps = options->timestamps};

    live.stdout_elsewhere = tty->stdout_elsewhere = stdout_is_elsewhere();
    tty->sink = (struct event_sink){.handle = handle, .room_fd = room_fd};
    tty->bus = options->bus;
    tty->queue = options->queue;
    tty->live = live_new(&live);
    tty->said = (struct buf)BUF_INIT;
    pthread_mutex_init(&tty->said_mu, NULL);
    sink_plain_init(&tty->plain, options->queue, false, options->timestamps);
    if (open_fds(tty, err) < 0) {
        release(tty);
        return -1;
    }
    if ((errno = pthread_create(&tty->thread, NULL, tty_main, tty))) {
        release(tty);
        return err_errno(err, "cannot start the display");
    }
    logger_set_outlet(say, tty);
    *ret = tty;
    return 0;
}

struct event_sink *sink_tty_sink(struct sink_tty *tty)
{
    return &tty->sink;
}

void sink_tty_finish(struct sink_tty *tty)
{
    CLEANUP_BUF struct buf frame = BUF_INIT;

    if (!tty)
        return;
    eventfd_write(tty->stop_fd, 1);
    pthread_join(tty->thread, NULL);
    logger_set_outlet(NULL, NULL);
    pthread_mutex_lock(&tty->bus->mu);
    take_said(tty);
    live_end(tty->live, terminal_size(), &frame);
    pthread_mutex_unlock(&tty->bus->mu);
    output_queue_add(tty->queue, STDERR_FILENO, frame.data, frame.len);
    release(tty);
}
