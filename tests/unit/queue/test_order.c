/* Whose turn it is. */
#include "tests/unit/test.h"

#include "base/buf.h"
#include "queue/order.h"

static struct order order;
static char text[1024];

static int each_teardown(void **state)
{
    (void)state;
    order_release(&order);
    assert_null(order.first);
    assert_null(order.by_id);
    return 0;
}

/* "CLIENT PRIORITY TIME", each of one digit or letter: its id is CLIENT TIME. */
static void add(const char *client, int64_t priority, int64_t time)
{
    char id[32];

    snprintf(id, sizeof(id), "%s%lld", client, (long long)time);
    assert_true(order_add(&order, id, client, priority, time));
}

static const char *listed(void)
{
    const struct order_item **items = order_list(&order);
    struct buf out = BUF_INIT;

    for (size_t i = 0; i < order.count; i++)
        buf_addf(&out, "%s%s", i ? " " : "", items[i]->id);
    snprintf(text, sizeof(text), "%s", out.len ? out.data : "");
    buf_release(&out);
    free(items);
    return text;
}

/* All of them, one after the other. */
static const char *served(void)
{
    struct buf out = BUF_INIT;
    const struct order_item *next;

    while ((next = order_next(&order, NULL, NULL))) {
        buf_addf(&out, "%s%s", out.len ? " " : "", next->id);
        free(order_take(&order, next->id, true, NULL));
    }
    snprintf(text, sizeof(text), "%s", out.len ? out.data : "");
    buf_release(&out);
    return text;
}

static void clients_take_turns(void **state)
{
    (void)state;
    for (int i = 1; i <= 4; i++)
        add("a", 0, i);
    add("b", 0, 5);
    add("c", 0, 6);
    add("b", 0, 7);
    assert_string_equal(listed(), "a1 b5 c6 a2 b7 a3 a4");
    assert_string_equal(served(), "a1 b5 c6 a2 b7 a3 a4");
}

static void who_comes_later_waits_for_one_turn_of_others(void **state)
{
    (void)state;
    for (int i = 1; i <= 3; i++)
        add("a", 0, i);
    free(order_take(&order, "a1", true, NULL));
    add("b", 0, 9);
    assert_string_equal(listed(), "a2 b9 a3");
    free(order_take(&order, "a2", true, NULL));
    add("c", 0, 10);
    assert_string_equal(served(), "b9 a3 c10");
}

static void priorities_come_first(void **state)
{
    (void)state;
    add("a", 0, 1);
    add("b", -5, 2);
    add("a", 3, 3);
    add("b", 3, 4);
    add("a", 3, 5);
    assert_string_equal(listed(), "a3 b4 a5 a1 b2");
    assert_string_equal(served(), "a3 b4 a5 a1 b2");
}

static void what_comes_back_is_where_it_was(void **state)
{
    (void)state;
    add("a", 0, 2);
    add("a", 0, 4);
    add("a", 0, 1);
    add("a", 0, 3);
    assert_string_equal(listed(), "a1 a2 a3 a4");
}

static void one_that_leaves_is_no_turn(void **state)
{
    CLEANUP_FREE char *client = NULL;

    (void)state;
    add("a", 0, 1);
    add("a", 0, 2);
    add("b", 0, 3);
    free(order_take(&order, "a1", false, &client));
    assert_string_equal(client, "a");
    assert_string_equal(listed(), "a2 b3");
    assert_null(order_take(&order, "a1", false, NULL));
    assert_false(order_add(&order, "a2", "x", 9, 9));
}

static void positions(void **state)
{
    (void)state;
    add("a", 0, 1);
    add("a", 0, 2);
    add("b", 0, 3);
    assert_int_equal(order_position(&order, "a2"), 3);
    assert_int_equal(order_position(&order, "b3"), 2);
    assert_int_equal(order_position(&order, "none"), 0);
    assert_int_equal(order_position(&order, "much longer than an id can be, whatever it is"), 0);
    free(order_take(&order, "a1", true, NULL));
    assert_int_equal(order_position(&order, "b3"), 1);
    assert_int_equal(order_position(&order, "a2"), 2);
    assert_int_equal(order_position(&order, "a1"), 0);
}

static bool is_not_a(void *arg, const char *client)
{
    (void)arg;
    return strcmp(client, "a") != 0;
}

static void who_may_not_start_is_passed_over(void **state)
{
    (void)state;
    add("a", 1, 1);
    assert_null(order_next(&order, is_not_a, NULL));
    add("b", 0, 2);
    assert_string_equal(order_next(&order, is_not_a, NULL)->id, "b2");
    assert_string_equal(order_client(order_next(&order, NULL, NULL)), "a");
}

static void when_the_newest_of_a_client_came(void **state)
{
    (void)state;
    assert_true(order_newest_ms(&order, "a", 0) == INT64_MIN);
    order_add(&order, "a1", "a", 0, 30);
    order_add(&order, "a2", "a", 0, 20);
    order_add(&order, "a3", "a", 5, 40);
    order_add(&order, "b1", "b", 0, 50);
    assert_int_equal(order_newest_ms(&order, "a", 0), 30);
    assert_int_equal(order_newest_ms(&order, "a", 5), 40);
    assert_true(order_newest_ms(&order, "a", 2) == INT64_MIN);
    assert_true(order_newest_ms(&order, "b", 5) == INT64_MIN);
}

int main(void)
{
#define EACH(name) cmocka_unit_test_teardown(name, each_teardown)
    const struct CMUnitTest tests[] = {
        EACH(clients_take_turns),
        EACH(who_comes_later_waits_for_one_turn_of_others),
        EACH(priorities_come_first),
        EACH(what_comes_back_is_where_it_was),
        EACH(one_that_leaves_is_no_turn),
        EACH(positions),
        EACH(who_may_not_start_is_passed_over),
        EACH(when_the_newest_of_a_client_came),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
