#include "apis/docker/config_file.h"

#include <string.h>

#include "apis/docker/endpoint.h"
#include "base/alloc.h"
#include "base/fs.h"

enum { CONFIG_MAX_BYTES = 4 << 20 };

json_t *docker_config_read(const char *path, struct err *err)
{
    CLEANUP_BUF struct buf text = BUF_INIT;
    json_error_t where;
    json_t *config;

    if (fs_read_file(path, CONFIG_MAX_BYTES, &text, err) < 0)
        return NULL;
    config = json_loadb(text.data, text.len, 0, &where);
    if (!config)
        err_set(err, ERR_INVALID, "%s:%d:%d: %s", path, where.line, where.column, where.text);
    /* There may be passwords in it. */
    if (text.cap)
        explicit_bzero(text.data, text.cap);
    return config;
}

int docker_config_load(const char *const *envp, json_t **ret, char **ret_path, struct err *err)
{
    CLEANUP_FREE char *dir = docker_config_dir(envp);
    CLEANUP_FREE char *path = dir ? fs_join(dir, "config.json") : NULL;
    json_t *config = NULL;

    if (path && fs_exists(path)) {
        config = docker_config_read(path, err);
        if (!config)
            return -1;
    }
    *ret = config;
    if (ret_path)
        *ret_path = config ? steal_ptr(&path) : NULL;
    return 0;
}
