/* Networks that the misbehaving daemon of tests/fake/docker.py does not let go of. */
#include "tests/unit/apis/fake.h"

#include "compose/network_remove.h"

static struct fake fake;
static struct docker_client *docker;

static int set_up(void **state)
{
    CLEANUP_DOCKER_ENDPOINT struct docker_endpoint endpoint = {0};

    (void)state;
    signal(SIGPIPE, SIG_IGN);
    ctx_init_cleanup(&test_ctx, 60000);
    assert_int_equal(0, fake_start(&fake));
    assert_ok(docker_endpoint_parse(fake.url, NULL, true, &endpoint, &test_err));
    assert_ok(docker_client_new(&endpoint, 0, &docker, &test_err));
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    docker_client_free(docker);
    fake_stop(&fake);
    return 0;
}

static void test_container_that_is_gone(void **state)
{
    (void)state;
    assert_ok(compose_network_remove(&test_ctx, docker, "held-2", false, &test_err));
}

static void test_never(void **state)
{
    struct ctx ctx;

    (void)state;
    ctx_init_cleanup(&ctx, 300);
    assert_int_equal(-1, compose_network_remove(&ctx, docker, "held-1000", true, &test_err));
    /* The time may be up in the midst of a request. */
    assert_true(test_err.errnum == 403 || test_err.code == ERR_TIMEOUT);
    ctx_release(&ctx);
}

static void test_another_failure(void **state)
{
    (void)state;
    assert_error(compose_network_remove(&test_ctx, docker, "status-404", true, &test_err),
                 ERR_NOT_FOUND);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_container_that_is_gone),
        cmocka_unit_test(test_never),
        cmocka_unit_test(test_another_failure),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
