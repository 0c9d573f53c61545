/* libFuzzer harness: any bytes as what a Docker daemon sends or a user names. The first byte
 * chooses where the rest is cut in two: the incremental parsers must not notice.
 *
 *     build/fuzz/tests/fuzz_docker -max_len=512 -timeout=5 corpus/ */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "apis/docker/client.h"
#include "apis/docker/frames.h"
#include "apis/docker/image_ref.h"
#include "apis/docker/lines.h"
#include "apis/docker/pull_internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static int collect(void *arg, enum docker_output stream, const char *data, size_t len,
                   struct err *err)
{
    (void)err;
    for (size_t i = 0; i < len; i++) {
        buf_addch(arg, (char)('0' + (int)stream));
        buf_addch(arg, data[i]);
    }
    return 0;
}

static void frames(const char *data, size_t len, size_t cut)
{
    CLEANUP_BUF struct buf whole = BUF_INIT;
    CLEANUP_BUF struct buf parts = BUF_INIT;
    struct docker_frames a;
    struct docker_frames b;
    int whole_result;
    int parts_result;

    docker_frames_init(&a, false, collect, &whole);
    docker_frames_init(&b, false, collect, &parts);
    whole_result = docker_frames_feed(&a, data, len, NULL);
    parts_result = docker_frames_feed(&b, data, cut, NULL);
    if (parts_result == 0)
        parts_result = docker_frames_feed(&b, data + cut, len - cut, NULL);
    if (whole_result != parts_result || whole.len != parts.len ||
        memcmp(whole.data, parts.data, whole.len) != 0)
        abort();
    if (whole_result == 0 && docker_frames_end(&a, NULL) != docker_frames_end(&b, NULL))
        abort();
}

static void lines(const char *data, size_t len, size_t cut)
{
    struct docker_pull_state state = {0};
    struct docker_lines split = {.partial = BUF_INIT, .line = docker_pull_line, .arg = &state};
    struct err err = ERR_INIT;

    if (docker_lines_feed(&split, data, cut, &err) == 0 &&
        docker_lines_feed(&split, data + cut, len - cut, &err) == 0 &&
        docker_lines_end(&split, &err) == 0)
        err_clear(&err);
    buf_release(&split.partial);
    docker_pull_state_release(&state);
}

/* What is accepted must survive being written and read again. */
static void image(const char *text)
{
    CLEANUP_DOCKER_IMAGE_REF struct docker_image_ref ref = {0};
    CLEANUP_DOCKER_IMAGE_REF struct docker_image_ref again = {0};
    CLEANUP_FREE char *full = NULL;
    CLEANUP_FREE char *full_again = NULL;
    struct err err = ERR_INIT;

    if (docker_image_ref_parse(text, &ref, &err) < 0)
        return;
    full = docker_image_ref_full(&ref);
    if (docker_image_ref_parse(full, &again, &err) < 0)
        abort();
    full_again = docker_image_ref_full(&again);
    if (strcmp(full, full_again) != 0 || strcmp(ref.registry, again.registry) != 0 ||
        strcmp(ref.repository, again.repository) != 0)
        abort();
}

static void others(const char *text, size_t len)
{
    CLEANUP_DOCKER_ENDPOINT struct docker_endpoint endpoint = {0};
    struct http_response response = {.status = 500, .body = BUF_INIT};
    struct err err = ERR_INIT;

    if (docker_endpoint_parse(text, NULL, true, &endpoint, &err) == 0 && !endpoint.base_url)
        abort();
    buf_add(&response.body, text, len);
    docker_response_error(&response, &err);
    if (strchr(err.message, '\n') || !err.message[0])
        abort();
    http_response_release(&response);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    CLEANUP_BUF struct buf text = BUF_INIT;
    size_t cut;

    if (!len)
        return 0;
    cut = data[0] % len;
    buf_add(&text, data + 1, len - 1);
    frames(text.data, text.len, cut);
    lines(text.data, text.len, cut);
    image(text.data);
    others(text.data, text.len);
    return 0;
}
