/* Files of manifests: documents, lists, what is refused and where, and the order of ranks. */
#include "tests/unit/k8s/k8s_test.h"

#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "k8s/apply.h"

static struct manifest_list list;

static int each_teardown(void **state)
{
    (void)state;
    manifest_list_release(&list);
    list = (struct manifest_list){0};
    err_clear(&test_err);
    return 0;
}

static int read_text(const char *text)
{
    return manifest_list_add_text(&list, "f.yaml", text, strlen(text), &test_err);
}

/* "KIND/NAME:LINE" of all, with spaces between. */
static void check_list(const char *expected)
{
    CLEANUP_BUF struct buf got = BUF_INIT;

    vec_foreach (const struct manifest *, m, &list.items)
        buf_addf(&got, "%s%s/%s:%u", got.len ? " " : "", m->kind, m->name, m->pos.line);
    assert_string_equal(got.data, expected);
}

static void test_documents(void **state)
{
    (void)state;
    assert_int_equal(read_text("# nothing\n---\n"
                               "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n"
                               "---\n---\n# empty\n---\n"
                               "apiVersion: apps/v1\nkind: Deployment\n"
                               "metadata:\n  name: b\n  namespace: n\n"),
                     0);
    check_list("ConfigMap/a:3 Deployment/b:10");
    assert_null(list.items.items[0].ns);
    assert_string_equal(list.items.items[1].ns, "n");
}

static void test_json(void **state)
{
    (void)state;
    assert_int_equal(read_text("{\"apiVersion\": \"v1\",\n\t\"kind\": \"Secret\", \"metadata\": "
                               "{\"name\": \"a\"}}\n\n{\"apiVersion\": \"v1\", \"kind\": "
                               "\"Secret\", \"metadata\": {\"name\": \"b\\ud83d\\ude00\"}}"),
                     0);
    check_list("Secret/a:1 Secret/b\xf0\x9f\x98\x80:4");
    /* Not JSON, but YAML that begins like it. */
    assert_int_equal(read_text("{apiVersion: v1, kind: Pod, metadata: {name: p}}"), 0);
    assert_int_equal(list.items.len, 3);
}

static void test_lists(void **state)
{
    (void)state;
    assert_int_equal(read_text("apiVersion: v1\nkind: List\nitems:\n"
                               "- apiVersion: v1\n  kind: Pod\n  metadata: {name: p}\n"
                               "- apiVersion: v1\n  kind: ConfigMapList\n  items:\n"
                               "  - metadata: {name: c}\n"),
                     0);
    check_list("Pod/p:4 ConfigMap/c:10");
    assert_string_equal(list.items.items[1].api_version, "v1");
    /* Has the name, but is none. */
    assert_int_equal(
        read_text("apiVersion: x.io/v1\nkind: AllowList\nmetadata: {name: l}\nspec: {items: []}"),
        0);
    assert_int_equal(list.items.len, 3);
}

static void test_twins(void **state)
{
    static const char a[] = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n";

    (void)state;
    assert_int_equal(read_text(a), 0);
    assert_int_equal(read_text(a), 0);
    assert_int_equal(list.items.len, 1);
    assert_int_equal(read_text(
                         "\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {k: v}\n"),
                     -1);
    assert_string_equal(test_err.message, "f.yaml:2: ConfigMap \"a\" is written here and, "
                                          "otherwise, in f.yaml:1; which of them is meant?");
}

static void test_refused(void **state)
{
    static const struct {
        const char *text;
        const char *message;
    } cases[] = {
        {"just text", "f.yaml:1: a document must be a map with apiVersion, kind and metadata"},
        {"\nkind: Pod", "f.yaml:2: an object needs an apiVersion, such as \"apps/v1\""},
        {"apiVersion: a/b/c\nkind: Pod", "f.yaml:1: \"a/b/c\" is no apiVersion; it is VERSION or "
                                         "GROUP/VERSION, such as \"apps/v1\""},
        {"apiVersion: v1", "f.yaml:1: an object needs a kind, such as \"Deployment\""},
        {"apiVersion: v1\nkind: Pod", "f.yaml:1: Pod needs metadata with a name"},
        {"apiVersion: v1\nkind: Pod\nmetadata: {name: 7}",
         "f.yaml:1: Pod needs metadata.name, a string"},
        {"apiVersion: v1\nkind: Pod\nmetadata: {name: a/b}",
         "f.yaml:1: \"a/b\" is no name for an object"},
        {"apiVersion: v1\nkind: Pod\nmetadata: {name: a, namespace: ..}",
         "f.yaml:1: metadata.namespace of Pod \"a\" must be a name"},
        {"apiVersion: v1\nkind: Pod\nmetadata: {generateName: a-}",
         "f.yaml:1: Pod has a generateName: each time it would be another object; give it a name, "
         "or create it with \"kubectl create\""},
        {"apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization",
         "f.yaml:1: this file is for kustomize; give what \"kubectl kustomize DIR\" prints, e.g. "
         "with -f -"},
        {"a: 1\na: 2\n", "f.yaml:2:1: the key \"a\" is given twice, first on line 1"},
        {"a: \"\xff\"\n", NULL},
        {"a: [", NULL},
        {"a: \"\\ud83d\"", NULL},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        assert_int_equal(read_text(cases[i].text), -1);
        assert_int_equal(test_err.code, ERR_INVALID);
        if (cases[i].message)
            assert_string_equal(test_err.message, cases[i].message);
        assert_int_equal(list.items.len, 0);
    }
}

static void test_limits(void **state)
{
    CLEANUP_BUF struct buf text = BUF_INIT;

    (void)state;
    for (int i = 0; i <= MANIFEST_OBJECTS_MAX; i++)
        buf_addf(&text,
                 "{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"metadata\":{\"name\":\"p%d\"}}\n", i);
    assert_int_equal(read_text(text.data), -1);
    assert_int_equal(test_err.code, ERR_LIMIT);
    assert_string_equal(test_err.message,
                        "f.yaml:10001: more than 10000 objects; apply them in parts");
}

static void test_set_by_server(void **state)
{
    json_t *body;

    (void)state;
    assert_int_equal(read_text("apiVersion: v1\nkind: Service\nmetadata:\n  name: a\n"
                               "  creationTimestamp: null\n  managedFields: []\n  generation: 3\n"
                               "  uid: u\n  resourceVersion: '7'\n  selfLink: s\n"
                               "  labels: {x: y}\n"
                               "spec: {ports: [{port: 80}, {port: 53, protocol: UDP}]}\n"
                               "status: {loadBalancer: {}}\n---\n"
                               "apiVersion: x.io/v1\nkind: Thing\nmetadata: {name: a}\n"
                               "status: {of: mine}\n"),
                     0);
    check(list.items.items[1].object, "status", "{'of': 'mine'}");
    list.items.items[0].ns = xstrdup("n");
    body = manifest_body(&list.items.items[0], "l", "v");
    check(body, "metadata", "{'name': 'a', 'namespace': 'n', 'labels': {'x': 'y', 'l': 'v'}}");
    check(body, "spec/ports/0", "{'port': 80, 'protocol': 'TCP'}");
    check(body, "spec/ports/1", "{'port': 53, 'protocol': 'UDP'}");
    check(body, "status", NULL);
    check(list.items.items[0].object, "metadata", "{'name': 'a', 'labels': {'x': 'y'}}");
    json_decref(body);
}

static void write_file(const char *dir, const char *name, const char *text)
{
    CLEANUP_FREE char *path = fs_join(dir, name);

    assert_int_equal(fs_write_file(path, text, strlen(text), 0600, &test_err), 0);
}

static void test_directory(void **state)
{
    char dir[] = "/tmp/test-manifest.XXXXXX";
    CLEANUP_FREE char *inner = NULL;

    (void)state;
    assert_non_null(mkdtemp(dir));
    inner = fs_join(dir, "more");
    assert_int_equal(mkdir(inner, 0700), 0);
    assert_int_equal(manifest_list_add_path(&list, dir, false, &test_err), -1);
    assert_non_null(strstr(test_err.message, "--recursive looks into"));
    write_file(dir, "b.yml", "apiVersion: v1\nkind: Pod\nmetadata: {name: b}\n");
    write_file(dir, "a.json",
               "{\"apiVersion\": \"v1\", \"kind\": \"Pod\", \"metadata\": "
               "{\"name\": \"a\"}}");
    write_file(dir, "README.md", "kind: nothing");
    write_file(inner, "c.yaml", "apiVersion: v1\nkind: Pod\nmetadata: {name: c}\n");
    assert_int_equal(manifest_list_add_path(&list, dir, false, &test_err), 0);
    check_list("Pod/a:1 Pod/b:1");
    assert_int_equal(manifest_list_add_path(&list, dir, true, &test_err), 0);
    check_list("Pod/a:1 Pod/b:1 Pod/c:1");
    assert_int_equal(fs_remove_tree(dir, &test_err), 0);
    assert_int_equal(manifest_list_add_path(&list, dir, false, &test_err), -1);
}

static void test_ranks(void **state)
{
    static const struct {
        const char *version;
        const char *kind;
        enum manifest_rank rank;
    } cases[] = {
        {"v1", "Namespace", RANK_NAMESPACE},
        {"apiextensions.k8s.io/v1", "CustomResourceDefinition", RANK_DEFINITION},
        {"v1", "ServiceAccount", RANK_ACCOUNT},
        {"v1", "ConfigMap", RANK_BASE},
        {"rbac.authorization.k8s.io/v1", "Role", RANK_BASE},
        {"rbac.authorization.k8s.io/v1", "RoleBinding", RANK_BINDING},
        {"v1", "Service", RANK_SERVICE},
        {"apps/v1", "Deployment", RANK_WORKLOAD},
        {"batch/v1", "Job", RANK_WORKLOAD},
        {"networking.k8s.io/v1", "Ingress", RANK_WORKLOAD},
        {"example.org/v1", "Role", RANK_CUSTOM},
        {"serving.knative.dev/v1", "Service", RANK_CUSTOM},
        {"admissionregistration.k8s.io/v1", "ValidatingWebhookConfiguration", RANK_REGISTER},
        {"apiregistration.k8s.io/v1", "APIService", RANK_REGISTER},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        const struct manifest m = {.api_version = cases[i].version, .kind = cases[i].kind};

        if (manifest_rank(&m) != cases[i].rank)
            fail_msg("%s %s has rank %d", m.api_version, m.kind, (int)manifest_rank(&m));
    }
}

static void test_titles(void **state)
{
    CLEANUP_BUF struct buf title = BUF_INIT;
    const struct manifest m = {.api_version = "apps/v1",
                               .kind = "Deployment",
                               .name = "web",
                               .source = "f",
                               .pos = {.line = 3}};

    (void)state;
    manifest_add_title(&title, "v1", "ConfigMap", "a");
    assert_string_equal(title.data, "configmap/a");
    manifest_error(&m, &test_err, ERR_LIMIT, "too %s", "much");
    assert_string_equal(test_err.message, "f:3: deployment.apps/web: too much");
    assert_true(manifest_is(&m, "apps", "Deployment"));
    assert_false(manifest_is(&m, "app", "Deployment"));
    assert_false(manifest_is(&m, "", "Deployment"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_documents, each_teardown),
        cmocka_unit_test_teardown(test_json, each_teardown),
        cmocka_unit_test_teardown(test_lists, each_teardown),
        cmocka_unit_test_teardown(test_twins, each_teardown),
        cmocka_unit_test_teardown(test_refused, each_teardown),
        cmocka_unit_test_teardown(test_limits, each_teardown),
        cmocka_unit_test_teardown(test_set_by_server, each_teardown),
        cmocka_unit_test_teardown(test_directory, each_teardown),
        cmocka_unit_test(test_ranks),
        cmocka_unit_test_teardown(test_titles, each_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
