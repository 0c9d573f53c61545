#include "base/parse.h"

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

int parse_int64(const char *text, int64_t *ret, struct err *err)
{
    char *end;
    long long value;

    errno = 0;
    value = strtoll(text, &end, 10);
    if (end == text || *end || isspace((unsigned char)*text))
        return err_set(err, ERR_INVALID, "\"%s\" is not an integer", text);
    if (errno == ERANGE)
        return err_set(err, ERR_INVALID, "%s is out of range", text);
    *ret = value;
    return 0;
}

int parse_portion(const char *text, struct portion *ret, struct err *err)
{
    size_t digits = strspn(text, "0123456789");
    bool is_percent = digits && text[digits] == '%' && !text[digits + 1];
    int64_t value;

    errno = 0;
    value = strtoll(text, NULL, 10);
    if (!digits || (text[digits] && !is_percent))
        return err_set(err, ERR_INVALID, "\"%s\" is neither a number nor a percentage such as 30%%",
                       text);
    if (errno == ERANGE || (is_percent && value > 100))
        return err_set(err, ERR_INVALID, "%s is out of range", text);
    *ret = (struct portion){value, is_percent};
    return 0;
}

struct unit {
    const char *name;
    int64_t factor;
};

static const struct unit duration_units[] = {
    {"ms", 1},           {"s", 1000},          {"sec", 1000},      {"second", 1000},
    {"seconds", 1000},   {"m", 60000},         {"min", 60000},     {"minute", 60000},
    {"minutes", 60000},  {"h", 3600000},       {"hour", 3600000},  {"hours", 3600000},
    {"d", 86400000},     {"day", 86400000},    {"days", 86400000}, {"w", 604800000},
    {"week", 604800000}, {"weeks", 604800000},
};

#define KI (INT64_C(1) << 10)
#define MI (INT64_C(1) << 20)
#define GI (INT64_C(1) << 30)
#define TI (INT64_C(1) << 40)

static const struct unit size_units[] = {
    {"b", 1},    {"k", KI},  {"kb", KI},  {"ki", KI}, {"kib", KI}, {"m", MI},
    {"mb", MI},  {"mi", MI}, {"mib", MI}, {"g", GI},  {"gb", GI},  {"gi", GI},
    {"gib", GI}, {"t", TI},  {"tb", TI},  {"ti", TI}, {"tib", TI},
};

static const struct unit *find_unit(const struct unit *units, size_t count, const char *name,
                                    size_t len)
{
    for (size_t i = 0; i < count; i++) {
        if (strlen(units[i].name) == len && strncasecmp(units[i].name, name, len) == 0)
            return &units[i];
    }
    return NULL;
}

/* Reads "NUMBER[.FRACTION]" at *text, in units of `factor`; false: not a number or out of range. */
static bool read_scaled(const char **text, int64_t factor, int64_t *ret)
{
    const char *s = *text;
    int64_t value = 0;
    int64_t fraction = 0;
    int64_t scale = 1;

    if (!isdigit((unsigned char)*s))
        return false;
    for (; isdigit((unsigned char)*s); s++) {
        if (__builtin_mul_overflow(value, 10, &value) ||
            __builtin_add_overflow(value, *s - '0', &value))
            return false;
    }
    if (*s == '.') {
        for (s++; isdigit((unsigned char)*s); s++) {
            if (scale < 1000000) {
                fraction = fraction * 10 + (*s - '0');
                scale *= 10;
            }
        }
    }
    if (__builtin_mul_overflow(value, factor, &value) ||
        (factor <= INT64_MAX / 1000000 &&
         __builtin_add_overflow(value, fraction * factor / scale, &value)))
        return false;
    *text = s;
    *ret = value;
    return true;
}

/* The end of "NUMBER[.FRACTION]". */
static const char *number_end(const char *s)
{
    while (isdigit((unsigned char)*s))
        s++;
    s += *s == '.';
    while (isdigit((unsigned char)*s))
        s++;
    return s;
}

int parse_duration_ms(const char *text, int64_t *ret, struct err *err)
{
    const char *s = text;
    int64_t total = 0;

    if (!*s)
        goto invalid;
    while (*s) {
        const char *name = number_end(s);
        const struct unit *unit;
        size_t len = 0;
        int64_t part;

        while (*name == ' ')
            name++;
        while (isalpha((unsigned char)name[len]))
            len++;
        unit = len ? find_unit(duration_units, sizeof(duration_units) / sizeof(*duration_units),
                               name, len)
                   : &duration_units[1];
        if (!unit || (!len && s != text) || !read_scaled(&s, unit->factor, &part) ||
            __builtin_add_overflow(total, part, &total))
            goto invalid;
        s = name + len;
        while (*s == ' ')
            s++;
        if (!len && *s)
            goto invalid;
    }
    *ret = total;
    return 0;
invalid:
    return err_set(err, ERR_INVALID,
                   "\"%s\" is not a duration; write seconds, or like 500ms, 90s, 10m, 1h30m, 7d",
                   text);
}

int parse_size_bytes(const char *text, int64_t *ret, struct err *err)
{
    const char *s = text;
    const char *name = number_end(s);
    size_t len;
    const struct unit *unit;

    while (*name == ' ')
        name++;
    len = strlen(name);
    unit = len ? find_unit(size_units, sizeof(size_units) / sizeof(*size_units), name, len)
               : &size_units[0];
    if (!unit || !read_scaled(&s, unit->factor, ret))
        return err_set(err, ERR_INVALID, "\"%s\" is not a size; write bytes, or like 64k, 512m, 2g",
                       text);
    return 0;
}

int parse_milli(const char *text, int64_t *ret, struct err *err)
{
    const char *s = text;
    int64_t value;

    if (!read_scaled(&s, 1000, &value) || *s)
        return err_set(err, ERR_INVALID, "\"%s\" is not a decimal number such as 1.5", text);
    *ret = value;
    return 0;
}
