#include "tests/unit/test.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/address.h"
#include "base/dial.h"
#include "base/last_line.h"

static void addresses(void **state)
{
    static const struct {
        const char *text, *host;
        unsigned port;
    } good[] = {{"80", NULL, 80},
                {"db:5432", "db", 5432},
                {"127.0.0.1:1", "127.0.0.1", 1},
                {"[::1]:65535", "::1", 65535}};
    static const char *const bad[] = {"",       "0",      "65536", "x", ":80",
                                      "a b:80", "::1:80", "db:",   "-1"};

    (void)state;
    for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++) {
        CLEANUP_ADDRESS struct address a = {0};

        assert_int_equal(address_parse(good[i].text, &a, NULL), 0);
        assert_int_equal(a.port, good[i].port);
        if (good[i].host)
            assert_string_equal(a.host, good[i].host);
        else
            assert_null(a.host);
        assert_null(a.path);
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        struct address a = {0};

        assert_int_equal(address_parse(bad[i], &a, NULL), -1);
        assert_null(a.host);
    }
}

static void http_urls(void **state)
{
    static const struct {
        const char *url, *host, *path;
        unsigned port;
    } good[] = {{"http://web", "web", "/", 80},
                {"http://web:8080/health?a=b#c", "web", "/health?a=b", 8080},
                {"http://web?x", "web", "/?x", 80},
                {"http://[::1]:81/", "::1", "/", 81},
                {"http://[::1]", "::1", "/", 80}};
    static const char *const bad[] = {"web",          "https://web",      "http://",
                                      "http://:80/",  "http://web:0/",    "http://a b/",
                                      "http://u@h/x", "http://web/a\r\nb"};

    (void)state;
    for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++) {
        CLEANUP_ADDRESS struct address a = {0};

        assert_int_equal(address_parse_http(good[i].url, &a, NULL), 0);
        assert_string_equal(a.host, good[i].host);
        assert_string_equal(a.path, good[i].path);
        assert_int_equal(a.port, good[i].port);
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        struct address a = {0};

        assert_int_equal(address_parse_http(bad[i], &a, NULL), -1);
    }
}

static void last_lines(void **state)
{
    struct last_line line = {0};

    (void)state;
    last_line_add(&line, "one\ntw", 6);
    last_line_add(&line, "o\r\n\n", 4);
    assert_string_equal(line.text, "two");
    last_line_add(&line, "\x1b[1m", 4);
    assert_string_equal(line.text, "?[1m");
    for (int i = 0; i < 100; i++)
        last_line_add(&line, "0123456789", 10);
    assert_int_equal(strlen(line.text), LAST_LINE_SIZE - 1);
}

/* A server that gives each connection the next of its answers; NULL ends it. */
struct server {
    int socket;
    unsigned port;
    const char *const *answers;
    pthread_t thread;
};

static void *serve(void *arg)
{
    const struct server *server = arg;
    char request[1024];

    for (const char *const *answer = server->answers; *answer; answer++) {
        int fd = accept(server->socket, NULL, NULL);

        assert_true(fd >= 0);
        assert_true(read(fd, request, sizeof(request)) > 0);
        assert_int_equal(write(fd, *answer, strlen(*answer)), (ssize_t)strlen(*answer));
        close(fd);
    }
    return NULL;
}

static void listen_on_loopback(struct server *server)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)}};
    socklen_t size = sizeof(address);

    server->socket = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(server->socket, (struct sockaddr *)&address, size), 0);
    assert_int_equal(getsockname(server->socket, (struct sockaddr *)&address, &size), 0);
    server->port = ntohs(address.sin_port);
}

static void dialling(void **state)
{
    static const char *const answers[] = {"HTTP/1.0 204 No Content\r\n\r\n",
                                          "SSH-2.0-OpenSSH_9.2\r\n", "HTTP", NULL};
    struct server server = {.answers = answers};
    CLEANUP_CTX struct ctx ctx;
    struct err err = ERR_INIT;
    char expected[64];
    int status = 0, fd = -1;

    (void)state;
    ctx_init_cleanup(&ctx, 120000);
    listen_on_loopback(&server);
    assert_int_equal(dial_tcp(&ctx, "127.0.0.1", server.port, &fd, &err), -1);
    snprintf(expected, sizeof(expected), "127.0.0.1:%u: cannot connect: Connection refused",
             server.port);
    assert_string_equal(err.message, expected);
    assert_int_equal(listen(server.socket, 1), 0);
    pthread_create(&server.thread, NULL, serve, &server);
    assert_int_equal(dial_http(&ctx, "127.0.0.1", server.port, "/", &status, &err), 0);
    assert_int_equal(status, 204);
    assert_int_equal(dial_http(&ctx, "127.0.0.1", server.port, "/", &status, &err), -1);
    assert_non_null(strstr(err.message, "the answer is not HTTP"));
    assert_int_equal(dial_http(&ctx, "127.0.0.1", server.port, "/", &status, &err), -1);
    pthread_join(server.thread, NULL);
    close(server.socket);
}

/* --- a name with two addresses --- */

enum { BACKLOG_TRIES = 8 };

/* Takes no more connections: what comes is not even refused. */
static void fill_backlog(const struct server *server, int fds[BACKLOG_TRIES])
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)server->port),
                                  .sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)}};

    assert_int_equal(listen(server->socket, 0), 0);
    for (int i = 0; i < BACKLOG_TRIES; i++) {
        fds[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        (void)!connect(fds[i], (struct sockaddr *)&address, sizeof(address));
    }
}

static void an_address_that_is_dead_does_not_hold_up_the_next(void **state)
{
    struct server hole = {0}, alive = {0};
    struct sockaddr_in at[2] = {{.sin_family = AF_INET}, {.sin_family = AF_INET}};
    struct addrinfo list[2] = {{.ai_family = AF_INET, .ai_next = &list[1]}, {.ai_family = AF_INET}};
    int fds[BACKLOG_TRIES];
    CLEANUP_CTX struct ctx ctx;
    struct err err = ERR_INIT;
    struct sockaddr_in peer;
    socklen_t size = sizeof(peer);
    CLEANUP_CTX struct ctx ended;
    int fd = -1;

    (void)state;
    listen_on_loopback(&hole);
    listen_on_loopback(&alive);
    fill_backlog(&hole, fds);
    for (int i = 0; i < 2; i++) {
        at[i].sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        at[i].sin_port = htons((uint16_t)(i ? alive.port : hole.port));
        list[i].ai_addr = (struct sockaddr *)&at[i];
        list[i].ai_addrlen = sizeof(at[i]);
    }
    ctx_init_cleanup(&ctx, 120000);
    assert_int_equal(listen(alive.socket, 1), 0);
    assert_int_equal(dial_first(&ctx, list, &fd, &err), 0);
    assert_int_equal(getpeername(fd, (struct sockaddr *)&peer, &size), 0);
    assert_int_equal(ntohs(peer.sin_port), alive.port);
    close(fd);
    close(alive.socket);
    /* Nobody is left but the one that says nothing. */
    ctx_init_cleanup(&ended, 400);
    assert_int_equal(dial_first(&ended, list, &fd, &err), -1);
    assert_int_equal(err.code, ERR_TIMEOUT);
    close(hole.socket);
    err_clear(&err);
    assert_int_equal(dial_first(&ctx, list, &fd, &err), -1);
    assert_string_equal(err.message, "cannot connect: Connection refused");
    for (int i = 0; i < BACKLOG_TRIES; i++)
        close(fds[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses),
        cmocka_unit_test(http_urls),
        cmocka_unit_test(last_lines),
        cmocka_unit_test(dialling),
        cmocka_unit_test(an_address_that_is_dead_does_not_hold_up_the_next),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
