#include "apis/kube/json.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

const json_t *kube_json_at(const json_t *object, const char *path)
{
    while (object) {
        size_t len = strcspn(path, ".");
        char key[64];

        snprintf(key, sizeof(key), "%.*s", (int)len, path);
        object = json_object_get(object, key);
        if (!path[len])
            return object;
        path += len + 1;
    }
    return NULL;
}

const char *kube_json_str(const json_t *object, const char *path)
{
    const char *value = json_string_value(kube_json_at(object, path));

    return value ? value : "";
}

int64_t kube_json_int(const json_t *object, const char *path)
{
    return json_integer_value(kube_json_at(object, path));
}

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
