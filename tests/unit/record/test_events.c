/* record/: the events of a run, from the sink to the tree that is made of them again. */
#include "tests/unit/record/rig.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "event/json.h"
#include "event/read.h"

static json_t *load(const struct record_event *event)
{
    json_t *object = json_loadb(event->json, event->size, 0, NULL);

    assert_non_null(object);
    return object;
}

static const char *text_at(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));

    return text ? text : "";
}

/* A run with all that can happen to a tree. */
static void play(struct rig *r)
{
    const struct node_result failed = {.reason = REASON_TIMEOUT,
                                       .has_exit_code = true,
                                       .exit_code = 2,
                                       .error = "no"};
    struct node *stage = rig_node(r, 0, -1, -1);
    struct node *job = rig_node(r, 0, 0, -1);
    struct node *other = rig_node(r, 0, 1, -1);
    struct node service = {.parent = job,
                           .name = "db",
                           .level = NODE_SERVICE,
                           .number = job->number};
    struct strmap outputs = {0};

    strmap_set(&outputs, "version", "12");
    node_set_state(&r->bus, &r->root, STATE_RUNNING, NULL);
    node_set_state(&r->bus, stage, STATE_RUNNING, NULL);
    node_set_state(&r->bus, job, STATE_RUNNING, NULL);
    event_bus_note(&r->bus, &service, "is up");
    node_set_state(&r->bus, &job->children[0], STATE_RUNNING, NULL);
    rig_print(r, &job->children[0], "output\n");
    node_add_outputs(&r->bus, &job->children[0], &outputs);
    node_set_state(&r->bus, &job->children[0], STATE_SUCCEEDED, NULL);
    node_set_state(&r->bus, &job->children[1], STATE_RUNNING, NULL);
    node_set_state(&r->bus, &job->children[1], STATE_FAILED, &failed);
    node_retry(&r->bus, job, &failed, 5);
    node_set_state(&r->bus, &job->children[0], STATE_RUNNING, NULL);
    node_set_state(&r->bus, &job->children[0], STATE_SUCCEEDED, NULL);
    node_set_state(&r->bus, job, STATE_SUCCEEDED, NULL);
    node_set_state(&r->bus, other, STATE_CANCELLED, &failed);
    strmap_release(&outputs);
}

static void check_begin(const json_t *begin)
{
    assert_string_equal(text_at(begin, "event"), "RunBegan");
    assert_int_equal(json_integer_value(json_object_get(begin, "seq")), 1);
    assert_int_equal(json_integer_value(json_object_get(begin, "format")), RECORD_FORMAT);
    assert_string_equal(text_at(begin, "id"), RUN);
    assert_string_equal(text_at(begin, "origin"), "exec");
    assert_string_equal(text_at(begin, "owner"), "boot/1/2/3");
    assert_string_equal(text_at(begin, "user"), "ann");
    assert_string_equal(text_at(begin, "directory"), "/src");
    assert_int_equal(strlen(text_at(begin, "time")), 24);
}

static void check_end(const json_t *end)
{
    const json_t *log = json_object_get(end, "log");

    assert_string_equal(text_at(end, "status"), "running");
    assert_int_equal(json_integer_value(json_object_get(end, "exit_code")), 3);
    assert_string_equal(text_at(end, "text"), "as it should");
    assert_int_equal(json_integer_value(json_object_get(log, "records")), 2);
    assert_int_equal(json_integer_value(json_object_get(log, "lines")), 1);
    assert_int_equal(json_integer_value(json_object_get(log, "bytes")), 12);
    assert_int_equal(json_integer_value(json_object_get(log, "missing_bytes")), 0);
}

static void events_make_the_tree_again(void **state)
{
    struct rig *r = *state;
    CLEANUP_RECORD struct record *record = NULL;
    CLEANUP_RECORD_EVENTS struct record_events *events = NULL;
    struct record_event item;
    struct node tree = {0};
    json_t *expected;
    bool ended = false;

    rig_create(r, 0);
    play(r);
    expected = node_tree_to_json(&r->root, RUN);
    assert_ok(rig_finish(r));
    record = rig_open(r);
    record_events_open(record, 0, &events);
    for (uint64_t seq = 1; record_events_next(events, &item, &test_err) == RECORD_ITEM; seq++) {
        json_t *event = load(&item);

        assert_int_equal(item.seq, seq);
        ended = strcmp(text_at(event, "event"), "RunEnded") == 0;
        if (seq == 1) {
            check_begin(event);
        } else if (seq == 2) {
            assert_string_equal(text_at(event, "event"), "RunPlanned");
            assert_string_equal(text_at(event, "id"), RUN);
            assert_string_equal(text_at(event, "name"), "demo");
            assert_int_equal(strlen(text_at(event, "time")), 24);
            assert_ok(node_tree_from_json(json_object_get(event, "tree"), &tree, &test_err));
        } else if (ended) {
            /* What the changes alone have made of it. */
            json_t *made = node_tree_to_json(&tree, RUN);

            assert_true(json_equal(made, expected));
            json_decref(made);
            check_end(event);
        } else {
            assert_ok(event_apply(event, &tree, &test_err));
        }
        json_decref(event);
    }
    assert_true(ended);
    assert_int_equal(record_events_next(events, &item, &test_err), RECORD_END);
    node_release(&tree);
    json_decref(expected);
}

static int collect(void *arg, const struct record_event *event)
{
    buf_addf(arg, "%d ", (int)event->seq);
    return event->seq == 4 ? 7 : 0;
}

static void reading_begins_behind_a_number(void **state)
{
    struct rig *r = *state;
    CLEANUP_RECORD struct record *record = NULL;
    CLEANUP_BUF struct buf got = BUF_INIT;

    rig_create(r, 0);
    for (int i = 0; i < 4; i++)
        event_bus_note(&r->bus, &r->root, "note %d", i);
    assert_ok(rig_finish(r));
    record = rig_open(r);
    assert_int_equal(record_events_read(record, 0, collect, &got, &test_err), 7);
    assert_string_equal(got.data, "1 2 3 4 ");
    buf_reset(&got);
    assert_int_equal(record_events_read(record, 4, collect, &got, &test_err), 0);
    assert_string_equal(got.data, "5 6 7 ");
    buf_reset(&got);
    assert_int_equal(record_events_read(record, 7, collect, &got, &test_err), 0);
    assert_string_equal(got.data, "");
}

/* Writes into the file of a record that has ended. */
static int edit(const struct rig *r, const char *name, int flags)
{
    CLEANUP_FREE char *path = xasprintf("%s/" RUN "/%s", r->runs, name);
    int fd = open(path, flags | O_CLOEXEC);

    assert_true(fd >= 0);
    return fd;
}

static void a_torn_line_is_not_there_yet(void **state)
{
    struct rig *r = *state;
    CLEANUP_RECORD struct record *record = NULL;
    CLEANUP_BUF struct buf got = BUF_INIT;
    CLEANUP_FD int fd = -1;
    struct stat st;

    rig_create(r, 0);
    event_bus_note(&r->bus, &r->root, "note");
    assert_ok(rig_finish(r));
    fd = edit(r, "events", O_RDWR);
    assert_int_equal(fstat(fd, &st), 0);
    assert_int_equal(ftruncate(fd, st.st_size - 1), 0);
    record = rig_open(r);
    assert_int_equal(record_events_read(record, 0, collect, &got, &test_err), 0);
    assert_string_equal(got.data, "1 2 3 ");
}

static void a_damaged_line_is_told_and_left_out(void **state)
{
    struct rig *r = *state;
    CLEANUP_RECORD struct record *record = NULL;
    CLEANUP_RECORD_EVENTS struct record_events *events = NULL;
    CLEANUP_FREE char *place = NULL;
    CLEANUP_FD int fd = -1;
    struct record_event item;
    size_t first;

    rig_create(r, 0);
    event_bus_note(&r->bus, &r->root, "note");
    assert_ok(rig_finish(r));
    record = rig_open(r);
    record_events_open(record, 0, &events);
    assert_int_equal(record_events_next(events, &item, &test_err), RECORD_ITEM);
    first = item.size + 1;
    record_events_close(steal_ptr(&events));
    fd = edit(r, "events", O_RDWR);
    assert_int_equal(pwrite(fd, "x", 1, (off_t)first), 1);
    record_events_open(record, 0, &events);
    assert_int_equal(record_events_next(events, &item, &test_err), RECORD_ITEM);
    assert_int_equal(record_events_next(events, &item, &test_err), RECORD_DAMAGED);
    place = xasprintf(RUN "/events: the line at %zu is no event", first);
    assert_message(place);
    assert_int_equal(record_events_next(events, &item, &test_err), RECORD_ITEM);
    assert_int_equal(item.seq, 3);
    assert_int_equal(record_events_next(events, &item, &test_err), RECORD_ITEM);
    assert_int_equal(record_events_next(events, &item, &test_err), RECORD_END);
}

/* Who asks for what is behind a number may be given the line in the middle first. */
static void assert_gives(const struct rig *r, uint64_t after, int before, int behind)
{
    CLEANUP_RECORD struct record *record = rig_open(r);
    CLEANUP_RECORD_EVENTS struct record_events *events = NULL;
    struct record_event item;

    record_events_open(record, after, &events);
    for (uint64_t seq = after + 1; seq <= (uint64_t)before; seq++) {
        assert_int_equal(record_events_next(events, &item, &test_err), RECORD_ITEM);
        assert_int_equal(item.seq, seq);
    }
    assert_int_equal(record_events_next(events, &item, &test_err), RECORD_DAMAGED);
    for (int seq = before + 2; seq <= behind; seq++) {
        assert_int_equal(record_events_next(events, &item, &test_err), RECORD_ITEM);
        assert_int_equal(item.seq, seq);
    }
    assert_int_equal(record_events_next(events, &item, &test_err), RECORD_END);
}

/* It would have been many lines that are missing, which somebody may want to make up for. */
static void a_number_that_jumps_is_damage(void **state)
{
    struct rig *r = *state;
    CLEANUP_FREE char *path = xasprintf("%s/" RUN "/events", r->runs);
    CLEANUP_BUF struct buf bytes = BUF_INIT;
    CLEANUP_FD int fd = -1;
    char *at;

    rig_create(r, 0);
    event_bus_note(&r->bus, &r->root, "one");
    event_bus_note(&r->bus, &r->root, "two");
    assert_ok(rig_finish(r));
    assert_ok(fs_read_file(path, 1 << 20, &bytes, &test_err));
    at = strstr(bytes.data, "{\"seq\":3,");
    assert_non_null(at);
    fd = edit(r, "events", O_WRONLY | O_TRUNC);
    assert_ok(fs_write_all(fd, bytes.data, (size_t)(at - bytes.data), &test_err));
    assert_ok(fs_write_all(fd, "{\"seq\":30000000", 15, &test_err));
    at += strlen("{\"seq\":3");
    assert_ok(fs_write_all(fd, at, strlen(at), &test_err));
    assert_gives(r, 0, 2, 5);
    assert_gives(r, 2, 2, 5);
}

/* Without any event, and before the writer's thread has done anything. */
static void the_beginning_is_there_at_once(void **state)
{
    struct rig *r = *state;
    CLEANUP_RECORD struct record *record = NULL;
    CLEANUP_RECORD_EVENTS struct record_events *events = NULL;
    struct record_event item;
    json_t *begin;

    rig_create(r, 0);
    record = rig_open(r);
    record_events_open(record, 0, &events);
    assert_int_equal(record_events_next(events, &item, &test_err), RECORD_ITEM);
    begin = load(&item);
    check_begin(begin);
    assert_null(json_object_get(begin, "tree"));
    json_decref(begin);
    assert_int_equal(record_events_next(events, &item, &test_err), RECORD_NONE_YET);
}

/* A run that nothing has happened in, and one that there was no tree of. */
static void a_run_without_events_has_a_beginning_and_an_end(void **state)
{
    struct rig *r = *state;
    CLEANUP_RECORD struct record *record = NULL;
    CLEANUP_BUF struct buf got = BUF_INIT;
    const struct record_end none = {.text = "no such engine"};

    rig_create(r, 0);
    assert_ok(record_finish(r->writer, &none, &test_err));
    r->writer = NULL;
    record = rig_open(r);
    assert_int_equal(record_events_read(record, 0, collect, &got, &test_err), 0);
    assert_string_equal(got.data, "1 2 ");
    record_close(steal_ptr(&record));
    assert_ok(record_remove(r->runs, RUN, &test_err));
    buf_reset(&got);
    rig_create(r, 0);
    assert_ok(rig_finish(r));
    record = rig_open(r);
    assert_int_equal(record_events_read(record, 0, collect, &got, &test_err), 0);
    assert_string_equal(got.data, "1 2 3 ");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(events_make_the_tree_again, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(reading_begins_behind_a_number, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(a_torn_line_is_not_there_yet, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(a_number_that_jumps_is_damage, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(a_damaged_line_is_told_and_left_out, rig_setup,
                                        rig_teardown),
        cmocka_unit_test_setup_teardown(the_beginning_is_there_at_once, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(a_run_without_events_has_a_beginning_and_an_end, rig_setup,
                                        rig_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
