#include "engine/engine.h"

#include <string.h>

#include "spec/engine_names.h"

/* Of those that no file names. */
static bool names(const char *name, const char *url)
{
    size_t len = strlen(name);

    return strncmp(name, url, len) == 0 && (url[len] == '\0' || strncmp(url + len, "://", 3) == 0);
}

const struct engine *engine_find(const struct engine *const *engines, const char *url)
{
    const struct spec_engine_name *row = spec_engine_name_find(url);

    for (; *engines; engines++) {
        if (row ? strcmp((*engines)->name, row->engine) == 0 : names((*engines)->name, url))
            return *engines;
    }
    return NULL;
}
