/* Decoder of the multiplexed output of attach, exec and logs: frames of {stream u8, 0, 0, 0,
 * length u32 big endian, bytes}. Incremental and pure: pieces may be cut anywhere, payload is
 * passed on without being copied or kept.
 *
 *     struct docker_frames frames;
 *     docker_frames_init(&frames, tty, on_output, arg);
 *     for (;;) {
 *         switch (docker_frames_pump(&frames, stream, err)) {
 *         case DOCKER_PUMP_IDLE: poll http_stream_fd(stream) for POLLIN; break;
 *         case DOCKER_PUMP_MORE: break;                    // there may be more at once
 *         case DOCKER_PUMP_END: return 0;
 *         case DOCKER_PUMP_ERROR: return -1;
 *         }
 *     }
 *
 * Source: Docker Engine API, POST /containers/{id}/attach, "Stream format". */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "apis/http/http_stream.h"
#include "base/err.h"

enum docker_output { DOCKER_OUTPUT_STDOUT = 1, DOCKER_OUTPUT_STDERR = 2 };

/* len > 0. -1 with *err stops the decoding. */
typedef int docker_output_fn(void *arg, enum docker_output stream, const char *data, size_t len,
                             struct err *err);

struct docker_frames {
    docker_output_fn *output;
    void *arg;
    bool raw; /* tty: no frames, all is stdout */
    unsigned char header[8];
    size_t header_len;
    uint32_t left; /* payload bytes of the current frame still to come */
};

void docker_frames_init(struct docker_frames *frames, bool raw, docker_output_fn *output,
                        void *arg);
/* ERR_PROTOCOL for an unknown stream number. Stream 3 (the daemon reports an error of its own)
 * is ERR_LOST with its text. */
int docker_frames_feed(struct docker_frames *frames, const char *data, size_t len, struct err *err)
    __attribute__((warn_unused_result));
/* At the end of the input: ERR_LOST when that was inside a frame. */
int docker_frames_end(const struct docker_frames *frames, struct err *err)
    __attribute__((warn_unused_result));

enum docker_pump { DOCKER_PUMP_ERROR = -1, DOCKER_PUMP_END, DOCKER_PUMP_IDLE, DOCKER_PUMP_MORE };
/* Feeds what the stream has now, at most 1 MiB. */
enum docker_pump docker_frames_pump(struct docker_frames *frames, struct http_stream *stream,
                                    struct err *err) __attribute__((warn_unused_result));
/* Feeds all of the stream, to its end. */
int docker_frames_read(const struct ctx *ctx, struct docker_frames *frames,
                       struct http_stream *stream, struct err *err)
    __attribute__((warn_unused_result));
