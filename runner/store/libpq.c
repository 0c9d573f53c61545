#include "store/libpq.h"

#include <dlfcn.h>
#include <pthread.h>

static struct libpq table;
static struct err load_error = ERR_INIT;
static pthread_once_t load_once = PTHREAD_ONCE_INIT;

static int resolve(struct err *err)
{
    void *library = dlopen("libpq.so.5", RTLD_LAZY | RTLD_LOCAL);

    if (!library)
        return err_set(err, ERR_UNSUPPORTED,
                       "libpq.so.5 cannot be loaded (%s); install the package libpq5", dlerror());
#define RESOLVE(name)                                                                              \
    *(void **)&table.name = dlsym(library, "PQ" #name);                                            \
    if (!table.name)                                                                               \
        return err_set(err, ERR_UNSUPPORTED,                                                       \
                       "libpq.so.5 has no PQ" #name "; libpq 9.0 or newer is needed");
    LIBPQ_FUNCTIONS(RESOLVE)
#undef RESOLVE
    return 0;
}

static void load(void)
{
    if (resolve(&load_error) == 0)
        err_clear(&load_error);
}

const struct libpq *libpq_load(struct err *err)
{
    pthread_once(&load_once, load);
    if (load_error.code != ERR_NONE) {
        if (err)
            *err = load_error;
        return NULL;
    }
    return &table;
}
