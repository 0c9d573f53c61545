#include "fake.h"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <sys/resource.h>
#include <sys/socket.h>

enum { CUT_WHOLE = 89 }; /* bytes of the fake's answer to /cut-N */

static struct fake fake;
static struct http_client *client;

static int setup(void **state)
{
    struct http_client_options options = {.base_url = "http://docker", .peer = "the fake"};

    (void)state;
    signal(SIGPIPE, SIG_IGN);
    if (fake_start(&fake) < 0)
        return -1;
    options.unix_socket = fake.socket;
    return http_client_new(&options, &client, &test_err);
}

static int teardown(void **state)
{
    (void)state;
    http_client_free(client);
    fake_stop(&fake);
    return 0;
}

static int each_setup(void **state)
{
    (void)state;
    ctx_init_cleanup(&test_ctx, 120000);
    err_clear(&test_err);
    return 0;
}

static int get(const struct ctx *ctx, const char *path, struct http_response *response)
{
    static const char *const keep[] = {"retry-after", "api-version", NULL};
    struct http_request request = {.method = "GET", .path = path, .keep = keep, .max_body = 100000};

    return http_perform(ctx, client, &request, response, &test_err);
}

static void test_answers(void **state)
{
    CLEANUP_HTTP_RESPONSE struct http_response r = HTTP_RESPONSE_INIT;

    (void)state;
    assert_ok(get(&test_ctx, "/_ping", &r));
    assert_int_equal(r.status, 200);
    assert_string_equal(r.body.data, "OK");
    assert_string_equal(strmap_get(&r.headers, "api-version"), "1.41");
    assert_int_equal(http_response_retry_after_ms(&r), -1);
    assert_ok(get(&test_ctx, "/status-503", &r));
    assert_int_equal(r.status, 503);
    assert_false(strmap_has(&r.headers, "api-version"));
    assert_ok(get(&test_ctx, "/busy-1", &r));
    assert_int_equal(r.status, 429);
    assert_int_equal(http_response_retry_after_ms(&r), 0);
    assert_ok(get(&test_ctx, "/drip", &r));
    assert_string_equal(r.body.data, "{\"status\":\"a\"}\r\n{\"status\":\"b\"}\r\n");
}

static void test_broken_answers(void **state)
{
    static const struct {
        const char *path;
        enum err_code code;
        const char *message;
    } rows[] = {
        {"/short", ERR_LOST, "the connection to the fake broke: "},
        {"/chunked", ERR_LOST, "the connection to the fake broke: "},
        {"/nothing", ERR_LOST, "the connection to the fake broke: "},
        {"/reset-9", ERR_LOST, "the connection to the fake broke: "},
        {"/garbage", ERR_PROTOCOL, "the fake: "},
        {"/big-100001", ERR_LIMIT,
         "the fake: the answer to /big-100001 is larger than 100000 bytes"},
    };
    CLEANUP_HTTP_RESPONSE struct http_response r = HTTP_RESPONSE_INIT;

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        assert_error(get(&test_ctx, rows[i].path, &r), rows[i].code);
        assert_message(rows[i].message);
    }
    assert_ok(get(&test_ctx, "/big-100000", &r));
    assert_int_equal(r.body.len, 100000);
}

/* Wherever an answer is cut off, it is not taken for a whole one. */
static void test_cut_answers(void **state)
{
    CLEANUP_HTTP_RESPONSE struct http_response r = HTTP_RESPONSE_INIT;

    (void)state;
    for (int len = 0; len < CUT_WHOLE - 2; len++) {
        char path[32];

        snprintf(path, sizeof(path), "/cut-%d", len);
        assert_error(get(&test_ctx, path, &r), ERR_LOST);
        assert_message("the connection to the fake broke: ");
    }
    assert_ok(get(&test_ctx, "/cut-89", &r));
    assert_string_equal(r.body.data, "{}{}");
}

static void test_no_connection(void **state)
{
    static const struct {
        const char *base_url, *socket, *message;
    } rows[] = {
        {"http://docker", "/no/such/socket",
         "cannot connect to /no/such/socket: No such file or directory"},
        {"http://127.0.0.1:1", NULL, "cannot connect to http://127.0.0.1:1: Connection refused"},
        {"https://127.0.0.1:1", NULL, "cannot connect to https://127.0.0.1:1: Connection refused"},
        {"http://no.such.host.invalid", NULL, "cannot connect to http://no.such.host.invalid: "},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        CLEANUP_HTTP_CLIENT struct http_client *other = NULL;
        CLEANUP_HTTP_RESPONSE struct http_response r = HTTP_RESPONSE_INIT;
        struct http_request request = {.method = "GET", .path = "/"};
        struct http_stream *stream = NULL;
        struct http_client_options options = {.base_url = rows[i].base_url,
                                              .unix_socket = rows[i].socket};

        assert_ok(http_client_new(&options, &other, &test_err));
        assert_error(http_perform(&test_ctx, other, &request, &r, &test_err), ERR_UNAVAILABLE);
        assert_message(rows[i].message);
        assert_error(http_stream_open(&test_ctx, other, &request, &r, &stream, &test_err),
                     ERR_UNAVAILABLE);
        assert_message(rows[i].message);
    }
    assert_error(http_client_new(&(struct http_client_options){.base_url = "docker"},
                                 &(struct http_client *){0}, &test_err),
                 ERR_INVALID);
}

/* A kept connection that dies: libcurl sends again, but not what may be sent only once. */
static void test_once(void **state)
{
    struct http_request request = {.method = "POST", .path = "/reset-1"};
    CLEANUP_HTTP_RESPONSE struct http_response r = HTTP_RESPONSE_INIT;

    (void)state;
    assert_ok(get(&test_ctx, "/_ping", &r));
    assert_ok(http_perform(&test_ctx, client, &request, &r, &test_err));
    assert_ok(get(&test_ctx, "/_ping", &r));
    request.path = "/again/reset-001";
    request.once = true;
    assert_error(http_perform(&test_ctx, client, &request, &r, &test_err), ERR_LOST);
}

static void *cancel_soon(void *arg)
{
    usleep(50000);
    ctx_cancel(arg, CTX_CAUSE_USER);
    return NULL;
}

static double cpu_ms(void)
{
    struct rusage u;

    getrusage(RUSAGE_SELF, &u);
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1000 +
           (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1000;
}

static void test_cancel(void **state)
{
    static const char *const paths[] = {"/hang", "/stall"};
    CLEANUP_HTTP_RESPONSE struct http_response r = HTTP_RESPONSE_INIT;

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        CLEANUP_CTX struct ctx ctx;
        struct ctx limit;
        pthread_t thread;
        double cpu = cpu_ms();

        assert_ok(ctx_init_root(&ctx, NULL, &test_err));
        pthread_create(&thread, NULL, cancel_soon, &ctx);
        assert_error(get(&ctx, paths[i], &r), ERR_CANCELLED);
        pthread_join(thread, NULL);
        assert_error(get(&ctx, "/_ping", &r), ERR_CANCELLED);
        ctx_init(&limit, &test_ctx);
        ctx_set_timeout(&limit, 200, "pull");
        assert_error(get(&limit, paths[i], &r), ERR_TIMEOUT);
        assert_string_equal(test_err.message, "pull timeout after 200 milliseconds");
        assert_true(cpu_ms() - cpu < 100); /* waited, not spun */
    }
}

static int count_bytes(void *arg, const char *data, size_t len, struct err *err)
{
    size_t *left = arg;

    (void)data;
    if (len > *left)
        return err_set(err, ERR_LIMIT, "disk full");
    *left -= len;
    return 0;
}

static void test_write_callback(void **state)
{
    CLEANUP_HTTP_RESPONSE struct http_response r = HTTP_RESPONSE_INIT;
    size_t left = 200000;
    struct http_request request = {.method = "GET",
                                   .path = "/big-150000",
                                   .write = count_bytes,
                                   .write_arg = &left};

    (void)state;
    assert_ok(http_perform(&test_ctx, client, &request, &r, &test_err));
    assert_int_equal(left, 50000);
    assert_int_equal(r.body.len, 0);
    assert_error(http_perform(&test_ctx, client, &request, &r, &test_err), ERR_LIMIT);
    assert_string_equal(test_err.message, "disk full");
    request.path = "/status-404"; /* goes into the response */
    assert_ok(http_perform(&test_ctx, client, &request, &r, &test_err));
    assert_string_equal(r.body.data, "{\"message\":\"status 404\"}\n");
}

static ssize_t fail_reading(void *arg, char *data, size_t size, struct err *err)
{
    (void)arg;
    (void)data;
    (void)size;
    return err_set(err, ERR_SYSTEM, "the tar cannot be read");
}

static ssize_t read_some(void *arg, char *data, size_t size, struct err *err)
{
    size_t *left = arg;
    size_t take = *left < 1000 ? *left : 1000;

    (void)err;
    if (take > size)
        take = size;
    memset(data, 'x', take);
    *left -= take;
    return (ssize_t)take;
}

static void test_read_callback(void **state)
{
    CLEANUP_HTTP_RESPONSE struct http_response r = HTTP_RESPONSE_INIT;
    size_t left = 100000;
    struct http_request request = {.method = "PUT",
                                   .path = "/status-200",
                                   .read = read_some,
                                   .read_arg = &left};

    (void)state;
    assert_ok(http_perform(&test_ctx, client, &request, &r, &test_err));
    assert_int_equal(left, 0);
    left = 100000;
    request.read_size = 100000;
    assert_ok(http_perform(&test_ctx, client, &request, &r, &test_err));
    assert_int_equal(left, 0);
    request.read = fail_reading;
    assert_error(http_perform(&test_ctx, client, &request, &r, &test_err), ERR_SYSTEM);
    assert_string_equal(test_err.message, "the tar cannot be read");
}

static void test_side_by_side(void **state)
{
    CLEANUP_HTTP_CALL struct http_call *hang = NULL;
    CLEANUP_HTTP_CALL struct http_call *stall = NULL;
    CLEANUP_HTTP_CALL struct http_call *quick = NULL;
    CLEANUP_HTTP_RESPONSE struct http_response r = HTTP_RESPONSE_INIT;
    struct pollfd fd;
    int ends[2];

    (void)state;
    assert_ok(http_start(client, &(struct http_request){.method = "GET", .path = "/hang"}, &hang,
                         &test_err));
    assert_ok(http_start(client, &(struct http_request){.method = "GET", .path = "/stall"}, &stall,
                         &test_err));
    assert_ok(http_call_wait_started(&test_ctx, stall, &test_err));
    assert_int_equal(http_call_response(stall)->status, 200);
    assert_false(http_call_done(stall));
    assert_ok(get(&test_ctx, "/_ping", &r)); /* while the others wait */
    assert_ok(http_start(client, &(struct http_request){.method = "GET", .path = "/_ping"}, &quick,
                         &test_err));
    while (!http_call_done(quick))
        assert_ok(http_client_poll(&test_ctx, client, NULL, 0, -1, &test_err));
    assert_ok(http_call_result(quick, &test_err));
    while (http_client_poll(&test_ctx, client, NULL, 0, 0, &test_err) > 0)
        ;
    assert_int_equal(http_client_poll(&test_ctx, client, NULL, 0, 20, &test_err), 0);
    assert_int_equal(pipe(ends), 0);
    fd = (struct pollfd){.fd = ends[0], .events = POLLIN};
    assert_int_equal(http_client_poll(&test_ctx, client, &fd, 1, 20, &test_err), 0);
    close(ends[1]); /* only POLLHUP */
    assert_int_equal(http_client_poll(&test_ctx, client, &fd, 1, -1, &test_err), 1);
    assert_int_equal(fd.revents, POLLHUP);
    close(ends[0]);
    assert_false(http_call_started(hang));
}

static void test_streams(void **state)
{
    static const struct {
        const char *path;
        int status;
        const char *first;
        const char *last;
    } rows[] = {
        {"/upgrade", 101, "", "end"},
        {"/hijack", 200, "", "end"},
        {"/early", 101, "early", ""},
    };
    static const char *const headers[] = {"Connection: Upgrade", "Upgrade: tcp", NULL};

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        CLEANUP_HTTP_RESPONSE struct http_response r = HTTP_RESPONSE_INIT;
        CLEANUP_HTTP_STREAM struct http_stream *stream = NULL;
        CLEANUP_BUF struct buf all = BUF_INIT;
        CLEANUP_FREE char *want = xasprintf("%s%s%s", rows[i].first, "hello", rows[i].last);
        struct http_request request = {.method = "POST",
                                       .path = rows[i].path,
                                       .headers = headers,
                                       .body = "{}",
                                       .body_len = 2};
        char data[3];
        ssize_t got;

        assert_ok(http_stream_open(&test_ctx, client, &request, &r, &stream, &test_err));
        assert_non_null(stream);
        assert_int_equal(r.status, rows[i].status);
        assert_ok(http_stream_write_all(&test_ctx, stream, "hello", 5, &test_err));
        assert_ok(http_stream_shutdown_write(stream, &test_err));
        while ((got = http_stream_read(stream, data, sizeof(data), &test_err)) != 0) {
            struct pollfd fd = {.fd = http_stream_fd(stream), .events = POLLIN};

            if (got == HTTP_STREAM_AGAIN)
                assert_ok(ctx_poll(&test_ctx, &fd, 1, -1, &test_err));
            else if (got < 0)
                fail_msg("%s", test_err.message);
            else
                buf_add(&all, data, (size_t)got);
        }
        assert_string_equal(all.data, want);
    }
}

static void test_stream_refused(void **state)
{
    CLEANUP_HTTP_RESPONSE struct http_response r = HTTP_RESPONSE_INIT;
    CLEANUP_HTTP_STREAM struct http_stream *stream = NULL;
    struct http_request request = {.method = "POST", .path = "/refuse"};
    struct ctx limit;

    (void)state;
    assert_ok(http_stream_open(&test_ctx, client, &request, &r, &stream, &test_err));
    assert_null(stream);
    assert_int_equal(r.status, 409);
    assert_string_equal(r.body.data, "{\"message\":\"container is not running\"}\n");
    request.path = "/refusechunked";
    assert_ok(http_stream_open(&test_ctx, client, &request, &r, &stream, &test_err));
    assert_null(stream);
    assert_int_equal(r.status, 409);
    assert_string_equal(r.body.data, "{\"message\":\"it does not run\"}");
    request.path = "/refuselong";
    assert_ok(http_stream_open(&test_ctx, client, &request, &r, &stream, &test_err));
    assert_null(stream);
    assert_int_equal(r.body.len, 65536);
    request.path = "/follow";
    assert_ok(http_stream_open(&test_ctx, client, &request, &r, &stream, &test_err));
    assert_null(stream);
    assert_int_equal(r.status, 200);
    request.path = "/nothing";
    assert_error(http_stream_open(&test_ctx, client, &request, &r, &stream, &test_err), ERR_LOST);
    assert_string_equal(test_err.message, "the fake closed the connection without an answer");
    request.path = "/garbage";
    assert_error(http_stream_open(&test_ctx, client, &request, &r, &stream, &test_err),
                 ERR_PROTOCOL);
    assert_string_equal(test_err.message, "the fake: the answer is not HTTP: SSH-2.0-OpenSSH_9.2");
    request.path = "/hang";
    ctx_init(&limit, &test_ctx);
    ctx_set_timeout(&limit, 100, "step");
    assert_error(http_stream_open(&limit, client, &request, &r, &stream, &test_err), ERR_TIMEOUT);
}

/* Both sides send more than the sockets hold; the stream wanders between threads meanwhile. */
static void *pump(void *arg)
{
    struct http_stream *stream = arg;
    static char chunk[65536];
    size_t to_send = 20 << 20;
    size_t received = 0;

    memset(chunk, 'y', sizeof(chunk));
    while (received < (20u << 20)) {
        struct pollfd fd = {.fd = http_stream_fd(stream), .events = POLLIN};
        ssize_t got;

        if (to_send) {
            ssize_t put =
                http_stream_write(stream, chunk, to_send < sizeof(chunk) ? to_send : sizeof(chunk),
                                  NULL);

            if (put > 0)
                to_send -= (size_t)put;
            fd.events |= to_send ? POLLOUT : 0;
        }
        got = http_stream_read(stream, chunk, sizeof(chunk), NULL);
        if (got == HTTP_STREAM_AGAIN)
            poll(&fd, 1, 5000);
        else if (got <= 0)
            break;
        else
            received += (size_t)got;
    }
    return received == (20u << 20) ? stream : NULL;
}

static void test_stream_moves_between_threads(void **state)
{
    CLEANUP_HTTP_RESPONSE struct http_response r = HTTP_RESPONSE_INIT;
    CLEANUP_HTTP_STREAM struct http_stream *stream = NULL;
    struct http_request request = {.method = "POST", .path = "/upgrade"};
    pthread_t thread;
    void *result;

    (void)state;
    assert_ok(http_stream_open(&test_ctx, client, &request, &r, &stream, &test_err));
    assert_non_null(pump(stream));
    pthread_create(&thread, NULL, pump, stream);
    pthread_join(thread, &result);
    assert_ptr_equal(result, stream);
}

static int listen_tcp(unsigned *ret_port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(address);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_int_equal(bind(fd, (struct sockaddr *)&address, len), 0);
    assert_int_equal(listen(fd, 4), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &len), 0);
    *ret_port = ntohs(address.sin_port);
    return fd;
}

/* Reads a request's head, whose first line is returned, and answers. */
static char *answer_head(int fd, const char *answer)
{
    CLEANUP_BUF struct buf head = BUF_INIT;
    char byte;

    while (!strstr(head.data, "\r\n\r\n") && read(fd, &byte, 1) == 1)
        buf_addch(&head, byte);
    (void)!write(fd, answer, strlen(answer));
    return xstrndup(head.data, strcspn(head.data, "\r"));
}

struct proxy {
    int listener;
    char *lines[2];
};

static void *proxy_main(void *arg)
{
    struct proxy *proxy = arg;
    CLEANUP_FD int fd = accept(proxy->listener, NULL, NULL);

    proxy->lines[0] = answer_head(fd, "HTTP/1.1 200 Connection established\r\n\r\n");
    if (strncmp(proxy->lines[0], "CONNECT ", 8) == 0)
        proxy->lines[1] = answer_head(fd, "HTTP/1.1 101 UPGRADED\r\n\r\nhello");
    return NULL;
}

static void test_stream_through_proxy(void **state)
{
    CLEANUP_HTTP_RESPONSE struct http_response r = HTTP_RESPONSE_INIT;
    CLEANUP_HTTP_STREAM struct http_stream *stream = NULL;
    CLEANUP_HTTP_CLIENT struct http_client *other = NULL;
    struct http_client_options options = {.base_url = "http://docker.test:2375"};
    struct http_request request = {.method = "POST", .path = "/attach"};
    struct proxy proxy = {0};
    unsigned port;
    CLEANUP_FD int listener = listen_tcp(&port);
    CLEANUP_FREE char *url = xasprintf("http://127.0.0.1:%u", port);
    pthread_t thread;
    char data[5];

    (void)state;
    proxy.listener = listener;
    assert_ok(http_client_new(&options, &other, &test_err));
    pthread_create(&thread, NULL, proxy_main, &proxy);
    setenv("http_proxy", url, 1);
    assert_ok(http_stream_open(&test_ctx, other, &request, &r, &stream, &test_err));
    unsetenv("http_proxy");
    pthread_join(thread, NULL);
    assert_string_equal(proxy.lines[0], "CONNECT docker.test:2375 HTTP/1.1");
    assert_non_null(stream);
    assert_int_equal(http_stream_read(stream, data, sizeof(data), &test_err), 5);
    assert_memory_equal(data, "hello", 5);
    assert_string_equal(proxy.lines[1], "POST /attach HTTP/1.1");
    free(proxy.lines[0]);
    free(proxy.lines[1]);
}

static void *server_main(void *arg)
{
    const int *listener = arg;
    CLEANUP_FD int fd = accept(*listener, NULL, NULL);

    return answer_head(fd, "HTTP/1.1 101 UPGRADED\r\n\r\n");
}

/* Neither is a proxy asked for this machine, nor does a peer stay connected that has vanished. */
static void test_loopback(void **state)
{
    static const char *const local[] = {"127.0.0.1", "localhost"};

    (void)state;
    setenv("http_proxy", "http://127.0.0.1:1", 1);
    for (size_t i = 0; i < sizeof(local) / sizeof(*local); i++) {
        CLEANUP_HTTP_RESPONSE struct http_response r = HTTP_RESPONSE_INIT;
        CLEANUP_HTTP_STREAM struct http_stream *stream = NULL;
        CLEANUP_HTTP_CLIENT struct http_client *other = NULL;
        unsigned port;
        CLEANUP_FD int listener = listen_tcp(&port);
        CLEANUP_FREE char *url = xasprintf("http://%s:%u", local[i], port);
        struct http_request request = {.method = "GET", .path = "/"};
        socklen_t len = sizeof(int);
        pthread_t thread;
        int idle_s = 0;
        void *line;

        assert_ok(
            http_client_new(&(struct http_client_options){.base_url = url}, &other, &test_err));
        pthread_create(&thread, NULL, server_main, &listener);
        assert_ok(http_stream_open(&test_ctx, other, &request, &r, &stream, &test_err));
        pthread_join(thread, &line);
        assert_string_equal(line, "GET / HTTP/1.1");
        free(line);
        assert_int_equal(getsockopt(http_stream_fd(stream), IPPROTO_TCP, TCP_KEEPIDLE, &idle_s,
                                    &len),
                         0);
        assert_int_equal(idle_s, 30);
    }
    {
        CLEANUP_HTTP_RESPONSE struct http_response r = HTTP_RESPONSE_INIT;
        CLEANUP_HTTP_CLIENT struct http_client *other = NULL;
        struct http_client_options options = {.base_url = "http://127.0.0.1.test"};

        assert_ok(http_client_new(&options, &other, &test_err));
        assert_error(http_perform(&test_ctx, other,
                                  &(struct http_request){.method = "GET", .path = "/"}, &r,
                                  &test_err),
                     ERR_UNAVAILABLE);
        assert_message("Connection refused"); /* by the proxy */
    }
    unsetenv("http_proxy");
}

static void test_escape(void **state)
{
    CLEANUP_BUF struct buf b = BUF_INIT;

    (void)state;
    http_escape(&b, "aZ09-._~ /?&=%\xc3\xa9\n");
    assert_string_equal(b.data, "aZ09-._~%20%2F%3F%26%3D%25%C3%A9%0A");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_answers, each_setup),
        cmocka_unit_test_setup(test_broken_answers, each_setup),
        cmocka_unit_test_setup(test_cut_answers, each_setup),
        cmocka_unit_test_setup(test_no_connection, each_setup),
        cmocka_unit_test_setup(test_once, each_setup),
        cmocka_unit_test_setup(test_cancel, each_setup),
        cmocka_unit_test_setup(test_write_callback, each_setup),
        cmocka_unit_test_setup(test_read_callback, each_setup),
        cmocka_unit_test_setup(test_side_by_side, each_setup),
        cmocka_unit_test_setup(test_streams, each_setup),
        cmocka_unit_test_setup(test_stream_refused, each_setup),
        cmocka_unit_test_setup(test_stream_moves_between_threads, each_setup),
        cmocka_unit_test_setup(test_stream_through_proxy, each_setup),
        cmocka_unit_test_setup(test_loopback, each_setup),
        cmocka_unit_test_setup(test_escape, each_setup),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
