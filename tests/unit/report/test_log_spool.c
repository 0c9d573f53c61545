/* log_spool: what comes back is what came, up to the bound, and the gap is told exactly. */
#include "tests/unit/test.h"

#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "report/log_spool.h"

struct fixture {
    char dir[32];
    struct log_spool *spool;
    struct event_bus bus;
    struct node root;
    struct buf got;
    uint64_t lost;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    char *path;

    snprintf(f->dir, sizeof(f->dir), "/tmp/runner-unit.XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    path = fs_join(f->dir, "logs");
    assert_int_equal(log_spool_new(path, &f->spool, NULL), 0);
    free(path);
    f->bus = (struct event_bus)EVENT_BUS_INIT;
    event_bus_add(&f->bus, log_spool_sink(f->spool));
    f->root.name = "p";
    node_add_children(&f->root, 2);
    node_add_children(&f->root.children[0], 1);
    f->got = (struct buf)BUF_INIT;
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    log_spool_free(f->spool);
    node_release(&f->root);
    buf_release(&f->got);
    assert_int_equal(fs_remove_tree(f->dir, NULL), 0);
    free(f);
    return 0;
}

static void emit(struct fixture *f, const struct node *node, enum event_stream stream,
                 const char *text, bool continued)
{
    struct event event = {.type = EVENT_LOG,
                          .node = node,
                          .stream = stream,
                          .data = text,
                          .size = strlen(text),
                          .continued = continued};

    event_bus_emit(&f->bus, &event);
}

static void take(void *arg, const struct log_record *record)
{
    struct fixture *f = arg;

    if (record->kind == LOG_RECORD_CUT) {
        f->lost += record->lost;
        buf_addstr(&f->got, "CUT\n");
        return;
    }
    buf_addch(&f->got, "oen"[record->kind]);
    buf_addch(&f->got, record->continued ? '+' : ' ');
    buf_add(&f->got, record->data, record->size);
    buf_addch(&f->got, '\n');
}

static void nodes_are_apart_and_streams_are_told(void **state)
{
    struct fixture *f = *state;
    const struct node *a = &f->root.children[0].children[0];
    const struct node *b = &f->root.children[1];
    struct stat st;
    char *path = fs_join(f->dir, "logs");

    emit(f, a, EVENT_STDOUT, "one\n\ntwo\n", false);
    emit(f, b, EVENT_STDOUT, "other\n", false);
    emit(f, a, EVENT_STDERR, "half", false);
    emit(f, a, EVENT_STDERR, " whole\nnext\n", true);
    event_bus_note(&f->bus, a, "remark %d", 1);
    assert_int_equal(log_spool_finish(f->spool, NULL), 0);
    assert_int_equal(log_spool_read(f->spool, a, take, f, NULL), 0);
    assert_string_equal(f->got.data, "o one\no \no two\ne half\ne+ whole\ne next\nn remark 1\n");
    buf_reset(&f->got);
    assert_int_equal(log_spool_read(f->spool, b, take, f, NULL), 0);
    assert_string_equal(f->got.data, "o other\n");
    buf_reset(&f->got);
    assert_int_equal(log_spool_read(f->spool, &f->root, take, f, NULL), 0);
    assert_int_equal(f->got.len, 0);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0700);
    free(path);
}

/* Lines of 16 bytes, and 17 on disk with their tag, for a size around the bounds. */
static void check_size(struct fixture *f, size_t lines)
{
    const struct node *node = &f->root.children[1];
    CLEANUP_BUF struct buf text = BUF_INIT;
    size_t kept = 0;
    size_t first = 0;
    char last[32];

    for (size_t i = 0; i < lines; i++) {
        buf_addf(&text, "%015zu\n", i);
        if (text.len > 50000 || i + 1 == lines) {
            emit(f, node, EVENT_STDOUT, text.data, false);
            buf_reset(&text);
        }
    }
    assert_int_equal(log_spool_finish(f->spool, NULL), 0);
    assert_int_equal(log_spool_read(f->spool, node, take, f, NULL), 0);
    for (const char *at = f->got.data; (at = strchr(at, '\n')); at++)
        kept++;
    snprintf(last, sizeof(last), "o %015zu\n", lines - 1);
    assert_string_equal(f->got.data + f->got.len - 18, last);
    assert_memory_equal(f->got.data, "o 000000000000000\n", 18);
    if (lines * 17 <= LOG_SPOOL_HEAD + LOG_SPOOL_TAIL) {
        assert_int_equal(f->lost, 0);
        assert_int_equal(kept, lines);
        return;
    }
    assert_int_equal(f->lost, lines * 17 - LOG_SPOOL_HEAD - LOG_SPOOL_TAIL);
    /* The line that the end of the head cuts is there, the one that the tail begins with is not. */
    first = LOG_SPOOL_HEAD / 17 + 1;
    assert_int_equal(kept, first + 1 + LOG_SPOOL_TAIL / 17);
    assert_non_null(strstr(f->got.data, "\nCUT\n"));
}

static void all_of_a_small_one(void **state)
{
    check_size(*state, 1000);
}

static void just_fits(void **state)
{
    check_size(*state, (LOG_SPOOL_HEAD + LOG_SPOOL_TAIL) / 17);
}

static void just_does_not_fit(void **state)
{
    check_size(*state, (LOG_SPOOL_HEAD + LOG_SPOOL_TAIL) / 17 + 1);
}

static void around_the_ring_several_times(void **state)
{
    check_size(*state, 1000003);
}

static void a_write_that_fails_is_told(void **state)
{
    struct fixture *f = *state;
    struct err err = ERR_INIT;

    assert_int_equal(fs_remove_tree(f->dir, NULL), 0);
    emit(f, &f->root, EVENT_STDOUT, "gone\n", false);
    assert_int_equal(log_spool_finish(f->spool, &err), -1);
    assert_string_equal(err.message,
                        "cannot keep output for the report: No such file or directory");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(nodes_are_apart_and_streams_are_told, setup, teardown),
        cmocka_unit_test_setup_teardown(all_of_a_small_one, setup, teardown),
        cmocka_unit_test_setup_teardown(just_fits, setup, teardown),
        cmocka_unit_test_setup_teardown(just_does_not_fit, setup, teardown),
        cmocka_unit_test_setup_teardown(around_the_ring_several_times, setup, teardown),
        cmocka_unit_test_setup_teardown(a_write_that_fails_is_told, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
