/* The proxies that the docker command's configuration file has for containers and builds.
 * Source: Docker CLI configuration file, `proxies`; ParseProxyConfig of the Docker CLI. */
#pragma once

#include "base/err.h"
#include "base/map.h"

/* Sets HTTP_PROXY, http_proxy, HTTPS_PROXY and so on in *ret as the file says for the daemon at
 * that URL, or else by `default`. What the file leaves out or empty is not set. ERR_INVALID: the
 * file is broken. */
int docker_proxies_find(const char *const *envp, const char *daemon_url, struct strmap *ret,
                        struct err *err) __attribute__((warn_unused_result));
/* Sets those that *env and the NULL-terminated names, which may be NULL, do not have. */
void docker_proxies_add(const struct strmap *proxies, const char *const *names, struct strmap *env);
