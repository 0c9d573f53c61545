/* The option parser, over a table with every type. */
#include "tests/unit/test.h"

#include "cli/option.h"

struct args {
    bool keep;
    bool quiet;
    char *config;
    int64_t jobs;
    int64_t *tries;
    int64_t timeout_ms;
    struct strvec names;
    struct strmap env;
    int progress;
    bool inward;
};

static const char *const choices[] = {"auto", "plain", "json", NULL};
static const char *const more_names[] = {"OTHER_CONFIG", NULL};
static const char *const common_names[] = {"COMMON_ENV", NULL};

#define AT(field) offsetof(struct args, field)

static const struct cli_option options[] = {
    {"keep", 'k', CLI_FLAG, AT(keep), NULL, "keep", NULL, NULL},
    {"quiet", 'q', CLI_FLAG, AT(quiet), NULL, "be quiet", NULL, NULL},
    {"config", 'c', CLI_STRING, AT(config), "FILE", "file", NULL, more_names},
    {"max-jobs", 'j', CLI_INT, AT(jobs), "N", "jobs", NULL, NULL},
    {"tries", 0, CLI_MAYBE_INT, AT(tries), "N", "tries", NULL, NULL},
    {"timeout", 0, CLI_DURATION, AT(timeout_ms), "DURATION", "limit", NULL, NULL},
    {"name", 'n', CLI_LIST, AT(names), "NAME", "names", NULL, NULL},
    {"env", 'e', CLI_PAIRS, AT(env), "KEY=VALUE", "variables", NULL, common_names},
    {"progress", 0, CLI_CHOICE, AT(progress), NULL, "display", choices, NULL},
    {"inward", 0, CLI_FLAG, AT(inward), NULL, NULL, NULL, NULL},
    {0},
};

static const struct cli_command command = {.name = "do-it",
                                           .alias = "try",
                                           .operands = "[FILE...]",
                                           .summary = "does it",
                                           .options = options,
                                           .args_size = sizeof(struct args)};
static const struct cli_command bare = {.name = "bare", .summary = "takes nothing"};
static const struct cli_command secret = {.name = "secret", .summary = "unseen", .hidden = true};
static const struct cli_command *const commands[] = {&command, &bare, &secret, NULL};

struct fixture {
    struct args args;
    struct strvec operands;
    struct err err;
    bool help;
    int result;
};

static void parse(struct fixture *f, const struct cli_command *of, const char *const *argv)
{
    *f = (struct fixture){0};
    f->result = cli_parse(of, (char *const *)argv, &f->args, &f->operands, &f->help, &f->err);
}

#define PARSE(f, ...) parse(f, &command, (const char *const[]){__VA_ARGS__ __VA_OPT__(, ) NULL})

static void done(struct fixture *f)
{
    cli_args_release(&command, &f->args);
    strvec_release(&f->operands);
}

static void assert_error(struct fixture *f, const char *message)
{
    assert_int_equal(f->result, -1);
    assert_string_equal(f->err.message, message);
    done(f);
}

static void every_form(void **state)
{
    static const char *const forms[][5] = {
        {"--config=a=b", "-j7", "-k", "x", NULL},  {"--config", "a=b", "--max-jobs=7", "-k", "x"},
        {"-c", "a=b", "-kj7", "x", NULL},          {"x", "-kca=b", "--max-jobs", "7", NULL},
        {"-kq", "-j", "7", "-ca=b", "x"},          {"--keep", "-ca=b", "-j7", "--", "x"},
        {"--keep=yes", "-ca=b", "-j7", "x", NULL}, {"-ca=b", "-j7", "--keep=1", "x", NULL},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(forms) / sizeof(*forms); i++) {
        const char *argv[6] = {NULL};
        struct fixture f;

        memcpy(argv, forms[i], sizeof(forms[i]));
        parse(&f, &command, argv);
        assert_int_equal(f.result, 0);
        assert_false(f.help);
        assert_true(f.args.keep);
        assert_string_equal(f.args.config, "a=b");
        assert_int_equal(f.args.jobs, 7);
        assert_int_equal(f.operands.len, 1);
        assert_string_equal(f.operands.items[0], "x");
        done(&f);
    }
}

static void types(void **state)
{
    struct fixture f;

    (void)state;
    PARSE(&f, "-n", "a", "--name=b", "-e", "A=1", "-eB=x=y", "-e", "A=2", "--env",
          "C=", "--timeout=1m30s", "--progress", "json", "--keep=off", "-c", "1", "-c2");
    assert_int_equal(f.result, 0);
    assert_int_equal(f.args.names.len, 2);
    assert_string_equal(f.args.names.items[1], "b");
    assert_int_equal(f.args.env.len, 3);
    assert_string_equal(strmap_get(&f.args.env, "A"), "2");
    assert_string_equal(strmap_get(&f.args.env, "B"), "x=y");
    assert_string_equal(strmap_get(&f.args.env, "C"), "");
    assert_int_equal(f.args.timeout_ms, 90000);
    assert_int_equal(f.args.progress, 2);
    assert_false(f.args.keep);
    assert_string_equal(f.args.config, "2");
    done(&f);
}

static void what_looks_like_an_option(void **state)
{
    struct fixture f;

    (void)state;
    PARSE(&f, "-", "-c", "-", "--name", "--keep", "--", "--keep", "-h", "--");
    assert_int_equal(f.result, 0);
    assert_string_equal(f.args.config, "-");
    assert_string_equal(f.args.names.items[0], "--keep");
    assert_false(f.args.keep);
    assert_false(f.help);
    assert_int_equal(f.operands.len, 4);
    assert_string_equal(f.operands.items[0], "-");
    assert_string_equal(f.operands.items[1], "--keep");
    assert_string_equal(f.operands.items[3], "--");
    done(&f);
}

static void help(void **state)
{
    static const char *const forms[] = {"--help", "-h", "-kh"};

    (void)state;
    for (size_t i = 0; i < sizeof(forms) / sizeof(*forms); i++) {
        struct fixture f;

        setenv("RUNNER_DO_IT_MAX_JOBS", "not a number", 1);
        PARSE(&f, forms[i]);
        assert_int_equal(f.result, 0);
        assert_true(f.help);
        unsetenv("RUNNER_DO_IT_MAX_JOBS");
        done(&f);
    }
}

static void errors(void **state)
{
    static const struct {
        const char *argument;
        const char *value;
        const char *message;
    } cases[] = {
        {"--confg", NULL, "unknown option --confg of \"do-it\"; did you mean --config?"},
        {"--zzzzzz", NULL, "unknown option --zzzzzz; see \"runner do-it --help\""},
        {"--inwrd", NULL, "unknown option --inwrd; see \"runner do-it --help\""},
        {"-z", NULL, "unknown option -z; see \"runner do-it --help\""},
        {"-kz", NULL, "unknown option -z; see \"runner do-it --help\""},
        {"--config", NULL, "--config needs a value (FILE)"},
        {"-c", NULL, "-c needs a value (FILE)"},
        {"-j", "x", "-j: \"x\" is not an integer"},
        {"--max-jobs", "-1", "--max-jobs must not be negative"},
        {"--max-jobs", "99999999999999999999", "--max-jobs: 99999999999999999999 is out of range"},
        {"--keep=perhaps", NULL, "--keep takes true or false, not \"perhaps\""},
        {"-e", "A", "-e takes KEY=VALUE, not \"A\""},
        {"--env", "=x", "--env takes KEY=VALUE, not \"=x\""},
        {"--progress", "loud", "--progress takes one of auto, plain, json, not \"loud\""},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct fixture f;

        PARSE(&f, cases[i].argument, cases[i].value);
        assert_error(&f, cases[i].message);
    }
}

static void zero_is_given(void **state)
{
    struct fixture f;

    (void)state;
    PARSE(&f, NULL);
    assert_null(f.args.tries);
    done(&f);
    PARSE(&f, "--tries=5", "--tries=0");
    assert_int_equal(f.result, 0);
    assert_non_null(f.args.tries);
    assert_int_equal(*f.args.tries, 0);
    done(&f);
    PARSE(&f, "--tries=-1");
    assert_error(&f, "--tries must not be negative");
}

static void operands_may_be_refused(void **state)
{
    struct fixture f;

    (void)state;
    parse(&f, &bare, (const char *const[]){"x", NULL});
    assert_error(&f, "\"bare\" takes no argument, but got \"x\"");
    parse(&f, &bare, (const char *const[]){"--keep", NULL});
    assert_error(&f, "unknown option --keep; see \"runner bare --help\"");
}

static void environment(void **state)
{
    struct fixture f;

    (void)state;
    setenv("RUNNER_DO_IT_MAX_JOBS", "3", 1);
    setenv("RUNNER_DO_IT_KEEP", "true", 1);
    setenv("RUNNER_DO_IT_ENV", "A=1", 1);
    setenv("RUNNER_DO_IT_PROGRESS", "", 1);
    setenv("OTHER_CONFIG", "other", 1);
    PARSE(&f, NULL);
    assert_int_equal(f.result, 0);
    assert_int_equal(f.args.jobs, 3);
    assert_true(f.args.keep);
    assert_string_equal(strmap_get(&f.args.env, "A"), "1");
    assert_int_equal(f.args.progress, 0);
    assert_string_equal(f.args.config, "other");
    done(&f);

    setenv("RUNNER_DO_IT_CONFIG", "own", 1);
    PARSE(&f, "-j", "4", "--keep=false", "-e", "B=2");
    assert_int_equal(f.args.jobs, 4);
    assert_false(f.args.keep);
    assert_null(strmap_get(&f.args.env, "A"));
    assert_string_equal(f.args.config, "own");
    done(&f);

    setenv("RUNNER_DO_IT_MAX_JOBS", "x", 1);
    PARSE(&f, NULL);
    assert_error(&f, "RUNNER_DO_IT_MAX_JOBS: \"x\" is not an integer");
    unsetenv("RUNNER_DO_IT_MAX_JOBS");

    setenv("RUNNER_DO_IT_ENV", "production", 1);
    PARSE(&f, NULL);
    assert_error(&f, "RUNNER_DO_IT_ENV takes KEY=VALUE, not \"production\"");
    unsetenv("RUNNER_DO_IT_KEEP");
    unsetenv("RUNNER_DO_IT_ENV");
    unsetenv("RUNNER_DO_IT_PROGRESS");
    unsetenv("RUNNER_DO_IT_CONFIG");
    unsetenv("OTHER_CONFIG");
}

/* Others use such a name, too: what is no KEY=VALUE is theirs. */
static void environment_of_others(void **state)
{
    static const char *const values[] = {"production", "/root/.shrc", "=x", ""};
    struct fixture f;

    (void)state;
    for (size_t i = 0; i < sizeof(values) / sizeof(*values); i++) {
        setenv("COMMON_ENV", values[i], 1);
        PARSE(&f, NULL);
        assert_int_equal(f.result, 0);
        assert_int_equal(f.args.env.len, 0);
        done(&f);
    }
    setenv("COMMON_ENV", "A=1", 1);
    PARSE(&f, NULL);
    assert_int_equal(f.result, 0);
    assert_string_equal(strmap_get(&f.args.env, "A"), "1");
    done(&f);
    unsetenv("COMMON_ENV");
}

static void finding_commands(void **state)
{
    struct err err = ERR_INIT;

    (void)state;
    assert_ptr_equal(cli_find_command(commands, "do-it", &err), &command);
    assert_ptr_equal(cli_find_command(commands, "try", &err), &command);
    assert_ptr_equal(cli_find_command(commands, "secret", &err), &secret);
    assert_null(cli_find_command(commands, "bear", &err));
    assert_string_equal(err.message, "unknown command \"bear\"; did you mean \"bare\"?");
    assert_null(cli_find_command(commands, "secre", &err));
    assert_string_equal(err.message, "unknown command \"secre\"; see \"runner help\"");
}

static void help_shows_every_row(void **state)
{
    CLEANUP_BUF struct buf text = BUF_INIT;

    (void)state;
    cli_help(commands, &command, &text);
    for (const struct cli_option *o = options; o->name; o++) {
        CLEANUP_BUF struct buf name = BUF_INIT;

        buf_addf(&name, "--%s", o->name);
        assert_int_equal(o->help != NULL, strstr(text.data, name.data) != NULL);
    }
    buf_reset(&text);
    cli_help(commands, NULL, &text);
    assert_non_null(strstr(text.data, "takes nothing"));
    assert_null(strstr(text.data, "unseen"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_form),
        cmocka_unit_test(types),
        cmocka_unit_test(what_looks_like_an_option),
        cmocka_unit_test(help),
        cmocka_unit_test(errors),
        cmocka_unit_test(zero_is_given),
        cmocka_unit_test(operands_may_be_refused),
        cmocka_unit_test(environment),
        cmocka_unit_test(environment_of_others),
        cmocka_unit_test(finding_commands),
        cmocka_unit_test(help_shows_every_row),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
