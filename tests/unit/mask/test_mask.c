/* mask: against a naive search, at every cut; the forms; values that come while a stream goes on.
 */
#include "tests/unit/test.h"

#include "base/alloc.h"
#include "base/base64.h"
#include "mask/forms.h"
#include "mask/mask.h"

static void collect(void *arg, const char *data, size_t size)
{
    assert_true(size > 0);
    buf_add(arg, data, size);
}

static void write_to(struct mask_stream *stream, struct buf *out, const char *text)
{
    mask_stream_write(stream, text, strlen(text), collect, out);
}

/* What becomes of a text in pieces of `piece` bytes, the first of `first`; the caller frees. */
static char *masked(struct mask *mask, const char *text, size_t len, size_t first, size_t piece,
                    size_t *ret_len)
{
    struct buf out = BUF_INIT;
    struct mask_stream stream;

    mask_stream_init(&stream, mask);
    for (size_t at = 0, size = first; at < len; at += size, size = piece) {
        if (size > len - at)
            size = len - at;
        mask_stream_write(&stream, text + at, size, collect, &out);
    }
    mask_stream_finish(&stream, collect, &out);
    mask_stream_release(&stream);
    *ret_len = out.len;
    return buf_steal(&out);
}

static void assert_masked(struct mask *mask, const char *text, const char *expected)
{
    CLEANUP_FREE char *whole = mask_text(mask, text);

    assert_string_equal(whole ? whole : text, expected);
    for (size_t piece = 1; piece <= 7; piece++) {
        size_t len;
        CLEANUP_FREE char *out = masked(mask, text, strlen(text), piece, piece, &len);

        assert_string_equal(out, expected);
    }
}

static struct mask *mask_of(const char *const *values)
{
    struct mask *mask = mask_new();

    for (; *values; values++)
        assert_int_equal(mask_add(mask, *values, strlen(*values)), MASK_ADDED);
    return mask;
}

#define MASK_OF(...) mask_of((const char *const[]){__VA_ARGS__, NULL})

static void plain_values(void **state)
{
    struct mask *mask = MASK_OF("hunter2", "p.*w(d", "correct horse");

    (void)state;
    assert_masked(mask, "the password is hunter2.\n", "the password is ***.\n");
    assert_masked(mask, "hunter2hunter2", "***");
    assert_masked(mask, "hunter2 hunter2", "*** ***");
    assert_masked(mask, "hunter hunter1 hunter22", "hunter hunter1 ***2");
    assert_masked(mask, "p.*w(d is no pattern: paw(d, pxxw(d", "*** is no pattern: paw(d, pxxw(d");
    assert_masked(mask, "correct horse, correct hunter2", "***, correct ***");
    assert_masked(mask, "", "");
    assert_null(mask_text(mask, "nothing here"));
    assert_null(mask_text(NULL, "hunter2"));
    mask_free(mask);
}

static void values_within_and_across_values(void **state)
{
    struct mask *mask = MASK_OF("abcdef", "cdef", "bcdeXY", "defgh", "defghijk");

    (void)state;
    assert_masked(mask, "-abcdef-", "-***-");
    assert_masked(mask, "-cdef-", "-***-");
    assert_masked(mask, "-bcdef-", "-b***-");
    assert_masked(mask, "-abcdefgh-", "-***-");
    assert_masked(mask, "-abcdefghijk-", "-***-");
    assert_masked(mask, "-abcdefghij-", "-***ij-");
    assert_masked(mask, "-abcdeXY-", "-a***-");
    assert_masked(mask, "-abcdeX-", "-abcdeX-");
    mask_free(mask);
}

static void short_and_large_values(void **state)
{
    struct mask *mask = mask_new();
    CLEANUP_FREE char *large = xcalloc(1, MASK_VALUE_MAX + 1);

    (void)state;
    assert_int_equal(mask_add(mask, "abc", 3), MASK_TOO_SHORT);
    assert_int_equal(mask_add(mask, "", 0), MASK_TOO_SHORT);
    assert_true(mask_is_empty(mask));
    assert_int_equal(mask_add(mask, "abcd", 4), MASK_ADDED);
    assert_int_equal(mask_add(mask, "abcd", 4), MASK_ADDED);
    assert_false(mask_is_empty(mask));
    assert_masked(mask, "abc abcd", "abc ***");
    memset(large, 'x', MASK_VALUE_MAX + 1);
    assert_int_equal(mask_add(mask, large, MASK_VALUE_MAX + 1), MASK_TOO_LARGE);
    for (int i = 0; i < MASK_TOTAL_MAX / MASK_VALUE_MAX - 1; i++) {
        large[0] = (char)('a' + i);
        assert_int_equal(mask_add(mask, large, MASK_VALUE_MAX), MASK_ADDED);
    }
    large[0] = '-';
    assert_int_equal(mask_add(mask, large, MASK_VALUE_MAX), MASK_TOO_LARGE);
    mask_free(mask);
}

static void values_of_several_lines(void **state)
{
    struct mask *mask = MASK_OF("first line\n  second line\r\nx\nthe last\n");
    struct mask *shorts = MASK_OF("ab\ncd\nef");

    (void)state;
    assert_masked(mask, "> first line\n  second line\r\nx\nthe last\nend", "> ***end");
    assert_masked(mask, "> first line\n  second line\r\nx\nthe last", "> ***");
    assert_masked(mask, "1 first line\n2 second line\n3 x\n4 the last\n",
                  "1 ***\n2 ***\n3 x\n4 ***\n");
    assert_masked(shorts, "ab\ncd\nef\n", "***\n");
    assert_masked(shorts, "ab\ncd\neg\n", "ab\ncd\neg\n");
    mask_free(mask);
    mask_free(shorts);
}

static void binary_values(void **state)
{
    static const char value[] = "\0\xff\n\0\x80";
    static const char text[] = "a\0\0\xff\n\0\x80z";
    struct mask *mask = mask_new();

    (void)state;
    assert_int_equal(mask_add(mask, value, 5), MASK_ADDED);
    for (size_t piece = 1; piece < sizeof(text); piece++) {
        size_t len;
        CLEANUP_FREE char *out = masked(mask, text, sizeof(text) - 1, piece, 1, &len);

        assert_int_equal(len, 6);
        assert_memory_equal(out, "a\0***z", 6);
    }
    mask_free(mask);
}

/* However it lies in what is encoded, nothing remains but characters that other bytes share. */
static void base64_anywhere(void **state)
{
    static const char secret[] = "s3cr3t-V\xc3\xa4lue?\xfe?>>~~";

    (void)state;
    for (size_t len = MASK_VALUE_MIN; len < sizeof(secret); len++) {
        struct mask *mask = mask_new();

        assert_int_equal(mask_add(mask, secret, len), MASK_ADDED);
        for (size_t before = 0; before < 7; before++) {
            for (size_t after = 0; after < 4; after++) {
                CLEANUP_BUF struct buf plain = BUF_INIT;
                size_t known = (before + len) * 8 / 6 - (before * 8 + 5) / 6;

                buf_add(&plain, "user:xy", before);
                buf_add(&plain, secret, len);
                buf_add(&plain, "!\n..", after);
                for (int i = 0; i < 2; i++) {
                    CLEANUP_BUF struct buf encoded = BUF_INIT;
                    CLEANUP_FREE char *out = NULL;

                    (i ? base64_encode : base64url_encode)(&encoded, plain.data, plain.len);
                    out = mask_text(mask, encoded.data);
                    assert_non_null(out);
                    assert_int_equal(strlen(out), encoded.len - known + strlen(MASK_TEXT));
                }
            }
        }
        mask_free(mask);
    }
}

static void other_forms(void **state)
{
    struct mask *mask = MASK_OF("a b/c+d&'e\"\\\n<\xc3\xa4\xf0\x9f\x98\x80>~(!)*");

    (void)state;
    /* Python: quote(safe=''), quote(), quote_plus(); JavaScript: encodeURIComponent(). */
    assert_masked(mask, "[a%20b%2Fc%2Bd%26%27e%22%5C%0A%3C%C3%A4%F0%9F%98%80%3E~%28%21%29%2A]",
                  "[***]");
    assert_masked(mask, "[a%20b%2fc%2bd%26%27e%22%5c%0a%3c%c3%a4%f0%9f%98%80%3e~%28%21%29%2a]",
                  "[***]");
    assert_masked(mask, "[a%20b/c%2Bd%26%27e%22%5C%0A%3C%C3%A4%F0%9F%98%80%3E~%28%21%29%2A]",
                  "[***]");
    assert_masked(mask, "[a+b%2Fc%2Bd%26%27e%22%5C%0A%3C%C3%A4%F0%9F%98%80%3E~%28%21%29%2A]",
                  "[***]");
    assert_masked(mask, "[a%20b%2Fc%2Bd%26'e%22%5C%0A%3C%C3%A4%F0%9F%98%80%3E~(!)*]", "[***]");
    /* json.dumps(ensure_ascii=False), json.dumps(), PHP's json_encode() of slashes, Go. */
    assert_masked(mask, "[a b/c+d&'e\\\"\\\\\\n<\xc3\xa4\xf0\x9f\x98\x80>~(!)*]", "[***]");
    assert_masked(mask, "[a b/c+d&'e\\\"\\\\\\n<\\u00e4\\ud83d\\ude00>~(!)*]", "[***]");
    assert_masked(mask, "[a b\\/c+d&'e\\\"\\\\\\n<\xc3\xa4\xf0\x9f\x98\x80>~(!)*]", "[***]");
    assert_masked(mask, "[a b/c+d\\u0026'e\\\"\\\\\\n\\u003c\xc3\xa4\xf0\x9f\x98\x80\\u003e~(!)*]",
                  "[***]");
    mask_free(mask);
    mask = MASK_OF("it's me");
    assert_masked(mask, "+ echo 'it'\\''s me' 'it'\"'\"'s me'", "+ echo '***' '***'");
    mask_free(mask);
}

static void wrapped_base64(void **state)
{
    char secret[200];
    struct mask *mask = mask_new();
    CLEANUP_BUF struct buf encoded = BUF_INIT;
    const size_t widths[] = {76, 64};

    (void)state;
    for (size_t i = 0; i < sizeof(secret); i++)
        secret[i] = (char)(i * 37 + 11);
    assert_int_equal(mask_add(mask, secret, sizeof(secret)), MASK_ADDED);
    base64_encode(&encoded, secret, sizeof(secret));
    for (size_t i = 0; i < 2; i++) {
        CLEANUP_BUF struct buf text = BUF_INIT;
        CLEANUP_BUF struct buf expected = BUF_INIT;

        for (size_t at = 0; at < encoded.len; at += widths[i]) {
            buf_addf(&text, "%.*s\n", (int)widths[i], encoded.data + at);
            buf_addf(&expected, "%s\n", at + widths[i] < encoded.len ? "***" : "***c=");
        }
        /* The last character but the padding has bits of the value and zeroes. */
        expected.data[expected.len - 3] = text.data[text.len - 3];
        assert_masked(mask, text.data, expected.data);
    }
    mask_free(mask);
}

static void short_last_line(void **state)
{
    /* Of 80 characters of base64. */
    static const char secret[] = "a secret that leaves four characters to the second line, 60.";
    struct mask *mask = mask_new();
    CLEANUP_BUF struct buf encoded = BUF_INIT;
    CLEANUP_BUF struct buf text = BUF_INIT;
    CLEANUP_BUF struct buf expected = BUF_INIT;

    (void)state;
    assert_int_equal(mask_add(mask, secret, sizeof(secret) - 1), MASK_ADDED);
    base64_encode(&encoded, secret, sizeof(secret) - 1);
    assert_int_equal(encoded.len, 80);
    buf_addf(&text, "%.76s\n%s\n", encoded.data, encoded.data + 76);
    buf_addf(&expected, "***\n%s\n", encoded.data + 76);
    assert_masked(mask, text.data, expected.data);
    mask_free(mask);
}

static void passwords_of_urls(void **state)
{
    struct mask *mask = mask_new();

    (void)state;
    mask_add_url(mask, "host");
    mask_add_url(mask, "ssh://user@host:2222/path");
    mask_add_url(mask, "ssh://user:abc@host");
    assert_true(mask_is_empty(mask));
    mask_add_url(mask, "ssh://user:p%40ss/w0rd@host:22?x=a:b@c");
    assert_masked(mask, "p@ss/w0rd p%40ss/w0rd user host", "*** *** user host");
    mask_free(mask);
}

/* --- against a naive search --- */

struct form_list {
    VEC(struct buf)
    items;
};

static void add_form(void *arg, const char *form, size_t len)
{
    struct form_list *list = arg;
    struct buf copy = BUF_INIT;

    buf_add(&copy, form, len);
    vec_push(&list->items, copy);
}

static void mark(const struct form_list *forms, const char *text, size_t len, bool *covered)
{
    vec_foreach (const struct buf *, form, &forms->items) {
        for (size_t at = 0; at + form->len <= len; at++) {
            if (memcmp(text + at, form->data, form->len) == 0)
                memset(covered + at, true, form->len);
        }
    }
}

static void naive(const struct form_list *forms, const char *text, size_t len, struct buf *out)
{
    bool *covered = calloc(len + 1, sizeof(*covered));

    mark(forms, text, len, covered);
    for (size_t i = 0; i < len; i++) {
        if (!covered[i])
            buf_addch(out, text[i]);
        else if (i == 0 || !covered[i - 1])
            buf_addstr(out, MASK_TEXT);
    }
    free(covered);
}

/* The longest ending of the text that is the beginning of a form, and not all of one. */
static size_t undecided(const struct form_list *forms, const char *text, size_t len)
{
    size_t longest = 0;

    vec_foreach (const struct buf *, form, &forms->items) {
        for (size_t n = form->len - 1 < len ? form->len - 1 : len; n > longest; n--) {
            if (memcmp(text + len - n, form->data, n) == 0)
                longest = n;
        }
    }
    return longest;
}

static size_t random_text(unsigned *seed, char *to, size_t most, const char *letters)
{
    size_t len = (size_t)rand_r(seed) % (most + 1);

    for (size_t i = 0; i < len; i++)
        to[i] = letters[(size_t)rand_r(seed) % strlen(letters)];
    return len;
}

/* Texts in which values and parts of them are frequent. */
static size_t random_output(unsigned *seed, char *to, size_t most, const struct form_list *forms,
                            const char *letters)
{
    size_t len = 0;

    while (len + 40 < most) {
        const struct buf *form = &forms->items.items[(size_t)rand_r(seed) % forms->items.len];
        size_t from = (size_t)rand_r(seed) % form->len;
        size_t size = rand_r(seed) % 2 ? form->len : (size_t)rand_r(seed) % (form->len + 1);

        if (rand_r(seed) % 2)
            from = 0;
        if (size > form->len - from)
            size = form->len - from;
        if (size > most - len - 20)
            break;
        memcpy(to + len, form->data + from, size);
        len += size;
        len += random_text(seed, to + len, 12, letters);
    }
    return len;
}

static void same_as_naive_at_every_cut(void **state)
{
    static const char *const alphabets[] = {"ab", "abc\n", "aA1/ \n", "\x01\xff\xc3\xa4z"};
    unsigned seed = 7;

    (void)state;
    for (int round = 0; round < 400; round++) {
        const char *letters = alphabets[round % 4];
        struct mask *mask = mask_new();
        struct form_list forms = {0};
        CLEANUP_BUF struct buf expected = BUF_INIT;
        char text[500];
        size_t len;

        while (forms.items.len == 0 || rand_r(&seed) % 4) {
            char value[24];

            len = random_text(&seed, value, sizeof(value), letters);
            if (mask_add(mask, value, len) == MASK_ADDED)
                mask_forms(value, len, MASK_VALUE_MIN, add_form, &forms);
        }
        len = random_output(&seed, text, round % 10 ? 120 : sizeof(text), &forms, letters);
        naive(&forms, text, len, &expected);
        for (size_t cut = 1; cut <= len; cut++) {
            size_t pieces[] = {len, 1, (size_t)rand_r(&seed) % 9 + 1};

            for (size_t i = 0; i < 3; i++) {
                size_t got_len;
                CLEANUP_FREE char *got = masked(mask, text, len, cut, pieces[i], &got_len);

                assert_int_equal(got_len, expected.len);
                assert_memory_equal(got, expected.data, got_len);
            }
        }
        vec_foreach (struct buf *, form, &forms.items)
            buf_release(form);
        vec_release(&forms.items);
        mask_free(mask);
    }
}

static void no_more_is_held_than_must_be(void **state)
{
    struct mask *mask = MASK_OF("abcabcabd", "secret\nlines");
    static const char text[] = "abcabcabcabd abcab sec secr secret\nline secret\nlines ab";
    struct form_list forms = {0};
    struct mask_stream stream;
    CLEANUP_BUF struct buf out = BUF_INIT;

    (void)state;
    mask_forms("abcabcabd", 9, MASK_VALUE_MIN, add_form, &forms);
    mask_forms("secret\nlines", 12, MASK_VALUE_MIN, add_form, &forms);
    mask_stream_init(&stream, mask);
    for (size_t i = 0; i < sizeof(text) - 1; i++) {
        mask_stream_write(&stream, text + i, 1, collect, &out);
        assert_int_equal(stream.held.len, undecided(&forms, text, i + 1));
    }
    mask_stream_finish(&stream, collect, &out);
    mask_stream_release(&stream);
    assert_string_equal(out.data, "abc*** abcab sec secr ***\nline *** ab");
    vec_foreach (struct buf *, form, &forms.items)
        buf_release(form);
    vec_release(&forms.items);
    mask_free(mask);
}

static void values_may_come_later(void **state)
{
    struct mask *mask = mask_new();
    struct mask_stream stream;
    CLEANUP_BUF struct buf out = BUF_INIT;

    (void)state;
    mask_stream_init(&stream, mask);
    write_to(&stream, &out, "token-1 token-2 ");
    assert_string_equal(out.data, "token-1 token-2 ");
    mask_add(mask, "token-1x", 8);
    write_to(&stream, &out, "token-1x token-");
    assert_string_equal(out.data, "token-1 token-2 *** ");
    mask_add(mask, "token-2", 7);
    write_to(&stream, &out, "2 token-1");
    mask_add(mask, "n-1x-and-more", 13);
    write_to(&stream, &out, "x-and-more. ");
    assert_string_equal(out.data, "token-1 token-2 *** *** ***. ");
    mask_add(mask, "abcdef", 6);
    mask_add(mask, "def123", 6);
    write_to(&stream, &out, "abcdef1");
    assert_int_equal(stream.held.len, 4);
    mask_add(mask, "another", 7);
    /* Covered together with what has gone: it stays so. */
    write_to(&stream, &out, "x");
    mask_stream_finish(&stream, collect, &out);
    mask_stream_release(&stream);
    assert_string_equal(out.data, "token-1 token-2 *** *** ***. ***1x");
    mask_free(mask);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_values),
        cmocka_unit_test(values_within_and_across_values),
        cmocka_unit_test(short_and_large_values),
        cmocka_unit_test(values_of_several_lines),
        cmocka_unit_test(binary_values),
        cmocka_unit_test(base64_anywhere),
        cmocka_unit_test(other_forms),
        cmocka_unit_test(wrapped_base64),
        cmocka_unit_test(short_last_line),
        cmocka_unit_test(passwords_of_urls),
        cmocka_unit_test(same_as_naive_at_every_cut),
        cmocka_unit_test(no_more_is_held_than_must_be),
        cmocka_unit_test(values_may_come_later),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
