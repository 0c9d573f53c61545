#include "base/base64.h"

#include <stdint.h>
#include <string.h>

static const char standard[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
static const char url_safe[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

static void encode(struct buf *out, const unsigned char *in, size_t len, const char *alphabet)
{
    char *to;

    buf_reserve(out, (len + 2) / 3 * 4);
    to = out->data + out->len;
    for (; len > 0; len -= len < 3 ? len : 3, in += 3) {
        uint32_t word = (uint32_t)in[0] << 16;

        if (len > 1)
            word |= (uint32_t)in[1] << 8;
        if (len > 2)
            word |= in[2];
        *to++ = alphabet[word >> 18];
        *to++ = alphabet[word >> 12 & 63];
        *to++ = len > 1 ? alphabet[word >> 6 & 63] : '=';
        *to++ = len > 2 ? alphabet[word & 63] : '=';
    }
    *to = '\0';
    out->len = (size_t)(to - out->data);
}

void base64_encode(struct buf *out, const void *data, size_t len)
{
    encode(out, data, len, standard);
}

void base64url_encode(struct buf *out, const void *data, size_t len)
{
    encode(out, data, len, url_safe);
}

int base64_decode(struct buf *out, const char *text, struct err *err)
{
    uint32_t word = 0;
    int bits = 0;
    size_t len = strlen(text);

    while (len > 0 && text[len - 1] == '=')
        len--;
    for (size_t i = 0; i < len; i++) {
        const char *at = text[i] ? strchr(standard, text[i]) : NULL;

        if (!at)
            return err_set(err, ERR_INVALID, "not base64: character %zu is not of the alphabet",
                           i + 1);
        word = word << 6 | (uint32_t)(at - standard);
        bits += 6;
        if (bits >= 8) {
            bits -= 8;
            buf_addch(out, (char)(word >> bits & 0xff));
        }
    }
    if (bits >= 6)
        return err_set(err, ERR_INVALID, "not base64: it ends in the middle of a byte");
    return 0;
}
