/* Who may ask, from where, and how often. */
#include "tests/unit/test.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include "base/base64.h"
#include "server/auth.h"
#include "server/limits.h"
#include "server/strangers.h"

/* The header of a name and a password, "alice:secret". */
static const char *basic(const char *credentials)
{
    static char text[256];
    CLEANUP_BUF struct buf coded = BUF_INIT;

    base64_encode(&coded, credentials, strlen(credentials));
    snprintf(text, sizeof(text), "Basic %s", coded.data);
    return text;
}

static void test_basic(void **state)
{
    struct auth auth;
    const char *user = "?";

    (void)state;
    auth_init(&auth, "alice", "se:cret");
    assert_int_equal(auth_check(&auth, basic("alice:se:cret"), &user), AUTH_OK);
    assert_string_equal(user, "alice");
    assert_int_equal(auth_check(&auth, basic("alice:se:cre"), &user), AUTH_WRONG);
    assert_null(user);
    assert_int_equal(auth_check(&auth, basic("alice:se:crett"), &user), AUTH_WRONG);
    assert_int_equal(auth_check(&auth, basic("alic:se:cret"), &user), AUTH_WRONG);
    assert_int_equal(auth_check(&auth, basic("alice"), &user), AUTH_WRONG);
    assert_int_equal(auth_check(&auth, basic(":"), &user), AUTH_WRONG);
    assert_int_equal(auth_check(&auth, "Basic ?!", &user), AUTH_WRONG);
    assert_int_equal(auth_check(&auth, "Basic", &user), AUTH_MISSING);
    assert_int_equal(auth_check(&auth, "Bearer x", &user), AUTH_MISSING);
    assert_int_equal(auth_check(&auth, "", &user), AUTH_MISSING);
    auth_release(&auth);
}

static void test_half_of_them(void **state)
{
    struct auth auth;
    const char *user;

    (void)state;
    auth_init(&auth, NULL, "secret");
    assert_int_equal(auth_check(&auth, "", &user), AUTH_MISSING);
    assert_int_equal(auth_check(&auth, basic("alice:secret"), &user), AUTH_WRONG);
    assert_int_equal(auth_check(&auth, basic(":secret"), &user), AUTH_OK);
    auth_release(&auth);
    auth_init(&auth, "alice", NULL);
    assert_int_equal(auth_check(&auth, basic("alice:"), &user), AUTH_OK);
    assert_int_equal(auth_check(&auth, basic("alice:x"), &user), AUTH_WRONG);
    auth_release(&auth);
    auth_init(&auth, NULL, NULL);
    assert_int_equal(auth_check(&auth, basic("anybody:x"), &user), AUTH_OK);
    assert_null(user);
    auth_release(&auth);
}

static void test_origins(void **state)
{
    (void)state;
    assert_true(auth_origin_is_own("", "ci.example"));
    assert_true(auth_origin_is_own("https://ci.example", "ci.example"));
    assert_true(auth_origin_is_own("https://CI.example", "ci.example"));
    assert_true(auth_origin_is_own("https://ci.example", "ci.example:443"));
    assert_true(auth_origin_is_own("http://ci.example:8080", "ci.example:8080"));
    assert_true(auth_origin_is_own("http://[::1]:8080", "[::1]:8080"));
    assert_false(auth_origin_is_own("http://ci.example", "ci.example:8080"));
    assert_false(auth_origin_is_own("http://ci.example:443", "ci.example"));
    assert_false(auth_origin_is_own("https://evil.example", "ci.example"));
    assert_false(auth_origin_is_own("https://ci.example.evil.example", "ci.example"));
    assert_false(auth_origin_is_own("https://ci.exampl", "ci.example"));
    assert_false(auth_origin_is_own("null", "ci.example"));
    assert_false(auth_origin_is_own("null", ""));
    assert_false(auth_origin_is_own("https://", ""));
    assert_false(auth_origin_is_own("file://ci.example", "ci.example"));
    assert_false(auth_origin_is_own("https://ci.example/", "ci.example"));
    assert_false(auth_origin_is_own("https://ci.example/,https://evil.example", "ci.example"));
}

static struct sockaddr *address(const char *text)
{
    static struct sockaddr_storage storage;
    struct sockaddr_in *four = (struct sockaddr_in *)&storage;
    struct sockaddr_in6 *six = (struct sockaddr_in6 *)&storage;

    memset(&storage, 0, sizeof(storage));
    storage.ss_family = strchr(text, ':') ? AF_INET6 : AF_INET;
    if (storage.ss_family == AF_INET6)
        assert_int_equal(inet_pton(AF_INET6, text, &six->sin6_addr), 1);
    else
        assert_int_equal(inet_pton(AF_INET, text, &four->sin_addr), 1);
    return (struct sockaddr *)&storage;
}

static void test_limits(void **state)
{
    struct limits *limits = limits_new(2, 3);
    unsigned seconds = 0;
    const struct sockaddr local = {.sa_family = AF_UNIX};

    (void)state;
    for (int i = 0; i < 3; i++)
        assert_true(limits_take(limits, address("192.0.2.1"), 1000, &seconds));
    assert_false(limits_take(limits, address("192.0.2.1"), 1000, &seconds));
    assert_int_equal(seconds, 1);
    assert_false(limits_take(limits, address("::ffff:192.0.2.1"), 1000, &seconds));
    assert_false(limits_has(limits, address("192.0.2.1"), 1000, &seconds));
    assert_true(limits_has(limits, address("192.0.2.2"), 1000, &seconds));
    assert_true(limits_take(limits, &local, 1000, &seconds));
    /* Two a second, and never more than three at once. */
    assert_false(limits_take(limits, address("192.0.2.1"), 1499, &seconds));
    assert_true(limits_take(limits, address("192.0.2.1"), 1500, &seconds));
    assert_false(limits_take(limits, address("192.0.2.1"), 1500, &seconds));
    for (int i = 0; i < 3; i++)
        assert_true(limits_take(limits, address("192.0.2.1"), INT64_C(1) << 50, &seconds));
    assert_false(limits_take(limits, address("192.0.2.1"), INT64_C(1) << 50, &seconds));
    /* A clock that goes back gives nothing. */
    assert_false(limits_take(limits, address("192.0.2.1"), 0, &seconds));
    limits_free(limits);
}

static void test_limits_of_networks(void **state)
{
    struct limits *limits = limits_new(1, 1);
    unsigned seconds;

    (void)state;
    assert_true(limits_take(limits, address("2001:db8::1"), 0, &seconds));
    assert_false(limits_take(limits, address("2001:db8::2"), 0, &seconds));
    assert_true(limits_take(limits, address("2001:db8:0:1::1"), 0, &seconds));
    limits_free(limits);
    limits = limits_new(0, 0);
    for (int i = 0; i < 1000; i++)
        assert_true(limits_take(limits, address("192.0.2.1"), 0, &seconds));
    limits_free(limits);
}

/* More addresses than there is room for: those that ask now are the ones that count. */
static void test_many_addresses(void **state)
{
    struct limits *limits = limits_new(1, 1);
    char text[32];
    unsigned seconds;

    (void)state;
    for (unsigned i = 0; i < 100000; i++) {
        snprintf(text, sizeof(text), "10.%u.%u.%u", i >> 16, i >> 8 & 255, i & 255);
        assert_true(limits_take(limits, address(text), i, &seconds));
        assert_false(limits_take(limits, address(text), i, &seconds));
    }
    limits_free(limits);
}

static void test_strangers(void **state)
{
    struct strangers *strangers = strangers_new(2);
    const struct sockaddr local = {.sa_family = AF_UNIX};

    (void)state;
    assert_true(strangers_enter(strangers, address("192.0.2.1")));
    assert_true(strangers_enter(strangers, address("::ffff:192.0.2.1")));
    assert_false(strangers_enter(strangers, address("192.0.2.1")));
    assert_true(strangers_enter(strangers, address("2001:db8::1")));
    assert_true(strangers_enter(strangers, address("2001:db8::2")));
    assert_false(strangers_enter(strangers, address("2001:db8::3")));
    strangers_leave(strangers, address("192.0.2.1"));
    assert_true(strangers_enter(strangers, address("192.0.2.1")));
    assert_false(strangers_enter(strangers, address("192.0.2.1")));
    for (int i = 0; i < 3; i++)
        assert_true(strangers_enter(strangers, &local));
    strangers_free(strangers);
    strangers = strangers_new(0);
    for (int i = 0; i < 3; i++)
        assert_true(strangers_enter(strangers, address("192.0.2.1")));
    strangers_leave(strangers, address("192.0.2.1"));
    strangers_free(strangers);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_basic),
        cmocka_unit_test(test_half_of_them),
        cmocka_unit_test(test_origins),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_limits_of_networks),
        cmocka_unit_test(test_strangers),
        cmocka_unit_test(test_many_addresses),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
