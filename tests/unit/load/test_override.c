/* Values set over those of a document: the document as JSON afterwards, or what is wrong. */
#include "tests/unit/test.h"

#include <stdlib.h>

#include "base/buf.h"
#include "load/override.h"
#include "yaml/yaml_json.h"

static const char document[] = "name: p\n"
                               "shared: &shared {a: 1, list: [x, y]}\n"
                               "one: *shared\n"
                               "two: *shared\n"
                               "empty:\n"
                               "list:\n"
                               "  - {name: build, timeout: 1}\n"
                               "  - {name: unit tests, id: unit}\n"
                               "  - {name: twin}\n"
                               "  - {name: twin}\n"
                               "dotted.key: 1\n";

/* What is at `where` afterwards, or the path and the message of what is wrong. */
static void check(const char *override, const char *where, const char *expected)
{
    CLEANUP_DIAG_LIST struct diag_list diags = {0};
    CLEANUP_YAML_TREE struct yaml_tree *tree =
        yaml_tree_parse(document, strlen(document), NULL, &diags);
    CLEANUP_BUF struct buf said = BUF_INIT;
    json_t *json;
    char *text;

    assert_non_null(tree);
    override_apply(tree, override, 3, &diags);
    if (diags.len) {
        assert_int_equal(diags.len, 1);
        assert_int_equal(diags.items[0].pos.line, 0);
        assert_int_equal(diags.items[0].pos.column, 3);
        buf_addf(&said, "%s: %s", diags.items[0].path, diags.items[0].message);
    } else {
        json = yaml_node_to_json(yaml_node_get(yaml_tree_root(tree), where));
        text = json_dumps(json, JSON_COMPACT | JSON_ENCODE_ANY);
        buf_addstr(&said, text);
        free(text);
        json_decref(json);
    }
    assert_string_equal(said.data, expected);
}

static void values(void **state)
{
    (void)state;
    check("name=q", "name", "\"q\"");
    check("name=", "name", "null");
    check("name=a=b: c #d", "name", "\"a=b: c #d\"");
    check("name=12", "name", "12");
    check("name={{ $A }}", "name", "\"{{ $A }}\"");
    check("name=[1, {a: b}, \"1\"]", "name", "[1,{\"a\":\"b\"},\"1\"]");
    check("name={a: [b]}", "name", "{\"a\":[\"b\"]}");
    check("new=1", "new", "1");
}

static void paths(void **state)
{
    (void)state;
    check("list[0].timeout=2", "list",
          "[{\"name\":\"build\",\"timeout\":2},{\"name\":\"unit tests\",\"id\":\"unit\"},"
          "{\"name\":\"twin\"},{\"name\":\"twin\"}]");
    check("list.build={}", "list",
          "[{},{\"name\":\"unit tests\",\"id\":\"unit\"},{\"name\":\"twin\"},{\"name\":\"twin\"}]");
    check("list.unit.a.b=1", "list",
          "[{\"name\":\"build\",\"timeout\":1},{\"name\":\"unit tests\",\"id\":\"unit\","
          "\"a\":{\"b\":1}},{\"name\":\"twin\"},{\"name\":\"twin\"}]");
    check("list[unit tests]=1", "list",
          "[{\"name\":\"build\",\"timeout\":1},1,{\"name\":\"twin\"},{\"name\":\"twin\"}]");
    check("list['unit tests']=1", "list",
          "[{\"name\":\"build\",\"timeout\":1},1,{\"name\":\"twin\"},{\"name\":\"twin\"}]");
    check("list[3].a=1", "list",
          "[{\"name\":\"build\",\"timeout\":1},{\"name\":\"unit tests\",\"id\":\"unit\"},"
          "{\"name\":\"twin\"},{\"name\":\"twin\",\"a\":1}]");
    check("[\"dotted.key\"]=2", "dotted.key", "2");
    check("[\"a=b\"]=2", "a=b", "2");
    check("empty.a[\"0\"]=2", "empty", "{\"a\":{\"0\":2}}");
}

static void aliases_are_changed_apart(void **state)
{
    static const char untouched[] = "{\"a\":1,\"list\":[\"x\",\"y\"]}";

    (void)state;
    check("one.a=2", "one", "{\"a\":2,\"list\":[\"x\",\"y\"]}");
    check("one.a=2", "two", untouched);
    check("one.a=2", "shared", untouched);
    check("one.list[1]=z", "one", "{\"a\":1,\"list\":[\"x\",\"z\"]}");
    check("one.list[1]=z", "two", untouched);
}

static void errors(void **state)
{
    static const char no_path[] = ": this is no path; write it like stages[0].jobs.NAME.timeout";
    static const char *const bad[] = {"=1",   ".a=1",  "a.=1",    "a..b=1",
                                      "a[=1", "a[]=1", "a[0]b=1", "a['x=1"};

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
        check(bad[i], "", no_path);
    check("name=\xff", "", ": this is not UTF-8 text");
    check("", "", ": there is no value; write PATH=VALUE");
    check("name", "", ": there is no value; write PATH=VALUE");
    check("list[4].a=1", "", "list: this list has 4 items, numbered from 0, and no [4]");
    check("list[-1].a=1", "", "list: this list has 4 items, numbered from 0, and no [-1]");
    check("list.biuld.a=1", "",
          "list: no item of this list is called \"biuld\"; did you mean \"build\"?");
    check("list.\"0\".a=1", "", "list: no item of this list is called \"\"0\"\"");
    check("list.twin.a=1", "",
          "list: 2 items of this list are called \"twin\"; write a number, from 0");
    check("name.a=1", "", "name: this is a string, in which there is no \"a\"");
    check("one[0]=1", "", "one: this is a map, in which there is no \"0\"");
    check("empty[0]=1", "", "empty: there is no list here that [0] could be an item of");
    check("list[0].steps[0].a=1", "",
          "list[0].steps: there is no list here that [0] could be an item of");
    check("name=[a", "",
          "name: a value that begins with \"[\" is read as YAML, but malformed YAML: expected "
          "\",\" or \"]\" (while parsing a flow sequence that starts on line 1)");
    check("name={a: 1, a: 2}", "",
          "name: a value that begins with \"{\" is read as YAML, but the key \"a\" is given twice, "
          "first on line 1");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values),
        cmocka_unit_test(paths),
        cmocka_unit_test(aliases_are_changed_apart),
        cmocka_unit_test(errors),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
