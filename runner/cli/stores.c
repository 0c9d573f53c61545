#include "cli/stores.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/fs.h"
#include "base/parse.h"
#include "objstore/open.h"

int cli_store_options(const char *dir, const char *size, struct cli_store_options *ret,
                      struct err *err)
{
    int64_t max_bytes;

    if (parse_size_bytes(size ? size : CLI_STORE_SIZE_DEFAULT, &max_bytes, err) < 0)
        return err_wrap(err, "--cache-size");
    *ret = (struct cli_store_options){.dir = dir, .max_bytes = max_bytes};
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

char *cli_store_dir(const struct cli_store_options *options, struct err *err)
{
    return options->dir && *options->dir ? xstrdup(options->dir) : default_dir(err);
}

int cli_store_open(void *arg, const char *url, struct object_store **ret, struct err *err)
{
    const struct cli_store_options *options = arg;
    struct object_store_local_options local = {.max_bytes = options->max_bytes};
    CLEANUP_FREE char *dir = NULL;

    if (strcmp(url, OBJECT_STORE_LOCAL) == 0) {
        local.root = dir = cli_store_dir(options, err);
        if (!dir)
            return -1;
    }
    return object_store_open(url, &local, ret, err);
}
