/* `helper probe`, against listeners and a name server of a network namespace of its own. */
#include "tests/unit/test.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/fs.h"
#include "fixture/program.h"
#include "helper/helper.h"

static char program[] = "/tmp/test-probe-XXXXXX";

static int set_up(void **state)
{
    (void)state;
    return program_write(program, helper_architecture());
}

static int tear_down(void **state)
{
    (void)state;
    return unlink(program);
}

static int probe(struct buf *said, const char *const *args)
{
    const char *all[8] = {"probe"};

    for (int i = 0; args[i]; i++)
        all[i + 1] = args[i];
    return program_run(program, 0, all, said);
}

static int listen_on_loopback(char port[8])
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)}};
    socklen_t size = sizeof(address);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_int_equal(bind(fd, (struct sockaddr *)&address, size), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &size), 0);
    snprintf(port, 8, "%u", ntohs(address.sin_port));
    return fd;
}

static void assert_probe(int code, const char *said, const char *const *args)
{
    CLEANUP_BUF struct buf got = BUF_INIT;

    assert_int_equal(probe(&got, args), code);
    assert_string_equal(got.data ? got.data : "", said);
}

static void probe_says_whether_something_listens(void **state)
{
    char port[8], refused[128];
    int fd = listen_on_loopback(port);

    (void)state;
    snprintf(refused, sizeof(refused), "runner: cannot reach localhost:%s: connection refused\n",
             port);
    assert_probe(1, refused, (const char *const[]){"tcp", "localhost", port, NULL});
    assert_int_equal(listen(fd, 4), 0);
    assert_probe(0, "", (const char *const[]){"tcp", "localhost", port, NULL});
    assert_probe(0, "", (const char *const[]){"tcp", "127.0.0.1", port, NULL});
    close(fd);
    assert_probe(1, "runner: cannot reach ::1:80: this is no name and no IPv4 address\n",
                 (const char *const[]){"tcp", "::1", "80", NULL});
    assert_probe(126, "runner: cannot do probe: usage: probe tcp HOST PORT | http HOST PORT PATH\n",
                 (const char *const[]){"http", "localhost", "80", NULL});
}

static void answer_once(int fd, const char *answer)
{
    char request[512];
    int connection = accept(fd, NULL, NULL);
    ssize_t n = read(connection, request, sizeof(request) - 1);

    if (n > 0 && strncmp(request, "GET /health HTTP/1.1\r\nHost: localhost:", 38) == 0)
        n = write(connection, answer, strlen(answer));
    close(connection);
    _exit(n > 0 ? 0 : 1);
}

static void probe_looks_at_the_status(void **state)
{
    static const struct {
        const char *answer;
        int code;
        const char *said; /* behind the address */
    } cases[] = {
        {"HTTP/1.1 204 No Content\r\n\r\n", 0, NULL},
        {"HTTP/1.0 302 Found\r\n\r\n", 0, NULL},
        {"HTTP/1.1 503 Service Unavailable\r\n\r\n", 1, "the answer is status 503"},
        {"SSH-2.0-OpenSSH_9.2\r\n", 1, "the answer is not HTTP"},
        {"HT", 1, "no answer to a request"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        char port[8], said[128] = "";
        int fd = listen_on_loopback(port), status;
        pid_t pid;

        assert_int_equal(listen(fd, 1), 0);
        pid = fork();
        if (pid == 0)
            answer_once(fd, cases[i].answer);
        if (cases[i].said)
            snprintf(said, sizeof(said), "runner: cannot reach localhost:%s: %s\n", port,
                     cases[i].said);
        assert_probe(cases[i].code, said,
                     (const char *const[]){"http", "localhost", port, "/health", NULL});
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_int_equal(status, 0);
        close(fd);
    }
}

/* --- names --- */

/* A network with nothing but loopback, whose name server is there; false: this machine has none for
 * us. */
static bool enter_network(void)
{
    char resolv[] = "/tmp/test-probe-resolv-XXXXXX";
    const char text[] = "# of the test\nnameserver 127.0.0.1\n";
    struct ifreq lo = {.ifr_name = "lo", .ifr_flags = IFF_UP};
    int fd = mkstemp(resolv), s;

    if (unshare((geteuid() ? CLONE_NEWUSER : 0) | CLONE_NEWNS | CLONE_NEWNET) < 0)
        return false;
    s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (write(fd, text, sizeof(text) - 1) < 0 || fchmod(fd, 0644) < 0 ||
        mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
        mount(resolv, "/etc/resolv.conf", NULL, MS_BIND, NULL) < 0 ||
        ioctl(s, SIOCSIFFLAGS, &lo) < 0)
        return false;
    unlink(resolv);
    close(fd);
    close(s);
    return true;
}

/* One record: its name is that of the question, or another. */
#define SAME        "\xc0\x0c"
#define OTHER       "\2ns\xc0\x0c"
#define A_TYPE      "\0\1\0\1\0\0\0\1\0\4"
#define CNAME       "\0\5\0\1\0\0\0\1\0\2\xc0\x0c"
#define HERE        "\x7f\0\0\1"
#define BYTES(text) text, sizeof(text) - 1

struct reply {
    unsigned char flags[2];
    unsigned char answers, authorities, additionals;
    const char *records;
    size_t len;
    bool found;
};

static const struct reply replies[] = {
    {{0x81, 0x80}, 1, 0, 0, BYTES(SAME A_TYPE HERE), true},
    {{0x81, 0x80}, 2, 0, 0, BYTES(SAME CNAME SAME A_TYPE HERE), true},
    {{0x81, 0x83}, 0, 0, 0, BYTES(""), false},                /* no such name */
    {{0x81, 0x82}, 1, 0, 0, BYTES(SAME A_TYPE HERE), false},  /* a failure */
    {{0x01, 0x00}, 1, 0, 0, BYTES(SAME A_TYPE HERE), false},  /* a question */
    {{0x81, 0x80}, 0, 0, 1, BYTES(OTHER A_TYPE HERE), false}, /* about a name server */
    {{0x81, 0x80}, 9, 0, 0, BYTES(SAME CNAME), false},        /* fewer than it says */
    {{0x81, 0x80}, 1, 0, 0, BYTES(SAME "\0\1\0\1\0\0\0\1\xff\xff"), false}, /* cut */
    {{0x81, 0x80}, 1, 0, 0, BYTES("\x3f"), false},
};

/* Answers one question, whose end it finds by itself. */
static void serve_name(int fd, const struct reply *reply)
{
    unsigned char message[512];
    struct sockaddr_in from;
    socklen_t size = sizeof(from);
    ssize_t n = recvfrom(fd, message, sizeof(message), 0, (struct sockaddr *)&from, &size);

    if (n < 12)
        _exit(1);
    memcpy(message + 2, reply->flags, 2);
    message[7] = reply->answers;
    message[9] = reply->authorities;
    message[11] = reply->additionals;
    memcpy(message + n, reply->records, reply->len);
    n = sendto(fd, message, (size_t)n + reply->len, 0, (struct sockaddr *)&from, size);
    _exit(n < 0);
}

static int name_server(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons(53),
                                  .sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)}};
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    return bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 ? -1 : fd;
}

/* In a process of its own: 0 when every reply was taken for what it is, else 1 + its number. */
static int look_up_names(void)
{
    char port[8];
    int fd = -1, listener;

    if (!enter_network() || (fd = name_server()) < 0)
        return 100;
    listener = listen_on_loopback(port);
    assert_int_equal(listen(listener, 4), 0);
    for (size_t i = 0; i < sizeof(replies) / sizeof(*replies); i++) {
        CLEANUP_BUF struct buf said = BUF_INIT;
        pid_t pid = fork();
        int status;

        if (pid == 0)
            serve_name(fd, &replies[i]);
        status = probe(&said, (const char *const[]){"tcp", "db.example", port, NULL});
        if (waitpid(pid, NULL, 0) != pid || (status == 0) != replies[i].found ||
            (status != 0 && !strstr(said.data, "there is no such name")))
            return 1 + (int)i;
    }
    return 0;
}

static void probe_takes_only_answers_for_addresses(void **state)
{
    int status;
    pid_t pid = fork();

    (void)state;
    if (pid == 0)
        _exit(look_up_names());
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(probe_says_whether_something_listens),
        cmocka_unit_test(probe_looks_at_the_status),
        cmocka_unit_test(probe_takes_only_answers_for_addresses),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
