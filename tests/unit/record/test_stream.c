/* record/follow.h: events and log as one stream, in the order in which they came, from everywhere.
 */
#include "tests/unit/record/rig.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/vec.h"
#include "record/follow.h"

/* What a stream gave: "1 RunBegan", "out 0.0.1 7", "note 8", each with its position. */
struct given {
    struct strvec texts;
    VEC(struct record_position)
    positions;
};

static void given_release(struct given *g)
{
    strvec_release(&g->texts);
    vec_release(&g->positions);
}

static void add_given(struct given *g, const struct record_followed *f)
{
    size_t size;

    if (f->is_event) {
        const char *name = record_event_name(&f->event, &size);

        strvec_pushf(&g->texts, "%d %.*s", (int)f->event.seq, (int)size, name);
    } else if (f->item.stream == RECORD_MISSING) {
        strvec_push(&g->texts, "missing");
    } else {
        CLEANUP_FREE char *text = xstrndup(f->item.data, f->item.size);

        strvec_pushf(&g->texts, "%s %s %.*s", f->item.stream == RECORD_NOTE ? "note" : "out",
                     f->item.node, (int)strcspn(text, ":\n"), text);
    }
    vec_push(&g->positions, f->position);
}

/* Until it says something else, which comes back. */
static enum record_got take(struct record_follow *follow, struct given *g)
{
    struct record_followed f;
    enum record_got got;

    while ((got = record_follow_next(follow, &f, &test_err)) == RECORD_ITEM)
        add_given(g, &f);
    return got;
}

static void take_all(const struct rig *r, struct record_position from,
                     const struct record_log_filter *filter, struct given *g)
{
    CLEANUP_RECORD struct record *record = rig_open(r);
    CLEANUP_RECORD_FOLLOW struct record_follow *follow = NULL;

    record_follow_open(record, from, filter, &follow);
    assert_int_equal(take(follow, g), RECORD_END);
    assert_int_equal(take(follow, g), RECORD_END);
}

static void assert_given(const struct given *g, const char *const *expected)
{
    for (size_t i = 0; expected[i] || i < g->texts.len; i++) {
        assert_true(i < g->texts.len && expected[i]);
        assert_string_equal(g->texts.items[i], expected[i]);
    }
}

static void print_number(struct rig *r, unsigned number)
{
    char line[600];

    memset(line, '.', sizeof(line));
    snprintf(line, 12, "%010u:", number);
    line[11] = '.';
    line[sizeof(line) - 1] = '\n';
    event_bus_wait_for_room(&r->bus, &test_ctx);
    rig_print_sized(r, rig_node(r, 1, 0, 0), EVENT_STDOUT, line, sizeof(line), false);
}

/* Output, and now and then a note, which is an item and an event; what is to come of that. */
static void play(struct rig *r, unsigned count, struct strvec *expected)
{
    unsigned event = 3;

    strvec_push(expected, "1 RunBegan");
    strvec_push(expected, "2 RunPlanned");
    for (unsigned i = 0; i < count; i++) {
        if (i % 7 == 3) {
            event_bus_note(&r->bus, rig_node(r, 0, 0, 1), "%010u", i);
            strvec_pushf(expected, "note 0.0.1 %010u", i);
            strvec_pushf(expected, "%u StepNote", event++);
        } else {
            print_number(r, i);
            strvec_pushf(expected, "out 1.0.0 %010u", i);
        }
        if (i % 1000 == 999)
            ctx_sleep(&test_ctx, 130, NULL);
    }
    strvec_pushf(expected, "%u RunEnded", event);
}

struct racer {
    const struct rig *rig;
    struct given given;
};

static void *race(void *arg)
{
    struct racer *racer = arg;
    CLEANUP_RECORD struct record *record = rig_open(racer->rig);
    CLEANUP_RECORD_WATCH struct record_watch *watch = NULL;
    CLEANUP_RECORD_FOLLOW struct record_follow *follow = NULL;
    struct record_followed f;
    enum record_got got;

    record_watch_open(record, &watch);
    record_follow_open(record, (struct record_position){0}, NULL, &follow);
    while ((got = record_follow_next(follow, &f, NULL)) != RECORD_END) {
        if (got == RECORD_ITEM)
            add_given(&racer->given, &f);
        else if (record_watch_wait(watch, &test_ctx, -1, NULL) < 0)
            break;
    }
    return NULL;
}

/* Whoever reads while it is written gets what is read later; and each position gives the rest. */
static void the_order_is_exact(void **state)
{
    struct rig *r = *state;
    struct racer racers[2] = {{.rig = r}, {.rig = r}};
    pthread_t threads[2];
    CLEANUP_STRVEC struct strvec expected = {0};

    rig_create(r, 0);
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, race, &racers[i]), 0);
    play(r, 3000, &expected);
    assert_ok(rig_finish(r));
    for (int i = 0; i < 2; i++) {
        struct given *g = &racers[i].given;

        pthread_join(threads[i], NULL);
        assert_given(g, (const char *const *)expected.items);
        for (size_t from = i; from < g->texts.len; from += i ? 211 : 173) {
            struct given rest = {0};

            take_all(r, g->positions.items[from], NULL, &rest);
            assert_given(&rest, (const char *const *)expected.items + from + 1);
            given_release(&rest);
        }
        given_release(g);
    }
}

static void a_small_run(struct rig *r)
{
    rig_create(r, 0);
    rig_print(r, rig_node(r, 0, 0, 0), "a\nb\n");
    node_set_state(&r->bus, &r->root, STATE_RUNNING, NULL);
    node_set_state(&r->bus, rig_node(r, 0, -1, -1), STATE_RUNNING, NULL);
    rig_print(r, rig_node(r, 0, 0, 0), "c\n");
    rig_print(r, rig_node(r, 0, 1, 0), "d\n");
    node_set_state(&r->bus, rig_node(r, 0, 0, -1), STATE_RUNNING, NULL);
    event_bus_note(&r->bus, rig_node(r, 0, 0, 0), "n");
    rig_print(r, rig_node(r, 0, 0, 0), "e\n");
}

static const char *const small_run[] = {
    "1 RunBegan",  "2 RunPlanned", "out 0.0.0 a",  "3 PipelineStarted", "4 StageStarted",
    "out 0.0.0 c", "out 0.1.0 d",  "5 JobStarted", "note 0.0.0 n",      "6 StepNote",
    "out 0.0.0 e", "7 RunEnded",   NULL,
};

static void each_position_gives_the_rest(void **state)
{
    struct rig *r = *state;
    struct given all = {0};

    a_small_run(r);
    assert_ok(rig_finish(r));
    take_all(r, (struct record_position){0}, NULL, &all);
    assert_given(&all, small_run);
    for (size_t i = 0; i < all.texts.len; i++) {
        struct given rest = {0};

        take_all(r, all.positions.items[i], NULL, &rest);
        assert_given(&rest, small_run + i + 1);
        given_release(&rest);
    }
    given_release(&all);
}

static void positions_beyond_the_end_give_nothing(void **state)
{
    struct rig *r = *state;
    struct given none = {0};

    a_small_run(r);
    assert_ok(rig_finish(r));
    take_all(r, (struct record_position){900, 900}, NULL, &none);
    assert_int_equal(none.texts.len, 0);
    given_release(&none);
}

static void a_filter_keeps_the_order(void **state)
{
    static const char *const stage[] = {"1 RunBegan",     "2 RunPlanned", "out 0.0.0 a",
                                        "4 StageStarted", "out 0.0.0 c",  "out 0.1.0 d",
                                        "5 JobStarted",   "note 0.0.0 n", "6 StepNote",
                                        "out 0.0.0 e",    "7 RunEnded",   NULL};
    static const char *const step[] = {"1 RunBegan", "2 RunPlanned", "out 0.0.0 a", "out 0.0.0 c",
                                       "6 StepNote", "out 0.0.0 e",  "7 RunEnded",  NULL};
    struct rig *r = *state;
    struct given given = {0};
    const struct record_log_filter filters[] = {{.node = "0"},
                                                {.node = "0.0.0",
                                                 .streams = RECORD_STDOUT_BIT | RECORD_STDERR_BIT}};

    a_small_run(r);
    assert_ok(rig_finish(r));
    take_all(r, (struct record_position){0}, &filters[0], &given);
    assert_given(&given, stage);
    given_release(&given);
    take_all(r, (struct record_position){0}, &filters[1], &given);
    assert_given(&given, step);
    for (size_t i = 0; i < 7; i++) {
        struct given rest = {0};

        take_all(r, given.positions.items[i], &filters[1], &rest);
        assert_given(&rest, step + i + 1);
        given_release(&rest);
    }
    given_release(&given);
}

static void a_tail_begins_behind_its_events(void **state)
{
    struct rig *r = *state;
    CLEANUP_RECORD struct record *record = NULL;
    CLEANUP_RECORD_FOLLOW struct record_follow *follow = NULL;
    struct given given = {0};
    uint64_t skip = 9;

    a_small_run(r);
    assert_ok(rig_finish(r));
    record = rig_open(r);
    record_follow_open(record, (struct record_position){0}, NULL, &follow);
    assert_ok(record_follow_tail(follow, 3, &skip, &test_err));
    assert_int_equal(skip, 0);
    assert_int_equal(take(follow, &given), RECORD_END);
    assert_given(&given, small_run + 6);
    given_release(&given);
    assert_ok(record_follow_tail(follow, 5, &skip, &test_err));
    assert_int_equal(skip, 1);
    assert_int_equal(take(follow, &given), RECORD_END);
    assert_given(&given, small_run + 2);
    given_release(&given);
    assert_ok(record_follow_tail(follow, 0, &skip, &test_err));
    assert_int_equal(take(follow, &given), RECORD_END);
    assert_int_equal(given.texts.len, 0);
    assert_int_equal(record_follow_position(follow).event, 7);
    assert_int_equal(record_follow_position(follow).item, 5);
}

/* What happens behind the next look at a lock. */
static struct rig *write_behind_flock;
int __real_flock(int fd, int operation);
int __wrap_flock(int fd, int operation);

static int stop_at_fourth(void *arg, const struct record_event *event)
{
    (void)arg;
    return event->seq == 4;
}

int __wrap_flock(int fd, int operation)
{
    int result = __real_flock(fd, operation);

    if (write_behind_flock) {
        struct rig *r = write_behind_flock;
        CLEANUP_RECORD struct record *record = rig_open(r);

        write_behind_flock = NULL;
        print_number(r, 0);
        event_bus_note(&r->bus, rig_node(r, 0, 0, 1), "note");
        while (record_events_read(record, 0, stop_at_fourth, NULL, &test_err) == 0)
            ctx_sleep(&test_ctx, 5, NULL);
    }
    return result;
}

/* Between the looks for events and for output both come. */
static void an_event_does_not_overtake(void **state)
{
    static const char *const expected[] = {"1 RunBegan",
                                           "2 RunPlanned",
                                           "3 PipelineStarted",
                                           "out 1.0.0 0000000000",
                                           "note 0.0.1 note",
                                           "4 StepNote",
                                           NULL};
    struct rig *r = *state;
    CLEANUP_RECORD struct record *record = NULL;
    CLEANUP_RECORD_FOLLOW struct record_follow *follow = NULL;
    struct given given = {0};

    rig_create(r, 0);
    node_set_state(&r->bus, &r->root, STATE_RUNNING, NULL);
    record = rig_open(r);
    record_follow_open(record, (struct record_position){0}, NULL, &follow);
    while (given.texts.len < 3)
        assert_int_equal(take(follow, &given), RECORD_NONE_YET);
    write_behind_flock = r;
    while (given.texts.len < 6)
        assert_int_equal(take(follow, &given), RECORD_NONE_YET);
    assert_given(&given, expected);
    given_release(&given);
}

/* Beginning in the middle of many events, and almost at the end. */
static void what_is_before_is_not_read(void **state)
{
    enum { EVENTS = 3000 };
    struct rig *r = *state;
    CLEANUP_RECORD struct record *record = NULL;
    CLEANUP_RECORD_FOLLOW struct record_follow *follow = NULL;
    struct record_event event;

    rig_create(r, 0);
    for (unsigned i = 0; i < EVENTS; i++)
        event_bus_note(&r->bus, rig_node(r, 0, 0, 1), "%0*u", 1 + i * 7919 % 500, i);
    print_number(r, 0);
    print_number(r, 1);
    event_bus_note(&r->bus, rig_node(r, 0, 0, 1), "last");
    assert_ok(rig_finish(r));
    record = rig_open(r);
    for (uint64_t after = 0; after < EVENTS + 6; after += 97) {
        CLEANUP_RECORD_EVENTS struct record_events *events = NULL;

        record_events_open(record, after, &events);
        for (uint64_t seq = after + 1; seq <= EVENTS + 4; seq++) {
            assert_int_equal(record_events_next(events, &event, &test_err), RECORD_ITEM);
            assert_int_equal(event.seq, seq);
        }
        assert_int_equal(record_events_next(events, &event, &test_err), RECORD_END);
    }
    for (int i = 0; i < 2; i++) {
        static const char *const expected[] = {"note 0.0.1 last", "3003 StepNote", "3004 RunEnded",
                                               NULL};
        const struct record_log_filter output = {.streams = RECORD_STDOUT_BIT};
        struct given given = {0};

        record_follow_open(record, (struct record_position){0}, i ? &output : NULL, &follow);
        record_follow_end(follow);
        assert_int_equal(record_follow_position(follow).event, 3002);
        assert_int_equal(record_follow_position(follow).item, EVENTS + 2);
        assert_int_equal(take(follow, &given), RECORD_END);
        assert_given(&given, expected + i);
        given_release(&given);
        record_follow_close(steal_ptr(&follow));
    }
}

/* --- files that are not what the writer has made of them --- */

static int open_file(const struct rig *r, const char *name)
{
    CLEANUP_FREE char *path = xasprintf("%s/" RUN "/%s", r->runs, name);
    int fd = open(path, O_RDWR | O_CLOEXEC);

    assert_true(fd >= 0);
    return fd;
}

/* The offset behind so many lines of `events`. */
static off_t behind_lines(const struct buf *text, unsigned lines)
{
    const char *at = text->data;

    while (lines--)
        at = strchr(at, '\n') + 1;
    return at - text->data;
}

static void read_events(int fd, struct buf *text)
{
    struct stat st;

    assert_int_equal(fstat(fd, &st), 0);
    buf_reserve(text, (size_t)st.st_size);
    assert_int_equal(pread(fd, text->data, (size_t)st.st_size, 0), st.st_size);
    text->len = (size_t)st.st_size;
    text->data[text->len] = '\0';
}

static void write_events(int fd, const struct buf *text, off_t from, off_t to)
{
    assert_int_equal(pwrite(fd, text->data + from, (size_t)(to - from), from), to - from);
}

/* The log is whole, and of the events only the first are there, as if the others were being
 * written: the file with them, locked. */
static int three_events_of_a_small_run(struct rig *r, struct buf *text)
{
    int fd;

    a_small_run(r);
    assert_ok(rig_finish(r));
    fd = open_file(r, "events");
    read_events(fd, text);
    assert_int_equal(ftruncate(fd, behind_lines(text, 3)), 0);
    assert_int_equal(flock(fd, LOCK_EX), 0);
    return fd;
}

/* The log is written before the events that came between: what came behind those waits for them. */
static void output_waits_for_the_events_before_it(void **state)
{
    struct rig *r = *state;
    CLEANUP_RECORD struct record *record = NULL;
    CLEANUP_RECORD_FOLLOW struct record_follow *follow = NULL;
    CLEANUP_BUF struct buf text = BUF_INIT;
    CLEANUP_FD int fd = -1;
    struct given given = {0};

    fd = three_events_of_a_small_run(r, &text);
    record = rig_open(r);
    record_follow_open(record, (struct record_position){0}, NULL, &follow);
    assert_int_equal(take(follow, &given), RECORD_NONE_YET);
    assert_int_equal(given.texts.len, 4);
    write_events(fd, &text, behind_lines(&text, 3), behind_lines(&text, 5));
    assert_int_equal(take(follow, &given), RECORD_NONE_YET);
    assert_int_equal(given.texts.len, 9);
    assert_int_equal(flock(fd, LOCK_UN), 0); /* it died */
    assert_int_equal(take(follow, &given), RECORD_END);
    assert_int_equal(given.texts.len, 10);
    assert_string_equal(given.texts.items[8], "note 0.0.0 n");
    assert_string_equal(given.texts.items[9], "out 0.0.0 e");
    given_release(&given);
}

/* Whoever begins at the beginning would miss what is not there when it comes to that position. */
static void the_end_is_not_behind_what_is_not_there(void **state)
{
    struct rig *r = *state;
    CLEANUP_RECORD struct record *record = NULL;
    CLEANUP_RECORD_FOLLOW struct record_follow *follow = NULL;
    CLEANUP_BUF struct buf text = BUF_INIT;
    CLEANUP_FD int fd = -1;
    struct given given = {0};

    fd = three_events_of_a_small_run(r, &text);
    record = rig_open(r);
    record_follow_open(record, (struct record_position){0}, NULL, &follow);
    record_follow_end(follow);
    assert_int_equal(record_follow_position(follow).event, 0);
    assert_int_equal(record_follow_position(follow).item, 0);
    assert_int_equal(take(follow, &given), RECORD_NONE_YET);
    write_events(fd, &text, behind_lines(&text, 3), (off_t)text.len);
    assert_int_equal(flock(fd, LOCK_UN), 0);
    assert_int_equal(take(follow, &given), RECORD_END);
    assert_given(&given, small_run);
    given_release(&given);
}

static void what_is_behind_damaged_events_comes(void **state)
{
    static const char *const before[] = {"1 RunBegan", "2 RunPlanned", "out 0.0.0 a",
                                         "3 PipelineStarted", NULL};
    struct rig *r = *state;
    CLEANUP_RECORD struct record *record = NULL;
    CLEANUP_RECORD_FOLLOW struct record_follow *follow = NULL;
    CLEANUP_BUF struct buf text = BUF_INIT;
    CLEANUP_FREE char *message = NULL;
    CLEANUP_FD int fd = -1;
    struct given given = {0};

    a_small_run(r);
    assert_ok(rig_finish(r));
    fd = open_file(r, "events");
    read_events(fd, &text);
    assert_int_equal(pwrite(fd, "x", 1, behind_lines(&text, 3)), 1);
    assert_int_equal(ftruncate(fd, behind_lines(&text, 4)), 0);
    assert_int_equal(flock(fd, LOCK_EX), 0); /* as if it was being written */
    record = rig_open(r);
    record_follow_open(record, (struct record_position){0}, NULL, &follow);
    assert_int_equal(take(follow, &given), RECORD_DAMAGED);
    message = xasprintf("%s/" RUN "/events: the line at %lld is no event", r->runs,
                        (long long)behind_lines(&text, 3));
    assert_int_equal(test_err.code, ERR_PROTOCOL);
    assert_string_equal(test_err.message, message);
    assert_given(&given, before);
    given_release(&given);
    assert_int_equal(take(follow, &given), RECORD_NONE_YET);
    assert_int_equal(given.texts.len, 2); /* it waits for nothing that was there */
    write_events(fd, &text, behind_lines(&text, 4), (off_t)text.len);
    assert_int_equal(flock(fd, LOCK_UN), 0);
    assert_int_equal(take(follow, &given), RECORD_END);
    assert_given(&given, small_run + 5);
    given_release(&given);
}

static void what_is_behind_a_damaged_log_comes(void **state)
{
    static const char *const events[] = {"1 RunBegan",        "2 RunPlanned",
                                         "3 PipelineStarted", "4 StageStarted",
                                         "5 JobStarted",      "6 StepNote",
                                         "7 RunEnded",        NULL};
    struct rig *r = *state;
    CLEANUP_RECORD struct record *record = NULL;
    CLEANUP_RECORD_FOLLOW struct record_follow *follow = NULL;
    CLEANUP_FD int fd = -1;
    struct given given = {0};

    a_small_run(r);
    assert_ok(rig_finish(r));
    fd = open_file(r, "log");
    assert_int_equal(pwrite(fd, "xxxx", 4, 20), 4);
    record = rig_open(r);
    record_follow_open(record, (struct record_position){0}, NULL, &follow);
    assert_int_equal(take(follow, &given), RECORD_DAMAGED);
    assert_non_null(strstr(test_err.message, "/log: the block at 0 is damaged: items 1 to 5"));
    assert_int_equal(take(follow, &given), RECORD_END);
    assert_given(&given, events);
    given_release(&given);
}

/* The writer's limit comes in the middle: what tells of it is at its place. */
static void what_is_missing_is_told_in_its_place(void **state)
{
    struct rig *r = *state;
    struct given given = {0};
    size_t i = 0;

    rig_create(r, 1);
    for (unsigned n = 0; n < 2; n++)
        print_number(r, n);
    node_set_state(&r->bus, &r->root, STATE_RUNNING, NULL);
    assert_ok(rig_finish(r));
    take_all(r, (struct record_position){0}, NULL, &given);
    for (const char *const *expected = (const char *const[]){"1 RunBegan", "2 RunPlanned",
                                                             "missing", "3 PipelineStarted", NULL};
         *expected; expected++, i++)
        assert_string_equal(given.texts.items[i], *expected);
    given_release(&given);
}

static void positions_are_read_as_they_are_written(void **state)
{
    static const char *const wrong[] = {"",     "1",     "1.",
                                        ".1",   "1.2.3", "1.2 ",
                                        "-1.2", "a.b",   "1.99999999999999999999"};
    struct record_position position = {7, 7};
    char text[RECORD_POSITION_SIZE];

    (void)state;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
        assert_error(record_position_parse(wrong[i], &position, &test_err), ERR_INVALID);
        assert_int_equal(position.event, 7);
    }
    assert_string_equal(test_err.message,
                        "\"1.99999999999999999999\" is not a position in a run: it is two numbers, "
                        "as in \"12.3057\"");
    assert_ok(record_position_parse("12.3057", &position, &test_err));
    assert_int_equal(position.event, 12);
    assert_int_equal(position.item, 3057);
    record_position_format(position, text);
    assert_string_equal(text, "12.3057");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_order_is_exact, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(each_position_gives_the_rest, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(positions_beyond_the_end_give_nothing, rig_setup,
                                        rig_teardown),
        cmocka_unit_test_setup_teardown(a_filter_keeps_the_order, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(a_tail_begins_behind_its_events, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(an_event_does_not_overtake, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(what_is_before_is_not_read, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(output_waits_for_the_events_before_it, rig_setup,
                                        rig_teardown),
        cmocka_unit_test_setup_teardown(the_end_is_not_behind_what_is_not_there, rig_setup,
                                        rig_teardown),
        cmocka_unit_test_setup_teardown(what_is_behind_damaged_events_comes, rig_setup,
                                        rig_teardown),
        cmocka_unit_test_setup_teardown(what_is_behind_a_damaged_log_comes, rig_setup,
                                        rig_teardown),
        cmocka_unit_test_setup_teardown(what_is_missing_is_told_in_its_place, rig_setup,
                                        rig_teardown),
        cmocka_unit_test(positions_are_read_as_they_are_written),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
