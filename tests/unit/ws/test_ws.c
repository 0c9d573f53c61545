/* The client connection against a server in a thread, which the codec of the other role plays. What
 * it does with a connection is the path of the request. */
#include "tests/unit/test.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>

#include "apis/ws/ws.h"
#include "apis/ws/ws_handshake.h"
#include "base/alloc.h"
#include "base/fs.h"

#define assert_ok(expression)                                                                      \
    do {                                                                                           \
        if ((expression) < 0)                                                                      \
            fail_msg("%s: %s (%s)", #expression, test_err.message, err_code_name(test_err.code));  \
    } while (0)

static struct err test_err;
static struct ctx test_ctx;
static struct http_client *client;
static pthread_t server_thread;
static int listener;
static int go[2];            /* a pipe: "/late" reads a byte of it before it begins to receive */
static unsigned heard_close; /* the code of the last Close frame, of the server thread */

/* --- the server --- */

static void put(int fd, const struct buf *bytes)
{
    (void)!fs_write_all(fd, bytes->data, bytes->len, NULL);
}

static void put_message(int fd, enum ws_opcode opcode, const char *data, size_t len)
{
    CLEANUP_BUF struct buf bytes = BUF_INIT;

    ws_message_add(&bytes, WS_SERVER, opcode, data, len, 1000);
    put(fd, &bytes);
}

/* Answers everything that comes with the same; "close" with a Close frame. */
static void echo(int fd)
{
    struct ws_decoder decoder;
    struct ws_message message;
    char chunk[4096];
    bool open = true;
    ssize_t got;

    ws_decoder_init(&decoder, WS_SERVER, 0);
    while (open && (got = read(fd, chunk, sizeof(chunk))) > 0) {
        ws_decoder_feed(&decoder, chunk, (size_t)got);
        while (ws_decoder_next(&decoder, &message, NULL) > 0) {
            CLEANUP_BUF struct buf bytes = BUF_INIT;

            heard_close = message.close_code;
            if (message.opcode == WS_CLOSE || strcmp(message.data, "close") == 0) {
                ws_close_add(&bytes, WS_SERVER, message.close_code ? message.close_code : 4001,
                             "as you like");
                put(fd, &bytes);
                open = false;
                break;
            }
            put_message(fd, message.opcode == WS_PING ? WS_PONG : message.opcode, message.data,
                        message.len);
        }
    }
    ws_decoder_release(&decoder);
}

/* Waits for a Ping or a Pong and says what was in it. */
static void ping(int fd)
{
    struct ws_decoder decoder;
    struct ws_message message;
    char chunk[4096];
    ssize_t got;
    bool done = false;

    ws_decoder_init(&decoder, WS_SERVER, 0);
    while (!done && (got = read(fd, chunk, sizeof(chunk))) > 0) {
        ws_decoder_feed(&decoder, chunk, (size_t)got);
        while (!done && ws_decoder_next(&decoder, &message, NULL) > 0) {
            if (message.opcode == WS_PONG || message.opcode == WS_PING) {
                put_message(fd, WS_TEXT, message.data, message.len);
                done = true;
            }
        }
    }
    ws_decoder_release(&decoder);
    echo(fd);
}

static void wait_for_end(int fd)
{
    char chunk[4096];

    while (read(fd, chunk, sizeof(chunk)) > 0)
        ;
}

static void behave(int fd, const char *path)
{
    if (strcmp(path, "/echo") == 0 || strcmp(path, "/protocol") == 0) {
        echo(fd);
    } else if (strcmp(path, "/ping") == 0) {
        put_message(fd, WS_PING, "are you there", 13);
        ping(fd);
    } else if (strcmp(path, "/pinged") == 0) {
        ping(fd);
    } else if (strcmp(path, "/vanish") == 0) {
        put_message(fd, WS_TEXT, "last words", 10);
    } else if (strcmp(path, "/half") == 0) {
        (void)!write(fd, "\x81\x05Hel", 5);
    } else if (strcmp(path, "/wrong") == 0) {
        (void)!write(fd, "\x83\x00", 2);
        echo(fd);
    } else if (strcmp(path, "/late") == 0) {
        char byte;

        (void)!read(go[0], &byte, 1);
        echo(fd);
    } else if (strcmp(path, "/bye") == 0) {
        CLEANUP_BUF struct buf bytes = BUF_INIT;

        ws_close_add(&bytes, WS_SERVER, 4002, "bye");
        put(fd, &bytes);
        echo(fd);
    } else if (strcmp(path, "/heard") == 0) {
        char text[16];

        put_message(fd, WS_TEXT, text, (size_t)snprintf(text, sizeof(text), "%u", heard_close));
    } else { /* "/silent" */
        wait_for_end(fd);
    }
}

static void serve(int fd)
{
    CLEANUP_BUF struct buf text = BUF_INIT;
    CLEANUP_BUF struct buf answer = BUF_INIT;
    char chunk[2048];
    char path[64] = "";
    char key[WS_KEY_SIZE] = "";
    char accept[WS_ACCEPT_SIZE];
    const char *header;
    ssize_t got;

    while (!strstr(text.data, "\r\n\r\n") && (got = read(fd, chunk, sizeof(chunk))) > 0)
        buf_add(&text, chunk, (size_t)got);
    (void)!sscanf(text.data, "GET %63s", path);
    header = strstr(text.data, "Sec-WebSocket-Key: ");
    if (header)
        snprintf(key, sizeof(key), "%s", header + 19);
    ws_accept(strcmp(path, "/badaccept") == 0 ? "" : key, accept);
    if (strcmp(path, "/refuse") == 0) {
        buf_addstr(&answer, "HTTP/1.1 403 Forbidden\r\nContent-Length: 7\r\n\r\nnot you");
        put(fd, &answer);
        return;
    }
    if (strcmp(path, "/hijack") == 0) {
        buf_addstr(&answer, "HTTP/1.1 200 OK\r\n\r\n");
        put(fd, &answer);
        return;
    }
    buf_addf(&answer, "HTTP/1.1 101 X\r\nUpgrade: %s\r\nConnection: keep-alive, Upgrade\r\n",
             strcmp(path, "/spdy") == 0 ? "SPDY/3.1" : "WebSocket");
    buf_addf(&answer, "Sec-WebSocket-Accept: %s\r\n", accept);
    if (strcmp(path, "/protocol") == 0)
        buf_addstr(&answer, strstr(text.data, "Sec-WebSocket-Protocol: two, one\r\n")
                                ? "Sec-WebSocket-Protocol: one\r\n"
                                : "");
    if (strcmp(path, "/foreign") == 0)
        buf_addstr(&answer, "Sec-WebSocket-Protocol: three\r\n");
    if (strcmp(path, "/extension") == 0)
        buf_addstr(&answer, "Sec-WebSocket-Extensions: permessage-deflate\r\n");
    buf_addstr(&answer, "\r\n");
    put(fd, &answer);
    behave(fd, path);
}

static void *server(void *arg)
{
    int fd;

    (void)arg;
    while ((fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC)) >= 0) {
        const struct timeval limit = {.tv_sec = 120};

        /* A test that failed may leave its connection open. */
        setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
        serve(fd);
        close(fd);
    }
    return NULL;
}

static int setup(void **state)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(address);
    char url[64];
    struct http_client_options options = {.base_url = url, .peer = "the server"};

    (void)state;
    signal(SIGPIPE, SIG_IGN);
    if (pipe2(go, O_CLOEXEC) < 0)
        return -1;
    listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (bind(listener, (struct sockaddr *)&address, sizeof(address)) < 0 ||
        listen(listener, 8) < 0 || getsockname(listener, (struct sockaddr *)&address, &size) < 0)
        return -1;
    snprintf(url, sizeof(url), "http://127.0.0.1:%d", ntohs(address.sin_port));
    if (http_client_new(&options, &client, &test_err) < 0)
        return -1;
    return pthread_create(&server_thread, NULL, server, NULL);
}

static int teardown(void **state)
{
    (void)state;
    shutdown(listener, SHUT_RDWR);
    pthread_join(server_thread, NULL);
    close(listener);
    close(go[0]);
    close(go[1]);
    http_client_free(client);
    return 0;
}

/* So much later it is than the clock says. */
static int64_t ahead_ms;

int64_t __real_clock_monotonic_ms(void);
int64_t __wrap_clock_monotonic_ms(void);

int64_t __wrap_clock_monotonic_ms(void)
{
    return __real_clock_monotonic_ms() + ahead_ms;
}

static int each_setup(void **state)
{
    (void)state;
    ctx_init_cleanup(&test_ctx, 120000);
    err_clear(&test_err);
    return 0;
}

/* --- the tests --- */

static void pass_time(int64_t ms)
{
    ahead_ms += ms;
    ctx_init_cleanup(&test_ctx, 120000);
}

static struct ws *open_ws(struct ws_options options)
{
    CLEANUP_HTTP_RESPONSE struct http_response response = HTTP_RESPONSE_INIT;
    struct ws *ws = NULL;

    assert_ok(ws_open(&test_ctx, client, &options, &response, &ws, &test_err));
    assert_non_null(ws);
    return ws;
}

static enum ws_recv_result receive(struct ws *ws, struct ws_message *ret)
{
    enum ws_recv_result got;

    while ((got = ws_recv(ws, ret, &test_err)) == WS_RECV_AGAIN)
        assert_ok(ws_wait(&test_ctx, ws, NULL, 0, -1, &test_err));
    return got;
}

static void assert_message(struct ws *ws, enum ws_opcode opcode, const char *text)
{
    struct ws_message message;

    if (receive(ws, &message) != WS_RECV_MESSAGE)
        fail_msg("no message: %s", test_err.message);
    assert_int_equal(message.opcode, opcode);
    assert_string_equal(message.data, text);
}

static void test_echo(void **state)
{
    CLEANUP_WS struct ws *ws = open_ws((struct ws_options){.path = "/echo", .max_frame = 3});

    (void)state;
    assert_null(ws_protocol(ws));
    assert_ok(ws_send(ws, WS_TEXT, "hello", 5, &test_err));
    assert_ok(ws_send(ws, WS_BINARY, "", 0, &test_err));
    assert_ok(ws_send(ws, WS_BINARY, "world", 5, &test_err));
    assert_message(ws, WS_TEXT, "hello");
    assert_message(ws, WS_BINARY, "");
    assert_message(ws, WS_BINARY, "world");
    assert_ok(ws_shutdown(&test_ctx, ws, WS_CLOSE_NORMAL, "done", &test_err));
    assert_int_equal(ws_send(ws, WS_TEXT, "x", 1, &test_err), -1);
    assert_int_equal(test_err.code, ERR_CONFLICT);
}

/* More than the buffers between take. */
static void test_much(void **state)
{
    CLEANUP_WS struct ws *ws = open_ws((struct ws_options){.path = "/late"});
    const size_t len = 15 << 20;
    char *data = xmalloc(len);
    struct ws_message message;

    (void)state;
    for (size_t i = 0; i < len; i++)
        data[i] = (char)(i * 7 + i / 1000);
    assert_ok(ws_send(ws, WS_BINARY, data, len, &test_err));
    assert_true(ws_queued(ws) > 0);
    assert_true(ws_events(ws) & POLLOUT);
    assert_int_equal(write(go[1], "x", 1), 1);
    assert_int_equal(receive(ws, &message), WS_RECV_MESSAGE);
    assert_int_equal(message.len, len);
    assert_memory_equal(message.data, data, len);
    assert_int_equal(ws_queued(ws), 0);
    free(data);
}

static void test_protocol(void **state)
{
    static const char *const protocols[] = {"two", "one", NULL};
    CLEANUP_WS struct ws *ws =
        open_ws((struct ws_options){.path = "/protocol", .protocols = protocols});

    (void)state;
    assert_string_equal(ws_protocol(ws), "one");
}

static void test_refused(void **state)
{
    CLEANUP_HTTP_RESPONSE struct http_response response = HTTP_RESPONSE_INIT;
    struct ws_options options = {.path = "/refuse"};
    struct ws *ws = (struct ws *)&options;

    (void)state;
    assert_ok(ws_open(&test_ctx, client, &options, &response, &ws, &test_err));
    assert_null(ws);
    assert_int_equal(response.status, 403);
    assert_string_equal(response.body.data, "not you");
    options.path = "/hijack";
    assert_ok(ws_open(&test_ctx, client, &options, &response, &ws, &test_err));
    assert_null(ws);
    assert_int_equal(response.status, 200);
}

static void test_bad_handshakes(void **state)
{
    static const struct {
        const char *path;
        const char *message;
    } rows[] = {
        {"/badaccept", "the server: the server's Sec-WebSocket-Accept does not go with the key"},
        {"/spdy", "the server: the server switched to something that is no WebSocket"},
        {"/foreign", "the server: the server chose the WebSocket protocol three, not offered"},
        {"/extension", "the server: the server uses a WebSocket extension that was not asked for"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        CLEANUP_HTTP_RESPONSE struct http_response response = HTTP_RESPONSE_INIT;
        struct ws_options options = {.path = rows[i].path};
        struct ws *ws = NULL;

        assert_int_equal(ws_open(&test_ctx, client, &options, &response, &ws, &test_err), -1);
        assert_int_equal(test_err.code, ERR_PROTOCOL);
        assert_non_null(strstr(test_err.message, rows[i].message));
    }
}

/* A Ping is answered; a silent server is sent one. */
static void test_pings(void **state)
{
    CLEANUP_WS struct ws *ws = open_ws((struct ws_options){.path = "/ping"});
    CLEANUP_WS struct ws *own = NULL;

    (void)state;
    assert_message(ws, WS_TEXT, "are you there");
    assert_ok(ws_shutdown(&test_ctx, ws, WS_CLOSE_NORMAL, "", &test_err));
    own = open_ws((struct ws_options){.path = "/pinged", .ping_interval_ms = 60000});
    pass_time(60000);
    assert_message(own, WS_TEXT, "");
}

/* As on a machine that was suspended: the server has its time to answer from then on. */
static void test_pinged_late(void **state)
{
    CLEANUP_WS struct ws *ws =
        open_ws((struct ws_options){.path = "/late", .ping_interval_ms = 60000});
    struct ws_message message;

    (void)state;
    pass_time(600000);
    for (int i = 0; i < 3; i++)
        assert_int_equal(ws_recv(ws, &message, &test_err), WS_RECV_AGAIN);
    assert_int_equal(write(go[1], "x", 1), 1);
    assert_ok(ws_send(ws, WS_TEXT, "here", 4, &test_err));
    assert_message(ws, WS_TEXT, "here");
}

static void test_silence(void **state)
{
    CLEANUP_WS struct ws *ws =
        open_ws((struct ws_options){.path = "/silent", .ping_interval_ms = 30});
    struct ws_message message;

    (void)state;
    assert_int_equal(receive(ws, &message), WS_RECV_ERROR);
    assert_int_equal(test_err.code, ERR_LOST);
    assert_string_equal(test_err.message, "the server has not answered for 60 ms");
}

static void test_closed_by_server(void **state)
{
    CLEANUP_WS struct ws *ws = open_ws((struct ws_options){.path = "/echo"});
    struct ws_message message;

    (void)state;
    assert_ok(ws_send(ws, WS_TEXT, "close", 5, &test_err));
    for (int i = 0; i < 2; i++) {
        assert_int_equal(receive(ws, &message), WS_RECV_CLOSED);
        assert_int_equal(message.close_code, 4001);
        assert_string_equal(message.data, "as you like");
    }
}

/* A Close frame is answered with one that has the same code. */
static void test_close_is_answered(void **state)
{
    struct ws_message message;
    struct ws *ws = open_ws((struct ws_options){.path = "/bye"});

    (void)state;
    assert_int_equal(receive(ws, &message), WS_RECV_CLOSED);
    assert_int_equal(message.close_code, 4002);
    ws_free(ws);
    ws = open_ws((struct ws_options){.path = "/heard"});
    assert_message(ws, WS_TEXT, "4002");
    ws_free(ws);
}

static void test_lost(void **state)
{
    struct ws_message message;

    (void)state;
    for (int i = 0; i < 2; i++) {
        CLEANUP_WS struct ws *ws = open_ws((struct ws_options){.path = i ? "/half" : "/vanish"});

        if (!i)
            assert_message(ws, WS_TEXT, "last words");
        assert_int_equal(receive(ws, &message), WS_RECV_ERROR);
        assert_int_equal(test_err.code, ERR_LOST);
        assert_string_equal(test_err.message, "the server ended the WebSocket without closing it");
    }
}

static void test_wrong_frames(void **state)
{
    CLEANUP_WS struct ws *ws = open_ws((struct ws_options){.path = "/wrong"});
    struct ws_message message;

    (void)state;
    assert_int_equal(receive(ws, &message), WS_RECV_ERROR);
    assert_int_equal(test_err.code, ERR_PROTOCOL);
    assert_non_null(strstr(test_err.message, "the server: the other side breaks"));
}

static void test_cancel(void **state)
{
    CLEANUP_WS struct ws *ws = open_ws((struct ws_options){.path = "/silent"});
    CLEANUP_CTX struct ctx ctx;

    (void)state;
    assert_ok(ctx_init_cancel(&ctx, &test_ctx, &test_err));
    ctx_cancel(&ctx, CTX_CAUSE_USER);
    assert_int_equal(ws_shutdown(&ctx, ws, WS_CLOSE_NORMAL, "", &test_err), -1);
    assert_int_equal(test_err.code, ERR_CANCELLED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_echo, each_setup),
        cmocka_unit_test_setup(test_much, each_setup),
        cmocka_unit_test_setup(test_protocol, each_setup),
        cmocka_unit_test_setup(test_refused, each_setup),
        cmocka_unit_test_setup(test_bad_handshakes, each_setup),
        cmocka_unit_test_setup(test_pings, each_setup),
        cmocka_unit_test_setup(test_pinged_late, each_setup),
        cmocka_unit_test_setup(test_silence, each_setup),
        cmocka_unit_test_setup(test_closed_by_server, each_setup),
        cmocka_unit_test_setup(test_close_is_answered, each_setup),
        cmocka_unit_test_setup(test_lost, each_setup),
        cmocka_unit_test_setup(test_wrong_frames, each_setup),
        cmocka_unit_test_setup(test_cancel, each_setup),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
