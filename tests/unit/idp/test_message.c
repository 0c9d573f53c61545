/* What an agent is sent, and what it says. */
#include "tests/unit/test.h"

#include <jansson.h>

#include "apis/idp/message.h"

static json_t *body_of(const struct buf *message, char type)
{
    json_t *body;

    assert_int_equal(message->data[0], type);
    body = json_loads(message->data + 1, 0, NULL);
    assert_non_null(body);
    return body;
}

static void assert_member(const json_t *body, const char *key, const char *value)
{
    assert_string_equal(json_string_value(json_object_get(body, key)), value);
}

static void a_command_is_json_behind_its_digit(void **state)
{
    CLEANUP_STRMAP struct strmap environment = {0};
    CLEANUP_BUF struct buf message = BUF_INIT;
    struct idp_command command = {.id = "x1",
                                  .script = "echo \"ü\"\n",
                                  .environment = &environment,
                                  .user = "nobody",
                                  .timeout_ms = 1500,
                                  .clean_workdir = true};
    struct err err = ERR_INIT;
    json_t *body;

    (void)state;
    strmap_set(&environment, "LINES", "one\n\"two\"\n");
    assert_int_equal(idp_command_add(&message, &command, &err), 0);
    body = body_of(&message, '0');
    assert_member(body, "id", "x1");
    assert_member(body, "script", "echo \"ü\"\n");
    assert_member(body, "user", "nobody");
    assert_member(json_object_get(body, "environment"), "LINES", "one\n\"two\"\n");
    assert_int_equal(json_integer_value(json_object_get(body, "timeout")), 1500);
    assert_true(json_is_true(json_object_get(body, "enable_clean_workdir")));
    assert_null(json_object_get(body, "shell"));
    json_decref(body);
    strmap_set(&environment, "BYTES", "\xff");
    assert_int_equal(idp_command_add(&message, &command, &err), -1);
    assert_int_equal(err.code, ERR_INVALID);
}

static void a_login_is_json_behind_its_digit(void **state)
{
    CLEANUP_BUF struct buf message = BUF_INIT;
    struct err err = ERR_INIT;
    json_t *body;

    (void)state;
    assert_int_equal(idp_auth_add(&message, "me", NULL, &err), 0);
    body = body_of(&message, '2');
    assert_member(body, "client_id", "me");
    assert_member(body, "client_secret", "");
    json_decref(body);
    assert_int_equal(idp_auth_add(&message, "\xff", "x", &err), -1);
    assert_int_equal(err.code, ERR_INVALID);
}

static void messages_of_an_agent_are_told_apart(void **state)
{
    struct idp_message message;
    struct err err = ERR_INIT;

    (void)state;
    assert_int_equal(idp_parse("5\xff\0z", 4, &message, &err), 1);
    assert_int_equal(message.type, IDP_STDOUT);
    assert_int_equal(message.len, 3);
    assert_memory_equal(message.data, "\xff\0z", 3);
    for (int code = 0; code < 256; code++) {
        const char data[] = {'7', (char)code};

        assert_int_equal(idp_parse(data, 2, &message, &err), 1);
        assert_int_equal(message.type, IDP_EXIT);
        assert_int_equal(message.exit_code, code);
    }
    assert_int_equal(idp_parse("9", 1, &message, &err), 1);
    assert_int_equal(message.type, IDP_CANCELLED);
    assert_int_equal(idp_parse("7", 1, &message, &err), -1);
    assert_int_equal(err.code, ERR_PROTOCOL);
    for (int type = 0; type < 256; type++) {
        const char data[] = {(char)type, 'x'};

        if (type < '3' || type > '9' || type == '8')
            assert_int_equal(idp_parse(data, 2, &message, &err), 0);
    }
    assert_int_equal(idp_parse("", 0, &message, &err), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_command_is_json_behind_its_digit),
        cmocka_unit_test(a_login_is_json_behind_its_digit),
        cmocka_unit_test(messages_of_an_agent_are_told_apart),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
