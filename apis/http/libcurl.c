#include "apis/http/libcurl.h"

#include <dlfcn.h>
#include <pthread.h>

static struct libcurl table;
static struct err load_error = ERR_INIT;
static pthread_once_t load_once = PTHREAD_ONCE_INIT;

static int resolve(struct err *err)
{
    /* Never closed: libcurl and the TLS library below it do not survive being unloaded. Of the ten
     * thousand references within its libraries few are ever followed. */
    void *library = dlopen("libcurl.so.4", RTLD_LAZY | RTLD_LOCAL);

    if (!library)
        return err_set(err, ERR_UNSUPPORTED,
                       "libcurl.so.4 cannot be loaded (%s); install the package libcurl4",
                       dlerror());
#define RESOLVE(name)                                                                              \
    *(void **)&table.name = dlsym(library, "curl_" #name);                                         \
    if (!table.name)                                                                               \
        return err_set(err, ERR_UNSUPPORTED,                                                       \
                       "libcurl.so.4 has no curl_" #name "; libcurl 7.71 or newer is needed");
    LIBCURL_FUNCTIONS(RESOLVE)
#undef RESOLVE
    if (table.global_init(CURL_GLOBAL_ALL) != CURLE_OK)
        return err_set(err, ERR_UNSUPPORTED, "libcurl cannot be initialised");
    return 0;
}

static void load(void)
{
    if (resolve(&load_error) == 0)
        err_clear(&load_error);
}

const struct libcurl *libcurl_load(struct err *err)
{
    pthread_once(&load_once, load);
    if (load_error.code != ERR_NONE) {
        if (err)
            *err = load_error;
        return NULL;
    }
    return &table;
}
