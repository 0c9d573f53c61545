#include "apis/ssh/libssh2.h"

#include <dlfcn.h>
#include <pthread.h>

static struct libssh2 table;
static struct err load_error = ERR_INIT;
static pthread_once_t load_once = PTHREAD_ONCE_INIT;

static int resolve(struct err *err)
{
    /* Never closed: OpenSSL below it does not survive being unloaded. */
    void *library = dlopen("libssh2.so.1", RTLD_NOW | RTLD_LOCAL);

    if (!library)
        return err_set(err, ERR_UNSUPPORTED,
                       "libssh2.so.1 cannot be loaded (%s); install the package libssh2-1",
                       dlerror());
#define RESOLVE(name)                                                                              \
    *(void **)&table.name = dlsym(library, "libssh2_" #name);                                      \
    if (!table.name)                                                                               \
        return err_set(err, ERR_UNSUPPORTED,                                                       \
                       "libssh2.so.1 has no libssh2_" #name "; libssh2 1.9 or newer is needed");
    LIBSSH2_FUNCTIONS(RESOLVE)
#undef RESOLVE
    if (table.init(0) != 0)
        return err_set(err, ERR_UNSUPPORTED, "libssh2 cannot be initialised");
    return 0;
}

static void load(void)
{
    if (resolve(&load_error) == 0)
        err_clear(&load_error);
}

const struct libssh2 *libssh2_load(struct err *err)
{
    pthread_once(&load_once, load);
    if (load_error.code != ERR_NONE) {
        if (err)
            *err = load_error;
        return NULL;
    }
    return &table;
}
