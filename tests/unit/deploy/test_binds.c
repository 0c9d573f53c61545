/* Paths of projects whose runner is in a container. */
#include "tests/unit/test.h"

#include "engine/deploy/binds.h"

static struct docker_mount_point mounts[] = {
    {.type = (char *)"bind", .source = (char *)"/srv/ci", .destination = (char *)"/repo"},
};
static const struct self inside = {.place = SELF_IN_CONTAINER,
                                   .container = {.name = (char *)"runner-1",
                                                 .mounts = mounts,
                                                 .mount_count = 1}};

/* What stands in the file `directory`/compose.yaml; *ret_sources goes with it. */
static struct compose_project *load(const char *directory, struct compose_sources *ret_sources)
{
    const struct strmap none = {0};
    const struct compose_options options = {
        .text =
            "services: {a: {image: i, volumes: ['./d:/d', '/etc/x:/x', 'vol:/v'], secrets: [s]}}\n"
            "secrets: {s: {file: ./s}}\n"
            "volumes: {vol: {}}\n",
        .text_name = "compose.yaml",
        .project_name = "p",
        .project_directory = directory,
        .no_env_file = true,
        .environment = &none};
    struct compose_project *project = compose_load(&options, ret_sources);

    assert_non_null(project);
    return project;
}

static void check(const struct compose_project *project, const char *expected)
{
    const json_t *volumes = json_object_get(compose_service(project, "a"), "volumes");
    CLEANUP_BUF struct buf got = BUF_INIT;
    json_t *mount;
    size_t i;

    json_array_foreach (volumes, i, mount)
        buf_addf(&got, "%s ", compose_string(mount, "source"));
    buf_addstr(&got, compose_string(compose_secret(project, "s"), "file"));
    assert_string_equal(got.data, expected);
}

static void test_paths(void **state)
{
    static const struct {
        enum self_place place;
        enum compose_target target;
        const char *expected;
    } rows[] = {
        {SELF_ON_HOST, COMPOSE_TARGET_DOCKER, "/repo/d /etc/x vol /repo/s"},
        {SELF_IN_CONTAINER, COMPOSE_TARGET_DOCKER, "/srv/ci/d /etc/x vol /srv/ci/s"},
        /* A swarm gets the contents, which are read here. */
        {SELF_IN_CONTAINER, COMPOSE_TARGET_SWARM, "/srv/ci/d /etc/x vol /repo/s"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        CLEANUP_COMPOSE_SOURCES struct compose_sources sources = {0};
        CLEANUP_COMPOSE_PROJECT struct compose_project *project = load("/repo", &sources);
        struct self self = inside;

        self.place = rows[i].place;
        assert_int_equal(deploy_translate_for(&self, project, rows[i].target, NULL), 0);
        check(project, rows[i].expected);
    }
}

static void test_a_path_that_the_host_has_not(void **state)
{
    CLEANUP_COMPOSE_SOURCES struct compose_sources sources = {0};
    CLEANUP_COMPOSE_PROJECT struct compose_project *project = load("/inside", &sources);
    struct err err = ERR_INIT;

    (void)state;
    assert_int_equal(deploy_translate_for(&inside, project, COMPOSE_TARGET_SWARM, &err), -1);
    assert_int_equal(err.code, ERR_NOT_FOUND);
    assert_string_equal(err.message,
                        "compose.yaml:1:36: /inside/d is a path inside the runner's own container "
                        "(runner-1), which the Docker host cannot see; mount a host directory or "
                        "volume there (-v /inside:/inside)");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_paths),
        cmocka_unit_test(test_a_path_that_the_host_has_not),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
