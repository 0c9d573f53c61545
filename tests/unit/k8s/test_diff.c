/* Differences: of texts, of objects without noise, with Secrets masked; objects as YAML. */
#include "tests/unit/k8s/k8s_test.h"

#include "base/alloc.h"
#include "k8s/diff.h"
#include "k8s/text_diff.h"
#include "k8s/yaml_text.h"
#include "yaml/yaml_json.h"

static void check_diff(const char *old, const char *new, const char *expected)
{
    CLEANUP_BUF struct buf got = BUF_INIT;

    assert_int_equal(text_diff_add(&got, "a", "b", old, new), *expected != '\0');
    assert_string_equal(got.data, expected);
}

static void test_texts(void **state)
{
    (void)state;
    check_diff("a\nb\n", "a\nb\n", "");
    check_diff("", "a\nb\n", "--- a\n+++ b\n@@ -0,0 +1,2 @@\n+a\n+b\n");
    check_diff("a\n", "", "--- a\n+++ b\n@@ -1 +0,0 @@\n-a\n");
    check_diff("1\n2\n3\n4\n5\n6\n7\n8\n", "1\n2\n3\n4\nx\n6\n7\n8\n",
               "--- a\n+++ b\n@@ -2,7 +2,7 @@\n 2\n 3\n 4\n-5\n+x\n 6\n 7\n 8\n");
    check_diff("a\n1\n2\n3\n4\n5\n6\n7\nb\n", "A\n1\n2\n3\n4\n5\n6\n7\nB\n",
               "--- a\n+++ b\n@@ -1,4 +1,4 @@\n-a\n+A\n 1\n 2\n 3\n@@ -6,4 +6,4 @@\n 5\n 6\n 7\n"
               "-b\n+B\n");
    check_diff("a\nb\nc\na\nb\nb\na\n", "c\nb\na\nb\na\nc\n",
               "--- a\n+++ b\n@@ -1,7 +1,6 @@\n-a\n-b\n c\n+b\n a\n b\n-b\n a\n+c\n");
}

/* The lines that a diff takes and gives make the two texts, whatever they are. */
static void test_random_texts(void **state)
{
    unsigned seed = 1;

    (void)state;
    for (int round = 0; round < 500; round++) {
        struct buf texts[2] = {BUF_INIT, BUF_INIT};
        struct buf again[2] = {BUF_INIT, BUF_INIT};
        CLEANUP_BUF struct buf diff = BUF_INIT;

        for (int side = 0; side < 2; side++) {
            for (int i = rand_r(&seed) % 12; i > 0; i--)
                buf_addf(&texts[side], "%c\n", 'a' + rand_r(&seed) % 3);
        }
        /* Everything is near something that differs. */
        buf_addstr(&texts[0], "x\n");
        buf_addstr(&texts[1], "y\n");
        text_diff_add(&diff, "", "", texts[0].data, texts[1].data);
        for (const char *line = diff.data; *line; line += strcspn(line, "\n") + 1) {
            const int len = (int)strcspn(line, "\n");

            if (strncmp(line, "---", 3) == 0 || strncmp(line, "+++", 3) == 0)
                continue;
            if (*line == '@')
                continue;
            if (*line != '+')
                buf_addf(&again[0], "%.*s\n", len - 1, line + 1);
            if (*line != '-')
                buf_addf(&again[1], "%.*s\n", len - 1, line + 1);
        }
        for (int side = 0; side < 2; side++) {
            /* What both begin with may be left out. */
            const size_t cut = texts[side].len - again[side].len;

            assert_string_equal(texts[side].data + cut, again[side].data);
            assert_int_equal(strncmp(texts[0].data, texts[1].data, cut), 0);
        }
        for (int side = 0; side < 2; side++) {
            buf_release(&texts[side]);
            buf_release(&again[side]);
        }
    }
}

static void test_many_edits(void **state)
{
    CLEANUP_BUF struct buf a = BUF_INIT;
    CLEANUP_BUF struct buf b = BUF_INIT;
    CLEANUP_BUF struct buf out = BUF_INIT;

    (void)state;
    for (int i = 0; i < 3000; i++) {
        buf_addf(&a, i == 1500 ? "same\n" : "a%d\n", i);
        buf_addf(&b, i == 1500 ? "same\n" : "b%d\n", i);
    }
    assert_true(text_diff_add(&out, "a", "b", a.data, b.data));
    assert_non_null(strstr(out.data, "@@ -1,3000 +1,3000 @@\n-a0\n-a1\n"));
    assert_non_null(strstr(out.data, "-same\n"));
    assert_non_null(strstr(out.data, "-a2999\n+b0\n"));
}

static void check_objects(const char *old, const char *new, const char *expected_old,
                          const char *expected_new)
{
    CLEANUP_BUF struct buf old_text = BUF_INIT;
    CLEANUP_BUF struct buf new_text = BUF_INIT;
    json_t *a = old ? parse(old) : NULL;
    json_t *b = new ? parse(new) : NULL;

    manifest_diff_texts(a, b, &old_text, &new_text);
    assert_string_equal(old_text.data, expected_old);
    assert_string_equal(new_text.data, expected_new);
    json_decref(a);
    json_decref(b);
}

static void test_objects(void **state)
{
    (void)state;
    check_objects("{'kind': 'A', 'metadata': {'name': 'a', 'uid': 'u', 'generation': 1, "
                  "'resourceVersion': '1', 'managedFields': [], 'creationTimestamp': 'x', "
                  "'selfLink': 'l'}, 'status': {'a': 1}, 'spec': {'n': 1}}",
                  "{'kind': 'A', 'metadata': {'name': 'a', 'generation': 2}, 'spec': {'n': 2}}",
                  "kind: A\nmetadata:\n  name: a\nspec:\n  n: 1\n",
                  "kind: A\nmetadata:\n  name: a\nspec:\n  n: 2\n");
    check_objects(NULL, "{'kind': 'A'}", "", "kind: A\n");
}

static void test_secrets(void **state)
{
    (void)state;
    check_objects("{'apiVersion': 'v1', 'kind': 'Secret', 'metadata': {'annotations': "
                  "{'kubectl.kubernetes.io/last-applied-configuration': 'hidden'}}, 'data': "
                  "{'same': 'aGk=', 'other': 'hidden', 'gone': 'hidden'}}",
                  "{'apiVersion': 'v1', 'kind': 'Secret', 'metadata': {'annotations': {}}, "
                  "'data': {'same': 'aGk=', 'other': 'secret'}, 'stringData': {'x': 'hidden'}}",
                  "apiVersion: v1\ndata:\n  gone: \"***\"\n  other: \"*** (before)\"\n"
                  "  same: \"***\"\nkind: Secret\nmetadata:\n  annotations: {}\n",
                  "apiVersion: v1\ndata:\n  other: \"*** (after)\"\n  same: \"***\"\n"
                  "kind: Secret\nmetadata:\n  annotations: {}\nstringData:\n  x: \"***\"\n");
}

static void test_yaml(void **state)
{
    static const char text[] =
        "{'a': {'b': [1, 'two', {'c': true, 'd': null}, [], {}, [1, [2]]]}, 'multi': "
        "'line 1\\n\\n  line 3\\n', 'keep': 'x\\n\\n', 'strip': 'x\\ny', 'odd': ' x\\ny', "
        "'words': ['yes', 'no', '', '1', '1.5', '-', '- a', 'a: b', 'a #b', '#', 'a#b', 'a:b', "
        "'~', 'null', '%', '@x', '*x', '&x', '!x', '[', 'a ', '.', ':', '\\t', "
        "'a\\u0001', '2020-01-01'], 'yes': 1, '1': 2, '': {}, 'r': 1.5}";
    CLEANUP_BUF struct buf out = BUF_INIT;
    CLEANUP_DIAG_LIST struct diag_list diags = {0};
    json_t *json = parse(text);
    json_t *again;
    struct yaml_tree *tree;

    (void)state;
    yaml_text_add(&out, json);
    tree = yaml_tree_parse(out.data, out.len, NULL, &diags);
    if (!tree)
        fail_msg("%s\n%s", diags.items[0].message, out.data);
    again = yaml_node_to_json(yaml_tree_root(tree));
    if (!json_equal(json, again))
        fail_msg("%s", out.data);
    assert_non_null(
        strstr(out.data, "a:\n  b:\n  - 1\n  - two\n  - c: true\n    d: null\n  - []\n"));
    assert_non_null(strstr(out.data, "multi: |\n  line 1\n\n    line 3\n"));
    json_decref(json);
    json_decref(again);
    yaml_tree_free(tree);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_texts),      cmocka_unit_test(test_random_texts),
        cmocka_unit_test(test_many_edits), cmocka_unit_test(test_objects),
        cmocka_unit_test(test_secrets),    cmocka_unit_test(test_yaml),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
