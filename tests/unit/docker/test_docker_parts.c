/* The parts of the docker engine that need no daemon. */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "apis/docker/timestamp.h"
#include "base/alloc.h"
#include "base/buf.h"
#include "base/workers.h"
#include "engine/docker/instance.h"
#include "engine/docker/self.h"
#include "engine/docker/sweep.h"
#include "engine/helped.h"

#define ID_A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define ID_B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

static void finds_its_own_container_id(void **state)
{
    static const char inside[] =
        "22 27 0:21 / /proc rw - proc proc rw\n"
        "801 700 259:1 /var/lib/docker/containers/" ID_A "/resolv.conf /etc/resolv.conf rw - x\n"
        "802 700 259:1 /var/lib/docker/containers/" ID_A "/hostname /etc/hostname rw - x\n";
    static const char on_a_host[] =
        "90 27 0:30 / /var/lib/docker/containers/" ID_B "/mounts/shm rw - tmpfs shm rw\n"
        "91 27 0:31 /" ID_B " /data rw - x\n";
    CLEANUP_STRVEC struct strvec ids = {0};
    CLEANUP_STRVEC struct strvec none = {0};

    (void)state;
    self_ids_from_mountinfo(inside, &ids);
    assert_int_equal(ids.len, 1);
    assert_string_equal(ids.items[0], ID_A);
    self_ids_from_mountinfo(on_a_host, &none);
    assert_int_equal(none.len, 0);
    self_ids_from_cgroup("9:memory:/docker/" ID_B "\n0::/system.slice/docker-" ID_A ".scope\n",
                         &ids);
    assert_int_equal(ids.len, 2);
    assert_string_equal(ids.items[1], ID_B);
    self_ids_from_cgroup("9:memory:/user.slice\n0::/init.scope\n", &none);
    assert_int_equal(none.len, 0);
}

static struct docker_mount_point mounts[] = {
    {.type = (char *)"bind", .source = (char *)"/srv/ci", .destination = (char *)"/repo"},
    {.type = (char *)"volume",
     .name = (char *)"cache",
     .source = (char *)"/var/lib/docker/volumes/cache/_data",
     .destination = (char *)"/repo/cache"},
    {.type = (char *)"tmpfs", .source = (char *)"", .destination = (char *)"/scratch"},
};

static const struct self inside = {.place = SELF_IN_CONTAINER,
                                   .container = {.name = (char *)"runner-1",
                                                 .mounts = mounts,
                                                 .mount_count = 3}};

static void assert_path(const struct self *self, const char *path, int api_minor,
                        enum docker_mount_type type, const char *source, const char *subpath)
{
    CLEANUP_SELF_PATH struct self_path got = {0};
    struct err err = ERR_INIT;

    assert_int_equal(0, self_translate(self, path, api_minor, &got, &err));
    assert_int_equal(got.type, type);
    assert_string_equal(got.source, source);
    if (subpath)
        assert_string_equal(got.subpath, subpath);
    else
        assert_null(got.subpath);
}

static void translates_paths_through_its_mounts(void **state)
{
    const struct self on_host = {.place = SELF_ON_HOST};

    (void)state;
    assert_path(&on_host, "/repo/a", 41, DOCKER_MOUNT_BIND, "/repo/a", NULL);
    assert_path(&inside, "/repo", 41, DOCKER_MOUNT_BIND, "/srv/ci", NULL);
    assert_path(&inside, "/repo/a/b", 41, DOCKER_MOUNT_BIND, "/srv/ci/a/b", NULL);
    assert_path(&inside, "/repo/cache", 41, DOCKER_MOUNT_VOLUME, "cache", NULL);
    assert_path(&inside, "/repo/cache/x", 45, DOCKER_MOUNT_VOLUME, "cache", "x");
    assert_path(&inside, "/repo/cache/x", 44, DOCKER_MOUNT_BIND,
                "/var/lib/docker/volumes/cache/_data/x", NULL);
}

static void tells_where_its_paths_are_on_the_host(void **state)
{
    CLEANUP_FREE char *file = self_host_path(&inside, "/repo/a");
    CLEANUP_FREE char *volume = self_host_path(&inside, "/repo/cache");

    (void)state;
    assert_string_equal(file, "/srv/ci/a");
    assert_string_equal(volume, "/var/lib/docker/volumes/cache/_data");
    assert_null(self_host_path(&inside, "/scratch/x"));
    assert_null(self_host_path(&inside, "/etc/hosts"));
}

static void names_both_sides_of_a_path_that_is_not_shared(void **state)
{
    static const char *const paths[] = {"/repository", "/scratch/x", "/"};

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        struct self_path got;
        struct err err = ERR_INIT;
        char expected[256];

        snprintf(expected, sizeof(expected),
                 "%s is a path inside the runner's own container (runner-1), which the Docker host "
                 "cannot see; mount a host directory or volume there (-v %s:%s)",
                 paths[i], paths[i], paths[i]);
        assert_int_equal(-1, self_translate(&inside, paths[i], 45, &got, &err));
        assert_int_equal(err.code, ERR_NOT_FOUND);
        assert_string_equal(err.message, expected);
    }
}

static void knows_loopback_addresses(void **state)
{
    (void)state;
    assert_true(self_is_loopback_url("tcp://127.0.0.1:2375"));
    assert_true(self_is_loopback_url("tcp://localhost:2376"));
    assert_true(self_is_loopback_url("http://[::1]"));
    assert_false(self_is_loopback_url("tcp://localhost.example:2376"));
    assert_false(self_is_loopback_url("tcp://docker:2375"));
}

static void reads_times(void **state)
{
    (void)state;
    assert_true(timestamp_ns("1970-01-01T00:00:01Z") == 1000000000);
    assert_true(timestamp_ns("2026-11-21T05:06:07.000000089Z") == INT64_C(1795237567000000089));
    assert_true(timestamp_ns("2026-11-21T06:36:07.5+01:30") == INT64_C(1795237567500000000));
    assert_true(timestamp_ns("2026-11-21T00:06:07-05:00") == INT64_C(1795237567000000000));
    assert_true(timestamp_ns("0001-01-01T00:00:00Z") == 0);
    assert_true(timestamp_ns("9999-12-31T23:59:59Z") == 0);
    assert_true(timestamp_ns("yesterday") == 0);
    assert_true(timestamp_ns(NULL) == 0);
}

static void gives_time_to_runs_of_others(void **state)
{
    static const struct {
        struct sweep_signs signs;
        bool lives;
    } cases[] = {
        {{.lease = true, .containers = true, .age_s = 1000000}, true},
        {{.containers = true, .age_s = 59}, true},
        {{.containers = true, .age_s = 60}, false},
        {{.containers = true, .age_s = -5}, true},
        /* It pulls the image of its next job. */
        {{.age_s = 86399}, true},
        {{.age_s = 86400}, false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
        assert_int_equal(sweep_signs_of_life(&cases[i].signs), cases[i].lives);
    assert_true(sweep_is_lease("holder"));
    assert_true(sweep_is_lease("watchdog"));
    assert_true(sweep_is_lease("launcher"));
    assert_false(sweep_is_lease("step"));
    assert_true(sweep_is_running("running"));
    assert_true(sweep_is_running("paused"));
    assert_true(sweep_is_running("restarting"));
    assert_false(sweep_is_running("created"));
    assert_false(sweep_is_running("exited"));
    assert_false(sweep_is_running("dead"));
}

static void describes_memory_limits(void **state)
{
    struct exit_record record = {.kind = EXIT_CODE, .code = 137};

    (void)state;
    helped_record_oom(64 << 20, &record);
    assert_int_equal(record.reason, REASON_OOM);
    assert_string_equal(record.detail, "killed: out of memory (limit 64 MiB)");
    helped_record_oom(1000, &record);
    assert_string_equal(record.detail, "killed: out of memory (limit 1000 bytes)");
    helped_record_oom(0, &record);
    assert_string_equal(record.detail, "killed: out of memory");
}

static void count(void *arg)
{
    __atomic_fetch_add((int *)arg, 1, __ATOMIC_RELAXED);
}

static void finishes_all_work_in_the_background(void **state)
{
    struct workers workers;
    int done = 0;

    (void)state;
    workers_init(&workers, 3);
    for (int i = 0; i < 100; i++)
        workers_submit(&workers, count, &done);
    workers_release(&workers);
    assert_int_equal(done, 100);
    workers_init(&workers, 0);
    workers_submit(&workers, count, &done);
    assert_int_equal(done, 101);
    workers_release(&workers);
}

static void nobody_listens_for_longer_than_a_restart_takes(void **state)
{
    struct docker_instance instance = {.mu = PTHREAD_MUTEX_INITIALIZER};
    const struct err refused = {.code = ERR_UNAVAILABLE, .errnum = ECONNREFUSED};
    const struct err missing = {.code = ERR_UNAVAILABLE, .errnum = ENOENT};
    const struct err unreachable = {.code = ERR_UNAVAILABLE, .errnum = EHOSTUNREACH};
    const struct err broke = {.code = ERR_LOST};

    (void)state;
    assert_false(instance_is_away(&instance, &refused));
    instance.away_since_ms -= 9000;
    assert_false(instance_is_away(&instance, &missing));
    instance.away_since_ms -= 1000;
    assert_true(instance_is_away(&instance, &missing));
    assert_false(instance_is_away(&instance, &broke));
    assert_false(instance_is_away(&instance, &unreachable));
    instance_answered(&instance);
    assert_false(instance_is_away(&instance, &refused));
    /* The last failure is long ago, so this is another outage. */
    instance.away_since_ms -= 60000;
    instance.away_seen_ms -= 50000;
    assert_false(instance_is_away(&instance, &refused));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_its_own_container_id),
        cmocka_unit_test(translates_paths_through_its_mounts),
        cmocka_unit_test(tells_where_its_paths_are_on_the_host),
        cmocka_unit_test(names_both_sides_of_a_path_that_is_not_shared),
        cmocka_unit_test(knows_loopback_addresses),
        cmocka_unit_test(reads_times),
        cmocka_unit_test(gives_time_to_runs_of_others),
        cmocka_unit_test(describes_memory_limits),
        cmocka_unit_test(finishes_all_work_in_the_background),
        cmocka_unit_test(nobody_listens_for_longer_than_a_restart_takes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
