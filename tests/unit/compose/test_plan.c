/* Which actions bring a daemon from a state to what a file says, and in which order. */
#include "tests/unit/test.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "compose/hash.h"
#include "compose/plan.h"
#include "compose/recipe.h"

struct fixture {
    struct compose_sources sources;
    struct compose_project *project;
    struct compose_state state;
    struct strmap image_ids;
    struct compose_plan_request request;
    struct compose_plan plan;
    struct err err;
};

static void load(struct fixture *f, const char *text)
{
    const struct strmap none = {0};
    const struct compose_options options = {.text = text,
                                            .text_name = "compose.yaml",
                                            .project_name = "p",
                                            .project_directory = "/",
                                            .no_env_file = true,
                                            .environment = &none};

    compose_project_free(f->project);
    compose_sources_release(&f->sources);
    f->project = compose_load(&options, &f->sources);
    if (!f->project) {
        CLEANUP_BUF struct buf errors = BUF_INIT;

        compose_sources_format(&f->sources, &errors);
        fail_msg("%s", errors.data);
    }
}

static void begin(struct fixture *f, const char *text)
{
    *f = (struct fixture){.err = ERR_INIT};
    load(f, text);
    f->state.project = xstrdup("p");
    f->request =
        (struct compose_plan_request){.state = &f->state, .image_ids = &f->image_ids, .wait = true};
}

static void end(struct fixture *f)
{
    compose_plan_release(&f->plan);
    compose_state_release(&f->state);
    compose_project_free(f->project);
    compose_sources_release(&f->sources);
    strmap_release(&f->image_ids);
}

/* "create p-a-1 (reason) after 0 1; …", a line for each action. */
static char *describe(const struct compose_plan *plan)
{
    CLEANUP_BUF struct buf out = BUF_INIT;

    for (size_t i = 0; i < plan->actions.len; i++) {
        const struct compose_action *action = &plan->actions.items[i];

        buf_addf(&out, "%zu %s %s", i, compose_action_name(action->kind), action->name);
        if (action->kind == COMPOSE_SERVICE_AWAIT)
            buf_addf(&out, " %s%s",
                     action->condition == COMPOSE_UP        ? "up"
                     : action->condition == COMPOSE_HEALTHY ? "healthy"
                                                            : "completed",
                     action->optional ? " perhaps" : "");
        if (*action->reason)
            buf_addf(&out, " (%s)", action->reason);
        for (size_t n = 0; n < action->needs.len; n++)
            buf_addf(&out, "%s%zu", n ? "," : " <", action->needs.items[n]);
        buf_addf(&out, "%s\n", action->last ? " last" : "");
    }
    return buf_steal(&out);
}

static void expect(struct fixture *f, const char *expected)
{
    CLEANUP_FREE char *got = NULL;

    compose_plan_release(&f->plan);
    f->request.project = f->project;
    if (compose_plan_make(&f->request, &f->plan, &f->err) < 0)
        fail_msg("%s", f->err.message);
    got = describe(&f->plan);
    assert_string_equal(got, expected);
}

static void expect_error(struct fixture *f, enum err_code code, const char *message)
{
    compose_plan_release(&f->plan);
    f->request.project = f->project;
    assert_int_equal(compose_plan_make(&f->request, &f->plan, &f->err), -1);
    assert_int_equal(f->err.code, code);
    assert_string_equal(f->err.message, message);
}

/* A container as it is after an up of the project. */
static struct compose_container *add_container(struct fixture *f, const char *service, int number,
                                               const char *state)
{
    const json_t *definition = compose_service(f->project, service);
    char hash[COMPOSE_HASH_SIZE] = "gone";
    struct compose_container c = {
        .id = xasprintf("%064d", (int)f->state.containers.len + 1),
        .project = xstrdup("p"),
        .service = xstrdup(service),
        .number = number,
        .config_hash = xstrdup("x"),
        .state = xstrdup(state),
        .status = xstrdup(""),
        .image = xstrdup("i"),
        .image_id = xstrdup("sha256:1"),
        .command = xstrdup(""),
        .depends_on = xstrdup(""),
        .difference = xstrdup(""),
    };
    const char *key;
    json_t *settings;

    if (definition) {
        c.name = compose_container_name(f->project, service, number);
        compose_recipe_hash(f->project, definition, hash);
    } else {
        c.name = xasprintf("p-%s-%d", service, number);
    }
    c.hash = xstrdup(hash);
    json_object_foreach (json_object_get(definition, "networks"), key, settings) {
        const char *name = compose_string(compose_network(f->project, key), "name");

        strmap_setf(&c.networks, name, "id-%s", name);
    }
    vec_push(&f->state.containers, c);
    return &f->state.containers.items[f->state.containers.len - 1];
}

static void add_network(struct fixture *f, const char *name, const char *project, const char *hash)
{
    vec_push(&f->state.networks, ((struct compose_network_seen){.id = xasprintf("id-%s", name),
                                                                .name = xstrdup(name),
                                                                .project = xstrdup(project),
                                                                .key = xstrdup(""),
                                                                .hash = xstrdup(hash)}));
}

static void replace_text(char **text, const char *with)
{
    free(*text);
    *text = xstrdup(with);
}

static void test_first_up(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f, "services:\n"
              "  a: {image: i, depends_on: {b: {condition: service_healthy}, c: {condition: "
              "service_completed_successfully, required: false}}}\n"
              "  b: {image: i, healthcheck: {test: 'true'}, volumes: ['vol:/v']}\n"
              "  c: {image: i}\n"
              "volumes: {vol: {}, unused: {}}\n");
    expect(&f, "0 create network p_default\n"
               "1 create volume p_vol\n"
               "2 create p-b-1 <0,1\n"
               "3 start p-b-1 <2\n"
               "4 await b up <3\n"
               "5 create p-c-1 <0,1\n"
               "6 start p-c-1 <5\n"
               "7 await c up <6\n"
               "8 create p-a-1 <0,1,2,5\n"
               "9 start p-a-1 <8,10,11\n"
               "10 await b healthy <3\n"
               "11 await c completed perhaps <6\n"
               "12 await a up <9\n");
    end(&f);
}

static void test_nothing_to_do(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f, "services:\n  a: {image: i, deploy: {replicas: 2}}\n");
    add_network(&f, "p_default", "p", "");
    add_container(&f, "a", 1, "running");
    add_container(&f, "a", 2, "running");
    expect(&f, "");
    /* What is stopped starts; what is not settled is waited for. */
    replace_text(&f.state.containers.items[1].state, "exited");
    expect(&f, "0 start p-a-2\n1 await a up <0\n");
    replace_text(&f.state.containers.items[1].state, "running");
    replace_text(&f.state.containers.items[1].status, "Up 1 second (health: starting)");
    expect(&f, "0 await a up\n");
    f.request.wait = false;
    expect(&f, "");
    end(&f);
}

#define REPLACED(reason)                                                                           \
    "0 set aside p-a-1\n1 create p-a-1 (" reason ") <0\n2 start p-a-1 <1\n3 remove p-a-1 last\n"   \
    "4 await a up <2\n"

static void test_reasons(void **state)
{
    struct compose_container *c;
    struct fixture f;

    (void)state;
    begin(&f, "services:\n  a: {image: i}\n");
    add_network(&f, "p_default", "p", "");
    c = add_container(&f, "a", 1, "running");
    load(&f, "services:\n  a: {image: i, pull_policy: always, depends_on: []}\n");
    expect(&f, "");
    load(&f, "services:\n  a: {image: i, environment: {X: y}}\n");
    expect(&f, REPLACED("its service changed"));
    f.request.no_recreate = true;
    expect(&f, "");
    f.request.no_recreate = false;
    load(&f, "services:\n  a: {image: i}\n");
    f.request.force_recreate = true;
    expect(&f, REPLACED("it was asked for"));
    f.request.force_recreate = false;
    strmap_set(&f.image_ids, "a", "sha256:1");
    expect(&f, "");
    strmap_set(&f.image_ids, "a", "sha256:2");
    expect(&f, REPLACED("its image changed"));
    strmap_set(&f.image_ids, "a", "sha256:1");
    strmap_set(&c->networks, "p_default", "id-of-one-that-is-gone");
    expect(&f, REPLACED("it is not in its network"));
    strmap_set(&c->networks, "p_default", "id-p_default");
    /* Made by another tool, whose hash says nothing. */
    replace_text(&c->hash, "");
    c->same = COMPOSE_SAME_YES;
    expect(&f, "");
    c->same = COMPOSE_SAME_NO;
    replace_text(&c->difference, "its Env differs from the file");
    expect(&f, REPLACED("its Env differs from the file"));
    end(&f);
}

static void test_scale_and_orphans(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f, "services:\n  a: {image: i, scale: 2}\n  off: {image: i, profiles: [x]}\n");
    add_network(&f, "p_default", "p", "");
    add_container(&f, "a", 1, "running");
    add_container(&f, "a", 3, "running");
    add_container(&f, "old", 1, "running");
    add_container(&f, "off", 1, "running");
    add_container(&f, "other", 1, "running")->oneoff = true;
    expect(&f, "0 stop p-a-3\n1 remove p-a-3 <0 last\n2 create p-a-2\n3 start p-a-2 <2,0\n"
               "4 await a up <3\n");
    assert_int_equal(f.plan.warnings.len, 1);
    assert_string_equal(f.plan.warnings.items[0],
                        "containers of services that are not in the file any more: p-old-1; "
                        "--remove-orphans removes them");
    f.request.remove_orphans = true;
    expect(&f, "0 stop p-old-1\n1 remove p-old-1 <0 last\n2 stop p-a-3\n3 remove p-a-3 <2 last\n"
               "4 create p-a-2\n5 start p-a-2 <4,0,2\n6 await a up <5\n");
    assert_int_equal(f.plan.warnings.len, 0);
    end(&f);
}

/* A run that was killed left the old container beside its replacement, or alone. */
static void test_after_a_kill(void **state)
{
    struct fixture f;
    struct compose_container *old;

    (void)state;
    begin(&f, "services:\n  a: {image: i}\n");
    add_network(&f, "p_default", "p", "");
    old = add_container(&f, "a", 1, "exited");
    replace_text(&old->name, "000000000000_p-a-1");
    expect(&f, "0 rename p-a-1\n1 start p-a-1 <0\n2 await a up <1\n");
    replace_text(&old->hash, "other");
    expect(&f, "0 set aside 000000000000_p-a-1\n1 create p-a-1 (its service changed) <0\n"
               "2 start p-a-1 <1\n3 remove 000000000000_p-a-1 last\n4 await a up <2\n");
    add_container(&f, "a", 1, "created");
    expect(&f, "0 remove 000000000000_p-a-1 last\n1 start p-a-1\n2 await a up <1\n");
    end(&f);
}

static void test_shared_and_restarted(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f, "services:\n"
              "  a: {image: i}\n"
              "  b: {image: i, network_mode: 'service:a'}\n"
              "  c: {image: i, depends_on: {a: {condition: service_started, restart: true}}}\n");
    add_network(&f, "p_default", "p", "");
    add_container(&f, "a", 1, "running");
    add_container(&f, "b", 1, "running");
    add_container(&f, "c", 1, "running");
    expect(&f, "");
    replace_text(&f.state.containers.items[0].hash, "other");
    f.request.wait = false;
    expect(&f, "0 set aside p-a-1 <8\n"
               "1 create p-a-1 (its service changed) <0\n"
               "2 start p-a-1 <1\n"
               "3 remove p-a-1 last\n"
               "4 set aside p-b-1 <2\n"
               "5 create p-b-1 (what it shares with is new) <4,1\n"
               "6 start p-b-1 <5,2\n"
               "7 remove p-b-1 last\n"
               "8 stop p-c-1\n"
               "9 start p-c-1 <8,2\n");
    end(&f);
}

/* All leave the network before it can go, whatever they depend on. */
static void test_network_changed(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f, "services:\n  a: {image: i, depends_on: [b]}\n  b: {image: i}\n");
    add_network(&f, "p_default", "p", "other");
    add_container(&f, "a", 1, "running");
    add_container(&f, "b", 1, "running");
    f.request.wait = false;
    expect(&f, "0 remove network p_default <2,6\n"
               "1 create network p_default <0\n"
               "2 set aside p-b-1\n"
               "3 create p-b-1 (its network changed) <2,1\n"
               "4 start p-b-1 <3\n"
               "5 remove p-b-1 last\n"
               "6 set aside p-a-1\n"
               "7 create p-a-1 (its network changed) <6,1,3\n"
               "8 start p-a-1 <7,4\n"
               "9 remove p-a-1 last\n");
    end(&f);
}

/* Crosswise: each stops, whatever it depends on, before the other starts. */
static void test_addresses_that_move(void **state)
{
    struct fixture f;

    (void)state;
#define TWO(first, second)                                                                         \
    "services:\n  a: {image: i, networks: {n: {" first "}}, depends_on: [b]}\n"                    \
    "  b: {image: i, networks: {n: {" second "}}}\nnetworks: {n: {}}\n"
    begin(&f, TWO("ipv4_address: 10.0.0.10", "ipv6_address: 'fd00::10'"));
    add_network(&f, "p_n", "p", "");
    strmap_set(&add_container(&f, "a", 1, "running")->addresses, "10.0.0.10", "p_n");
    strmap_set(&add_container(&f, "b", 1, "running")->addresses, "fd00::10", "p_n");
    load(&f, TWO("ipv6_address: 'fd00:0::10'", "ipv4_address: 10.0.0.10"));
    f.request.wait = false;
    expect(&f, "0 set aside p-b-1\n"
               "1 create p-b-1 (its service changed) <0\n"
               "2 start p-b-1 <1,4\n"
               "3 remove p-b-1 last\n"
               "4 set aside p-a-1\n"
               "5 create p-a-1 (its service changed) <4,1\n"
               "6 start p-a-1 <5,2,0\n"
               "7 remove p-a-1 last\n");
    /* The same address in another network is another one. */
    strmap_set(&f.state.containers.items[0].addresses, "10.0.0.10", "p_m");
    strmap_set(&f.state.containers.items[1].addresses, "fd00::10", "p_m");
    expect(&f, "0 set aside p-b-1\n"
               "1 create p-b-1 (its service changed) <0\n"
               "2 start p-b-1 <1\n"
               "3 remove p-b-1 last\n"
               "4 set aside p-a-1 <2\n"
               "5 create p-a-1 (its service changed) <4,1\n"
               "6 start p-a-1 <5,2\n"
               "7 remove p-a-1 last\n");
    end(&f);
}

static void test_foreign(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f, "services:\n  a: {image: i}\n");
    /* Somebody made it from an image that has the labels of the project. */
    replace_text(&add_container(&f, "a", 0, "running")->config_hash, "");
    replace_text(&f.state.containers.items[0].name, "mine");
    add_network(&f, "p_default", "p", "");
    f.request.remove_orphans = true;
    expect(&f, "0 create p-a-1\n1 start p-a-1 <0\n2 await a up <1\n");
    compose_state_release(&f.state);
    f.state.project = xstrdup("p");
    replace_text(&add_container(&f, "a", 1, "running")->project, "q");
    add_network(&f, "p_default", "p", "");
    expect_error(&f, ERR_CONFLICT,
                 "compose.yaml:2:6: service \"a\": there is a container p-a-1 that is not of this "
                 "service, but of project q; it is left alone: remove or rename it, or choose "
                 "another project name");
    replace_text(&f.state.networks.items[0].project, "");
    expect_error(&f, ERR_CONFLICT,
                 "there is a network p_default that is not of project p; use it with `external: "
                 "true`, or give this one another `name`");
    load(&f, "services:\n  a: {image: i, networks: [n]}\nnetworks:\n  n: {external: true}\n");
    expect_error(&f, ERR_NOT_FOUND,
                 "compose.yaml:4:6: network \"n\" is external, but there is none named n; create "
                 "it with `docker network create n`");
    end(&f);
}

static void test_selection(void **state)
{
    const char *const named[] = {"b"};
    struct fixture f;
    CLEANUP_STRVEC struct strvec services = {0};

    (void)state;
    begin(&f, "services:\n  a: {image: i}\n  b: {image: i, depends_on: [a]}\n  c: {image: i}\n");
    strvec_push(&services, named[0]);
    add_network(&f, "p_default", "p", "");
    f.request.services = &services;
    f.request.wait = false;
    expect(&f, "0 create p-a-1\n1 start p-a-1 <0\n2 create p-b-1 <0\n3 start p-b-1 <2,1\n");
    strvec_push(&services, "d");
    expect_error(&f, ERR_NOT_FOUND, "project p has no service \"d\"");
    end(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_first_up),        cmocka_unit_test(test_nothing_to_do),
        cmocka_unit_test(test_reasons),         cmocka_unit_test(test_scale_and_orphans),
        cmocka_unit_test(test_after_a_kill),    cmocka_unit_test(test_shared_and_restarted),
        cmocka_unit_test(test_network_changed), cmocka_unit_test(test_foreign),
        cmocka_unit_test(test_selection),       cmocka_unit_test(test_addresses_that_move),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
