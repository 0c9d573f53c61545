#include "load/engine_name.h"

#include <stdbool.h>
#include <string.h>

#include "apis/ssh/url.h"
#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/nearest.h"
#include "base/remote_url.h"
#include "spec/engine_names.h"

#define LABEL "abcdefghijklmnopqrstuvwxyz0123456789-"

/* CONTEXT, or CONTEXT/NAMESPACE; contexts may hold slashes, too. */
static int check_context(const char *address, struct err *err)
{
    const char *slash = strrchr(address, '/');
    const char *namespace = slash ? slash + 1 : "default";

    if (!*address || slash == address)
        return err_set(err, ERR_INVALID,
                       "the engine \"k8s\" needs a context: k8s://CONTEXT/NAMESPACE, or "
                       "k8s://CONTEXT for the context's own namespace");
    if (!*namespace || namespace[strspn(namespace, LABEL)] || *namespace == '-')
        return err_set(err, ERR_INVALID,
                       "the engine \"k8s\" needs a namespace behind the last \"/\", of small "
                       "letters, digits and -");
    return 0;
}

/* None, for the usual daemon, or what DOCKER_HOST may hold. */
static int check_daemon(const char *address, struct err *err)
{
    static const char *const schemes[] = {"unix://", "tcp://", "http://", "https://"};

    if (!*address)
        return 0;
    for (size_t i = 0; i < sizeof(schemes) / sizeof(*schemes); i++) {
        size_t len = strlen(schemes[i]);

        if (strncmp(address, schemes[i], len) == 0 && address[len])
            return 0;
    }
    return err_set(err, ERR_INVALID,
                   "the engines \"docker\" and \"podman\" need the URL of a daemon behind \"://\", "
                   "such as docker://tcp://build:2376");
}

static int check_agent(const char *name, const char *address, const char *const *keys,
                       struct err *err)
{
    CLEANUP_REMOTE_URL struct remote_url url = {0};
    bool insecure;

    if (!*address)
        return err_set(err, ERR_INVALID,
                       "the engine \"%s\" needs an agent: %s://CLIENT_ID:CLIENT_SECRET@HOST:PORT",
                       name, name);
    if (remote_url_parse(address, &url, err) < 0 || remote_url_check_keys(&url, keys, err) < 0 ||
        remote_url_flag(&url, "insecure", &insecure, err) < 0)
        return err_wrap(err, "the engine \"%s\"", name);
    return 0;
}

static int check_idp(const char *address, struct err *err)
{
    static const char *const keys[] = {NULL};

    return check_agent("idp", address, keys, err);
}

static int check_idps(const char *address, struct err *err)
{
    static const char *const keys[] = {"ca", "insecure", NULL};

    return check_agent("idps", address, keys, err);
}

/* What is written in the OpenSSH client's configuration is not looked at here. */
static int check_ssh(const char *address, struct err *err)
{
    if (!*address)
        return err_set(err, ERR_INVALID, "the engine \"ssh\" needs a host: ssh://USER@HOST:PORT");
    if (ssh_address_check(address, err) < 0)
        return err_wrap(err, "the engine \"ssh\"");
    return 0;
}

static const struct engine_name {
    const char *name;
    int (*check_address)(const char *address, struct err *err); /* NULL: it takes none */
} engine_names[] = {
    {"host", NULL},     {"docker", check_daemon}, {"podman", check_daemon}, {"ssh", check_ssh},
    {"idp", check_idp}, {"idps", check_idps},     {"kubernetes", NULL},     {"k8s", check_context},
};

int engine_name_check(const char *engine, struct err *err)
{
    const char *scheme_end = strstr(engine, "://");
    CLEANUP_FREE char *name =
        scheme_end ? xstrndup(engine, (size_t)(scheme_end - engine)) : xstrdup(engine);
    struct nearest nearest = {.text = name};

    for (size_t i = 0; i < sizeof(engine_names) / sizeof(*engine_names); i++) {
        const struct engine_name *row = &engine_names[i];

        nearest_offer(&nearest, row->name);
        if (strcmp(row->name, name) != 0)
            continue;
        if (row->check_address)
            return row->check_address(scheme_end ? scheme_end + 3 : "", err);
        if (scheme_end)
            return err_set(err, ERR_INVALID, "the engine \"%s\" takes no address", name);
        return 0;
    }
    /* What its address may be only the engine knows. */
    if (spec_engine_name_is_added(spec_engine_name_find(engine)))
        return 0;
    if (nearest.best)
        return err_set(err, ERR_INVALID, "unknown engine \"%s\"; did you mean \"%s\"?", name,
                       nearest.best);
    return err_set(err, ERR_INVALID, "unknown engine \"%s\"", name);
}
