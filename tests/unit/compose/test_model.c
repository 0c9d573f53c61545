/* Files as text, and what their model is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "compose/model.h"
#include "compose/output.h"

struct loaded {
    struct compose_sources sources;
    struct compose_project *project;
    struct buf said;
};

static void load_for(struct loaded *l, const char *text, enum compose_target target)
{
    CLEANUP_STRMAP struct strmap environment = {0};
    const struct compose_options options = {.text = text,
                                            .text_name = "test.yaml",
                                            .project_name = "p",
                                            .project_directory = "/p",
                                            .no_env_file = true,
                                            .environment = &environment,
                                            .target = target};

    strmap_set(&environment, "SET", "value");
    strmap_set(&environment, "TRUE", "true");
    strmap_set(&environment, "NUMBER", "5");
    *l = (struct loaded){.said = BUF_INIT};
    l->project = compose_load(&options, &l->sources);
    compose_sources_format(&l->sources, &l->said);
}

static void release(struct loaded *l)
{
    compose_project_free(l->project);
    compose_sources_release(&l->sources);
    buf_release(&l->said);
}

struct form_case {
    const char *written; /* of the service */
    const char *member;
    const char *expected; /* JSON */
};

static const struct form_case form_cases[] = {
    {"command: a 'b c'", "command", "[\"a\", \"b c\"]"},
    {"entrypoint: []", "entrypoint", "[]"},
    {"init: ${TRUE}", "init", "true"},
    {"scale: ${NUMBER}", "scale", "5"},
    {"tty: on", "tty", "true"},
    {"environment: {A: 1.50, B: 0x10, C: ~, D: yes}", "environment",
     "{\"A\": \"1.5\", \"B\": \"16\", \"C\": null, \"D\": \"yes\"}"},
    {"environment: [A=1, SET, UNSET]", "environment",
     "{\"A\": \"1\", \"SET\": \"value\", \"UNSET\": null}"},
    {"labels: [a, b=c=d]", "labels", "{\"a\": \"\", \"b\": \"c=d\"}"},
    {"mem_limit: 1.5g", "mem_limit", "\"1610612736\""},
    {"stop_grace_period: 90s", "stop_grace_period", "\"1m30s\""},
    {"dns: 1.1.1.1", "dns", "[\"1.1.1.1\"]"},
    {"expose: [80, '81']", "expose", "[\"80\", \"81\"]"},
    {"extra_hosts: {b: '[::1]', a: 1.2.3.4}", "extra_hosts", "[\"a=1.2.3.4\", \"b=::1\"]"},
    {"depends_on: {web2: {condition: service_healthy}}", "depends_on",
     "{\"web2\": {\"condition\": \"service_healthy\", \"required\": true}}"},
    {"links: ['web2:x']", "depends_on",
     "{\"web2\": {\"condition\": \"service_started\", \"restart\": true, \"required\": true}}"},
    {"ports: ['127.0.0.1:8000-8001:80-81/udp']", "ports",
     "[{\"mode\": \"ingress\", \"target\": 80, \"protocol\": \"udp\", \"published\": \"8000\", "
     "\"host_ip\": \"127.0.0.1\"}, {\"mode\": \"ingress\", \"target\": 81, \"protocol\": \"udp\", "
     "\"published\": \"8001\", \"host_ip\": \"127.0.0.1\"}]"},
    {"volumes: ['./a:/b/../c:ro,z', /dd, /e]", "volumes",
     "[{\"type\": \"bind\", \"source\": \"/p/a\", \"target\": \"/c\", \"read_only\": true, "
     "\"bind\": {\"selinux\": \"z\"}}, {\"type\": \"volume\", \"target\": \"/dd\", \"volume\": "
     "{}}, {\"type\": \"volume\", \"target\": \"/e\"}]"},
    {"build: x", "build", "{\"context\": \"/p/x\", \"dockerfile\": \"Dockerfile\"}"},
    {"healthcheck: {test: a b}", "healthcheck", "{\"test\": [\"CMD-SHELL\", \"a b\"]}"},
    {"ulimits: {a: 1, b: {soft: 1, hard: 2}}", "ulimits",
     "{\"a\": 1, \"b\": {\"soft\": 1, \"hard\": 2}}"},
    {"devices: ['/a:/b']", "devices",
     "[{\"source\": \"/a\", \"target\": \"/b\", \"permissions\": \"rwm\"}]"},
    {"deploy: {replicas: 0}", "deploy", "{\"replicas\": 0, \"resources\": {}, \"placement\": {}}"},
    {"privileged: false", "privileged", NULL},
    {"x-own: {a: [1, true]}", "x-own", "{\"a\": [1, true]}"},
    {"pull_policy: if_not_present", "pull_policy", "\"missing\""},
    {"image: x", "networks", "{\"default\": null}"},
    {"network_mode: host", "networks", NULL},
};

static void brings_every_form_into_one(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(form_cases) / sizeof(*form_cases); i++) {
        const struct form_case *c = &form_cases[i];
        CLEANUP_FREE char *text =
            xasprintf("services:\n  web:\n    %s\n    %s\n  web2: {image: busybox}\n", c->written,
                      strstr(c->written, "image") ? "" : "image: busybox");
        json_t *expected = c->expected ? json_loads(c->expected, JSON_DECODE_ANY, NULL) : NULL;
        json_t *got;
        struct loaded l;

        load_for(&l, text, COMPOSE_TARGET_DOCKER);
        if (!l.project)
            fail_msg("%s: %s", c->written, l.said.data);
        got = json_object_get(compose_service(l.project, "web"), c->member);
        if (!(got == expected || json_equal(got, expected)))
            fail_msg("%s: %s", c->written, json_dumps(got, JSON_ENCODE_ANY));
        json_decref(expected);
        release(&l);
    }
}

struct target_case {
    const char *written;
    enum compose_target target;
    bool loads;
    const char *said;
};

static const struct target_case target_cases[] = {
    {"gpus: all", COMPOSE_TARGET_DOCKER, false,
     "test.yaml:3:5: error: \"gpus\" is not supported: GPUs cannot be asked for here (at "
     "services.web.gpus)\n"},
    {"gpus: all", COMPOSE_TARGET_ANY, true,
     "test.yaml:3:5: warning: \"gpus\" is not supported: GPUs cannot be asked for here (at "
     "services.web.gpus)\n"},
    {"build: {context: ., ssh: [default]}", COMPOSE_TARGET_DOCKER, false,
     "test.yaml:3:25: error: \"ssh\" is not supported: only BuildKit can do it (at "
     "services.web.build.ssh)\n"},
    {"deploy: {endpoint_mode: vip}", COMPOSE_TARGET_DOCKER, true,
     "test.yaml:3:14: warning: \"endpoint_mode\" is ignored: it is for a swarm (at "
     "services.web.deploy.endpoint_mode)\n"},
    {"deploy: {endpoint_mode: vip}", COMPOSE_TARGET_SWARM, true, ""},
    {"privileged: true", COMPOSE_TARGET_DOCKER, true, ""},
    {"privileged: true", COMPOSE_TARGET_SWARM, true,
     "test.yaml:3:5: warning: \"privileged\" is ignored: a stack does not have it (at "
     "services.web.privileged)\n"},
    {"ports: ['127.0.0.1:80:80', '81:81']", COMPOSE_TARGET_SWARM, true,
     "test.yaml:3:13: warning: the address 127.0.0.1 is ignored: a swarm publishes ports on all "
     "addresses of its nodes (at services.web.ports[0])\n"},
    {"ports: [{target: 80, host_ip: '::1'}]", COMPOSE_TARGET_SWARM, true,
     "test.yaml:3:26: warning: \"host_ip\" is ignored: a swarm publishes ports on all addresses of "
     "its nodes (at services.web.ports[0].host_ip)\n"},
    {"ports: ['127.0.0.1:80:80']", COMPOSE_TARGET_DOCKER, true, ""},
    {"networks: {default: {aliases: [a], ipv4_address: 10.1.2.3}}", COMPOSE_TARGET_SWARM, true,
     "test.yaml:3:40: warning: \"ipv4_address\" is ignored: a stack does not have it (at "
     "services.web.networks.default.ipv4_address)\n"},
    {"depends_on: [b]}\n  b: {image: x", COMPOSE_TARGET_SWARM, true,
     "test.yaml:3:5: warning: \"depends_on\" is ignored: a stack starts its services in no order "
     "(at services.web.depends_on)\n"},
};

static void says_what_a_target_cannot_do(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(target_cases) / sizeof(*target_cases); i++) {
        const struct target_case *c = &target_cases[i];
        CLEANUP_FREE char *text = xasprintf("services:\n  web: {image: x,\n    %s}\n", c->written);
        struct loaded l;

        load_for(&l, text, c->target);
        assert_int_equal(l.project != NULL, c->loads);
        assert_string_equal(l.said.data, c->said);
        release(&l);
    }
}

static void keeps_what_is_unused_for_a_swarm_only(void **state)
{
    static const char text[] = "services: {a: {image: x}}\nvolumes: {v: {}}\n";
    struct loaded l;

    (void)state;
    load_for(&l, text, COMPOSE_TARGET_DOCKER);
    assert_null(compose_volume(l.project, "v"));
    release(&l);
    load_for(&l, text, COMPOSE_TARGET_SWARM);
    assert_string_equal(compose_string(compose_volume(l.project, "v"), "name"), "p_v");
    release(&l);
}

static void orders_services_by_what_they_need(void **state)
{
    struct loaded l;

    (void)state;
    load_for(&l,
             "services:\n"
             "  a: {image: x, depends_on: [d]}\n"
             "  b: {image: x}\n"
             "  c: {image: x, depends_on: [b]}\n"
             "  d: {image: x, depends_on: [c]}\n",
             COMPOSE_TARGET_DOCKER);
    assert_int_equal(l.project->order.len, 4);
    assert_string_equal(l.project->order.items[0], "b");
    assert_string_equal(l.project->order.items[1], "c");
    assert_string_equal(l.project->order.items[2], "d");
    assert_string_equal(l.project->order.items[3], "a");
    release(&l);
}

static void knows_where_values_were_written(void **state)
{
    const json_t *service;
    const json_t *port;
    const char *file = NULL;
    struct src_pos pos = {0};
    struct err err = ERR_INIT;
    struct loaded l;

    (void)state;
    load_for(&l,
             "services:\n"
             "  web:\n"
             "    image: x\n"
             "    ports:\n"
             "      - '80:80'\n"
             "      - {target: 81}\n"
             "    tty: true\n",
             COMPOSE_TARGET_DOCKER);
    service = compose_service(l.project, "web");
    port = json_array_get(json_object_get(service, "ports"), 1);
    assert_true(compose_locate(l.project, port, &file, &pos));
    assert_string_equal(file, "test.yaml");
    assert_int_equal(pos.line, 6);
    assert_int_equal(pos.column, 9);
    assert_false(compose_locate(l.project, json_object_get(service, "tty"), &file, &pos));
    assert_int_equal(compose_error(l.project, json_object_get(service, "image"), &err,
                                   ERR_IMAGE_PULL, "there is no image %s", "x"),
                     -1);
    assert_int_equal(err.code, ERR_IMAGE_PULL);
    assert_string_equal(err.message, "test.yaml:3:12: there is no image x");
    assert_int_equal(compose_error(l.project, NULL, &err, ERR_INVALID, "nowhere"), -1);
    assert_string_equal(err.message, "nowhere");
    release(&l);
}

static void reads_members(void **state)
{
    CLEANUP_STRVEC struct strvec list = {0};
    CLEANUP_STRMAP struct strmap pairs = {0};
    const json_t *service;
    struct loaded l;

    (void)state;
    load_for(&l,
             "services: {web: {image: x, mem_limit: 1k, stop_grace_period: 1.5s, cpus: 0.5, "
             "pids_limit: 7, init: false, dns: [a, b], environment: {A: b, C: },"
             " deploy: {replicas: 3}}}\n",
             COMPOSE_TARGET_DOCKER);
    service = compose_service(l.project, "web");
    assert_int_equal(compose_bytes(service, "mem_limit", -1), 1024);
    assert_int_equal(compose_bytes(service, "shm_size", -1), -1);
    assert_int_equal(compose_duration_ms(service, "stop_grace_period", 0), 1500);
    assert_true(compose_number(service, "cpus", 0) == 0.5);
    assert_int_equal(compose_int(service, "pids_limit", 0), 7);
    assert_false(compose_bool(service, "init", true));
    assert_true(compose_bool(service, "tty", true));
    assert_true(compose_strings(service, "dns", &list));
    assert_int_equal(list.len, 2);
    assert_false(compose_strings(service, "expose", &list));
    compose_pairs(service, "environment", &pairs);
    assert_int_equal(pairs.len, 1);
    assert_string_equal(strmap_get(&pairs, "A"), "b");
    assert_int_equal(compose_scale(service), 3);
    release(&l);
}

/* Of up to 1024 characters, as it is written, a key is one at sight (YAML 1.2, 7.4). */
static void add_long_key(struct buf *file)
{
    buf_addstr(file, "? \"");
    for (size_t i = 0; i < 600; i++)
        buf_addstr(file, "\\\\");
    buf_addstr(file, "\"\n  : ");
}

static void reads_again_what_it_prints(void **state)
{
    CLEANUP_BUF struct buf file = BUF_INIT;
    CLEANUP_BUF struct buf printed = BUF_INIT;
    struct loaded written;
    struct loaded read;
    json_t *first;
    json_t *second;

    (void)state;
    buf_addstr(&file, "services: {web: {image: x}}\nx-list:\n- ");
    add_long_key(&file);
    buf_addstr(&file, "{deep: [1, {a: b}]}\n  c: d\nx-map:\n  a: b\n  ");
    add_long_key(&file);
    buf_addstr(&file, "5\n");
    load_for(&written, file.data, COMPOSE_TARGET_ANY);
    assert_string_equal(written.said.data, "");
    first = compose_config_json(written.project);
    compose_add_yaml(first, &printed);
    load_for(&read, printed.data, COMPOSE_TARGET_ANY);
    assert_string_equal(read.said.data, "");
    second = compose_config_json(read.project);
    assert_true(json_equal(first, second));
    json_decref(first);
    json_decref(second);
    release(&written);
    release(&read);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(brings_every_form_into_one),
        cmocka_unit_test(says_what_a_target_cannot_do),
        cmocka_unit_test(keeps_what_is_unused_for_a_swarm_only),
        cmocka_unit_test(orders_services_by_what_they_need),
        cmocka_unit_test(knows_where_values_were_written),
        cmocka_unit_test(reads_members),
        cmocka_unit_test(reads_again_what_it_prints),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
