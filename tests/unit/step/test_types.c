/* What steps with a `type` become: scripts, their parameters, what comes with them. */
#include "tests/unit/test.h"

#include "base/alloc.h"
#include "load/load.h"
#include "step/kind.h"
#include "step/type.h"

static const struct step_kind *const kinds[] = {&step_kind_type, &step_kind_command, NULL};

struct fixture {
    struct spec_pipeline *spec;
    struct plan *plan;
    struct diag_list diags;
    struct plan_settings settings;
    struct strmap identity;
    struct step_lowered *lowered;
    struct err err;
};

/* Lowers the only step, which has these keys; what is wrong is in f->err. */
static int make(struct fixture *f, const char *keys)
{
    CLEANUP_LOAD_SOURCE struct load_source source = LOAD_SOURCE_INIT;
    CLEANUP_FREE char *text =
        xasprintf("{name: p, stages: [{name: s, jobs: [{name: j, steps: [{name: a, %s}]}]}]}",
                  keys);
    const struct plan_inputs inputs = {.current_dir = "/repo"};
    struct step_context context = {.settings = &f->settings,
                                   .identity = &f->identity,
                                   .id = "R.0.0.0",
                                   .local = true};

    *f = (struct fixture){.err = ERR_INIT};
    load_source_init(&source, "p.yaml", text, strlen(text));
    f->spec = load_pipeline(&source, NULL, &f->diags);
    if (!f->spec)
        fail_msg("%s", f->diags.items[0].message);
    f->plan = plan_build(f->spec, &inputs, &f->diags);
    assert_non_null(f->plan);
    context.plan = f->plan;
    context.step = &f->plan->stages[0].jobs[0].steps[0];
    assert_int_equal(plan_settings_resolve(f->plan, &context.step->scope, NULL, &f->settings, NULL,
                                           NULL, NULL),
                     0);
    return step_lower(kinds, &context, &f->lowered, &f->err);
}

static void done(struct fixture *f)
{
    step_lowered_free(f->lowered);
    plan_settings_release(&f->settings);
    plan_free(f->plan);
    spec_pipeline_free(f->spec);
    diag_list_release(&f->diags);
}

/* The last line of the script. */
static void assert_command(const char *keys, const char *expected)
{
    struct fixture f;
    CLEANUP_FREE char *script = NULL;
    char *line;

    if (make(&f, keys) < 0)
        fail_msg("%s", f.err.message);
    assert_string_equal(f.lowered->argv.items[0], "sh");
    assert_string_equal(f.lowered->argv.items[1], "-e");
    assert_string_equal(f.lowered->argv.items[2], "-c");
    script = xstrdup(f.lowered->argv.items[3]);
    assert_int_equal(script[strlen(script) - 1], '\n');
    script[strlen(script) - 1] = '\0';
    line = strrchr(script, '\n');
    assert_string_equal(line ? line + 1 : script, expected);
    done(&f);
}

static void words_are_quoted(void **state)
{
    static const struct {
        const char *text;
        const char *word;
    } cases[] = {
        {"", "''"},
        {"plain", "'plain'"},
        {"a b\n$(c) `d` \"e\" \\", "'a b\n$(c) `d` \"e\" \\'"},
        {"it's", "'it'\\''s'"},
        {"''", "''\\'''\\'''"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        CLEANUP_BUF struct buf word = BUF_INIT;

        type_add_word(&word, cases[i].text);
        assert_string_equal(word.data, cases[i].word);
    }
}

static void tools_have_commands(void **state)
{
    (void)state;
    assert_command("type: build, config: {tool: make}", "make  ");
    assert_command("type: test, config: {tool: make, targets: [a, \"b'c\"], args: [-s, '', 'x y']}",
                   "make '-s' 'x y' 'a' 'b'\\''c'");
    assert_command("type: test, config: {tool: go, targets: ''}", "go test  ./...");
    assert_command("type: build, config: {tool: cargo, targets: [a, b]}",
                   "cargo build  --package 'a' --package 'b'");
    assert_command("type: build, config: {tool: cmake, args: -DX, targets: a}",
                   "cmake --build build --target 'a'");
    assert_command("type: build, config: {tool: npm, args: x}", "npm run build -- 'x'");
    assert_command("type: test, config: {tool: gradle}", "\"$tool\" --no-daemon  check");
    assert_command("type: test, config: {tool: maven, targets: verify}",
                   "\"$tool\" --batch-mode  'verify'");
    assert_command("type: deploy, config: {tool: copy, source: ['a b/', 'c*.?'], destination: d}",
                   "cp -R  -- 'a b/'. 'c'*'.'? 'd'/");
    assert_command("type: deploy, config: {tool: rsync, source: a/, destination: 'h:/x', "
                   "delete: true}",
                   "rsync -a --delete  -- 'a/' 'h:/x'");
}

/* Of every tool, for every type that has it: nothing is left of the row's own notation. */
static void commands_are_complete(void **state)
{
    static const char *const steps[] = {
        "build, config: {tool: make}",
        "build, config: {tool: cmake}",
        "build, config: {tool: go}",
        "build, config: {tool: cargo}",
        "build, config: {tool: npm}",
        "build, config: {tool: maven}",
        "build, config: {tool: gradle}",
        "test, config: {tool: make}",
        "test, config: {tool: cmake}",
        "test, config: {tool: go}",
        "test, config: {tool: cargo}",
        "test, config: {tool: npm}",
        "test, config: {tool: maven}",
        "test, config: {tool: gradle}",
        "test, config: {tool: pytest}",
        "security_scan, config: {tool: trivy, severity: low, report: r}",
        "security_scan, config: {tool: trivy, severity: low, report: r, image: i}",
        "security_scan, config: {tool: gitleaks, report: r}",
        "security_scan, config: {tool: semgrep, severity: low, report: r}",
        "security_scan, config: {tool: bandit, severity: low, report: r}",
        "deploy, config: {tool: copy, source: a, destination: b}",
        "deploy, config: {tool: rsync, source: a, destination: b, delete: true}",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(steps) / sizeof(*steps); i++) {
        CLEANUP_FREE char *keys = xasprintf("type: %s", steps[i]);
        struct fixture f;

        if (make(&f, keys) < 0)
            fail_msg("%s: %s", steps[i], f.err.message);
        assert_null(strchr(f.lowered->argv.items[3], '@'));
        done(&f);
    }
}

static void directory_is_in_the_workdir(void **state)
{
    struct fixture f;

    (void)state;
    assert_int_equal(make(&f, "type: build, workdir: /w, command: c, config: {directory: a/b}"), 0);
    assert_string_equal(f.lowered->runnable.workdir, "/w/a/b");
    assert_string_equal(f.lowered->argv.items[2], "c");
    done(&f);
    assert_int_equal(make(&f, "type: security_scan, workdir: /w, config: {tool: trivy, path: a}"),
                     0);
    assert_string_equal(f.lowered->runnable.workdir, "/w");
    done(&f);
}

/* A tool's image is for engines with images where no level names one; its entrypoint is not wanted,
 * unless the step says so. */
static void images_and_entrypoints(void **state)
{
    struct fixture f;

    (void)state;
    assert_int_equal(make(&f, "type: build, config: {tool: go}"), 0);
    assert_string_equal(f.lowered->shape.source.image, "golang:latest");
    assert_non_null(f.lowered->shape.entrypoint);
    assert_null(f.lowered->shape.entrypoint[0]);
    done(&f);
    assert_int_equal(make(&f, "type: build, image: mine, entrypoint: [/run], config: {tool: go}"),
                     0);
    assert_string_equal(f.lowered->shape.source.image, "mine");
    assert_string_equal(f.lowered->shape.entrypoint[0], "/run");
    done(&f);
    assert_int_equal(make(&f, "type: build, image: mine, command: c"), 0);
    assert_null(f.lowered->shape.entrypoint);
    done(&f);
}

/* --- fetch_code --- */

/* User and password leave the URL, and are for its origin only. */
static void credentials_leave_the_url(void **state)
{
    static const struct {
        const char *config;
        const char *repository;
        const char *origin;
        const char *username; /* NULL: there are no credentials */
        const char *password;
    } cases[] = {
        {"repository: 'https://h/r.git'", "https://h/r.git", "", NULL, NULL},
        {"repository: 'https://u:p%2Fw@h:81/r@1?x#y'", "https://h:81/r@1?x#y", "https://h:81", "u",
         "p/w"},
        {"repository: 'http://u:p@w@h'", "http://h", "http://h", "u", "p@w"},
        {"repository: 'https://token@h/r'", "https://h/r", "https://h", "token", ""},
        {"repository: 'https://h/r', password: p", "https://h/r", "https://h", "git", "p"},
        {"repository: 'https://u:old@h/r', password: p", "https://h/r", "https://h", "u", "p"},
        {"repository: 'https://h/r', username: u, password: p", "https://h/r", "https://h", "u",
         "p"},
        {"repository: 'https://h/r', username: u, password: ''", "https://h/r", "", NULL, NULL},
        {"repository: 'git@h:r.git'", "git@h:r.git", "", NULL, NULL},
        {"repository: 'ssh://u:p@h/r'", "ssh://u:p@h/r", "", NULL, NULL},
        {"repository: '/a/b@c'", "/a/b@c", "", NULL, NULL},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        CLEANUP_FREE char *keys = xasprintf("type: fetch_code, config: {%s}", cases[i].config);
        struct fixture f;
        const struct strmap *environment;

        if (make(&f, keys) < 0)
            fail_msg("%s: %s", keys, f.err.message);
        environment = f.lowered->runnable.environment;
        assert_int_equal(f.lowered->argv.len, 12);
        assert_string_equal(f.lowered->argv.items[5], cases[i].repository);
        assert_string_equal(f.lowered->argv.items[11], cases[i].origin);
        assert_int_equal(strmap_has(environment, "PIPELINE_GIT_USERNAME"), !!cases[i].username);
        if (cases[i].username) {
            assert_string_equal(strmap_get(environment, "PIPELINE_GIT_USERNAME"),
                                cases[i].username);
            assert_string_equal(strmap_get(environment, "PIPELINE_GIT_PASSWORD"),
                                cases[i].password);
        }
        assert_int_equal(f.lowered->passwords.len, cases[i].password && *cases[i].password);
        done(&f);
    }
}

static void fetches_are_refused(void **state)
{
    static const struct {
        const char *config;
        const char *message;
    } cases[] = {
        {"repository: '${NONE:-}'", "\"repository\" is empty"},
        {"repository: --upload-pack=x", "\"repository\" cannot begin with \"-\""},
        {"repository: r, ref: '-f'", "\"ref\" must be a branch, tag or commit, not \"-f\""},
        {"repository: r, ref: '+a'", "\"ref\" must be a branch, tag or commit, not \"+a\""},
        {"repository: r, ref: 'a:b'", "\"ref\" must be a branch, tag or commit, not \"a:b\""},
        {"repository: 'http://h', password: \"a\\nb\"",
         "\"username\" and \"password\" must be of one line; check what they are made of"},
        {"repository: 'http://h', username: \"a\\nb\", password: c",
         "\"username\" and \"password\" must be of one line; check what they are made of"},
        {"repository: 'ssh://h/r', password: c",
         "\"password\" is for repositories with http:// or https:// only"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        CLEANUP_FREE char *keys = xasprintf("type: fetch_code, config: {%s}", cases[i].config);
        struct fixture f;

        assert_int_equal(make(&f, keys), -1);
        assert_string_equal(f.err.message, cases[i].message);
        done(&f);
    }
}

/* --- notify --- */

#define HEAD "silent\nshow-error\nfail-with-body\ngloboff\nconnect-timeout = 30\n"
#define JSON "header = \"Content-Type: application/json\"\n"

static void requests_are_files_of_curl(void **state)
{
    static const struct {
        const char *config;
        const char *file;
    } cases[] = {
        {"method: GET", "request = \"GET\"\nurl = \"http://h\"\n"},
        {"message: \"a\\\"b\\\\c\\nd\"",
         "request = \"POST\"\nurl = \"http://h\"\n"
         "data-raw = \"{\\\"text\\\":\\\"a\\\\\\\"b\\\\\\\\c\\\\nd\\\"}\"\n" JSON},
        {"message: \"@a\\r\\nurl = file:///x\", format: plain",
         "request = \"POST\"\nurl = \"http://h\"\ndata-raw = \"@a\\r\\nurl = file:///x\"\n"
         "header = \"Content-Type: text/plain; charset=utf-8\"\n"},
        {"message: m, format: dingtalk, headers: {A: '', B: \"x\\ty\"}",
         "request = \"POST\"\nurl = \"http://h\"\n"
         "data-raw = \"{\\\"msgtype\\\":\\\"text\\\",\\\"text\\\":{\\\"content\\\":\\\"m\\\"}}\"\n"
         "header = \"A;\"\nheader = \"B: x\\ty\"\n" JSON},
        {"body: b, headers: {content-type: x}, method: PATCH",
         "request = \"PATCH\"\nurl = \"http://h\"\ndata-raw = \"b\"\n"
         "header = \"content-type: x\"\n"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        CLEANUP_FREE char *keys =
            xasprintf("type: notify, config: {url: 'http://h', %s}", cases[i].config);
        CLEANUP_FREE char *expected = xasprintf("%s%s", HEAD, cases[i].file);
        struct fixture f;

        if (make(&f, keys) < 0)
            fail_msg("%s: %s", keys, f.err.message);
        assert_int_equal(f.lowered->runnable.file_count, 1);
        assert_string_equal(f.lowered->runnable.files[0].data, expected);
        assert_int_equal(f.lowered->runnable.files[0].size, strlen(expected));
        assert_string_equal(f.lowered->argv.items[5], RUNNABLE_FILES "request");
        done(&f);
    }
}

static void requests_are_refused(void **state)
{
    CLEANUP_BUF struct buf large = BUF_INIT;
    struct fixture f;

    (void)state;
    buf_addstr(&large, "type: notify, config: {url: 'http://h', body: ");
    for (int i = 0; i < 64 * 1024; i++)
        buf_addch(&large, 'x');
    buf_addch(&large, '}');
    assert_int_equal(make(&f, large.data), 0);
    done(&f);
    buf_truncate(&large, large.len - 1);
    buf_addstr(&large, "y}");
    assert_int_equal(make(&f, large.data), -1);
    assert_string_equal(f.err.message, "a \"message\" or \"body\" may have 64 KiB");
    done(&f);
    assert_int_equal(make(&f,
                          "type: notify, config: {url: 'http://h', headers: {A: \"x\\nB: y\"}}"),
                     -1);
    assert_string_equal(f.err.message,
                        "the header \"A\" must be of one line; check what it is made of");
    done(&f);
    assert_int_equal(make(&f, "type: notify, config: {url: '${X:-file:///etc}'}"), -1);
    assert_string_equal(f.err.message, "\"url\" must begin with http:// or https://");
    done(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words_are_quoted),       cmocka_unit_test(tools_have_commands),
        cmocka_unit_test(commands_are_complete),  cmocka_unit_test(directory_is_in_the_workdir),
        cmocka_unit_test(images_and_entrypoints), cmocka_unit_test(credentials_leave_the_url),
        cmocka_unit_test(fetches_are_refused),    cmocka_unit_test(requests_are_files_of_curl),
        cmocka_unit_test(requests_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
