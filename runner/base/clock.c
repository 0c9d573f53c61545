#include "base/clock.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static int64_t now_ms(clockid_t clock)
{
    struct timespec ts;

    clock_gettime(clock, &ts);
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

int64_t clock_monotonic_ms(void)
{
    return now_ms(CLOCK_MONOTONIC);
}

int64_t clock_wall_ms(void)
{
    return now_ms(CLOCK_REALTIME);
}

void clock_rfc3339(int64_t wall_ms, char out[CLOCK_RFC3339_SIZE])
{
    time_t seconds = (time_t)(wall_ms / 1000);
    struct tm tm;
    size_t len;

    gmtime_r(&seconds, &tm);
    len = strftime(out, CLOCK_RFC3339_SIZE, "%Y-%m-%dT%H:%M:%S", &tm);
    snprintf(out + len, CLOCK_RFC3339_SIZE - len, ".%03dZ", (int)(wall_ms % 1000));
}

/* In English, whatever the locale is. */
void clock_http(int64_t wall_ms, char out[CLOCK_HTTP_SIZE])
{
    static const char days[][4] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    static const char months[][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                     "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    time_t seconds = (time_t)(wall_ms / 1000);
    char form[CLOCK_HTTP_SIZE];
    struct tm tm;

    gmtime_r(&seconds, &tm);
    snprintf(form, sizeof(form), "%s, %%d %s %%Y %%H:%%M:%%S GMT", days[tm.tm_wday],
             months[tm.tm_mon]);
    strftime(out, CLOCK_HTTP_SIZE, form, &tm);
}

int clock_parse_rfc3339(const char *text, int64_t *ret_wall_ms)
{
    struct tm when = {0};
    const char *rest = strptime(text, "%Y-%m-%dT%H:%M:%S", &when);
    int64_t ms = 0;
    int hours;
    int minutes;
    int end = 0;

    if (!rest)
        return -1;
    if (*rest == '.') {
        int64_t unit = 100;

        for (rest++; isdigit((unsigned char)*rest); rest++, unit /= 10)
            ms += (*rest - '0') * unit;
    }
    ms += (int64_t)timegm(&when) * 1000;
    if (strcmp(rest, "Z") == 0) {
        *ret_wall_ms = ms;
        return 0;
    }
    if (strlen(rest) != 6 || (*rest != '+' && *rest != '-') ||
        sscanf(rest + 1, "%2d:%2d%n", &hours, &minutes, &end) != 2 || end != 5)
        return -1;
    *ret_wall_ms = ms - (*rest == '-' ? -1 : 1) * (int64_t)(hours * 60 + minutes) * 60000;
    return 0;
}

void clock_format_duration(int64_t duration_ms, char *out, size_t size)
{
    int64_t seconds = duration_ms / 1000;

    if (duration_ms < 60000)
        snprintf(out, size, "%" PRId64 ".%" PRId64 "s", seconds, duration_ms % 1000 / 100);
    else if (seconds < 3600)
        snprintf(out, size, "%" PRId64 "m%02" PRId64 "s", seconds / 60, seconds % 60);
    else
        snprintf(out, size, "%" PRId64 "h%02" PRId64 "m", seconds / 3600, seconds / 60 % 60);
}

void clock_format_limit(int64_t limit_ms, char *out, size_t size)
{
    bool whole = limit_ms % 1000 == 0;
    int64_t amount = whole ? limit_ms / 1000 : limit_ms;

    snprintf(out, size, "%" PRId64 " %s%s", amount, whole ? "second" : "millisecond",
             amount == 1 ? "" : "s");
}
