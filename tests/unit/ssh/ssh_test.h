/* What the tests against a real server share. */
#pragma once

#include "tests/unit/assert_err.h"

#include <netinet/in.h>
#include <stdarg.h>
#include <sys/socket.h>
#include <unistd.h>

#include "apis/ssh/exec.h"
#include "base/fs.h"
#include "tests/unit/fixture/sshd.h"

/* libssh2 1.10 forgets a packet of each exchange of keys, and what OpenSSL made of a key file that
 * it cannot open. */
const char *__lsan_default_suppressions(void);
__attribute__((unused)) const char *__lsan_default_suppressions(void)
{
    return "leak:libssh2.so.1\nleak:libcrypto.so.3\n";
}

/* `format` is the URL; an empty HOME, and no agent but the one given. */
__attribute__((format(printf, 3, 4), unused)) static int
open_session(const char *agent, struct ssh_session **ret, const char *format, ...)
{
    const struct ssh_environment environment = {.home = (char *)"/nonexistent",
                                                .local_user = (char *)"nobody",
                                                .agent = (char *)agent};
    CLEANUP_SSH_TARGET struct ssh_target *target = NULL;
    CLEANUP_FREE char *url = NULL;
    va_list args;

    va_start(args, format);
    assert_true(vasprintf(&url, format, args) > 0);
    va_end(args);
    err_clear(&test_err);
    assert_ok(ssh_target_parse(&test_ctx, url, &environment, &target, &test_err));
    return ssh_session_open(&test_ctx, target, ret, &test_err);
}

/* The session of DIR/client, with any host key. */
__attribute__((unused)) static struct ssh_session *log_in(const struct sshd *sshd)
{
    struct ssh_session *session = NULL;

    assert_ok(open_session(NULL, &session, "ssh://%s@127.0.0.1:%u?key=%s&insecure=true", sshd->user,
                           sshd->port, sshd_path(sshd, "client")));
    return session;
}

struct outcome {
    struct buf out;
    struct buf errors;
    struct ssh_exec_result result;
};

#define OUTCOME_INIT                                                                               \
    {                                                                                              \
        .out = BUF_INIT, .errors = BUF_INIT                                                        \
    }

__attribute__((unused)) static void outcome_release(struct outcome *o)
{
    buf_release(&o->out);
    buf_release(&o->errors);
}

#define CLEANUP_OUTCOME CLEANUP(outcome_release)

/* Reads to the end, giving `input` meanwhile. */
__attribute__((unused)) static int collect(const struct ctx *ctx, struct ssh_exec *exec,
                                           const struct buf *input, struct outcome *ret,
                                           struct err *err)
{
    size_t given = 0;

    for (;;) {
        struct ssh_exec_output output;
        ssize_t put = 0;

        if (input && given < input->len) {
            put = ssh_exec_write(exec, input->data + given, input->len - given, err);
            if (put < 0)
                return -1;
            given += (size_t)put;
            if (given == input->len && ssh_exec_close_stdin(exec, err) < 0)
                return -1;
        }
        switch (ssh_exec_read(exec, &output, err)) {
        case SSH_EXEC_OUTPUT:
            buf_add(output.stream == SSH_EXEC_STDOUT ? &ret->out : &ret->errors, output.data,
                    output.len);
            break;
        case SSH_EXEC_AGAIN:
            if (put == 0 && ssh_exec_wait(ctx, exec, NULL, 0, -1, err) < 0)
                return -1;
            break;
        case SSH_EXEC_ENDED:
            ret->result = *ssh_exec_result(exec);
            return 0;
        case SSH_EXEC_ERROR:
            return -1;
        }
    }
}

__attribute__((unused)) static int run_command(struct ssh_session *session, const char *command,
                                               const struct buf *input, struct outcome *ret,
                                               struct err *err)
{
    const struct ssh_exec_options options = {.command = command, .with_stdin = input != NULL};
    CLEANUP_SSH_EXEC struct ssh_exec *exec = NULL;

    if (ssh_exec_open(&test_ctx, session, &options, &exec, err) < 0)
        return -1;
    return collect(&test_ctx, exec, input, ret, err);
}

enum { HOLE_FDS = 8 };

/* A port whose backlog is full: who connects hears nothing. */
__attribute__((unused)) static unsigned open_hole(int fds[HOLE_FDS])
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t size = sizeof(address);

    for (int i = 0; i < HOLE_FDS; i++)
        fds[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    assert_int_equal(bind(fds[0], (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(fds[0], 0), 0);
    assert_int_equal(getsockname(fds[0], (struct sockaddr *)&address, &size), 0);
    for (int i = 1; i < HOLE_FDS; i++)
        (void)!connect(fds[i], (struct sockaddr *)&address, sizeof(address));
    return ntohs(address.sin_port);
}
