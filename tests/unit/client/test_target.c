/* client/target.h: servers as people name them. */
#include "tests/unit/assert_err.h"

#include "client/target.h"

static void addresses(void **state)
{
    static const struct {
        const char *server, *path, *user, *password;
        const char *base_url, *ws_path, *authorization, *name;
    } cases[] = {
        {"ws://h:8080", NULL, NULL, NULL, "http://h:8080", "/", NULL, "ws://h:8080"},
        {"h:8080", NULL, NULL, NULL, "http://h:8080", "/", NULL, "ws://h:8080"},
        {"wss://h/ws", "", "", "", "https://h", "/ws", NULL, "wss://h"},
        {"ws://h/ws", "other", NULL, NULL, "http://h", "/other", NULL, "ws://h"},
        {"HTTP://h", NULL, "u", NULL, "http://h", "/", "Authorization: Basic dTo=", "http://h"},
        {"https://[::1]:1/x", NULL, "u", "p", "https://[::1]:1", "/x", "Authorization: Basic dTpw",
         "https://[::1]:1"},
        {"ws://user:p%40ss@h:1/p", NULL, "no", "no", "http://h:1", "/p",
         "Authorization: Basic dXNlcjpwQHNz", "ws://h:1"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        CLEANUP_CLIENT_TARGET struct client_target target = {0};

        assert_ok(client_target_parse(cases[i].server, cases[i].path, cases[i].user,
                                      cases[i].password, &target, &test_err));
        assert_string_equal(target.base_url, cases[i].base_url);
        assert_string_equal(target.path, cases[i].ws_path);
        assert_string_equal(target.name, cases[i].name);
        if (cases[i].authorization)
            assert_string_equal(target.authorization, cases[i].authorization);
        else
            assert_null(target.authorization);
    }
}

static void no_addresses(void **state)
{
    static const char *const cases[][2] = {
        {"ftp://h", "a server is ws://HOST:PORT/PATH, or wss:// for one with TLS, not ftp://"},
        {"ws://", "the server: the URL names no host"},
        {"wss://h?x=1", "the server: the URL has an unknown parameter \"x\"; known are ca"},
        {"ws://h?ca=f", "the server: \"ca\" is for wss:// and https://, and this is ws://"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct client_target target = {0};

        assert_error(client_target_parse(cases[i][0], NULL, NULL, NULL, &target, &test_err),
                     ERR_INVALID);
        assert_string_equal(test_err.message, cases[i][1]);
        assert_null(target.name);
    }
}

static void certificates(void **state)
{
    CLEANUP_CLIENT_TARGET struct client_target target = {0};

    (void)state;
    assert_ok(
        client_target_parse("wss://h/ws?ca=/a%20b/ca.pem", NULL, NULL, NULL, &target, &test_err));
    assert_string_equal(target.ca_file, "/a b/ca.pem");
    assert_string_equal(target.path, "/ws");
    assert_string_equal(target.name, "wss://h");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses),
        cmocka_unit_test(no_addresses),
        cmocka_unit_test(certificates),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
