/* The helper on this host, started as the runner starts it in containers: by its bytes. */
#pragma once

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/fs.h"
#include "fixture/program.h"
#include "helper/helper.h"

static char program[] = "/tmp/test-helper-XXXXXX";
/* Of the files; not that of others who run this test at the same time. */
static char directory[40];

static inline int set_up(void **state)
{
    (void)state;
    snprintf(directory, sizeof(directory), ".runner-test-helper-%d", (int)getpid());
    return program_write(program, helper_architecture());
}

static inline int tear_down(void **state)
{
    (void)state;
    return unlink(program);
}

static inline bool directory_exists(const char *in)
{
    CLEANUP_FREE char *path = fs_join(in, directory);

    return fs_exists(path);
}

/* A running helper. */
struct child {
    pid_t pid;
    int in;
    int out;
};

static uid_t start_user;

static inline struct child start(const char *command)
{
    char *const argv[] = {program, (char *)command, NULL};
    char *const env[] = {"PATH=/usr/bin:/bin", "KEEP=kept", "OLD=old", NULL};
    struct child child;
    int in[2], out[2];

    assert_int_equal(pipe2(in, O_CLOEXEC), 0);
    assert_int_equal(pipe2(out, O_CLOEXEC), 0);
    child.pid = fork();
    if (child.pid == 0) {
        dup2(in[0], 0);
        dup2(out[1], 1);
        dup2(out[1], 2);
        if (start_user && setresuid(start_user, start_user, start_user) < 0)
            _exit(98);
        execve(program, argv, env);
        _exit(99);
    }
    close(in[0]);
    close(out[1]);
    child.in = in[1];
    child.out = out[0];
    return child;
}

/* Exit code, or minus the signal; what it printed goes to `output`. Keeps child.in open. */
static inline int finish(struct child *child, struct buf *output)
{
    int status;

    assert_int_equal(fs_read_fd(child->out, "output", 1 << 20, output, NULL), 0);
    assert_int_equal(waitpid(child->pid, &status, 0), child->pid);
    close(child->out);
    if (child->in >= 0)
        close(child->in);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

static inline void ask(struct child *child, struct buf *request)
{
    assert_int_equal(helper_request_end(request, NULL), 0);
    assert_int_equal(fs_write_all(child->in, request->data, request->len, NULL), 0);
}

static inline void send_signal(struct child *child, int signal)
{
    char message[HELPER_HEADER_SIZE];

    helper_signal(message, signal);
    assert_int_equal(fs_write_all(child->in, message, sizeof(message), NULL), 0);
}

static inline void begin_script(struct buf *request, const char *script)
{
    helper_request_begin(request);
    helper_request_string(request, HELPER_ARG, "sh");
    helper_request_string(request, HELPER_ARG, "-c");
    helper_request_string(request, HELPER_ARG, script);
}

static inline int run_script(const char *command, const char *script, struct buf *output)
{
    CLEANUP_BUF struct buf request = BUF_INIT;
    struct child child = start(command);

    begin_script(&request, script);
    ask(&child, &request);
    return finish(&child, output);
}

static inline int run_program(const char *name, struct buf *output)
{
    CLEANUP_BUF struct buf request = BUF_INIT;
    struct child child = start("exec");

    helper_request_begin(&request);
    helper_request_string(&request, HELPER_ARG, name);
    ask(&child, &request);
    return finish(&child, output);
}
