#include "spec/engine_names.h"

#include <stddef.h>
#include <string.h>

static const char *const podman[] = {"${CONTAINER_HOST}",
                                     "unix://${XDG_RUNTIME_DIR}/podman/podman.sock",
                                     "unix:///run/podman/podman.sock", NULL};

static const struct spec_engine_name names[] = {
    {"host", "host", false, NULL},       {"docker", "docker", false, NULL},
    {"podman", "docker", false, podman}, {"kubernetes", "kubernetes", false, NULL},
    {"k8s", "kubernetes", false, NULL},  {"ssh", "ssh", true, NULL},
    {"idp", "idp", true, NULL},          {"idps", "idp", true, NULL},
};

enum { ADDED_MAX = 64 };

static const struct spec_engine_name *added[ADDED_MAX];
static size_t added_count;

void spec_engine_names_add(const struct spec_engine_name *more)
{
    for (; more && more->name && added_count < ADDED_MAX; more++) {
        if (!spec_engine_name_find(more->name))
            added[added_count++] = more;
    }
}

bool spec_engine_name_is_added(const struct spec_engine_name *row)
{
    return row && (row < names || row >= names + sizeof(names) / sizeof(*names));
}

static bool is_named(const struct spec_engine_name *row, const char *url)
{
    size_t len = strlen(row->name);

    return strncmp(row->name, url, len) == 0 &&
           (url[len] == '\0' || strncmp(url + len, "://", 3) == 0);
}

const struct spec_engine_name *spec_engine_name_find(const char *url)
{
    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
        if (is_named(&names[i], url))
            return &names[i];
    }
    for (size_t i = 0; i < added_count; i++) {
        if (is_named(added[i], url))
            return added[i];
    }
    return NULL;
}

bool spec_engine_is(const char *url, const char *engine)
{
    const struct spec_engine_name *row = spec_engine_name_find(url);

    return row && strcmp(row->engine, engine) == 0;
}
