#include "apis/docker/frames.h"

enum { STREAM_STDIN, STREAM_STDOUT, STREAM_STDERR, STREAM_SYSTEM };
enum { PUMP_MAX_BYTES = 1 << 20, CHUNK_BYTES = 1 << 14 };

void docker_frames_init(struct docker_frames *frames, bool raw, docker_output_fn *output, void *arg)
{
    *frames = (struct docker_frames){.output = output, .arg = arg, .raw = raw};
}

static int begin_frame(struct docker_frames *f, struct err *err)
{
    const unsigned char *h = f->header;

    if (h[0] > STREAM_SYSTEM || h[1] || h[2] || h[3])
        return err_set(err, ERR_PROTOCOL,
                       "the daemon's output stream is not framed: unexpected header "
                       "%02x %02x %02x %02x",
                       h[0], h[1], h[2], h[3]);
    f->left = (uint32_t)h[4] << 24 | (uint32_t)h[5] << 16 | (uint32_t)h[6] << 8 | h[7];
    if (!f->left)
        f->header_len = 0;
    return 0;
}

static int payload(struct docker_frames *f, const char *data, size_t len, struct err *err)
{
    if (f->header[0] == STREAM_SYSTEM)
        return err_set(err, ERR_LOST, "the daemon broke the output off: %.*s",
                       (int)(len < 512 ? len : 512), data);
    /* Stream 0 is stdin echoed back, which daemons write to stdout. */
    return f->output(f->arg,
                     f->header[0] == STREAM_STDERR ? DOCKER_OUTPUT_STDERR : DOCKER_OUTPUT_STDOUT,
                     data, len, err);
}

int docker_frames_feed(struct docker_frames *f, const char *data, size_t len, struct err *err)
{
    if (f->raw)
        return len ? f->output(f->arg, DOCKER_OUTPUT_STDOUT, data, len, err) : 0;
    while (len) {
        size_t take;

        if (f->header_len < sizeof(f->header)) {
            f->header[f->header_len++] = (unsigned char)*data++;
            len--;
            if (f->header_len == sizeof(f->header) && begin_frame(f, err) < 0)
                return -1;
            continue;
        }
        take = len < f->left ? len : f->left;
        if (payload(f, data, take, err) < 0)
            return -1;
        data += take;
        len -= take;
        f->left -= (uint32_t)take;
        if (!f->left)
            f->header_len = 0;
    }
    return 0;
}

int docker_frames_end(const struct docker_frames *frames, struct err *err)
{
    if (frames->raw || !frames->header_len)
        return 0;
    return err_set(err, ERR_LOST, "the output stream of the daemon ended in the middle of a frame");
}

enum docker_pump docker_frames_pump(struct docker_frames *frames, struct http_stream *stream,
                                    struct err *err)
{
    char chunk[CHUNK_BYTES];

    for (size_t total = 0; total < PUMP_MAX_BYTES;) {
        ssize_t got = http_stream_read(stream, chunk, sizeof(chunk), err);

        if (got == HTTP_STREAM_AGAIN)
            return DOCKER_PUMP_IDLE;
        if (got < 0)
            return DOCKER_PUMP_ERROR;
        if (got == 0)
            return docker_frames_end(frames, err) < 0 ? DOCKER_PUMP_ERROR : DOCKER_PUMP_END;
        if (docker_frames_feed(frames, chunk, (size_t)got, err) < 0)
            return DOCKER_PUMP_ERROR;
        total += (size_t)got;
    }
    return DOCKER_PUMP_MORE;
}

int docker_frames_read(const struct ctx *ctx, struct docker_frames *frames,
                       struct http_stream *stream, struct err *err)
{
    for (;;) {
        struct pollfd fd = {.fd = http_stream_fd(stream), .events = POLLIN};

        switch (docker_frames_pump(frames, stream, err)) {
        case DOCKER_PUMP_ERROR:
            return -1;
        case DOCKER_PUMP_END:
            return 0;
        case DOCKER_PUMP_MORE:
            break;
        case DOCKER_PUMP_IDLE:
            if (ctx_poll(ctx, &fd, 1, -1, err) < 0)
                return -1;
        }
    }
}
