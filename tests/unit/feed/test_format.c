/* feed/: what followers are sent, to the byte. */
#include "tests/unit/test.h"

#include "feed/format.h"

static struct feed_formatter formatter;

static struct record_followed output(const char *text, int64_t time_ms, uint64_t seq)
{
    return (struct record_followed){.item = {.seq = seq,
                                             .time_ms = time_ms,
                                             .stream = RECORD_STDOUT,
                                             .node = "0.1.2",
                                             .data = text,
                                             .size = strlen(text)},
                                    .position = {3, seq}};
}

static void give(struct record_followed followed)
{
    feed_format(&formatter, &followed);
}

static void give_event(uint64_t seq, const char *json)
{
    give((struct record_followed){.is_event = true,
                                  .event = {.seq = seq, .json = json, .size = strlen(json)},
                                  .position = {seq, 8}});
}

/* All that has been written, a message a line. */
static void assert_sent(const char *expected)
{
    struct feed_chunk *chunk = feed_formatter_take(&formatter, (struct record_position){9, 9});
    CLEANUP_BUF struct buf all = BUF_INIT;

    assert_non_null(chunk);
    assert_int_equal(chunk->end.item, 9);
    for (size_t i = 0; i < feed_chunk_count(chunk); i++) {
        size_t size;
        const char *message = feed_chunk_message(chunk, i, &size);

        for (size_t j = 1; j <= formatter.headroom; j++)
            assert_int_equal(message[-(ptrdiff_t)j], 0);
        buf_add(&all, message, size);
        buf_addch(&all, '\n');
    }
    assert_string_equal(all.data, expected);
    feed_chunk_unref(chunk);
    assert_null(feed_formatter_take(&formatter, (struct record_position){9, 9}));
    feed_formatter_release(&formatter);
}

static void begin(enum feed_format format)
{
    feed_formatter_init(&formatter, format, "01run", 16);
}

static void give_some(void)
{
    static const int code = 3;
    struct record_followed bytes = output("\xff\n", 7000, 5);
    struct record_followed missing = {.item = {.stream = RECORD_MISSING, .missing_bytes = 12},
                                      .position = {3, 6}};
    struct record_followed note = {.item = {.stream = RECORD_NOTE}, .position = {3, 7}};

    give(output("a\n", 1000, 1));
    give(output("b \"x\"\n", 1099, 2)); /* within a moment */
    give(output("c", 1100, 3));
    bytes.item.stream = RECORD_STDERR;
    bytes.item.continued = true;
    give(bytes);
    give(missing);
    give(note);
    give_event(4, "{\"seq\":4,\"event\":\"StepNote\",\"time\":\"1970-01-01T00:00:02.500Z\","
                  "\"id\":\"01run.0.1.2\",\"text\":\"re\\nmark\"}");
    give_event(5, "{\"seq\":5,\"event\":\"StepStarted\",\"id\":\"01run.0.1.2\"}");
    feed_format_done(&formatter, &(struct feed_done){.status = "failed",
                                                     .reason = "timeout",
                                                     .error = "no",
                                                     .exit_code = &code});
}

static void server_sent_events(void **state)
{
    (void)state;
    begin(FEED_SSE);
    give_some();
    assert_sent(
        "id: 3.2\nevent: stdout\n"
        "data: {\"node\":\"0.1.2\",\"time\":1000,\"text\":\"a\\nb \\\"x\\\"\\n\"}\n\n"
        "id: 3.3\nevent: stdout\ndata: {\"node\":\"0.1.2\",\"time\":1100,\"text\":\"c\"}\n\n"
        "id: 3.5\nevent: stderr\n"
        "data: {\"node\":\"0.1.2\",\"time\":7000,\"text\":\"\xef\xbf\xbd\\n\",\"continued\":true}"
        "\n\n"
        "id: 3.6\nevent: missing\ndata: {\"bytes\":12}\n\n"
        "id: 4.8\nevent: note\ndata: {\"node\":\"0.1.2\",\"time\":2500,\"text\":\"re\\nmark\"}\n\n"
        "id: 5.8\nevent: state\n"
        "data: {\"seq\":5,\"event\":\"StepStarted\",\"id\":\"01run.0.1.2\"}\n\n"
        "id: 5.8\nevent: done\n"
        "data: {\"status\":\"failed\",\"reason\":\"timeout\",\"exit_code\":3,\"error\":\"no\"}\n\n"
        "\n");
}

static void frames(void **state)
{
    (void)state;
    begin(FEED_V2);
    give_some();
    assert_sent(
        "{\"type\":\"stdout\",\"payload\":\"a\\nb \\\"x\\\"\\n\",\"run\":\"01run\","
        "\"node\":\"0.1.2\",\"time\":1000,\"position\":\"3.2\"}\n"
        "{\"type\":\"stdout\",\"payload\":\"c\",\"run\":\"01run\",\"node\":\"0.1.2\","
        "\"time\":1100,\"position\":\"3.3\"}\n"
        "{\"type\":\"stderr\",\"payload\":\"/wo=\",\"run\":\"01run\",\"node\":\"0.1.2\","
        "\"time\":7000,\"position\":\"3.5\",\"base64\":true,\"continued\":true}\n"
        "{\"type\":\"missing\",\"payload\":\"12\",\"run\":\"01run\",\"position\":\"3.6\"}\n"
        "{\"type\":\"note\",\"payload\":\"re\\nmark\",\"run\":\"01run\",\"node\":\"0.1.2\","
        "\"time\":2500,\"position\":\"4.8\"}\n"
        "{\"type\":\"event\",\"payload\":\"{\\\"seq\\\":5,\\\"event\\\":\\\"StepStarted\\\","
        "\\\"id\\\":\\\"01run.0.1.2\\\"}\",\"run\":\"01run\",\"position\":\"5.8\"}\n"
        "{\"type\":\"done\",\"payload\":\"no\",\"run\":\"01run\",\"status\":\"failed\","
        "\"reason\":\"timeout\",\"exit_code\":3}\n");
}

static void plain_frames(void **state)
{
    (void)state;
    begin(FEED_PLAIN);
    give_some();
    assert_sent("{\"type\":\"stdout\",\"payload\":\"a\\nb \\\"x\\\"\\n\"}\n"
                "{\"type\":\"stdout\",\"payload\":\"c\"}\n"
                "{\"type\":\"stderr\",\"payload\":\"\xef\xbf\xbd\\n\"}\n"
                "{\"type\":\"stderr\",\"payload\":\"12 bytes of output are missing here\\n\"}\n"
                "{\"type\":\"stderr\",\"payload\":\"re\\nmark\\n\"}\n"
                "{\"type\":\"done\",\"payload\":\"no\"}\n");
}

static void success_has_no_error(void **state)
{
    (void)state;
    begin(FEED_PLAIN);
    feed_format_done(&formatter, &(struct feed_done){.status = "succeeded"});
    assert_sent("{\"type\":\"done\",\"payload\":\"\"}\n");
    begin(FEED_SSE);
    feed_format_done(&formatter, &(struct feed_done){.status = "succeeded"});
    assert_sent("id: 0.0\nevent: done\ndata: {\"status\":\"succeeded\"}\n\n\n");
}

/* What does not belong together, or would get too long. */
static void output_is_joined_only_where_it_fits(void **state)
{
    CLEANUP_BUF struct buf large = BUF_INIT;
    struct record_followed other = output("e\n", 1000, 4);
    struct record_followed continued = output("d\n", 1000, 3);
    struct feed_chunk *chunk;

    (void)state;
    while (large.len < 32768)
        buf_addstr(&large, "x");
    begin(FEED_PLAIN);
    continued.item.continued = true;
    give(output("a\n", 1000, 1));
    give(continued); /* but the line before is not open */
    give(output("p", 1000, 4));
    continued.item.seq = 5;
    give(continued);
    give(output("q", 1000, 6));
    give(output("r\n", 1000, 7)); /* does not continue what is open */
    give(output("s\n", 999, 8));  /* the clock went back */
    other.item.node = "0.1";
    give(other);
    assert_sent("{\"type\":\"stdout\",\"payload\":\"a\\n\"}\n"
                "{\"type\":\"stdout\",\"payload\":\"d\\npd\\nq\"}\n"
                "{\"type\":\"stdout\",\"payload\":\"r\\n\"}\n"
                "{\"type\":\"stdout\",\"payload\":\"s\\n\"}\n"
                "{\"type\":\"stdout\",\"payload\":\"e\\n\"}\n");
    begin(FEED_PLAIN);
    give(output("a\n", 1000, 1));
    give(output(large.data, 1000, 2));
    chunk = feed_formatter_take(&formatter, (struct record_position){9, 9});
    assert_int_equal(feed_chunk_count(chunk), 2);
    feed_chunk_unref(chunk);
    feed_formatter_release(&formatter);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(server_sent_events),
        cmocka_unit_test(frames),
        cmocka_unit_test(plain_frames),
        cmocka_unit_test(success_has_no_error),
        cmocka_unit_test(output_is_joined_only_where_it_fits),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
