#include "base/fold.h"

#include "base/utf8.h"

/* Ranges of capital letters: the small one is `distance` further, of every letter or, where capital
 * and small ones alternate, of every other. */
static const struct {
    unsigned first;
    unsigned last;
    unsigned distance;
    bool alternate;
} capitals[] = {
    {0xc0, 0xd6, 32, false},   {0xd8, 0xde, 32, false},   {0x100, 0x12e, 1, true},
    {0x132, 0x136, 1, true},   {0x139, 0x147, 1, true},   {0x14a, 0x176, 1, true},
    {0x179, 0x17d, 1, true},   {0x391, 0x3a1, 32, false}, {0x3a3, 0x3ab, 32, false},
    {0x400, 0x40f, 80, false}, {0x410, 0x42f, 32, false},
};

static unsigned fold_letter(unsigned letter)
{
    for (size_t i = 0; i < sizeof(capitals) / sizeof(*capitals); i++) {
        if (letter < capitals[i].first || letter > capitals[i].last)
            continue;
        if (capitals[i].alternate && (letter - capitals[i].first) % 2)
            continue;
        return letter + capitals[i].distance;
    }
    return letter;
}

void fold_add(struct buf *out, const char *text, size_t len)
{
    size_t from = out->len;

    utf8_add_valid(out, text, len);
    /* In place: the letters above have two bytes in either case. */
    for (unsigned char *at = (unsigned char *)out->data + from; *at; at++) {
        if (*at >= 'A' && *at <= 'Z') {
            *at += 'a' - 'A';
        } else if ((*at & 0xe0) == 0xc0) {
            unsigned letter = fold_letter((*at & 0x1fu) << 6 | (at[1] & 0x3fu));

            at[0] = (unsigned char)(0xc0 | letter >> 6);
            at[1] = (unsigned char)(0x80 | (letter & 0x3f));
            at++;
        }
    }
}
