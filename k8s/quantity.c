/* A quantity is exact however long it is written: the whole part is multiplied with a check, the
 * fraction by Horner's scheme from its last digit on, where rounding down at each step gives the
 * same as rounding down once. */
#include "k8s/quantity.h"

#include <stdbool.h>
#include <string.h>

#define NANO 1000000000LL
/* Larger powers of ten make no difference to a number of fewer digits. */
#define POWER_MAX 100000

__extension__ typedef unsigned __int128 wide;

static const struct suffix {
    const char *name;
    int decimal; /* power of ten */
    int binary;  /* power of two */
} suffixes[] = {
    {"", 0, 0},    {"n", -9, 0},  {"u", -6, 0},  {"m", -3, 0},  {"k", 3, 0},   {"M", 6, 0},
    {"G", 9, 0},   {"T", 12, 0},  {"P", 15, 0},  {"E", 18, 0},  {"Ki", 0, 10}, {"Mi", 0, 20},
    {"Gi", 0, 30}, {"Ti", 0, 40}, {"Pi", 0, 50}, {"Ei", 0, 60},
};

/* The digits of a number, wherever its point is: digits before `text` and behind `len` are 0. */
struct digits {
    const char *text; /* with the point in it */
    long len;
    long written; /* digits before the point as it is written */
    long point;   /* digits before the point, powers of ten counted in; may be outside */
};

static int digit_at(const struct digits *d, long i)
{
    if (i < 0 || i >= d->len)
        return 0;
    return d->text[i < d->written ? i : i + 1] - '0';
}

static int invalid(const char *text, struct err *err)
{
    return err_set(err, ERR_INVALID,
                   "\"%s\" is not a quantity; write a number with an optional unit, such as "
                   "\"500m\", \"1.5\", \"64Mi\" or \"1G\"",
                   text);
}

/* Reads "e3", "E-2" and the like. */
static bool read_exponent(const char *text, int *ret)
{
    const char *digits = text + 1 + (text[0] && (text[1] == '+' || text[1] == '-'));
    int power = 0;

    if ((text[0] != 'e' && text[0] != 'E') || !*digits ||
        digits[strspn(digits, "0123456789")] != '\0')
        return false;
    for (const char *p = digits; *p && power < POWER_MAX; p++)
        power = power * 10 + (*p - '0');
    *ret = text[1] == '-' ? -power : power;
    return true;
}

/* -1: it is no suffix. */
static int read_suffix(const char *text, struct suffix *ret)
{
    int power = 0;

    if (read_exponent(text, &power)) {
        *ret = (struct suffix){.decimal = power};
        return 0;
    }
    for (size_t i = 0; i < sizeof(suffixes) / sizeof(suffixes[0]); i++) {
        if (strcmp(text, suffixes[i].name) == 0) {
            *ret = suffixes[i];
            return 0;
        }
    }
    return -1;
}

/* Returns what follows the digits, NULL when there are none. */
static const char *read_digits(const char *text, struct digits *ret)
{
    size_t before = strspn(text, "0123456789");
    bool point = text[before] == '.';
    size_t behind = point ? strspn(text + before + 1, "0123456789") : 0;

    if (before + behind == 0)
        return NULL;
    *ret = (struct digits){.text = text,
                           .len = (long)(before + behind),
                           .written = (long)before,
                           .point = (long)before};
    return text + before + point + behind;
}

/* The part before the point, times 2^binary; -1 when it is too large. */
static int whole_part(const struct digits *d, int binary, int64_t *ret)
{
    uint64_t value = 0;

    for (long i = 0; i < d->point; i++) {
        if (i >= d->len && value == 0)
            break;
        if (__builtin_mul_overflow(value, 10, &value) ||
            __builtin_add_overflow(value, (uint64_t)digit_at(d, i), &value))
            return -1;
    }
    if (value > (uint64_t)INT64_MAX >> binary)
        return -1;
    *ret = (int64_t)(value << binary);
    return 0;
}

/* The part behind the point, times 2^binary, in billionths and rounded up. */
static wide fraction_part(const struct digits *d, int binary)
{
    const wide unit = (wide)NANO << binary;
    wide value = 0;
    bool more = false;
    /* Behind 60 zeros a digit is no more than a rest. */
    long first = d->point < -60 ? -60 : d->point;

    for (long i = d->len - 1; i >= first; i--) {
        value += (wide)digit_at(d, i) * unit;
        more = more || value % 10;
        value /= 10;
    }
    return value + more;
}

int quantity_parse(const char *text, struct quantity *ret, struct err *err)
{
    bool negative = text[0] == '-';
    struct digits digits;
    const char *rest = read_digits(text + (text[0] == '-' || text[0] == '+'), &digits);
    struct suffix suffix;
    struct quantity value = {0};
    wide fraction;

    if (!rest || read_suffix(rest, &suffix) < 0)
        return invalid(text, err);
    digits.point += suffix.decimal;
    fraction = fraction_part(&digits, suffix.binary);
    if (whole_part(&digits, suffix.binary, &value.whole) < 0 ||
        __builtin_add_overflow(value.whole, (int64_t)(fraction / NANO), &value.whole))
        value.whole = INT64_MAX;
    else
        value.nano = (int32_t)(fraction % NANO);
    if (value.whole == INT64_MAX)
        value.nano = 0;
    if (negative)
        value = (struct quantity){-value.whole, -value.nano};
    *ret = value;
    return 0;
}

int quantity_compare(const struct quantity *a, const struct quantity *b)
{
    if (a->whole != b->whole)
        return a->whole < b->whole ? -1 : 1;
    return (a->nano > b->nano) - (a->nano < b->nano);
}
