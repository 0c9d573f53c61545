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

/* From here on: with secrets. */

static void mask_with(struct fixture *f, const char *value)
{
    f->bus.mask = mask_new();
    assert_int_equal(mask_add(f->bus.mask, value, strlen(value)), MASK_ADDED);
    log_pump_release(&f->pump);
    log_pump_init(&f->pump, f->flusher, &f->bus, &f->node);
}

static void late_lines_do_not_cut_secrets(void **state)
{
    struct fixture *f = *state;

    mask_with(f, "hunter2");
    put(f, EVENT_STDOUT, "it is hunt", 10);
    while (bytes_so_far(f) < 6)
        assert_int_equal(ctx_sleep(&f->ctx, 5, NULL), 0);
    assert_int_equal(ctx_sleep(&f->ctx, 2 * LOG_PARTIAL_MS, NULL), 0);
    assert_int_equal(bytes_so_far(f), 6);
    put(f, EVENT_STDERR, "er2", 3);
    put(f, EVENT_STDOUT, "er2.\n", 5);
    log_pump_finish(&f->pump);
    assert_string_equal(f->collector.bytes[0].data, "it is ***.\n");
    assert_string_equal(f->collector.bytes[1].data, "er2");
    mask_free(f->bus.mask);
}

static void long_lines_do_not_cut_secrets(void **state)
{
    struct fixture *f = *state;
    char *line = malloc(2 * LOG_LINE_MAX);

    mask_with(f, "hunter2");
    for (size_t at = LOG_LINE_MAX - 8; at < LOG_LINE_MAX + 2; at++) {
        memset(line, 'x', 2 * LOG_LINE_MAX);
        memcpy(line + at, "hunter2\n", 8);
        put(f, EVENT_STDOUT, line, at + 8);
        memset(line + at, '*', 3);
        line[at + 3] = '\n';
        assert_int_equal(f->collector.bytes[0].len, at + 4);
        assert_memory_equal(f->collector.bytes[0].data, line, at + 4);
        buf_reset(&f->collector.bytes[0]);
    }
    log_pump_finish(&f->pump);
    mask_free(f->bus.mask);
    free(line);
}

static void secrets_are_not_in_the_tail(void **state)
{
    struct fixture *f = *state;
    CLEANUP_FREE char *tail = NULL;

    mask_with(f, "two\nlines");
    put(f, EVENT_STDOUT, "one\ntwo\nlin", 11);
    put(f, EVENT_STDOUT, "es\ntwo\nli", 9);
    log_pump_finish(&f->pump);
    tail = log_pump_tail(&f->pump, 4);
    assert_string_equal(tail, "one\n***\ntwo\nli");
    mask_free(f->bus.mask);
}

static char *last_note;

static void keep_note(struct event_sink *sink, const struct event *event)
{
    (void)sink;
    if (event->type == EVENT_NOTE) {
        free(last_note);
        last_note = strdup(event->text);
    }
}

static void notes_names_and_errors_show_none(void **state)
{
    struct fixture *f = *state;
    struct event_sink sink = {.handle = keep_note};
    struct event_bus bus = EVENT_BUS_INIT;
    struct node node = {.level = NODE_STEP};
    const struct node_result result = {.error = "hunter2 failed",
                                       .message = "it was hunter2",
                                       .tail = "so: hunter2\n"};

    mask_with(f, "hunter2");
    bus.mask = f->bus.mask;
    event_bus_add(&bus, &sink);
    event_bus_note(&bus, &node, "pulling %s/hunter2", "registry");
    assert_string_equal(last_note, "pulling registry/***");
    node_set_name(&bus, &node, "deploy hunter2");
    assert_string_equal(node.name, "deploy ***");
    node_set_state(&bus, &node, STATE_RUNNING, NULL);
    node_retry(&bus, &node, &result, 0);
    assert_string_equal(node.attempts[0].error, "*** failed");
    node_set_state(&bus, &node, STATE_FAILED, &result);
    assert_string_equal(node.error, "*** failed");
    assert_string_equal(node.message, "it was ***");
    assert_string_equal(node.tail, "so: ***\n");
    node_release(&node);
    log_pump_finish(&f->pump);
    mask_free(f->bus.mask);
    free(last_note);
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
        T(late_lines_do_not_cut_secrets),
        T(long_lines_do_not_cut_secrets),
        T(secrets_are_not_in_the_tail),
        T(notes_names_and_errors_show_none),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
