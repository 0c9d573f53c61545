/* The options for engines, from words and environment to what engines get. */
#include "tests/unit/test.h"

#include "cli/engines.h"
#include "cli/option.h"

struct args {
    struct cli_engine_args engines;
};

static const struct cli_option options[] = {CLI_ENGINE_OPTIONS(struct args), {0}};
static const struct cli_command command = {.name = "use",
                                           .options = options,
                                           .args_size = sizeof(struct args)};

static void parse(const char *const *argv, struct args *args)
{
    struct strvec operands = {0};
    struct err err = ERR_INIT;
    bool help;

    *args = (struct args){0};
    assert_int_equal(cli_parse(&command, (char *const *)argv, args, &operands, &help, &err), 0);
    strvec_release(&operands);
}

static void each_reaches_its_member(void **state)
{
    static const char *const argv[] = {"--docker-host",  "unix:///d",   "--kubeconfig", "k.conf",
                                       "--context=prod", "--namespace", "ci",           NULL};
    struct engine_services services = {.keep = true};
    struct args args;

    (void)state;
    parse(argv, &args);
    cli_engine_services(&args.engines, &services);
    assert_string_equal(services.docker_host, "unix:///d");
    assert_string_equal(services.kubeconfig, "k.conf");
    assert_string_equal(services.context, "prod");
    assert_string_equal(services.ns, "ci");
    assert_true(services.keep);
    cli_args_release(&command, &args);
}

static void environment(void **state)
{
    static const char *const argv[] = {"--context", "given", NULL};
    struct engine_services services = {0};
    struct args args;

    (void)state;
    setenv("RUNNER_USE_DOCKER_HOST", "tcp://d:1", 1);
    setenv("RUNNER_USE_KUBECONFIG", "env.conf", 1);
    setenv("RUNNER_USE_CONTEXT", "env", 1);
    setenv("RUNNER_USE_NAMESPACE", "env", 1);
    parse(argv, &args);
    cli_engine_services(&args.engines, &services);
    assert_string_equal(services.docker_host, "tcp://d:1");
    assert_string_equal(services.kubeconfig, "env.conf");
    assert_string_equal(services.context, "given");
    assert_string_equal(services.ns, "env");
    cli_args_release(&command, &args);
    unsetenv("RUNNER_USE_DOCKER_HOST");
    unsetenv("RUNNER_USE_KUBECONFIG");
    unsetenv("RUNNER_USE_CONTEXT");
    unsetenv("RUNNER_USE_NAMESPACE");
}

/* As in scripts: --context "$CONTEXT" */
static void empty_is_not_set(void **state)
{
    static const char *const argv[] = {"--docker-host=", "--kubeconfig=", "--context=",
                                       "--namespace=", NULL};
    struct engine_services services = {0};
    struct args args;

    (void)state;
    parse(argv, &args);
    cli_engine_services(&args.engines, &services);
    assert_null(services.docker_host);
    assert_null(services.kubeconfig);
    assert_null(services.context);
    assert_null(services.ns);
    cli_args_release(&command, &args);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_reaches_its_member),
        cmocka_unit_test(environment),
        cmocka_unit_test(empty_is_not_set),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
