/* Cases are {document, patch, result or message}; many are those of RFC 6902, appendix A. */
#include "tests/unit/k8s/k8s_test.h"

#include "k8s/patch.h"

struct patch_case {
    const char *document;
    const char *patch;
    const char *result;  /* NULL: an error */
    const char *message; /* behind the name of the patch */
};

static int patch(json_t **document, const json_t *text)
{
    const struct setting setting = {.name = "patch", .value = text};

    return json_is_array(text) ? patch_json(document, &setting, &test_err)
                               : patch_strategic(*document, &setting, &test_err);
}

static void run(const struct patch_case *c)
{
    json_t *document = json_pack("{s:o}", "", parse(c->document));
    json_t *root = json_incref(json_object_get(document, ""));
    json_t *text = parse(c->patch);
    json_t *before = json_deep_copy(text);
    char message[256];

    err_clear(&test_err);
    if (patch(&root, text) < 0) {
        if (c->result)
            fail_msg("%s: %s", c->patch, test_err.message);
        snprintf(message, sizeof(message), "patch%s", c->message);
        assert_string_equal(test_err.message, message);
        assert_int_equal(test_err.code, ERR_INVALID);
    } else {
        if (!c->result)
            fail_msg("accepted: %s", c->patch);
        json_object_set(document, "", root);
        check(document, "", c->result);
    }
    assert_true(json_equal(text, before));
    json_decref(before);
    json_decref(text);
    json_decref(root);
    json_decref(document);
}

static void test_json_patch(void **state)
{
    static const struct patch_case cases[] = {
        {"{'a': 1}", "[]", "{'a': 1}", NULL},
        {"{'foo': 'bar'}", "[{'op': 'add', 'path': '/baz', 'value': 'qux'}]",
         "{'baz': 'qux', 'foo': 'bar'}", NULL},
        {"{'foo': ['bar', 'baz']}", "[{'op': 'add', 'path': '/foo/1', 'value': 'qux'}]",
         "{'foo': ['bar', 'qux', 'baz']}", NULL},
        {"{'baz': 'qux', 'foo': 'bar'}", "[{'op': 'remove', 'path': '/baz'}]", "{'foo': 'bar'}",
         NULL},
        {"{'foo': ['bar', 'qux', 'baz']}", "[{'op': 'remove', 'path': '/foo/1'}]",
         "{'foo': ['bar', 'baz']}", NULL},
        {"{'baz': 'qux', 'foo': 'bar'}", "[{'op': 'replace', 'path': '/baz', 'value': 'boo'}]",
         "{'baz': 'boo', 'foo': 'bar'}", NULL},
        {"{'a': [1, 2, 3]}", "[{'op': 'replace', 'path': '/a/2', 'value': null}]",
         "{'a': [1, 2, null]}", NULL},
        {"{'foo': {'bar': 'baz', 'waldo': 'fred'}, 'qux': {'corge': 'grault'}}",
         "[{'op': 'move', 'from': '/foo/waldo', 'path': '/qux/thud'}]",
         "{'foo': {'bar': 'baz'}, 'qux': {'corge': 'grault', 'thud': 'fred'}}", NULL},
        {"{'foo': ['all', 'grass', 'cows', 'eat']}",
         "[{'op': 'move', 'from': '/foo/1', 'path': '/foo/3'}]",
         "{'foo': ['all', 'cows', 'eat', 'grass']}", NULL},
        {"{'a': 1}", "[{'op': 'move', 'from': '/a', 'path': '/a'}]", "{'a': 1}", NULL},
        {"{'a': {'b': 1}}", "[{'op': 'copy', 'from': '/a', 'path': '/a/c'}]",
         "{'a': {'b': 1, 'c': {'b': 1}}}", NULL},
        {"{'baz': 'qux', 'foo': ['a', 2, 'c']}",
         "[{'op': 'test', 'path': '/baz', 'value': 'qux'},"
         " {'op': 'test', 'path': '/foo/1', 'value': 2}]",
         "{'baz': 'qux', 'foo': ['a', 2, 'c']}", NULL},
        {"{'baz': 'qux'}", "[{'op': 'test', 'path': '/baz', 'value': 'bar'}]", NULL,
         "[0].path is not what the test expects: \"/baz\""},
        {"{'foo': 'bar'}", "[{'op': 'add', 'path': '/child', 'value': {'grandchild': {}}}]",
         "{'foo': 'bar', 'child': {'grandchild': {}}}", NULL},
        {"{'foo': 'bar'}", "[{'op': 'add', 'path': '/baz', 'value': 'qux', 'xyz': 123}]",
         "{'foo': 'bar', 'baz': 'qux'}", NULL},
        {"{'foo': 'bar'}", "[{'op': 'add', 'path': '/baz/bat', 'value': 'qux'}]", NULL,
         "[0].path is in nothing that the pod has: \"/baz/bat\""},
        {"{'/': 9, '~1': 10}", "[{'op': 'test', 'path': '/~01', 'value': 10}]",
         "{'/': 9, '~1': 10}", NULL},
        {"{'/': 9, '~1': 10}", "[{'op': 'remove', 'path': '/~1'}]", "{'~1': 10}", NULL},
        {"{'foo': ['bar']}", "[{'op': 'add', 'path': '/foo/-', 'value': ['abc', 'def']}]",
         "{'foo': ['bar', ['abc', 'def']]}", NULL},
        {"{'a': 1}", "[{'op': 'add', 'path': '', 'value': [2]}]", "[2]", NULL},
        {"{'a': 1}", "[{'op': 'replace', 'path': '', 'value': 2}]", "2", NULL},
        {"{'': {'': 1}}", "[{'op': 'replace', 'path': '//', 'value': 2}]", "{'': {'': 2}}", NULL},
        {"{'a': [1, 2.0, {'x': [1.0]}]}",
         "[{'op': 'test', 'path': '/a', 'value': [1.0, 2, {'x': [1]}]}]",
         "{'a': [1, 2.0, {'x': [1.0]}]}", NULL},
        {"{'a': [1]}", "[{'op': 'test', 'path': '/a', 'value': [1, 2]}]", NULL,
         "[0].path is not what the test expects: \"/a\""},
        {"{'a': [1, 2]}", "[{'op': 'test', 'path': '/a', 'value': [1]}]", NULL,
         "[0].path is not what the test expects: \"/a\""},
        {"{'a': {'b': 1, 'c': 1}}", "[{'op': 'test', 'path': '/a', 'value': {'b': 1}}]", NULL,
         "[0].path is not what the test expects: \"/a\""},
        {"{'a': {'b': 1}}", "[{'op': 'test', 'path': '/a', 'value': {'b': 1, 'c': 1}}]", NULL,
         "[0].path is not what the test expects: \"/a\""},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        run(&cases[i]);
}

static void test_refused_json_patch(void **state)
{
    static const struct {
        const char *operation; /* the second one */
        const char *message;   /* behind "[1]" */
    } cases[] = {
        {"1", " must be a map"},
        {"{}", " must have an \"op\" of add, remove, replace, move, copy and test"},
        {"{'op': 'delete'}", " must have an \"op\" of add, remove, replace, move, copy and test"},
        {"{'op': 'add'}", " must have a string \"path\""},
        {"{'op': 'add', 'path': 1}", " must have a string \"path\""},
        {"{'op': 'add', 'path': 'a'}", ".path must begin with \"/\": \"a\""},
        {"{'op': 'add', 'path': '/~2'}",
         ".path must have \"~0\" for \"~\" and \"~1\" for \"/\": \"/~2\""},
        {"{'op': 'add', 'path': '/~'}",
         ".path must have \"~0\" for \"~\" and \"~1\" for \"/\": \"/~\""},
        {"{'op': 'add', 'path': '/x'}", " must have a \"value\""},
        {"{'op': 'replace', 'path': '/a'}", " must have a \"value\""},
        {"{'op': 'test', 'path': '/a'}", " must have a \"value\""},
        {"{'op': 'copy', 'path': '/x'}", " must have a string \"from\""},
        {"{'op': 'move', 'path': '/x', 'from': '/y'}",
         ".from names nothing that the pod has: \"/y\""},
        {"{'op': 'copy', 'path': '/x', 'from': '/y'}",
         ".from names nothing that the pod has: \"/y\""},
        {"{'op': 'move', 'path': '/o/b/c', 'from': '/o/b'}",
         ".path is in what is to be moved there: \"/o/b/c\""},
        {"{'op': 'move', 'path': '/x', 'from': ''}",
         ".path is in what is to be moved there: \"/x\""},
        {"{'op': 'remove', 'path': ''}", ".path must not be the whole pod: \"\""},
        {"{'op': 'remove', 'path': '/a/3'}", ".path names nothing that the pod has: \"/a/3\""},
        {"{'op': 'remove', 'path': '/a/-'}", ".path names nothing that the pod has: \"/a/-\""},
        {"{'op': 'remove', 'path': '/a/01'}", ".path names nothing that the pod has: \"/a/01\""},
        {"{'op': 'remove', 'path': '/a/99999999999999999999'}",
         ".path names nothing that the pod has: \"/a/99999999999999999999\""},
        {"{'op': 'replace', 'path': '/x', 'value': 1}",
         ".path names nothing that the pod has: \"/x\""},
        {"{'op': 'test', 'path': '/x', 'value': null}",
         ".path names nothing that the pod has: \"/x\""},
        {"{'op': 'add', 'path': '/a/4', 'value': 1}",
         ".path has no index of that list, nor \"-\" for its end: \"/a/4\""},
        {"{'op': 'add', 'path': '/a/x', 'value': 1}",
         ".path has no index of that list, nor \"-\" for its end: \"/a/x\""},
        {"{'op': 'add', 'path': '/a/0/x', 'value': 1}",
         ".path is not in a map or a list: \"/a/0/x\""},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char operations[256];
        char message[256];

        snprintf(operations, sizeof(operations), "[{'op': 'add', 'path': '/n', 'value': 1}, %s]",
                 cases[i].operation);
        snprintf(message, sizeof(message), "[1]%s", cases[i].message);
        run(&(struct patch_case){"{'a': [1, 2, 3], 'o': {'b': {}}}", operations, NULL, message});
    }
}

/* A short patch cannot make an endless pod. */
static void test_growth(void **state)
{
    json_t *document = parse("{'a': {}}");
    json_t *wide = json_array();
    json_t *deep = json_array();

    (void)state;
    for (int i = 0; i < 40; i++) {
        char name[16];

        snprintf(name, sizeof(name), "/b%d", i);
        json_array_append_new(wide,
                              json_pack("{s:s, s:s, s:s}", "op", "copy", "from", "", "path", name));
    }
    for (int i = 0; i < PATCH_DEPTH_MAX; i++) {
        json_array_append_new(deep, parse("{'op': 'add', 'path': '/n', 'value': {}}"));
        json_array_append_new(deep, parse("{'op': 'move', 'from': '/a', 'path': '/n/x'}"));
        json_array_append_new(deep, parse("{'op': 'move', 'from': '/n', 'path': '/a'}"));
    }
    assert_int_equal(patch(&document, wide), -1);
    assert_non_null(
        strstr(test_err.message, "] is too much: no more than 100000 values can be copied"));
    json_decref(document);
    document = parse("{'a': {}}");
    assert_int_equal(patch(&document, deep), -1);
    assert_non_null(strstr(test_err.message, "] makes the pod deeper than 500"));
    json_decref(document);
    json_decref(wide);
    json_decref(deep);
}

static void test_maps(void **state)
{
    static const struct patch_case cases[] = {
        {"{'a': 1}", "{}", "{'a': 1}", NULL},
        {"{'a': 1, 'b': {'c': 1, 'd': 2}}", "{'b': {'c': null, 'e': 3}, 'a': null, 'x': null}",
         "{'b': {'d': 2, 'e': 3}}", NULL},
        {"{'a': 1}", "{'a': {'b': {'c': null, 'd': 1}}}", "{'a': {'b': {'d': 1}}}", NULL},
        {"{'a': {'b': 1}}", "{'a': 'x'}", "{'a': 'x'}", NULL},
        {"{'a': [1, 2]}", "{'a': [3, null]}", "{'a': [3, null]}", NULL},
        {"{'a': {'b': 1}, 'c': 1}", "{'a': {'$patch': 'delete', 'x': 1}}", "{'c': 1}", NULL},
        {"{'a': {'b': 1}}", "{'a': {'$patch': 'replace', 'x': 1, 'y': null}}", "{'a': {'x': 1}}",
         NULL},
        {"{'a': {'b': 1}}", "{'a': {'$patch': 'merge'}}", NULL,
         ".a must have \"$patch\" of delete or replace"},
        {"{'a': {'b': 1}}", "{'a': {'$patch': 1}}", NULL,
         ".a must have \"$patch\" of delete or replace"},
        {"{}", "{'$patch': 'delete'}", NULL, " must not have \"$patch\" for the whole"},
        {"{}", "{'metadata': {'$deleteFromPrimitiveList/finalizers': ['x']}}", NULL,
         ".metadata[\"$deleteFromPrimitiveList/finalizers\"] is not supported; of directives there "
         "are \"$patch: delete\" and \"$patch: replace\""},
        {"{}", "{'spec': {'volumes': [{'name': 'x', '$retainKeys': ['name']}]}}", NULL,
         ".spec.volumes[0][\"$retainKeys\"] is not supported; of directives there are "
         "\"$patch: delete\" and \"$patch: replace\""},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        run(&cases[i]);
}

/* Each list by its key; what is not said of an item stays. */
static void test_keyed_lists(void **state)
{
    static const struct {
        const char *parent;
        const char *list;
        const char *key;
    } cases[] = {
        {"metadata", "ownerReferences", "uid"},
        {"spec", "containers", "name"},
        {"spec", "initContainers", "name"},
        {"spec", "ephemeralContainers", "name"},
        {"spec", "volumes", "name"},
        {"spec", "imagePullSecrets", "name"},
        {"spec", "resourceClaims", "name"},
        {"spec", "schedulingGates", "name"},
        {"spec", "hostAliases", "ip"},
        {"spec", "topologySpreadConstraints", "topologyKey"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const char *parent = cases[i].parent;
        const char *list = cases[i].list;
        const char *key = cases[i].key;
        char before[256];
        char text[256];
        char after[256];

        snprintf(before, sizeof(before),
                 "{'%s': {'%s': [{'%s': 'a', 'x': 1, 'y': [1, 2]}, {'%s': 'b'}]}}", parent, list,
                 key, key);
        snprintf(text, sizeof(text),
                 "{'%s': {'%s': [{'%s': 'c', 'n': null}, {'%s': 'a', 'x': null, 'y': [3]},"
                 " {'%s': 'b', '$patch': 'delete'}, {'%s': 'z', '$patch': 'delete'}]}}",
                 parent, list, key, key, key, key);
        snprintf(after, sizeof(after), "{'%s': {'%s': [{'%s': 'a', 'y': [3]}, {'%s': 'c'}]}}",
                 parent, list, key, key);
        run(&(struct patch_case){before, text, after, NULL});
        snprintf(text, sizeof(text), "{'%s': {'%s': [{'x': 1}]}}", parent, list);
        snprintf(after, sizeof(after), ".%s.%s[0] must have \"%s\", by which it is merged", parent,
                 list, key);
        run(&(struct patch_case){before, text, NULL, after});
    }
}

static void test_lists(void **state)
{
    static const struct patch_case cases[] = {
        {"{'spec': {'tolerations': [{'key': 'a'}]}}", "{'spec': {'tolerations': [{'key': 'b'}]}}",
         "{'spec': {'tolerations': [{'key': 'b'}]}}", NULL},
        /* The same name elsewhere is another list. */
        {"{'spec': {'x': {'volumes': [{'name': 'a', 'b': 1}]}}}",
         "{'spec': {'x': {'volumes': [{'name': 'a'}]}}}",
         "{'spec': {'x': {'volumes': [{'name': 'a'}]}}}", NULL},
        {"{'spec': {'containers': [{'name': 'a', 'env': [{'name': 'A', 'value': '1'}],"
         " 'volumeMounts': [{'mountPath': '/a', 'name': 'v'}]}]}}",
         "{'spec': {'containers': [{'name': 'a', 'env': [{'name': 'B', 'value': '2'},"
         " {'name': 'A', 'value': null, 'valueFrom': {}}],"
         " 'volumeMounts': [{'mountPath': '/a', 'readOnly': true}, {'mountPath': '/b'}],"
         " 'volumeDevices': [{'devicePath': '/d'}]}]}}",
         "{'spec': {'containers': [{'name': 'a',"
         " 'env': [{'name': 'A', 'valueFrom': {}}, {'name': 'B', 'value': '2'}],"
         " 'volumeMounts': [{'mountPath': '/a', 'name': 'v', 'readOnly': true},"
         "                  {'mountPath': '/b'}],"
         " 'volumeDevices': [{'devicePath': '/d'}]}]}}",
         NULL},
        {"{'spec': {'initContainers': [{'name': 'a', 'ports': [{'containerPort': 53}]}]}}",
         "{'spec': {'initContainers': [{'name': 'a', 'ports': ["
         " {'containerPort': 53, 'protocol': 'UDP', 'name': 'u'},"
         " {'containerPort': 53, 'protocol': 'TCP', 'name': 't'},"
         " {'containerPort': 54, 'name': 'x'}]}]}}",
         "{'spec': {'initContainers': [{'name': 'a', 'ports': ["
         " {'containerPort': 53, 'protocol': 'TCP', 'name': 't'},"
         " {'containerPort': 53, 'protocol': 'UDP', 'name': 'u'},"
         " {'containerPort': 54, 'name': 'x'}]}]}}",
         NULL},
        {"{'spec': {'containers': [{'name': 'a'}]}}",
         "{'spec': {'containers': [{'name': 'a', 'ports': [{'containerPort': 1,"
         " 'protocol': 1}]}]}}",
         NULL, ".spec.containers[0].ports[0] must have a string \"protocol\""},
        {"{'spec': {'topologySpreadConstraints': [{'topologyKey': 'z', 'maxSkew': 1,"
         " 'whenUnsatisfiable': 'DoNotSchedule'}]}}",
         "{'spec': {'topologySpreadConstraints': [{'topologyKey': 'z', 'maxSkew': 2,"
         " 'whenUnsatisfiable': 'ScheduleAnyway'}, {'topologyKey': 'z', 'maxSkew': 3}]}}",
         "{'spec': {'topologySpreadConstraints': [{'topologyKey': 'z', 'maxSkew': 3,"
         " 'whenUnsatisfiable': 'DoNotSchedule'}, {'topologyKey': 'z', 'maxSkew': 2,"
         " 'whenUnsatisfiable': 'ScheduleAnyway'}]}}",
         NULL},
        {"{'spec': {'volumes': [{'name': 'a'}, {'name': 'b'}]}}",
         "{'spec': {'volumes': [{'name': 'c'}, {'$patch': 'replace'}]}}",
         "{'spec': {'volumes': [{'name': 'c'}]}}", NULL},
        {"{'spec': {'volumes': 1}}", "{'spec': {'volumes': [{'name': 'c'}]}}",
         "{'spec': {'volumes': [{'name': 'c'}]}}", NULL},
        {"{'spec': {'volumes': [1, {'name': 'a'}]}}",
         "{'spec': {'volumes': [{'name': 'a', 'b': 1}]}}",
         "{'spec': {'volumes': [1, {'name': 'a', 'b': 1}]}}", NULL},
        {"{}", "{'spec': {'volumes': ['x']}}", NULL, ".spec.volumes[0] must be a map"},
        {"{}", "{'spec': {'volumes': [{'name': 'x', '$patch': 'x'}]}}", NULL,
         ".spec.volumes[0] must have \"$patch\" of delete or replace"},
        {"{'metadata': {'finalizers': ['a', 'b']}}", "{'metadata': {'finalizers': ['b', 'c']}}",
         "{'metadata': {'finalizers': ['a', 'b', 'c']}}", NULL},
        {"{'spec': {'volumes': [{'name': 'a'}]}}", "{'spec': {'volumes': null}}", "{'spec': {}}",
         NULL},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        run(&cases[i]);
}

static void test_no_patches(void **state)
{
    const struct setting none = {.name = "patch", .value = NULL};
    json_t *document = json_object();

    (void)state;
    assert_int_equal(patch_json(&document, &none, &test_err), -1);
    assert_string_equal(test_err.message, "patch must be a list");
    assert_int_equal(patch_strategic(document, &none, &test_err), -1);
    assert_string_equal(test_err.message, "patch must be a map");
    json_decref(document);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_json_patch),  cmocka_unit_test(test_refused_json_patch),
        cmocka_unit_test(test_growth),      cmocka_unit_test(test_maps),
        cmocka_unit_test(test_keyed_lists), cmocka_unit_test(test_lists),
        cmocka_unit_test(test_no_patches),
    };

    return cmocka_run_group_tests_name("patch", tests, NULL, NULL);
}
