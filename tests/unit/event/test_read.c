/* Trees and events as JSON, and back. */
#include "../test.h"

#include "event/json.h"
#include "event/read.h"

#define RUN "01m7"

/* One stage with two jobs; the first has two steps, the other one. */
static void grow(const struct event_bus *bus, struct node *root)
{
    node_set_name(bus, root, "ship");
    node_add_children(root, 1);
    node_set_name(bus, &root->children[0], "build");
    node_add_children(&root->children[0], 2);
    node_set_name(bus, &root->children[0].children[0], "unit \"1\"");
    node_add_children(&root->children[0].children[0], 2);
    node_set_name(bus, &root->children[0].children[0].children[0], "compile");
    node_set_name(bus, &root->children[0].children[0].children[1], "t\xc3\xa9st");
    node_set_name(bus, &root->children[0].children[1], "docs");
    root->children[0].children[1].host = "web1";
    node_add_children(&root->children[0].children[1], 1);
    node_set_name(bus, &root->children[0].children[1].children[0], "write");
}

static void run(struct event_bus *bus, struct node *root)
{
    const struct node_result failed = {.reason = REASON_ERROR,
                                       .has_exit_code = true,
                                       .exit_code = 7,
                                       .error = "exit code 7",
                                       .message = "it says seven",
                                       .tail = "one\ntwo\n"};
    const struct node_result lost = {.reason = REASON_LOST, .by_engine = true, .error = "gone"};
    struct node *stage = &root->children[0];
    struct node *job = &stage->children[0];
    CLEANUP_STRMAP struct strmap outputs = {0};

    strmap_set(&outputs, "version", "1.2");
    node_set_state(bus, root, STATE_RUNNING, NULL);
    node_set_state(bus, stage, STATE_RUNNING, NULL);
    node_set_state(bus, job, STATE_RUNNING, NULL);
    node_set_state(bus, &job->children[0], STATE_RUNNING, NULL);
    node_set_state(bus, &job->children[0], STATE_FAILED, &lost);
    node_retry(bus, job, &lost, 10);
    node_set_state(bus, &job->children[0], STATE_RUNNING, NULL);
    node_add_outputs(bus, &job->children[0], &outputs);
    node_set_state(bus, &job->children[0], STATE_SUCCEEDED, NULL);
    node_set_state(bus, &job->children[1], STATE_RUNNING, NULL);
    node_set_state(bus, &job->children[1], STATE_FAILED, &failed);
    node_set_state(bus, job, STATE_FAILED, &failed);
    node_set_state(bus, &stage->children[1], STATE_SKIPPED, NULL);
    node_set_state(bus, stage, STATE_FAILED, &failed);
}

static void assert_same(const struct node *a, const struct node *b)
{
    json_t *one = node_tree_to_json(a, RUN);
    json_t *other = node_tree_to_json(b, RUN);

    if (!json_equal(one, other)) {
        json_dumpf(one, stderr, JSON_INDENT(1));
        json_dumpf(other, stderr, JSON_INDENT(1));
        fail_msg("the trees differ");
    }
    json_decref(one);
    json_decref(other);
}

static void a_tree_comes_back(void **state)
{
    static const char *const nowhere[] = {
        RUN ".",      RUN ".0..0",    RUN ".0.0.",       RUN ".0.0.-db", RUN ".0.0.0.db",
        RUN ".0.0.7", RUN ".0.0.Zzz", RUN ".0.0.db\x1b", RUN ".00",      RUN ".0.database",
    };
    const char *service;
    struct event_bus bus = EVENT_BUS_INIT;
    struct node root = {0}, again = {0};
    json_t *json;

    (void)state;
    grow(&bus, &root);
    run(&bus, &root);
    json = node_tree_to_json(&root, RUN);
    assert_int_equal(node_tree_from_json(json, &again, NULL), 0);
    assert_same(&root, &again);
    assert_int_equal(again.last_number, root.last_number);
    assert_string_equal(again.children[0].children[0].children[1].tail, "one\ntwo\n");
    assert_string_equal(node_message(&again.children[0]), "it says seven");
    assert_ptr_equal(node_find(&again, RUN ".0.1.0"), &again.children[0].children[1].children[0]);
    assert_ptr_equal(node_find(&again, RUN), &again);
    assert_ptr_equal(node_find(&again, RUN ".0.0.database"), &again.children[0].children[0]);
    assert_ptr_equal(node_find(&again, RUN ".cache.local"), &again);
    assert_ptr_equal(node_find_service(&again, RUN ".0.0.0x.local", &service),
                     &again.children[0].children[0]);
    assert_string_equal(service, "0x.local");
    assert_ptr_equal(node_find_service(&again, RUN ".0.0.1", &service),
                     &again.children[0].children[0].children[1]);
    assert_null(service);
    for (size_t i = 0; i < sizeof(nowhere) / sizeof(*nowhere); i++) {
        if (node_find(&again, nowhere[i]))
            fail_msg("%s was found", nowhere[i]);
    }
    assert_null(node_find(&again, RUN ".0.2"));
    assert_null(node_find(&again, RUN ".0.0x"));
    assert_null(node_find(&again, RUN ".99999999999999999999"));
    json_decref(json);
    node_release(&again);
    node_release(&root);
}

/* Applies each state to a tree as it was at the beginning. */
struct follower {
    struct event_sink sink;
    struct node root;
};

static void follow(struct event_sink *sink, const struct event *event)
{
    struct follower *follower = (struct follower *)sink;
    json_t *object = event_to_json(event, RUN);

    assert_int_equal(event_apply(object, &follower->root, NULL), 0);
    json_decref(object);
}

static void events_lead_to_the_same_tree(void **state)
{
    struct event_bus bus = EVENT_BUS_INIT;
    struct follower follower = {.sink = {.handle = follow}};
    struct node root = {0};
    json_t *json;

    (void)state;
    grow(&bus, &root);
    json = node_tree_to_json(&root, RUN);
    assert_int_equal(node_tree_from_json(json, &follower.root, NULL), 0);
    json_decref(json);
    event_bus_add(&bus, &follower.sink);
    run(&bus, &root);
    assert_same(&root, &follower.root);
    assert_int_equal(follower.root.children[0].children[0].attempts[0].reason, REASON_LOST);
    node_release(&follower.root);
    node_release(&root);
}

/* A running state does not tell what came before it. */
static void earlier_attempts_stay(void **state)
{
    struct node root = {.name = "p", .attempt = 3};
    json_t *running = json_pack("{s:s, s:s, s:i}", "id", "R", "status", "running", "attempt", 3);
    json_t *ended = json_pack("{s:s, s:s, s:i, s:[{s:s}]}", "id", "R", "status", "failed",
                              "attempt", 2, "attempts", "error", "new");

    (void)state;
    root.attempts = xcalloc(2, sizeof(*root.attempts));
    root.attempts[0] = (struct node_attempt){.reason = REASON_LOST, .error = xstrdup("old")};
    root.attempts[1] = (struct node_attempt){.duration_ms = 5};
    assert_int_equal(event_apply(running, &root, NULL), 0);
    assert_string_equal(root.attempts[0].error, "old");
    assert_int_equal(root.attempts[0].reason, REASON_LOST);
    assert_int_equal(root.attempts[1].duration_ms, 5);
    json_object_set_new(running, "attempt", json_integer(2));
    assert_int_equal(event_apply(running, &root, NULL), 0);
    assert_string_equal(root.attempts[0].error, "old");
    assert_int_equal(event_apply(ended, &root, NULL), 0);
    assert_string_equal(root.attempts[0].error, "new");
    json_decref(running);
    json_decref(ended);
    node_release(&root);
}

/* As where jansson has got no memory. */
static void what_cannot_be_written_leaves_an_object(void **state)
{
    CLEANUP_BUF struct buf text = BUF_INIT;
    json_t *object;

    (void)state;
    json_write_open(NULL, &text);
    buf_addstr(&text, ",\"tree\":{}}");
    object = json_loads(text.data, 0, NULL);
    assert_non_null(object);
    json_decref(object);
}

static void nonsense_is_refused(void **state)
{
    static const char *const texts[] = {
        "{\"id\":\"R.1\",\"status\":\"running\"}",
        "{\"id\":\"R\",\"status\":\"happy\"}",
        "{\"id\":\"R\",\"status\":\"running\",\"attempt\":-1}",
        "{\"id\":\"R\",\"status\":\"running\",\"attempt\":4000000000}",
        "{\"id\":\"R\",\"delay_ms\":0}",
    };
    struct node root = {.name = "p"};

    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
        json_t *json = json_loads(texts[i], 0, NULL);
        struct err err = ERR_INIT;

        assert_non_null(json);
        assert_int_equal(event_apply(json, &root, &err), -1);
        assert_int_equal(err.code, ERR_PROTOCOL);
        json_decref(json);
    }
    node_release(&root);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_tree_comes_back),
        cmocka_unit_test(events_lead_to_the_same_tree),
        cmocka_unit_test(earlier_attempts_stay),
        cmocka_unit_test(what_cannot_be_written_leaves_an_object),
        cmocka_unit_test(nonsense_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
