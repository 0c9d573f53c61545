/* Deploying and taking back, on the manager of a swarm that RUNNER_TEST_SWARM names. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "apis/docker/endpoint.h"
#include "base/alloc.h"
#include "compose/stack_internal.h"

#define NAME "unit-stack"

static struct err test_err;
static struct ctx test_ctx;
static struct docker_client *docker;

#define assert_ok(expression)                                                                      \
    do {                                                                                           \
        if ((expression) < 0)                                                                      \
            fail_msg("%s: %s (%s, %d)", #expression, test_err.message,                             \
                     err_code_name(test_err.code), test_err.errnum);                               \
    } while (0)

/* What the sink has heard: all notes, and the names of what was announced. */
struct heard {
    struct buf notes;
    struct buf announced;
    const char *refuse; /* announced so, it is refused */
};

static void on_note(void *arg, enum stack_note note, const char *text)
{
    struct heard *heard = arg;

    (void)note;
    buf_addf(&heard->notes, "%s\n", text);
}

static int on_announce(void *arg, enum stack_kind kind, const char *name, struct err *err)
{
    struct heard *heard = arg;

    buf_addf(&heard->announced, "%s %s\n", stack_kind_name(kind), name);
    if (heard->refuse && strcmp(heard->refuse, name) == 0)
        return err_set(err, ERR_CANCELLED, "refused");
    return 0;
}

static void heard_release(struct heard *heard)
{
    buf_release(&heard->notes);
    buf_release(&heard->announced);
}

static int setup(void **state)
{
    const char *url = getenv("RUNNER_TEST_SWARM");
    CLEANUP_DOCKER_ENDPOINT struct docker_endpoint endpoint = {0};

    (void)state;
    if (!url)
        fail_msg("RUNNER_TEST_SWARM is not set: this test needs a swarm");
    signal(SIGPIPE, SIG_IGN);
    ctx_init_cleanup(&test_ctx, 60000);
    assert_ok(docker_endpoint_parse(url, NULL, true, &endpoint, &test_err));
    assert_ok(docker_client_new(&endpoint, 0, &docker, &test_err));
    (void)!stack_remove(&test_ctx, docker, NAME, NULL, NULL);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    ctx_init_cleanup(&test_ctx, 60000);
    (void)!stack_remove(&test_ctx, docker, NAME, NULL, NULL);
    docker_client_free(docker);
    return 0;
}

/* Deploys `text` without waiting for services. */
static int deploy(const char *text, struct heard *heard, struct stack_record *record)
{
    const struct stack_options options = {.name = NAME,
                                          .resolve = STACK_RESOLVE_NEVER,
                                          .sink = {.note = on_note,
                                                   .about_to_create = on_announce,
                                                   .arg = heard}};
    const struct compose_options load = {.text = text,
                                         .text_name = "text",
                                         .project_name = NAME,
                                         .project_directory = "/tmp",
                                         .target = COMPOSE_TARGET_SWARM};
    CLEANUP_COMPOSE_SOURCES struct compose_sources sources = {0};
    CLEANUP_COMPOSE_PROJECT struct compose_project *project = compose_load(&load, &sources);

    assert_non_null(project);
    return stack_deploy(&test_ctx, docker, project, &options, record, &test_err);
}

static int take_back(struct heard *heard, const struct stack_record *record)
{
    const struct stack_options options = {.name = NAME, .sink = {.note = on_note, .arg = heard}};

    return stack_take_back(&test_ctx, docker, record, &options, &test_err);
}

static size_t services_left(void)
{
    CLEANUP_BUF struct buf text = BUF_INIT;
    struct docker_filter filter = stack_filter(NAME, &text);
    CLEANUP_DOCKER_SERVICE_LIST struct docker_service_list list = {0};

    assert_ok(docker_service_list(&test_ctx, docker, &filter, 1, &list, &test_err));
    return list.len;
}

static const char one[] = "services: {a: {image: 'busybox:1.36', command: sleep 600, "
                          "stop_grace_period: 0s}}";
static const char two[] = "{services: {a: {image: 'busybox:1.36', command: sleep 601, "
                          "stop_grace_period: 0s}, b: {image: 'busybox:1.36', "
                          "command: sleep 600, stop_grace_period: 0s, configs: [c], "
                          "networks: [n]}}, configs: {c: {content: x}}, networks: {n: }}";

static void test_announces_before_it_creates(void **state)
{
    struct heard heard = {.notes = BUF_INIT, .announced = BUF_INIT};
    CLEANUP_STACK_RECORD struct stack_record record = {0};

    (void)state;
    assert_ok(deploy(two, &heard, &record));
    assert_string_equal(heard.announced.data,
                        "config " NAME "_c\nnetwork " NAME "_default\nnetwork " NAME "_n\n"
                        "service " NAME "_a\nservice " NAME "_b\n");
    assert_int_equal(record.created.len, 5);
    for (size_t i = 0; i < record.created.len; i++)
        assert_true(*record.created.items[i].id);
    assert_ok(stack_remove(&test_ctx, docker, NAME, NULL, &test_err));
    heard_release(&heard);
}

/* A deploy that is broken off is taken back; what was there before stays, changed or not. */
static void test_takes_back_only_what_it_made(void **state)
{
    struct heard heard = {.notes = BUF_INIT, .announced = BUF_INIT, .refuse = NAME "_b"};
    CLEANUP_STACK_RECORD struct stack_record before = {0};
    CLEANUP_STACK_RECORD struct stack_record record = {0};

    (void)state;
    assert_ok(deploy(one, &heard, &before));
    assert_int_equal(deploy(two, &heard, &record), -1);
    assert_int_equal(test_err.code, ERR_CANCELLED);
    assert_int_equal(record.created.len, 2);
    assert_int_equal(record.updated.len, 1);
    assert_string_equal(record.updated.items[0], NAME "_a");
    assert_ok(take_back(&heard, &record));
    assert_non_null(strstr(heard.notes.data, "removing network " NAME "_n\n"));
    assert_non_null(strstr(heard.notes.data, "removing config " NAME "_c\n"));
    assert_null(strstr(heard.notes.data, "removing network " NAME "_default"));
    assert_non_null(strstr(heard.notes.data, "service " NAME "_a was updated and stays so"));
    assert_int_equal(services_left(), 1);
    assert_ok(take_back(&heard, &before));
    assert_int_equal(services_left(), 0);
    assert_int_equal(stack_remove(&test_ctx, docker, NAME, NULL, &test_err), -1);
    assert_int_equal(test_err.code, ERR_NOT_FOUND);
    heard_release(&heard);
}

/* The calls under way come to their end, and what they have made is known. */
static void test_a_cancelled_deploy_knows_what_it_made(void **state)
{
    struct heard heard = {.notes = BUF_INIT, .announced = BUF_INIT};
    CLEANUP_STACK_RECORD struct stack_record record = {0};

    (void)state;
    ctx_set_timeout(&test_ctx, 1, "the test");
    assert_int_equal(deploy(two, &heard, &record), -1);
    ctx_init_cleanup(&test_ctx, 60000);
    assert_ok(take_back(&heard, &record));
    assert_int_equal(services_left(), 0);
    assert_int_equal(stack_remove(&test_ctx, docker, NAME, NULL, &test_err), -1);
    assert_int_equal(test_err.code, ERR_NOT_FOUND);
    heard_release(&heard);
}

static void test_ps(void **state)
{
    struct heard heard = {.notes = BUF_INIT, .announced = BUF_INIT};
    CLEANUP_STACK_RECORD struct stack_record record = {0};
    CLEANUP_STACK_TASK_LIST struct stack_task_list tasks = {0};

    (void)state;
    assert_ok(deploy(one, &heard, &record));
    while (!tasks.len) {
        assert_ok(ctx_sleep(&test_ctx, 50, &test_err));
        stack_task_list_release(&tasks);
        assert_ok(stack_ps(&test_ctx, docker, NAME, &tasks, &test_err));
    }
    assert_string_equal(tasks.items[0].name, NAME "_a.1");
    assert_string_equal(tasks.items[0].service, NAME "_a");
    assert_string_equal(tasks.items[0].image, "busybox:1.36");
    assert_ok(take_back(&heard, &record));
    heard_release(&heard);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_announces_before_it_creates),
        cmocka_unit_test(test_takes_back_only_what_it_made),
        cmocka_unit_test(test_a_cancelled_deploy_knows_what_it_made),
        cmocka_unit_test(test_ps),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
