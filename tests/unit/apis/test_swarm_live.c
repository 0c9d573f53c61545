/* Against a manager of a swarm: RUNNER_TEST_SWARM names it. */
#include "live.h"

#include <signal.h>

#include "apis/docker/auth.h"
#include "apis/docker/distribution.h"
#include "apis/docker/network.h"
#include "apis/docker/service.h"
#include "apis/docker/swarm.h"
#include "apis/docker/swarm_object.h"

static struct docker_client *docker;
static struct strmap labels;
static const struct docker_filter ours = {"label", "runner.test.apis=swarm"};

static void sweep_objects(enum docker_swarm_kind kind)
{
    CLEANUP_DOCKER_SWARM_OBJECT_LIST struct docker_swarm_object_list list = {0};

    (void)!docker_swarm_object_list(&test_ctx, docker, kind, &ours, 1, &list, NULL);
    for (size_t i = 0; i < list.len; i++)
        (void)!docker_swarm_object_remove(&test_ctx, docker, kind, list.items[i].id, NULL);
}

static void sweep(void)
{
    CLEANUP_DOCKER_SERVICE_LIST struct docker_service_list list = {0};

    (void)!docker_service_list(&test_ctx, docker, &ours, 1, &list, NULL);
    for (size_t i = 0; i < list.len; i++)
        (void)!docker_service_remove(&test_ctx, docker, list.items[i].id, NULL);
    sweep_objects(DOCKER_SECRET);
    sweep_objects(DOCKER_CONFIG);
}

static int setup(void **state)
{
    (void)state;
    signal(SIGPIPE, SIG_IGN);
    live_variable = "RUNNER_TEST_SWARM";
    strmap_set(&labels, "runner.test.apis", "swarm");
    docker = live_client();
    assert_ok(docker_client_ping(&test_ctx, docker, &test_err));
    sweep();
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    ctx_init_cleanup(&test_ctx, 60000);
    sweep();
    docker_client_free(docker);
    strmap_release(&labels);
    return 0;
}

static int each_setup(void **state)
{
    (void)state;
    ctx_init_cleanup(&test_ctx, 60000);
    err_clear(&test_err);
    return 0;
}

static void test_swarm(void **state)
{
    CLEANUP_DOCKER_NODE_LIST struct docker_node_list nodes = {0};
    const struct docker_filter worker = {"role", "worker"};
    CLEANUP_DOCKER_NODE_LIST struct docker_node_list workers = {0};

    (void)state;
    assert_ok(docker_swarm_check_manager(&test_ctx, docker, &test_err));
    assert_error(docker_swarm_init(&test_ctx, docker, &(struct docker_swarm_init){0}, NULL,
                                   &test_err),
                 ERR_UNAVAILABLE);
    assert_message("already part of a swarm");
    assert_ok(docker_node_list(&test_ctx, docker, NULL, 0, &nodes, &test_err));
    assert_int_equal(nodes.len, 1);
    assert_string_equal(nodes.items[0].role, "manager");
    assert_string_equal(nodes.items[0].state, "ready");
    assert_string_equal(nodes.items[0].availability, "active");
    assert_true(nodes.items[0].leader);
    assert_true(*nodes.items[0].hostname && nodes.items[0].nano_cpus > 0);
    assert_ok(docker_node_list(&test_ctx, docker, &worker, 1, &workers, &test_err));
    assert_int_equal(workers.len, 0);
}

/* The daemon of the other tests is part of no swarm. */
static void test_no_swarm(void **state)
{
    CLEANUP_DOCKER_CLIENT struct docker_client *other = NULL;
    CLEANUP_DOCKER_SERVICE_LIST struct docker_service_list list = {0};

    (void)state;
    live_variable = "RUNNER_TEST_DOCKER";
    other = live_client();
    assert_error(docker_swarm_check_manager(&test_ctx, other, &test_err), ERR_UNAVAILABLE);
    assert_message("is not part of a swarm; make one with \"docker swarm init\"");
    assert_error(docker_service_list(&test_ctx, other, NULL, 0, &list, &test_err), ERR_UNAVAILABLE);
}

static void find(enum docker_swarm_kind kind, const char *name,
                 struct docker_swarm_object_list *list)
{
    const struct docker_filter filter = {"name", name};

    docker_swarm_object_list_release(list);
    assert_ok(docker_swarm_object_list(&test_ctx, docker, kind, &filter, 1, list, &test_err));
    assert_int_equal(list->len, 1);
}

static void test_objects(void **state)
{
    static const enum docker_swarm_kind kinds[] = {DOCKER_SECRET, DOCKER_CONFIG};
    struct docker_swarm_object_spec spec = {.name = "apis-object",
                                            .labels = &labels,
                                            .data = "\xfb\0\xff",
                                            .data_len = 3};

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        CLEANUP_DOCKER_SWARM_OBJECT_LIST struct docker_swarm_object_list list = {0};
        CLEANUP_STRMAP struct strmap more = {0};
        CLEANUP_FREE char *id = NULL;
        char *second = NULL;

        assert_ok(docker_swarm_object_create(&test_ctx, docker, kinds[i], &spec, &id, &test_err));
        assert_error(docker_swarm_object_create(&test_ctx, docker, kinds[i], &spec, &second,
                                                &test_err),
                     ERR_CONFLICT);
        find(kinds[i], "apis-object", &list);
        assert_string_equal(list.items[0].id, id);
        assert_string_equal(strmap_get(&list.items[0].labels, "runner.test.apis"), "swarm");
        if (kinds[i] == DOCKER_CONFIG) {
            assert_int_equal(list.items[0].data_len, 3);
            assert_memory_equal(list.items[0].data, "\xfb\0\xff", 3);
        } else {
            assert_null(list.items[0].data);
        }
        /* Labels can change, data cannot. */
        strmap_merge(&more, &labels);
        strmap_set(&more, "k", "v");
        spec.labels = &more;
        assert_ok(docker_swarm_object_update(&test_ctx, docker, kinds[i], id, list.items[0].version,
                                             &spec, &test_err));
        find(kinds[i], "apis-object", &list);
        assert_string_equal(strmap_get(&list.items[0].labels, "k"), "v");
        spec.data = "other";
        spec.data_len = 5;
        assert_error(docker_swarm_object_update(&test_ctx, docker, kinds[i], id,
                                                list.items[0].version, &spec, &test_err),
                     ERR_INVALID);
        assert_message("only updates to Labels are allowed");
        assert_ok(docker_swarm_object_remove(&test_ctx, docker, kinds[i], id, &test_err));
        spec = (struct docker_swarm_object_spec){.name = "apis-object",
                                                 .labels = &labels,
                                                 .data = "\xfb\0\xff",
                                                 .data_len = 3};
    }
}

static void create_service(const struct docker_service_spec *spec,
                           struct docker_service_written *ret)
{
    struct docker_pending *pending;
    json_t *body = docker_service_body(spec, docker_client_api_minor(docker), &test_err);

    assert_non_null(body);
    assert_ok(docker_service_create_begin(&test_ctx, docker, body, NULL, &pending, &test_err));
    json_decref(body);
    assert_ok(docker_service_end(&test_ctx, pending, ret, &test_err));
}

/* Until one task of the service is in that state. */
static void await_task(const char *service, enum docker_task_state state,
                       struct docker_task_list *tasks)
{
    const struct docker_filter filter = {"service", service};

    for (;;) {
        docker_task_list_release(tasks);
        assert_ok(docker_task_list(&test_ctx, docker, &filter, 1, tasks, &test_err));
        for (size_t i = 0; i < tasks->len; i++) {
            if (tasks->items[i].state == state) {
                struct docker_task found = tasks->items[i];

                tasks->items[i] = tasks->items[0];
                tasks->items[0] = found;
                return;
            }
        }
        assert_ok(ctx_sleep(&test_ctx, 100, &test_err));
    }
}

static void test_service(void **state)
{
    const char *const args[] = {"sh", "-c", "echo out; echo err >&2; sleep 60", NULL};
    const int64_t grace = 0;
    struct docker_service_spec spec = {.name = "apis-service",
                                       .labels = &labels,
                                       .image = live_image(),
                                       .args = args,
                                       .stop_grace_ns = &grace,
                                       .replicas = 1};
    CLEANUP_DOCKER_SERVICE_WRITTEN struct docker_service_written made = {0};
    CLEANUP_DOCKER_SERVICE_WRITTEN struct docker_service_written changed = {0};
    CLEANUP_DOCKER_SERVICE struct docker_service service = {0};
    CLEANUP_DOCKER_SERVICE_LIST struct docker_service_list list = {0};
    CLEANUP_DOCKER_TASK_LIST struct docker_task_list tasks = {0};
    struct live_output output = {BUF_INIT, BUF_INIT};
    struct docker_frames frames;
    struct docker_pending *pending;
    json_t *body;

    (void)state;
    create_service(&spec, &made);
    await_task(made.id, DOCKER_TASK_RUNNING, &tasks);
    assert_int_equal(tasks.items[0].slot, 1);
    assert_string_equal(tasks.items[0].service_id, made.id);
    assert_true(*tasks.items[0].container_id && *tasks.items[0].node_id);
    assert_int_equal(tasks.items[0].desired_state, DOCKER_TASK_RUNNING);

    docker_frames_init(&frames, false, live_collect, &output);
    assert_ok(docker_task_logs(&test_ctx, docker, tasks.items[0].id,
                               &(struct docker_logs){.flags = DOCKER_ATTACH_OUTPUT}, &frames,
                               &test_err));
    assert_string_equal(output.out.data, "out\n");
    assert_string_equal(output.errors.data, "err\n");
    live_output_release(&output);

    assert_ok(docker_service_inspect(&test_ctx, docker, "apis-service", &service, &test_err));
    assert_string_equal(service.id, made.id);
    assert_null(service.previous_spec);
    spec.force_update = 1;
    body = docker_service_body(&spec, docker_client_api_minor(docker), &test_err);
    assert_ok(docker_service_update_begin(&test_ctx, docker, made.id, service.version, body, NULL,
                                          &pending, &test_err));
    assert_ok(docker_service_end(&test_ctx, pending, &changed, &test_err));
    assert_ok(docker_service_update_begin(&test_ctx, docker, made.id, service.version, body, NULL,
                                          &pending, &test_err));
    assert_int_equal(docker_service_end(&test_ctx, pending, &changed, &test_err), -1);
    assert_message("update out of sequence");
    json_decref(body);
    assert_ok(docker_service_list(&test_ctx, docker, &ours, 1, &list, &test_err));
    assert_int_equal(list.len, 1);
    assert_non_null(list.items[0].previous_spec);
    assert_string_equal(list.items[0].name, "apis-service");

    assert_ok(docker_service_remove(&test_ctx, docker, made.id, &test_err));
    assert_error(docker_service_remove(&test_ctx, docker, made.id, &test_err), ERR_NOT_FOUND);
}

static void test_job_fails(void **state)
{
    const char *const args[] = {"sh", "-c", "exit 3", NULL};
    const struct docker_service_restart restart = {.condition = "none"};
    const struct docker_service_spec spec = {.name = "apis-job",
                                             .labels = &labels,
                                             .image = live_image(),
                                             .args = args,
                                             .restart = &restart,
                                             .mode = DOCKER_SERVICE_REPLICATED_JOB,
                                             .replicas = 1,
                                             .max_concurrent = 1};
    CLEANUP_DOCKER_SERVICE_WRITTEN struct docker_service_written made = {0};
    CLEANUP_DOCKER_TASK_LIST struct docker_task_list tasks = {0};

    (void)state;
    create_service(&spec, &made);
    await_task(made.id, DOCKER_TASK_FAILED, &tasks);
    assert_int_equal(tasks.items[0].exit_code, 3);
    assert_string_equal(tasks.items[0].error, "task: non-zero exit (3)");
    assert_ok(docker_service_remove(&test_ctx, docker, made.id, &test_err));
}

/* Calls that run side by side end in any order; one that is broken off does no harm. */
static void test_pending(void **state)
{
    struct docker_pending *pending[4];
    json_t *answer;

    (void)state;
    for (size_t i = 0; i < 4; i++)
        assert_ok(docker_call_begin(&test_ctx, docker, "GET", "/info", NULL, NULL, &pending[i],
                                    &test_err));
    docker_pending_free(pending[1]);
    assert_ok(docker_call_end(&test_ctx, pending[3], &answer, &test_err));
    assert_non_null(json_object_get(answer, "Swarm"));
    json_decref(answer);
    assert_ok(docker_call_end(&test_ctx, pending[0], NULL, &test_err));
    assert_ok(docker_call_end(&test_ctx, pending[2], NULL, &test_err));
}

static char *registry_auth(const char *password)
{
    struct docker_credentials credentials = {.username = getenv("RUNNER_TEST_AUTH_USER"),
                                             .password = (char *)password,
                                             .server_address = getenv("RUNNER_TEST_AUTH_REGISTRY")};

    return docker_credentials_header(&credentials);
}

static int look_up(const char *image, const char *auth, struct docker_distribution *ret)
{
    struct docker_pending *pending;

    assert_ok(docker_distribution_begin(&test_ctx, docker, image, auth, &pending, &test_err));
    return docker_distribution_end(&test_ctx, pending, ret, &test_err);
}

static void test_distribution(void **state)
{
    CLEANUP_FREE char *image =
        xasprintf("%s/private/plugin:1", getenv("RUNNER_TEST_AUTH_REGISTRY"));
    CLEANUP_FREE char *absent = xasprintf("%s/no/such:1", getenv("RUNNER_TEST_REGISTRY"));
    CLEANUP_FREE char *auth = registry_auth(getenv("RUNNER_TEST_AUTH_PASSWORD"));
    CLEANUP_FREE char *wrong = registry_auth("wrong");
    CLEANUP_DOCKER_DISTRIBUTION struct docker_distribution d = {0};

    (void)state;
    assert_ok(look_up(image, auth, &d));
    assert_int_equal(strncmp(d.digest, "sha256:", 7), 0);
    assert_int_equal(d.platform_count, 1);
    assert_string_equal(d.platforms[0].os, "linux");
    docker_distribution_release(&d);
    assert_int_equal(look_up(image, NULL, &d), -1);
    assert_message("no basic auth credentials");
    assert_int_equal(look_up(image, wrong, &d), -1);
    assert_message("unauthorized");
    assert_int_equal(look_up(absent, NULL, &d), -1);
    assert_message("manifest unknown");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_swarm, each_setup),
        cmocka_unit_test_setup(test_objects, each_setup),
        cmocka_unit_test_setup(test_service, each_setup),
        cmocka_unit_test_setup(test_job_fails, each_setup),
        cmocka_unit_test_setup(test_pending, each_setup),
        cmocka_unit_test_setup(test_distribution, each_setup),
        cmocka_unit_test_setup(test_no_swarm, each_setup),
    };

    ctx_init_cleanup(&test_ctx, 60000);
    return cmocka_run_group_tests(tests, setup, teardown);
}
