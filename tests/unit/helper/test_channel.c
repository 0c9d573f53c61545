/* The runner's side of the channel, against relays of a few bytes. */
#include "../test.h"

#include <lz4.h>

#include "helper/channel.h"

struct side {
    struct channel channel;
    struct buf got[2];
    int refusals; /* of deliver(), before it takes anything */
};

static int deliver(void *arg, enum helper_stream stream, const char *data, size_t len,
                   struct err *err)
{
    struct side *side = arg;

    if (side->refusals > 0) {
        side->refusals--;
        return err_set(err, ERR_LIMIT, "not now");
    }
    buf_add(&side->got[stream], data, len);
    return 0;
}

static void begin(struct side *side)
{
    *side = (struct side){.got = {BUF_INIT, BUF_INIT}};
    assert_int_equal(channel_init(&side->channel, deliver, side, NULL), 0);
}

static void end(struct side *side)
{
    channel_release(&side->channel);
    buf_release(&side->got[0]);
    buf_release(&side->got[1]);
}

static int feed(struct side *side, const char *data, size_t len, struct err *err)
{
    return channel_feed(&side->channel, data, len, err);
}

#define FEED(side, text, err) feed(side, text, sizeof(text) - 1, err)

/* What it wants to send now, and takes for sent. */
static void assert_sends(struct side *side, const char *expected, size_t len)
{
    const char *out;
    size_t size = channel_output(&side->channel, &out);

    assert_int_equal(size, len);
    if (len)
        assert_memory_equal(out, expected, len);
    channel_sent(&side->channel, size);
}

#define SENDS(side, text) assert_sends(side, text, sizeof(text) - 1)

static void assert_hello(struct side *side, char received)
{
    char hello[HELPER_RELAY_HELLO_SIZE] = HELPER_RELAY_HELLO;

    memcpy(hello + 4, side->channel.nonce, HELPER_NONCE_SIZE);
    hello[4 + HELPER_NONCE_SIZE] = received;
    channel_connected(&side->channel);
    assert_sends(side, hello, sizeof(hello));
}

#define ZERO7 "\0\0\0\0\0\0\0"

static void sends_nothing_before_the_welcome(void **state)
{
    struct side side;

    (void)state;
    begin(&side);
    SENDS(&side, "");
    channel_renew(&side.channel, 0x1234);
    channel_input(&side.channel, "abc", 3);
    assert_hello(&side, 0);
    SENDS(&side, "");
    assert_int_equal(FEED(&side, "RNW1\0" ZERO7, NULL), 0);
    SENDS(&side, "L\x34\x12\0\0I\3\0\0\0abc");
    SENDS(&side, "");
    end(&side);
}

static void sends_what_was_not_taken_again(void **state)
{
    struct side side;

    (void)state;
    begin(&side);
    channel_input(&side.channel, "abcdef", 6);
    assert_hello(&side, 0);
    assert_int_equal(FEED(&side, "RNW1\0" ZERO7, NULL), 0);
    SENDS(&side, "I\6\0\0\0abcdef");
    assert_int_equal(FEED(&side, "T\2" ZERO7, NULL), 0);
    assert_int_equal(channel_pending(&side.channel), 4);
    assert_hello(&side, 0);
    assert_int_equal(FEED(&side, "RNW1\3" ZERO7, NULL), 0);
    channel_input(&side.channel, "g", 1);
    SENDS(&side, "I\4\0\0\0defg");
    assert_int_equal(FEED(&side, "T\7" ZERO7, NULL), 0);
    assert_int_equal(channel_pending(&side.channel), 0);
    end(&side);
}

static void keeps_to_the_window(void **state)
{
    static char data[HELPER_RELAY_WINDOW + 10];
    const size_t frames = HELPER_RELAY_WINDOW / HELPER_RELAY_DATA_MAX;
    struct side side;
    const char *out;

    (void)state;
    begin(&side);
    channel_input(&side.channel, data, sizeof(data));
    assert_hello(&side, 0);
    assert_int_equal(FEED(&side, "RNW1\0" ZERO7, NULL), 0);
    assert_int_equal(channel_output(&side.channel, &out), HELPER_RELAY_WINDOW + 5 * frames);
    channel_sent(&side.channel, HELPER_RELAY_WINDOW + 5 * frames);
    SENDS(&side, "");
    assert_int_equal(FEED(&side, "T\7" ZERO7, NULL), 0);
    SENDS(&side, "I\7\0\0\0" ZERO7);
    end(&side);
}

static const char output[] = "O\x0a\0\0\0"
                             "1\2\0\0\0ab2\1\0"
                             "T\0" ZERO7 "O\x0f\0\0\0"
                             "\0\0c1\3\0\0\0defX\2\0\0"
                             "O\3\0\0\0"
                             "\0"
                             "42";

/* Cut at every byte: the relay goes on where the runner says. */
static void delivers_everything_once(void **state)
{
    (void)state;
    for (size_t cut = 0; cut < sizeof(output); cut++) {
        struct side side;

        begin(&side);
        assert_hello(&side, 0);
        assert_int_equal(FEED(&side, "RNW1\0" ZERO7, NULL), 0);
        for (size_t i = 0; i < cut; i++)
            assert_int_equal(feed(&side, output + i, 1, NULL), 0);
        if (cut < sizeof(output) - 1) {
            static const char records[] = "1\2\0\0\0ab2\1\0\0\0c1\3\0\0\0defX\2\0\0\0"
                                          "42";
            size_t at = (size_t)side.channel.received;
            char head[5] = {HELPER_RELAY_OUTPUT, (char)(sizeof(records) - 1 - at)};

            assert_false(channel_ended(&side.channel));
            assert_hello(&side, (char)at);
            assert_int_equal(FEED(&side, "RNW1\0" ZERO7, NULL), 0);
            assert_int_equal(feed(&side, head, sizeof(head), NULL), 0);
            assert_int_equal(feed(&side, records + at, sizeof(records) - 1 - at, NULL), 0);
        }
        assert_string_equal(side.got[HELPER_STDOUT].data, "abdef");
        assert_string_equal(side.got[HELPER_STDERR].data, "c");
        assert_true(channel_ended(&side.channel));
        assert_int_equal(channel_code(&side.channel), 42);
        end(&side);
    }
}

/* HELPER_RELAY_PACKED for the records from `at` on. */
static size_t pack_frame(const char *records, size_t len, char *to, size_t room)
{
    int size = LZ4_compress_default(records, to + 9, (int)len, (int)room - 9);

    assert_true(size > 0 && (size_t)size < len && size < 256 && len < 256);
    memcpy(to, "Z\0\0\0\0\0\0\0", 9);
    to[1] = (char)size;
    to[5] = (char)len;
    return 9 + (size_t)size;
}

#define TEN "abababababababababab"

/* Cut at every byte, with the rest of it in pieces of one byte, or at once. What follows a packed
 * frame begins in the middle of a record. */
static void delivers_what_is_packed_once(void **state)
{
    static const char records[] =
        "1\x28\0\0\0" TEN TEN "2\x14\0\0\0" TEN "1\x28\0\0\0" TEN TEN "X\1\0\0\0"
        "7";
    const size_t len = sizeof(records) - 1, first = 90;
    char frames[300];
    size_t size = pack_frame(records, first, frames, sizeof(frames));

    (void)state;
    memcpy(frames + size, "O\0\0\0", 5);
    frames[size + 1] = (char)(len - first);
    memcpy(frames + size + 5, records + first, len - first);
    size += 5 + len - first;
    for (size_t cut = 0; cut <= size; cut++) {
        for (int whole = 0; whole < 2; whole++) {
            struct side side;
            char again[300];
            size_t at;

            begin(&side);
            assert_hello(&side, 0);
            assert_int_equal(FEED(&side, "RNW1\0" ZERO7, NULL), 0);
            for (size_t i = 0; i < cut; i += whole ? cut : 1)
                assert_int_equal(feed(&side, frames + i, whole ? cut : 1, NULL), 0);
            at = (size_t)side.channel.received;
            assert_true(at == 0 || at >= first);
            if (at < len) {
                assert_hello(&side, (char)at);
                assert_int_equal(FEED(&side, "RNW1\0" ZERO7, NULL), 0);
                memcpy(again, "O\0\0\0", 5);
                again[1] = (char)(len - at);
                memcpy(again + 5, records + at, len - at);
                assert_int_equal(feed(&side, again, 5 + len - at, NULL), 0);
            }
            assert_string_equal(side.got[HELPER_STDOUT].data, TEN TEN TEN TEN);
            assert_string_equal(side.got[HELPER_STDERR].data, TEN);
            assert_int_equal(channel_code(&side.channel), 7);
            end(&side);
        }
    }
}

/* Resumed in the middle of what a packed frame stood for, by one that begins there. */
static void what_was_packed_and_not_wanted_comes_again(void **state)
{
    static const char records[] = "1\x28\0\0\0" TEN TEN "1\x28\0\0\0" TEN TEN;
    char frame[300];
    size_t size = pack_frame(records, sizeof(records) - 1, frame, sizeof(frame));
    struct side side;
    struct err err = ERR_INIT;

    (void)state;
    for (size_t piece = 1; piece <= size; piece += size - 1) {
        int result = 0;

        begin(&side);
        assert_hello(&side, 0);
        assert_int_equal(FEED(&side, "RNW1\0" ZERO7, NULL), 0);
        side.refusals = 1;
        for (size_t i = 0; i < size && result == 0; i += piece)
            result = feed(&side, frame + i, piece, &err);
        assert_int_equal(result, -1);
        assert_int_equal(err.code, ERR_LIMIT);
        assert_hello(&side, 5);
        size = pack_frame(records + 5, sizeof(records) - 6, frame, sizeof(frame));
        assert_int_equal(FEED(&side, "RNW1\0" ZERO7, NULL), 0);
        assert_int_equal(feed(&side, frame, size, NULL), 0);
        assert_string_equal(side.got[HELPER_STDOUT].data, TEN TEN TEN TEN);
        channel_tell(&side.channel);
        SENDS(&side, "A\x5a" ZERO7);
        end(&side);
        size = pack_frame(records, sizeof(records) - 1, frame, sizeof(frame));
    }
}

static void acknowledges_what_was_delivered(void **state)
{
    struct side side;

    (void)state;
    begin(&side);
    assert_hello(&side, 0);
    assert_int_equal(FEED(&side,
                          "RNW1\0" ZERO7 "O\x08\0\0\0"
                          "1\3\0\0\0abc",
                          NULL),
                     0);
    SENDS(&side, "");
    assert_int_equal(channel_untold(&side.channel), 8);
    channel_tell(&side.channel);
    SENDS(&side, "A\x08" ZERO7);
    assert_int_equal(channel_untold(&side.channel), 0);
    SENDS(&side, "");
    assert_int_equal(FEED(&side, "O\2\0\0\0001\1", NULL), 0);
    /* The hello says it. */
    assert_hello(&side, 10);
    assert_int_equal(FEED(&side, "RNW1\0" ZERO7, NULL), 0);
    SENDS(&side, "");
    end(&side);
}

/* One record of 8192 bytes in its frame. */
static void feed_record(struct side *side)
{
    static char frame[5 + 5 + 8192] = "O\x05\x20\0\0001\0\x20\0\0";

    assert_int_equal(feed(side, frame, sizeof(frame), NULL), 0);
}

static void acknowledges_a_lot_and_the_end_unasked(void **state)
{
    struct side side;
    uint64_t received = 0;
    const char *out;

    (void)state;
    begin(&side);
    assert_hello(&side, 0);
    assert_int_equal(FEED(&side, "RNW1\0" ZERO7, NULL), 0);
    for (; received + 5 + 8192 < HELPER_RELAY_MEMORY / 4; received += 5 + 8192) {
        feed_record(&side);
        SENDS(&side, "");
    }
    feed_record(&side);
    assert_int_equal(channel_output(&side.channel, &out), 9);
    assert_int_equal(out[0], HELPER_RELAY_RECEIVED);
    channel_sent(&side.channel, 9);
    assert_int_equal(channel_untold(&side.channel), 0);
    assert_int_equal(FEED(&side, "O\x06\0\0\0X\1\0\0\0000", NULL), 0);
    assert_int_equal(channel_output(&side.channel, &out), 9);
    end(&side);
}

static void what_was_not_wanted_comes_again(void **state)
{
    struct side side;
    struct err err = ERR_INIT;

    (void)state;
    begin(&side);
    assert_hello(&side, 0);
    side.refusals = 1;
    assert_int_equal(FEED(&side,
                          "RNW1\0" ZERO7 "O\x08\0\0\0"
                          "1\3\0\0\0abc",
                          &err),
                     -1);
    assert_int_equal(err.code, ERR_LIMIT);
    assert_hello(&side, 5);
    assert_int_equal(FEED(&side, "RNW1\0" ZERO7 "O\3\0\0\0abc", NULL), 0);
    assert_string_equal(side.got[HELPER_STDOUT].data, "abc");
    end(&side);
}

static void renews_over_every_connection(void **state)
{
    struct side side;

    (void)state;
    begin(&side);
    channel_renew(&side.channel, 7);
    for (int i = 0; i < 2; i++) {
        assert_hello(&side, 0);
        assert_int_equal(FEED(&side, "RNW1\0" ZERO7, NULL), 0);
        SENDS(&side, "L\7\0\0\0");
        SENDS(&side, "");
    }
    end(&side);
}

static void quits_over_every_connection(void **state)
{
    struct side side;

    (void)state;
    begin(&side);
    channel_input(&side.channel, "abc", 3);
    channel_quit(&side.channel);
    for (int i = 0; i < 2; i++) {
        assert_hello(&side, 0);
        assert_int_equal(FEED(&side, "RNW1\0" ZERO7, NULL), 0);
        SENDS(&side, "Q");
        SENDS(&side, "");
    }
    end(&side);
}

static void refuses_what_is_no_relay(void **state)
{
    static const struct {
        const char *text;
        size_t len;
        enum err_code code;
        const char *message;
    } cases[] = {
#define CASE(text, code, message) {text, sizeof(text) - 1, code, message}
#define CONFUSED(text)            CASE(text, ERR_PROTOCOL, "the relay in the container is confused")
        CASE("RNF1\1" ZERO7, ERR_DENIED, "the relay in the container belongs to another runner"),
        CASE("RNF1\2" ZERO7, ERR_LOST,
             "the relay in the container has not got the output any more: it is another one than "
             "before"),
        CONFUSED("RNF1\3" ZERO7),
        CONFUSED("RNF1\0" ZERO7),
        CONFUSED("RNW2\0" ZERO7),
        CONFUSED("RNW1\4" ZERO7), /* more than there is */
        CONFUSED("RNW1\0" ZERO7 "x"),
        CONFUSED("RNW1\0" ZERO7 "T\4" ZERO7),
        CONFUSED("RNW1\0" ZERO7 "T\0\0\0\0\0\0\0\x80"),
        CONFUSED("RNW1\3" ZERO7 "T\2" ZERO7), /* less than before */
        CONFUSED("RNW1\0" ZERO7 "O\1\0\1\0"),
        CONFUSED("RNW1\0" ZERO7 "O\5\0\0\0003\1\0\0\0"),
        CONFUSED("RNW1\0" ZERO7 "O\5\0\0\0001\0\0\0\0"),
        CONFUSED("RNW1\0" ZERO7 "O\5\0\0\0001\1\0\1\0"),
        CONFUSED("RNW1\0" ZERO7 "O\5\0\0\0X\4\0\0\0"),
        CONFUSED("RNW1\0" ZERO7 "O\7\0\0\0X\2\0\0\000a"
                 "2"),
        CONFUSED("RNW1\0" ZERO7 "O\7\0\0\0X\1\0\0\0003"
                 "1"),
        /* Packed: nothing, for nothing, not smaller, too much, not what it says, no block. */
        CONFUSED("RNW1\0" ZERO7 "Z\0\0\0\0\x0a\0\0\0"),
        CONFUSED("RNW1\0" ZERO7 "Z\1\0\0\0\0\0\0\0"),
        CONFUSED("RNW1\0" ZERO7 "Z\x0a\0\0\0\x0a\0\0\0"),
        CONFUSED("RNW1\0" ZERO7 "Z\1\0\0\0\1\0\2\0"),
        CONFUSED("RNW1\0" ZERO7 "Z\1\0\0\0\0\0\0\1"),
        CONFUSED("RNW1\0" ZERO7 "Z\6\0\0\0\7\0\0\0\0501\1\0\0\0"),
        CONFUSED("RNW1\0" ZERO7 "Z\1\0\0\0\7\0\0\0\xf0"),
        CONFUSED("RNW1\0" ZERO7 "Z\5\0\0\0\x20\0\0\0\x11"
                 "1\5\0\0"),
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct side side;
        struct err err = ERR_INIT;

        begin(&side);
        channel_input(&side.channel, "abc", 3);
        assert_hello(&side, 0);
        assert_int_equal(feed(&side, cases[i].text, cases[i].len - 1, &err), 0);
        assert_int_equal(feed(&side, cases[i].text + cases[i].len - 1, 1, &err), -1);
        assert_int_equal(err.code, cases[i].code);
        assert_string_equal(err.message, cases[i].message);
        end(&side);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sends_nothing_before_the_welcome),
        cmocka_unit_test(sends_what_was_not_taken_again),
        cmocka_unit_test(keeps_to_the_window),
        cmocka_unit_test(delivers_everything_once),
        cmocka_unit_test(delivers_what_is_packed_once),
        cmocka_unit_test(what_was_packed_and_not_wanted_comes_again),
        cmocka_unit_test(acknowledges_what_was_delivered),
        cmocka_unit_test(acknowledges_a_lot_and_the_end_unasked),
        cmocka_unit_test(what_was_not_wanted_comes_again),
        cmocka_unit_test(renews_over_every_connection),
        cmocka_unit_test(quits_over_every_connection),
        cmocka_unit_test(refuses_what_is_no_relay),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
