/* `kubernetes` and `schedule_timeout`, from the text of a file to what places are told. */
#include "tests/unit/test.h"

#include "base/alloc.h"
#include "load/load.h"
#include "plan/plan.h"
#include "plan/settings.h"

struct fixture {
    struct spec_pipeline *spec;
    struct plan *plan;
    struct diag_list diags;
    struct strmap overrides;
    struct strmap passthrough;
};

/* Zeroed but for the maps. */
static void make(struct fixture *f, const char *text)
{
    CLEANUP_LOAD_SOURCE struct load_source source = LOAD_SOURCE_INIT;
    const struct plan_inputs inputs = {.current_dir = "/repo",
                                       .overrides = &f->overrides,
                                       .passthrough = &f->passthrough};

    load_source_init(&source, "p.yaml", text, strlen(text));
    f->spec = load_pipeline(&source, NULL, &f->diags);
    if (!f->spec)
        fail_msg("%s", f->diags.items[0].message);
    f->plan = plan_build(f->spec, &inputs, &f->diags);
}

static void done(struct fixture *f)
{
    plan_free(f->plan);
    spec_pipeline_free(f->spec);
    diag_list_release(&f->diags);
    strmap_release(&f->overrides);
    strmap_release(&f->passthrough);
}

static void assert_json(const json_t *json, const char *expected)
{
    char *text = json ? json_dumps(json, JSON_COMPACT | JSON_SORT_KEYS) : NULL;

    assert_string_equal(text ? text : "nothing", expected);
    free(text);
}

static void assert_scope(const struct fixture *f, const struct plan_scope *scope,
                         const char *expected)
{
    CLEANUP_PLAN_SETTINGS struct plan_settings s = {0};
    struct err err = ERR_INIT;

    if (plan_settings_resolve(f->plan, scope, NULL, &s, NULL, NULL, &err) < 0)
        fail_msg("%s", err.message);
    assert_json(s.kubernetes, expected);
}

/* Jobs of the first stage, and their first steps, have this. */
static void assert_job(const struct fixture *f, unsigned index, const char *expected)
{
    const struct plan_job *job = &f->plan->stages[0].jobs[index];

    assert_scope(f, &job->scope, expected);
    assert_scope(f, &job->steps[0].scope, expected);
}

#define STEPS "    steps: [{name: a, command: x}]\n"

/* Whatever the file has is there, with the type that it is said to have. */
static void every_key_keeps_its_type(void **state)
{
    static const struct {
        const char *yaml;
        const char *json;
    } cases[] = {
        {"namespace: 12", "{\"namespace\":\"12\"}"},
        {"service_account: yes", "{\"service_account\":\"yes\"}"},
        {"node_selector: {gpu: true, n: 1.20, none: }",
         "{\"node_selector\":{\"gpu\":\"true\",\"n\":\"1.20\",\"none\":\"\"}}"},
        {"tolerations: [{key: a, tolerationSeconds: 3}]",
         "{\"tolerations\":[{\"key\":\"a\",\"tolerationSeconds\":3}]}"},
        {"affinity: {a: {b: [yes, '1', null, 1.5, {}]}}",
         "{\"affinity\":{\"a\":{\"b\":[true,\"1\",null,1.5,{}]}}}"},
        {"runtime_class: a, priority_class: b",
         "{\"priority_class\":\"b\",\"runtime_class\":\"a\"}"},
        {"image_pull_secrets: a", "{\"image_pull_secrets\":[\"a\"]}"},
        {"image_pull_secrets: [a, 1]", "{\"image_pull_secrets\":[\"a\",\"1\"]}"},
        {"resources: {requests: {cpu: 0.5}, limits: {memory: 1Gi, a/b: 2}}",
         "{\"resources\":{\"limits\":{\"a/b\":\"2\",\"memory\":\"1Gi\"},"
         "\"requests\":{\"cpu\":\"0.5\"}}}"},
        {"security_context: {runAsUser: 0, runAsNonRoot: no}",
         "{\"security_context\":{\"runAsNonRoot\":false,\"runAsUser\":0}}"},
        {"host_aliases: [{ip: 10.0.0.1, hostnames: [a, b]}, {ip: '::1', hostnames: c}]",
         "{\"host_aliases\":[{\"hostnames\":[\"a\",\"b\"],\"ip\":\"10.0.0.1\"},"
         "{\"hostnames\":[\"c\"],\"ip\":\"::1\"}]}"},
        {"dns: {policy: None, nameservers: 10.0.0.53, searches: [a.b], options: [{name: ndots}]}",
         "{\"dns\":{\"nameservers\":[\"10.0.0.53\"],\"options\":[{\"name\":\"ndots\"}],"
         "\"policy\":\"None\",\"searches\":[\"a.b\"]}}"},
        {"volumes: [{mount: /a, secret: s, items: [{key: k, path: p, mode: 0400}]}, "
         "{mount: /b, empty_dir: {}, read_only: off, sub_path: c}, "
         "{mount: /d, empty_dir: {medium: Memory, size_limit: 1}, pvc: null}]",
         "{\"volumes\":[{\"items\":[{\"key\":\"k\",\"mode\":256,\"path\":\"p\"}],\"mount\":\"/a\","
         "\"secret\":\"s\"},{\"empty_dir\":{},\"mount\":\"/b\",\"read_only\":false,"
         "\"sub_path\":\"c\"},{\"empty_dir\":{\"medium\":\"Memory\",\"size_limit\":\"1\"},"
         "\"mount\":\"/d\"}]}"},
        {"workspace: {size: 1Gi, storage_class: fast}",
         "{\"workspace\":{\"size\":\"1Gi\",\"storage_class\":\"fast\"}}"},
        {"pod_patch: {spec: {a: [1]}}", "{\"pod_patch\":{\"spec\":{\"a\":[1]}}}"},
        {"pod_patch: [{op: remove}]", "{\"pod_patch\":[{\"op\":\"remove\"}]}"},
        {"x-note: a, labels: null, dns: ''", "nothing"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct fixture f = {0};
        CLEANUP_FREE char *text = xasprintf("{name: p, kubernetes: {%s}, stages: [{name: s, "
                                            "jobs: [{name: j, steps: [{name: a, command: x}]}]}]}",
                                            cases[i].yaml);

        make(&f, text);
        assert_job(&f, 0, cases[i].json);
        done(&f);
    }
}

static void levels_are_merged(void **state)
{
    struct fixture f = {0};

    (void)state;
    make(&f, "name: p\n"
             "kubernetes:\n"
             "  namespace: ci\n"
             "  labels: {a: 1, b: 1}\n"
             "  annotations: {a: 1}\n"
             "  node_selector: {a: 1, b: 1}\n"
             "  resources: {requests: {cpu: 1}, limits: {cpu: 2}}\n"
             "  tolerations: [{key: a}]\n"
             "  security_context: {runAsUser: 1}\n"
             "  volumes: [{mount: /a, pvc: a}]\n"
             "  image_pull_secrets: [a]\n"
             "stages:\n"
             "- name: s\n"
             "  kubernetes: {namespace: stage, annotations: {a: 2}, node_selector: {b: 2}}\n"
             "  jobs:\n"
             "  - name: inherits\n" STEPS "  - name: adds\n"
             "    kubernetes:\n"
             "      labels: {b: 3, c: 3}\n"
             "      node_selector: {c: 3}\n"
             "      resources: {requests: {memory: 3}}\n"
             "      tolerations: []\n"
             "      security_context: {fsGroup: 3}\n"
             "      volumes: [{mount: /b, pvc: b}]\n"
             "      runtime_class: other\n" STEPS);
    assert_scope(&f, &f.plan->scope,
                 "{\"annotations\":{\"a\":\"1\"},\"image_pull_secrets\":[\"a\"],"
                 "\"labels\":{\"a\":\"1\",\"b\":\"1\"},\"namespace\":\"ci\","
                 "\"node_selector\":{\"a\":\"1\",\"b\":\"1\"},"
                 "\"resources\":{\"limits\":{\"cpu\":\"2\"},\"requests\":{\"cpu\":\"1\"}},"
                 "\"security_context\":{\"runAsUser\":1},\"tolerations\":[{\"key\":\"a\"}],"
                 "\"volumes\":[{\"mount\":\"/a\",\"pvc\":\"a\"}]}");
    assert_job(&f, 0,
               "{\"annotations\":{\"a\":\"2\"},\"image_pull_secrets\":[\"a\"],"
               "\"labels\":{\"a\":\"1\",\"b\":\"1\"},\"namespace\":\"stage\","
               "\"node_selector\":{\"a\":\"1\",\"b\":\"2\"},"
               "\"resources\":{\"limits\":{\"cpu\":\"2\"},\"requests\":{\"cpu\":\"1\"}},"
               "\"security_context\":{\"runAsUser\":1},\"tolerations\":[{\"key\":\"a\"}],"
               "\"volumes\":[{\"mount\":\"/a\",\"pvc\":\"a\"}]}");
    assert_job(&f, 1,
               "{\"annotations\":{\"a\":\"2\"},\"image_pull_secrets\":[\"a\"],"
               "\"labels\":{\"a\":\"1\",\"b\":\"3\",\"c\":\"3\"},\"namespace\":\"stage\","
               "\"node_selector\":{\"a\":\"1\",\"b\":\"2\",\"c\":\"3\"},"
               "\"resources\":{\"requests\":{\"memory\":\"3\"}},\"runtime_class\":\"other\","
               "\"security_context\":{\"fsGroup\":3},\"tolerations\":[],"
               "\"volumes\":[{\"mount\":\"/b\",\"pvc\":\"b\"}]}");
    done(&f);
}

/* Each string by itself, in the environment of its level; never a key, nor what is no string. */
static void strings_are_expanded(void **state)
{
    struct fixture f = {0};

    (void)state;
    strmap_set(&f.overrides, "QUOTE", "a\"b\\\n}");
    strmap_set(&f.passthrough, "HOME", "/home/me");
    make(&f,
         "name: p\n"
         "environment: {WHO: pipeline, FEW: 12}\n"
         "kubernetes:\n"
         "  namespace: ns-${WHO}\n"
         "  labels: {\"${WHO}\": \"{{ pipeline.name }}-${FEW}\", empty: \"${NONE:-}\"}\n"
         "  annotations: {quote: \"${QUOTE}\", home: \"${HOME:-none}\", literal: \"$${A} $A\"}\n"
         "stages:\n"
         "- name: s\n"
         "  environment: {WHO: stage}\n"
         "  jobs:\n"
         "  - name: j\n"
         "    kubernetes:\n"
         "      service_account: ${WHO}\n"
         "      runtime_class: ${NONE:-}\n"
         "      image_pull_secrets: [a, \"${NONE:-}\", \"${WHO}\"]\n"
         "      affinity: {deep: [{down: \"${WHO}\", at: 5}, \"${FEW}\"]}\n"
         "      volumes: [{mount: \"/${WHO}\", pvc: \"{{ pipeline.name }}\", sub_path: "
         "\"${NONE:-}\"}]\n"
         "      resources: {limits: {cpu: \"${FEW}m\"}}\n" STEPS);
    assert_job(&f, 0,
               "{\"affinity\":{\"deep\":[{\"at\":5,\"down\":\"stage\"},\"12\"]},"
               "\"annotations\":{\"home\":\"none\",\"literal\":\"${A} $A\","
               "\"quote\":\"a\\\"b\\\\\\n}\"},\"image_pull_secrets\":[\"a\",\"stage\"],"
               "\"labels\":{\"${WHO}\":\"p-12\",\"empty\":\"\"},\"namespace\":\"ns-pipeline\","
               "\"resources\":{\"limits\":{\"cpu\":\"12m\"}},\"service_account\":\"stage\","
               "\"volumes\":[{\"mount\":\"/stage\",\"pvc\":\"p\",\"sub_path\":\"\"}]}");
    assert_int_equal(f.diags.len, 0);
    done(&f);
}

static void assert_diag(const struct fixture *f, size_t index, unsigned line, unsigned column,
                        const char *message)
{
    assert_true(index < f->diags.len);
    assert_string_equal(f->diags.items[index].message, message);
    assert_int_equal(f->diags.items[index].pos.line, line);
    assert_int_equal(f->diags.items[index].pos.column, column);
}

/* Whatever stands before them, which the walk has to count. */
static void mistakes_are_found_where_they_are(void **state)
{
    struct fixture f = {0};

    (void)state;
    make(&f, "name: p\n"
             "kubernetes:\n"
             "  dns: {policy: a, nameservers: [b, c], options: [{name: d, value: 1}, e]}\n"
             "  volumes: [{mount: /f, empty_dir: {medium: g}, read_only: yes}]\n"
             "  labels: {h: i, j: 2, k: null}\n"
             "  image_pull_secrets: l\n"
             "  host_aliases: [{ip: m, hostnames: [n, '${A:?not here}']}]\n"
             "stages:\n"
             "- name: s\n"
             "  jobs:\n"
             "  - name: j\n" STEPS);
    assert_null(f.plan);
    assert_int_equal(f.diags.len, 1);
    assert_diag(&f, 0, 7, 41, "A: not here");
    done(&f);
    f = (struct fixture){0};
    make(&f, "name: p\n"
             "stages:\n"
             "- name: s\n"
             "  jobs:\n"
             "  - name: j\n"
             "    services: {db: {image: x, kubernetes: {security_context: {a: '${B:?b}'}}}}\n"
             "    steps:\n"
             "    - {name: a, command: x, kubernetes: {volumes: [{mount: /o, pvc: '${C:?c}'}]}}\n");
    assert_null(f.plan);
    assert_int_equal(f.diags.len, 2);
    diag_sort(&f.diags);
    assert_diag(&f, 0, 6, 66, "B: b");
    assert_diag(&f, 1, 8, 69, "C: c");
    done(&f);
}

static void what_is_no_text_is_refused(void **state)
{
    struct fixture f = {0};

    (void)state;
    strmap_set(&f.overrides, "A", "\xff");
    make(&f, "name: p\n"
             "kubernetes: {namespace: '${A}'}\n"
             "stages: [{name: s, jobs: [{name: j, steps: [{name: a, command: x}]}]}]\n");
    assert_null(f.plan);
    assert_diag(&f, 0, 2, 25, "the value is not UTF-8 text");
    done(&f);
}

/* What needs a run is waited for. */
static void some_is_known_late(void **state)
{
    struct fixture f = {0};

    (void)state;
    make(&f, "name: p\n"
             "stages:\n"
             "- name: s\n"
             "  jobs:\n"
             "  - name: j\n"
             "    depends_on: []\n"
             "    kubernetes: {labels: {a: \"{{ jobs.k.outputs.a }}\"}}\n" STEPS "  - name: k\n"
             "    depends_on: []\n" STEPS);
    assert_non_null(f.plan);
    assert_true(f.plan->stages[0].jobs[0].steps[0].scope.late);
    assert_false(f.plan->stages[0].jobs[1].steps[0].scope.late);
    done(&f);
}

static void schedule_timeout_is_the_longest_of_the_steps(void **state)
{
    static const struct {
        const char *job;
        const char *steps;
        int64_t expected_ms;
    } cases[] = {
        {"", "{name: a, command: x}", 0},
        {"schedule_timeout: 5m, ", "{name: a, command: x}", 300000},
        {"schedule_timeout: 5m, ", "{name: a, command: x, schedule_timeout: 90s}", 90000},
        {"schedule_timeout: 5m, ",
         "{name: a, command: x, schedule_timeout: 90s}, {name: b, command: x}", 300000},
        {"schedule_timeout: 5m, ",
         "{name: a, command: x}, {name: b, command: x, schedule_timeout: 90s}", 300000},
        {"schedule_timeout: 0, ",
         "{name: a, command: x, schedule_timeout: 1}, {name: b, command: x}", 1000},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct fixture f = {0};
        CLEANUP_PLAN_SETTINGS struct plan_settings s = {0};
        CLEANUP_FREE char *text = xasprintf("{name: p, stages: [{name: s, jobs: [{name: j, "
                                            "%ssteps: [%s]}]}]}",
                                            cases[i].job, cases[i].steps);
        const struct plan_job *job;

        make(&f, text);
        job = &f.plan->stages[0].jobs[0];
        assert_int_equal(plan_schedule_timeout_ms(job), cases[i].expected_ms);
        assert_int_equal(plan_settings_resolve(f.plan, &job->scope, NULL, &s, NULL, NULL, NULL), 0);
        assert_int_equal(s.schedule_timeout_ms, strstr(cases[i].job, "5m") ? 300000 : 0);
        done(&f);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_key_keeps_its_type),
        cmocka_unit_test(levels_are_merged),
        cmocka_unit_test(strings_are_expanded),
        cmocka_unit_test(mistakes_are_found_where_they_are),
        cmocka_unit_test(what_is_no_text_is_refused),
        cmocka_unit_test(some_is_known_late),
        cmocka_unit_test(schedule_timeout_is_the_longest_of_the_steps),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
