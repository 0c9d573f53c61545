/* The supervisor of a program: `helper exec` for one, `helper serve` for one after the other.
 *
 * Signals to the tree come as messages on standard input rather than from outside, where one would
 * have to find the tree, could lack the right to signal it, and could not come at all once the
 * runner is gone: the end of standard input kills the tree. */
#include <asm/errno.h>
#include <asm/poll.h>
#include <linux/fcntl.h>

#include "../request.h"
#include "oom.h"
#include "output.h"
#include "program.h"
#include "rt.h"
#include "sys.h"
#include "tree.h"

struct supervisor {
    struct tree tree;
    bool input_ended;
    long deadline_ms; /* by the clock: of the program, then of its grace; -1: none */
    long grace_ms;
    bool timed_out; /* it has been told to end */
    bool grace_ended;
    bool attended;  /* it ends when nobody reads its output any more */
    int stopped_by; /* signal that came from outside, not as a message; 0: none */
    int signals;    /* signalfd */
    struct output output;
};

/* Obeys standard input while a program runs. */
static void take_order(struct supervisor *supervisor)
{
    struct message message;

    if (message_read(&message) != 0)
        supervisor->input_ended = true;
    else if (message.signal)
        tree_signal(message.signal);
    else
        fail(HELPER_EXIT_CANNOT, "run two programs at once", "", NULL);
}

static void take_signals(struct supervisor *supervisor)
{
    int signal = tree_take_signals(supervisor->signals);

    if (!signal)
        return;
    supervisor->stopped_by = signal;
    tree_signal(signal);
}

static void set_deadline(struct supervisor *supervisor, const struct message *message)
{
    supervisor->timed_out = supervisor->grace_ended = false;
    if (message_deadline(message, &supervisor->deadline_ms, &supervisor->grace_ms))
        supervisor->deadline_ms += now_ms();
    else
        supervisor->deadline_ms = -1;
}

static void hold_to_deadline(struct supervisor *supervisor)
{
    if (supervisor->deadline_ms < 0 || now_ms() < supervisor->deadline_ms)
        return;
    if (supervisor->timed_out) {
        supervisor->grace_ended = true;
        return;
    }
    supervisor->timed_out = true;
    supervisor->deadline_ms = now_ms() + supervisor->grace_ms;
    tree_signal(SIGTERM);
}

/* Until the program has ended, or nobody wants it any more. */
static void watch(struct supervisor *supervisor)
{
    bool alive = tree_reap(&supervisor->tree);

    while (alive && !supervisor->tree.main_ended && !supervisor->input_ended &&
           !supervisor->grace_ended) {
        struct pollfd fds[3 + OUTPUT_FDS] = {{.fd = 0, .events = POLLIN},
                                             {.fd = supervisor->signals, .events = POLLIN},
                                             {.fd = supervisor->attended ? 1 : -1}};

        output_wait_for(&supervisor->output, fds + 3);
        if (poll_until(fds, 3 + OUTPUT_FDS, supervisor->deadline_ms) == 0) {
            hold_to_deadline(supervisor);
            continue;
        }
        if (fds[2].revents & POLLERR)
            supervisor->input_ended = true;
        if (fds[1].revents) {
            take_signals(supervisor);
            alive = tree_reap(&supervisor->tree);
        }
        if (fds[0].revents)
            take_order(supervisor);
        output_pass(&supervisor->output, fds + 3);
        hold_to_deadline(supervisor);
    }
}

static void supervisor_init(struct supervisor *supervisor)
{
    supervisor->input_ended = false;
    supervisor->attended = false;
    supervisor->stopped_by = 0;
    supervisor->signals = tree_signals();
}

/* Tells how the program ended, behind its output. Whoever reads the end of it may remove the
 * container at once: by then the files must have gone. */
static void write_end(const struct message *message, int code, bool timed_out, bool out_of_memory)
{
    static const char late[] = {HELPER_TIMED_OUT, '\0'};
    static const char oom[] = {HELPER_OUT_OF_MEMORY, '\0'};
    char digits[] = {(char)('0' + code / 100), (char)('0' + code / 10 % 10),
                     (char)('0' + code % 10), '\0'};
    const char *mark = message_mark(message);
    const char *end =
        join(" ", digits, timed_out ? late : "", out_of_memory ? oom : "", "\n", NULL);

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
    const unsigned long blocked = TREE_BLOCKED;
    unsigned long killed, killed_now;
    const bool counts = oom_kills(&killed);
    bool ended;
    long pid;

    output_open(&supervisor->output, message);
    pid = SYS5(clone, SIGCHLD, 0, 0, 0, 0);
    supervisor->tree.main_ended = false;
    supervisor->tree.exit_code = 128 + SIGKILL;
    if (pid == 0) {
        SYS4(rt_sigprocmask, SIG_UNBLOCK, &blocked, NULL, KERNEL_SIGSET_SIZE);
        SYS0(setsid);
        output_become(&supervisor->output);
        message_become(message, env);
    }
    if (pid < 0)
        fail(HELPER_EXIT_CANNOT, "start a process", "", error_text(pid));
    supervisor->tree.main_pid = (int)pid;
    output_started(&supervisor->output);
    set_deadline(supervisor, message);
    watch(supervisor);
    ended = tree_end(&supervisor->tree);
    output_finish(&supervisor->output, ended);
    /* Whoever stops the container, or the machine, has not let the program finish: one that answers
     * with an orderly exit must not pass for one that did its work. */
    if (supervisor->stopped_by && supervisor->tree.exit_code == 0)
        supervisor->tree.exit_code = 128 + supervisor->stopped_by;
    if (supervisor->timed_out && supervisor->tree.exit_code == 0)
        supervisor->tree.exit_code = 128 + SIGTERM;
    write_end(message, supervisor->tree.exit_code, supervisor->timed_out,
              counts && oom_kills(&killed_now) && killed_now > killed);
    return ended;
}

static int run_one(struct supervisor *supervisor, char *const *env)
{
    struct message message;

    do {
        if (message_read(&message) != 0)
            return HELPER_EXIT_UNUSED;
    } while (message.signal);
    run(supervisor, &message, env);
    return supervisor->tree.exit_code;
}

int command_exec(char *const *env)
{
    struct supervisor supervisor;

    supervisor_init(&supervisor);
    return run_one(&supervisor, env);
}

/* What the shell that has started it takes from programs in the background. */
static void restore_signal(int number)
{
    const unsigned long as_usual[4] = {0}; /* a sigaction of the kernel: SIG_DFL */

    SYS4(rt_sigaction, number, as_usual, NULL, KERNEL_SIGSET_SIZE);
}

static void remove_directory(const char *path)
{
    SYS3(unlinkat, AT_FDCWD, join(path, "/" HELPER_ATTENDED_PROGRAM, NULL), 0);
    SYS3(unlinkat, AT_FDCWD, join(path, "/" HELPER_ATTENDED_INPUT, NULL), 0);
    SYS3(unlinkat, AT_FDCWD, path, AT_REMOVEDIR);
}

int command_attended(char *const *args, char *const *env)
{
    struct supervisor supervisor;

    if (!args[0] || args[1])
        fail(HELPER_EXIT_CANNOT, "run", "", "usage: attended DIRECTORY");
    remove_directory(args[0]);
    message_files_are_private();
    supervisor_init(&supervisor);
    supervisor.attended = true;
    restore_signal(SIGINT);
    restore_signal(SIGQUIT);
    return run_one(&supervisor, env);
}

/* False when it is to stop without one. */
static bool wait_for_message(struct supervisor *supervisor)
{
    for (;;) {
        struct pollfd fds[] = {{.fd = 0, .events = POLLIN},
                               {.fd = supervisor->signals, .events = POLLIN}};

        poll_until(fds, 2, -1);
        if (fds[1].revents)
            take_signals(supervisor);
        if (supervisor->stopped_by)
            return false;
        if (fds[0].revents)
            return true;
        tree_reap(&supervisor->tree);
    }
}

int command_serve(char *const *env)
{
    struct supervisor supervisor;
    struct message message;
    bool clean = true;

    supervisor_init(&supervisor);
    /* What cannot be ended goes with the container, and that with this process. */
    while (clean && !supervisor.input_ended && !supervisor.stopped_by &&
           wait_for_message(&supervisor) && message_read(&message) == 0) {
        if (message.signal)
            continue;
        clean = run(&supervisor, &message, env);
        message_release(&message);
    }
    return 0;
}

int command_hold(void)
{
    /* As process 1 it inherits orphans, e.g. of a debugging `docker exec`. */
    struct tree nobody = {0};
    int signals = tree_signals();

    for (;;) {
        struct pollfd fds[] = {{.fd = 0, .events = POLLIN}, {.fd = signals, .events = POLLIN}};
        char scratch[256];

        SYS4(ppoll, fds, 2, NULL, NULL);
        if (tree_take_signals(signals))
            return 0;
        tree_reap(&nobody);
        if (fds[0].revents) {
            long n = SYS3(read, 0, scratch, sizeof(scratch));

            if (n == 0 || (n < 0 && n != -EINTR && n != -EAGAIN))
                return 0;
        }
    }
}
