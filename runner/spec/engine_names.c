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

const struct spec_engine_name *spec_engine_name_find(const char *url)
{
    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
        size_t len = strlen(names[i].name);

        if (strncmp(names[i].name, url, len) == 0 &&
            (url[len] == '\0' || strncmp(url + len, "://", 3) == 0))
            return &names[i];
    }
    return NULL;
}

bool spec_engine_is(const char *url, const char *engine)
{
    const struct spec_engine_name *row = spec_engine_name_find(url);

    return row && strcmp(row->engine, engine) == 0;
}
