/* record/: what is in a log comes back exactly, in order, wherever one begins and whatever one asks
 * for. */
#include "tests/unit/record/rig.h"

#include <sys/resource.h>

#include "base/vec.h"

/* What was emitted, for comparison. */
struct said {
    const struct node *node;
    char id[16];
    enum record_stream stream;
    bool continued;
    char *data;
    size_t size;
    int64_t time_ms;
};

struct script {
    VEC(struct said)
    all;
    uint64_t bytes;
    uint64_t lines;
};

static unsigned chance_state;

static unsigned chance(unsigned below)
{
    chance_state = chance_state * 1664525 + 1013904223;
    return (chance_state >> 16) % below;
}

static void script_release(struct script *s)
{
    vec_foreach (struct said *, said, &s->all)
        free(said->data);
    vec_release(&s->all);
}

/* Text that LZ4 makes smaller, and bytes that it does not. */
static char *make_data(size_t size, bool text)
{
    char *data = malloc(size);

    for (size_t i = 0; i < size; i++)
        data[i] = text ? "abc abc abd\n"[(i + size) % 12] : (char)chance(256);
    return data;
}

static void say(struct rig *r, struct script *s, struct said said)
{
    struct event event = {.type = EVENT_LOG,
                          .node = said.node,
                          .time_ms = said.time_ms,
                          .stream = said.stream == RECORD_STDERR ? EVENT_STDERR : EVENT_STDOUT,
                          .data = said.data,
                          .size = said.size,
                          .continued = said.continued};

    if (said.stream == RECORD_NOTE) {
        event.type = EVENT_NOTE;
        event.text = said.data;
    }
    event_bus_wait_for_room(&r->bus, &test_ctx);
    event_bus_emit(&r->bus, &event);
    vec_push(&s->all, said);
    s->bytes += said.size;
    for (size_t i = 0; said.stream != RECORD_NOTE && i < said.size; i++)
        s->lines += said.data[i] == '\n';
}

static void say_something(struct rig *r, struct script *s, int64_t time_ms, size_t largest)
{
    static const char *const ids[] = {"0.0.0", "0.0.1", "0.1.0", "1.0.1", "0.0.db", "", "0.0.d"};
    struct said said = {.time_ms = time_ms};
    unsigned which = chance(7);
    struct node service = {.name = which == 4 ? "db" : "d", .level = NODE_SERVICE};

    service.parent = rig_node(r, 0, 0, -1);
    said.node = which == 0   ? rig_node(r, 0, 0, 0)
                : which == 1 ? rig_node(r, 0, 0, 1)
                : which == 2 ? rig_node(r, 0, 1, 0)
                : which == 3 ? rig_node(r, 1, 0, 1)
                : which == 5 ? &r->root
                             : &service;
    snprintf(said.id, sizeof(said.id), "%s", ids[which]);
    said.stream = (enum record_stream)chance(3);
    said.size = 1 + chance(chance(4) ? 300 : (unsigned)largest);
    said.data = make_data(said.size + 1, chance(3));
    if (said.stream == RECORD_NOTE) {
        said.size = said.size < 40 ? said.size : 40;
        memset(said.data, 'n', said.size);
        said.data[said.size] = '\0';
    } else {
        said.continued = chance(5) == 0;
    }
    say(r, s, said);
    vec_foreach (struct said *, last, &s->all)
        last->node = NULL;
}

static void write_script(struct rig *r, struct script *s, int count, size_t largest)
{
    chance_state = 7;
    rig_create(r, 0);
    for (int i = 0; i < count; i++)
        say_something(r, s, 1000 + i, largest);
    assert_ok(rig_finish(r));
}

static void assert_same(const struct record_item *item, const struct said *said)
{
    assert_string_equal(item->node, said->id);
    assert_int_equal(item->stream, said->stream);
    assert_int_equal(item->continued, said->continued);
    assert_int_equal(item->time_ms, said->time_ms);
    assert_int_equal(item->size, said->size);
    assert_memory_equal(item->data, said->data, said->size);
}

static bool asked_for(const struct record_log_filter *filter, const struct said *said)
{
    size_t len = filter->node ? strlen(filter->node) : 0;

    if (filter->streams && !(filter->streams >> said->stream & 1))
        return false;
    return !len ||
           (strncmp(said->id, filter->node, len) == 0 && (!said->id[len] || said->id[len] == '.'));
}

/* Reads from where the log is to its end: all of the script from `from` on that is asked for. */
static void assert_rest(struct record_log *log, const struct script *s, size_t from,
                        const struct record_log_filter *filter)
{
    struct record_item item;

    for (size_t i = from; i < s->all.len; i++) {
        if (!asked_for(filter, &s->all.items[i]))
            continue;
        if (record_log_next(log, &item, &test_err) != RECORD_ITEM)
            fail_msg("item %zu is missing: %s", i + 1, test_err.message);
        assert_int_equal(item.seq, i + 1);
        assert_same(&item, &s->all.items[i]);
    }
    assert_int_equal(record_log_next(log, &item, &test_err), RECORD_END);
    assert_int_equal(record_log_next(log, &item, &test_err), RECORD_END);
}

static void what_was_said_comes_back(void **state)
{
    static const struct record_log_filter filters[] = {
        {0},
        {.node = ""},
        {.node = "0"},
        {.node = "0.0"},
        {.node = "0.0.1"},
        {.node = "0.0.db"},
        {.node = "0.0.d"},
        {.node = "1"},
        {.node = "7"},
        {.streams = RECORD_STDERR_BIT},
        {.streams = RECORD_NOTE_BIT | RECORD_STDOUT_BIT},
        {.node = "0.1", .streams = RECORD_STDOUT_BIT},
    };
    struct rig *r = *state;
    struct script s = {0};
    CLEANUP_RECORD struct record *record = NULL;
    CLEANUP_RECORD_LOG struct record_log *log = NULL;
    struct record_log_totals totals;

    write_script(r, &s, 600, 60000);
    record = rig_open(r);
    for (size_t i = 0; i < sizeof(filters) / sizeof(*filters); i++) {
        record_log_open(record, &filters[i], &log);
        assert_rest(log, &s, 0, &filters[i]);
        record_log_close(steal_ptr(&log));
    }
    record_log_open(record, NULL, &log);
    assert_ok(record_log_totals(log, &totals, &test_err));
    assert_int_equal(totals.records, 600);
    assert_int_equal(totals.lines, s.lines);
    assert_int_equal(totals.bytes, s.bytes);
    /* So that there are several blocks to look into. */
    assert_true(totals.stored_bytes > 1000000 && totals.stored_bytes < s.bytes);
    script_release(&s);
}

static void one_can_begin_anywhere(void **state)
{
    static const struct record_log_filter all = {0};
    static const struct record_log_filter some = {.node = "0.0.0"};
    struct rig *r = *state;
    struct script s = {0};
    CLEANUP_RECORD struct record *record = NULL;
    CLEANUP_RECORD_LOG struct record_log *log = NULL;
    CLEANUP_RECORD_LOG struct record_log *filtered = NULL;

    write_script(r, &s, 200, 60000);
    record = rig_open(r);
    record_log_open(record, &all, &log);
    record_log_open(record, &some, &filtered);
    for (size_t i = 0; i <= 201; i += i < 10 || i > 190 ? 1 : 13) {
        assert_ok(record_log_seek_seq(log, i, &test_err));
        assert_rest(log, &s, i ? i - 1 : 0, &all);
        assert_ok(record_log_seek_seq(filtered, i, &test_err));
        assert_rest(filtered, &s, i ? i - 1 : 0, &some);
        assert_ok(record_log_seek_time(log, 1000 + (int64_t)i, &test_err));
        assert_rest(log, &s, i, &all);
    }
    assert_ok(record_log_seek_time(log, INT64_MIN, &test_err));
    assert_rest(log, &s, 0, &all);
    assert_ok(record_log_seek_seq(log, UINT64_MAX, &test_err));
    assert_rest(log, &s, s.all.len, &all);
    script_release(&s);
}

static uint64_t lines_in(const struct said *said)
{
    uint64_t lines = said->stream == RECORD_NOTE;

    for (size_t i = 0; said->stream != RECORD_NOTE && i < said->size; i++)
        lines += said->data[i] == '\n';
    return lines;
}

/* The item with which the last lines begin, and how many of its lines come before them. */
static size_t find_tail(const struct script *s, const struct record_log_filter *filter,
                        uint64_t lines, uint64_t *skip)
{
    size_t first = s->all.len;
    uint64_t found = 0;

    while (first > 0 && found < lines) {
        first--;
        if (asked_for(filter, &s->all.items[first]))
            found += lines_in(&s->all.items[first]);
    }
    *skip = found > lines ? found - lines : 0;
    return first;
}

static void one_can_begin_at_the_last_lines(void **state)
{
    static const struct record_log_filter filters[] = {{0},
                                                       {.node = "0.0"},
                                                       {.node = "1", .streams = RECORD_STDOUT_BIT},
                                                       {.node = "7"}};
    static const uint64_t counts[] = {0, 1, 2, 3, 10, 100, 1000, 20000, 100000, UINT64_MAX};
    struct rig *r = *state;
    struct script s = {0};
    CLEANUP_RECORD struct record *record = NULL;

    write_script(r, &s, 200, 60000);
    record = rig_open(r);
    for (size_t i = 0; i < 40; i++) {
        const struct record_log_filter *filter = &filters[i % 4];
        CLEANUP_RECORD_LOG struct record_log *log = NULL;
        uint64_t expected;
        uint64_t skip = 77;
        size_t first = find_tail(&s, filter, counts[i / 4], &expected);

        record_log_open(record, filter, &log);
        assert_ok(record_log_seek_tail(log, counts[i / 4], &skip, &test_err));
        assert_int_equal(skip, expected);
        assert_rest(log, &s, first, filter);
    }
    script_release(&s);
}

/* What came of a line before it ended belongs to it. */
static void the_last_line_came_in_pieces(void **state)
{
    struct rig *r = *state;
    CLEANUP_RECORD struct record *record = NULL;
    CLEANUP_RECORD_LOG struct record_log *log = NULL;
    struct record_item item;
    uint64_t skip;

    rig_create(r, 0);
    rig_print(r, &r->root, "one\n");
    rig_print(r, &r->root, "tw");
    rig_print_sized(r, &r->root, EVENT_STDOUT, "o\n", 2, true);
    assert_ok(rig_finish(r));
    record = rig_open(r);
    record_log_open(record, NULL, &log);
    assert_ok(record_log_seek_tail(log, 1, &skip, &test_err));
    assert_int_equal(skip, 0);
    assert_int_equal(record_log_next(log, &item, &test_err), RECORD_ITEM);
    assert_memory_equal(item.data, "tw", item.size);
}

/* A clock that is set back does not hide what came before. A block each. */
static void times_that_fall(void **state)
{
    static const int64_t times[] = {5000, 100, 200, 6000};
    struct rig *r = *state;
    struct script s = {0};
    CLEANUP_RECORD struct record *record = NULL;
    CLEANUP_RECORD_LOG struct record_log *log = NULL;
    static const struct record_log_filter all = {0};

    rig_create(r, 0);
    for (size_t i = 0; i < 4; i++)
        say(r, &s,
            (struct said){.node = &r->root,
                          .data = make_data(256 * 1024, true),
                          .size = 256 * 1024,
                          .time_ms = times[i]});
    assert_ok(rig_finish(r));
    record = rig_open(r);
    record_log_open(record, NULL, &log);
    assert_ok(record_log_seek_time(log, 50, &test_err));
    assert_rest(log, &s, 0, &all);
    assert_ok(record_log_seek_time(log, 300, &test_err));
    assert_rest(log, &s, 0, &all);
    assert_ok(record_log_seek_time(log, 5001, &test_err));
    assert_rest(log, &s, 3, &all);
    script_release(&s);
}

static void a_large_event_is_cut_at_lines(void **state)
{
    struct rig *r = *state;
    CLEANUP_RECORD struct record *record = NULL;
    CLEANUP_RECORD_LOG struct record_log *log = NULL;
    CLEANUP_BUF struct buf got = BUF_INIT;
    char *lines = make_data(700000, true);
    char *one_line = malloc(700000);
    struct record_item item;
    bool continued = false;

    memset(one_line, 'x', 700000);
    rig_create(r, 0);
    rig_print_sized(r, &r->root, EVENT_STDOUT, lines, 700000, false);
    rig_print_sized(r, &r->root, EVENT_STDERR, one_line, 700000, true);
    assert_ok(rig_finish(r));
    record = rig_open(r);
    record_log_open(record, NULL, &log);
    while (record_log_next(log, &item, &test_err) == RECORD_ITEM) {
        assert_true(item.size <= 256 * 1024);
        assert_int_equal(item.continued, item.stream == RECORD_STDERR);
        continued = item.stream == RECORD_STDOUT && item.data[item.size - 1] != '\n';
        assert_true(!continued || got.len + item.size == 700000);
        buf_add(&got, item.data, item.size);
    }
    assert_int_equal(got.len, 1400000);
    assert_memory_equal(got.data, lines, 700000);
    assert_memory_equal(got.data + 700000, one_line, 700000);
    free(lines);
    free(one_line);
}

static void check_lines(const struct record_item *item, const char *expected)
{
    CLEANUP_BUF struct buf got = BUF_INIT;
    struct record_line line;
    size_t at = 0;

    while (record_log_line(item, &at, &line))
        buf_addf(&got, "%s%.*s%s|", line.continued ? "+" : "", (int)line.size, line.data,
                 line.complete ? "." : "");
    assert_string_equal(got.data, expected);
}

static void items_are_taken_apart_into_lines(void **state)
{
    (void)state;
    check_lines(&(struct record_item){.data = "one\n\ntwo\n", .size = 9}, "one.|.|two.|");
    check_lines(&(struct record_item){.data = "a\nb", .size = 3, .continued = true}, "+a.|b|");
    check_lines(&(struct record_item){.data = "note", .size = 4, .stream = RECORD_NOTE}, "note.|");
    check_lines(&(struct record_item){.data = "xxxxxxxx", .size = 0, .stream = RECORD_MISSING}, "");
}

/* What was read of a log that is not whole. */
struct account {
    uint64_t items;
    uint64_t bytes;
    uint64_t missing;
    uint64_t missing_items;
    uint64_t first_missing; /* the number of the first */
};

static struct account read_all(const struct rig *r)
{
    struct record *record = rig_open(r);
    struct record_log *log;
    struct record_item item;
    struct account a = {0};

    record_log_open(record, NULL, &log);
    while (record_log_next(log, &item, &test_err) == RECORD_ITEM) {
        assert_int_equal(item.seq, ++a.items);
        a.bytes += item.size;
        a.missing += item.missing_bytes;
        if (item.stream == RECORD_MISSING && !a.missing_items++)
            a.first_missing = item.seq;
    }
    record_log_close(log);
    record_close(record);
    return a;
}

/* Of the last event and the notes. */
struct told {
    json_int_t missing;
    struct buf notes;
};

static int hear(void *arg, const struct record_event *event)
{
    struct told *told = arg;
    json_t *object = json_loadb(event->json, event->size, 0, NULL);
    const char *text = json_string_value(json_object_get(object, "text"));

    assert_non_null(object);
    if (json_object_get(object, "log"))
        told->missing =
            json_integer_value(json_object_get(json_object_get(object, "log"), "missing_bytes"));
    else if (text)
        buf_addf(&told->notes, "%s\n", text);
    json_decref(object);
    return 0;
}

static struct told hear_all(const struct rig *r)
{
    struct record *record = rig_open(r);
    struct told told = {.missing = -1, .notes = BUF_INIT};

    assert_ok(record_events_read(record, 0, hear, &told, &test_err));
    record_close(record);
    return told;
}

static int wait_for_note(void *arg, const struct record_event *event)
{
    (void)arg;
    return strstr(event->json, "output is missing") != NULL;
}

/* Until the writer has met the disk's end. */
static void await_missing(const struct rig *r)
{
    CLEANUP_RECORD struct record *record = rig_open(r);
    CLEANUP_RECORD_WATCH struct record_watch *watch = NULL;

    record_watch_open(record, &watch);
    while (record_events_read(record, 0, wait_for_note, NULL, &test_err) == 0)
        assert_int_equal(record_watch_wait(watch, &test_ctx, -1, &test_err), 1);
}

static void beyond_the_limit_is_counted(void **state)
{
    struct rig *r = *state;
    char *noise = make_data(100000, false);
    struct account a;
    struct told told;

    rig_create(r, 1000000);
    for (int i = 0; i < 30; i++) {
        event_bus_wait_for_room(&r->bus, &test_ctx);
        rig_print_sized(r, &r->root, EVENT_STDOUT, noise, 100000, false);
    }
    assert_ok(rig_finish(r));
    a = read_all(r);
    assert_int_equal(a.bytes + a.missing, 3000000);
    assert_in_range(a.bytes, 500000, 1000000);
    /* Where the limit was reached, and at the end. */
    assert_int_equal(a.missing_items, 2);
    assert_int_equal(a.first_missing, a.items - 1);
    told = hear_all(r);
    assert_int_equal(told.missing, a.missing);
    assert_string_equal(told.notes.data, "the log of the run has reached its limit of 1000000 "
                                         "bytes; output is missing in the record from here\n");
    buf_release(&told.notes);
    free(noise);
}

/* Nobody takes the log of a run that is killed then for whole. */
static void the_limit_is_told_at_once(void **state)
{
    struct rig *r = *state;
    char *noise = make_data(100000, false);
    struct account a;

    rig_create(r, 150000);
    for (int i = 0; i < 3; i++)
        rig_print_sized(r, &r->root, EVENT_STDOUT, noise, 100000, false);
    await_missing(r);
    a = read_all(r);
    assert_int_equal(a.bytes, 100000);
    assert_int_equal(a.missing, 200000);
    assert_int_equal(a.first_missing, 2);
    assert_ok(rig_finish(r));
    free(noise);
}

/* The limit is smaller than a block, and than some records. */
static void a_small_limit_keeps_what_it_can(void **state)
{
    struct rig *r = *state;
    char *noise = make_data(200000, false);
    struct account a;

    rig_create(r, 30000);
    for (int i = 0; i < 200; i++)
        rig_print_sized(r, &r->root, EVENT_STDOUT, noise + i * 1000, 1000, false);
    assert_ok(rig_finish(r));
    a = read_all(r);
    assert_int_equal(a.bytes + a.missing, 200000);
    assert_true(a.bytes >= 1000);
    assert_int_equal(a.first_missing, a.bytes / 1000 + 1);
    assert_ok(record_remove(r->runs, RUN, &test_err));
    rig_create(r, 500);
    for (int i = 0; i < 3; i++)
        rig_print_sized(r, &r->root, EVENT_STDOUT, noise + i * 1000, 900, false);
    assert_ok(rig_finish(r));
    a = read_all(r);
    assert_int_equal(a.bytes, 0);
    assert_int_equal(a.missing, 2700);
    free(noise);
}

static void limit_files(rlim_t size)
{
    struct rlimit limit;

    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = size;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

/* A limit of the system stands for a disk that is full, and then is not. */
static void a_full_disk_costs_output_and_no_run(void **state)
{
    struct rig *r = *state;
    char *noise = make_data(100000, false);
    struct account a;
    struct told told;

    rig_create(r, 0);
    limit_files(600000);
    for (int i = 0; i < 20; i++)
        rig_print_sized(r, &r->root, EVENT_STDOUT, noise, 100000, false);
    await_missing(r);
    limit_files(RLIM_INFINITY);
    rig_print_sized(r, &r->root, EVENT_STDOUT, noise, 100000, false);
    assert_int_equal(rig_finish(r), -1);
    assert_message("cannot write the log of the run: File too large");
    a = read_all(r);
    assert_int_equal(a.bytes + a.missing, 2100000);
    assert_in_range(a.bytes, 100000, 2000000);
    assert_true(a.missing_items > 0);
    assert_true(a.first_missing < a.items);
    told = hear_all(r);
    assert_int_equal(told.missing, a.missing);
    assert_string_equal(told.notes.data, "cannot write the log of the run: File too large; output "
                                         "is missing in the record from here\n");
    buf_release(&told.notes);
    free(noise);
}

/* Events wait for the disk, and none is lost. */
static void events_outlast_a_full_disk(void **state)
{
    struct rig *r = *state;
    struct told told;
    CLEANUP_BUF struct buf expected = BUF_INIT;

    rig_create(r, 0);
    limit_files(1000);
    for (int i = 0; i < 100; i++) {
        event_bus_note(&r->bus, &r->root, "note %d", i);
        buf_addf(&expected, "note %d\n", i);
    }
    ctx_sleep(&test_ctx, 150,
              NULL); /* for the writer to fail; if it does not, the test still holds */
    limit_files(RLIM_INFINITY);
    (void)!rig_finish(r);
    told = hear_all(r);
    /* The notes in the log may have failed as well. */
    if (strstr(told.notes.data, "output is missing"))
        buf_addstr(&expected, strchr(strstr(told.notes.data, "note 99\n"), '\n') + 1);
    assert_string_equal(told.notes.data, expected.data);
    buf_release(&told.notes);
}

static int is_end(void *arg, const struct record_event *event)
{
    size_t size;
    const char *name = record_event_name(event, &size);

    *(bool *)arg = size == strlen("RunEnded") && memcmp(name, "RunEnded", size) == 0;
    return 0;
}

/* Events that are too many to wait for the disk are lost, and how the run ended is not. */
static void the_end_outlasts_a_full_disk(void **state)
{
    struct rig *r = *state;
    enum { SIZE = 64 << 10 };
    CLEANUP_FREE char *noise = xcalloc(1, SIZE);
    CLEANUP_RECORD struct record *record = NULL;
    bool ended = false;

    memset(noise, 'n', SIZE - 1);
    rig_create(r, 0);
    limit_files(1000);
    for (int i = 0; i < 400; i++)
        event_bus_note(&r->bus, &r->root, "%s", noise);
    limit_files(RLIM_INFINITY);
    (void)!rig_finish(r);
    record = rig_open(r);
    assert_int_equal(record_events_read(record, 0, is_end, &ended, &test_err), 0);
    assert_true(ended);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_was_said_comes_back, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(one_can_begin_anywhere, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(one_can_begin_at_the_last_lines, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(the_last_line_came_in_pieces, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(times_that_fall, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(a_large_event_is_cut_at_lines, rig_setup, rig_teardown),
        cmocka_unit_test(items_are_taken_apart_into_lines),
        cmocka_unit_test_setup_teardown(beyond_the_limit_is_counted, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(the_limit_is_told_at_once, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(a_small_limit_keeps_what_it_can, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(a_full_disk_costs_output_and_no_run, rig_setup,
                                        rig_teardown),
        cmocka_unit_test_setup_teardown(events_outlast_a_full_disk, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(the_end_outlasts_a_full_disk, rig_setup, rig_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
