/* buf, vec, map, base64, utf8, err */
#include "tests/unit/test.h"

#include <errno.h>

#include "base/base64.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/json_text.h"
#include "base/map.h"
#include "base/utf8.h"
#include "base/vec.h"

static void buf_grows_and_is_terminated(void **state)
{
    CLEANUP_BUF struct buf b = BUF_INIT;

    (void)state;
    assert_string_equal(b.data, "");
    for (int i = 0; i < 1000; i++)
        buf_addf(&b, "%d,", i);
    assert_int_equal(b.len, 3890);
    assert_int_equal(b.data[b.len], 0);
    buf_consume(&b, 2);
    assert_memory_equal(b.data, "1,2,3,", 6);
    buf_truncate(&b, 5);
    assert_string_equal(b.data, "1,2,3");
    buf_reset(&b);
    assert_string_equal(b.data, "");
}

static void buf_keeps_nul_bytes(void **state)
{
    CLEANUP_BUF struct buf b = BUF_INIT;

    (void)state;
    buf_add(&b, "a\0b", 3);
    buf_addch(&b, '\0');
    assert_int_equal(b.len, 4);
    assert_memory_equal(b.data, "a\0b\0", 5);
}

static void buf_steal_leaves_an_empty_one(void **state)
{
    struct buf b = BUF_INIT;
    char *s = buf_steal(&b);

    (void)state;
    assert_string_equal(s, "");
    free(s);
    buf_addstr(&b, "x");
    s = buf_steal(&b);
    assert_string_equal(s, "x");
    assert_int_equal(b.len, 0);
    free(s);
}

static void strvec_is_an_argv(void **state)
{
    CLEANUP_STRVEC struct strvec v = {0};

    (void)state;
    for (int i = 0; i < 20; i++)
        strvec_pushf(&v, "%d", i);
    assert_int_equal(v.len, 20);
    assert_string_equal(v.items[19], "19");
    assert_null(v.items[20]);
}

/* The order of insertion and the values must hold on both sides of the size where the map changes
 * from searching to hashing, and through removals. */
static void map_keeps_order_and_values(void **state)
{
    (void)state;
    for (unsigned count = 1; count < 100; count += 7) {
        CLEANUP_STRMAP struct strmap m = {0};
        char key[16];
        unsigned n = 0;

        for (unsigned i = 0; i < count; i++) {
            snprintf(key, sizeof(key), "k%u", i);
            strmap_setf(&m, key, "%u", i * 3);
        }
        strmap_set(&m, "k0", "again");
        assert_int_equal(m.len, count);
        assert_string_equal(strmap_get(&m, "k0"), "again");
        for (unsigned i = 0; i < count; i += 2) {
            snprintf(key, sizeof(key), "k%u", i);
            assert_true(strmap_remove(&m, key));
            assert_false(strmap_remove(&m, key));
            assert_null(strmap_get(&m, key));
        }
        strmap_foreach (it, &m) {
            snprintf(key, sizeof(key), "k%u", 2 * n + 1);
            assert_string_equal(it->key, key);
            assert_string_equal(strmap_get(&m, key), it->value);
            n++;
        }
        assert_int_equal(n, count / 2);
    }
}

static void base64_vectors(void **state)
{
    /* RFC 4648, section 10 */
    static const char *const vectors[][2] = {{"", ""},
                                             {"f", "Zg=="},
                                             {"fo", "Zm8="},
                                             {"foo", "Zm9v"},
                                             {"foob", "Zm9vYg=="},
                                             {"fooba", "Zm9vYmE="},
                                             {"foobar", "Zm9vYmFy"}};

    (void)state;
    for (size_t i = 0; i < sizeof(vectors) / sizeof(*vectors); i++) {
        CLEANUP_BUF struct buf encoded = BUF_INIT;
        CLEANUP_BUF struct buf decoded = BUF_INIT;

        base64_encode(&encoded, vectors[i][0], strlen(vectors[i][0]));
        assert_string_equal(encoded.data, vectors[i][1]);
        assert_int_equal(base64_decode(&decoded, vectors[i][1], NULL), 0);
        assert_string_equal(decoded.data, vectors[i][0]);
    }
}

static void base64_url_alphabet_and_errors(void **state)
{
    CLEANUP_BUF struct buf out = BUF_INIT;
    struct err err = ERR_INIT;

    (void)state;
    base64url_encode(&out, "\xfb\xff\xfe", 3);
    assert_string_equal(out.data, "-__-");
    assert_int_equal(base64_decode(&out, "ab!d", &err), -1);
    assert_string_equal(err.message, "not base64: character 3 is not of the alphabet");
    assert_int_equal(base64_decode(&out, "abcde", &err), -1);
    assert_string_equal(err.message, "not base64: it ends in the middle of a byte");
}

static void utf8_makes_visible(void **state)
{
    CLEANUP_BUF struct buf out = BUF_INIT;

    (void)state;
    utf8_add_visible(&out, "a\nb\t\x1b[31m\x7f \xc2\x9b \xff\xc3 \xc3\xa9\xf0\x9f\x98\x80\xc2\xa0");
    assert_string_equal(out.data, "a\\nb\\x09\\x1b[31m\\x7f \\xc2\\x9b \\xff\\xc3 "
                                  "\xc3\xa9\xf0\x9f\x98\x80\xc2\xa0");
}

static void utf8_accepts_and_rejects(void **state)
{
    static const char *const good[] = {"",
                                       "abc",
                                       "\xc3\xa9",
                                       "\xe2\x82\xac",
                                       "\xf0\x9f\x98\x80",
                                       "\xf4\x8f\xbf\xbf",
                                       "\xed\x9f\xbf"};
    static const char *const bad[] = {"\x80",
                                      "\xc0\xaf",
                                      "\xc3",
                                      "\xe0\x9f\xbf",
                                      "\xed\xa0\x80",
                                      "\xf4\x90\x80\x80",
                                      "\xf5\x80\x80\x80",
                                      "\xe2\x82",
                                      "\xff"};

    (void)state;
    for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++)
        assert_true(utf8_valid(good[i], strlen(good[i])));
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
        assert_false(utf8_valid(bad[i], strlen(bad[i])));
    assert_int_equal(utf8_valid_prefix("ab\xe2\x82", 4), 2);
}

/* Whatever names and peers bring along. */
static void errors_are_one_line(void **state)
{
    struct err err = ERR_INIT;

    (void)state;
    assert_int_equal(err_set(&err, ERR_INVALID, "no \"%s\"",
                             "a\nb\x1b[2J\x7f\r\tä\xc2\x9b"
                             "2J\xc2\xa0\xc2"),
                     -1);
    assert_string_equal(err.message, "no \"a?b?[2J???ä??2J\xc2\xa0\xc2\"");
    errno = ENOENT;
    assert_int_equal(err_errno(&err, "%s", "a\nb"), -1);
    assert_string_equal(err.message, "a?b: No such file or directory");
    assert_int_equal(err_wrap(&err, "%s", "c\nd"), -1);
    assert_string_equal(err.message, "c?d: a?b: No such file or directory");
}

static void json_strings_are_as_jansson_reads_them(void **state)
{
    char all[128];
    CLEANUP_BUF struct buf b = BUF_INIT;
    json_t *read;

    (void)state;
    for (int i = 0; i < 128; i++)
        all[i] = (char)i;
    json_write_string(&b, all, sizeof(all));
    read = json_loadb(b.data, b.len, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
    assert_non_null(read);
    assert_int_equal(json_string_length(read), sizeof(all));
    assert_memory_equal(json_string_value(read), all, sizeof(all));
    json_decref(read);
    buf_reset(&b);
    json_write_string(&b, "\n\"\\/\x1b\x7f \xc3\xa4\xff", 10);
    assert_string_equal(b.data, "\"\\n\\\"\\\\/\\u001b\\u007f \xc3\xa4\xef\xbf\xbd\"");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(buf_grows_and_is_terminated),
        cmocka_unit_test(buf_keeps_nul_bytes),
        cmocka_unit_test(buf_steal_leaves_an_empty_one),
        cmocka_unit_test(strvec_is_an_argv),
        cmocka_unit_test(map_keeps_order_and_values),
        cmocka_unit_test(base64_vectors),
        cmocka_unit_test(base64_url_alphabet_and_errors),
        cmocka_unit_test(json_strings_are_as_jansson_reads_them),
        cmocka_unit_test(utf8_makes_visible),
        cmocka_unit_test(errors_are_one_line),
        cmocka_unit_test(utf8_accepts_and_rejects),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
