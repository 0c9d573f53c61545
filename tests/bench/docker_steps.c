/* The marginal cost of a step in the docker engine, without the executor.
 *
 *     docker_steps [step|job] [AHEAD] [SCRIPT]
 *
 * Runs 20 and 40 steps `sh -c SCRIPT` one after the other, each prepared AHEAD steps before its
 * turn, and prints (time of 40 − time of 20) / 20 in milliseconds. DOCKER_HOST names the daemon,
 * RUNNER_TEST_IMAGE the image (busybox:test). */
#include <signal.h>
#include <string.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "engine/docker/docker.h"

#define STEPS_MAX 40

struct bench {
    struct engine_instance *instance;
    struct own_run *run;
    struct container_shape shape;
    const char *argv[4];
    int ahead;
};

static void drop(struct output *output, const struct ctx *ctx, enum output_stream stream,
                 const void *data, size_t len)
{
    (void)output;
    (void)ctx;
    (void)stream;
    (void)data;
    (void)len;
}

static void drop_note(struct output *output, const char *text)
{
    (void)output;
    (void)text;
}

static void must(int result, const struct err *err)
{
    if (result == 0)
        return;
    fprintf(stderr, "docker_steps: %s\n", err->message);
    exit(1);
}

static void fill(const struct bench *bench, struct runnable *steps, char ids[][64], int count)
{
    for (int i = 0; i < count; i++) {
        snprintf(ids[i], 64, "%s.0.%d.%d", own_run_id(bench->run), count, i);
        steps[i] = (struct runnable){.id = ids[i],
                                     .name = "step",
                                     .argv = bench->argv,
                                     .container = &bench->shape,
                                     .grace_ms = 1000};
    }
}

/* Milliseconds of the steps alone, once the place stands. */
static int64_t measure(const struct ctx *ctx, const struct bench *bench, int count)
{
    struct output output = {.write = drop, .note = drop_note};
    struct place_options options = {.name = "bench", .workspace = "/tmp/runner-bench"};
    struct runnable steps[STEPS_MAX];
    char ids[STEPS_MAX][64];
    struct exit_record record;
    struct err err = ERR_INIT;
    struct place *place;
    int prepared = 1;
    int64_t begun;
    char id[64];

    snprintf(id, sizeof(id), "%s.0.%d", own_run_id(bench->run), count);
    options.id = id;
    must(docker_engine.open(ctx, bench->instance, &options, &place, &err), &err);
    fill(bench, steps, ids, count);
    begun = clock_monotonic_ms();
    for (int i = 0; i < count; i++) {
        for (; prepared <= i + bench->ahead && prepared < count; prepared++)
            docker_engine.prepare(place, &steps[prepared]);
        must(docker_engine.run(ctx, place, &steps[i], &output, &record, &err), &err);
        if (record.kind != EXIT_CODE || record.code != 0)
            must(err_set(&err, ERR_CONFLICT, "step %d: kind %d, code %d", i, (int)record.kind,
                         record.code),
                 &err);
    }
    begun = clock_monotonic_ms() - begun;
    docker_engine.close(place);
    return begun;
}

int main(int argc, char **argv)
{
    const char *image = getenv("RUNNER_TEST_IMAGE");
    struct engine_services services = {.docker_host = NULL};
    struct bench bench = {.argv = {"sh", "-c", argc > 3 ? argv[3] : "true", NULL},
                          .ahead = argc > 2 ? argv[2][0] - '0' : 1};
    struct err err = ERR_INIT;
    struct ctx ctx;
    int64_t some, more;

    signal(SIGPIPE, SIG_IGN);
    mkdir("/tmp/runner-bench", 0755);
    bench.shape.source.image = image ? image : "busybox:test";
    bench.shape.shared = argc > 1 && strcmp(argv[1], "job") == 0;
    must(ctx_init_root(&ctx, NULL, &err), &err);
    must(own_run_begin("/tmp/runner-bench", &bench.run, &err), &err);
    services.run = bench.run;
    must(docker_engine.connect(&ctx, &services, "docker", &bench.instance, &err), &err);
    some = measure(&ctx, &bench, STEPS_MAX / 2);
    more = measure(&ctx, &bench, STEPS_MAX);
    printf("%.1f\n", (double)(more - some) / (STEPS_MAX / 2));
    docker_engine.disconnect(bench.instance);
    own_run_end(bench.run);
    ctx_release(&ctx);
    return 0;
}
