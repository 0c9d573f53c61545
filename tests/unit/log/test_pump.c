/* log_pump: every byte once, in order, in events of whole lines or marked pieces. */
#include "tests/unit/test.h"

#include "log/pump.h"

struct collector {
    struct event_sink sink;
    struct buf bytes[2];
    size_t events;
    size_t continued;
    size_t largest;
};

static void collect(struct event_sink *sink, const struct event *event)
{
    struct collector *c = (struct collector *)sink;
    struct buf *bytes = &c->bytes[event->stream];

    /* An event goes on with a line exactly when the one before left it open. */
    assert_int_equal(event->continued, bytes->len > 0 && bytes->data[bytes->len - 1] != '\n');
    buf_add(bytes, event->data, event->size);
    c->events++;
    c->continued += event->continued;
    if (event->size > c->largest)
        c->largest = event->size;
}

struct fixture {
    struct collector collector;
    struct event_bus bus;
    struct log_flusher *flusher;
    struct log_pump pump;
    struct node node;
    struct ctx ctx;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));

    f->collector.sink.handle = collect;
    f->collector.bytes[0] = f->collector.bytes[1] = (struct buf)BUF_INIT;
    f->bus = (struct event_bus)EVENT_BUS_INIT;
    event_bus_add(&f->bus, &f->collector.sink);
    f->flusher = log_flusher_new();
    log_pump_init(&f->pump, f->flusher, &f->bus, &f->node);
    *state = f;
    return ctx_init_root(&f->ctx, NULL, NULL);
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    log_flusher_free(f->flusher);
    log_pump_release(&f->pump);
    buf_release(&f->collector.bytes[0]);
    buf_release(&f->collector.bytes[1]);
    ctx_release(&f->ctx);
    free(f);
    return 0;
}

static void put(struct fixture *f, enum event_stream stream, const char *text, size_t size)
{
    log_pump_write(&f->pump, &f->ctx, stream, text, size);
}

static void lines_and_a_last_one_without_newline(void **state)
{
    struct fixture *f = *state;

    put(f, EVENT_STDOUT, "one\ntwo\nthr", 11);
    assert_string_equal(f->collector.bytes[0].data, "one\ntwo\n");
    assert_int_equal(f->collector.events, 1);
    put(f, EVENT_STDERR, "other\n", 6);
    put(f, EVENT_STDOUT, "ee\nend", 6);
    log_pump_finish(&f->pump);
    assert_string_equal(f->collector.bytes[0].data, "one\ntwo\nthree\nend");
    assert_string_equal(f->collector.bytes[1].data, "other\n");
    assert_int_equal(f->collector.continued, 0);
}

static void any_cut_gives_the_same_bytes(void **state)
{
    struct fixture *f = *state;
    CLEANUP_BUF struct buf all = BUF_INIT;
    unsigned seed = 1;

    for (int i = 0; i < 3000; i++) {
        size_t length = (size_t)rand_r(&seed) % (i % 100 == 0 ? 200000 : 50);
        char *line = malloc(length + 1);

        memset(line, 'a' + i % 26, length);
        line[length] = '\n';
        if (length > 3)
            line[length / 2] = '\0';
        buf_add(&all, line, length + 1);
        free(line);
    }
    for (size_t at = 0; at < all.len;) {
        size_t size = (size_t)rand_r(&seed) % 100000 + 1;

        if (size > all.len - at)
            size = all.len - at;
        put(f, EVENT_STDOUT, all.data + at, size);
        at += size;
    }
    log_pump_finish(&f->pump);
    assert_int_equal(f->collector.bytes[0].len, all.len);
    assert_memory_equal(f->collector.bytes[0].data, all.data, all.len);
    assert_true(f->collector.continued > 0);
    assert_true(f->collector.largest <= LOG_LINE_MAX);
}

static void pieces_do_not_cut_characters(void **state)
{
    struct fixture *f = *state;
    char *line = malloc(LOG_LINE_MAX + 2);

    memset(line, 'x', LOG_LINE_MAX - 1);
    memcpy(line + LOG_LINE_MAX - 1, "\xe2\x82\xac", 3);
    put(f, EVENT_STDOUT, line, LOG_LINE_MAX - 1);
    put(f, EVENT_STDOUT, line + LOG_LINE_MAX - 1, 1);
    put(f, EVENT_STDOUT, line + LOG_LINE_MAX, 2);
    assert_int_equal(f->collector.bytes[0].len, LOG_LINE_MAX - 1);
    put(f, EVENT_STDOUT, "\n", 1);
    log_pump_finish(&f->pump);
    assert_int_equal(f->collector.bytes[0].len, LOG_LINE_MAX + 3);
    assert_int_equal(f->collector.continued, 1);
    free(line);
}

static size_t bytes_so_far(struct fixture *f)
{
    size_t len;

    pthread_mutex_lock(&f->bus.mu);
    len = f->collector.bytes[0].len;
    pthread_mutex_unlock(&f->bus.mu);
    return len;
}

static void late_lines_go_out_without_newline(void **state)
{
    struct fixture *f = *state;

    put(f, EVENT_STDOUT, "prompt> ", 8);
    while (bytes_so_far(f) < 8)
        assert_int_equal(ctx_sleep(&f->ctx, 5, NULL), 0);
    put(f, EVENT_STDOUT, "answer\n", 7);
    log_pump_finish(&f->pump);
    assert_string_equal(f->collector.bytes[0].data, "prompt> answer\n");
    assert_int_equal(f->collector.continued, 1);
}

static void tail_is_the_last_lines(void **state)
{
    struct fixture *f = *state;
    CLEANUP_FREE char *tail = NULL;
    char line[32];

    assert_null(log_pump_tail(&f->pump, 2));
    for (int i = 0; i < 100000; i++)
        put(f, EVENT_STDOUT, line, (size_t)snprintf(line, sizeof(line), "line %d\n", i));
    log_pump_finish(&f->pump);
    tail = log_pump_tail(&f->pump, 2);
    assert_string_equal(tail, "line 99998\nline 99999\n");
}

int main(void)
{
#define T(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(lines_and_a_last_one_without_newline),
        T(any_cut_gives_the_same_bytes),
        T(pieces_do_not_cut_characters),
        T(late_lines_go_out_without_newline),
        T(tail_is_the_last_lines),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
