/* What an engine URL names. */
#include "tests/unit/test.h"

#include "base/buf.h"
#include "base/remote_url.h"

static void the_parts_of_a_url(void **state)
{
    CLEANUP_REMOTE_URL struct remote_url url = {0};
    struct err err = ERR_INIT;

    (void)state;
    assert_int_equal(
        remote_url_parse("a%40b:se/c@r%2Fet@h.example:8838/a/b?ca=%2Fx%20y&insecure=true", &url,
                         &err),
        0);
    assert_string_equal(url.user, "a@b");
    assert_string_equal(url.password, "se/c@r/et");
    assert_string_equal(url.host, "h.example");
    assert_int_equal(url.port, 8838);
    assert_string_equal(url.path, "/a/b");
    assert_string_equal(strmap_get(&url.query, "ca"), "/x y");
    assert_string_equal(strmap_get(&url.query, "insecure"), "true");
}

static void what_is_not_said_is_null(void **state)
{
    CLEANUP_REMOTE_URL struct remote_url url = {0};
    CLEANUP_REMOTE_URL struct remote_url six = {0};
    struct err err = ERR_INIT;

    (void)state;
    assert_int_equal(remote_url_parse("h", &url, &err), 0);
    assert_null(url.user);
    assert_null(url.password);
    assert_null(url.path);
    assert_string_equal(url.host, "h");
    assert_int_equal(url.port, 0);
    assert_null(strmap_get(&url.query, "a"));
    assert_int_equal(remote_url_parse("u@[::1]:22", &six, &err), 0);
    assert_string_equal(six.user, "u");
    assert_null(six.password);
    assert_string_equal(six.host, "::1");
    assert_int_equal(six.port, 22);
}

static void wrong_ones_are_refused_without_their_login(void **state)
{
    static const char *const wrong[][2] = {
        {"", "the URL names no host"},
        {"me:hush@", "the URL names no host"},
        {"me:hush@:1", "the URL names no host"},
        {"me:hush@h:", "the port of the URL must be a number from 1 to 65535"},
        {"me:hush@h:0", "the port of the URL must be a number from 1 to 65535"},
        {"me:hush@h:65536", "the port of the URL must be a number from 1 to 65535"},
        {"me:hush@h:x", "the port of the URL must be a number from 1 to 65535"},
        {"me:hush@[::1", "an IPv6 address in a URL is written [ADDRESS]:PORT"},
        {"me:hush@[::1]x:1", "an IPv6 address in a URL is written [ADDRESS]:PORT"},
        {"me:hush@[]:1", "the URL names no host"},
        {"me:hush@a b", "the host of the URL holds a character that no host has"},
        {"me:hush@-h", "the host of the URL holds a character that no host has"},
        {"me:hush@[-h]", "the host of the URL holds a character that no host has"},
        {"me:hush@a\x7f", "the host of the URL holds a character that no host has"},
        {"me:hush@::1", "an IPv6 address in a URL is written [ADDRESS]:PORT"},
        {"me:hush@fe80::1:22", "an IPv6 address in a URL is written [ADDRESS]:PORT"},
        {"me:hush@h#x", "a # in the URL is written %23"},
        {"me:hush@h/a#x", "a # in the URL is written %23"},
        {"h?passphrase=hu&sh", "a part of the query has no value; an & of one is written %26"},
        {"h?passphrase=hu&sh=", "a part of the query has no value; an & of one is written %26"},
        {"h?passphrase=hu&=sh", "a part of the query has no name; an & of a value is written %26"},
        {"h?ca=hush&ca=hush", "the URL gives \"ca\" twice"},
        {"h?ca=hu&S3cr=et&S3cr=et",
         "the URL gives a parameter twice; an & of a value is written %26"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
        struct remote_url url = {0};
        struct err err = ERR_INIT;

        assert_int_equal(remote_url_parse(wrong[i][0], &url, &err), -1);
        assert_int_equal(err.code, ERR_INVALID);
        assert_string_equal(err.message, wrong[i][1]);
        assert_null(url.host);
    }
}

static void parameters_are_checked(void **state)
{
    static const char *const keys[] = {"insecure", NULL};
    static const char *const more[] = {"a", "b", "c", NULL};
    static const char *const none[] = {NULL};
    CLEANUP_REMOTE_URL struct remote_url url = {0};
    struct err err = ERR_INIT;
    bool flag = true;

    (void)state;
    assert_int_equal(remote_url_parse("h?insecure=yes&ca=x", &url, &err), 0);
    assert_int_equal(remote_url_check_keys(&url, keys, &err), -1);
    assert_string_equal(err.message, "the URL has an unknown parameter \"ca\"; known are insecure");
    assert_int_equal(remote_url_check_keys(&url, none, &err), -1);
    assert_string_equal(err.message, "the URL has an unknown parameter \"insecure\"");
    assert_int_equal(remote_url_check_keys(&url, more, &err), -1);
    assert_string_equal(err.message,
                        "the URL has an unknown parameter \"insecure\"; known are a, b and c");
    assert_int_equal(remote_url_flag(&url, "insecure", &flag, &err), -1);
    assert_string_equal(err.message, "the URL's \"insecure\" must be true or false");
    assert_int_equal(remote_url_flag(&url, "missing", &flag, &err), 0);
    assert_false(flag);
}

/* A name may be the rest of a password, with an "&" in it. */
static void names_are_quoted_that_look_like_one(void **state)
{
    static const char *const keys[] = {"known_hosts", "insecure", NULL};
    static const struct {
        const char *url;
        const char *quoted; /* NULL: not */
    } rows[] = {
        {"h?port=1", "port"},
        {"h?Known-Host=x", "Known-Host"},
        {"h?passphrase=x", "passphrase"},
        {"h?insecure=hu&S3cr=et", NULL},
        {"h?insecure=hu&secretsecret_=x", NULL},
        {"h?insecure=hu&sh%20=x", NULL},
        {"h?insecure=hu&a1=x", NULL},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        CLEANUP_REMOTE_URL struct remote_url url = {0};
        CLEANUP_BUF struct buf expected = BUF_INIT;
        struct err err = ERR_INIT;

        assert_int_equal(remote_url_parse(rows[i].url, &url, &err), 0);
        assert_int_equal(remote_url_check_keys(&url, keys, &err), -1);
        buf_addf(&expected, "the URL has an unknown parameter");
        if (rows[i].quoted)
            buf_addf(&expected, " \"%s\"", rows[i].quoted);
        buf_addf(&expected, "; known are known_hosts and insecure%s",
                 rows[i].quoted ? "" : "; an & of a value is written %26");
        assert_string_equal(err.message, expected.data);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_parts_of_a_url),
        cmocka_unit_test(what_is_not_said_is_null),
        cmocka_unit_test(wrong_ones_are_refused_without_their_login),
        cmocka_unit_test(parameters_are_checked),
        cmocka_unit_test(names_are_quoted_that_look_like_one),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
