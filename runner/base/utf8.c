#include "base/utf8.h"

#include <stdint.h>
#include <string.h>

/* Length of the sequence at s, 0 if it is not a valid one. */
static size_t sequence(const unsigned char *s, size_t len)
{
    size_t need;
    unsigned char low = 0x80;
    unsigned char high = 0xbf;

    if (s[0] < 0x80)
        return 1;
    if (s[0] < 0xc2 || s[0] > 0xf4)
        return 0;
    need = s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : 4;
    if (len < need)
        return 0;
    if (s[0] == 0xe0)
        low = 0xa0;
    else if (s[0] == 0xed)
        high = 0x9f;
    else if (s[0] == 0xf0)
        low = 0x90;
    else if (s[0] == 0xf4)
        high = 0x8f;
    if (s[1] < low || s[1] > high)
        return 0;
    for (size_t i = 2; i < need; i++) {
        if ((s[i] & 0xc0) != 0x80)
            return 0;
    }
    return need;
}

size_t utf8_valid_prefix(const void *data, size_t len)
{
    const unsigned char *s = data;
    size_t pos = 0;

    while (pos < len) {
        size_t step = sequence(s + pos, len - pos);

        if (!step)
            break;
        pos += step;
    }
    return pos;
}

bool utf8_valid(const void *data, size_t len)
{
    return utf8_valid_prefix(data, len) == len;
}

/* C0, DEL, and C1, which are two bytes long. */
static bool is_control(const unsigned char *s, size_t len)
{
    return (len == 1 && (s[0] < 0x20 || s[0] == 0x7f)) || (len == 2 && s[0] == 0xc2 && s[1] < 0xa0);
}

void utf8_add_visible(struct buf *out, const char *text)
{
    const unsigned char *s = (const unsigned char *)text;
    size_t len = strlen(text);

    while (len > 0) {
        size_t step = sequence(s, len);

        if (*s == '\n') {
            buf_addstr(out, "\\n");
        } else if (!step || is_control(s, step)) {
            for (size_t i = 0; i < (step ? step : 1); i++)
                buf_addf(out, "\\x%02x", s[i]);
        } else {
            buf_add(out, s, step);
        }
        s += step ? step : 1;
        len -= step ? step : 1;
    }
}

void utf8_add_valid(struct buf *out, const char *text, size_t len)
{
    while (len > 0) {
        size_t valid = utf8_valid_prefix(text, len);

        buf_add(out, text, valid);
        text += valid;
        len -= valid;
        if (len > 0) {
            buf_addstr(out, "\xef\xbf\xbd");
            text++;
            len--;
        }
    }
}
