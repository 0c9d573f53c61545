/* Against a real API server, whose cluster-admin's kubeconfig RUNNER_TEST_KUBECONFIG names. Makes
 * and removes objects with names of its own in the namespace "default". */
#include "tests/unit/kube/kube_test.h"

#include "apis/kube/cluster.h"
#include "apis/kube/credentials.h"
#include "apis/kube/discovery.h"
#include "apis/kube/object.h"
#include "apis/kube/watch.h"
#include "base/clock.h"
#include "base/json_at.h"

#define LABELS "runner.test.kube=1"

static struct kube_cluster *cluster;
static struct kube_client *client;

static const struct kube_ref maps = {.api_version = "v1",
                                     .resource = "configmaps",
                                     .ns = "default"};
static const struct kube_selector ours = {.labels = LABELS};

static struct kube_ref map_named(const char *name)
{
    struct kube_ref ref = maps;

    ref.name = name;
    return ref;
}

static json_t *new_map(const char *name, const char *value)
{
    return json_pack("{s:s, s:s, s:{s:s, s:{s:s}}, s:{s:s}}", "apiVersion", "v1", "kind",
                     "ConfigMap", "metadata", "name", name, "labels", "runner.test.kube", "1",
                     "data", "key", value);
}

static int create_map(const char *name, json_t **ret)
{
    json_t *object = new_map(name, "one");
    int result = kube_create(&test_ctx, client, &maps, object, ret, &test_err);

    json_decref(object);
    return result;
}

static int delete_map(const char *name)
{
    struct kube_ref ref = map_named(name);

    return kube_delete(&test_ctx, client, &ref, NULL, NULL, &test_err);
}

/* Whatever an earlier test has left. */
static void sweep(void)
{
    json_t *list = NULL;
    const json_t *item;
    size_t i;

    assert_ok(kube_list(&test_ctx, client, &maps, &ours, 0, &list, &test_err));
    json_array_foreach (json_object_get(list, "items"), i, item) {
        assert_ok(delete_map(json_at_string(item, "metadata.name")));
    }
    json_decref(list);
}

static int each_setup(void **state)
{
    (void)state;
    ctx_init_cleanup(&test_ctx, 60000);
    err_clear(&test_err);
    return 0;
}

static int setup(void **state)
{
    struct kube_env env = {.file = getenv("RUNNER_TEST_KUBECONFIG")};
    CLEANUP_KUBE_CONFIG struct kube_config *config = NULL;

    each_setup(state);
    if (!env.file) {
        print_error("RUNNER_TEST_KUBECONFIG is not set: this needs a cluster\n");
        return -1;
    }
    if (make_dir() < 0 || kube_config_load(&env, &config, &test_err) < 0 ||
        kube_config_select(config, NULL, NULL, &cluster, &test_err) < 0) {
        print_error("%s\n", test_err.message);
        return -1;
    }
    client = kube_client_new(cluster);
    sweep();
    return 0;
}

static int teardown(void **state)
{
    each_setup(state);
    if (!client)
        return 0;
    sweep();
    kube_client_free(client);
    kube_cluster_free(cluster);
    remove_dir();
    return 0;
}

static void test_version(void **state)
{
    json_t *version = NULL;

    (void)state;
    assert_ok(kube_version(&test_ctx, client, &version, &test_err));
    assert_int_equal(strncmp(json_at_string(version, "gitVersion"), "v1.", 3), 0);
    json_decref(version);
}

static void test_life_of_an_object(void **state)
{
    struct kube_ref ref = map_named("life");
    json_t *made = NULL;
    json_t *got = NULL;
    json_t *changed;

    (void)state;
    assert_ok(create_map("life", &made));
    assert_error(create_map("life", NULL), ERR_CONFLICT);
    assert_int_equal(test_err.errnum, 409);
    assert_string_equal(kube_client_status(client)->reason, "AlreadyExists");
    assert_string_equal(test_err.message, "configmaps \"life\" already exists");
    assert_ok(kube_get(&test_ctx, client, &ref, &got, &test_err));
    assert_string_equal(json_at_string(got, "metadata.uid"), json_at_string(made, "metadata.uid"));

    changed = json_deep_copy(got);
    json_object_set_new(json_object_get(changed, "data"), "key", json_string("two"));
    assert_ok(kube_replace(&test_ctx, client, &ref, changed, NULL, &test_err));
    assert_error(kube_replace(&test_ctx, client, &ref, changed, NULL, &test_err), ERR_CONFLICT);
    assert_string_equal(kube_client_status(client)->reason, "Conflict");
    json_decref(changed);

    assert_error(kube_delete(&test_ctx, client, &ref, &(struct kube_delete_options){.uid = "other"},
                             NULL, &test_err),
                 ERR_CONFLICT);
    assert_ok(kube_delete(&test_ctx, client, &ref,
                          &(struct kube_delete_options){.uid = json_at_string(got, "metadata.uid"),
                                                        .has_grace = true},
                          NULL, &test_err));
    assert_error(kube_get(&test_ctx, client, &ref, NULL, &test_err), ERR_NOT_FOUND);
    assert_string_equal(test_err.message, "configmaps \"life\" not found");
    assert_int_equal(kube_client_status(client)->code, 404);
    json_decref(made);
    json_decref(got);
}

static void test_invalid(void **state)
{
    (void)state;
    assert_error(create_map("Not_A_Name", NULL), ERR_INVALID);
    assert_int_equal(test_err.errnum, 422);
    assert_string_equal(kube_client_status(client)->reason, "Invalid");
    assert_message("a lowercase RFC 1123 subdomain");
}

static void assert_data(const struct kube_ref *ref, const char *expected)
{
    json_t *got = NULL;
    char *text;

    assert_ok(kube_get(&test_ctx, client, ref, &got, &test_err));
    text = json_dumps(json_object_get(got, "data"), JSON_COMPACT | JSON_SORT_KEYS);
    assert_string_equal(text, expected);
    free(text);
    json_decref(got);
}

static void test_patches(void **state)
{
    const struct kube_ref ref = map_named("patched");
    json_t *merge = json_pack("{s:{s:s, s:s}}", "data", "key", "merged", "more", "x");
    json_t *strategic = json_pack("{s:{s:n}}", "data", "more");
    json_t *operations =
        json_pack("[{s:s, s:s, s:s}]", "op", "replace", "path", "/data/key", "value", "json");

    (void)state;
    assert_ok(create_map("patched", NULL));
    assert_ok(kube_patch(&test_ctx, client, &ref, KUBE_PATCH_MERGE, merge, NULL, NULL, &test_err));
    assert_data(&ref, "{\"key\":\"merged\",\"more\":\"x\"}");
    assert_ok(kube_patch(&test_ctx, client, &ref, KUBE_PATCH_STRATEGIC, strategic, NULL, NULL,
                         &test_err));
    assert_data(&ref, "{\"key\":\"merged\"}");
    assert_ok(kube_patch(&test_ctx, client, &ref, KUBE_PATCH_JSON, operations,
                         &(struct kube_patch_options){.dry_run = true}, NULL, &test_err));
    assert_data(&ref, "{\"key\":\"merged\"}");
    assert_ok(
        kube_patch(&test_ctx, client, &ref, KUBE_PATCH_JSON, operations, NULL, NULL, &test_err));
    assert_data(&ref, "{\"key\":\"json\"}");
    json_decref(merge);
    json_decref(strategic);
    json_decref(operations);
}

static int apply(const char *value, const char *manager, bool force)
{
    const struct kube_ref ref = map_named("applied");
    json_t *object = new_map("applied", value);
    int result = kube_patch(&test_ctx, client, &ref, KUBE_PATCH_APPLY, object,
                            &(struct kube_patch_options){.field_manager = manager, .force = force},
                            NULL, &test_err);

    json_decref(object);
    return result;
}

static void test_apply(void **state)
{
    const struct kube_ref ref = map_named("applied");

    (void)state;
    assert_ok(apply("one", "first", false));
    assert_ok(apply("two", "first", false));
    assert_error(apply("three", "second", false), ERR_CONFLICT);
    assert_message("conflict with \"first\"");
    assert_data(&ref, "{\"key\":\"two\"}");
    assert_ok(apply("three", "second", true));
    assert_data(&ref, "{\"key\":\"three\"}");
}

static void test_pages(void **state)
{
    json_t *list = NULL;
    const json_t *items;
    const json_t *item;
    struct kube_selector one = {.labels = LABELS, .fields = "metadata.name=page-3"};
    size_t i;

    (void)state;
    sweep();
    for (int k = 0; k < 7; k++) {
        CLEANUP_FREE char *name = xasprintf("page-%d", k);

        assert_ok(create_map(name, NULL));
    }
    assert_ok(kube_list(&test_ctx, client, &maps, &ours, 3, &list, &test_err));
    items = json_object_get(list, "items");
    assert_int_equal(json_array_size(items), 7);
    json_array_foreach (items, i, item) {
        CLEANUP_FREE char *name = xasprintf("page-%zu", i);

        assert_string_equal(json_at_string(item, "metadata.name"), name);
        assert_string_equal(json_at_string(item, "kind"), "ConfigMap");
        assert_string_equal(json_at_string(item, "apiVersion"), "v1");
    }
    json_decref(list);
    assert_ok(kube_list(&test_ctx, client, &maps, &one, 0, &list, &test_err));
    assert_int_equal(json_array_size(json_object_get(list, "items")), 1);
    json_decref(list);
}

/* Reported about a pod "reported", with or without its UID. */
static void report(const char *reason, const char *uid)
{
    const struct kube_ref events = {.api_version = "v1", .resource = "events", .ns = "default"};
    static int count;
    CLEANUP_FREE char *name =
        xasprintf("test-live.%lx-%d", (unsigned long)clock_wall_ms(), ++count);
    json_t *event =
        json_pack("{s:s, s:s, s:{s:s}, s:s, s:s, s:s, s:{s:s, s:s, s:s, s:s*}}", "apiVersion", "v1",
                  "kind", "Event", "metadata", "name", name, "type", "Normal", "reason", reason,
                  "message", "by a test", "involvedObject", "kind", "Pod", "name", "reported",
                  "namespace", "default", "uid", uid);
    json_t *made = NULL;

    assert_ok(kube_create(&test_ctx, client, &events, event, &made, &test_err));
    json_decref(made);
    json_decref(event);
}

static void test_events(void **state)
{
    CLEANUP_FREE char *uid = xasprintf("u-%lx", (unsigned long)clock_wall_ms());
    CLEANUP_FREE char *silent = xasprintf("Silent%lx", (unsigned long)clock_wall_ms());
    json_t *list = NULL;
    const json_t *item;
    size_t i;
    int with = 0, without = 0, others = 0;

    (void)state;
    report("Ours", uid);
    report("Theirs", "of another");
    report(silent, NULL);
    assert_ok(kube_events(&test_ctx, client, "default", "Pod", "reported", uid, &list, &test_err));
    json_array_foreach (json_object_get(list, "items"), i, item) {
        with += strcmp(json_at_string(item, "reason"), "Ours") == 0;
        without += strcmp(json_at_string(item, "reason"), silent) == 0;
        others += strcmp(json_at_string(item, "reason"), "Theirs") == 0;
    }
    json_decref(list);
    assert_int_equal(with, 1);
    assert_int_equal(without, 1);
    assert_int_equal(others, 0);
    assert_ok(kube_events(&test_ctx, client, "default", "Pod", "none", uid, &list, &test_err));
    assert_int_equal(json_array_size(json_object_get(list, "items")), 0);
    json_decref(list);
}

static void test_discovery(void **state)
{
    struct kube_resource found = {0};

    (void)state;
    assert_ok(kube_discover(&test_ctx, client, "apps/v1", "Deployment", &found, &test_err));
    assert_string_equal(found.resource, "deployments");
    assert_true(found.namespaced);
    assert_true(kube_resource_can(&found, "patch"));
    assert_false(kube_resource_can(&found, "fly"));
    assert_ok(kube_discover(&test_ctx, client, "v1", "Namespace", &found, &test_err));
    assert_string_equal(found.resource, "namespaces");
    assert_false(found.namespaced);
    assert_error(kube_discover(&test_ctx, client, "v1", "Deployment", &found, &test_err),
                 ERR_NOT_FOUND);
    assert_message("has no kind Deployment in v1");
    assert_error(kube_discover(&test_ctx, client, "no.such/v1", "X", &found, &test_err),
                 ERR_NOT_FOUND);
    assert_message("has no API version no.such/v1");
    kube_discovery_forget(client);
    assert_ok(kube_discover(&test_ctx, client, "batch/v1", "Job", &found, &test_err));
    assert_string_equal(found.api_version, "batch/v1");
}

static void next_event(struct kube_watch *watch, enum kube_watch_type type, const char *name)
{
    struct kube_watch_event event = {0};

    if (kube_watch_next(&test_ctx, watch, -1, &event, &test_err) != 1)
        fail_msg("no event for %s: %s", name, test_err.message);
    assert_string_equal(json_at_string(event.object, "metadata.name"), name);
    assert_int_equal(event.type, type);
    assert_false(event.unseen);
}

static void test_watch(void **state)
{
    const struct kube_ref ref = map_named("second");
    CLEANUP_KUBE_WATCH struct kube_watch *watch = NULL;
    json_t *patch = json_pack("{s:{s:s}}", "data", "key", "changed");
    struct kube_watch_event event;

    (void)state;
    sweep();
    assert_ok(create_map("first", NULL));
    watch = kube_watch_new(cluster, &maps, &ours);
    next_event(watch, KUBE_WATCH_ADDED, "first");
    next_event(watch, KUBE_WATCH_SYNCED, "");
    assert_int_equal(kube_watch_next(&test_ctx, watch, 20, &event, &test_err), 0);
    assert_ok(create_map("second", NULL));
    next_event(watch, KUBE_WATCH_ADDED, "second");
    assert_ok(kube_patch(&test_ctx, client, &ref, KUBE_PATCH_MERGE, patch, NULL, NULL, &test_err));
    next_event(watch, KUBE_WATCH_MODIFIED, "second");
    assert_ok(delete_map("second"));
    next_event(watch, KUBE_WATCH_DELETED, "second");
    assert_int_equal(kube_watch_next(&test_ctx, watch, 20, &event, &test_err), 0);
    json_decref(patch);
}

/* A cluster whose user is somebody of no rights, by impersonation. */
static struct kube_cluster *as_nobody(void)
{
    CLEANUP_FREE char *path = file_path("config");
    CLEANUP_BUF struct buf text = BUF_INIT;
    CLEANUP_KUBE_CONFIG struct kube_config *config = NULL;
    struct kube_cluster *ret = NULL;
    CLEANUP_FREE char *list = xasprintf("%s:%s", path, getenv("RUNNER_TEST_KUBECONFIG"));
    const struct kube_env env = {.kubeconfig = list};
    CLEANUP_KUBE_AUTH struct kube_auth auth = {0};

    assert_ok(kube_credentials_get(&test_ctx, cluster->credentials, &auth, &test_err));
    buf_addf(&text,
             "contexts: [{name: nobody, context: {cluster: target, user: nobody}}]\n"
             "clusters: [{name: target, cluster: {server: '%s', certificate-authority: '%s'}}]\n"
             "users: [{name: nobody, user: {as: nobody, client-certificate: '%s', "
             "client-key: '%s'}}]\n",
             cluster->server, cluster->ca_file, auth.tls.cert_file, auth.tls.key_file);
    write_file("config", text.data, 0600);
    assert_ok(kube_config_load(&env, &config, &test_err));
    assert_ok(kube_config_select(config, "nobody", NULL, &ret, &test_err));
    return ret;
}

static void test_access(void **state)
{
    struct kube_cluster *weak_cluster = as_nobody();
    struct kube_client *weak = kube_client_new(weak_cluster);
    const struct kube_access access = {.ns = "default",
                                       .verb = "create",
                                       .resource = "pods",
                                       .subresource = "exec"};
    bool allowed = false;

    (void)state;
    assert_ok(kube_access_check(&test_ctx, client, &access, &allowed, &test_err));
    assert_true(allowed);
    assert_ok(kube_access_check(&test_ctx, weak, &access, &allowed, &test_err));
    assert_false(allowed);
    assert_error(kube_list(&test_ctx, weak, &maps, NULL, 0, &(json_t *){NULL}, &test_err),
                 ERR_DENIED);
    assert_message("configmaps is forbidden: User \"nobody\" cannot list resource");
    assert_int_equal(test_err.errnum, 403);
    kube_client_free(weak);
    kube_cluster_free(weak_cluster);
}

/* As the kubeconfig says, with one more setting of the cluster. */
static int list_with(const char *setting, const char *user)
{
    CLEANUP_BUF struct buf text = BUF_INIT;
    struct kube_cluster *other = NULL;
    struct kube_client *c;
    json_t *list = NULL;
    int result;

    buf_addf(&text,
             "current-context: c\ncontexts: [{name: c, context: {cluster: k, user: u}}]\n"
             "clusters: [{name: k, cluster: {server: '%s'%s}}]\nusers: [{name: u, user: %s}]\n",
             cluster->server, setting, user);
    assert_ok(select_text(text.data, &other));
    c = kube_client_new(other);
    result = kube_list(&test_ctx, c, &maps, &ours, 0, &list, &test_err);
    json_decref(list);
    kube_client_free(c);
    kube_cluster_free(other);
    return result;
}

static void test_tls(void **state)
{
    CLEANUP_FREE char *ca = xasprintf(", certificate-authority: '%s'", cluster->ca_file);
    CLEANUP_FREE char *named = xasprintf("%s, tls-server-name: kubernetes", ca);
    CLEANUP_FREE char *misnamed = xasprintf("%s, tls-server-name: wrong.test", ca);
    CLEANUP_KUBE_AUTH struct kube_auth auth = {0};
    CLEANUP_FREE char *admin = NULL;

    (void)state;
    assert_ok(kube_credentials_get(&test_ctx, cluster->credentials, &auth, &test_err));
    admin = xasprintf("{client-certificate: '%s', client-key: '%s'}", auth.tls.cert_file,
                      auth.tls.key_file);
    assert_ok(list_with(ca, admin));
    assert_ok(list_with(named, admin));
    assert_ok(list_with(", insecure-skip-tls-verify: true", admin));
    assert_error(list_with(misnamed, admin), ERR_UNAVAILABLE);
    assert_message("SSL");
    assert_error(list_with("", admin), ERR_UNAVAILABLE);
    assert_error(list_with(ca, "{token: wrong}"), ERR_DENIED);
    assert_message("does not accept the credentials of user \"u\"");
}

/* A client certificate that a plugin gives. */
static void test_plugin_certificate(void **state)
{
    CLEANUP_FREE char *ca = xasprintf(", certificate-authority: '%s'", cluster->ca_file);
    CLEANUP_KUBE_AUTH struct kube_auth auth = {0};
    CLEANUP_BUF struct buf cert = BUF_INIT;
    CLEANUP_BUF struct buf key = BUF_INIT;
    CLEANUP_FREE char *user = NULL;
    json_t *credential;
    char *text;

    (void)state;
    assert_ok(kube_credentials_get(&test_ctx, cluster->credentials, &auth, &test_err));
    assert_ok(fs_read_file(auth.tls.cert_file, 100000, &cert, &test_err));
    assert_ok(fs_read_file(auth.tls.key_file, 100000, &key, &test_err));
    credential = json_pack("{s:s, s:s, s:{s:s, s:s}}", "apiVersion",
                           "client.authentication.k8s.io/v1beta1", "kind", "ExecCredential",
                           "status", "clientCertificateData", cert.data, "clientKeyData", key.data);
    text = json_dumps(credential, 0);
    write_file("credential", text, 0600);
    user = xasprintf("{exec: {apiVersion: client.authentication.k8s.io/v1beta1, command: cat, "
                     "args: ['%s/credential']}}",
                     test_dir);
    assert_ok(list_with(ca, user));
    free(text);
    json_decref(credential);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_version, each_setup),
        cmocka_unit_test_setup(test_life_of_an_object, each_setup),
        cmocka_unit_test_setup(test_invalid, each_setup),
        cmocka_unit_test_setup(test_patches, each_setup),
        cmocka_unit_test_setup(test_apply, each_setup),
        cmocka_unit_test_setup(test_pages, each_setup),
        cmocka_unit_test_setup(test_events, each_setup),
        cmocka_unit_test_setup(test_discovery, each_setup),
        cmocka_unit_test_setup(test_watch, each_setup),
        cmocka_unit_test_setup(test_access, each_setup),
        cmocka_unit_test_setup(test_tls, each_setup),
        cmocka_unit_test_setup(test_plugin_certificate, each_setup),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
