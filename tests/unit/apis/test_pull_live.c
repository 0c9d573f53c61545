/* Pulls from real registries, which the test environment fills with private/pulled:1 and
 * runner-test/pulled:1. */
#include "live.h"

#include <signal.h>

#include "apis/docker/image.h"
#include "base/base64.h"
#include "base/fs.h"

static struct docker_client *docker;
static char *open_image;
static char *private_image;
static const char *registry;
static const char *user;
static const char *password;

static const char *needed(const char *name)
{
    const char *value = getenv(name);

    if (!value)
        fail_msg("%s is not set: this test needs the test environment's registries", name);
    return value;
}

static int setup(void **state)
{
    (void)state;
    signal(SIGPIPE, SIG_IGN);
    ctx_init_cleanup(&test_ctx, 120000);
    registry = needed("RUNNER_TEST_AUTH_REGISTRY");
    user = needed("RUNNER_TEST_AUTH_USER");
    password = needed("RUNNER_TEST_AUTH_PASSWORD");
    open_image = xasprintf("%s/runner-test/pulled:1", needed("RUNNER_TEST_REGISTRY"));
    private_image = xasprintf("%s/private/pulled:1", registry);
    docker = live_client();
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    (void)!docker_image_remove(&test_ctx, docker, open_image, true, NULL);
    (void)!docker_image_remove(&test_ctx, docker, private_image, true, NULL);
    docker_client_free(docker);
    free(open_image);
    free(private_image);
    return 0;
}

struct trace {
    size_t calls;
    size_t done;
    size_t layers;
};

static void on_progress(void *arg, const struct docker_pull_progress *p)
{
    struct trace *t = arg;

    t->calls++;
    t->done = p->layer_done_count;
    t->layers = p->layer_count;
    assert_true(p->bytes <= p->bytes_total);
}

static void test_open(void **state)
{
    struct trace trace = {0};
    CLEANUP_DOCKER_IMAGE struct docker_image image = {0};
    struct docker_pull pull = {.image = open_image,
                               .progress = on_progress,
                               .progress_arg = &trace};

    (void)state;
    (void)!docker_image_remove(&test_ctx, docker, open_image, true, NULL);
    assert_ok(docker_image_pull(&test_ctx, docker, &pull, &test_err));
    assert_true(trace.calls >= 3 && trace.layers >= 1);
    assert_int_equal(trace.done, trace.layers);
    assert_ok(docker_image_inspect(&test_ctx, docker, open_image, &image, &test_err));
    assert_true(image.repo_digests.len >= 1);
    /* Again by digest: nothing to do. */
    pull.image = image.repo_digests.items[0];
    assert_ok(docker_image_pull(&test_ctx, docker, &pull, &test_err));
}

static void test_missing(void **state)
{
    CLEANUP_FREE char *image = xasprintf("%s/runner-test/none:1", getenv("RUNNER_TEST_REGISTRY"));
    struct docker_pull pull = {.image = image};

    (void)state;
    assert_error(docker_image_pull(&test_ctx, docker, &pull, &test_err), ERR_IMAGE_PULL);
    assert_int_equal(test_err.errnum, 404);
    assert_message("not found");
}

static void test_password(void **state)
{
    const char *const env[] = {NULL};
    CLEANUP_DOCKER_CREDENTIALS struct docker_credentials good = {0};
    CLEANUP_DOCKER_CREDENTIALS struct docker_credentials wrong = {0};
    struct docker_pull pull = {.image = private_image};

    (void)state;
    assert_error(docker_image_pull(&test_ctx, docker, &pull, &test_err), ERR_IMAGE_PULL);
    assert_int_equal(test_err.errnum, 401);
    assert_ok(docker_credentials_find(&test_ctx, env, registry, user, "wrong", &wrong, &test_err));
    pull.auth = &wrong;
    assert_error(docker_image_pull(&test_ctx, docker, &pull, &test_err), ERR_IMAGE_PULL);
    assert_int_equal(test_err.errnum, 401);
    assert_ok(docker_credentials_find(&test_ctx, env, registry, user, password, &good, &test_err));
    pull.auth = &good;
    assert_ok(docker_image_pull(&test_ctx, docker, &pull, &test_err));
}

static void test_config_file(void **state)
{
    char dir[] = "/tmp/apis-pull-XXXXXX";
    CLEANUP_FREE char *config_env = NULL;
    CLEANUP_FREE char *path = NULL;
    CLEANUP_FREE char *pair = xasprintf("%s:%s", user, password);
    CLEANUP_FREE char *text = NULL;
    CLEANUP_BUF struct buf auth = BUF_INIT;
    CLEANUP_DOCKER_CREDENTIALS struct docker_credentials found = {0};
    struct docker_pull pull = {.image = private_image, .auth = &found};

    (void)state;
    assert_non_null(mkdtemp(dir));
    path = fs_join(dir, "config.json");
    config_env = xasprintf("DOCKER_CONFIG=%s", dir);
    base64_encode(&auth, pair, strlen(pair));
    text = xasprintf("{\"auths\": {\"http://%s/v2/\": {\"auth\": \"%s\"}}}", registry, auth.data);
    assert_ok(fs_write_file(path, text, strlen(text), 0600, &test_err));
    assert_ok(docker_credentials_find(&test_ctx, (const char *const[]){config_env, NULL}, registry,
                                      NULL, NULL, &found, &test_err));
    assert_ok(docker_image_pull(&test_ctx, docker, &pull, &test_err));
    assert_ok(fs_remove_tree(dir, &test_err));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_open),
        cmocka_unit_test(test_missing),
        cmocka_unit_test(test_password),
        cmocka_unit_test(test_config_file),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
