/* libFuzzer harness: any bytes as what comes from a relay. Each connection is a piece of the input
 * that begins with its length. What is sent is never more than the window, and what is delivered
 * does not depend on the pieces in which it comes; but with all at once, less has been sent when
 * the answers to it come, and so one of them can be refused earlier.
 *
 *     build/fuzz/tests/fuzz_channel -max_len=1024 -timeout=5 corpus/ */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "helper/channel.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

enum { INPUT_BYTES = 100 };

struct side {
    struct channel channel;
    struct buf got[2];
};

static int deliver(void *arg, enum helper_stream stream, const char *data, size_t len,
                   struct err *err)
{
    struct side *side = arg;

    (void)err;
    buf_add(&side->got[stream], data, len);
    return 0;
}

static void send_all(struct channel *channel)
{
    const char *out;
    size_t len;

    while ((len = channel_output(channel, &out)) > 0) {
        if (len > HELPER_RELAY_WINDOW + 1024)
            abort();
        channel_sent(channel, len);
    }
    if (channel->written < channel->taken ||
        channel->written > channel->taken + channel_pending(channel))
        abort();
}

static void play(struct side *side, const char *data, size_t len, size_t step)
{
    static const char input[INPUT_BYTES];
    struct err err = ERR_INIT;

    *side = (struct side){.got = {BUF_INIT, BUF_INIT}};
    if (channel_init(&side->channel, deliver, side, &err) < 0)
        abort();
    channel_input(&side->channel, input, sizeof(input));
    channel_renew(&side->channel, 1000);
    while (len > 0) {
        size_t size = (unsigned char)*data < len - 1 ? (unsigned char)*data : len - 1;
        int result = 0;

        channel_connected(&side->channel);
        data++;
        len--;
        for (size_t at = 0; at < size && result == 0; at += step) {
            size_t piece = size - at < step ? size - at : step;

            send_all(&side->channel);
            result = channel_feed(&side->channel, data + at, piece, &err);
        }
        if (result < 0 && !*err.message)
            abort();
        if (result < 0)
            return;
        data += size;
        len -= size;
    }
}

static void release(struct side *side)
{
    channel_release(&side->channel);
    buf_release(&side->got[0]);
    buf_release(&side->got[1]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct side whole, single;

    play(&whole, (const char *)data, len, SIZE_MAX / 2);
    play(&single, (const char *)data, len, 1);
    for (int i = 0; i < 2; i++) {
        if (whole.got[i].len > single.got[i].len ||
            (whole.got[i].len &&
             memcmp(whole.got[i].data, single.got[i].data, whole.got[i].len) != 0))
            abort();
    }
    release(&whole);
    release(&single);
    return 0;
}
