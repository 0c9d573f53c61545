#include "cli/apart.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/forked.h"
#include "base/fs.h"
#include "cli/commands.h"
#include "cli/follow.h"
#include "control/signals.h"
#include "own/own.h"

static void redirect(int fd, const int *fds, size_t count)
{
    for (size_t i = 0; i < count; i++)
        dup2(fd, fds[i]);
}

/* From here on the process that shows the run may go, and its terminal with it. */
static void on_began(void *arg)
{
    static const int streams[] = {STDERR_FILENO};
    int *began_fd = arg;
    int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);

    (void)!write(*began_fd, "", 1);
    close(*began_fd);
    redirect(null_fd, streams, 1);
    close(null_fd);
}

/* What keeps it from beginning is said on standard error. */
static void run_here(const struct plan *plan, const struct cli_session_options *options,
                     const char *run_id, int began_fd)
{
    static const int streams[] = {STDIN_FILENO, STDOUT_FILENO};
    struct cli_session_options apart = *options;
    int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);

    setsid();
    redirect(null_fd, streams, 2);
    close(null_fd);
    /* A lock, or a pipe that somebody reads to its end, is not for a run that nobody waits for. */
    forked_close_others(&began_fd, 1);
    apart.run_id = run_id;
    apart.silent = true;
    apart.began = on_began;
    apart.began_arg = &began_fd;
    forked_exit(cli_session_run(plan, &apart));
}

static int wait_for(pid_t pid)
{
    int status = 0;

    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    return status;
}

static int show(const struct cli_session_options *options, const char *run_id, pid_t pid)
{
    CLEANUP_FREE char *dir = NULL;
    CLEANUP_FREE char *runs = NULL;
    struct cli_follow_options follow = {.run_id = run_id, .display = options->display};
    struct err err = ERR_INIT;
    bool goes_on;
    int status;

    dir = history_dir(options->history->dir, &err);
    if (!dir) {
        fprintf(stderr, "runner: %s\n", err.message);
        return CLI_EXIT_FAILED;
    }
    follow.runs_dir = runs = fs_join(dir, "runs");
    status = cli_follow_run(&follow, &goes_on);
    if (!goes_on)
        wait_for(pid);
    return status;
}

int cli_apart_run(const struct plan *plan, const struct cli_session_options *options)
{
    char run_id[OWN_RUN_ID_SIZE];
    struct err err = ERR_INIT;
    int fds[2];
    ssize_t began;
    char byte;
    pid_t pid;
    int status;

    if (own_run_make_id(run_id, &err) < 0) {
        fprintf(stderr, "runner: %s\n", err.message);
        return CLI_EXIT_FAILED;
    }
    /* What comes from here on is for whoever shows the run. */
    signals_block();
    pid = pipe2(fds, O_CLOEXEC) < 0 ? -1 : fork();
    if (pid < 0) {
        err_errno(&err, "cannot start a process for the run");
        fprintf(stderr, "runner: %s\n", err.message);
        return CLI_EXIT_FAILED;
    }
    if (pid == 0) {
        close(fds[0]);
        run_here(plan, options, run_id, fds[1]);
    }
    close(fds[1]);
    while ((began = read(fds[0], &byte, 1)) < 0 && errno == EINTR)
        ;
    close(fds[0]);
    if (began == 1)
        return show(options, run_id, pid);
    /* It has said why. */
    status = wait_for(pid);
    return WIFEXITED(status) && WEXITSTATUS(status) ? WEXITSTATUS(status) : CLI_EXIT_FAILED;
}
