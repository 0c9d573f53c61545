/* The runner's side of the channel to a `helper relay` (relay.h): input that arrives once and
 * output that comes once, over whatever connections there are. It takes bytes and gives bytes; the
 * connections are the caller's.
 *
 *     channel_init(&channel, deliver, arg, &err)
 *     channel_renew(&channel, ttl_ms);                       and again, well before it is over
 *     channel_input(&channel, request.data, request.len);
 *     for each connection:
 *         channel_connected(&channel);
 *         send what channel_output() gives, and tell channel_sent(), whenever something was called;
 *         channel_feed(&channel, data, len, &err)            -1: this connection is of no use
 *     until channel_ended(&channel);
 *     channel_release(&channel);
 *
 * A connection that has been lost needs no word: the next one makes up for it. One that is silent
 * for long after channel_renew() is lost, too, as the relay answers that (channel.answers).
 *
 * Threads: one at a time. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "helper/relay.h"
#include "helper/reply.h"

/* The next output of `serve`. An error of it ends channel_feed(); the same bytes come again over
 * the next connection. */
typedef int channel_deliver_fn(void *arg, enum helper_stream stream, const char *data, size_t len,
                               struct err *err);

struct channel {
    channel_deliver_fn *deliver;
    void *arg;
    char nonce[HELPER_NONCE_SIZE];
    struct buf input; /* not taken yet, from `input_at` on */
    size_t input_at;
    uint64_t taken;    /* where that begins */
    uint64_t written;  /* how far it has been sent over this connection, or is in `out` */
    uint64_t received; /* output, delivered */
    uint64_t told;     /* what the relay knows of that */
    uint64_t answers;  /* of the relay, to anything */
    uint32_t ttl_ms;   /* to be sent */
    bool renew;        /* send it */
    bool tell;         /* also of little what has been received */
    bool quit;         /* wanted */
    bool quit_told;    /* over this connection */
    bool connected;    /* the hello is on its way */
    bool welcome;      /* and has been answered */
    struct buf out;    /* to be sent */
    size_t out_at;     /* of it: sent */
    char head[HELPER_RELAY_WELCOME_SIZE]; /* of the relay's frame, when incomplete */
    size_t head_len;
    size_t frame_left; /* data of the frame */
    struct buf packed; /* of HELPER_RELAY_PACKED: its data, when incomplete */
    size_t packed_left;
    char *raw;       /* what they stand for; HELPER_RELAY_PACKED_MAX bytes, NULL: never needed */
    size_t raw_size; /* of that, from the head */
    char record[5];  /* head of the record, likewise; outlives a connection */
    size_t record_len;
    size_t record_left; /* data of it */
    char end[4];        /* of HELPER_RELAY_ENDED */
    size_t end_len;
    bool ended;
    int code;
};

/* Draws the nonce. ERR_SYSTEM: there is no randomness. */
int channel_init(struct channel *channel, channel_deliver_fn *deliver, void *arg, struct err *err)
    __attribute__((warn_unused_result));
void channel_release(struct channel *channel);

/* More for the input of `serve`. */
void channel_input(struct channel *channel, const void *data, size_t len);
/* From when it arrives: unless it is renewed in time, the container ends. */
void channel_renew(struct channel *channel, uint32_t ttl_ms);
/* Tell now what has been received. Without that it is told at the end and when it is a lot, as each
 * time costs as much on its way as a piece of output; call it when channel_untold() has waited for
 * a moment. */
void channel_tell(struct channel *channel);
/* Kill everything in the container now, and end it. */
void channel_quit(struct channel *channel);

/* There is a new connection; what was on its way over an older one is not waited for. */
void channel_connected(struct channel *channel);
/* What is to be sent over it now, until the next call; its length, 0: nothing. */
size_t channel_output(struct channel *channel, const char **ret);
/* So much of that has been. */
void channel_sent(struct channel *channel, size_t len);
/* What has come over it. ERR_DENIED: the relay belongs to another runner; ERR_LOST: the output can
 * not be continued; ERR_PROTOCOL: that is no relay; or the error of deliver(). */
int channel_feed(struct channel *channel, const char *data, size_t len, struct err *err)
    __attribute__((warn_unused_result));

/* `serve` has ended, and all of its output has been delivered: with this code. */
static inline bool channel_ended(const struct channel *channel)
{
    return channel->ended;
}

static inline int channel_code(const struct channel *channel)
{
    return channel->code;
}

/* Bytes of output that have been received, and the relay does not know of it. */
static inline uint64_t channel_untold(const struct channel *channel)
{
    return channel->received - channel->told;
}

/* Bytes of input that `serve` has not got. */
static inline size_t channel_pending(const struct channel *channel)
{
    return channel->input.len - channel->input_at;
}
