/* The end of several engines' instances. */
#include "tests/unit/test.h"

#include <errno.h>
#include <pthread.h>
#include <time.h>

#include "base/ctx.h"
#include "exec/instances.h"

enum { HOSTS = 3, PATIENCE_S = 20 };

/* Those that are being disconnected wait for each other. */
static struct {
    pthread_mutex_t mu;
    pthread_cond_t change;
    int ending;
    int met; /* with all others */
} hosts = {.mu = PTHREAD_MUTEX_INITIALIZER, .change = PTHREAD_COND_INITIALIZER};

static int host_connect(const struct ctx *ctx, const struct engine_services *services,
                        const char *url, struct engine_instance **ret, struct err *err)
{
    (void)ctx;
    (void)services;
    (void)err;
    if (strcmp(url, "host://absent") == 0)
        return err_set(err, ERR_UNAVAILABLE, "nobody is there");
    *ret = (struct engine_instance *)&hosts;
    return 0;
}

static void host_disconnect(struct engine_instance *instance)
{
    struct timespec until;

    (void)instance;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += PATIENCE_S;
    pthread_mutex_lock(&hosts.mu);
    hosts.ending++;
    pthread_cond_broadcast(&hosts.change);
    while (hosts.ending < HOSTS &&
           pthread_cond_timedwait(&hosts.change, &hosts.mu, &until) != ETIMEDOUT)
        continue;
    hosts.met += hosts.ending == HOSTS;
    pthread_mutex_unlock(&hosts.mu);
}

static const struct engine host = {.name = "host",
                                   .connect = host_connect,
                                   .disconnect = host_disconnect};
static const struct engine *const engines[] = {&host, NULL};

static void they_end_side_by_side(void **state)
{
    static const char *const urls[HOSTS] = {"host", "host://a", "host://b"};
    struct engine_services services = {0};
    struct instances *instances = instances_new(engines, &services);
    const struct engine *engine;
    struct engine_instance *instance;
    struct err err = ERR_INIT;
    struct ctx ctx;

    (void)state;
    assert_int_equal(ctx_init_root(&ctx, NULL, &err), 0);
    for (int i = 0; i < HOSTS; i++)
        assert_int_equal(instances_get(instances, &ctx, urls[i], &instance, &engine, &err), 0);
    /* One that was never connected is not disconnected. */
    assert_int_equal(instances_get(instances, &ctx, "host://absent", &instance, &engine, &err), -1);
    instances_free(instances);
    ctx_release(&ctx);
    assert_int_equal(hosts.ending, HOSTS);
    assert_int_equal(hosts.met, HOSTS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(they_end_side_by_side)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
