/* client/: what a server tells comes to the handler, exactly, whatever happens to connections.
 *
 * The server is a thread of the test, which gives what feed/ has of a record, and breaks
 * connections when it is told to. */
#include "tests/unit/record/rig.h"

#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <unistd.h>

#include "apis/ws/ws_frame.h"
#include "apis/ws/ws_handshake.h"
#include "base/json_at.h"
#include "client/client.h"
#include "feed/feed.h"

/* --- the server --- */

struct peer {
    struct rig *rig;
    struct feed *feed;
    int listener;
    unsigned port;
    pthread_t thread;
    atomic_bool stop;
    /* What it is to do. */
    const char *http;   /* answers this in place of a handshake */
    const char *on_run; /* answers a submission with this, and then nothing; "": hangs up */
    const char *late;   /* refuses with this what is asked, and its cancellation, when that comes */
    int drops;          /* so many times hangs up on whoever follows */
    struct ctx *hasty;  /* to be cancelled before that */
    int cut_after;      /* ends connections when it has sent so many frames; 0: never */
    int cuts;           /* so many of them */
    atomic_bool deaf;   /* takes no connections any more */
    /* What it has seen. */
    atomic_int connections;
    atomic_int follows;
    atomic_int cancels;
    atomic_int hurries;
    char *run; /* the submission */
    /* Of the connection. */
    int fd;
    int sent;
    bool over;
    struct ws_decoder decoder;
    struct feed_subscriber *subscriber;
};

static void send_text(struct peer *p, const char *text, size_t size)
{
    CLEANUP_BUF struct buf bytes = BUF_INIT;

    if (p->over)
        return;
    ws_message_add(&bytes, WS_SERVER, WS_TEXT, text, size, 0);
    if (fs_write_all(p->fd, bytes.data, bytes.len, NULL) < 0)
        p->over = true;
    if (++p->sent == p->cut_after && p->cuts > 0) {
        p->cuts--;
        p->over = true;
    }
}

static void wake(void *arg)
{
    (void)arg; /* it looks all the time */
}

static void follow(struct peer *p, const char *position)
{
    struct feed_subscription subscription = {.run_id = RUN, .format = FEED_V2, .wake = wake};

    if (*position)
        assert_ok(record_position_parse(position, &subscription.position, &test_err));
    atomic_fetch_add(&p->follows, 1);
    feed_unsubscribe(p->subscriber);
    assert_ok(feed_subscribe(p->feed, &subscription, &p->subscriber, &test_err));
}

static void take_run(struct peer *p, const char *text, size_t size)
{
    static const char id[] = "{\"type\":\"id\",\"payload\":\"" RUN "\"}";

    free(p->run);
    p->run = xstrndup(text, size);
    if (p->late) {
        ctx_cancel(p->hasty, CTX_CAUSE_USER);
        return;
    }
    if (p->on_run) {
        if (*p->on_run)
            send_text(p, p->on_run, strlen(p->on_run));
        else
            p->over = true;
        return;
    }
    send_text(p, id, sizeof(id) - 1);
    follow(p, "");
}

static void take_message(struct peer *p, const struct ws_message *message)
{
    json_t *object = json_loadb(message->data, message->len, 0, NULL);
    const char *type = json_at_string(object, "type");

    if (strcmp(type, "run") == 0) {
        take_run(p, message->data, message->len);
    } else if (strcmp(type, "follow") == 0 && strcmp(json_at_string(object, "payload"), RUN)) {
        static const char none[] = "{\"type\":\"error\",\"payload\":\"there is no such run\"}";

        if (p->late)
            ctx_cancel(p->hasty, CTX_CAUSE_USER);
        else
            send_text(p, none, sizeof(none) - 1);
    } else if (strcmp(type, "follow") == 0 && p->drops > 0) {
        p->drops--;
        p->over = true;
    } else if (strcmp(type, "follow") == 0) {
        follow(p, json_at_string(object, "position"));
    } else if (strcmp(type, "cancel") == 0) {
        atomic_fetch_add(json_at_bool(object, "hurry") ? &p->hurries : &p->cancels, 1);
        for (int i = 0; p->late && i < 2; i++)
            send_text(p, p->late, strlen(p->late));
    }
    json_decref(object);
}

static void send_news(struct peer *p)
{
    struct feed_chunk *chunk;

    while (p->subscriber && !p->over && feed_next(p->subscriber, &chunk) == FEED_CHUNK) {
        for (size_t i = 0; i < feed_chunk_count(chunk); i++) {
            size_t size;
            const char *text = feed_chunk_message(chunk, i, &size);

            send_text(p, text, size);
        }
        feed_chunk_unref(chunk);
    }
}

static void serve(struct peer *p)
{
    while (!p->over && !atomic_load(&p->stop) && !atomic_load(&p->deaf)) {
        struct pollfd ready = {.fd = p->fd, .events = POLLIN};
        struct ws_message message;
        char bytes[65536];
        ssize_t got;

        send_news(p);
        if (poll(&ready, 1, 5) <= 0)
            continue;
        got = read(p->fd, bytes, sizeof(bytes));
        if (got <= 0)
            break;
        ws_decoder_feed(&p->decoder, bytes, (size_t)got);
        while (!p->over && ws_decoder_next(&p->decoder, &message, NULL) > 0) {
            if (message.opcode == WS_TEXT)
                take_message(p, &message);
        }
    }
}

static bool shake_hands(struct peer *p)
{
    CLEANUP_BUF struct buf text = BUF_INIT;
    CLEANUP_BUF struct buf answer = BUF_INIT;
    char bytes[2048], key[WS_KEY_SIZE], accept[WS_ACCEPT_SIZE];
    const char *header;
    ssize_t got;

    while (!strstr(text.data, "\r\n\r\n") && (got = read(p->fd, bytes, sizeof(bytes))) > 0)
        buf_add(&text, bytes, (size_t)got);
    header = strstr(text.data, "Sec-WebSocket-Key: ");
    if (!header)
        return false;
    snprintf(key, sizeof(key), "%s", header + strlen("Sec-WebSocket-Key: "));
    ws_accept(key, accept);
    if (p->http)
        buf_addstr(&answer, p->http);
    else
        buf_addf(&answer,
                 "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                 "Connection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n"
                 "Sec-WebSocket-Protocol: " CLIENT_PROTOCOL "\r\n\r\n",
                 accept);
    return fs_write_all(p->fd, answer.data, answer.len, NULL) == 0 && !p->http;
}

static void *peer_main(void *arg)
{
    struct peer *p = arg;

    while (!atomic_load(&p->stop)) {
        struct pollfd ready = {.fd = p->listener, .events = POLLIN};

        if (poll(&ready, 1, 5) <= 0)
            continue;
        p->fd = accept4(p->listener, NULL, NULL, SOCK_CLOEXEC);
        atomic_fetch_add(&p->connections, 1);
        p->over = false;
        p->sent = 0;
        ws_decoder_init(&p->decoder, WS_SERVER, 0);
        if (!atomic_load(&p->deaf) && shake_hands(p))
            serve(p);
        feed_unsubscribe(steal_ptr(&p->subscriber));
        ws_decoder_release(&p->decoder);
        close(p->fd);
    }
    return NULL;
}

/* --- the client --- */

struct seen {
    unsigned next; /* the line that is to come */
    unsigned wrong;
    uint64_t events;
    unsigned notes;
    char id[RECORD_RUN_ID_SIZE];
    struct strvec said;
};

static int take_id(void *arg, const char *id, struct err *err)
{
    struct seen *seen = arg;

    (void)err;
    snprintf(seen->id, sizeof(seen->id), "%s", id);
    return 0;
}

static void take_event(void *arg, const json_t *event)
{
    struct seen *seen = arg;
    uint64_t seq = (uint64_t)json_at_int(event, "seq");

    seen->wrong += seq != seen->events + 1 + seen->notes;
    seen->events = seq;
    seen->notes = 0;
}

static void take_output(void *arg, const struct client_output *output)
{
    struct seen *seen = arg;

    if (output->kind == CLIENT_NOTE) {
        seen->notes++;
        return;
    }
    for (const char *at = output->data; *at; at = strchrnul(at, '\n') + 1) {
        seen->wrong += strtoul(at, NULL, 10) != seen->next;
        seen->next = (unsigned)strtoul(at, NULL, 10) + 1;
    }
}

static void take_missing(void *arg, uint64_t bytes)
{
    (void)bytes;
    ((struct seen *)arg)->wrong++;
}

static void say(void *arg, const char *text)
{
    strvec_push(&((struct seen *)arg)->said, text);
}

static void wait_for_room(void *arg)
{
    (void)arg;
}

struct bench {
    struct peer peer;
    struct client_target target;
    struct ctx interrupt;
    struct ctx_signal hurry;
    struct strmap none;
    struct client_options options;
    struct seen seen;
    struct client_end end;
};

static void bench_start(struct bench *b, struct rig *r)
{
    const struct feed_options feed = {.runs_dir = r->runs};
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(at);
    CLEANUP_FREE char *server = NULL;

    signal(SIGPIPE, SIG_IGN);
    b->peer.rig = r;
    assert_ok(feed_new(&feed, &b->peer.feed, &test_err));
    b->peer.listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(b->peer.listener, (struct sockaddr *)&at, sizeof(at)), 0);
    assert_int_equal(listen(b->peer.listener, 8), 0);
    assert_int_equal(getsockname(b->peer.listener, (struct sockaddr *)&at, &size), 0);
    b->peer.port = ntohs(at.sin_port);
    assert_int_equal(pthread_create(&b->peer.thread, NULL, peer_main, &b->peer), 0);
    server = xasprintf("ws://127.0.0.1:%u", b->peer.port);
    assert_ok(client_target_parse(server, NULL, NULL, NULL, &b->target, &test_err));
    assert_ok(ctx_signal_init(&b->hurry, &test_err));
    assert_ok(ctx_init_root(&b->interrupt, &b->hurry, &test_err));
    b->options.target = &b->target;
    b->options.text = "stages: []\n";
    b->options.env = b->options.env ? b->options.env : &b->none;
    b->options.inputs = &b->none;
    b->options.interrupt = &b->interrupt;
    b->options.hurry = &b->hurry;
}

static int bench_run(struct bench *b)
{
    const struct client_handler handler = {.arg = &b->seen,
                                           .id = take_id,
                                           .event = take_event,
                                           .output = take_output,
                                           .missing = take_missing,
                                           .say = say,
                                           .wait_for_room = wait_for_room};

    return client_run(&b->options, &handler, &b->end, &test_err);
}

static void bench_stop(struct bench *b)
{
    atomic_store(&b->peer.stop, true);
    pthread_join(b->peer.thread, NULL);
    close(b->peer.listener);
    feed_free(b->peer.feed);
    free(b->peer.run);
    client_end_release(&b->end);
    client_target_release(&b->target);
    strvec_release(&b->seen.said);
    ctx_release(&b->interrupt);
    ctx_signal_release(&b->hurry);
}

/* --- the run --- */

enum { LINES = 300 };

static void *print(void *arg)
{
    struct rig *r = arg;

    for (unsigned i = 0; i < LINES; i++) {
        CLEANUP_FREE char *line = xasprintf("%u\n", i);

        rig_print(r, rig_node(r, 1, 0, 0), line);
        if (i % 50 == 7)
            event_bus_note(&r->bus, rig_node(r, 0, 0, 1), "note %u", i);
        if (i % 3 == 0)
            ctx_sleep(&test_ctx, 5, NULL);
    }
    assert_ok(rig_finish(r));
    return NULL;
}

/* --- tests --- */

static void a_run_is_submitted_and_followed(void **state)
{
    static const struct strmap_entry entries[] = {{(char *)"A", (char *)"b=c"}};
    static const struct strmap env = {.entries = (struct strmap_entry *)entries, .len = 1};
    struct rig *r = *state;
    struct bench b = {.options = {.env = &env, .engine = "docker", .priority = 3}};
    pthread_t thread;

    rig_create(r, 0);
    bench_start(&b, r);
    assert_int_equal(pthread_create(&thread, NULL, print, r), 0);
    assert_ok(bench_run(&b));
    pthread_join(thread, NULL);
    assert_string_equal(b.peer.run,
                        "{\"type\":\"run\",\"payload\":\"stages: []\\n\",\"priority\":3,"
                        "\"engine\":\"docker\",\"env\":{\"A\":\"b=c\"}}");
    assert_string_equal(b.seen.id, RUN);
    assert_string_equal(b.end.id, RUN);
    assert_string_equal(b.end.status, "pending");
    assert_string_equal(b.end.error, "as it should");
    assert_true(b.end.has_exit_code);
    assert_int_equal(b.end.exit_code, 3);
    assert_false(b.end.cancelled_here);
    assert_int_equal(b.seen.next, LINES);
    assert_int_equal(b.seen.events, 9);
    assert_int_equal(b.seen.wrong, 0);
    assert_int_equal(atomic_load(&b.peer.connections), 1);
    bench_stop(&b);
}

/* In the middle of what it sends, and as soon as it sends something. */
static void connections_that_break_lose_nothing(void **state)
{
    static const int after[] = {4, 2, 1};
    struct rig *r = *state;
    pthread_t thread;

    for (size_t i = 0; i < 3; i++) {
        struct bench b = {.peer = {.cut_after = after[i], .cuts = 2}};

        rig_create(r, 0);
        bench_start(&b, r);
        assert_int_equal(pthread_create(&thread, NULL, print, r), 0);
        assert_ok(bench_run(&b));
        pthread_join(thread, NULL);
        assert_int_equal(b.seen.next, LINES);
        assert_int_equal(b.seen.events, 9);
        assert_int_equal(b.seen.wrong, 0);
        assert_int_equal(atomic_load(&b.peer.connections), 3);
        assert_int_equal(b.seen.said.len, 4);
        assert_non_null(strstr(b.seen.said.items[0], "; trying again in 0."));
        assert_string_equal(b.seen.said.items[1], "connected again");
        bench_stop(&b);
        assert_ok(record_remove(r->runs, RUN, &test_err));
    }
}

/* A server that takes connections, and nothing else, is left more and more in peace. */
static void connections_that_come_to_nothing(void **state)
{
    struct bench b = {.options.follow = RUN, .peer.drops = 3};
    struct rig *r = *state;
    const char *delay;
    pthread_t thread;

    rig_create(r, 0);
    bench_start(&b, r);
    assert_int_equal(pthread_create(&thread, NULL, print, r), 0);
    assert_ok(bench_run(&b));
    pthread_join(thread, NULL);
    assert_int_equal(b.seen.next, LINES);
    assert_int_equal(b.seen.said.len, 6);
    delay = strstr(b.seen.said.items[4], "trying again in ");
    assert_non_null(delay);
    assert_true(strtod(delay + strlen("trying again in "), NULL) >= 1);
    bench_stop(&b);
}

static void a_run_is_only_submitted(void **state)
{
    struct bench b = {.options.detach = true};

    rig_create(*state, 0);
    bench_start(&b, *state);
    assert_ok(bench_run(&b));
    assert_non_null(strstr(b.peer.run, "\"detach\":true"));
    assert_true(b.end.submitted);
    assert_string_equal(b.end.id, RUN);
    assert_null(b.end.status);
    assert_int_equal(b.seen.events, 0);
    bench_stop(&b);
}

static void a_file_is_refused(void **state)
{
    struct bench b = {.peer.on_run = "{\"type\":\"error\",\"payload\":\"it has 1 error\","
                                     "\"diagnostics\":[{\"line\":1}]}"};

    bench_start(&b, *state);
    assert_ok(bench_run(&b));
    assert_null(b.end.status);
    assert_string_equal(b.end.error, "it has 1 error");
    assert_int_equal(json_array_size(b.end.diagnostics), 1);
    bench_stop(&b);
}

static void a_run_that_is_not_there_is_not_followed(void **state)
{
    struct bench b = {.options.follow = "another"};

    bench_start(&b, *state);
    assert_ok(bench_run(&b));
    assert_null(b.end.status);
    assert_string_equal(b.end.error, "there is no such run");
    assert_null(b.peer.run);
    bench_stop(&b);
}

static void a_submission_without_an_answer_is_not_repeated(void **state)
{
    struct bench b = {.peer.on_run = ""};

    bench_start(&b, *state);
    assert_error(bench_run(&b), ERR_LOST);
    assert_non_null(strstr(test_err.message,
                           "the server has not confirmed the run; it may have been submitted: "));
    assert_int_equal(atomic_load(&b.peer.connections), 1);
    bench_stop(&b);
}

static void servers_that_refuse(void **state)
{
    static const struct {
        const char *http;
        enum err_code code;
        const char *message;
    } cases[] = {
        {"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", ERR_DENIED,
         " wants a user name and a password, or other ones"},
        {"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", ERR_PROTOCOL,
         " is no server of pipelines at /: it answers with the HTTP status 404"},
        {"HTTP/1.1 503 Later\r\nContent-Length: 20\r\nConnection: close\r\n\r\n"
         "{\"error\":\"draining\"} ",
         ERR_UNAVAILABLE, ": draining"},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct bench b = {.peer.http = cases[i].http};

        bench_start(&b, *state);
        assert_error(bench_run(&b), cases[i].code);
        assert_non_null(strstr(test_err.message, cases[i].message));
        bench_stop(&b);
    }
}

static void nobody_is_there(void **state)
{
    struct bench b = {0};

    bench_start(&b, *state);
    client_target_release(&b.target);
    assert_ok(client_target_parse("ws://127.0.0.1:1", NULL, NULL, NULL, &b.target, &test_err));
    assert_error(bench_run(&b), ERR_UNAVAILABLE);
    bench_stop(&b);
}

/* --- being interrupted --- */

struct person {
    struct bench *bench;
    struct rig *rig;
    bool server_goes;
};

/* The run is there, so that it is not the connection that is interrupted. */
static void *press_keys(void *arg)
{
    struct person *p = arg;
    struct bench *b = p->bench;

    while (!atomic_load(&b->peer.follows))
        ctx_sleep(&test_ctx, 2, NULL);
    ctx_cancel(&b->interrupt, CTX_CAUSE_USER);
    while (!atomic_load(&b->peer.cancels))
        ctx_sleep(&test_ctx, 2, NULL);
    if (p->server_goes)
        atomic_store(&b->peer.deaf, true);
    ctx_signal_raise(&b->hurry, CTX_CAUSE_USER);
    while (!p->server_goes && !atomic_load(&b->peer.hurries))
        ctx_sleep(&test_ctx, 2, NULL);
    node_set_state(&p->rig->bus, &p->rig->root, STATE_RUNNING, NULL);
    node_set_state(&p->rig->bus, &p->rig->root, STATE_CANCELLED, NULL);
    assert_ok(rig_finish(p->rig));
    return NULL;
}

static void signals_are_for_the_run(void **state)
{
    struct bench b = {.options.follow = RUN};
    struct person person = {.bench = &b, .rig = *state};
    pthread_t thread;

    rig_create(*state, 0);
    bench_start(&b, *state);
    assert_int_equal(pthread_create(&thread, NULL, press_keys, &person), 0);
    assert_ok(bench_run(&b));
    pthread_join(thread, NULL);
    assert_string_equal(b.end.status, "cancelled");
    assert_true(b.end.cancelled_here);
    assert_int_equal(atomic_load(&b.peer.cancels), 1);
    assert_int_equal(atomic_load(&b.peer.hurries), 1);
    bench_stop(&b);
}

/* Who cancels what is then refused does not wait for its end. */
static void what_is_refused_is_not_waited_for(void **state)
{
    static const char *const followed[] = {NULL, "another"};

    for (size_t i = 0; i < sizeof(followed) / sizeof(*followed); i++) {
        struct bench b = {.options.follow = followed[i],
                          .peer.late = "{\"type\":\"error\",\"payload\":\"no\"}"};

        b.peer.hasty = &b.interrupt;
        bench_start(&b, *state);
        assert_ok(bench_run(&b));
        assert_null(b.end.status);
        assert_string_equal(b.end.error, "no");
        assert_int_equal(atomic_load(&b.peer.cancels), 1);
        assert_int_equal(b.seen.said.len, i);
        bench_stop(&b);
    }
}

/* And the second one is for whoever waits for a server that is gone. */
static void who_hurries_does_not_wait_for_a_server(void **state)
{
    struct bench b = {.options.follow = RUN};
    struct person person = {.bench = &b, .rig = *state, .server_goes = true};
    pthread_t thread;

    rig_create(*state, 0);
    bench_start(&b, *state);
    assert_int_equal(pthread_create(&thread, NULL, press_keys, &person), 0);
    assert_int_equal(bench_run(&b), -1);
    assert_non_null(strstr(test_err.message, "run " RUN " goes on without being shown: "));
    pthread_join(thread, NULL);
    bench_stop(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_run_is_submitted_and_followed, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(connections_that_break_lose_nothing, rig_setup,
                                        rig_teardown),
        cmocka_unit_test_setup_teardown(connections_that_come_to_nothing, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(a_run_is_only_submitted, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(a_file_is_refused, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(a_run_that_is_not_there_is_not_followed, rig_setup,
                                        rig_teardown),
        cmocka_unit_test_setup_teardown(a_submission_without_an_answer_is_not_repeated, rig_setup,
                                        rig_teardown),
        cmocka_unit_test_setup_teardown(servers_that_refuse, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(nobody_is_there, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(signals_are_for_the_run, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(what_is_refused_is_not_waited_for, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(who_hurries_does_not_wait_for_a_server, rig_setup,
                                        rig_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
