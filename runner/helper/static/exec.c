/* The supervisor of a program: `helper exec` for one, `helper serve` for one after the other.
 *
 * It is the subreaper (or process 1) of everything a program starts, so that nothing can escape by
 * setsid() or by forking twice, and a program counts as ended only when nothing of it is left.
 * Signals to the tree come as messages on standard input rather than from outside, where one would
 * have to find the tree, could lack the right to signal it, and could not come at all once the
 * runner is gone: the end of standard input kills the tree. */
#include <asm/errno.h>
#include <asm/ioctls.h>
#include <asm/poll.h>
#include <asm/signal.h>
#include <linux/fcntl.h>
#include <linux/prctl.h>
#include <linux/signalfd.h>
#include <linux/time_types.h>
#include <linux/wait.h>

#include "../request.h"
#include "program.h"
#include "rt.h"
#include "sys.h"
#include "tty.h"

#define KERNEL_SIGSET_SIZE 8
#define SIGNAL_BIT(signal) (1ul << ((signal)-1))
#define MAX_PROCESSES      4096
/* A killed process that does not go (another user's, in the kernel) is not waited for for ever. */
#define KILL_ROUNDS   500
#define KILL_ROUND_NS 10000000

struct process {
    int pid;
    int parent;
    bool ours;
};

struct supervisor {
    int main_pid;
    bool main_ended;
    bool input_ended;
    int exit_code;
    int stopped_by; /* signal that came from outside, not as a message; 0: none */
    int signals;    /* signalfd */
    struct tty tty; /* of the program; master -1: it has none */
};

/* Blocked in the helper, so that they come through the signalfd (also to process 1, which would
 * not get them otherwise), and given back to the programs. */
static const unsigned long watched =
    SIGNAL_BIT(SIGCHLD) | SIGNAL_BIT(SIGTERM) | SIGNAL_BIT(SIGINT) | SIGNAL_BIT(SIGHUP);

static int signal_fd(void)
{
    SYS4(rt_sigprocmask, SIG_BLOCK, &watched, NULL, KERNEL_SIGSET_SIZE);
    return (int)SYS4(signalfd4, -1, &watched, KERNEL_SIGSET_SIZE, SFD_CLOEXEC | SFD_NONBLOCK);
}

static int number(const char **at)
{
    int value = 0;

    while (**at >= '0' && **at <= '9')
        value = value * 10 + (*(*at)++ - '0');
    return value;
}

/* The parent as /proc/PID/stat has it, behind the name, which may hold anything but its end. */
static int parent_of(const char *pid)
{
    char stat[512] = "/proc/";
    const char *at = NULL;
    size_t len = strlen(stat);
    long n, fd;

    memcpy(stat + len, pid, strlen(pid));
    memcpy(stat + len + strlen(pid), "/stat", 6);
    fd = SYS4(openat, AT_FDCWD, stat, O_RDONLY, 0);
    if (fd < 0)
        return 0;
    n = SYS3(read, fd, stat, sizeof(stat) - 1);
    SYS1(close, fd);
    if (n <= 0)
        return 0;
    stat[n] = '\0';
    for (const char *s = stat; *s; s++) {
        if (*s == ')')
            at = s;
    }
    if (!at || strlen(at) < 5)
        return 0;
    at += 4; /* ") S " */
    return number(&at);
}

/* linux_dirent64, which no header of the kernel gives to user space. */
struct entry {
    unsigned long long inode;
    long long offset;
    unsigned short size;
    unsigned char type;
    char name[];
};

static size_t list_processes(struct process *list)
{
    static char entries[8192] __attribute__((aligned(8)));
    long n, fd = SYS4(openat, AT_FDCWD, "/proc", O_RDONLY | O_DIRECTORY, 0);
    size_t count = 0;

    if (fd < 0)
        return 0;
    while ((n = SYS3(getdents64, fd, entries, sizeof(entries))) > 0) {
        for (long at = 0; at < n;) {
            const struct entry *entry = (const struct entry *)(entries + at);
            const char *name = entry->name;

            at += entry->size;
            if (*name < '1' || *name > '9' || count == MAX_PROCESSES)
                continue;
            list[count].parent = parent_of(name);
            list[count].pid = number(&name);
            list[count++].ours = false;
        }
    }
    SYS1(close, fd);
    return count;
}

/* Sends a signal to every descendant. Only one that dies can leave others unseen, as they move to
 * the subreaper: hence the rounds of end_all(). */
static void signal_all(int signal)
{
    static struct process *list;
    int self = (int)SYS0(getpid);
    size_t count;
    bool more = true;

    if (!list)
        list = allocate(MAX_PROCESSES * sizeof(*list));
    count = list_processes(list);
    while (more) {
        more = false;
        for (size_t i = 0; i < count; i++) {
            bool child = list[i].parent == self;

            for (size_t j = 0; !child && j < count; j++)
                child = list[j].ours && list[j].pid == list[i].parent;
            if (child && !list[i].ours)
                more = list[i].ours = true;
        }
    }
    for (size_t i = 0; i < count; i++) {
        if (list[i].ours)
            SYS2(kill, list[i].pid, signal);
    }
}

/* Collects what has ended; false when there are no children any more. */
static bool reap(struct supervisor *supervisor)
{
    for (;;) {
        int status;
        long pid = SYS4(wait4, -1, &status, WNOHANG, NULL);

        if (pid == 0)
            return true;
        if (pid < 0)
            return false;
        /* Once it has ended, its number may be given to another. */
        if (pid == supervisor->main_pid && !supervisor->main_ended) {
            supervisor->main_ended = true;
            supervisor->exit_code = (status & 0x7f) ? 128 + (status & 0x7f) : (status >> 8) & 0xff;
        }
    }
}

/* False when something could not be ended. */
static bool end_all(struct supervisor *supervisor)
{
    for (int round = 0; round < KILL_ROUNDS && reap(supervisor); round++) {
        struct __kernel_timespec pause = {.tv_nsec = KILL_ROUND_NS};

        signal_all(SIGKILL);
        if (reap(supervisor))
            SYS2(nanosleep, &pause, NULL);
    }
    return !reap(supervisor);
}

/* Obeys standard input while a program runs. */
static void take_order(struct supervisor *supervisor)
{
    struct message message;

    if (message_read(&message) != 0)
        supervisor->input_ended = true;
    else if (message.signal)
        signal_all(message.signal);
    else
        fail(HELPER_EXIT_CANNOT, "run two programs at once", "", NULL);
}

static void take_signals(struct supervisor *supervisor)
{
    struct signalfd_siginfo info;

    while (SYS3(read, supervisor->signals, &info, sizeof(info)) > 0) {
        if (info.ssi_signo == SIGCHLD)
            continue;
        supervisor->stopped_by = (int)info.ssi_signo;
        signal_all((int)info.ssi_signo);
    }
}

/* Until the program has ended, or nobody wants it any more. */
static void watch(struct supervisor *supervisor)
{
    while (reap(supervisor) && !supervisor->main_ended && !supervisor->input_ended) {
        struct tty *tty = &supervisor->tty;
        struct pollfd fds[] = {{.fd = 0, .events = POLLIN},
                               {.fd = supervisor->signals, .events = POLLIN},
                               {.fd = tty->pending ? -1 : tty->master, .events = POLLIN},
                               {.fd = tty->pending ? 1 : -1, .events = POLLOUT}};

        SYS4(ppoll, fds, 4, NULL, NULL);
        if (fds[1].revents)
            take_signals(supervisor);
        if (fds[0].revents)
            take_order(supervisor);
        tty_pass(tty, fds[2].revents, fds[3].revents);
    }
}

static void supervisor_init(struct supervisor *supervisor)
{
    supervisor->input_ended = false;
    supervisor->stopped_by = 0;
    supervisor->tty = (struct tty){.master = -1, .slave = -1};
    supervisor->signals = signal_fd();
    SYS5(prctl, PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
}

/* Tells how the program ended, behind its output. Whoever reads the end of it may remove the
 * container at once: by then the files must have gone. */
static void write_end(const struct message *message, int code)
{
    char digits[] = {(char)('0' + code / 100), (char)('0' + code / 10 % 10),
                     (char)('0' + code % 10), '\n', '\0'};
    const char *mark = message_mark(message);
    const char *end = join(" ", digits, NULL);

    if (mark) {
        write_all(1, mark, strlen(mark));
        message_send_files(message, 1);
    }
    message_remove_files(message);
    if (mark) {
        write_all(1, end, strlen(end));
        end = join(mark, end, NULL);
        write_all(2, end, strlen(end));
    }
}

/* False when something of the program is still there. */
static bool run(struct supervisor *supervisor, const struct message *message, char *const *env)
{
    bool has_tty = message_has_tty(message);
    bool ended;
    long pid;

    if (has_tty)
        tty_open(&supervisor->tty);
    pid = SYS5(clone, SIGCHLD, 0, 0, 0, 0);
    supervisor->main_ended = false;
    supervisor->exit_code = 128 + SIGKILL;
    if (pid == 0) {
        SYS4(rt_sigprocmask, SIG_UNBLOCK, &watched, NULL, KERNEL_SIGSET_SIZE);
        SYS0(setsid);
        if (has_tty)
            tty_become(&supervisor->tty);
        message_become(message, env);
    }
    if (pid < 0)
        fail(HELPER_EXIT_CANNOT, "start a process", "", error_text(pid));
    supervisor->main_pid = (int)pid;
    watch(supervisor);
    ended = end_all(supervisor);
    if (supervisor->tty.master >= 0)
        tty_drain(&supervisor->tty);
    tty_close(&supervisor->tty);
    supervisor->tty = (struct tty){.master = -1, .slave = -1};
    /* Whoever stops the container, or the machine, has not let the program finish: one that answers
     * with an orderly exit must not pass for one that did its work. */
    if (supervisor->stopped_by && supervisor->exit_code == 0)
        supervisor->exit_code = 128 + supervisor->stopped_by;
    write_end(message, supervisor->exit_code);
    return ended;
}

int command_exec(char *const *env)
{
    struct supervisor supervisor;
    struct message message;

    supervisor_init(&supervisor);
    do {
        if (message_read(&message) != 0)
            return HELPER_EXIT_UNUSED;
    } while (message.signal);
    run(&supervisor, &message, env);
    return supervisor.exit_code;
}

int command_serve(char *const *env)
{
    struct supervisor supervisor;
    struct message message;
    bool clean = true;

    supervisor_init(&supervisor);
    /* What cannot be ended goes with the container, and that with this process. */
    while (clean && !supervisor.input_ended && !supervisor.stopped_by &&
           message_read(&message) == 0) {
        if (message.signal)
            continue;
        clean = run(&supervisor, &message, env);
        message_release(&message);
    }
    return 0;
}

int command_hold(void)
{
    struct supervisor nobody;

    /* As process 1 it inherits orphans, e.g. of a debugging `docker exec`. */
    supervisor_init(&nobody);
    nobody.main_pid = 0;
    for (;;) {
        struct pollfd fds[] = {{.fd = 0, .events = POLLIN},
                               {.fd = nobody.signals, .events = POLLIN}};
        struct signalfd_siginfo info;
        char scratch[256];

        SYS4(ppoll, fds, 2, NULL, NULL);
        while (SYS3(read, nobody.signals, &info, sizeof(info)) > 0) {
            if (info.ssi_signo != SIGCHLD)
                return 0;
            reap(&nobody);
        }
        if (fds[0].revents) {
            long n = SYS3(read, 0, scratch, sizeof(scratch));

            if (n == 0 || (n < 0 && n != -EINTR && n != -EAGAIN))
                return 0;
        }
    }
}
