#include "engine/engine.h"

#include <string.h>

static bool names(const char *name, const char *url)
{
    size_t len = strlen(name);

    return strncmp(name, url, len) == 0 && (url[len] == '\0' || strncmp(url + len, "://", 3) == 0);
}

const struct engine *engine_find(const struct engine *const *engines, const char *url)
{
    for (; *engines; engines++) {
        const char *const *alias = (*engines)->aliases;

        if (names((*engines)->name, url))
            return *engines;
        for (; alias && *alias; alias++) {
            if (names(*alias, url))
                return *engines;
        }
    }
    return NULL;
}
