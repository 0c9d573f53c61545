#include "tests/unit/test.h"

#include "apis/ws/ws_frame.h"
#include "apis/ws/ws_handshake.h"

static struct err test_err;

/* Feeds the bytes in pieces of `step` and writes what comes out as text. */
static int decode(enum ws_role role, const void *data, size_t len, size_t step, struct buf *out)
{
    struct ws_decoder decoder;
    struct ws_message message;
    int got = 0;

    err_clear(&test_err);
    ws_decoder_init(&decoder, role, 70000);
    for (size_t at = 0; got >= 0 && at < len; at += step) {
        ws_decoder_feed(&decoder, (const char *)data + at, len - at < step ? len - at : step);
        while ((got = ws_decoder_next(&decoder, &message, &test_err)) > 0) {
            if (message.opcode == WS_CLOSE)
                buf_addf(out, "8:%u:", message.close_code);
            else
                buf_addf(out, "%x:%zu:", (unsigned)message.opcode, message.len);
            buf_add(out, message.data, message.len < 20 ? message.len : 20);
            buf_addch(out, '\n');
        }
    }
    if (got < 0)
        buf_addf(out, "error %u", ws_decoder_close_code(&decoder));
    ws_decoder_release(&decoder);
    return got;
}

/* The examples of RFC 6455, section 5.7. */
static void test_examples(void **state)
{
    static const struct {
        enum ws_role role;
        size_t len;
        const char *bytes;
        const char *expected;
    } rows[] = {
        {WS_CLIENT, 7, "\x81\x05Hello", "1:5:Hello\n"},
        {WS_SERVER, 11, "\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58", "1:5:Hello\n"},
        {WS_CLIENT, 9, "\x01\x03Hel\x80\x02lo", "1:5:Hello\n"},
        {WS_CLIENT, 16, "\x01\x03Hel\x89\x05Hello\x80\x02lo", "9:5:Hello\n1:5:Hello\n"},
        {WS_SERVER, 11, "\x8a\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58", "a:5:Hello\n"},
        {WS_CLIENT, 2, "\x82\x00", "2:0:\n"},
        {WS_CLIENT, 6,
         "\x81\x01"
         "a\x81\x01"
         "b",
         "1:1:a\n1:1:b\n"},
        {WS_CLIENT, 7,
         "\x88\x05\x03\xe8"
         "bye",
         "8:1000:bye\n"},
        {WS_CLIENT, 2, "\x88\x00", "8:1005:\n"},
        {WS_CLIENT, 9, "\x88\x00\x81\x05Hello", "8:1005:\n"}, /* nothing counts after Close */
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        for (size_t step = 1; step <= rows[i].len; step++) {
            CLEANUP_BUF struct buf out = BUF_INIT;

            assert_true(decode(rows[i].role, rows[i].bytes, rows[i].len, step, &out) >= 0);
            assert_string_equal(out.data, rows[i].expected);
        }
    }
}

static void test_violations(void **state)
{
    static const struct {
        enum ws_role role;
        size_t len;
        const char *bytes;
        unsigned code;
        const char *message;
    } rows[] = {
        {WS_CLIENT, 2, "\xc1\x00", 1002, "a reserved bit is set"},
        {WS_CLIENT, 2, "\x81\x80", 1002, "a server's frame is masked"},
        {WS_SERVER, 2, "\x81\x00", 1002, "a client's frame is not masked"},
        {WS_CLIENT, 2, "\x83\x00", 1002, "an unknown opcode"},
        {WS_CLIENT, 2, "\x8b\x00", 1002, "an unknown opcode"},
        {WS_CLIENT, 2, "\x09\x00", 1002, "a control frame is fragmented"},
        {WS_CLIENT, 2, "\x89\x7e", 1002, "a control frame is too long"},
        {WS_CLIENT, 2, "\x80\x00", 1002, "a continuation of nothing"},
        {WS_CLIENT, 4, "\x01\x00\x81\x00", 1002, "a message inside another"},
        {WS_CLIENT, 4, "\x81\x7e\x00\x7d", 1002, "a length is not written as it must be"},
        {WS_CLIENT, 10, "\x81\x7f\0\0\0\0\0\0\xff\xff", 1002,
         "a length is not written as it must be"},
        {WS_CLIENT, 10, "\x81\x7f\x80\0\0\0\0\0\0\0", 1002,
         "a length is not written as it must be"},
        {WS_CLIENT, 10, "\x82\x7f\0\0\0\0\0\1\x11\x71", 1009, "larger than what is taken"},
        {WS_CLIENT, 3, "\x81\x01\xff", 1007, "a text is not UTF-8"},
        {WS_CLIENT, 3, "\x88\x01x", 1002, "half a close code"},
        {WS_CLIENT, 4, "\x88\x02\x03\xed", 1002, "a close code that there is not"},
        {WS_CLIENT, 5, "\x88\x03\x03\xe8\xff", 1007, "a close reason is not UTF-8"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        for (size_t step = 1; step <= rows[i].len; step++) {
            CLEANUP_BUF struct buf out = BUF_INIT;
            char expected[32];

            snprintf(expected, sizeof(expected), "error %u", rows[i].code);
            assert_int_equal(decode(rows[i].role, rows[i].bytes, rows[i].len, step, &out), -1);
            assert_string_equal(out.data, expected);
            assert_non_null(strstr(test_err.message, rows[i].message));
            assert_int_equal(test_err.code, rows[i].code == 1009 ? ERR_LIMIT : ERR_PROTOCOL);
        }
    }
}

/* For peers that say text and mean bytes. */
static void test_text_of_any_bytes(void **state)
{
    struct ws_decoder decoder;
    struct ws_message message;

    (void)state;
    ws_decoder_init(&decoder, WS_CLIENT, 0);
    decoder.any_text = true;
    ws_decoder_feed(&decoder, "\x01\x01\xff\x80\x01\xc8", 6);
    assert_int_equal(ws_decoder_next(&decoder, &message, &test_err), 1);
    assert_int_equal(message.opcode, WS_TEXT);
    assert_int_equal(message.len, 2);
    assert_memory_equal(message.data, "\xff\xc8", 2);
    ws_decoder_release(&decoder);
}

/* Fragments together may not go beyond the limit either. */
static void test_limit_of_fragments(void **state)
{
    CLEANUP_BUF struct buf bytes = BUF_INIT;
    CLEANUP_BUF struct buf out = BUF_INIT;
    char data[35001] = "";

    (void)state;
    ws_frame_add(&bytes, false, WS_BINARY, NULL, data, sizeof(data));
    ws_frame_add(&bytes, true, WS_CONTINUATION, NULL, data, sizeof(data));
    assert_int_equal(decode(WS_CLIENT, bytes.data, bytes.len, 1000, &out), -1);
    assert_string_equal(out.data, "error 1009");
}

static void test_lengths(void **state)
{
    static const size_t lengths[] = {0, 1, 7, 8, 9, 125, 126, 127, 65535, 65536, 70000};
    static const size_t frames[] = {0, 1000, 65536};
    char *data = test_malloc(70000);

    (void)state;
    memset(data, 'x', 70000);
    for (size_t i = 0; i < sizeof(lengths) / sizeof(*lengths); i++) {
        for (size_t k = 0; k < 2 * sizeof(frames) / sizeof(*frames); k++) {
            enum ws_role role = k % 2 ? WS_SERVER : WS_CLIENT;
            CLEANUP_BUF struct buf bytes = BUF_INIT;
            CLEANUP_BUF struct buf out = BUF_INIT;
            char expected[64];

            ws_message_add(&bytes, role, WS_TEXT, data, lengths[i], frames[k / 2]);
            snprintf(expected, sizeof(expected), "1:%zu:%.*s\n", lengths[i],
                     lengths[i] < 20 ? (int)lengths[i] : 20, data);
            assert_int_equal(decode(k % 2 ? WS_CLIENT : WS_SERVER, bytes.data, bytes.len, 4093,
                                    &out),
                             0);
            assert_string_equal(out.data, expected);
        }
    }
    test_free(data);
}

/* Each frame has a key of its own. */
static void test_masks_differ(void **state)
{
    CLEANUP_BUF struct buf bytes = BUF_INIT;
    const char *first;

    (void)state;
    ws_message_add(&bytes, WS_CLIENT, WS_BINARY, "aaaaaaaaaaaa", 12, 4);
    assert_int_equal(bytes.len, 30);
    first = bytes.data;
    assert_memory_not_equal(first + 2, first + 12, 4);
    assert_memory_not_equal(first + 12, first + 22, 4);
    assert_int_equal((unsigned char)first[0], 0x02);
    assert_int_equal((unsigned char)first[10], 0x00);
    assert_int_equal((unsigned char)first[20], 0x80);
}

static void test_close(void **state)
{
    CLEANUP_BUF struct buf bytes = BUF_INIT;
    CLEANUP_BUF struct buf out = BUF_INIT;
    char reason[200];

    (void)state;
    ws_close_add(&bytes, WS_SERVER, WS_CLOSE_NO_CODE, "ignored");
    assert_int_equal(bytes.len, 2);
    buf_reset(&bytes);
    memset(reason, 'x', 122);
    memcpy(reason + 122, "\xc3\xa4", 3); /* its second byte is the 124th */
    ws_close_add(&bytes, WS_SERVER, 3000, reason);
    assert_int_equal(bytes.len, 2 + 124);
    assert_int_equal(decode(WS_CLIENT, bytes.data, bytes.len, bytes.len, &out), 0);
    assert_non_null(strstr(out.data, "8:3000:xxxx"));
    assert_false(ws_close_code_valid(999));
    assert_false(ws_close_code_valid(1005));
    assert_false(ws_close_code_valid(1015));
    assert_false(ws_close_code_valid(2999));
    assert_false(ws_close_code_valid(5000));
    assert_true(ws_close_code_valid(4999));
}

/* The example of RFC 6455, section 1.3. */
static void test_accept(void **state)
{
    char accept[WS_ACCEPT_SIZE];
    char a[WS_KEY_SIZE];
    char b[WS_KEY_SIZE];

    (void)state;
    ws_accept("dGhlIHNhbXBsZSBub25jZQ==", accept);
    assert_string_equal(accept, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    ws_key_new(a);
    ws_key_new(b);
    assert_string_not_equal(a, b);
    assert_int_equal(strlen(a), 24);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_examples),
        cmocka_unit_test(test_violations),
        cmocka_unit_test(test_text_of_any_bytes),
        cmocka_unit_test(test_limit_of_fragments),
        cmocka_unit_test(test_lengths),
        cmocka_unit_test(test_masks_differ),
        cmocka_unit_test(test_close),
        cmocka_unit_test(test_accept),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
