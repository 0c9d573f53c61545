/* LIBWEBSOCKETS_NAME is given by the build. */
#include "server/websockets.h"

#include <dlfcn.h>
#include <pthread.h>

static struct websockets table;
static struct err load_error = ERR_INIT;
static pthread_once_t load_once = PTHREAD_ONCE_INIT;

static int resolve(struct err *err)
{
    void *library = dlopen(LIBWEBSOCKETS_NAME, RTLD_LAZY | RTLD_LOCAL);

    if (!library)
        return err_set(err, ERR_UNSUPPORTED,
                       LIBWEBSOCKETS_NAME " cannot be loaded (%s); install the package of "
                                          "libwebsockets that has it, such as libwebsockets17",
                       dlerror());
#define RESOLVE(name)                                                                              \
    *(void **)&table.name = dlsym(library, "lws_" #name);                                          \
    if (!table.name)                                                                               \
        return err_set(err, ERR_UNSUPPORTED, LIBWEBSOCKETS_NAME " has no lws_" #name);
    WEBSOCKETS_FUNCTIONS(RESOLVE)
#undef RESOLVE
    return 0;
}

static void load(void)
{
    if (resolve(&load_error) == 0)
        err_clear(&load_error);
}

const struct websockets *websockets_load(struct err *err)
{
    pthread_once(&load_once, load);
    if (load_error.code != ERR_NONE) {
        if (err)
            *err = load_error;
        return NULL;
    }
    return &table;
}
