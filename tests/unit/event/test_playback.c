/* A run that is played back is shown as it was when it ran. */
#include "../test.h"

#include <unistd.h>

#include "event/json.h"
#include "event/playback.h"
#include "event/sink_plain.h"

#define RUN "01m7"

/* A bus with a plain display whose text is kept. */
struct shown {
    struct output_writer writer;
    struct output_queue *queue;
    struct sink_plain plain;
    struct event_bus bus;
    struct buf out;
    struct buf errors;
};

static int keep(struct output_writer *writer, int fd, char *data, size_t size, struct err *err)
{
    struct shown *shown = (struct shown *)writer;

    (void)err;
    buf_add(fd == STDOUT_FILENO ? &shown->out : &shown->errors, data, size);
    return 0;
}

static void show(struct shown *shown)
{
    struct err err = ERR_INIT;

    *shown = (struct shown){.writer = {.write = keep}, .bus = EVENT_BUS_INIT};
    assert_int_equal(output_queue_new_for(&shown->writer, &shown->queue, &err), 0);
    sink_plain_init(&shown->plain, shown->queue, false, true);
    event_bus_add(&shown->bus, &shown->plain.sink);
}

/* What is on the way from one bus to the other: texts, as in a file or on a wire. */
struct relay {
    struct event_sink sink;
    struct playback playback;
    const struct node *root;
};

static void pass(struct relay *relay, json_t *object)
{
    char *text = json_dumps(object, JSON_COMPACT);
    json_t *copy = json_loads(text, 0, NULL);
    struct err err = ERR_INIT;

    assert_non_null(copy);
    if (playback_event(&relay->playback, copy, &err) < 0)
        fail_msg("%s: %s", err.message, text);
    json_decref(copy);
    json_decref(object);
    free(text);
}

static void pass_output(struct relay *relay, const struct event *event)
{
    CLEANUP_BUF struct buf id = BUF_INIT;
    bool note = event->type == EVENT_NOTE;

    node_id(event->node, RUN, &id);
    playback_output(&relay->playback,
                    &(struct playback_output){.node = id.len > strlen(RUN)
                                                          ? id.data + strlen(RUN) + 1
                                                          : "",
                                              .time_ms = event->time_ms,
                                              .is_note = note,
                                              .stream = event->stream,
                                              .data = note ? event->text : event->data,
                                              .size = note ? strlen(event->text) : event->size,
                                              .continued = event->continued});
}

static void handle(struct event_sink *sink, const struct event *event)
{
    struct relay *relay = (struct relay *)sink;

    if (!relay->playback.planned)
        pass(relay, json_pack("{s:s,s:o}", "event", "RunPlanned", "tree",
                              node_tree_to_json(relay->root, RUN)));
    if (event->type == EVENT_LOG || event->type == EVENT_NOTE)
        pass_output(relay, event);
    else
        pass(relay, event_to_json(event, RUN));
}

static void log_line(struct event_bus *bus, const struct node *node, enum event_stream stream,
                     const char *text, bool continued)
{
    event_bus_emit(bus, &(struct event){.type = EVENT_LOG,
                                        .node = node,
                                        .stream = stream,
                                        .data = text,
                                        .size = strlen(text),
                                        .continued = continued});
}

static void run(struct event_bus *bus, struct node *root)
{
    const struct node_result failed = {.reason = REASON_ERROR,
                                       .has_exit_code = true,
                                       .exit_code = 7,
                                       .error = "exit code 7",
                                       .message = "it says seven",
                                       .tail = "one\ntwo\n"};
    struct node *stage = &root->children[0], *job = &stage->children[0], *step = &job->children[0];
    struct node service = {.level = NODE_SERVICE, .name = "db", .parent = job};

    node_set_state(bus, root, STATE_RUNNING, NULL);
    node_set_state(bus, stage, STATE_RUNNING, NULL);
    node_set_state(bus, job, STATE_RUNNING, NULL);
    log_line(bus, &service, EVENT_STDERR, "ready to accept\n", false);
    node_set_state(bus, step, STATE_RUNNING, NULL);
    log_line(bus, step, EVENT_STDOUT, "first\nsec", false);
    event_bus_note(bus, step, "nobody reads \"it\"");
    log_line(bus, step, EVENT_STDOUT, "ond\n", true);
    node_set_state(bus, step, STATE_FAILED, &failed);
    node_retry(bus, job, &failed, 1500);
    node_set_state(bus, step, STATE_RUNNING, NULL);
    node_set_state(bus, step, STATE_SUCCEEDED, NULL);
    node_set_state(bus, job, STATE_SUCCEEDED, NULL);
    event_bus_note(bus, root, "all is well");
    node_set_state(bus, stage, STATE_SUCCEEDED, NULL);
    node_set_state(bus, root, STATE_SUCCEEDED, NULL);
}

static void finish(struct shown *shown, const struct node *root)
{
    struct err err = ERR_INIT;

    sink_plain_summary(&shown->plain, root, RUN);
    assert_int_equal(output_queue_finish(shown->queue, &err), 0);
}

static void it_is_shown_as_it_was(void **state)
{
    struct shown own, other;
    struct node root = {0};
    struct relay relay = {.sink = {.handle = handle}, .root = &root};

    (void)state;
    show(&own);
    show(&other);
    playback_init(&relay.playback, &other.bus);
    event_bus_add(&own.bus, &relay.sink);
    node_set_name(&own.bus, &root, "ship");
    node_add_children(&root, 1);
    node_set_name(&own.bus, &root.children[0], "build");
    node_add_children(&root.children[0], 1);
    node_set_name(&own.bus, &root.children[0].children[0], "unit");
    node_add_children(&root.children[0].children[0], 1);
    node_set_name(&own.bus, &root.children[0].children[0].children[0], "compile");
    pass(&relay, json_pack("{s:s,s:s}", "event", "RunBegan", "id", RUN));
    run(&own.bus, &root);
    assert_null(relay.playback.ended);
    pass(&relay, json_pack("{s:s,s:i}", "event", "RunEnded", "exit_code", 0));
    assert_non_null(relay.playback.ended);
    finish(&own, &root);
    finish(&other, &relay.playback.root);
    assert_non_null(strstr(own.out.data, "+ond"));
    assert_non_null(strstr(own.errors.data, "attempt 1 failed: exit code 7; trying again in 1.5s"));
    assert_string_equal(own.out.data, other.out.data);
    assert_string_equal(own.errors.data, other.errors.data);
    playback_release(&relay.playback);
    node_release(&root);
    buf_release(&own.out);
    buf_release(&own.errors);
    buf_release(&other.out);
    buf_release(&other.errors);
}

static void what_makes_no_sense_is_refused(void **state)
{
    static const char *const wrong[] = {
        "{\"event\":\"StepStarted\",\"id\":\"01m7.0.0.0\",\"status\":\"running\"}",
        "{\"event\":\"RunPlanned\"}",
        "{\"event\":\"RunPlanned\",\"tree\":{\"name\":\"a\",\"status\":\"happy\"}}",
    };
    struct event_bus bus = EVENT_BUS_INIT;
    struct playback playback;
    struct err err = ERR_INIT;

    (void)state;
    playback_init(&playback, &bus);
    for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
        json_t *object = json_loads(wrong[i], 0, NULL);

        assert_int_equal(playback_event(&playback, object, &err), -1);
        assert_int_equal(err.code, ERR_PROTOCOL);
        assert_false(playback.planned);
        json_decref(object);
    }
    playback_output(&playback, &(struct playback_output){.node = "0.1", .data = "x", .size = 1});
    playback_release(&playback);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_is_shown_as_it_was),
        cmocka_unit_test(what_makes_no_sense_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
