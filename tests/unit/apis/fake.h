/* The misbehaving daemon of tests/fake/docker.py, for the tests of one program. */
#pragma once

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>

#include "base/fs.h"
#include "base/process.h"
#include "live.h"

struct fake {
    char *dir;
    char *url; /* unix://… */
    char *socket;
    pid_t pid;
    int stdin_fd; /* closing it ends the daemon */
};

static inline int fake_start(struct fake *fake)
{
    char pattern[] = "/tmp/apis-fake-XXXXXX";
    const char *const env[] = {"PATH=/usr/bin:/bin", NULL};
    int in[2];
    int out[2];
    char ready[6] = "";

    fake->dir = xstrdup(mkdtemp(pattern));
    fake->socket = xasprintf("%s/s", fake->dir);
    fake->url = xasprintf("unix://%s", fake->socket);
    if (pipe2(in, O_CLOEXEC) < 0 || pipe2(out, O_CLOEXEC) < 0)
        return -1;
    const char *const argv[] = {"python3", TEST_DATA "/../fake/docker.py", fake->socket, NULL};
    struct process_options options = {
        .argv = argv, .envp = env, .stdin_fd = in[0], .stdout_fd = out[1], .stderr_fd = 2};

    if (process_spawn(&options, &fake->pid, &test_err) < 0)
        return -1;
    close(in[0]);
    close(out[1]);
    fake->stdin_fd = in[1];
    if (read(out[0], ready, 5) != 5 || strcmp(ready, "ready") != 0)
        return -1;
    close(out[0]);
    return 0;
}

static inline void fake_stop(struct fake *fake)
{
    close(fake->stdin_fd);
    waitpid(fake->pid, NULL, 0);
    (void)!fs_remove_tree(fake->dir, NULL);
    free(fake->dir);
    free(fake->url);
    free(fake->socket);
}
