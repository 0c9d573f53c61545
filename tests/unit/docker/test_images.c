/* The rank of pulls among each other, over a daemon that does as it is told; what a real daemon
 * shows is tested with that. */
#include <pthread.h>
#include <semaphore.h>

#include "tests/unit/apis/fake.h"

#include "engine/docker/instance.h"

static struct fake fake;
static struct docker_instance instance;
static const struct image_source held = {.image = "x/hang:1"};
static const struct image_source later = {.image = "x/busy-1:1"};
static const struct image_source later_still = {.image = "x/busy-2:1"};

/* The output of a step: says when its pull has begun, and counts attempts that failed. */
struct witness {
    struct output output;
    sem_t pulling;
    unsigned retries;
    unsigned shown; /* how often it was told how far the pull is */
    unsigned due;
    bool ended;
    char first[128];
};

static void on_note(struct output *output, const char *text)
{
    struct witness *w = (struct witness *)output;

    if (strstr(text, "trying again"))
        w->retries++;
    else
        sem_post(&w->pulling);
}

static void on_progress(struct output *output, const struct output_progress *progress)
{
    struct witness *w = (struct witness *)output;

    assert_false(w->ended);
    w->ended = !progress;
    if (!progress)
        return;
    if (!w->shown++)
        snprintf(w->first, sizeof(w->first), "%s", progress->text);
    w->due += progress->due;
}

static void witness_init(struct witness *w)
{
    *w = (struct witness){.output.note = on_note};
    sem_init(&w->pulling, 0, 0);
}

struct step {
    struct ctx ctx;
    struct witness witness;
    struct docker_client *client;
    struct err err;
    int result;
};

static void *wait_for_image(void *arg)
{
    struct step *step = arg;
    const struct docker_image *image;

    step->result = image_ensure(&step->ctx, &instance, step->client, &held, NULL,
                                &step->witness.output, &image, &step->err);
    return NULL;
}

/* The fake refuses the first N requests for x/busy-N: how often a step has to try again shows how
 * often somebody asked before. */
static unsigned retries_for(const struct image_source *source)
{
    struct witness w;
    struct docker_client *client;
    const struct docker_image *image;

    witness_init(&w);
    assert_ok(instance_client_take(&instance, &client, &test_err));
    /* The pull ends well, but then the fake has no such image. */
    assert_error(image_ensure(&test_ctx, &instance, client, source, NULL, &w.output, &image,
                              &test_err),
                 ERR_NOT_FOUND);
    instance_client_give(&instance, client);
    sem_destroy(&w.pulling);
    return w.retries;
}

static void prefetch_gives_way_to_a_step(void **state)
{
    struct step step = {.result = 1};
    struct ctx brief;
    pthread_t thread;

    (void)state;
    witness_init(&step.witness);
    assert_ok(ctx_init_root(&step.ctx, NULL, &test_err));
    assert_ok(instance_client_take(&instance, &step.client, &test_err));
    assert_int_equal(pthread_create(&thread, NULL, wait_for_image, &step), 0);
    sem_wait(&step.witness.pulling);
    ctx_init(&brief, &test_ctx);
    ctx_set_timeout(&brief, 300, "test");
    image_prefetch(&brief, &instance, &later, NULL);
    assert_true(ctx_done(&brief)); /* it waited until then */
    ctx_release(&brief);
    ctx_cancel(&step.ctx, CTX_CAUSE_USER);
    pthread_join(thread, NULL);
    assert_int_equal(step.result, -1);
    assert_int_equal(step.err.code, ERR_CANCELLED);
    assert_int_equal(retries_for(&later), 1);
    instance_client_give(&instance, step.client);
    ctx_release(&step.ctx);
    sem_destroy(&step.witness.pulling);
}

static void prefetch_asks_once_and_its_failure_is_not_remembered(void **state)
{
    (void)state;
    image_prefetch(&test_ctx, &instance, &later_still, NULL);
    image_prefetch(&test_ctx, &instance, &later_still, NULL);
    assert_int_equal(retries_for(&later_still), 1);
}

/* That a pull has begun has just been said: nothing is due yet for those who only add lines. */
static void progress_is_told_until_the_pull_ends(void **state)
{
    static const struct image_source source = {.image = "x/busy-0:1"};
    struct witness w;
    struct docker_client *client;
    const struct docker_image *image;

    (void)state;
    witness_init(&w);
    w.output.progress = on_progress;
    assert_ok(instance_client_take(&instance, &client, &test_err));
    assert_error(image_ensure(&test_ctx, &instance, client, &source, NULL, &w.output, &image,
                              &test_err),
                 ERR_NOT_FOUND);
    instance_client_give(&instance, client);
    sem_destroy(&w.pulling);
    assert_true(w.shown >= 1);
    assert_int_equal(w.due, 0);
    assert_true(w.ended);
    assert_string_equal(w.first, "pulling x/busy-0:1");
}

static int set_up(void **state)
{
    (void)state;
    instance = (struct docker_instance){0};
    pthread_mutex_init(&instance.mu, NULL);
    assert_ok(fake_start(&fake));
    assert_ok(image_cache_init(&instance.images, &test_err));
    assert_ok(docker_endpoint_find(fake.url, NULL, &instance.endpoint, &test_err));
    instance.api_minor = 41;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    vec_foreach (struct docker_client **, client, &instance.idle_clients)
        docker_client_free(*client);
    vec_release(&instance.idle_clients);
    image_cache_release(&instance.images);
    docker_endpoint_release(&instance.endpoint);
    pthread_mutex_destroy(&instance.mu);
    fake_stop(&fake);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(prefetch_gives_way_to_a_step, set_up, tear_down),
        cmocka_unit_test_setup_teardown(prefetch_asks_once_and_its_failure_is_not_remembered,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(progress_is_told_until_the_pull_ends, set_up, tear_down),
    };
    int failures;

    if (ctx_init_root(&test_ctx, NULL, &test_err) < 0)
        return 1;
    failures = cmocka_run_group_tests(tests, NULL, NULL);
    ctx_release(&test_ctx);
    return failures;
}
