/* What the thread of a session asks libssh2 for, and when: a library in its place that answers as
 * the test wants. Real servers: test_exec_live.c. */
#include "tests/unit/test.h"

#include <semaphore.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include "apis/ssh/internal.h"

/* --- libssh2, of which only opens matter --- */

enum { TURNS = 4 }; /* of the open of a channel, until it is answered */

static struct {
    int turns;  /* that the open has had */
    bool mixed; /* something else was asked for meanwhile */
    int error;  /* of the last call */
    int peer;   /* the server's end */
    struct ssh_io *io;
    sem_t answered;
} fake;

static LIBSSH2_CHANNEL *open_channel(LIBSSH2_SESSION *ssh, const char *type, unsigned type_len,
                                     unsigned window, unsigned packet, const char *message,
                                     unsigned message_len)
{
    const bool asked = fake.turns > 0 && fake.turns < TURNS;

    (void)ssh, (void)type_len, (void)window, (void)packet, (void)message, (void)message_len;
    fake.error = LIBSSH2_ERROR_CHANNEL_FAILURE;
    if (strcmp(type, "session") != 0) {
        fake.mixed |= asked;
        fake.io->in_at = fake.io->in_len;
        return NULL;
    }
    /* Something comes, so that there is another turn. */
    (void)!send(fake.peer, "y", 1, MSG_NOSIGNAL);
    if (++fake.turns < TURNS)
        fake.error = LIBSSH2_ERROR_EAGAIN;
    else if (fake.turns == TURNS)
        sem_post(&fake.answered);
    return NULL;
}

static int last_error(LIBSSH2_SESSION *ssh, char **message, int *len, int copy)
{
    static char text[] = "no";

    (void)ssh, (void)len, (void)copy;
    if (message)
        *message = text;
    return fake.error;
}

static int say_goodbye(LIBSSH2_SESSION *ssh, int reason, const char *message, const char *language)
{
    (void)ssh, (void)reason, (void)message, (void)language;
    return 0;
}

static const struct libssh2 library = {
    .channel_open_ex = open_channel,
    .session_last_error = last_error,
    .session_disconnect_ex = say_goodbye,
};

/* --- tests --- */

/* libssh2 keeps what it knows of an open in the session: another question in the middle of one
 * would be taken for it. */
static void nothing_is_asked_in_the_middle_of_an_open(void **state)
{
    struct ssh_session s = {.lib = &library, .alive_interval_ms = 60000, .answer_ms = 60000};
    struct ssh_channel *channel;
    int ends[2];

    (void)state;
    s.peer = xstrdup("me@host:22");
    s.wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    pthread_mutex_init(&s.mu, NULL);
    assert_int_equal(sem_init(&fake.answered, 0, 0), 0);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends), 0);
    ssh_io_init(&s.io, ends[0]);
    fake.peer = ends[1];
    fake.io = &s.io;
    /* Something has come that libssh2 has not taken. */
    assert_int_equal(send(ends[1], "x", 1, MSG_NOSIGNAL), 1);
    assert_int_equal(ssh_channel_new(&s, SSH_CHANNEL_EXEC, &channel, NULL), 0);
    s.channels = channel;

    assert_int_equal(ssh_pump_start(&s, NULL), 0);
    assert_int_equal(sem_wait(&fake.answered), 0);
    ssh_pump_stop(&s);

    assert_int_equal(fake.turns, TURNS);
    assert_false(fake.mixed);
    assert_int_equal(channel->error.code, ERR_LIMIT);
    ssh_channel_abandon(channel);
    ssh_io_release(&s.io);
    close(ends[1]);
    close(s.wake_fd);
    pthread_mutex_destroy(&s.mu);
    sem_destroy(&fake.answered);
    free(s.peer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_asked_in_the_middle_of_an_open),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
