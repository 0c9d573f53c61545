#include "apis/docker/timestamp.h"

#include <stddef.h>
#include <time.h>

#define NS_PER_S INT64_C(1000000000)

static const char *read_fraction(const char *text, int64_t *ret_ns)
{
    int64_t unit = NS_PER_S;

    *ret_ns = 0;
    if (*text != '.')
        return text;
    for (text++; *text >= '0' && *text <= '9'; text++) {
        unit /= 10;
        *ret_ns += (*text - '0') * unit;
    }
    return text;
}

int64_t timestamp_ns(const char *text)
{
    struct tm tm = {0}, offset = {0};
    const char *rest = text ? strptime(text, "%Y-%m-%dT%H:%M:%S", &tm) : NULL;
    int64_t seconds, fraction;

    if (!rest)
        return 0;
    seconds = (int64_t)timegm(&tm);
    rest = read_fraction(rest, &fraction);
    if ((*rest == '+' || *rest == '-') && strptime(rest + 1, "%H:%M", &offset)) {
        int64_t east = offset.tm_hour * INT64_C(3600) + offset.tm_min * INT64_C(60);

        seconds -= *rest == '+' ? east : -east;
    }
    /* "0001-01-01T00:00:00Z" is no time yet, and before what can be counted. */
    if (seconds < 0 || seconds >= INT64_MAX / NS_PER_S)
        return 0;
    return seconds * NS_PER_S + fraction;
}
