#include "tests/unit/kube/kube_test.h"

#include "apis/kube/cluster.h"
#include "apis/kube/credentials.h"
#include "apis/kube/plugin.h"
#include "base/clock.h"

/* base64 of a text that begins as PEM does */
#define PEM  "-----BEGIN CERTIFICATE-----\n"
#define DATA "LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0tCg=="

#define CONTEXT "current-context: c\ncontexts: [{name: c, context: {cluster: k, user: u}}]\n"
#define CLUSTER "clusters: [{name: k, cluster: {server: 'https://k:6443/'}}]\n"

static int setup(void **state)
{
    (void)state;
    return make_dir();
}

static int teardown(void **state)
{
    (void)state;
    remove_dir();
    return 0;
}

static int each_setup(void **state)
{
    (void)state;
    ctx_init_cleanup(&test_ctx, 120000);
    err_clear(&test_err);
    return 0;
}

/* The headers and TLS of the user in a kubeconfig. */
static int auth_of(const char *user, struct kube_auth *ret)
{
    CLEANUP_FREE char *text = xasprintf(CONTEXT CLUSTER "users: [{name: u, user: %s}]\n", user);
    CLEANUP_KUBE_CLUSTER struct kube_cluster *cluster = NULL;

    if (select_text(text, &cluster) < 0)
        return -1;
    return kube_credentials_get(&test_ctx, cluster->credentials, ret, &test_err);
}

static void test_whole(void **state)
{
    static const char text[] =
        "apiVersion: v1\nkind: Config\npreferences: {colors: true}\n"
        "current-context: dev\n"
        "contexts:\n- name: dev\n  context: {cluster: k, user: u, namespace: build}\n"
        "clusters:\n- name: k\n  cluster:\n    server: https://[::1]:6443/prefix/\n"
        "    certificate-authority-data: " DATA "\n    tls-server-name: api.test\n"
        "    proxy-url: socks5://localhost:1080\n"
        "users:\n- name: u\n  user:\n    client-certificate-data: " DATA
        "\n    client-key: key.pem\n";
    CLEANUP_KUBE_CLUSTER struct kube_cluster *cluster = NULL;
    CLEANUP_KUBE_AUTH struct kube_auth auth = {0};
    CLEANUP_FREE char *key = file_path("key.pem");

    (void)state;
    write_file("key.pem", "key", 0600);
    assert_ok(select_text(text, &cluster));
    assert_string_equal(kube_cluster_server(cluster), "https://[::1]:6443/prefix");
    assert_string_equal(kube_cluster_namespace(cluster), "build");
    assert_string_equal(kube_cluster_context(cluster), "dev");
    assert_string_equal(cluster->ca_pem, PEM);
    assert_null(cluster->ca_file);
    assert_string_equal(cluster->tls_server_name, "api.test");
    assert_string_equal(cluster->proxy, "socks5://localhost:1080");
    assert_false(cluster->insecure);
    assert_ok(kube_credentials_get(&test_ctx, cluster->credentials, &auth, &test_err));
    assert_string_equal(auth.tls.cert_pem, PEM);
    assert_string_equal(auth.tls.key_file, key);
    assert_int_equal(auth.headers.len, 0);
}

static void test_users(void **state)
{
    static const struct {
        const char *user;
        const char *headers[4];
    } rows[] = {
        {"{}", {NULL}},
        {"{token: abc}", {"Authorization: Bearer abc"}},
        {"{tokenFile: t}", {"Authorization: Bearer from file"}},
        {"{tokenFile: t, token: abc}", {"Authorization: Bearer from file"}},
        {"{tokenFile: missing, token: abc}", {"Authorization: Bearer abc"}},
        {"{username: me, password: 's3:cret'}", {"Authorization: Basic bWU6czM6Y3JldA=="}},
        {"{token: abc, as: bob, as-uid: '7', as-groups: [x, y]}",
         {"Authorization: Bearer abc", "Impersonate-User: bob", "Impersonate-Uid: 7",
          "Impersonate-Group: x"}},
        {"{as: bob, as-user-extra: {'a/b': [c]}}",
         {"Impersonate-User: bob", "Impersonate-Extra-a%2Fb: c"}},
    };

    (void)state;
    write_file("t", "from file\n\n", 0600);
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        CLEANUP_KUBE_AUTH struct kube_auth auth = {0};

        assert_ok(auth_of(rows[i].user, &auth));
        for (size_t k = 0; k < 4; k++) {
            if (k < auth.headers.len && rows[i].headers[k])
                assert_string_equal(auth.headers.items[k], rows[i].headers[k]);
            else
                assert_true(k >= auth.headers.len && !rows[i].headers[k]);
        }
    }
}

static void test_bad_files(void **state)
{
    static const struct {
        const char *text;
        const char *message;
    } rows[] = {
        {"a: [", "/config:2:1: "},
        {"- a\n", "/config: it is not a kubeconfig file, which is a map"},
        {"kind: Pod\n", "/config: it is not a kubeconfig file: its kind is Pod, not Config"},
        {"clusters: 7\n", "/config: clusters is not a list"},
        {"clusters: [{cluster: {}}]\n", "/config: clusters[0] has no name"},
        {"users: [{name: a}, {name: a}]\n",
         "/config: two users are named \"a\"; rename or remove one"},
        {"", "/config: no current-context is set; choose one of the contexts: there are none"},
        {"contexts: [{name: a}, {name: b}]\n",
         "no current-context is set; choose one of the contexts: a, b"},
        {"current-context: 7\n", "/config: current-context is not a string"},
        {"current-context: c\ncontexts: [{name: d}]\n", "there is no context \"c\"; there"},
        {"current-context: c\ncontexts: [{name: c}]\n", "context \"c\": it names no cluster"},
        {CONTEXT, "context \"c\": there is no cluster \"k\""},
        {CONTEXT CLUSTER, "context \"c\": there is no user \"u\""},
        {CONTEXT "clusters: [{name: k}]\nusers: [{name: u}]\n", "cluster \"k\": it has no server"},
        {CONTEXT "clusters: [{name: k, cluster: {server: 'k:6443'}}]\nusers: [{name: u}]\n",
         "cluster \"k\": its server is \"k:6443\", which is no https:// URL"},
        {CONTEXT "clusters: [{name: k, cluster: {server: 'https://k', certificate-authority-data: "
                 "'!'}}]\nusers: [{name: u}]\n",
         "cluster \"k\": certificate-authority-data is not PEM in base64"},
        {CONTEXT "clusters: [{name: k, cluster: {server: 'https://k', certificate-authority: "
                 "no.pem}}]\nusers: [{name: u}]\n",
         "cluster \"k\": certificate-authority: cannot read /tmp/kube-test-"},
        {CONTEXT "clusters: [{name: k, cluster: {server: 'https://k', insecure-skip-tls-verify: "
                 "true, certificate-authority-data: " DATA "}}]\nusers: [{name: u}]\n",
         "exclude each other; remove one"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        CLEANUP_KUBE_CLUSTER struct kube_cluster *cluster = NULL;

        assert_int_equal(select_text(rows[i].text, &cluster), -1);
        assert_message(rows[i].message);
    }
}

static void test_bad_users(void **state)
{
    static const struct {
        const char *user;
        const char *message;
    } rows[] = {
        {"{token: 12345}", "user \"u\": token is not a string; put it into quotes"},
        {"{token: \"a\\nb\"}", "user \"u\": the token has a line end in it"},
        {"{tokenFile: missing}", "/missing"},
        {"{tokenFile: empty}", "/empty does not hold a token"},
        {"{client-certificate-data: " DATA "}",
         "client-certificate and client-key belong together; one is missing"},
        {"{auth-provider: {name: gcp}}", "auth-provider gcp is not supported, nor by Kubernetes"},
        {"{exec: {apiVersion: client.authentication.k8s.io/v1}}", "exec has no command"},
        {"{exec: {apiVersion: client.authentication.k8s.io/v1alpha1, command: x}}",
         "exec.apiVersion is client.authentication.k8s.io/v1alpha1, but the runner speaks"},
        {"{exec: {apiVersion: client.authentication.k8s.io/v1, command: x, "
         "interactiveMode: Always}}",
         "x wants to ask at a terminal"},
        {"{exec: {apiVersion: client.authentication.k8s.io/v1, command: no-such-plugin-here, "
         "installHint: get it there}}",
         "the credential plugin no-such-plugin-here is not installed: get it there"},
        {"{exec: {apiVersion: client.authentication.k8s.io/v1, command: sh, "
         "args: [-c, 'echo oh no >&2; exit 3']}}",
         "the credential plugin sh failed (exit code 3): oh no"},
        {"{as: \"a\\r\\nb\"}", "has a line end in it"},
    };

    (void)state;
    write_file("empty", "\n", 0600);
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        CLEANUP_KUBE_AUTH struct kube_auth auth = {0};

        assert_int_equal(auth_of(rows[i].user, &auth), -1);
        assert_message(rows[i].message);
        assert_message("user \"u\"");
    }
}

static void test_plugin_output(void **state)
{
    static const struct {
        const char *text;
        const char *message;
    } rows[] = {
        {"hello", "what it printed is not JSON (line 1)"},
        {"{}", "it printed   instead of client.authentication.k8s.io/v1 ExecCredential"},
        {"{\"apiVersion\": \"client.authentication.k8s.io/v1\", \"kind\": \"ExecCredential\"}",
         "it gave neither a token nor a client certificate"},
        {"{\"apiVersion\": \"client.authentication.k8s.io/v1\", \"kind\": \"ExecCredential\", "
         "\"status\": {\"clientKeyData\": \"x\"}}",
         "it gave only one of"},
        {"{\"apiVersion\": \"client.authentication.k8s.io/v1\", \"kind\": \"ExecCredential\", "
         "\"status\": {\"token\": \"x\", \"expirationTimestamp\": \"soon\"}}",
         "its expirationTimestamp soon is not RFC 3339"},
    };
    struct kube_plugin plugin = {.api_version = (char *)"client.authentication.k8s.io/v1"};
    struct kube_plugin_result result = {0};
    static const char good[] =
        "{\"apiVersion\": \"client.authentication.k8s.io/v1\", \"kind\": \"ExecCredential\", "
        "\"status\": {\"token\": \"x\", \"expirationTimestamp\": \"2026-01-02T03:04:05+01:00\"}}";

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        assert_error(kube_plugin_parse(&plugin, rows[i].text, strlen(rows[i].text), &result,
                                       &test_err),
                     ERR_DENIED);
        assert_message(rows[i].message);
    }
    assert_ok(kube_plugin_parse(&plugin, good, strlen(good), &result, &test_err));
    assert_string_equal(result.token, "x");
    assert_int_equal(result.expires_ms, 1767319445000);
    kube_plugin_result_release(&result);
}

static void test_times(void **state)
{
    static const struct {
        const char *text;
        int64_t ms; /* -1: none */
    } rows[] = {
        {"1970-01-01T00:00:01Z", 1000},
        {"1970-01-01T00:00:01.25Z", 1250},
        {"1970-01-01T01:00:00+01:00", 0},
        {"1970-01-01T00:00:00-00:30", 1800000},
        {"1970-01-01T00:00:00.123456789Z", 123},
        {"1970-01-01", -1},
        {"1970-01-01T00:00:00", -1},
        {"1970-01-01T00:00:00Zz", -1},
        {"1970-01-01T00:00:00+1:00", -1},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        int64_t ms = -1;

        assert_int_equal(clock_parse_rfc3339(rows[i].text, &ms), rows[i].ms < 0 ? -1 : 0);
        assert_int_equal(ms, rows[i].ms);
    }
}

/* The first file wins, entry by entry; a file that is missing is passed over, and paths are those
 * of the directory of their file. */
static void test_merge(void **state)
{
    CLEANUP_FREE char *sub = file_path("sub");
    CLEANUP_FREE char *list = xasprintf("%s/none::%s/one:%s/sub/two", test_dir, test_dir, test_dir);
    CLEANUP_FREE char *cert = file_path("sub/cert");
    const struct kube_env env = {.kubeconfig = list, .home = "/nowhere"};
    CLEANUP_KUBE_CONFIG struct kube_config *config = NULL;
    CLEANUP_KUBE_CLUSTER struct kube_cluster *first = NULL;
    CLEANUP_KUBE_CLUSTER struct kube_cluster *second = NULL;
    CLEANUP_KUBE_AUTH struct kube_auth auth = {0};

    (void)state;
    assert_int_equal(mkdir(sub, 0700), 0);
    write_file("one",
               "contexts: [{name: a, context: {cluster: k, user: u}}]\n"
               "clusters: [{name: k, cluster: {server: 'https://one'}}]\n",
               0600);
    write_file("sub/two",
               "current-context: b\n"
               "contexts: [{name: a, context: {cluster: other}},\n"
               "           {name: b, context: {cluster: k, user: u, namespace: n}}]\n"
               "clusters: [{name: k, cluster: {server: 'https://two', tls-server-name: x}}]\n"
               "users: [{name: u, user: {client-certificate: cert, client-key: ./cert}}]\n",
               0600);
    write_file("sub/cert", "c", 0600);
    assert_ok(kube_config_load(&env, &config, &test_err));
    assert_ok(kube_config_select(config, NULL, NULL, &first, &test_err));
    assert_string_equal(kube_cluster_context(first), "b");
    assert_string_equal(kube_cluster_namespace(first), "n");
    assert_string_equal(kube_cluster_server(first), "https://one");
    assert_null(first->tls_server_name);
    assert_ok(kube_credentials_get(&test_ctx, first->credentials, &auth, &test_err));
    assert_string_equal(auth.tls.cert_file, cert);
    assert_ok(kube_config_select(config, "a", "mine", &second, &test_err));
    assert_string_equal(kube_cluster_namespace(second), "mine");
    assert_string_equal(kube_cluster_server(second), "https://one");
}

static void test_addresses(void **state)
{
    static const struct {
        const char *address;
        const char *context;
        const char *ns;
    } rows[] = {
        {"k8s://", NULL, NULL},
        {"k8s://dev", "dev", NULL},
        {"k8s://dev/", "dev", NULL},
        {"k8s://dev/build", "dev", "build"},
        {"k8s:///build", NULL, "build"},
        {"k8s://arn:aws:eks:x:1:cluster/prod", "arn:aws:eks:x:1:cluster/prod", NULL},
        {"k8s://arn:aws:eks:x:1:cluster/prod/build", "arn:aws:eks:x:1:cluster/prod", "build"},
        {"k8s://a%2Fb/build", "a/b", "build"},
    };
    CLEANUP_FREE char *path = file_path("config");
    const struct kube_env env = {.file = path};
    CLEANUP_KUBE_CONFIG struct kube_config *config = NULL;
    char *context = NULL;
    char *ns = NULL;

    (void)state;
    write_file("config", "contexts: [{name: 'arn:aws:eks:x:1:cluster/prod'}]\n", 0600);
    assert_ok(kube_config_load(&env, &config, &test_err));
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        assert_ok(kube_config_address(config, rows[i].address, &context, &ns, &test_err));
        assert_int_equal(!context, !rows[i].context);
        assert_int_equal(!ns, !rows[i].ns);
        if (context)
            assert_string_equal(context, rows[i].context);
        if (ns)
            assert_string_equal(ns, rows[i].ns);
        free(context);
        free(ns);
    }
    assert_error(kube_config_address(config, "http://x", &context, &ns, &test_err), ERR_INVALID);
}

static void test_pod(void **state)
{
    CLEANUP_FREE char *dir = file_path("sa");
    struct kube_env env = {.home = test_dir,
                           .service_host = "fd00::1",
                           .service_port = "443",
                           .service_account_dir = dir};
    CLEANUP_KUBE_CONFIG struct kube_config *config = NULL;
    CLEANUP_KUBE_CLUSTER struct kube_cluster *cluster = NULL;
    CLEANUP_KUBE_AUTH struct kube_auth auth = {0};
    CLEANUP_FREE char *ca = file_path("sa/ca.crt");

    (void)state;
    assert_int_equal(mkdir(dir, 0700), 0);
    assert_ok(kube_config_load(&env, &config, &test_err));
    assert_int_equal(kube_config_select(config, NULL, NULL, &cluster, &test_err), -1);
    assert_message("automountServiceAccountToken");
    write_file("sa/token", "pod token", 0600);
    write_file("sa/namespace", "ci\n", 0600);
    assert_ok(kube_config_select(config, NULL, NULL, &cluster, &test_err));
    assert_string_equal(kube_cluster_server(cluster), "https://[fd00::1]:443");
    assert_string_equal(kube_cluster_namespace(cluster), "ci");
    assert_string_equal(kube_cluster_context(cluster), "");
    assert_string_equal(cluster->ca_file, ca);
    assert_ok(kube_credentials_get(&test_ctx, cluster->credentials, &auth, &test_err));
    assert_string_equal(auth.headers.items[0], "Authorization: Bearer pod token");
    assert_error(kube_config_select(config, "dev", NULL, &cluster, &test_err), ERR_INVALID);
    assert_message("there is no context \"dev\": this pod has no kubeconfig file");
}

static void test_nothing(void **state)
{
    struct kube_env env = {.home = "/nowhere"};
    struct kube_config *config = NULL;

    (void)state;
    assert_error(kube_config_load(&env, &config, &test_err), ERR_NOT_FOUND);
    assert_message("there is no /nowhere/.kube/config, and this is no pod of one");
    env.kubeconfig = "/nowhere/a:/nowhere/b";
    assert_error(kube_config_load(&env, &config, &test_err), ERR_NOT_FOUND);
    assert_string_equal(test_err.message, "none of the files that KUBECONFIG names exists: "
                                          "/nowhere/a:/nowhere/b");
    env.file = "/nowhere/c";
    assert_error(kube_config_load(&env, &config, &test_err), ERR_INVALID);
    assert_string_equal(test_err.message, "kubeconfig: /nowhere/c does not exist");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_whole, each_setup),
        cmocka_unit_test_setup(test_users, each_setup),
        cmocka_unit_test_setup(test_bad_files, each_setup),
        cmocka_unit_test_setup(test_bad_users, each_setup),
        cmocka_unit_test_setup(test_plugin_output, each_setup),
        cmocka_unit_test_setup(test_times, each_setup),
        cmocka_unit_test_setup(test_merge, each_setup),
        cmocka_unit_test_setup(test_addresses, each_setup),
        cmocka_unit_test_setup(test_pod, each_setup),
        cmocka_unit_test_setup(test_nothing, each_setup),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
