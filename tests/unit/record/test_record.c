/* record/: a run comes back from the disk as it was. */
#include "tests/unit/record/rig.h"

#include <sys/stat.h>
#include <unistd.h>

static void a_run_comes_back(void **state)
{
    struct rig *r = *state;
    struct record *record;
    struct record_log *log;
    struct record_item item;
    struct node *step = rig_node(r, 0, 1, 0);

    rig_create(r, 0);
    node_set_state(&r->bus, &r->root, STATE_RUNNING, NULL);
    rig_print(r, step, "one\ntwo\n");
    event_bus_note(&r->bus, step, "remark");
    assert_ok(rig_finish(r));
    record = rig_open(r);
    assert_false(record_is_written(record));
    record_log_open(record, NULL, &log);
    assert_int_equal(record_log_next(log, &item, &test_err), RECORD_ITEM);
    assert_int_equal(item.seq, 1);
    assert_string_equal(item.node, "0.1.0");
    assert_int_equal(item.node_number, step->number);
    assert_int_equal(item.size, 8);
    assert_memory_equal(item.data, "one\ntwo\n", 8);
    assert_int_equal(record_log_next(log, &item, &test_err), RECORD_ITEM);
    assert_int_equal(item.stream, RECORD_NOTE);
    assert_int_equal(record_log_next(log, &item, &test_err), RECORD_END);
    record_log_close(log);
    record_close(record);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_run_comes_back, rig_setup, rig_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
