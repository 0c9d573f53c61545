/* Frames and messages of a WebSocket connection, both ends. Pure: bytes in, messages out.
 *
 *     struct ws_decoder decoder;
 *     ws_decoder_init(&decoder, WS_CLIENT, 0);
 *     ws_decoder_feed(&decoder, data, len);
 *     while ((got = ws_decoder_next(&decoder, &message, err)) > 0)
 *         ...                              // message.data lives until the next call
 *     if (got < 0)
 *         ...                              // answer with ws_decoder_close_code() and hang up
 *     ws_decoder_release(&decoder);
 *
 * Fragments of a message are put together; control frames that come between them are given out at
 * once. No extension is known: reserved bits are errors.
 * Errors: ERR_PROTOCOL, and ERR_LIMIT for a message beyond the limit.
 * Source: RFC 6455, sections 5 to 8. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

/* A client masks what it sends, a server does not (section 5.1). */
enum ws_role { WS_CLIENT, WS_SERVER };

enum ws_opcode {
    WS_CONTINUATION = 0x0,
    WS_TEXT = 0x1,
    WS_BINARY = 0x2,
    WS_CLOSE = 0x8,
    WS_PING = 0x9,
    WS_PONG = 0xa,
};

/* Section 7.4.1. */
enum ws_close_code {
    WS_CLOSE_NORMAL = 1000,
    WS_CLOSE_GOING_AWAY = 1001,
    WS_CLOSE_PROTOCOL = 1002,
    WS_CLOSE_UNSUPPORTED = 1003,
    WS_CLOSE_NO_CODE = 1005,  /* never sent: the Close frame had none */
    WS_CLOSE_ABNORMAL = 1006, /* never sent: the connection ended without a Close frame */
    WS_CLOSE_INVALID_TEXT = 1007,
    WS_CLOSE_POLICY = 1008,
    WS_CLOSE_TOO_LARGE = 1009,
    WS_CLOSE_INTERNAL = 1011,
};

#define WS_MESSAGE_MAX_DEFAULT ((size_t)16 << 20)
#define WS_CONTROL_MAX         125 /* bytes of a control frame's payload */
#define WS_MASK_SIZE           4

struct ws_message {
    enum ws_opcode opcode; /* WS_TEXT, WS_BINARY, WS_CLOSE, WS_PING or WS_PONG */
    const char *data;      /* of WS_CLOSE the reason; NUL behind it, belongs to the decoder */
    size_t len;
    unsigned close_code; /* of WS_CLOSE */
};

struct ws_decoder {
    enum ws_role role; /* of the end that decodes */
    size_t max_message;
    bool any_text; /* to be set when texts of the peer need not be UTF-8 */
    struct buf in;
    size_t at; /* what was taken from `in` */
    struct buf message;
    bool in_message; /* a first fragment has come, not the last */
    enum ws_opcode message_opcode;
    struct buf control;
    bool message_given; /* `message` was given out and is dropped by the next call */
    bool closed;        /* by a Close frame or an error: nothing more is given */
    unsigned close_code;
};

/* max_message: of a message's payload; 0: WS_MESSAGE_MAX_DEFAULT. */
void ws_decoder_init(struct ws_decoder *decoder, enum ws_role role, size_t max_message);
void ws_decoder_release(struct ws_decoder *decoder);
/* Adds bytes that were received. Read all messages out before feeding more: what is fed is kept. */
void ws_decoder_feed(struct ws_decoder *decoder, const void *data, size_t len);
/* 1 with a message, 0 when it takes more bytes (or after Close), -1. */
int ws_decoder_next(struct ws_decoder *decoder, struct ws_message *ret, struct err *err)
    __attribute__((warn_unused_result));
/* What a Close frame has to say after ws_decoder_next() failed. */
unsigned ws_decoder_close_code(const struct ws_decoder *decoder);

/* Adds one frame with the payload masked by `mask`, or plain when that is NULL (a server's). */
void ws_frame_add(struct buf *out, bool final, enum ws_opcode opcode,
                  const uint8_t mask[WS_MASK_SIZE], const void *data, size_t len);
/* Adds a whole message, in frames of at most max_frame bytes of payload (0: one frame); a client's
 * frames have keys from the system's random numbers. Control messages have at most WS_CONTROL_MAX
 * bytes and are not cut. */
void ws_message_add(struct buf *out, enum ws_role role, enum ws_opcode opcode, const void *data,
                    size_t len, size_t max_frame);
/* Adds a Close frame. The reason is cut to what fits, between two characters; WS_CLOSE_NO_CODE
 * makes one without a code. */
void ws_close_add(struct buf *out, enum ws_role role, unsigned code, const char *reason);
/* Whether a Close frame may have that code (section 7.4). */
bool ws_close_code_valid(unsigned code);
