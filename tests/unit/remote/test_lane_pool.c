/* Who gets which lane, and which ones are kept. Their remote cannot be reached. */
#include "tests/unit/test.h"

#include "engine/remote/lane_pool.h"

static unsigned attempts;

static int refuse(const struct ctx *ctx, const struct remote *remote, const char *const *argv,
                  bool with_stdin, struct remote_command **ret, struct err *err)
{
    (void)ctx;
    (void)remote;
    (void)argv;
    (void)with_stdin;
    (void)ret;
    attempts++;
    return err_set(err, ERR_UNAVAILABLE, "nobody is there");
}

static const struct remote_ops ops = {.what = "relay of the test", .start = refuse};
static const struct remote remote = {.ops = &ops, .name = "a test", .helper = "/helper"};

struct fixture {
    struct lane_pool pool;
    struct ctx ctx;
    struct lane *kept[4]; /* in turn */
    size_t kept_count;
};

static int setup(void **state)
{
    static struct fixture f;

    f = (struct fixture){0};
    attempts = 0;
    lane_pool_init(&f.pool, &remote);
    assert_int_equal(ctx_init_root(&f.ctx, NULL, NULL), 0);
    *state = &f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    ctx_release(&f->ctx);
    lane_pool_release(&f->pool);
    return 0;
}

/* One that its caller uses. */
static struct lane *add(struct fixture *f)
{
    struct lane *lane;

    assert_int_equal(lane_pool_add(&f->pool, "/lane", &lane, NULL), 0);
    return lane;
}

static void enter(struct fixture *f, struct lane *lane)
{
    assert_int_equal(lane_pool_enter(&f->ctx, &f->pool, lane, NULL), 0);
}

static void test_numbers_are_given_once(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(lane_pool_number(&f->pool), 0);
    assert_int_equal(lane_pool_number(&f->pool), 1);
}

static void test_lane_is_one_users_until_it_is_given_back(void **state)
{
    struct fixture *f = *state;
    struct lane *lane;

    assert_null(lane_pool_find(&f->pool));
    lane = add(f);
    assert_null(lane_pool_find(&f->pool));
    enter(f, lane);
    lane_pool_give(&f->pool, lane, true);
    assert_ptr_equal(lane_pool_find(&f->pool), lane);
    assert_null(lane_pool_find(&f->pool));
    enter(f, lane);
    lane_pool_give(&f->pool, lane, true);
    assert_ptr_equal(lane_pool_find(&f->pool), lane);
    lane_pool_put(&f->pool, lane);
    assert_ptr_equal(lane_pool_find(&f->pool), lane);
}

static void test_lane_that_cannot_be_used_again_is_not_found(void **state)
{
    struct fixture *f = *state;
    struct lane *bad = add(f), *good = add(f);

    enter(f, bad);
    enter(f, good);
    lane_pool_give(&f->pool, bad, false);
    assert_null(lane_pool_find(&f->pool));
    lane_pool_give(&f->pool, good, true);
    assert_ptr_equal(lane_pool_find(&f->pool), good);
    assert_null(lane_pool_find(&f->pool));
}

/* Whoever keeps it does not let go. */
static void test_who_does_not_get_in_uses_nothing(void **state)
{
    struct fixture *f = *state;
    struct lane *lane = add(f);
    struct err err = ERR_INIT;
    CLEANUP_CTX struct ctx ended;

    assert_int_equal(ctx_init_root(&ended, NULL, NULL), 0);
    ctx_cancel(&ended, CTX_CAUSE_USER);
    assert_int_equal(gate_enter(&f->ctx, &lane->busy, NULL), 0);
    assert_int_equal(lane_pool_enter(&ended, &f->pool, lane, &err), -1);
    assert_int_equal(err.code, ERR_CANCELLED);
    gate_leave(&lane->busy);
    assert_ptr_equal(lane_pool_find(&f->pool), lane);
}

static void test_pool_is_met_with_one_of_its_lanes(void **state)
{
    struct fixture *f = *state;
    struct lane *first = add(f);

    add(f);
    assert_false(lane_pool_met(&f->pool));
    first->met = true;
    assert_true(lane_pool_met(&f->pool));
}

static void note(const struct ctx *ctx, void *arg, struct lane *lane)
{
    struct fixture *f = arg;

    assert_true(ctx_remaining_ms(ctx, -1) > 0);
    assert_int_equal(gate_enter_within(ctx, &lane->busy, 0, NULL), 0);
    assert_true(f->kept_count < 4);
    f->kept[f->kept_count++] = lane;
}

static void keep(struct fixture *f)
{
    f->kept_count = 0;
    lane_pool_keep(&f->ctx, &f->pool, note, f);
}

static void test_what_nobody_uses_is_kept(void **state)
{
    struct fixture *f = *state;
    struct lane *idle = add(f), *broken = add(f), *quitting = add(f), *moved = add(f);

    add(f);
    lane_pool_put(&f->pool, idle);
    lane_pool_put(&f->pool, moved);
    enter(f, broken);
    lane_pool_give(&f->pool, broken, false);
    enter(f, quitting);
    quitting->quitting = true;
    lane_pool_give(&f->pool, quitting, false);

    assert_int_equal(gate_enter(&f->ctx, &moved->busy, NULL), 0);
    keep(f);
    gate_leave(&moved->busy);
    assert_int_equal(f->kept_count, 2);
    assert_ptr_equal(f->kept[0], quitting);
    assert_ptr_equal(f->kept[1], idle);

    lane_pool_break(&f->pool, quitting);
    lane_pool_break(&f->pool, idle);
    keep(f);
    assert_int_equal(f->kept_count, 1);
    assert_ptr_equal(f->kept[0], moved);
    assert_ptr_equal(lane_pool_find(&f->pool), moved);
    assert_null(lane_pool_find(&f->pool));
}

static void test_lane_that_is_away_is_not_tried_at_once(void **state)
{
    struct fixture *f = *state;
    struct lane *lane = add(f);

    assert_int_equal(lane_keep(&f->ctx, lane, NULL), LANE_AWAY);
    assert_int_equal(attempts, 1);
    assert_string_equal(lane->why.message, "nobody is there");
    lane->attempt_ms += 60000;
    assert_int_equal(lane_keep(&f->ctx, lane, NULL), LANE_AWAY);
    assert_int_equal(attempts, 1);
}

#define POOL_TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        POOL_TEST(test_numbers_are_given_once),
        POOL_TEST(test_lane_is_one_users_until_it_is_given_back),
        POOL_TEST(test_lane_that_cannot_be_used_again_is_not_found),
        POOL_TEST(test_who_does_not_get_in_uses_nothing),
        POOL_TEST(test_pool_is_met_with_one_of_its_lanes),
        POOL_TEST(test_what_nobody_uses_is_kept),
        POOL_TEST(test_lane_that_is_away_is_not_tried_at_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
