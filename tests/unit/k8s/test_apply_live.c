/* What a step needs of applying: what is told before it is made, and that what was made can be
 * taken back, and nothing else. In a real cluster, whose cluster-admin's kubeconfig
 * RUNNER_TEST_KUBECONFIG names, in a namespace of its own. */
#include "tests/unit/kube/kube_test.h"

#include <jansson.h>
#include <unistd.h>

#include "apis/kube/cluster.h"
#include "apis/kube/object.h"
#include "k8s/apply.h"
#include "k8s/delete.h"

static struct kube_cluster *cluster;
static struct kube_client *client;
static struct manifest_list list;
static char ns[40];
static struct buf told = BUF_INIT;

static int note_creating(void *arg, const struct manifest *m, struct err *err)
{
    (void)arg;
    if (strcmp(m->name, "unwanted") == 0)
        return err_set(err, ERR_DENIED, "not noted");
    buf_addf(&told, "creating %s;", m->name);
    return 0;
}

static void note_done(void *arg, const struct manifest *m, const char *what)
{
    (void)arg;
    buf_addf(&told, "%s %s;", m->name, what);
}

static const struct manifest_sink sink = {.creating = note_creating, .done = note_done};

static int each_setup(void **state)
{
    (void)state;
    ctx_init_cleanup(&test_ctx, 60000);
    err_clear(&test_err);
    buf_reset(&told);
    return 0;
}

static int each_teardown(void **state)
{
    (void)state;
    manifest_list_release(&list);
    list = (struct manifest_list){0};
    return 0;
}

static json_t *make(const char *kind, const char *name)
{
    return json_pack("{s:s, s:s, s:{s:s}}", "apiVersion", "v1", "kind", kind, "metadata", "name",
                     name);
}

static int create(const char *resource, const char *in, const char *kind, const char *name)
{
    json_t *object = make(kind, name);
    int result =
        kube_create(&test_ctx, client,
                    &(struct kube_ref){.api_version = "v1", .resource = resource, .ns = in}, object,
                    NULL, &test_err);

    json_decref(object);
    return result;
}

static int setup(void **state)
{
    const struct kube_env env = {.file = getenv("RUNNER_TEST_KUBECONFIG")};
    CLEANUP_KUBE_CONFIG struct kube_config *config = NULL;

    each_setup(state);
    if (!env.file) {
        print_error("RUNNER_TEST_KUBECONFIG is not set: this needs a cluster\n");
        return -1;
    }
    snprintf(ns, sizeof(ns), "test-apply-%ld", (long)getpid());
    if (kube_config_load(&env, &config, &test_err) < 0 ||
        kube_config_select(config, NULL, ns, &cluster, &test_err) < 0) {
        print_error("%s\n", test_err.message);
        return -1;
    }
    client = kube_client_new(cluster);
    return create("namespaces", NULL, "Namespace", ns);
}

static int teardown(void **state)
{
    (void)state;
    if (!client)
        return 0;
    (void)!kube_delete(&test_ctx, client,
                       &(struct kube_ref){.api_version = "v1",
                                          .resource = "namespaces",
                                          .name = ns},
                       NULL, NULL, NULL);
    kube_client_free(client);
    kube_cluster_free(cluster);
    buf_release(&told);
    return 0;
}

/* ConfigMaps of these names, with spaces between. */
static void write_list(const char *names)
{
    CLEANUP_BUF struct buf text = BUF_INIT;

    while (*names) {
        const size_t len = strcspn(names, " ");

        buf_addf(&text,
                 "{\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\",\"metadata\":{\"name\":\"%.*s\"},"
                 "\"data\":{\"k\":\"v\"}}",
                 (int)len, names);
        names += len + (names[len] == ' ');
    }
    assert_int_equal(manifest_list_add_text(&list, "test", text.data, text.len, &test_err), 0);
}

static bool is_there(const char *name)
{
    const struct kube_ref ref = {.api_version = "v1",
                                 .resource = "configmaps",
                                 .ns = ns,
                                 .name = name};

    return kube_get(&test_ctx, client, &ref, NULL, NULL) == 0;
}

static void take_back(void)
{
    const struct manifest_delete_options o = {.wait = true, .timeout_ms = 30000};

    assert_int_equal(manifest_take_back(&test_ctx, cluster, &list, &o, &sink, &test_err), 0);
}

static void test_take_back(void **state)
{
    const struct manifest_apply_options o = {.wait = true};

    (void)state;
    assert_int_equal(create("configmaps", ns, "ConfigMap", "before"), 0);
    write_list("before");
    assert_int_equal(manifest_apply(&test_ctx, cluster, &list, &o, &sink, &test_err), 0);
    assert_string_equal(told.data, "before configured;");
    assert_int_equal(list.items.items[0].state, MANIFEST_CONFIGURED);
    write_list("made");
    buf_reset(&told);
    assert_int_equal(manifest_apply(&test_ctx, cluster, &list, &o, &sink, &test_err), 0);
    assert_non_null(strstr(told.data, "creating made;made created;"));
    assert_non_null(strstr(told.data, "before unchanged;"));
    assert_int_equal(list.items.items[1].state, MANIFEST_CREATED);
    buf_reset(&told);
    take_back();
    assert_string_equal(told.data, "made deleted;");
    assert_true(is_there("before"));
    assert_false(is_there("made"));
    take_back();
}

/* What nobody can own is not made. */
static void test_unwanted(void **state)
{
    const struct manifest_apply_options o = {0};

    (void)state;
    write_list("unwanted");
    assert_int_equal(manifest_apply(&test_ctx, cluster, &list, &o, &sink, &test_err), -1);
    assert_false(is_there("unwanted"));
    assert_int_equal(list.items.items[0].state, MANIFEST_WRITTEN);
}

/* Of many it is a list that says which are there. */
static void test_many(void **state)
{
    const struct manifest_apply_options o = {0};

    (void)state;
    assert_int_equal(create("configmaps", ns, "ConfigMap", "m3"), 0);
    write_list("m1 m2 m3 m4 m5 m6 m7 m8 m9 m10");
    for (int round = 0; round < 2; round++) {
        assert_int_equal(manifest_apply(&test_ctx, cluster, &list, &o, &sink, &test_err), 0);
        vec_foreach (const struct manifest *, m, &list.items) {
            const bool was_there = round || strcmp(m->name, "m3") == 0;

            assert_int_equal(m->state, round       ? MANIFEST_UNCHANGED
                                       : was_there ? MANIFEST_CONFIGURED
                                                   : MANIFEST_CREATED);
            assert_non_null(m->live);
        }
        if (round == 0)
            assert_null(strstr(told.data, "creating m3;"));
    }
    each_teardown(state);
    write_list("m3 n1 n2 n3 n4 n5 n6 n7 n8 n9");
    assert_int_equal(manifest_apply(&test_ctx, cluster, &list, &o, &sink, &test_err), 0);
    take_back();
    assert_true(is_there("m3"));
    assert_true(is_there("m1"));
    assert_false(is_there("n1"));
    assert_false(is_there("n9"));
}

/* Another object of the name is not what was created. */
static void test_take_back_of_others(void **state)
{
    const struct manifest_apply_options o = {0};
    const struct kube_ref ref = {.api_version = "v1",
                                 .resource = "configmaps",
                                 .ns = ns,
                                 .name = "again"};

    (void)state;
    write_list("again");
    assert_int_equal(manifest_apply(&test_ctx, cluster, &list, &o, &sink, &test_err), 0);
    assert_int_equal(kube_delete(&test_ctx, client, &ref, NULL, NULL, &test_err), 0);
    assert_int_equal(create("configmaps", ns, "ConfigMap", "again"), 0);
    take_back();
    assert_true(is_there("again"));
}

static void test_another_uid(void **state)
{
    const struct manifest_apply_options o = {0};

    (void)state;
    write_list("named");
    assert_int_equal(manifest_apply(&test_ctx, cluster, &list, &o, &sink, &test_err), 0);
    assert_int_equal(manifest_delete_one(&test_ctx, client, &list.items.items[0],
                                         "00000000-0000-0000-0000-000000000000", true, &test_err),
                     0);
    assert_true(is_there("named"));
}

/* It was broken off when it was not known whether the server had acted. */
static void test_take_back_of_unknown(void **state)
{
    const struct manifest_apply_options o = {0};

    (void)state;
    assert_int_equal(create("configmaps", ns, "ConfigMap", "foreign"), 0);
    write_list("own");
    assert_int_equal(manifest_apply(&test_ctx, cluster, &list, &o, &sink, &test_err), 0);
    write_list("foreign never");
    vec_foreach (struct manifest *, m, &list.items)
        m->state = MANIFEST_CREATING;
    take_back();
    assert_false(is_there("own"));
    assert_true(is_there("foreign"));
}

/* What a dry run would create is not there to be taken back. */
static void test_dry_run(void **state)
{
    const struct manifest_apply_options o = {.dry_run = true, .wait = true};

    (void)state;
    write_list("dry");
    assert_int_equal(manifest_apply(&test_ctx, cluster, &list, &o, &sink, &test_err), 0);
    assert_string_equal(told.data, "dry would be created;");
    assert_false(is_there("dry"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_unwanted, each_setup, each_teardown),
        cmocka_unit_test_setup_teardown(test_take_back, each_setup, each_teardown),
        cmocka_unit_test_setup_teardown(test_many, each_setup, each_teardown),
        cmocka_unit_test_setup_teardown(test_take_back_of_others, each_setup, each_teardown),
        cmocka_unit_test_setup_teardown(test_another_uid, each_setup, each_teardown),
        cmocka_unit_test_setup_teardown(test_take_back_of_unknown, each_setup, each_teardown),
        cmocka_unit_test_setup_teardown(test_dry_run, each_setup, each_teardown),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
