/* What a command on a host costs, and how fast its output comes:
 *
 *     build/release/tests/ssh_exec 'ssh://me@host' 'cat /tmp/file' [TIMES]
 *
 * Prints the time of opening the session, and of the commands, in milliseconds, with what they
 * wrote. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "apis/ssh/exec.h"
#include "base/clock.h"

static int run(const struct ctx *ctx, struct ssh_session *session, const char *command,
               size_t *bytes, struct err *err)
{
    const struct ssh_exec_options options = {.command = command};
    CLEANUP_SSH_EXEC struct ssh_exec *exec = NULL;
    struct ssh_exec_output output;

    if (ssh_exec_open(ctx, session, &options, &exec, err) < 0)
        return -1;
    for (;;) {
        switch (ssh_exec_read(exec, &output, err)) {
        case SSH_EXEC_OUTPUT:
            *bytes += output.len;
            break;
        case SSH_EXEC_AGAIN:
            if (ssh_exec_wait(ctx, exec, NULL, 0, -1, err) < 0)
                return -1;
            break;
        case SSH_EXEC_ENDED:
            return ssh_exec_result(exec)->exited ? ssh_exec_result(exec)->exit_code : 128;
        case SSH_EXEC_ERROR:
            return -1;
        }
    }
}

int main(int argc, char **argv)
{
    CLEANUP_SSH_ENVIRONMENT struct ssh_environment environment = {0};
    CLEANUP_SSH_TARGET struct ssh_target *target = NULL;
    CLEANUP_SSH_SESSION struct ssh_session *session = NULL;
    CLEANUP_CTX struct ctx ctx;
    struct err err = ERR_INIT;
    const int times = argc > 3 ? (int)strtol(argv[3], NULL, 10) : 1;
    int64_t start, opened, end;
    size_t bytes = 0;
    int code = 0;

    if (argc < 3 || ctx_init_root(&ctx, NULL, &err) < 0)
        return 2;
    ssh_environment_init(&environment);
    start = clock_monotonic_ms();
    if (ssh_target_parse(&ctx, argv[1], &environment, &target, &err) < 0 ||
        ssh_session_open(&ctx, target, &session, &err) < 0) {
        fprintf(stderr, "%s (%s)\n", err.message, err_code_name(err.code));
        return 1;
    }
    opened = clock_monotonic_ms();
    for (int i = 0; i < times && code >= 0; i++)
        code = run(&ctx, session, argv[2], &bytes, &err);
    end = clock_monotonic_ms();
    for (size_t i = 0; i < ssh_session_notes(session)->len; i++)
        fprintf(stderr, "%s\n", ssh_session_notes(session)->items[i]);
    if (code < 0)
        fprintf(stderr, "%s (%s)\n", err.message, err_code_name(err.code));
    printf("open %lld ms, %d times %.2f ms each, %zu bytes, last exit %d\n",
           (long long)(opened - start), times, (double)(end - opened) / times, bytes, code);
    return code != 0;
}
