#include "tree.h"

#include <linux/fcntl.h>
#include <linux/prctl.h>
#include <linux/signalfd.h>
#include <linux/time_types.h>
#include <linux/wait.h>

#include "rt.h"
#include "sys.h"

#define MAX_PROCESSES 32768 /* not only of a container */
/* A killed process that does not go (another user's, in the kernel) is not waited for for ever: so
 * long, and for so many rounds, of which each takes its time where many processes run. */
#define KILL_MS       5000
#define KILL_ROUNDS   20
#define KILL_ROUND_NS 10000000

struct process {
    int pid;
    int parent;
    bool ours;
};

/* SIGPIPE beside them: the helper must not die when nobody reads its output any more. */
static const unsigned long watched =
    SIGNAL_BIT(SIGCHLD) | SIGNAL_BIT(SIGTERM) | SIGNAL_BIT(SIGINT) | SIGNAL_BIT(SIGHUP);
static const unsigned long blocked = TREE_BLOCKED;

int tree_signals(void)
{
    SYS5(prctl, PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
    SYS4(rt_sigprocmask, SIG_BLOCK, &blocked, NULL, KERNEL_SIGSET_SIZE);
    return (int)SYS4(signalfd4, -1, &watched, KERNEL_SIGSET_SIZE, SFD_CLOEXEC | SFD_NONBLOCK);
}

int tree_take_signals(int signals)
{
    struct signalfd_siginfo info;
    int signal = 0;

    while (SYS3(read, signals, &info, sizeof(info)) > 0) {
        if (info.ssi_signo != SIGCHLD)
            signal = (int)info.ssi_signo;
    }
    return signal;
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

static size_t list_processes(struct process *list)
{
    static char entries[8192] __attribute__((aligned(8)));
    long n, fd = SYS4(openat, AT_FDCWD, "/proc", O_RDONLY | O_DIRECTORY, 0);
    size_t count = 0;

    if (fd < 0)
        return 0;
    while ((n = SYS3(getdents64, fd, entries, sizeof(entries))) > 0) {
        for (long at = 0; at < n;) {
            const struct directory_entry *entry = (const struct directory_entry *)(entries + at);
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

/* Only one that dies can leave others unseen, as they move to the subreaper: hence the rounds of
 * tree_end(). */
void tree_signal(int signal)
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

bool tree_reap(struct tree *tree)
{
    for (;;) {
        int status;
        long pid = SYS4(wait4, -1, &status, WNOHANG, NULL);

        if (pid == 0)
            return true;
        if (pid < 0)
            return false;
        /* Once it has ended, its number may be given to another. */
        if (pid == tree->main_pid && !tree->main_ended) {
            tree->main_ended = true;
            tree->exit_code = (status & 0x7f) ? 128 + (status & 0x7f) : (status >> 8) & 0xff;
        }
    }
}

bool tree_end(struct tree *tree)
{
    const long until = now_ms() + KILL_MS;

    for (int round = 0; (round < KILL_ROUNDS || now_ms() < until) && tree_reap(tree); round++) {
        struct __kernel_timespec pause = {.tv_nsec = KILL_ROUND_NS};

        tree_signal(SIGKILL);
        if (tree_reap(tree))
            SYS2(nanosleep, &pause, NULL);
    }
    return !tree_reap(tree);
}
