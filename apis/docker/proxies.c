#include "apis/docker/proxies.h"

#include <ctype.h>
#include <string.h>

#include "apis/docker/config_file.h"
#include "base/alloc.h"

static const struct proxy_row {
    const char *member;
    const char *variable;
} rows[] = {
    {"httpProxy", "HTTP_PROXY"}, {"httpsProxy", "HTTPS_PROXY"}, {"noProxy", "NO_PROXY"},
    {"ftpProxy", "FTP_PROXY"},   {"allProxy", "ALL_PROXY"},
};

int docker_proxies_find(const char *const *envp, const char *daemon_url, struct strmap *ret,
                        struct err *err)
{
    json_t *config;
    const json_t *proxies;
    const json_t *entry;

    if (docker_config_load(envp, &config, NULL, err) < 0)
        return -1;
    proxies = json_object_get(config, "proxies");
    entry = json_object_get(proxies, daemon_url);
    if (!entry)
        entry = json_object_get(proxies, "default");
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        const char *value = json_string_value(json_object_get(entry, rows[i].member));
        CLEANUP_FREE char *small = xstrdup(rows[i].variable);

        if (!value || !*value)
            continue;
        for (char *c = small; *c; c++)
            *c = (char)tolower((unsigned char)*c);
        strmap_set(ret, rows[i].variable, value);
        strmap_set(ret, small, value);
    }
    json_decref(config);
    return 0;
}

static bool has(const char *const *names, const char *name)
{
    for (; names && *names; names++) {
        if (strcmp(*names, name) == 0)
            return true;
    }
    return false;
}

void docker_proxies_add(const struct strmap *proxies, const char *const *names, struct strmap *env)
{
    strmap_foreach (proxy, proxies) {
        if (!strmap_has(env, proxy->key) && !has(names, proxy->key))
            strmap_set(env, proxy->key, proxy->value);
    }
}
