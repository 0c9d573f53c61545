/* JSON as YAML that is read back as the same. */
#include "tests/unit/assert_err.h"

#include "yaml/yaml_json.h"
#include "yaml/yaml_write.h"

static char *write_text(const char *json)
{
    struct buf out = BUF_INIT;
    json_t *value = json_loads(json, JSON_DECODE_ANY, NULL);

    assert_non_null(value);
    assert_ok(yaml_write(value, &out, &test_err));
    json_decref(value);
    return buf_steal(&out);
}

static void test_form(void **state)
{
    CLEANUP_FREE char *text = write_text(
        "{\"name\": \"a b\", \"stages\": [{\"steps\": [], \"env\": {}, \"command\": \"x\\ny\\n\"}],"
        " \"n\": 1.5, \"s\": \"12\", \"t\": \"yes\", \"z\": null}");

    (void)state;
    assert_string_equal(text, "name: a b\n"
                              "stages:\n"
                              "- steps: []\n"
                              "  env: {}\n"
                              "  command: |\n"
                              "    x\n"
                              "    y\n"
                              "n: 1.5\n"
                              "s: '12'\n"
                              "t: 'yes'\n"
                              "z: null\n");
}

static void test_round_trip(void **state)
{
    static const char *const values[] = {
        "{\"a\": \"\", \"b\": \" \", \"c\": \"- x\", \"d\": \"a: b\", \"e\": \"#\", \"f\": \"x "
        "#y\"}",
        "{\"true\": true, \"null\": null, \"~\": \"~\", \"on\": \"off\", \"0x10\": \"0x10\"}",
        "{\"a\": \"line\\n\\n  indented\\n\", \"b\": \"no end\\nof line\", \"c\": \"tab\\there\"}",
        "{\"a\": \"\\u00e4rger \\u20ac\", \"b\": \"\\u0007 \\u001b\", \"c\": \"quo'te \\\"d\\\"\"}",
        "{\"a\": [[1, [2, {}]], [], {\"b\": [{\"c\": -3}]}], \"d\": \"2026-01-02\", \"e\": "
        "\"1e3\"}",
        "{\"a\": \"!tag\", \"b\": \"&anchor\", \"c\": \"*alias\", \"d\": \"<<\", \"e\": \"%x\", "
        "\"f\": \"@\"}",
        "{\"a\": \"\\n\", \"b\": \"\\n\\n\", \"c\": \" \\n x\", \"d\": \"x\\n \"}",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(values) / sizeof(*values); i++) {
        CLEANUP_FREE char *text = write_text(values[i]);
        CLEANUP_DIAG_LIST struct diag_list diags = {0};
        CLEANUP_YAML_TREE struct yaml_tree *tree =
            yaml_tree_parse(text, strlen(text), NULL, &diags);
        json_t *before = json_loads(values[i], 0, NULL);
        json_t *after = tree ? yaml_node_to_json(yaml_tree_root(tree)) : NULL;

        if (!json_equal(before, after))
            fail_msg("%s became\n%s", values[i], text);
        json_decref(before);
        json_decref(after);
    }
}

static void test_depth(void **state)
{
    json_t *value = json_array();
    struct buf out = BUF_INIT;

    (void)state;
    for (int i = 0; i < 300; i++)
        value = json_pack("[o]", value);
    assert_error(yaml_write(value, &out, &test_err), ERR_LIMIT);
    json_decref(value);
    buf_release(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_form),
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_depth),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
