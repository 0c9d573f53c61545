/* What a container of a service is created from. */
#include "tests/unit/test.h"

#include <string.h>

#include "compose/recipe.h"

#include "base/json_at.h"

static struct strmap proxies;

/* The body's member at a path such as "HostConfig.Init", as JSON; "": there is none. */
static void check(const char *service, const char *path, const char *expected)
{
    CLEANUP_BUF struct buf text = BUF_INIT;
    CLEANUP_COMPOSE_SOURCES struct compose_sources sources = {0};
    CLEANUP_COMPOSE_PROJECT struct compose_project *project = NULL;
    CLEANUP_COMPOSE_RECIPE struct compose_recipe recipe = {0};
    const struct strmap none = {0};
    struct compose_options options = {.text_name = "compose.yaml",
                                      .project_name = "p",
                                      .project_directory = "/",
                                      .no_env_file = true,
                                      .environment = &none};
    struct compose_recipe_request request = {.service = "a", .number = 1, .proxies = &proxies};
    struct err err = ERR_INIT;
    const json_t *at;
    json_t *body;
    char *got;

    buf_addf(&text, "services: {a: {image: i, %s}}", service);
    options.text = text.data;
    project = compose_load(&options, &sources);
    assert_non_null(project);
    request.project = project;
    assert_int_equal(compose_recipe_make(&request, &recipe, &err), 0);
    body = docker_create_body(&recipe.create, 44, &err);
    assert_non_null(body);
    at = json_at(body, path);
    got = at ? json_dumps(at, JSON_ENCODE_ANY | JSON_COMPACT) : strdup("");
    assert_string_equal(got, expected);
    free(got);
    json_decref(body);
}

static void test_zero_is_not_nothing(void **state)
{
    (void)state;
    check("tty: false", "StopTimeout", "");
    check("stop_grace_period: 0s", "StopTimeout", "0");
    check("stop_grace_period: 1m30s", "StopTimeout", "90");
    /* No time at all would be less than what was asked for. */
    check("stop_grace_period: 500ms", "StopTimeout", "1");
    check("tty: false", "HostConfig.Init", "");
    check("init: false", "HostConfig.Init", "false");
    check("init: true", "HostConfig.Init", "true");
    /* Of these 0 is what the daemon takes for nothing, and what Docker Compose leaves out. */
    check("mem_swappiness: 0", "HostConfig.MemorySwappiness", "");
    check("pids_limit: 0", "HostConfig.PidsLimit", "");
    check("healthcheck: {test: 'true', interval: 0s, retries: 0, start_period: 0s}", "Healthcheck",
          "{\"Test\":[\"CMD-SHELL\",\"true\"]}");
}

static void test_proxies(void **state)
{
    (void)state;
    check("tty: false", "Env", "");
    strmap_set(&proxies, "HTTP_PROXY", "p");
    strmap_set(&proxies, "http_proxy", "p");
    check("environment: {A: b}", "Env", "[\"A=b\",\"HTTP_PROXY=p\",\"http_proxy=p\"]");
    check("environment: {HTTP_PROXY: '', http_proxy: }", "Env", "[\"HTTP_PROXY=\",\"http_proxy\"]");
    strmap_release(&proxies);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_zero_is_not_nothing),
        cmocka_unit_test(test_proxies),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
