#include "base/utf8.h"

#include <stdint.h>

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
