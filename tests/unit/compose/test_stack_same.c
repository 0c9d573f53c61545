/* Whether a service would change, on a specification as Docker 20.10 gives it back with its
 * defaults; without them it is the same. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "compose/stack_internal.h"

static const char want_text[] =
    "{\"Name\":\"s_web\",\"Labels\":{\"com.docker.stack.namespace\":\"s\","
    "\"com.docker.stack.image\":\"busybox:1.36\"},"
    "\"TaskTemplate\":{\"Resources\":{},\"ContainerSpec\":{\"Image\":\"busybox:1.36\","
    "\"Labels\":{\"com.docker.stack.namespace\":\"s\"},\"Args\":[\"sleep\",\"600\"]},"
    "\"Placement\":{},\"Networks\":[{\"Target\":\"s_default\",\"Aliases\":[\"web\"]}]},"
    "\"Mode\":{\"Replicated\":{\"Replicas\":1}},"
    "\"EndpointSpec\":{\"Ports\":[{\"Protocol\":\"tcp\",\"TargetPort\":80,\"PublishedPort\":8080,"
    "\"PublishMode\":\"ingress\"}]}}";

static const char have_text[] =
    "{\"Name\":\"s_web\",\"Labels\":{\"com.docker.stack.image\":\"busybox:1.36\","
    "\"com.docker.stack.namespace\":\"s\"},\"TaskTemplate\":{\"ContainerSpec\":{\"Image\":"
    "\"busybox:1.36\",\"Labels\":{\"com.docker.stack.namespace\":\"s\"},"
    "\"Args\":[\"sleep\",\"600\"],\"Privileges\":{\"CredentialSpec\":null,"
    "\"SELinuxContext\":null,\"NoNewPrivileges\":false},"
    "\"StopGracePeriod\":10000000000,\"DNSConfig\":{},\"Isolation\":\"default\"},"
    "\"Resources\":{},\"RestartPolicy\":{\"Condition\":\"any\",\"Delay\":5000000000,"
    "\"MaxAttempts\":0},\"Placement\":{},"
    "\"Networks\":[{\"Target\":\"vt9s0utasdvjfw1d53lmfjzvg\",\"Aliases\":[\"web\"]}],"
    "\"ForceUpdate\":0,\"Runtime\":\"container\"},\"Mode\":{\"Replicated\":{\"Replicas\":1}},"
    "\"UpdateConfig\":{\"Parallelism\":1,\"FailureAction\":\"pause\",\"Monitor\":5000000000,"
    "\"MaxFailureRatio\":0,\"Order\":\"stop-first\"},\"RollbackConfig\":{\"Parallelism\":1,"
    "\"FailureAction\":\"pause\",\"Monitor\":5000000000,\"MaxFailureRatio\":0,"
    "\"Order\":\"stop-first\"},\"EndpointSpec\":{\"Mode\":\"vip\",\"Ports\":[{\"Protocol\":"
    "\"tcp\",\"TargetPort\":80,\"PublishedPort\":8080,\"PublishMode\":\"ingress\"}]}}";

static struct strmap networks;
static json_t *want;
static json_t *have;

static int setup(void **state)
{
    (void)state;
    strmap_set(&networks, "s_default", "vt9s0utasdvjfw1d53lmfjzvg");
    want = json_loads(want_text, 0, NULL);
    have = json_loads(have_text, 0, NULL);
    return want && have ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    strmap_release(&networks);
    json_decref(want);
    json_decref(have);
    return 0;
}

/* The object at a path of names. */
static json_t *at(json_t *object, const char *first, const char *second)
{
    object = json_object_get(object, first);
    return second ? json_object_get(object, second) : object;
}

static void test_defaults_are_filled_in(void **state)
{
    json_t *before = json_deep_copy(want);

    (void)state;
    assert_true(stack_same_spec(want, have, &networks));
    json_object_del(have, "UpdateConfig");
    json_object_del(at(have, "TaskTemplate", NULL), "RestartPolicy");
    json_object_del(at(have, "TaskTemplate", "ContainerSpec"), "StopGracePeriod");
    assert_true(stack_same_spec(want, have, &networks));
    /* What is to be sent stays as it is. */
    assert_true(json_equal(want, before));
    json_decref(before);
}

static void test_changes_are_seen(void **state)
{
    (void)state;
    json_object_set_new(at(want, "TaskTemplate", "ContainerSpec"), "Image", json_string("x"));
    assert_false(stack_same_spec(want, have, &networks));
    json_object_set_new(at(want, "TaskTemplate", "ContainerSpec"), "Image",
                        json_string("busybox:1.36"));
    assert_true(stack_same_spec(want, have, &networks));
    json_object_set_new(at(want, "Mode", "Replicated"), "Replicas", json_integer(2));
    assert_false(stack_same_spec(want, have, &networks));
}

static void test_another_network(void **state)
{
    (void)state;
    strmap_set(&networks, "s_default", "another");
    assert_false(stack_same_spec(want, have, &networks));
}

/* What was there and is not wanted any more. */
static void test_what_goes_is_seen(void **state)
{
    json_t *container = at(want, "TaskTemplate", "ContainerSpec");

    (void)state;
    json_object_set_new(container, "Args", json_pack("[s]", "sleep"));
    assert_false(stack_same_spec(want, have, &networks));
    json_object_del(container, "Args");
    assert_false(stack_same_spec(want, have, &networks));
}

/* 0 is not the default where the default is another number. */
static void test_zero_counts(void **state)
{
    json_t *container = at(want, "TaskTemplate", "ContainerSpec");

    (void)state;
    json_object_set_new(container, "StopGracePeriod", json_integer(0));
    assert_false(stack_same_spec(want, have, &networks));
    json_object_set_new(at(have, "TaskTemplate", "ContainerSpec"), "StopGracePeriod",
                        json_integer(0));
    assert_true(stack_same_spec(want, have, &networks));
    json_object_set_new(container, "Init", json_false());
    assert_false(stack_same_spec(want, have, &networks));
    json_object_del(container, "Init");
    json_object_set_new(want, "UpdateConfig", json_pack("{s:i}", "Parallelism", 0));
    assert_false(stack_same_spec(want, have, &networks));
    json_object_set_new(want, "UpdateConfig", json_pack("{s:i}", "Parallelism", 1));
    assert_true(stack_same_spec(want, have, &networks));
}

static void test_order_of_files(void **state)
{
    static const char *const order[] = {"[{\"SecretName\":\"a\"},{\"SecretName\":\"b\"}]",
                                        "[{\"SecretName\":\"b\"},{\"SecretName\":\"a\"}]"};
    json_t *ours = at(want, "TaskTemplate", "ContainerSpec");
    json_t *theirs = at(have, "TaskTemplate", "ContainerSpec");

    (void)state;
    json_object_set_new(ours, "Secrets", json_loads(order[0], 0, NULL));
    assert_false(stack_same_spec(want, have, &networks));
    for (size_t i = 0; i < 2; i++) {
        json_object_set_new(ours, "Secrets", json_loads(order[i], 0, NULL));
        json_object_set_new(theirs, "Secrets", json_loads(order[!i], 0, NULL));
        assert_true(stack_same_spec(want, have, &networks));
    }
}

static void test_times(void **state)
{
    static const char *const order[] = {"2026-11-21T17:20:39Z", "2026-11-21T17:20:40.1Z",
                                        "2026-11-21T17:20:40.12Z", "2026-11-21T17:20:40.123456Z",
                                        "2026-11-21T17:20:41Z"};

    (void)state;
    for (size_t i = 0; i < sizeof(order) / sizeof(*order); i++) {
        for (size_t k = 0; k < sizeof(order) / sizeof(*order); k++) {
            int result = stack_time_compare(order[i], order[k]);

            assert_int_equal((result > 0) - (result < 0), (i > k) - (i < k));
        }
    }
}

static void test_names(void **state)
{
    struct err err = ERR_INIT;

    (void)state;
    assert_int_equal(stack_check_name("shop-1.a_b", &err), 0);
    assert_int_equal(stack_check_name("", &err), -1);
    assert_int_equal(stack_check_name("-x", &err), -1);
    assert_int_equal(stack_check_name("a b", &err), -1);
    assert_int_equal(err.code, ERR_INVALID);
    assert_non_null(strstr(err.message, "\"a b\" cannot be the name of a stack"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_defaults_are_filled_in, setup, teardown),
        cmocka_unit_test_setup_teardown(test_changes_are_seen, setup, teardown),
        cmocka_unit_test_setup_teardown(test_another_network, setup, teardown),
        cmocka_unit_test_setup_teardown(test_what_goes_is_seen, setup, teardown),
        cmocka_unit_test_setup_teardown(test_zero_counts, setup, teardown),
        cmocka_unit_test_setup_teardown(test_order_of_files, setup, teardown),
        cmocka_unit_test(test_times),
        cmocka_unit_test(test_names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
