/* Commands on real servers: output, input, many at once, ends of every kind, and lost connections.
 */
#include "tests/unit/ssh/ssh_test.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <unistd.h>

#include "apis/ssh/internal.h"
#include "apis/ssh/libssh2.h"
#include "base/clock.h"
#include "base/sha256.h"

enum { THREADS = 10, HEAVY_BYTES = 3 << 20 };

#define IMPATIENT "ServerAliveInterval 1\n"

static struct sshd sshd;

static void run(struct ssh_session *session, const char *command, const struct buf *input,
                struct outcome *ret)
{
    assert_ok(run_command(session, command, input, ret, &test_err));
}

static struct ssh_exec *start(struct ssh_session *session, const char *command, bool with_stdin)
{
    const struct ssh_exec_options options = {.command = command, .with_stdin = with_stdin};
    struct ssh_exec *exec = NULL;

    assert_ok(ssh_exec_open(&test_ctx, session, &options, &exec, &test_err));
    return exec;
}

/* The first output. */
static void read_some(struct ssh_exec *exec, const char *expected)
{
    struct ssh_exec_output output;
    enum ssh_exec_read got;

    while ((got = ssh_exec_read(exec, &output, &test_err)) == SSH_EXEC_AGAIN)
        assert_ok(ssh_exec_wait(&test_ctx, exec, NULL, 0, -1, &test_err));
    assert_int_equal(got, SSH_EXEC_OUTPUT);
    assert_int_equal(output.len, strlen(expected));
    assert_memory_equal(output.data, expected, output.len);
}

static void ends_as_the_command_does(void **state)
{
    static const struct {
        const char *command;
        bool exited;
        int code; /* or the signal */
        const char *signal;
    } rows[] = {
        {"true", true, 0, ""},
        {"exit 7", true, 7, ""},
        {"exit 255", true, 255, ""},
        {"/no/such/program", true, 127, ""},
        {"kill -TERM $$", false, SIGTERM, "TERM"},
        {"kill -KILL $$", false, SIGKILL, "KILL"},
        {"kill -SEGV $$", false, SIGSEGV, "SEGV"},
        /* Closes its output long before it ends. */
        {"exec >&- 2>&-; sleep 0.3; exit 9", true, 9, ""},
    };
    CLEANUP_SSH_SESSION struct ssh_session *session = log_in(&sshd);

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        CLEANUP_OUTCOME struct outcome o = OUTCOME_INIT;

        run(session, rows[i].command, NULL, &o);
        assert_int_equal(o.result.exited, rows[i].exited);
        assert_int_equal(rows[i].exited ? o.result.exit_code : o.result.signal_number,
                         rows[i].code);
        assert_string_equal(o.result.signal, rows[i].signal);
    }
}

static void keeps_streams_apart(void **state)
{
    CLEANUP_SSH_SESSION struct ssh_session *session = log_in(&sshd);
    CLEANUP_OUTCOME struct outcome o = OUTCOME_INIT;

    (void)state;
    run(session, "printf 'a\\0b'; printf 'c\\377d' >&2; read x || echo -n $?", NULL, &o);
    assert_int_equal(o.out.len, 4);
    assert_memory_equal(o.out.data, "a\0b1", 4);
    assert_int_equal(o.errors.len, 3);
    assert_memory_equal(o.errors.data, "c\377d", 3);
}

static void fill(struct buf *buf, size_t len)
{
    uint32_t x = 1;

    buf_reserve(buf, len);
    for (size_t i = 0; i < len; i++) {
        x = x * 1664525 + 1013904223;
        buf->data[i] = (char)(x >> 24);
    }
    buf->len = len;
}

static void moves_much_both_ways(void **state)
{
    CLEANUP_SSH_SESSION struct ssh_session *session = log_in(&sshd);
    CLEANUP_OUTCOME struct outcome o = OUTCOME_INIT;
    CLEANUP_OUTCOME struct outcome sum = OUTCOME_INIT;
    CLEANUP_BUF struct buf input = BUF_INIT;
    char hash[SHA256_HEX_SIZE];
    struct sha256 sha;

    (void)state;
    fill(&input, 20 << 20);
    run(session, "cat", &input, &o);
    assert_int_equal(o.out.len, input.len);
    assert_memory_equal(o.out.data, input.data, input.len);
    run(session, "sha256sum", &input, &sum);
    sha256_begin(&sha);
    sha256_add(&sha, input.data, input.len);
    sha256_hex(&sha, hash);
    assert_memory_equal(sum.out.data, hash, SHA256_HEX_SIZE - 1);
}

/* Input that nobody reads does not hold up the end. */
static void drops_input_nobody_reads(void **state)
{
    CLEANUP_SSH_SESSION struct ssh_session *session = log_in(&sshd);
    CLEANUP_OUTCOME struct outcome o = OUTCOME_INIT;
    CLEANUP_BUF struct buf input = BUF_INIT;

    (void)state;
    fill(&input, 8 << 20);
    run(session, "head -c 10 >/dev/null; exit 3", &input, &o);
    assert_int_equal(o.result.exit_code, 3);
}

static void gives_a_terminal(void **state)
{
    CLEANUP_SSH_SESSION struct ssh_session *session = log_in(&sshd);
    const struct ssh_exec_options options = {.command = "echo ready; read x; stty size; tty >&2",
                                             .with_stdin = true,
                                             .tty = true,
                                             .columns = 100,
                                             .rows = 30};
    CLEANUP_SSH_EXEC struct ssh_exec *exec = NULL;
    CLEANUP_OUTCOME struct outcome o = OUTCOME_INIT;

    (void)state;
    assert_ok(ssh_exec_open(&test_ctx, session, &options, &exec, &test_err));
    read_some(exec, "ready\r\n");
    ssh_exec_resize(exec, 132, 50);
    assert_int_equal(ssh_exec_write(exec, "\n", 1, &test_err), 1);
    assert_ok(collect(&test_ctx, exec, NULL, &o, &test_err));
    assert_non_null(strstr(o.out.data, "50 132\r\n"));
    assert_non_null(strstr(o.out.data, "/dev/pts/"));
    assert_int_equal(o.errors.len, 0);
}

/* --- many --- */

struct worker {
    pthread_t thread;
    struct ssh_session *session;
    int number;
    bool good;
    struct err err;
};

/* Output on both streams, with input: the digit of the number, over and over. */
static void *work(void *arg)
{
    struct worker *w = arg;
    char command[200];

    snprintf(command, sizeof(command),
             "head -c %d /dev/zero | tr '\\0' %d & head -c %d /dev/zero | tr '\\0' %d >&2; wait; "
             "cat; exit %d",
             HEAVY_BYTES, w->number, HEAVY_BYTES / 2, w->number, w->number + 10);
    for (int round = 0; round < 2; round++) {
        CLEANUP_OUTCOME struct outcome o = OUTCOME_INIT;
        CLEANUP_BUF struct buf input = BUF_INIT;
        const char digit = (char)('0' + w->number);

        for (int i = 0; i < 100000; i++)
            buf_addch(&input, digit);
        if (run_command(w->session, command, &input, &o, &w->err) < 0)
            return NULL;
        w->good = o.result.exit_code == w->number + 10 && o.out.len == HEAVY_BYTES + input.len &&
                  o.errors.len == HEAVY_BYTES / 2;
        for (size_t i = 0; i < o.out.len && w->good; i++)
            w->good = o.out.data[i] == digit && (i >= o.errors.len || o.errors.data[i] == digit);
        if (!w->good)
            return NULL;
    }
    return NULL;
}

static void work_together(struct ssh_session *session)
{
    struct worker workers[THREADS];

    for (int i = 0; i < THREADS; i++) {
        workers[i] = (struct worker){.session = session, .number = i};
        assert_int_equal(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(workers[i].thread, NULL);
        if (!workers[i].good)
            fail_msg("worker %d: %s", i, workers[i].err.message);
    }
}

static void serves_many_threads(void **state)
{
    CLEANUP_SSH_SESSION struct ssh_session *session = log_in(&sshd);

    (void)state;
    work_together(session);
}

/* The server asks for new keys all the time, in the middle of everything. */
static void survives_new_keys(void **state)
{
    const char *const lines[] = {"RekeyLimit 2M", NULL};
    struct ssh_session *session;
    struct sshd own;

    (void)state;
    sshd_start(&own, lines);
    session = log_in(&own);
    work_together(session);
    ssh_session_free(session);
    sshd_stop(&own);
}

/* One whose output nobody takes does not hold up another. */
static void does_not_wait_for_the_slow(void **state)
{
    CLEANUP_SSH_SESSION struct ssh_session *session = log_in(&sshd);
    CLEANUP_SSH_EXEC struct ssh_exec *slow = start(session, "head -c 20000000 /dev/zero", false);
    CLEANUP_SSH_EXEC struct ssh_exec *asleep = start(session, "sleep 600", false);
    CLEANUP_OUTCOME struct outcome o = OUTCOME_INIT;

    (void)state;
    for (int i = 0; i < 3; i++) {
        CLEANUP_OUTCOME struct outcome quick = OUTCOME_INIT;

        run(session, "head -c 5000000 /dev/zero", NULL, &quick);
        assert_int_equal(quick.out.len, 5000000);
    }
    assert_ok(collect(&test_ctx, slow, NULL, &o, &test_err));
    assert_int_equal(o.out.len, 20000000);
}

/* --- limits --- */

static void says_that_there_are_no_more_channels(void **state)
{
    const char *const lines[] = {"MaxSessions 1", NULL};
    struct ssh_session *session;
    struct sshd own;

    (void)state;
    sshd_start(&own, lines);
    session = log_in(&own);
    for (int i = 0; i < 5; i++) {
        const struct ssh_exec_options options = {.command = "true"};
        CLEANUP_OUTCOME struct outcome o = OUTCOME_INIT;
        CLEANUP_OUTCOME struct outcome after = OUTCOME_INIT;
        CLEANUP_SSH_EXEC struct ssh_exec *first = start(session, "cat", true);
        struct ssh_exec *second = NULL;

        assert_int_equal(ssh_exec_open(&test_ctx, session, &options, &second, &test_err), -1);
        assert_int_equal(test_err.code, ERR_LIMIT);
        assert_message("the server opens no more channels on this connection (Channel open "
                       "failure (connect failed)); the limit is its MaxSessions");
        assert_ok(ssh_exec_close_stdin(first, &test_err));
        assert_ok(collect(&test_ctx, first, NULL, &o, &test_err));
        /* At once, although `first` has not been freed. */
        run(session, "exit 4", NULL, &after);
        assert_int_equal(after.result.exit_code, 4);
    }
    ssh_session_free(session);
    sshd_stop(&own);
}

/* --- ends --- */

static void frees_running_commands(void **state)
{
    struct ssh_session *session = log_in(&sshd);
    CLEANUP_OUTCOME struct outcome o = OUTCOME_INIT;

    (void)state;
    for (int i = 0; i < 5; i++)
        ssh_exec_free(start(session, "sleep 600", false));
    for (int i = 0; i < 2; i++)
        ssh_exec_free(start(session, "yes", true));
    run(session, "exit 5", NULL, &o);
    assert_int_equal(o.result.exit_code, 5);
    ssh_session_free(session);
}

static void *cancel_soon(void *arg)
{
    usleep(200 * 1000);
    ctx_cancel(arg, CTX_CAUSE_USER);
    return NULL;
}

static void can_be_cancelled(void **state)
{
    CLEANUP_SSH_SESSION struct ssh_session *session = log_in(&sshd);
    CLEANUP_SSH_EXEC struct ssh_exec *exec = start(session, "sleep 600", false);
    const struct ssh_exec_options options = {.command = "true"};
    struct ssh_exec *second = NULL;

    (void)state;
    for (int i = 0; i < 2; i++) {
        struct outcome o = OUTCOME_INIT;
        struct ctx own;
        pthread_t thread;

        assert_ok(ctx_init_cancel(&own, &test_ctx, &test_err));
        assert_int_equal(pthread_create(&thread, NULL, cancel_soon, &own), 0);
        if (i == 0) {
            assert_int_equal(collect(&own, exec, NULL, &o, &test_err), -1);
        } else { /* a server that does not answer */
            sshd_signal_connections(&sshd, SIGSTOP);
            assert_int_equal(ssh_exec_open(&own, session, &options, &second, &test_err), -1);
            sshd_signal_connections(&sshd, SIGCONT);
        }
        assert_int_equal(test_err.code, ERR_CANCELLED);
        pthread_join(thread, NULL);
        ctx_release(&own);
        outcome_release(&o);
    }
    {
        CLEANUP_OUTCOME struct outcome after = OUTCOME_INIT;

        run(session, "exit 6", NULL, &after);
        assert_int_equal(after.result.exit_code, 6);
    }
}

static void tells_of_a_lost_connection(void **state)
{
    CLEANUP_SSH_SESSION struct ssh_session *session = log_in(&sshd);
    CLEANUP_SSH_EXEC struct ssh_exec *a = start(session, "echo begun; exec sleep 600", false);
    CLEANUP_SSH_EXEC struct ssh_exec *b = start(session, "exec sleep 600", true);
    const struct ssh_exec_options options = {.command = "true"};
    CLEANUP_OUTCOME struct outcome o = OUTCOME_INIT;
    struct ssh_exec *late = NULL;

    (void)state;
    read_some(a, "begun\n");
    assert_ok(ssh_session_check(session, &test_err));
    sshd_kill_connections(&sshd);
    assert_int_equal(collect(&test_ctx, a, NULL, &o, &test_err), -1);
    assert_int_equal(test_err.code, ERR_LOST);
    assert_message(": the connection was lost: ");
    assert_int_equal(collect(&test_ctx, b, NULL, &o, &test_err), -1);
    assert_int_equal(test_err.code, ERR_LOST);
    assert_int_equal(ssh_session_check(session, &test_err), -1);
    assert_int_equal(test_err.code, ERR_LOST);
    assert_int_equal(ssh_exec_open(&test_ctx, session, &options, &late, &test_err), -1);
    assert_int_equal(test_err.code, ERR_LOST);
}

static struct ssh_session *log_in_with(const struct sshd *to, const char *config_text)
{
    CLEANUP_FREE char *config = xstrdup(sshd_path(to, "impatient"));
    CLEANUP_FREE char *key = xstrdup(sshd_path(to, "client"));
    struct ssh_session *session = NULL;

    assert_int_equal(fs_write_file(config, config_text, strlen(config_text), 0600, NULL), 0);
    assert_ok(open_session(NULL, &session, "ssh://%s@127.0.0.1:%u?key=%s&insecure=true&config=%s",
                           to->user, to->port, key, config));
    return session;
}

static void finds_out_that_nobody_answers(void **state)
{
    CLEANUP_SSH_SESSION struct ssh_session *session = log_in_with(&sshd, IMPATIENT);
    CLEANUP_SSH_EXEC struct ssh_exec *exec = start(session, "exec sleep 600", false);
    CLEANUP_OUTCOME struct outcome o = OUTCOME_INIT;

    (void)state;
    sshd_signal_connections(&sshd, SIGSTOP);
    assert_int_equal(collect(&test_ctx, exec, NULL, &o, &test_err), -1);
    sshd_signal_connections(&sshd, SIGCONT);
    assert_int_equal(test_err.code, ERR_LOST);
    assert_message("the server has not answered for ");
}

/* The server asks, too, and ends connections that do not answer. */
static void answers_while_idle(void **state)
{
    const char *const lines[] = {"ClientAliveInterval 1", "ClientAliveCountMax 1", NULL};
    struct ssh_session *sessions[2];
    struct sshd own;

    (void)state;
    sshd_start(&own, lines);
    sessions[0] = log_in(&own);
    sessions[1] = log_in_with(&own, IMPATIENT);
    /* Only then does it begin to ask; after some five seconds it has given up who does not answer.
     */
    for (int i = 0; i < 2; i++) {
        CLEANUP_OUTCOME struct outcome o = OUTCOME_INIT;

        run(sessions[i], "true", NULL, &o);
    }
    usleep(6500 * 1000);
    for (int i = 0; i < 2; i++) {
        CLEANUP_OUTCOME struct outcome o = OUTCOME_INIT;

        run(sessions[i], "exit 8", NULL, &o);
        assert_int_equal(o.result.exit_code, 8);
        ssh_session_free(sessions[i]);
    }
    sshd_stop(&own);
}

/* --- answers that do not come --- */

static struct ssh_session *log_in_with_short_patience(void)
{
    struct ssh_session *session = log_in_with(&sshd, "");

    session->answer_ms = 3000;
    return session;
}

static LIBSSH2_CHANNEL *(*real_forward)(LIBSSH2_SESSION *, const char *, int, const char *, int);
static struct ctx *wanted_by; /* the open that nobody wants any more once it has been asked for */

static LIBSSH2_CHANNEL *forward(LIBSSH2_SESSION *session, const char *host, int port,
                                const char *from, int from_port)
{
    LIBSSH2_CHANNEL *channel = real_forward(session, host, port, from, from_port);

    ctx_cancel(wanted_by, CTX_CAUSE_USER);
    return channel;
}

/* The server is alive, and talks, but waits for a third that never answers. */
static void gives_up_an_open_that_is_never_answered(void **state)
{
    struct ssh_session *session = log_in_with_short_patience();
    struct ssh_exec *talker = start(session, "while :; do echo; sleep 0.1; done", false);
    const struct ssh_exec_options options = {.command = "true"};
    struct ssh_exec *late = NULL;
    CLEANUP_FREE char *message = NULL;
    int fds[HOLE_FDS];
    struct ctx own;
    unsigned port = open_hole(fds);
    struct libssh2 *lib = (struct libssh2 *)libssh2_load(&test_err);
    int fd = -1;

    (void)state;
    assert_ok(ctx_init_cancel(&own, &test_ctx, &test_err));
    wanted_by = &own;
    real_forward = lib->channel_direct_tcpip_ex;
    lib->channel_direct_tcpip_ex = forward;
    message = xasprintf("seconds whether it connects to 127.0.0.1:%u", port);
    assert_int_equal(ssh_session_forward(&own, session, "127.0.0.1", port, &fd, &test_err), -1);
    assert_int_equal(test_err.code, ERR_CANCELLED);
    assert_int_equal(ssh_exec_open(&test_ctx, session, &options, &late, &test_err), -1);
    assert_int_equal(test_err.code, ERR_LOST);
    assert_message("the connection was lost: the server has not said for ");
    assert_message(message);
    ssh_exec_free(talker);
    ssh_session_free(session);
    lib->channel_direct_tcpip_ex = real_forward;
    ctx_release(&own);
    for (int i = 0; i < HOLE_FDS; i++)
        close(fds[i]);
}

static int (*real_startup)(LIBSSH2_CHANNEL *, const char *, unsigned, const char *, unsigned);
static atomic_bool first_waits, second_was_asked;

/* As if the answer to "never" did not come; ": first" is asked behind ": second". */
static int startup(LIBSSH2_CHANNEL *channel, const char *request, unsigned request_len,
                   const char *message, unsigned message_len)
{
    if (strcmp(message, "never") == 0) {
        ctx_cancel(wanted_by, CTX_CAUSE_USER);
        return LIBSSH2_ERROR_EAGAIN;
    }
    if (strcmp(message, ": first") == 0 && !second_was_asked) {
        first_waits = true;
        return LIBSSH2_ERROR_EAGAIN;
    }
    second_was_asked = second_was_asked || strcmp(message, ": second") == 0;
    return real_startup(channel, request, request_len, message, message_len);
}

static struct ssh_session *log_in_with_own_startup(void)
{
    struct libssh2 *lib = (struct libssh2 *)libssh2_load(&test_err);

    real_startup = lib->channel_process_startup;
    lib->channel_process_startup = startup;
    return log_in_with_short_patience();
}

static void log_out(struct ssh_session *session)
{
    struct libssh2 *lib = (struct libssh2 *)libssh2_load(&test_err);

    ssh_session_free(session);
    lib->channel_process_startup = real_startup;
}

static void *run_first(void *session)
{
    CLEANUP_OUTCOME struct outcome o = OUTCOME_INIT;
    struct err why = ERR_INIT;

    return run_command(session, ": first", NULL, &o, &why) < 0 ? xstrdup(why.message) : NULL;
}

/* libssh2 gives up when it waits for one answer and reads another's. */
static void keeps_answers_apart(void **state)
{
    struct ssh_session *session = log_in_with_own_startup();
    CLEANUP_OUTCOME struct outcome o = OUTCOME_INIT;
    void *failure = NULL;
    pthread_t thread;

    (void)state;
    assert_int_equal(pthread_create(&thread, NULL, run_first, session), 0);
    while (!first_waits)
        usleep(1000);
    run(session, ": second", NULL, &o);
    pthread_join(thread, &failure);
    if (failure)
        fail_msg("%s", (char *)failure);
    log_out(session);
}

/* It does not hold up others; but the session has an end. */
static void gives_up_a_start_that_is_never_answered(void **state)
{
    struct ssh_session *session = log_in_with_own_startup();
    const struct ssh_exec_options options = {.command = "never"};
    CLEANUP_OUTCOME struct outcome o = OUTCOME_INIT;
    CLEANUP_OUTCOME struct outcome other = OUTCOME_INIT;
    struct ssh_exec *exec = NULL;
    struct ctx own;

    (void)state;
    assert_ok(ctx_init_cancel(&own, &test_ctx, &test_err));
    wanted_by = &own;
    assert_int_equal(ssh_exec_open(&own, session, &options, &exec, &test_err), -1);
    assert_int_equal(test_err.code, ERR_CANCELLED);
    run(session, "exit 3", NULL, &other);
    assert_int_equal(other.result.exit_code, 3);
    exec = start(session, "exec sleep 600", false);
    assert_int_equal(collect(&test_ctx, exec, NULL, &o, &test_err), -1);
    assert_int_equal(test_err.code, ERR_LOST);
    assert_message("the connection was lost: the server has not answered the request to start a "
                   "command for ");
    ssh_exec_free(exec);
    log_out(session);
    ctx_release(&own);
}

static int set_up(void **state)
{
    const char *const lines[] = {"MaxSessions 20", NULL};

    (void)state;
    assert_ok(ctx_init_root(&test_ctx, NULL, &test_err));
    sshd_start(&sshd, lines);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    sshd_stop(&sshd);
    ctx_release(&test_ctx);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ends_as_the_command_does),
        cmocka_unit_test(keeps_streams_apart),
        cmocka_unit_test(moves_much_both_ways),
        cmocka_unit_test(drops_input_nobody_reads),
        cmocka_unit_test(gives_a_terminal),
        cmocka_unit_test(serves_many_threads),
        cmocka_unit_test(survives_new_keys),
        cmocka_unit_test(does_not_wait_for_the_slow),
        cmocka_unit_test(says_that_there_are_no_more_channels),
        cmocka_unit_test(frees_running_commands),
        cmocka_unit_test(can_be_cancelled),
        cmocka_unit_test(tells_of_a_lost_connection),
        cmocka_unit_test(finds_out_that_nobody_answers),
        cmocka_unit_test(answers_while_idle),
        cmocka_unit_test(gives_up_an_open_that_is_never_answered),
        cmocka_unit_test(keeps_answers_apart),
        cmocka_unit_test(gives_up_a_start_that_is_never_answered),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
