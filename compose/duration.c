/* Durations and sizes of memory in the spelling of Compose files. */
#include <string.h>

#include "base/parse.h"
#include "compose/reader.h"

#define NS_PER_US 1000ll
#define NS_PER_MS (1000 * NS_PER_US)
#define NS_PER_S  (1000 * NS_PER_MS)
#define NS_PER_M  (60 * NS_PER_S)
#define NS_PER_H  (60 * NS_PER_M)

/* Longer names first. */
static const struct unit {
    const char *name;
    int64_t ns;
} units[] = {
    {"ns", 1},
    {"us", NS_PER_US},
    {"\xc2\xb5s", NS_PER_US},
    {"\xce\xbcs", NS_PER_US},
    {"ms", NS_PER_MS},
    {"s", NS_PER_S},
    {"m", NS_PER_M},
    {"h", NS_PER_H},
    {"d", 24 * NS_PER_H},
    {"w", 7 * 24 * NS_PER_H},
};

static const struct unit *find_unit(const char *text)
{
    for (size_t i = 0; i < sizeof(units) / sizeof(*units); i++) {
        size_t len = strlen(units[i].name);

        if (strncmp(text, units[i].name, len) == 0 &&
            (!text[len] || strchr(".0123456789", text[len])))
            return &units[i];
    }
    return NULL;
}

/* NUMBER[.FRACTION]UNIT at *text. */
static bool read_part(const char **text, int64_t *total)
{
    const char *s = *text;
    const char *fraction;
    const struct unit *unit;
    int64_t value = 0;
    double part = 0;
    double scale = 1;

    for (; *s >= '0' && *s <= '9'; s++) {
        if (__builtin_mul_overflow(value, 10, &value) ||
            __builtin_add_overflow(value, *s - '0', &value))
            return false;
    }
    fraction = s;
    if (*s == '.') {
        for (s++; *s >= '0' && *s <= '9'; s++)
            part += (*s - '0') / (scale *= 10);
        if (s == *text + 1)
            return false;
    } else if (fraction == *text) {
        return false;
    }
    unit = find_unit(s);
    if (!unit || __builtin_mul_overflow(value, unit->ns, &value) ||
        __builtin_add_overflow(value, (int64_t)(part * (double)unit->ns + 0.5), &value) ||
        __builtin_add_overflow(*total, value, total))
        return false;
    *text = s + strlen(unit->name);
    return true;
}

int compose_parse_duration(const char *text, int64_t *ret, struct err *err)
{
    bool negative = *text == '-';
    const char *s = text + (negative || *text == '+');
    int64_t total = 0;

    if (strcmp(s, "0") != 0) {
        if (!*s)
            goto invalid;
        while (*s) {
            if (!read_part(&s, &total))
                goto invalid;
        }
    }
    *ret = negative ? -total : total;
    return 0;
invalid:
    return err_set(err, ERR_INVALID,
                   "\"%s\" is not a duration; write it like 500ms, 10s, 1m30s, 2h", text);
}

/* VALUE / SCALE without trailing zeros. */
static void add_decimal(struct buf *out, uint64_t value, uint64_t scale, const char *unit)
{
    buf_addf(out, "%llu", (unsigned long long)(value / scale));
    value %= scale;
    if (value)
        buf_addch(out, '.');
    while (value) {
        scale /= 10;
        buf_addch(out, (char)('0' + value / scale));
        value %= scale;
    }
    buf_addstr(out, unit);
}

bool compose_refresh_interval(const char *policy, int64_t *ret_ns, struct err *err)
{
    if (!policy)
        return false;
    if (strcmp(policy, "daily") == 0)
        *ret_ns = 24 * NS_PER_H;
    else if (strcmp(policy, "weekly") == 0)
        *ret_ns = 7 * 24 * NS_PER_H;
    else
        return strncmp(policy, "every_", 6) == 0 &&
               compose_parse_duration(policy + 6, ret_ns, err) == 0;
    return true;
}

void compose_add_duration(struct buf *out, int64_t ns)
{
    uint64_t rest = ns < 0 ? -(uint64_t)ns : (uint64_t)ns;

    if (ns < 0)
        buf_addch(out, '-');
    if (!rest) {
        buf_addstr(out, "0s");
    } else if (rest < NS_PER_US) {
        add_decimal(out, rest, 1, "ns");
    } else if (rest < NS_PER_MS) {
        add_decimal(out, rest, NS_PER_US, "\xc2\xb5s");
    } else if (rest < NS_PER_S) {
        add_decimal(out, rest, NS_PER_MS, "ms");
    } else {
        if (rest >= NS_PER_H)
            buf_addf(out, "%lluh", (unsigned long long)(rest / NS_PER_H));
        if (rest >= NS_PER_M)
            buf_addf(out, "%llum", (unsigned long long)(rest % NS_PER_H / NS_PER_M));
        add_decimal(out, rest % NS_PER_M, NS_PER_S, "s");
    }
}

int compose_parse_bytes(const char *text, int64_t *ret, struct err *err)
{
    if (*text == '-')
        return parse_int64(text, ret, err);
    return parse_size_bytes(text, ret, err);
}
