/* The permissions of the engine in a real cluster, whose cluster-admin's kubeconfig
 * RUNNER_TEST_KUBECONFIG names: the rules that are said to be missing are those that help. Makes
 * and removes a Role and its binding, with a name of their own, in the namespace "default". */
#include "tests/unit/kube/kube_test.h"

#include "apis/kube/cluster.h"
#include "apis/kube/credentials.h"
#include "apis/kube/object.h"
#include "engine/kubernetes/access.h"
#include "yaml/yaml_json.h"

#define NAME "runner-test-access"
#define RBAC "rbac.authorization.k8s.io/v1"

static struct kube_cluster *cluster;
static struct kube_client *admin;
static struct kube_cluster *weak_cluster;
static struct kube_client *weak;

static void remove_object(const char *resource)
{
    const struct kube_ref ref = {RBAC, resource, "default", NAME, NULL};

    if (kube_delete(&test_ctx, admin, &ref, NULL, NULL, &test_err) < 0)
        assert_int_equal(test_err.code, ERR_NOT_FOUND);
}

static void remove_role(void)
{
    remove_object("rolebindings");
    remove_object("roles");
}

/* The same cluster, as somebody who may do nothing. */
static void become_weak(void)
{
    CLEANUP_KUBE_AUTH struct kube_auth auth = {0};
    CLEANUP_FREE char *text = NULL;

    assert_ok(kube_credentials_get(&test_ctx, cluster->credentials, &auth, &test_err));
    text = xasprintf("current-context: c\ncontexts: [{name: c, context: {cluster: k, user: u}}]\n"
                     "clusters: [{name: k, cluster: {server: '%s', certificate-authority: '%s'}}]\n"
                     "users: [{name: u, user: {as: " NAME ", client-certificate: '%s', "
                     "client-key: '%s'}}]\n",
                     cluster->server, cluster->ca_file, auth.tls.cert_file, auth.tls.key_file);
    assert_ok(select_text(text, &weak_cluster));
    weak = kube_client_new(weak_cluster);
}

static int setup(void **state)
{
    struct kube_env env = {.file = getenv("RUNNER_TEST_KUBECONFIG")};
    CLEANUP_KUBE_CONFIG struct kube_config *config = NULL;

    (void)state;
    ctx_init_cleanup(&test_ctx, 60000);
    if (!env.file) {
        print_error("RUNNER_TEST_KUBECONFIG is not set: this needs a cluster\n");
        return -1;
    }
    if (make_dir() < 0 || kube_config_load(&env, &config, &test_err) < 0 ||
        kube_config_select(config, NULL, "default", &cluster, &test_err) < 0) {
        print_error("%s\n", test_err.message);
        return -1;
    }
    admin = kube_client_new(cluster);
    become_weak();
    remove_role();
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    if (!admin)
        return 0;
    remove_role();
    kube_client_free(weak);
    kube_cluster_free(weak_cluster);
    kube_client_free(admin);
    kube_cluster_free(cluster);
    remove_dir();
    return 0;
}

static void create_object(const char *resource, json_t *object)
{
    const struct kube_ref ref = {RBAC, resource, "default", NULL, NULL};

    assert_non_null(object);
    assert_ok(kube_create(&test_ctx, admin, &ref, object, NULL, &test_err));
    json_decref(object);
}

/* Grants the rules of a YAML text. */
static void grant(const char *rules)
{
    struct diag_list diags = {0};
    CLEANUP_YAML_TREE struct yaml_tree *tree = yaml_tree_parse(rules, strlen(rules), NULL, &diags);

    assert_non_null(tree);
    create_object("roles", json_pack("{s:s, s:s, s:{s:s}, s:o}", "apiVersion", RBAC, "kind", "Role",
                                     "metadata", "name", NAME, "rules",
                                     yaml_node_to_json(yaml_tree_root(tree))));
    create_object("rolebindings",
                  json_pack("{s:s, s:s, s:{s:s}, s:{s:s, s:s, s:s}, s:[{s:s, s:s, s:s}]}",
                            "apiVersion", RBAC, "kind", "RoleBinding", "metadata", "name", NAME,
                            "roleRef", "apiGroup", "rbac.authorization.k8s.io", "kind", "Role",
                            "name", NAME, "subjects", "apiGroup", "rbac.authorization.k8s.io",
                            "kind", "User", "name", NAME));
    diag_list_release(&diags);
}

/* The authorizer of a real server learns of a new Role a moment later. */
static void probe_until_it_works(struct buf *report)
{
    while (kubernetes_access_probe(&test_ctx, weak, report, &test_err) < 0) {
        assert_int_equal(test_err.code, ERR_DENIED);
        assert_ok(ctx_sleep(&test_ctx, 100, &test_err));
        buf_reset(report);
    }
}

static void rules_that_are_missing_help(void **state)
{
    CLEANUP_BUF struct buf rules = BUF_INIT;
    CLEANUP_BUF struct buf report = BUF_INIT;
    struct kubernetes_missing missing;

    (void)state;
    assert_ok(kubernetes_access_check(&test_ctx, weak, "default", &rules, &missing, &test_err));
    assert_int_equal(missing.required, 15);
    assert_int_equal(missing.optional, 5);
    assert_error(kubernetes_access_probe(&test_ctx, weak, &report, &test_err), ERR_DENIED);
    assert_message("15 of the permissions that jobs need are missing in the namespace default of ");
    assert_non_null(strstr(report.data, rules.data));
    buf_reset(&report);
    grant(rules.data);
    probe_until_it_works(&report);
    assert_int_equal(strncmp(report.data, "v1.", 3), 0);
    assert_null(strchr(report.data, '\n'));
}

static void an_admin_lacks_nothing(void **state)
{
    CLEANUP_BUF struct buf report = BUF_INIT;

    (void)state;
    assert_ok(kubernetes_access_probe(&test_ctx, admin, &report, &test_err));
    assert_null(strchr(report.data, '\n'));
}

static void there_is_no_such_namespace(void **state)
{
    CLEANUP_FREE char *path = xstrdup(getenv("RUNNER_TEST_KUBECONFIG"));
    const struct kube_env env = {.file = path};
    CLEANUP_KUBE_CONFIG struct kube_config *config = NULL;
    struct kube_cluster *other = NULL;
    struct kube_client *client;
    CLEANUP_BUF struct buf report = BUF_INIT;

    (void)state;
    assert_ok(kube_config_load(&env, &config, &test_err));
    assert_ok(kube_config_select(config, NULL, NAME, &other, &test_err));
    client = kube_client_new(other);
    assert_error(kubernetes_access_probe(&test_ctx, client, &report, &test_err), ERR_INVALID);
    assert_message("has no namespace \"" NAME "\"");
    kube_client_free(client);
    kube_cluster_free(other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rules_that_are_missing_help),
        cmocka_unit_test(an_admin_lacks_nothing),
        cmocka_unit_test(there_is_no_such_namespace),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
