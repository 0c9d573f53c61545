#include "objstore/open.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/fs.h"
#include "objstore/s3.h"

int object_store_check(const char *url, struct err *err)
{
    if (strncmp(url, OBJECT_STORE_S3_SCHEME, strlen(OBJECT_STORE_S3_SCHEME)) == 0)
        return object_store_s3_check(url, err);
    return strcmp(url, OBJECT_STORE_LOCAL) == 0
               ? 0
               : err_set(err, ERR_INVALID,
                         "the store \"%s\" is not known; use local or s3://BUCKET/PREFIX", url);
}

int object_store_open(const char *url, const struct object_store_local_options *local,
                      struct object_store **ret, struct err *err)
{
    if (object_store_check(url, err) < 0)
        return -1;
    if (strcmp(url, OBJECT_STORE_LOCAL) != 0)
        return object_store_s3_open(url, (const char *const *)environ, ret, err);
    object_store_local_open(local, ret);
    return 0;
}

/* As the XDG Base Directory Specification has it: a relative path counts as none. */
static char *default_dir(struct err *err)
{
    const char *cache = getenv("XDG_CACHE_HOME");
    const char *home = getenv("HOME");
    char *dir = NULL;

    if (cache && *cache == '/')
        dir = fs_join(cache, "runner");
    else if (home && *home == '/')
        dir = fs_join(home, ".cache/runner");
    else
        err_set(err, ERR_NOT_FOUND,
                "there is no place for caches: neither XDG_CACHE_HOME nor HOME "
                "is set; use --cache-dir");
    return dir;
}

char *object_store_local_dir(const struct object_store_places *places, struct err *err)
{
    return places->dir && *places->dir ? xstrdup(places->dir) : default_dir(err);
}

int object_store_open_at(void *arg, const char *url, struct object_store **ret, struct err *err)
{
    const struct object_store_places *places = arg;
    struct object_store_local_options local = {.max_bytes = places->max_bytes};
    CLEANUP_FREE char *dir = NULL;

    if (strcmp(url, OBJECT_STORE_LOCAL) == 0) {
        local.root = dir = object_store_local_dir(places, err);
        if (!dir)
            return -1;
    }
    return object_store_open(url, &local, ret, err);
}
