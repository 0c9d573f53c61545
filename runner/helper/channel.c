#include "helper/channel.h"

#include <lz4.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/alloc.h"
#include "base/parse.h"
#include "helper/request.h"

/* Input that has been taken is dropped when it is so much, and half of all. */
#define INPUT_KEPT (256u << 10)
/* The relay, which keeps four times as much in memory, does not have to wait for that. */
#define TELL_BYTES (HELPER_RELAY_MEMORY / 4)

_Static_assert(HELPER_RECORD_SIZE == sizeof(((struct channel *)NULL)->record), "head of a record");

static uint64_t get_le(const char *at, size_t size)
{
    uint64_t value = 0;

    for (size_t i = size; i > 0; i--)
        value = value << 8 | (unsigned char)at[i - 1];
    return value;
}

static void add_le(struct buf *out, size_t size, uint64_t value)
{
    for (size_t i = 0; i < size; i++)
        buf_addch(out, (char)(value >> (8 * i)));
}

static size_t min_size(uint64_t a, uint64_t b)
{
    return (size_t)(a < b ? a : b);
}

int channel_init(struct channel *channel, channel_deliver_fn *deliver, void *arg, struct err *err)
{
    *channel = (struct channel){
        .deliver = deliver, .arg = arg, .input = BUF_INIT, .out = BUF_INIT, .packed = BUF_INIT};
    if (getrandom(channel->nonce, sizeof(channel->nonce), 0) != (ssize_t)sizeof(channel->nonce))
        return err_errno(err, "cannot draw a random number");
    return 0;
}

void channel_release(struct channel *channel)
{
    buf_release(&channel->input);
    buf_release(&channel->out);
    buf_release(&channel->packed);
    free(channel->raw);
}

/* --- to the relay --- */

void channel_input(struct channel *channel, const void *data, size_t len)
{
    buf_add(&channel->input, data, len);
}

void channel_renew(struct channel *channel, uint32_t ttl_ms)
{
    channel->ttl_ms = ttl_ms;
    channel->renew = true;
}

void channel_tell(struct channel *channel)
{
    channel->tell = true;
}

void channel_quit(struct channel *channel)
{
    channel->quit = true;
}

void channel_connected(struct channel *channel)
{
    channel->connected = true;
    channel->welcome = false;
    channel->head_len = 0;
    channel->frame_left = 0;
    channel->packed_left = 0;
    buf_reset(&channel->packed);
    channel->quit_told = false;
    channel->told = channel->received;
    /* It may have gone with the connection. */
    channel->renew = channel->renew || channel->ttl_ms > 0;
    buf_reset(&channel->out);
    channel->out_at = 0;
    buf_addstr(&channel->out, HELPER_RELAY_HELLO);
    buf_add(&channel->out, channel->nonce, sizeof(channel->nonce));
    add_le(&channel->out, 8, channel->received);
}

static void add_input(struct channel *channel)
{
    const uint64_t end = channel->taken + channel_pending(channel);
    const uint64_t window = channel->taken + HELPER_RELAY_WINDOW;

    while (channel->written < end && channel->written < window) {
        size_t size = min_size(min_size(end, window) - channel->written, HELPER_RELAY_DATA_MAX);

        buf_addch(&channel->out, HELPER_RELAY_INPUT);
        add_le(&channel->out, 4, size);
        buf_add(&channel->out,
                channel->input.data + channel->input_at + (channel->written - channel->taken),
                size);
        channel->written += size;
    }
}

static void add_frames(struct channel *channel)
{
    if (channel->renew) {
        buf_addch(&channel->out, HELPER_RELAY_LEASE);
        add_le(&channel->out, 4, channel->ttl_ms);
        channel->renew = false;
    }
    if (channel_untold(channel) >= (channel->tell || channel->ended ? 1 : TELL_BYTES)) {
        buf_addch(&channel->out, HELPER_RELAY_RECEIVED);
        add_le(&channel->out, 8, channel->received);
        channel->told = channel->received;
    }
    channel->tell = false;
    /* Nothing comes of input any more. */
    if (!channel->quit)
        add_input(channel);
    else if (!channel->quit_told)
        buf_addch(&channel->out, HELPER_RELAY_QUIT);
    channel->quit_told = channel->quit;
}

size_t channel_output(struct channel *channel, const char **ret)
{
    if (channel->welcome && channel->out_at == channel->out.len) {
        buf_reset(&channel->out);
        channel->out_at = 0;
        add_frames(channel);
    }
    *ret = channel->out.data + channel->out_at;
    return channel->out.len - channel->out_at;
}

void channel_sent(struct channel *channel, size_t len)
{
    channel->out_at += len;
}

/* --- from the relay --- */

static int confused(struct err *err)
{
    return err_set(err, ERR_PROTOCOL, "the relay in the container is confused");
}

/* The relay has got the input before `taken`. */
static int take_taken(struct channel *channel, uint64_t taken, uint64_t limit, struct err *err)
{
    if (taken < channel->taken || taken > limit)
        return confused(err);
    channel->input_at += (size_t)(taken - channel->taken);
    channel->taken = taken;
    if (channel->input_at >= INPUT_KEPT && channel->input_at >= channel->input.len / 2) {
        buf_consume(&channel->input, channel->input_at);
        channel->input_at = 0;
    }
    return 0;
}

static int take_refusal(uint64_t reason, struct err *err)
{
    switch (reason) {
    case HELPER_REFUSED_NONCE:
        return err_set(err, ERR_DENIED, "the relay in the container belongs to another runner");
    case HELPER_REFUSED_OFFSET:
        return err_set(err, ERR_LOST,
                       "the relay in the container has not got the output any more: it is another "
                       "one than before");
    default:
        return confused(err);
    }
}

static int take_welcome(struct channel *channel, struct err *err)
{
    uint64_t number = get_le(channel->head + 4, 8);

    if (memcmp(channel->head, HELPER_RELAY_REFUSAL, 4) == 0)
        return take_refusal(number, err);
    if (memcmp(channel->head, HELPER_RELAY_WELCOME, 4) != 0)
        return confused(err);
    if (take_taken(channel, number, channel->taken + channel_pending(channel), err) < 0)
        return -1;
    channel->written = channel->taken;
    channel->welcome = true;
    return 0;
}

static int take_packed_head(struct channel *channel, struct err *err)
{
    uint64_t size = get_le(channel->head + 1, 4);
    uint64_t raw = get_le(channel->head + 5, 4);

    if (size == 0 || size >= raw || raw > HELPER_RELAY_PACKED_MAX)
        return confused(err);
    channel->packed_left = (size_t)size;
    channel->raw_size = (size_t)raw;
    return 0;
}

static int take_frame(struct channel *channel, struct err *err)
{
    uint64_t number = get_le(channel->head + 1, channel->head_len - 1);

    if (channel->head[0] == HELPER_RELAY_TAKEN)
        return take_taken(channel, number, channel->written, err);
    if (channel->head[0] == HELPER_RELAY_PACKED)
        return take_packed_head(channel, err);
    if (number > HELPER_RELAY_DATA_MAX)
        return confused(err);
    channel->frame_left = (size_t)number;
    return 0;
}

/* How long the head is that has begun; 0: it is none. */
static size_t head_size(const struct channel *channel)
{
    if (!channel->welcome)
        return HELPER_RELAY_WELCOME_SIZE;
    if (channel->head[0] == HELPER_RELAY_TAKEN || channel->head[0] == HELPER_RELAY_PACKED)
        return 1 + 8;
    return channel->head[0] == HELPER_RELAY_OUTPUT ? 1 + 4 : 0;
}

static int take_head(struct channel *channel, char c, struct err *err)
{
    bool welcome = channel->welcome;
    size_t size;

    channel->head[channel->head_len++] = c;
    size = head_size(channel);
    if (!size)
        return confused(err);
    if (channel->head_len < size)
        return 0;
    if ((welcome ? take_frame(channel, err) : take_welcome(channel, err)) < 0)
        return -1;
    channel->head_len = 0;
    channel->answers++;
    return 0;
}

static int take_record_head(struct channel *channel, struct err *err)
{
    uint64_t size = get_le(channel->record + 1, 4);
    char stream = channel->record[0];

    if (stream != HELPER_RELAY_STDOUT && stream != HELPER_RELAY_STDERR &&
        stream != HELPER_RELAY_ENDED)
        return confused(err);
    if (size == 0 || size > HELPER_RELAY_DATA_MAX ||
        (stream == HELPER_RELAY_ENDED && size >= sizeof(channel->end)))
        return confused(err);
    channel->record_left = (size_t)size;
    return 0;
}

static int take_end(struct channel *channel, const char *data, size_t len, struct err *err)
{
    int64_t code;

    memcpy(channel->end + channel->end_len, data, len);
    channel->end[channel->end_len + len] = '\0';
    if (len == channel->record_left && parse_int64(channel->end, &code, NULL) < 0)
        return confused(err);
    channel->end_len += len;
    if (len < channel->record_left)
        return 0;
    channel->code = (int)code;
    channel->ended = true;
    return 0;
}

static int take_record_data(struct channel *channel, const char *data, size_t len, struct err *err)
{
    if (channel->record[0] == HELPER_RELAY_ENDED)
        return take_end(channel, data, len, err);
    return channel->deliver(channel->arg,
                            channel->record[0] == HELPER_RELAY_STDOUT ? HELPER_STDOUT
                                                                      : HELPER_STDERR,
                            data, len, err);
}

/* Of the output; how much was used, or -1. What was used has been received. */
static ssize_t take_output(struct channel *channel, const char *data, size_t len, struct err *err)
{
    size_t size = 1;

    if (channel->ended)
        return confused(err);
    if (channel->record_left > 0) {
        size = min_size(channel->record_left, len);
        if (take_record_data(channel, data, size, err) < 0)
            return -1;
        channel->record_left -= size;
    } else {
        channel->record[channel->record_len++] = *data;
        if (channel->record_len == sizeof(channel->record)) {
            /* What was not received comes again. */
            if (take_record_head(channel, err) < 0) {
                channel->record_len--;
                return -1;
            }
            channel->record_len = 0;
        }
    }
    channel->received += size;
    return (ssize_t)size;
}

static int take_all_output(struct channel *channel, const char *data, size_t len, struct err *err)
{
    while (len > 0) {
        ssize_t used = take_output(channel, data, len, err);

        if (used < 0)
            return -1;
        data += used;
        len -= (size_t)used;
    }
    return 0;
}

/* All data of a HELPER_RELAY_PACKED. */
static int unpack(struct channel *channel, const char *data, size_t len, struct err *err)
{
    if (!channel->raw)
        channel->raw = xmalloc(HELPER_RELAY_PACKED_MAX);
    if (LZ4_decompress_safe(data, channel->raw, (int)len, (int)channel->raw_size) !=
        (int)channel->raw_size)
        return confused(err);
    return take_all_output(channel, channel->raw, channel->raw_size, err);
}

/* Nothing of it is taken before it is complete: it comes again otherwise. How much was used, or -1.
 */
static ssize_t take_packed(struct channel *channel, const char *data, size_t len, struct err *err)
{
    struct buf *packed = &channel->packed;
    size_t size = min_size(channel->packed_left, len);

    channel->packed_left -= size;
    if (packed->len || channel->packed_left) {
        buf_add(packed, data, size);
        if (channel->packed_left)
            return (ssize_t)size;
        if (unpack(channel, packed->data, packed->len, err) < 0)
            return -1;
        buf_reset(packed);
    } else if (unpack(channel, data, size, err) < 0) {
        return -1;
    }
    return (ssize_t)size;
}

int channel_feed(struct channel *channel, const char *data, size_t len, struct err *err)
{
    if (!channel->connected)
        return confused(err);
    while (len > 0) {
        size_t size = 1;

        if (channel->frame_left > 0) {
            ssize_t used = take_output(channel, data, min_size(channel->frame_left, len), err);

            if (used < 0)
                return -1;
            size = (size_t)used;
            channel->frame_left -= size;
        } else if (channel->packed_left > 0) {
            ssize_t used = take_packed(channel, data, len, err);

            if (used < 0)
                return -1;
            size = (size_t)used;
        } else if (take_head(channel, *data, err) < 0) {
            return -1;
        }
        data += size;
        len -= size;
    }
    return 0;
}
