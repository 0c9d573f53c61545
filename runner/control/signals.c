#include "control/signals.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>

#include "base/alloc.h"
#include "base/cleanup.h"

struct signals {
    struct ctx *cancel;
    struct ctx_signal *hurry;
    struct control_server *control;
    int signal_fd;
    int stop_fd;
    pthread_t thread;
    atomic_int first;
};

/* A signal that is ignored, as nohup has it, stays so: blocked, it would be read all the same. */
static void signal_set(sigset_t *set)
{
    static const int watched[] = {SIGINT, SIGTERM, SIGHUP};
    struct sigaction action;

    sigemptyset(set);
    for (size_t i = 0; i < sizeof(watched) / sizeof(*watched); i++) {
        if (sigaction(watched[i], NULL, &action) == 0 && action.sa_handler != SIG_IGN)
            sigaddset(set, watched[i]);
    }
}

void signals_block(void)
{
    sigset_t set;

    signal_set(&set);
    /* A file that may not grow (ulimit) is an error of the write, and not the end of the program.
     */
    sigaddset(&set, SIGXFSZ);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
}

static void take_signal(struct signals *s)
{
    struct signalfd_siginfo info;

    if (read(s->signal_fd, &info, sizeof(info)) != sizeof(info))
        return;
    if (atomic_load(&s->first))
        ctx_signal_raise(s->hurry, CTX_CAUSE_USER);
    else
        atomic_store(&s->first, (int)info.ssi_signo);
    ctx_cancel(s->cancel, CTX_CAUSE_USER);
}

static void *signals_main(void *arg)
{
    struct signals *s = arg;
    struct pollfd fds[] = {{.fd = s->signal_fd, .events = POLLIN},
                           {.fd = s->stop_fd, .events = POLLIN},
                           {.fd = s->control ? control_server_fd(s->control) : -1,
                            .events = POLLIN}};

    while (poll(fds, 3, -1) >= 0 || errno == EINTR) {
        if (fds[1].revents)
            break;
        if (fds[0].revents)
            take_signal(s);
        if (fds[2].revents)
            control_server_serve(s->control);
    }
    return NULL;
}

int signals_start(struct ctx *cancel, struct ctx_signal *hurry, struct control_server *control,
                  struct signals **ret, struct err *err)
{
    struct signals *s = xcalloc(1, sizeof(*s));
    sigset_t set;
    int failed = 0;

    signal_set(&set);
    s->cancel = cancel;
    s->hurry = hurry;
    s->control = control;
    s->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    s->stop_fd = eventfd(0, EFD_CLOEXEC);
    if (s->signal_fd < 0 || s->stop_fd < 0)
        failed = errno;
    else
        failed = pthread_create(&s->thread, NULL, signals_main, s);
    if (failed) {
        cleanup_fd(&s->signal_fd);
        cleanup_fd(&s->stop_fd);
        free(s);
        errno = failed;
        return err_errno(err, "cannot watch for signals");
    }
    *ret = s;
    return 0;
}

int signals_first(const struct signals *s)
{
    return s ? atomic_load(&s->first) : 0;
}

int signals_stop(struct signals *s)
{
    int first;

    if (!s)
        return 0;
    eventfd_write(s->stop_fd, 1);
    pthread_join(s->thread, NULL);
    first = atomic_load(&s->first);
    close(s->signal_fd);
    close(s->stop_fd);
    free(s);
    return first;
}

int signals_run(int (*fn)(const struct ctx *ctx, void *arg, struct err *err), void *arg,
                int *ret_signal, struct err *err)
{
    struct ctx_signal hurry = {.event_fd = -1};
    struct ctx ctx = {.cancel = {.event_fd = -1}};
    struct signals *signals = NULL;
    int result = -1;

    signals_block();
    if (ctx_signal_init(&hurry, err) == 0 && ctx_init_root(&ctx, &hurry, err) == 0 &&
        signals_start(&ctx, &hurry, NULL, &signals, err) == 0)
        result = fn(&ctx, arg, err);
    *ret_signal = signals_stop(signals);
    ctx_release(&ctx);
    ctx_signal_release(&hurry);
    return result;
}
