#include "apis/ws/ws_frame.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/utf8.h"

enum {
    BIT_FINAL = 0x80,
    BITS_RESERVED = 0x70,
    BITS_OPCODE = 0x0f,
    BIT_MASKED = 0x80,
    LENGTH_16 = 126,
    LENGTH_64 = 127,
    HEAD_MAX = 14,
};

struct frame_head {
    bool final;
    enum ws_opcode opcode;
    bool masked;
    uint8_t mask[WS_MASK_SIZE];
    uint64_t len;
    size_t size; /* of the head itself */
};

static bool is_control(enum ws_opcode opcode)
{
    return opcode >= WS_CLOSE;
}

static void apply_mask(char *data, size_t len, const uint8_t mask[WS_MASK_SIZE])
{
    uint8_t eight[8];
    uint64_t wide;
    size_t i = 0;

    for (size_t k = 0; k < sizeof(eight); k++)
        eight[k] = mask[k % WS_MASK_SIZE];
    memcpy(&wide, eight, sizeof(wide));
    for (; i + sizeof(wide) <= len; i += sizeof(wide)) {
        uint64_t word;

        memcpy(&word, data + i, sizeof(word));
        word ^= wide;
        memcpy(data + i, &word, sizeof(word));
    }
    for (; i < len; i++)
        data[i] = (char)((uint8_t)data[i] ^ mask[i % WS_MASK_SIZE]);
}

/* --- reading --- */

void ws_decoder_init(struct ws_decoder *d, enum ws_role role, size_t max_message)
{
    *d = (struct ws_decoder){.role = role,
                             .max_message = max_message ? max_message : WS_MESSAGE_MAX_DEFAULT,
                             .in = BUF_INIT,
                             .message = BUF_INIT,
                             .control = BUF_INIT,
                             .close_code = WS_CLOSE_NORMAL};
}

void ws_decoder_release(struct ws_decoder *d)
{
    buf_release(&d->in);
    buf_release(&d->message);
    buf_release(&d->control);
}

void ws_decoder_feed(struct ws_decoder *d, const void *data, size_t len)
{
    if (d->closed)
        return;
    if (d->at) {
        buf_consume(&d->in, d->at);
        d->at = 0;
    }
    buf_add(&d->in, data, len);
}

unsigned ws_decoder_close_code(const struct ws_decoder *d)
{
    return d->close_code;
}

static int violation(struct ws_decoder *d, unsigned code, struct err *err, const char *what)
{
    d->closed = true;
    d->close_code = code;
    return err_set(err, code == WS_CLOSE_TOO_LARGE ? ERR_LIMIT : ERR_PROTOCOL,
                   "the other side breaks the WebSocket protocol: %s", what);
}

static uint64_t big_endian(const uint8_t *bytes, size_t count)
{
    uint64_t value = 0;

    for (size_t i = 0; i < count; i++)
        value = value << 8 | bytes[i];
    return value;
}

/* 1, or 0 when the head is not complete. */
static int parse_head(const uint8_t *bytes, size_t len, struct frame_head *ret)
{
    size_t length_size;

    if (len < 2)
        return 0;
    ret->final = bytes[0] & BIT_FINAL;
    ret->opcode = (enum ws_opcode)(bytes[0] & BITS_OPCODE);
    ret->masked = bytes[1] & BIT_MASKED;
    ret->len = bytes[1] & 0x7f;
    length_size = ret->len == LENGTH_64 ? 8 : ret->len == LENGTH_16 ? 2 : 0;
    ret->size = 2 + length_size + (ret->masked ? WS_MASK_SIZE : 0);
    if (len < ret->size)
        return 0;
    if (length_size)
        ret->len = big_endian(bytes + 2, length_size);
    if (ret->masked)
        memcpy(ret->mask, bytes + 2 + length_size, WS_MASK_SIZE);
    return 1;
}

/* What the first two bytes tell is looked at before the rest of the head has come. */
static int check_start(struct ws_decoder *d, const uint8_t *bytes, struct err *err)
{
    enum ws_opcode opcode = (enum ws_opcode)(bytes[0] & BITS_OPCODE);
    bool masked = bytes[1] & BIT_MASKED;

    if (bytes[0] & BITS_RESERVED)
        return violation(d, WS_CLOSE_PROTOCOL, err, "a reserved bit is set");
    if (masked != (d->role == WS_SERVER))
        return violation(d, WS_CLOSE_PROTOCOL, err,
                         masked ? "a server's frame is masked" : "a client's frame is not masked");
    if (opcode > WS_PONG || (opcode > WS_BINARY && opcode < WS_CLOSE))
        return violation(d, WS_CLOSE_PROTOCOL, err, "an unknown opcode");
    if (is_control(opcode)) {
        if (!(bytes[0] & BIT_FINAL))
            return violation(d, WS_CLOSE_PROTOCOL, err, "a control frame is fragmented");
        if ((bytes[1] & 0x7f) > WS_CONTROL_MAX)
            return violation(d, WS_CLOSE_PROTOCOL, err, "a control frame is too long");
    } else if (opcode == WS_CONTINUATION && !d->in_message) {
        return violation(d, WS_CLOSE_PROTOCOL, err, "a continuation of nothing");
    } else if (opcode != WS_CONTINUATION && d->in_message) {
        return violation(d, WS_CLOSE_PROTOCOL, err, "a message inside another");
    }
    return 0;
}

static int check_length(struct ws_decoder *d, const uint8_t *bytes, const struct frame_head *head,
                        struct err *err)
{
    unsigned form = bytes[1] & 0x7f;

    if ((form == LENGTH_16 && head->len < LENGTH_16) ||
        (form == LENGTH_64 && (head->len <= UINT16_MAX || head->len >> 63)))
        return violation(d, WS_CLOSE_PROTOCOL, err, "a length is not written as it must be");
    if (!is_control(head->opcode) && head->len > d->max_message - d->message.len)
        return violation(d, WS_CLOSE_TOO_LARGE, err, "a message is larger than what is taken");
    return 0;
}

static int close_message(struct ws_decoder *d, struct ws_message *ret, struct err *err)
{
    const uint8_t *bytes = (const uint8_t *)d->control.data;

    ret->close_code = WS_CLOSE_NO_CODE;
    if (d->control.len == 1)
        return violation(d, WS_CLOSE_PROTOCOL, err, "half a close code");
    if (d->control.len) {
        ret->close_code = (unsigned)big_endian(bytes, 2);
        if (!ws_close_code_valid(ret->close_code))
            return violation(d, WS_CLOSE_PROTOCOL, err, "a close code that there is not");
        ret->data += 2;
        ret->len -= 2;
        if (!utf8_valid(ret->data, ret->len))
            return violation(d, WS_CLOSE_INVALID_TEXT, err, "a close reason is not UTF-8");
    }
    d->closed = true;
    d->close_code = ret->close_code;
    return 1;
}

static int control_message(struct ws_decoder *d, const struct frame_head *head, const char *payload,
                           struct ws_message *ret, struct err *err)
{
    buf_reset(&d->control);
    buf_add(&d->control, payload, head->len);
    if (head->masked)
        apply_mask(d->control.data, d->control.len, head->mask);
    *ret =
        (struct ws_message){.opcode = head->opcode, .data = d->control.data, .len = d->control.len};
    return head->opcode == WS_CLOSE ? close_message(d, ret, err) : 1;
}

/* Adds a fragment; 1 when the message is complete. */
static int data_message(struct ws_decoder *d, const struct frame_head *head, const char *payload,
                        struct ws_message *ret, struct err *err)
{
    const size_t before = d->message.len;

    if (head->opcode != WS_CONTINUATION)
        d->message_opcode = head->opcode;
    d->in_message = !head->final;
    buf_add(&d->message, payload, head->len);
    if (head->masked)
        apply_mask(d->message.data + before, head->len, head->mask);
    if (!head->final)
        return 0;
    if (d->message_opcode == WS_TEXT && !d->any_text &&
        !utf8_valid(d->message.data, d->message.len))
        return violation(d, WS_CLOSE_INVALID_TEXT, err, "a text is not UTF-8");
    d->message_given = true;
    *ret = (struct ws_message){.opcode = d->message_opcode,
                               .data = d->message.data,
                               .len = d->message.len};
    return 1;
}

/* Takes one frame: 1 with a message, 0 for a fragment, 2 when more bytes are needed, -1. */
static int take_frame(struct ws_decoder *d, struct ws_message *ret, struct err *err)
{
    const uint8_t *bytes = (const uint8_t *)d->in.data + d->at;
    const size_t len = d->in.len - d->at;
    struct frame_head head;
    const char *payload;

    if (len < 2)
        return 2;
    if (check_start(d, bytes, err) < 0)
        return -1;
    if (!parse_head(bytes, len, &head))
        return 2;
    if (check_length(d, bytes, &head, err) < 0)
        return -1;
    if (len - head.size < head.len)
        return 2;
    payload = (const char *)bytes + head.size;
    d->at += head.size + (size_t)head.len;
    return is_control(head.opcode) ? control_message(d, &head, payload, ret, err)
                                   : data_message(d, &head, payload, ret, err);
}

int ws_decoder_next(struct ws_decoder *d, struct ws_message *ret, struct err *err)
{
    int taken = 0;

    if (d->message_given) {
        buf_reset(&d->message);
        d->message_given = false;
    }
    while (!d->closed && taken == 0)
        taken = take_frame(d, ret, err);
    return taken == 2 ? 0 : taken;
}

/* --- writing --- */

void ws_frame_add(struct buf *out, bool final, enum ws_opcode opcode,
                  const uint8_t mask[WS_MASK_SIZE], const void *data, size_t len)
{
    uint8_t head[HEAD_MAX];
    size_t length_size = len > UINT16_MAX ? 8 : len >= LENGTH_16 ? 2 : 0;
    size_t size = 2 + length_size;

    head[0] = (uint8_t)((final ? BIT_FINAL : 0) | (int)opcode);
    head[1] = (uint8_t)(length_size == 8 ? LENGTH_64 : length_size == 2 ? LENGTH_16 : len);
    for (size_t i = 0; i < length_size; i++)
        head[2 + i] = (uint8_t)((uint64_t)len >> (8 * (length_size - 1 - i)));
    if (mask) {
        head[1] |= BIT_MASKED;
        memcpy(head + size, mask, WS_MASK_SIZE);
        size += WS_MASK_SIZE;
    }
    buf_add(out, head, size);
    buf_add(out, data, len);
    if (mask)
        apply_mask(out->data + out->len - len, len, mask);
}

static const uint8_t *new_mask(enum ws_role role, uint8_t mask[WS_MASK_SIZE])
{
    if (role == WS_SERVER)
        return NULL;
    if (getrandom(mask, WS_MASK_SIZE, 0) != WS_MASK_SIZE)
        abort(); /* the kernel gives so few bytes always */
    return mask;
}

void ws_message_add(struct buf *out, enum ws_role role, enum ws_opcode opcode, const void *data,
                    size_t len, size_t max_frame)
{
    const char *at = data;

    if (!max_frame || is_control(opcode))
        max_frame = SIZE_MAX;
    for (bool first = true; first || len; first = false) {
        uint8_t mask[WS_MASK_SIZE];
        size_t take = len < max_frame ? len : max_frame;

        ws_frame_add(out, take == len, first ? opcode : WS_CONTINUATION, new_mask(role, mask), at,
                     take);
        at = len ? at + take : at;
        len -= take;
    }
}

void ws_close_add(struct buf *out, enum ws_role role, unsigned code, const char *reason)
{
    char payload[WS_CONTROL_MAX];
    size_t len = 0;

    if (code != WS_CLOSE_NO_CODE) {
        payload[0] = (char)(code >> 8);
        payload[1] = (char)code;
        len = strlen(reason);
        if (len > sizeof(payload) - 2)
            len = sizeof(payload) - 2;
        len = utf8_valid_prefix(reason, len);
        memcpy(payload + 2, reason, len);
        len += 2;
    }
    ws_message_add(out, role, WS_CLOSE, payload, len, 0);
}

bool ws_close_code_valid(unsigned code)
{
    return (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) ||
           (code >= 3000 && code <= 4999);
}
