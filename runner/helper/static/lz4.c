/* A block is a sequence of
 *
 *     token[1] more_literals* literals* distance[2] more_match*
 *
 * The upper half of the token is the number of literals, the lower one that of the bytes which are
 * the same as `distance` bytes before, less four. Where such a half is 15, bytes follow that are to
 * be added to it, up to one that is not 255. The last sequence ends with its literals, of which
 * there are at least five; and no match begins within the last twelve bytes.
 *
 * Matches are looked for where a hash of the next bytes was seen last. The longer none is found,
 * the larger the steps become: what cannot be compressed is over soon. */
#include "lz4.h"

#include <stdbool.h>

enum {
    MATCH_MIN = 4,
    LAST_LITERALS = 5,
    HALF_MAX = 15,
    MORE_MAX = 255,
    WORD =
        16, /* what literals are copied by, beyond their end, too: a match has so many behind it */
    STEP_BITS = 4,
};

#define HASH_PRIME 889523592379ull /* of five bytes */
#define HASH_BITS  12

_Static_assert(WORD >= 12, "no match begins within the last twelve bytes");
_Static_assert(sizeof(((struct lz4_places *)NULL)->at) == sizeof(unsigned short) << HASH_BITS,
               "one place for each hash");

struct writer {
    char *at;
    char *end;
};

static unsigned long load_8(const char *from)
{
    unsigned long value;

    __builtin_memcpy(&value, from, sizeof(value));
    return value;
}

static bool same_4(const char *a, const char *b)
{
    unsigned x, y;

    __builtin_memcpy(&x, a, sizeof(x));
    __builtin_memcpy(&y, b, sizeof(y));
    return x == y;
}

static size_t hash_of(unsigned long bytes)
{
    return (bytes << 24) * HASH_PRIME >> (64 - HASH_BITS);
}

/* How far both are the same, `a` up to `end`. */
static size_t common_length(const char *a, const char *b, const char *end)
{
    const char *from = a;

    for (; end - a >= 8; a += 8, b += 8) {
        unsigned long difference = load_8(a) ^ load_8(b);

        if (difference)
            return (size_t)(a - from) + (size_t)__builtin_ctzl(difference) / 8;
    }
    while (a < end && *a == *b) {
        a++;
        b++;
    }
    return (size_t)(a - from);
}

static char half_of(size_t number)
{
    return (char)(number < HALF_MAX ? number : HALF_MAX);
}

static void put_more(struct writer *writer, size_t number)
{
    if (number < HALF_MAX)
        return;
    for (number -= HALF_MAX; number >= MORE_MAX; number -= MORE_MAX)
        *writer->at++ = (char)MORE_MAX;
    *writer->at++ = (char)number;
}

static bool has_room(const struct writer *writer, size_t literals, size_t match)
{
    const size_t heads = 1 + 2 + 2;

    return heads + literals / MORE_MAX + literals + WORD + match / MORE_MAX <=
           (size_t)(writer->end - writer->at);
}

/* Literals and a match, behind which there is more input. */
static bool put_sequence(struct writer *writer, const char *from, size_t count, size_t distance,
                         size_t match)
{
    char *to;

    if (!has_room(writer, count, match))
        return false;
    *writer->at++ = (char)(half_of(count) << 4 | half_of(match));
    put_more(writer, count);
    to = writer->at;
    writer->at += count;
    do {
        __builtin_memcpy(to, from, WORD);
        to += WORD;
        from += WORD;
    } while (to < writer->at);
    *writer->at++ = (char)distance;
    *writer->at++ = (char)(distance >> 8);
    put_more(writer, match);
    return true;
}

static bool put_last(struct writer *writer, const char *from, size_t count)
{
    if (!has_room(writer, count, 0))
        return false;
    *writer->at++ = (char)(half_of(count) << 4);
    put_more(writer, count);
    while (count--)
        *writer->at++ = *from++;
    return true;
}

size_t lz4_pack(struct lz4_places *places, const char *from, size_t len, char *to, size_t room)
{
    struct writer writer = {to, to + room};
    const char *end = from + len, *literals = from, *at = from;
    size_t step = 1 << STEP_BITS;

    while (end - at > WORD) {
        unsigned long bytes = load_8(at);
        unsigned short *place = &places->at[hash_of(bytes)];
        size_t distance = (unsigned short)((size_t)(at - from) - *place);
        const char *match = at - distance;
        size_t more;

        *place = (unsigned short)(at - from);
        if (distance == 0 || distance > (size_t)(at - from) || !same_4(at, match)) {
            at += step++ >> STEP_BITS;
            continue;
        }
        while (at > literals && match > from && at[-1] == match[-1]) {
            at--;
            match--;
        }
        more = common_length(at + MATCH_MIN, match + MATCH_MIN, end - LAST_LITERALS);
        if (!put_sequence(&writer, literals, (size_t)(at - literals), distance, more))
            return 0;
        literals = at += MATCH_MIN + more;
        step = 1 << STEP_BITS;
        if (end - at > WORD)
            places->at[hash_of(load_8(at - 2))] = (unsigned short)(at - 2 - from);
    }
    return put_last(&writer, literals, (size_t)(end - literals)) ? (size_t)(writer.at - to) : 0;
}
