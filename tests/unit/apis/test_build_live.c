/* Needs a daemon with the classic builder: see live.h. */
#include "live.h"

#include <signal.h>

#include "apis/docker/build.h"
#include "base/tar.h"

static struct docker_client *docker;
static struct buf output = BUF_INIT;

static int setup(void **state)
{
    (void)state;
    signal(SIGPIPE, SIG_IGN);
    ctx_init_cleanup(&test_ctx, 60000);
    docker = live_client();
    assert_ok(docker_client_ping(&test_ctx, docker, &test_err));
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    ctx_init_cleanup(&test_ctx, 60000);
    (void)!docker_image_remove(&test_ctx, docker, "apis-build:1", true, NULL);
    docker_client_free(docker);
    buf_release(&output);
    return 0;
}

static void on_output(void *arg, const char *text)
{
    (void)arg;
    buf_addstr(&output, text);
}

static int build(const char *dockerfile, struct docker_build *options, char **ret_id)
{
    CLEANUP_BUF struct buf tar = BUF_INIT;

    buf_reset(&output);
    tar_add_file(&tar, "sub/Recipe", 0644, dockerfile, strlen(dockerfile));
    tar_add_file(&tar, "file", 0644, "content\n", 8);
    tar_add_end(&tar);
    options->context = (struct docker_tar){.data = tar.data, .len = tar.len};
    options->dockerfile = "sub/Recipe";
    options->output = on_output;
    return docker_image_build(&test_ctx, docker, options, ret_id, &test_err);
}

static void test_build(void **state)
{
    CLEANUP_STRMAP struct strmap args = {0};
    CLEANUP_STRMAP struct strmap labels = {0};
    CLEANUP_FREE char *id = NULL;
    CLEANUP_FREE char *text = xasprintf("ARG BASE\nFROM ${BASE} AS one\nCOPY file /file\n"
                                        "ARG WHO=nobody\nRUN echo hello $WHO; cat /file\n"
                                        "FROM one AS two\nENV TWO=2\n");
    const char *const tags[] = {"apis-build:1", NULL};
    const char *const hosts[] = {"other:10.0.0.9", NULL};
    CLEANUP_DOCKER_IMAGE struct docker_image image = {0};
    struct docker_build options = {.tags = tags,
                                   .args = &args,
                                   .labels = &labels,
                                   .target = "one",
                                   .network = "none",
                                   .extra_hosts = hosts,
                                   .shm_bytes = 1 << 20};

    (void)state;
    strmap_set(&args, "BASE", live_image());
    strmap_set(&args, "WHO", "a & \"b\"");
    strmap_set(&labels, "made", "yes");
    assert_ok(build(text, &options, &id));
    assert_non_null(strstr(output.data, "hello a & \"b\"\ncontent\n"));
    assert_ok(docker_image_inspect(&test_ctx, docker, "apis-build:1", &image, &test_err));
    assert_string_equal(image.id, id);
    assert_string_equal(strmap_get(&image.labels, "made"), "yes");
    for (size_t i = 0; i < image.env.len; i++)
        assert_string_not_equal(image.env.items[i], "TWO=2");
}

static void test_failures(void **state)
{
    CLEANUP_FREE char *id = NULL;
    CLEANUP_FREE char *fails = xasprintf("FROM %s\nRUN echo before; exit 3\n", live_image());
    struct docker_build options = {0};

    (void)state;
    assert_error(build(fails, &options, &id), ERR_INVALID);
    assert_message("returned a non-zero code: 3");
    assert_non_null(strstr(output.data, "before\n"));
    assert_error(build("FRUM x\n", &options, &id), ERR_INVALID);
    assert_message("unknown instruction: FRUM");
    assert_null(id);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_build),
        cmocka_unit_test(test_failures),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
