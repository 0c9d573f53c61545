#include "archive/libarchive.h"

#include <dlfcn.h>
#include <pthread.h>

#include "archive/archive.h"

static struct libarchive table;
static struct err load_error = ERR_INIT;
static pthread_once_t load_once = PTHREAD_ONCE_INIT;

static int resolve(struct err *err)
{
    void *library = dlopen("libarchive.so.13", RTLD_LAZY | RTLD_LOCAL);

    if (!library)
        return err_set(err, ERR_UNSUPPORTED,
                       "libarchive.so.13 cannot be loaded (%s); install the package libarchive13",
                       dlerror());
#define RESOLVE(name)                                                                              \
    *(void **)&table.name = dlsym(library, "archive_" #name);                                      \
    if (!table.name)                                                                               \
        return err_set(err, ERR_UNSUPPORTED,                                                       \
                       "libarchive.so.13 has no archive_" #name                                    \
                       "; libarchive 3.3.3 or newer is needed");
    LIBARCHIVE_FUNCTIONS(RESOLVE)
#undef RESOLVE
    return 0;
}

static void load(void)
{
    if (resolve(&load_error) == 0)
        err_clear(&load_error);
}

const struct libarchive *libarchive_load(struct err *err)
{
    pthread_once(&load_once, load);
    if (load_error.code != ERR_NONE) {
        if (err)
            *err = load_error;
        return NULL;
    }
    return &table;
}

int archive_check(struct err *err)
{
    return libarchive_load(err) ? 0 : -1;
}
