/* The permissions of the engine: what is asked, what is said, and that the role and the
 * documentation say the same. UPDATE_EXPECTED=1 writes the table of the documentation anew. */
#include "tests/unit/kube/fake.h"

#include "engine/kubernetes/access.h"
#include "yaml/yaml_json.h"

#define ROOT     TEST_DATA "/../../"
#define DOCUMENT ROOT "docs/kubernetes.md"
#define BEGIN    "<!-- generated from the permission table: begin -->\n"
#define END      "<!-- generated from the permission table: end -->\n"

static int setup(void **state)
{
    (void)state;
    ctx_init_cleanup(&test_ctx, 120000);
    return make_dir() < 0 ? -1 : start_fake();
}

static int teardown(void **state)
{
    (void)state;
    stop_fake();
    remove_dir();
    return 0;
}

/* A client of the namespace, by which the fake server behaves. */
struct fixture {
    struct kube_cluster *cluster;
    struct kube_client *client;
    struct buf report;
    struct kubernetes_missing missing;
};

static void begin(struct fixture *f, const char *ns)
{
    CLEANUP_FREE char *path = file_path("config");
    CLEANUP_KUBE_CONFIG struct kube_config *config = NULL;
    const struct kube_env env = {.file = path};

    *f = (struct fixture){.report = BUF_INIT};
    err_clear(&test_err);
    kube_cluster_free(select_user("", "{}"));
    assert_ok(kube_config_load(&env, &config, &test_err));
    assert_ok(kube_config_select(config, NULL, ns, &f->cluster, &test_err));
    f->client = kube_client_new(f->cluster);
}

static void end(struct fixture *f)
{
    kube_client_free(f->client);
    kube_cluster_free(f->cluster);
    buf_release(&f->report);
}

static int check(struct fixture *f, const char *ns)
{
    begin(f, ns);
    return kubernetes_access_check(&test_ctx, f->client, ns, &f->report, &f->missing, &test_err);
}

static int probe(struct fixture *f, const char *ns)
{
    begin(f, ns);
    return kubernetes_access_probe(&test_ctx, f->client, &f->report, &test_err);
}

static void everything_is_allowed(void **state)
{
    struct fixture f;

    (void)state;
    assert_ok(check(&f, "open"));
    assert_int_equal(f.missing.required, 0);
    assert_int_equal(f.missing.optional, 0);
    assert_string_equal(f.report.data, "");
    end(&f);
}

static void what_is_missing_is_said_as_rules(void **state)
{
    struct fixture f;

    (void)state;
    assert_ok(check(&f, "mute"));
    assert_int_equal(f.missing.required, 2);
    assert_int_equal(f.missing.optional, 0);
    assert_string_equal(f.report.data,
                        "- {apiGroups: [\"\"], resources: [pods/exec], verbs: [create, get]}  # "
                        "steps run, and files come and go, by exec in the pod\n");
    end(&f);
    assert_ok(check(&f, "steps"));
    assert_int_equal(f.missing.required, 0);
    assert_int_equal(f.missing.optional, 5);
    assert_string_equal(f.report.data,
                        "- {apiGroups: [\"\"], resources: [events], verbs: [list, watch]}  # "
                        "optional: why a pod does not start is said at once\n"
                        "- {apiGroups: [\"\"], resources: [persistentvolumeclaims], verbs: "
                        "[create, delete, list]}  # optional: a workspace may be a volume that is "
                        "claimed for the job\n");
    end(&f);
}

/* The lines are YAML, and together all rules of the table. */
static void nothing_is_allowed(void **state)
{
    CLEANUP_YAML_TREE struct yaml_tree *tree = NULL;
    struct diag_list diags = {0};
    struct fixture f;
    size_t rows = 0;

    (void)state;
    assert_ok(check(&f, "nothing"));
    assert_int_equal(f.missing.required, 15);
    assert_int_equal(f.missing.optional, 5);
    tree = yaml_tree_parse(f.report.data, f.report.len, NULL, &diags);
    assert_non_null(tree);
    while (kubernetes_permissions[rows].resource)
        rows++;
    assert_int_equal(yaml_tree_root(tree)->len, rows);
    end(&f);
    diag_list_release(&diags);
}

static void who_cannot_be_asked(void **state)
{
    struct fixture f;

    (void)state;
    assert_error(check(&f, "broken"), ERR_INVALID);
    assert_string_equal(test_err.message, "cannot ask for permissions: cannot think");
    end(&f);
}

static void probe_tells_of_what_works(void **state)
{
    CLEANUP_FREE char *wanted = NULL;
    struct fixture f;

    (void)state;
    assert_ok(probe(&f, "open"));
    wanted = xasprintf("v1.20.2 at http://127.0.0.1:%d, namespace open", fake_port);
    assert_string_equal(f.report.data, wanted);
    end(&f);
    assert_ok(probe(&f, "steps"));
    assert_non_null(strstr(f.report.data, ", namespace steps\nmore works with these rules in its "
                                          "Role:\n- {apiGroups: [\"\"], resources: [events]"));
    end(&f);
}

static void probe_fails_for_what_is_needed(void **state)
{
    CLEANUP_FREE char *wanted = NULL;
    struct fixture f;

    (void)state;
    assert_error(probe(&f, "mute"), ERR_DENIED);
    wanted = xasprintf("2 of the permissions that jobs need are missing in the namespace mute of "
                       "http://127.0.0.1:%d",
                       fake_port);
    assert_string_equal(test_err.message, wanted);
    assert_ptr_equal(strstr(f.report.data, "give it a Role with these rules in the namespace "
                                           "(deploy/kubernetes/role.yaml has all of them):\n- {"),
                     f.report.data);
    end(&f);
}

static void probe_looks_for_the_namespace(void **state)
{
    CLEANUP_FREE char *wanted = NULL;
    struct fixture f;

    (void)state;
    assert_error(probe(&f, "gone"), ERR_INVALID);
    wanted = xasprintf("http://127.0.0.1:%d has no namespace \"gone\"", fake_port);
    assert_string_equal(test_err.message, wanted);
    assert_string_equal(f.report.data, "make it (kubectl create namespace gone), or choose another "
                                       "with --namespace");
    end(&f);
    /* Nobody is told, so it may be there: what is missing are the permissions. */
    assert_error(probe(&f, "hidden"), ERR_DENIED);
    assert_message("15 of the permissions");
    end(&f);
}

static void what_to_do(void **state)
{
    static const struct err nothing = {.code = ERR_NOT_FOUND};
    static const struct err away = {.code = ERR_UNAVAILABLE};
    static const struct err denied = {.code = ERR_DENIED};

    (void)state;
    assert_non_null(strstr(kubernetes_access_mend(&nothing), "--kubeconfig"));
    assert_non_null(strstr(kubernetes_access_mend(&away), "--context"));
    assert_null(kubernetes_access_mend(&denied));
}

/* --- what else says it --- */

static char *read_text(const char *path)
{
    struct buf text = BUF_INIT;

    assert_ok(fs_read_file(path, 1 << 20, &text, &test_err));
    return buf_steal(&text);
}

static json_t *read_role(void)
{
    CLEANUP_FREE char *text = read_text(ROOT "deploy/kubernetes/role.yaml");
    CLEANUP_YAML_TREE struct yaml_tree *tree = NULL;
    struct diag_list diags = {0};
    json_t *role;

    tree = yaml_tree_parse(text, strlen(text), NULL, &diags);
    assert_non_null(tree);
    role = yaml_node_to_json(yaml_tree_root(tree));
    diag_list_release(&diags);
    return role;
}

static json_t *rule_of(const struct kubernetes_permission *p)
{
    CLEANUP_FREE char *resource = xasprintf("%s%s%s", p->resource, p->subresource ? "/" : "",
                                            p->subresource ? p->subresource : "");
    json_t *verbs = json_array();

    for (const char *const *verb = p->verbs; *verb; verb++)
        json_array_append_new(verbs, json_string(*verb));
    return json_pack("{s:[s], s:[s], s:o}", "apiGroups", p->group, "resources", resource, "verbs",
                     verbs);
}

static void role_has_the_rules(void **state)
{
    json_t *role = read_role();
    json_t *wanted = json_array();

    (void)state;
    for (const struct kubernetes_permission *p = kubernetes_permissions; p->resource; p++)
        json_array_append_new(wanted, rule_of(p));
    if (!json_equal(json_object_get(role, "rules"), wanted))
        fail_msg("the rules of deploy/kubernetes/role.yaml should be %s",
                 json_dumps(wanted, JSON_INDENT(2)));
    json_decref(role);
    json_decref(wanted);
}

static void add_row(const struct kubernetes_permission *p, struct buf *out)
{
    buf_addf(out, "| `%s%s%s` |", p->resource, p->subresource ? "/" : "",
             p->subresource ? p->subresource : "");
    for (const char *const *verb = p->verbs; *verb; verb++)
        buf_addf(out, "%s `%s`", verb == p->verbs ? "" : ",", *verb);
    buf_addf(out, " | %s%s |\n", p->why, p->optional ? " (optional)" : "");
}

static void document_has_the_table(void **state)
{
    CLEANUP_FREE char *text = read_text(DOCUMENT);
    CLEANUP_BUF struct buf wanted = BUF_INIT;
    const char *start = strstr(text, BEGIN);
    const char *stop = strstr(text, END);

    (void)state;
    assert_true(start && stop && start < stop);
    buf_add(&wanted, text, (size_t)(start - text) + strlen(BEGIN));
    buf_addstr(&wanted, "\n| resource | verbs | for what |\n|---|---|---|\n");
    for (const struct kubernetes_permission *p = kubernetes_permissions; p->resource; p++)
        add_row(p, &wanted);
    buf_addch(&wanted, '\n');
    buf_addstr(&wanted, stop);
    if (getenv("UPDATE_EXPECTED"))
        assert_ok(fs_write_file(DOCUMENT, wanted.data, wanted.len, 0644, &test_err));
    else
        assert_string_equal(text, wanted.data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(everything_is_allowed),
        cmocka_unit_test(what_is_missing_is_said_as_rules),
        cmocka_unit_test(nothing_is_allowed),
        cmocka_unit_test(who_cannot_be_asked),
        cmocka_unit_test(probe_tells_of_what_works),
        cmocka_unit_test(probe_fails_for_what_is_needed),
        cmocka_unit_test(probe_looks_for_the_namespace),
        cmocka_unit_test(what_to_do),
        cmocka_unit_test(role_has_the_rules),
        cmocka_unit_test(document_has_the_table),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
