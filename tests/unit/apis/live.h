/* Shared by the tests that talk to a real daemon: they need RUNNER_TEST_DOCKER (unix://… or
 * tcp://…) and an image named by RUNNER_TEST_IMAGE (default busybox:test) with a shell, and fail
 * without. */
#pragma once

#include "tests/unit/assert_err.h"

#include "apis/docker/client.h"
#include "apis/docker/container.h"
#include "base/alloc.h"

/* What a command wrote, by stream. */
struct live_output {
    struct buf out;
    struct buf errors;
};

static inline int live_collect(void *arg, enum docker_output stream, const char *data, size_t len,
                               struct err *err)
{
    struct live_output *o = arg;

    (void)err;
    buf_add(stream == DOCKER_OUTPUT_STDERR ? &o->errors : &o->out, data, len);
    return 0;
}

static inline void live_output_release(struct live_output *o)
{
    buf_release(&o->out);
    buf_release(&o->errors);
}

/* Reads a stream to its end. */
static inline int live_drain(const struct ctx *ctx, struct http_stream *stream,
                             struct live_output *o, struct err *err)
{
    struct docker_frames frames;

    docker_frames_init(&frames, false, live_collect, o);
    return docker_frames_read(ctx, &frames, stream, err);
}

static inline const char *live_image(void)
{
    const char *image = getenv("RUNNER_TEST_IMAGE");

    return image ? image : "busybox:test";
}

/* The variable that names the daemon; a program may be run against several. */
static const char *live_variable __attribute__((unused)) = "RUNNER_TEST_DOCKER";

static inline struct docker_client *live_client(void)
{
    const char *url = getenv(live_variable);
    const char *certs = getenv("RUNNER_TEST_DOCKER_CERTS");
    CLEANUP_DOCKER_ENDPOINT struct docker_endpoint endpoint = {0};
    struct docker_client *docker = NULL;

    if (!url)
        fail_msg("%s is not set: tests with the label docker need a daemon", live_variable);
    assert_ok(docker_endpoint_parse(url, certs, true, &endpoint, &test_err));
    assert_ok(docker_client_new(&endpoint, 0, &docker, &test_err));
    return docker;
}
