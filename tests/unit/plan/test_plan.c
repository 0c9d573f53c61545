/* Inheritance, choice of the engine, interpolation, and what is found before anything runs. Plans
 * are made from the text of pipeline files. */
#include "tests/unit/test.h"

#include "base/alloc.h"
#include "load/load.h"
#include "plan/plan.h"
#include "plan/settings.h"

struct fixture {
    struct spec_pipeline *spec;
    struct plan *plan;
    struct diag_list diags;
    struct plan_inputs inputs;
    struct strmap overrides;
    struct strmap passthrough;
};

static void init(struct fixture *f)
{
    *f = (struct fixture){.inputs = {.current_dir = "/repo"}};
    f->inputs.overrides = &f->overrides;
    f->inputs.passthrough = &f->passthrough;
}

static void make(struct fixture *f, const char *text)
{
    CLEANUP_LOAD_SOURCE struct load_source source = LOAD_SOURCE_INIT;

    load_source_init(&source, "p.yaml", text, strlen(text));
    f->spec = load_pipeline(&source, NULL, &f->diags);
    if (!f->spec)
        fail_msg("%s", f->diags.items[0].message);
    f->plan = plan_build(f->spec, &f->inputs, &f->diags);
}

static void done(struct fixture *f)
{
    plan_free(f->plan);
    spec_pipeline_free(f->spec);
    diag_list_release(&f->diags);
    strmap_release(&f->overrides);
    strmap_release(&f->passthrough);
}

/* The settings of the step at `index` of the first job. */
static void resolve(const struct fixture *f, unsigned index, struct plan_settings *settings)
{
    assert_non_null(f->plan);
    assert_int_equal(plan_settings_resolve(f->plan, &f->plan->stages[0].jobs[0].steps[index].scope,
                                           NULL, settings, NULL, NULL, NULL),
                     0);
}

static void assert_text(const char *got, const char *expected)
{
    if (expected)
        assert_string_equal(got ? got : "(null)", expected);
    else
        assert_null(got);
}

static void assert_env(const struct plan_settings *settings, const char *name, const char *expected)
{
    assert_text(strmap_get(&settings->environment, name), expected);
}

/* --- inheritance --- */

/* Each key at each level: the child's own value wins, what no level sets is the default. */
static void strings_pass_down(void **state)
{
    static const struct {
        const char *key;
        size_t offset;
    } keys[] = {
#define ROW(name) {#name, offsetof(struct plan_settings, name)}
        ROW(image),          ROW(shell),
        ROW(user),           ROW(image_registry),
        ROW(data_dir_outer), ROW(image_registry_username),
        ROW(data_dir_inner), ROW(image_registry_password),
#undef ROW
    };

    (void)state;
    for (size_t i = 0; i < sizeof(keys) / sizeof(*keys); i++) {
        for (int levels = 0; levels < 16; levels++) {
            struct fixture f;
            struct plan_settings s;
            CLEANUP_FREE char *text = NULL;
            const char *expected = levels & 8   ? "of-step"
                                   : levels & 4 ? "of-job"
                                   : levels & 2 ? "of-stage"
                                   : levels & 1 ? "of-pipeline"
                                                : NULL;
            char lines[4][80] = {"", "", "", ""};
            static const char *const names[] = {"pipeline", "stage", "job", "step"};

            for (int level = 0; level < 4; level++) {
                if (levels & (1 << level))
                    snprintf(lines[level], sizeof(lines[level]), "%s: of-%s, ", keys[i].key,
                             names[level]);
            }
            text = xasprintf("{%sname: p, stages: [{%sname: s, jobs: [{%sname: j, steps: ["
                             "{%sname: a, command: x}]}]}]}",
                             lines[0], lines[1], lines[2], lines[3]);
            init(&f);
            make(&f, text);
            resolve(&f, 0, &s);
            assert_text(*(char **)((char *)&s + keys[i].offset), expected);
            plan_settings_release(&s);
            done(&f);
        }
    }
}

static void other_keys_pass_down(void **state)
{
    struct fixture f;
    struct plan_settings s;

    (void)state;
    init(&f);
    make(&f, "name: p\n"
             "grace: 1\n"
             "pull: never\n"
             "isolation: job\n"
             "resources: {pids: 7}\n"
             "stages:\n"
             "- name: s\n"
             "  jobs:\n"
             "  - name: j\n"
             "    steps:\n"
             "    - {name: a, command: x}\n"
             "    - {name: b, command: x, grace: 2, pull: always, isolation: step,"
             " resources: {cpus: 1}}\n");
    resolve(&f, 0, &s);
    assert_int_equal(s.grace_ms, 1000);
    assert_int_equal(s.pull_count, 1);
    assert_int_equal(s.pull[0], SPEC_PULL_NEVER);
    assert_int_equal(s.isolation, SPEC_ISOLATION_JOB);
    assert_int_equal(s.resources->pids, 7);
    plan_settings_release(&s);
    resolve(&f, 1, &s);
    assert_int_equal(s.grace_ms, 2000);
    assert_int_equal(s.pull[0], SPEC_PULL_ALWAYS);
    assert_int_equal(s.isolation, SPEC_ISOLATION_STEP);
    assert_int_equal(s.resources->cpus_milli, 1000);
    plan_settings_release(&s);
    done(&f);
}

static void defaults(void **state)
{
    struct fixture f;
    struct plan_settings s;

    (void)state;
    init(&f);
    make(&f, "{name: p, stages: [{name: s, jobs: [{name: j, steps: [{name: a, command: x}]}]}]}");
    resolve(&f, 0, &s);
    assert_string_equal(s.engine, "host");
    assert_string_equal(s.workdir, "/repo");
    assert_true(s.local);
    assert_int_equal(s.grace_ms, PLAN_GRACE_DEFAULT_MS);
    assert_int_equal(s.isolation, SPEC_ISOLATION_STEP);
    assert_null(s.pull);
    assert_null(s.resources);
    assert_int_equal(plan_timeout_ms(&f.plan->scope), 0);
    plan_settings_release(&s);
    done(&f);
}

static void workdirs_are_anchored_at_the_pipelines(void **state)
{
    struct fixture f;
    struct plan_settings s;

    (void)state;
    init(&f);
    make(&f, "name: p\n"
             "workdir: build\n"
             "stages:\n"
             "- name: s\n"
             "  jobs:\n"
             "  - name: j\n"
             "    workdir: sub\n"
             "    steps:\n"
             "    - {name: a, command: x}\n"
             "    - {name: b, command: x, workdir: ../other/.}\n"
             "    - {name: c, command: x, workdir: /abs}\n"
             "    - {name: d, command: x, workdir: '${NOTHING:-}'}\n");
    assert_string_equal(f.plan->workdir, "/repo/build");
    assert_string_equal(strmap_get(&f.plan->automatic, "PIPELINE_WORKDIR"), "/repo/build");
    for (unsigned i = 0; i < 4; i++) {
        static const char *const expected[] = {"/repo/build/sub", "/repo/other", "/abs",
                                               "/repo/build/sub"};

        resolve(&f, i, &s);
        assert_string_equal(s.workdir, expected[i]);
        plan_settings_release(&s);
    }
    done(&f);
    init(&f);
    f.inputs.workdir = "given";
    make(&f, "{name: p, workdir: build, stages: [{name: s, jobs: [{name: j, steps: ["
             "{name: a, command: x}]}]}]}");
    assert_string_equal(f.plan->workdir, "/repo/given");
    done(&f);
}

/* --- engines --- */

static void nearest_level_chooses_the_engine(void **state)
{
    static const struct {
        const char *pipeline;
        const char *job;
        const char *step;
        const char *option_engine;
        const char *option_image;
        const char *engine;
        const char *image;
    } cases[] = {
        {"", "", "", NULL, NULL, "host", NULL},
        {"image: a, ", "", "", NULL, NULL, "docker", "a"},
        {"image: a, ", "", "engine: host, ", NULL, NULL, "host", "a"},
        {"engine: host, ", "image: a, ", "", NULL, NULL, "docker", "a"},
        {"engine: host, image: a, ", "", "", NULL, NULL, "host", "a"},
        {"engine: host, ", "", "image: b, engine: docker, ", NULL, NULL, "docker", "b"},
        {"", "", "image: b, ", "kubernetes", NULL, "kubernetes", "b"},
        {"", "image: b, ", "", "k8s://c/n", NULL, "k8s://c/n", "b"},
        {"", "image: b, ", "", "ssh://h", NULL, "docker", "b"},
        {"", "", "", "docker", NULL, "docker", NULL},
        {"", "", "", NULL, "c", "docker", "c"},
        {"", "", "", "kubernetes", "c", "kubernetes", "c"},
        {"engine: host, ", "", "", "docker", "c", "host", "c"},
        {"", "image: a, ", "", "host", "c", "docker", "a"},
        {"image: a, ", "", "image: '${NONE:-}', engine: '${NONE:-}', ", NULL, NULL, "docker", "a"},
        {"engine: host, ", "", "image: '${NONE:-}', ", NULL, NULL, "host", NULL},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct fixture f;
        struct plan_settings s;
        CLEANUP_FREE char *text =
            xasprintf("{%sname: p, stages: [{name: s, jobs: [{%sname: j, steps: [{%sname: a, "
                      "command: x}]}]}]}",
                      cases[i].pipeline, cases[i].job, cases[i].step);

        init(&f);
        f.inputs.engine = cases[i].option_engine;
        f.inputs.image = cases[i].option_image;
        make(&f, text);
        resolve(&f, 0, &s);
        assert_text(s.engine, cases[i].engine);
        assert_text(s.image, cases[i].image);
        plan_settings_release(&s);
        done(&f);
    }
}

/* --- environments and ${NAME} --- */

static void environment_order(void **state)
{
    struct fixture f;
    struct plan_settings s;

    (void)state;
    init(&f);
    strmap_set(&f.overrides, "OVER", "given ${A}");
    strmap_set(&f.passthrough, "HOME", "/home/me");
    strmap_set(&f.passthrough, "A", "passed");
    make(&f, "name: p\n"
             "environment: {A: pipeline, B: '${A}', OVER: file, C: '${OVER}', P: '${PATH:-none}'}\n"
             "stages:\n"
             "- name: s\n"
             "  environment: {A: '${A}/stage', D: '${A}', E: '${D}'}\n"
             "  jobs:\n"
             "  - name: j\n"
             "    steps:\n"
             "    - name: a\n"
             "      command: x\n"
             "      environment: {LATER: '${NEXT:-unset}', NEXT: 1, H: '${HOME}',\n"
             "                    N: '${PIPELINE_NAME}', OVER: step}\n");
    resolve(&f, 0, &s);
    assert_env(&s, "A", "pipeline/stage");
    assert_env(&s, "B", "pipeline"); /* an earlier key before what is passed through */
    assert_env(&s, "C", "given ${A}");
    assert_env(&s, "P", "none");
    assert_env(&s, "D", "pipeline");
    assert_env(&s, "E", "pipeline");
    assert_env(&s, "LATER", "unset");
    assert_env(&s, "H", "/home/me");
    assert_env(&s, "N", "p");
    assert_env(&s, "OVER", "given ${A}");
    plan_settings_release(&s);
    done(&f);
}

/* An inherited string means the names of the level that wrote it. */
static void strings_expand_where_they_stand(void **state)
{
    struct fixture f;
    struct plan_settings s;

    (void)state;
    init(&f);
    strmap_set(&f.passthrough, "HOME", "/home/me");
    make(&f, "name: '${TITLE:-titled}'\n"
             "environment: {TAG: 1}\n"
             "image: app:${TAG}\n"
             "user: ${HOME:-nobody}\n"
             "stages:\n"
             "- name: s\n"
             "  environment: {TAG: 2}\n"
             "  jobs:\n"
             "  - name: j-${TAG}\n"
             "    steps: [{name: 'a $${TAG}', command: 'echo ${TAG}', environment: {TAG: 3}}]\n");
    resolve(&f, 0, &s);
    assert_string_equal(f.plan->name, "titled");
    assert_string_equal(f.plan->stages[0].jobs[0].name, "j-2");
    assert_string_equal(f.plan->stages[0].jobs[0].steps[0].name, "a ${TAG}");
    assert_string_equal(s.image, "app:1");
    assert_string_equal(s.user, "nobody"); /* a container does not see the runner's environment */
    assert_string_equal(f.plan->stages[0].jobs[0].steps[0].spec->command.text, "echo ${TAG}");
    plan_settings_release(&s);
    done(&f);
}

/* The runner's environment counts where the engine is local in the end, however that is written. */
static void a_local_engine_sees_the_environment_of_the_runner(void **state)
{
    static const struct {
        const char *pipeline;
        const char *step;
        const char *user;
    } cases[] = {
        {"", "", "/home/me"},
        {"image: a, ", "", "-"},
        {"image: a, ", "engine: host, ", "/home/me"},
        {"image: a, environment: {E: host}, ", "engine: '${E}', ", "/home/me"},
        {"image: a, environment: {E: docker}, ", "engine: '${E}', ", "-"},
        {"image: a, ", "engine: '${OWN}', ", "/home/me"},
        {"image: a, ", "engine: '${HOME}', ", "-"},
        {"image: a, environment: {E: host}, engine: '${E}', ", "", "/home/me"},
        {"image: a, environment: {E: docker}, engine: '${E}', ", "", "-"},
        {"", "image: '${NONE:-}', ", "/home/me"},
        {"", "image: '${NONE:-}', engine: '${NONE:-docker}', ", "-"},
        {"", "image: '${HOME:-}', ", "/home/me"},
        {"", "image: '${OWN}', ", "-"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct fixture f;
        struct plan_settings s;
        CLEANUP_FREE char *text =
            xasprintf("{name: p, %sstages: [{name: s, jobs: [{name: j, steps: [{name: a, %s"
                      "environment: {OWN: '${NONE:-host}', VALUE: '${HOME:--}'}, "
                      "user: '${HOME:--}', command: x}]}]}]}",
                      cases[i].pipeline, cases[i].step);

        init(&f);
        strmap_set(&f.passthrough, "HOME", "/home/me");
        make(&f, text);
        resolve(&f, 0, &s);
        assert_string_equal(s.user, cases[i].user);
        assert_env(&s, "VALUE", cases[i].user);
        assert_int_equal(s.local, strcmp(cases[i].user, "-") != 0);
        plan_settings_release(&s);
        done(&f);
    }
}

/* --- what is found beforehand --- */

#define TYPE(keys)                                                                                 \
    "name: p\nstages: [{name: s, jobs: [{name: j, steps: [\n{name: a, type: " keys "}]}]}]\n"
#define STEP(keys)                                                                                 \
    "name: p\nstages: [{name: s, jobs: [{name: j, steps: [\n{name: a, command: x, " keys "}]}]}]"  \
    "\n"

static void assert_found(const char *text, bool strict, enum diag_severity severity,
                         const char *message)
{
    struct fixture f;

    init(&f);
    f.inputs.strict = strict;
    make(&f, text);
    assert_int_equal(f.diags.len, 1);
    assert_int_equal(f.diags.items[0].severity, severity);
    assert_string_equal(f.diags.items[0].message, message);
    assert_true(severity == DIAG_ERROR ? !f.plan : !!f.plan);
    done(&f);
}

static void names_are_checked_wherever_they_stand(void **state)
{
    static const char *const files[] = {
        STEP("environment: {K: '${X:?msg}'}"),
        STEP("workdir: '${X:?msg}'"),
        STEP("shell: '${X:?msg}'"),
        STEP("user: '${X:?msg}'"),
        STEP("image: '${X:?msg}'"),
        STEP("image: i, platform: '${X:?msg}'"),
        STEP("image: i, network: '${X:?msg}'"),
        STEP("image: i, volumes: ['a:/a', '${X:?msg}:/b']"),
        STEP("image: i, entrypoint: ['${X:?msg}']"),
        STEP("plugin: {image: '${X:?msg}'}"),
        STEP("plugin: {image: i, entrypoint: '${X:?msg}'}"),
        STEP("plugin: {image: i, image_registry: '${X:?msg}'}"),
        STEP("plugin: {image: i, image_registry_username: '${X:?msg}'}"),
        STEP("plugin: {image: i, image_registry_password: '${X:?msg}'}"),
        STEP("plugin: {image: i, settings: {a: b, c: '${X:?msg}'}}"),
        STEP("language: {name: '${X:?msg}', version: 1}"),
        STEP("language: {name: go, version: '${X:?msg}'}"),
        STEP("language: {name: go, version: 1, image: '${X:?msg}'}"),
        TYPE("fetch_code, config: {repository: '${X:?msg}'}"),
        TYPE("fetch_code, config: {repository: a, ref: '${X:?msg}'}"),
        TYPE("fetch_code, config: {repository: a, path: '${X:?msg}'}"),
        TYPE("fetch_code, config: {repository: a, username: '${X:?msg}'}"),
        TYPE("fetch_code, config: {repository: a, password: '${X:?msg}'}"),
        TYPE("build, config: {tool: make, targets: [a, '${X:?msg}']}"),
        TYPE("build, config: {tool: make, args: [a, '${X:?msg}']}"),
        TYPE("build, config: {directory: '${X:?msg}'}, command: c"),
        TYPE("security_scan, config: {tool: trivy, image: '${X:?msg}'}"),
        TYPE("security_scan, config: {tool: trivy, report: '${X:?msg}'}"),
        TYPE("deploy, config: {tool: copy, source: '${X:?msg}', destination: a}"),
        TYPE("deploy, config: {tool: copy, source: a, destination: '${X:?msg}'}"),
        TYPE("notify, config: {url: '${X:?msg}'}"),
        TYPE("notify, config: {url: 'http://a', message: '${X:?msg}'}"),
        TYPE("notify, config: {url: 'http://a', body: '${X:?msg}'}"),
        TYPE("notify, config: {url: 'http://a', headers: {A: '${X:?msg}'}}"),
        TYPE("custom, config: {a: b, c: '${X:?msg}'}, command: c"),
        "{name: '${X:?msg}', stages: [{name: s, jobs: [{name: j, steps: [{name: a, command: "
        "x}]}]}]}",
        "{name: p, stages: [{name: s, jobs: [{name: j, steps: [{name: '${X:?msg}', command: "
        "x}]}]}]}",
        "{name: p, workdir: '${X:?msg}',"
        " stages: [{name: s, jobs: [{name: j, steps: [{name: a, command: x}]}]}]}",
        "{name: p, stages: [{name: s, environment: {A: '${X:?msg}'},"
        " jobs: [{name: j, steps: [{name: a, command: x}]}]}]}",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(files) / sizeof(*files); i++)
        assert_found(files[i], false, DIAG_ERROR, "X: msg");
}

static void unset_names_are_warnings_or_errors(void **state)
{
    const char *file = STEP("image: i, volumes: ['${UNSET}:/b']");

    (void)state;
    assert_found(file, false, DIAG_WARNING,
                 "${UNSET} is not set and becomes empty; write ${UNSET:-} if that is meant");
    assert_found(file, true, DIAG_ERROR, "${UNSET} is not set");
    assert_found(STEP("plugin: {image: i, settings: {a: 'x${UNSET}'}}"), false, DIAG_WARNING,
                 "${UNSET} is not set and becomes empty; write ${UNSET:-} if that is meant");
}

/* A setting that is exactly one unset name is left out, which needs no warning. */
static void setting_of_an_unset_name_is_left_out(void **state)
{
    struct fixture f;

    (void)state;
    init(&f);
    strmap_set(&f.passthrough, "HOME", "/home/me");
    make(&f, STEP("environment: {SET: 1}, plugin: {image: i, settings: {a: '${UNSET}'}}"));
    assert_non_null(f.plan);
    assert_int_equal(f.diags.len, 0);
    done(&f);
}

static void positions_point_at_the_string(void **state)
{
    struct fixture f;

    (void)state;
    init(&f);
    make(&f, STEP("plugin: {image: i, settings: {a: '${X:?msg}'}}"));
    assert_int_equal(f.diags.items[0].pos.line, 3);
    assert_int_equal(f.diags.items[0].pos.column, 56);
    done(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(strings_pass_down),
        cmocka_unit_test(other_keys_pass_down),
        cmocka_unit_test(defaults),
        cmocka_unit_test(workdirs_are_anchored_at_the_pipelines),
        cmocka_unit_test(nearest_level_chooses_the_engine),
        cmocka_unit_test(a_local_engine_sees_the_environment_of_the_runner),
        cmocka_unit_test(environment_order),
        cmocka_unit_test(strings_expand_where_they_stand),
        cmocka_unit_test(names_are_checked_wherever_they_stand),
        cmocka_unit_test(unset_names_are_warnings_or_errors),
        cmocka_unit_test(setting_of_an_unset_name_is_left_out),
        cmocka_unit_test(positions_point_at_the_string),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
