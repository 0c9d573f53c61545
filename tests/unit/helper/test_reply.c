/* What the helper writes behind the output, taken apart. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "helper/reply.h"

enum { MAX_BYTES = 10 };

static int collect(void *arg, const char *data, size_t len, struct err *err)
{
    (void)err;
    buf_add(arg, data, len);
    return 0;
}

/* `$` in text stands for the mark. */
static void spell(const struct helper_reply *reply, const char *text, size_t len, struct buf *ret)
{
    for (; len > 0; text++, len--) {
        if (*text == '$')
            buf_addstr(ret, reply->mark);
        else
            buf_addch(ret, *text);
    }
}

/* In pieces of at most `piece` bytes; what is output goes to `ret`. */
static int feed(struct helper_reply *reply, enum helper_stream stream, const char *text, size_t len,
                size_t piece, struct buf *ret, struct err *err)
{
    CLEANUP_BUF struct buf input = BUF_INIT;

    spell(reply, text, len, &input);
    for (size_t at = 0; at < input.len; at += piece) {
        size_t size = input.len - at < piece ? input.len - at : piece;

        if (helper_reply_feed(reply, stream, input.data + at, size, collect, ret, err) < 0)
            return -1;
    }
    return 0;
}

#define PIECES_MAX 80

static void assert_output(const char *text, const char *output, int code)
{
    for (size_t piece = 1; piece <= PIECES_MAX; piece++) {
        CLEANUP_BUF struct buf got = BUF_INIT;
        struct helper_reply reply;
        struct err err = ERR_INIT;

        helper_reply_init(&reply);
        assert_int_equal(0, feed(&reply, HELPER_STDERR, text, strlen(text), piece, &got, &err));
        assert_string_equal(got.data, output);
        assert_int_equal(reply.scans[HELPER_STDERR].done, code >= 0);
        if (code >= 0)
            assert_int_equal(reply.scans[HELPER_STDERR].code, code);
        helper_reply_release(&reply);
    }
}

static void finds_the_mark_in_any_pieces(void **state)
{
    (void)state;
    assert_output("$ 000\n", "", 0);
    assert_output("out\n$ 137\n", "out\n", 137);
    assert_output("no newline$ 003\n", "no newline", 3);
    assert_output("a\x1e"
                  "b\x1e\x1e$ 001\n",
                  "a\x1e"
                  "b\x1e\x1e",
                  1);
    assert_output("not yet", "not yet", -1);
}

static void gives_back_what_only_begins_like_the_mark(void **state)
{
    (void)state;
    for (size_t len = 1; len < HELPER_MARK_SIZE - 1; len++) {
        for (size_t piece = 1; piece <= PIECES_MAX; piece++) {
            CLEANUP_BUF struct buf got = BUF_INIT;
            CLEANUP_BUF struct buf begun = BUF_INIT;
            struct helper_reply reply;

            helper_reply_init(&reply);
            buf_add(&begun, reply.mark, len);
            buf_addstr(&begun, "$ 007\n");
            assert_int_equal(0,
                             feed(&reply, HELPER_STDOUT, begun.data, begun.len, piece, &got, NULL));
            assert_int_equal(got.len, len);
            assert_memory_equal(got.data, reply.mark, len);
            assert_true(reply.scans[HELPER_STDOUT].done);
            helper_reply_release(&reply);
        }
    }
}

static void reads_files_in_any_pieces(void **state)
{
    static const char text[] = "out$D\3\0\0\0a$\0D\2\0\0\0b\nEwEuD\12\0\0\0"
                               "0123456789Et 003\n";

    (void)state;
    for (size_t piece = 1; piece <= PIECES_MAX; piece++) {
        CLEANUP_BUF struct buf got = BUF_INIT;
        CLEANUP_BUF struct buf end = BUF_INIT;
        struct helper_reply reply;
        struct err err = ERR_INIT;
        const struct helper_file *files;

        helper_reply_init(&reply);
        for (int i = 0; i < 3; i++)
            helper_reply_expect(&reply, MAX_BYTES + 33);
        /* The mark inside of a file is a part of that. */
        buf_add(&end, text, sizeof(text) - 1);
        *strstr(end.data, "\3") = 2 + HELPER_MARK_SIZE - 1;
        assert_int_equal(0, feed(&reply, HELPER_STDOUT, end.data, end.len, piece, &got, &err));
        assert_string_equal(got.data, "out");
        assert_true(reply.scans[HELPER_STDOUT].done);
        assert_false(helper_reply_done(&reply));
        assert_int_equal(0, feed(&reply, HELPER_STDERR, "$ 003\n", 6, piece, &got, &err));
        assert_true(helper_reply_done(&reply));
        assert_int_equal(helper_reply_code(&reply), 3);
        files = reply.files.items;
        assert_int_equal(files[0].state, HELPER_WHOLE);
        assert_int_equal(files[0].data.len, 2 + HELPER_MARK_SIZE - 1 + 2);
        assert_memory_equal(files[0].data.data + 1, reply.mark, HELPER_MARK_SIZE - 1);
        assert_memory_equal(files[0].data.data + HELPER_MARK_SIZE, "\0b\n", 3);
        assert_int_equal(files[1].state, HELPER_UNREADABLE);
        assert_int_equal(files[1].data.len, 0);
        assert_int_equal(files[2].state, HELPER_TRUNCATED);
        assert_string_equal(files[2].data.data, "0123456789");
        helper_reply_release(&reply);
    }
}

static void note_change(void *arg, size_t number, enum helper_returned state, const char *data,
                        size_t size)
{
    struct buf *got = arg;

    buf_addf(got, "<%zu%c", number, (char)state);
    buf_add(got, data, size);
    buf_addch(got, '>');
}

static void changes_come_in_front_of_what_follows(void **state)
{
    static const char text[] = "one\n$C\1D\2\0\0\0abD\3\0\0\0c$\0Ewtwo$C\0Et$C\1Ewthree\n$ 003\n";

    (void)state;
    for (size_t piece = 1; piece <= PIECES_MAX; piece++) {
        CLEANUP_BUF struct buf got = BUF_INIT;
        CLEANUP_BUF struct buf input = BUF_INIT;
        CLEANUP_BUF struct buf wanted = BUF_INIT;
        struct helper_reply reply;
        struct err err = ERR_INIT;

        helper_reply_init(&reply);
        reply.changed = note_change;
        reply.changed_arg = &got;
        helper_reply_expect(&reply, MAX_BYTES);
        helper_reply_expect(&reply, MAX_BYTES + HELPER_MARK_SIZE);
        buf_add(&input, text, sizeof(text) - 1);
        *(char *)memchr(input.data, '\3', input.len) = 2 + HELPER_MARK_SIZE - 1;
        assert_int_equal(0, feed(&reply, HELPER_STDERR, input.data, input.len, piece, &got, &err));
        buf_addf(&wanted, "one\n<1wabc%s", reply.mark);
        buf_add(&wanted, "\0>two<0t><1w>three\n", 19);
        assert_int_equal(got.len, wanted.len);
        assert_memory_equal(got.data, wanted.data, wanted.len);
        assert_true(reply.scans[HELPER_STDERR].done);
        assert_int_equal(reply.scans[HELPER_STDERR].code, 3);
        /* They are not what the files hold at the end. */
        assert_int_equal(reply.files.items[1].data.len, 0);
        helper_reply_release(&reply);
    }
}

static void refuses_what_does_not_belong_there(void **state)
{
    static const struct {
        const char *text;
        size_t len;
        enum helper_stream stream;
    } cases[] = {
#define CASE(text, stream) {text, sizeof(text) - 1, stream}
        CASE("$nonsense\n", HELPER_STDOUT),
        CASE("$Ew 00x\n", HELPER_STDOUT),
        CASE("$Ew 0000000\n", HELPER_STDOUT),
        CASE("$Ew 000x\n", HELPER_STDOUT),
        CASE("$Ew t\n", HELPER_STDOUT),
        CASE("$Ew 000tt\n", HELPER_STDOUT),
        CASE("$Ew 000\nmore", HELPER_STDOUT),
        CASE("$ 000\n", HELPER_STDOUT),     /* a file is missing */
        CASE("$EwEw 000\n", HELPER_STDOUT), /* one too many */
        CASE("$Ex 000\n", HELPER_STDOUT),   /* no such state */
        CASE("$D\13\0\0\0"
             "0123456789a",
             HELPER_STDOUT), /* more than was asked for */
        CASE("$D\5\0\0\0"
             "01234D\6\0\0\0"
             "567890Ew 000\n",
             HELPER_STDOUT),
        CASE("$D\377\377\377\377", HELPER_STDOUT),
        CASE("$Ew 000\n", HELPER_STDERR), /* files come on standard output only */
        CASE("$D\1\0\0\0aEw 000\n", HELPER_STDERR),
        CASE("$C\1Ew", HELPER_STDOUT), /* no such file */
        CASE("$C\0D\13\0\0\0", HELPER_STDOUT),
        CASE("$C\0C\0", HELPER_STDOUT),
        CASE("$C\0 000\n", HELPER_STDOUT),
        CASE("$EwC\0", HELPER_STDOUT), /* the end has begun */
#undef CASE
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        CLEANUP_BUF struct buf got = BUF_INIT;
        struct helper_reply reply;
        struct err err = ERR_INIT;

        helper_reply_init(&reply);
        helper_reply_expect(&reply, MAX_BYTES);
        assert_int_equal(-1,
                         feed(&reply, cases[i].stream, cases[i].text, cases[i].len, 1, &got, &err));
        assert_int_equal(err.code, ERR_PROTOCOL);
        assert_string_equal(err.message, "the helper in the container is confused");
        assert_string_equal(got.data, "");
        helper_reply_release(&reply);
    }
}

static void a_mark_that_is_cut_off_is_no_output(void **state)
{
    (void)state;
    for (size_t len = 1; len < HELPER_MARK_SIZE - 1; len++) {
        CLEANUP_BUF struct buf got = BUF_INIT;
        struct helper_reply reply;

        helper_reply_init(&reply);
        assert_int_equal(0, helper_reply_feed(&reply, HELPER_STDOUT, reply.mark, len, collect, &got,
                                              NULL));
        assert_int_equal(0, helper_reply_flush(&reply, HELPER_STDOUT, collect, &got, NULL));
        /* Its first byte alone is more likely to be the program's. */
        assert_int_equal(got.len, len == 1 ? 1 : 0);
        helper_reply_release(&reply);
    }
}

static void tells_what_timed_out(void **state)
{
    (void)state;
    for (size_t piece = 1; piece <= PIECES_MAX; piece++) {
        CLEANUP_BUF struct buf got = BUF_INIT;
        struct helper_reply reply;

        helper_reply_init(&reply);
        assert_int_equal(0, feed(&reply, HELPER_STDOUT, "a$ 143t\n", 8, piece, &got, NULL));
        assert_int_equal(0, feed(&reply, HELPER_STDERR, "$ 143t\n", 7, piece, &got, NULL));
        assert_true(helper_reply_done(&reply));
        assert_true(helper_reply_timed_out(&reply));
        assert_int_equal(helper_reply_code(&reply), 143);
        assert_string_equal(got.data, "a");
        helper_reply_release(&reply);
    }
}

static void tells_what_had_no_memory(void **state)
{
    static const struct {
        const char *end;
        bool timed_out, out_of_memory;
    } cases[] = {{"$ 137o\n", false, true}, {"$ 137to\n", true, true}, {"$ 137\n", false, false}};

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        CLEANUP_BUF struct buf got = BUF_INIT;
        const char *end = cases[i].end;
        struct helper_reply reply;

        helper_reply_init(&reply);
        assert_int_equal(0, feed(&reply, HELPER_STDOUT, end, strlen(end), 1, &got, NULL));
        assert_int_equal(0, feed(&reply, HELPER_STDERR, end, strlen(end), 1, &got, NULL));
        assert_true(helper_reply_done(&reply));
        assert_int_equal(helper_reply_timed_out(&reply), cases[i].timed_out);
        assert_int_equal(helper_reply_out_of_memory(&reply), cases[i].out_of_memory);
        assert_int_equal(helper_reply_code(&reply), 137);
        helper_reply_release(&reply);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_the_mark_in_any_pieces),
        cmocka_unit_test(gives_back_what_only_begins_like_the_mark),
        cmocka_unit_test(reads_files_in_any_pieces),
        cmocka_unit_test(changes_come_in_front_of_what_follows),
        cmocka_unit_test(refuses_what_does_not_belong_there),
        cmocka_unit_test(a_mark_that_is_cut_off_is_no_output),
        cmocka_unit_test(tells_what_timed_out),
        cmocka_unit_test(tells_what_had_no_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
