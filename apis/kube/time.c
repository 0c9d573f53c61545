#include "apis/kube/time.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

int kube_parse_time(const char *text, int64_t *ret_ms)
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
        *ret_ms = ms;
        return 0;
    }
    if (strlen(rest) != 6 || (*rest != '+' && *rest != '-') ||
        sscanf(rest + 1, "%2d:%2d%n", &hours, &minutes, &end) != 2 || end != 5)
        return -1;
    *ret_ms = ms - (*rest == '-' ? -1 : 1) * (int64_t)(hours * 60 + minutes) * 60000;
    return 0;
}
