#include "apis/docker/endpoint.h"

#include <dirent.h>
#include <jansson.h>
#include <sys/stat.h>

#include "apis/docker/config_file.h"
#include "base/alloc.h"
#include "base/buf.h"
#include "base/fs.h"
#include "base/json_at.h"

void docker_endpoint_release(struct docker_endpoint *e)
{
    free(e->url);
    free(e->source);
    free(e->base_url);
    free(e->unix_socket);
    free(e->ca_file);
    free(e->cert_file);
    free(e->key_file);
    *e = (struct docker_endpoint){0};
}

char *docker_endpoint_host(const struct docker_endpoint *endpoint)
{
    const char *host = strstr(endpoint->url, "://");
    const char *user;

    if (endpoint->unix_socket || !host)
        return xstrdup("127.0.0.1");
    host += 3;
    user = memchr(host, '@', strcspn(host, "/"));
    host = user ? user + 1 : host;
    if (*host == '[')
        return xstrndup(host + 1, strcspn(host + 1, "]"));
    return xstrndup(host, strcspn(host, ":/"));
}

void docker_endpoint_copy(struct docker_endpoint *to, const struct docker_endpoint *from)
{
    *to = (struct docker_endpoint){
        .url = xstrdup_null(from->url),
        .source = xstrdup_null(from->source),
        .base_url = xstrdup_null(from->base_url),
        .unix_socket = xstrdup_null(from->unix_socket),
        .ca_file = xstrdup_null(from->ca_file),
        .cert_file = xstrdup_null(from->cert_file),
        .key_file = xstrdup_null(from->key_file),
        .insecure = from->insecure,
    };
}

const char *docker_env(const char *const *envp, const char *key)
{
    size_t len = strlen(key);

    for (; envp && *envp; envp++) {
        if (strncmp(*envp, key, len) == 0 && (*envp)[len] == '=')
            return (*envp)[len + 1] ? *envp + len + 1 : NULL;
    }
    return NULL;
}

char *docker_config_dir(const char *const *envp)
{
    const char *dir = docker_env(envp, "DOCKER_CONFIG");
    const char *home = docker_env(envp, "HOME");

    if (dir)
        return xstrdup(dir);
    return home ? xasprintf("%s/.docker", home) : NULL;
}

/* A certificate file if it exists, as Docker's contexts may have only some of the three. */
static char *pem_file(const char *dir, const char *name)
{
    CLEANUP_FREE char *path = fs_join(dir, name);

    return fs_exists(path) ? steal_ptr(&path) : NULL;
}

static int parse_tcp(const char *url, const char *address, bool tls, const char *cert_dir,
                     bool verify, struct docker_endpoint *e, struct err *err)
{
    size_t host_len = strcspn(address, "/");
    CLEANUP_FREE char *host = xstrndup(address, host_len);
    const char *bracket = strrchr(host, ']');
    bool has_port = strchr(bracket ? bracket : host, ':') != NULL;

    if (!*host || *host == ':')
        return err_set(err, ERR_INVALID, "Docker host \"%s\": the host name is missing", url);
    e->base_url = xasprintf("%s://%s%s%s", tls ? "https" : "http", host,
                            has_port ? "" : (tls ? ":2376" : ":2375"),
                            strcmp(address + host_len, "/") == 0 ? "" : address + host_len);
    if (tls && cert_dir) {
        e->ca_file = pem_file(cert_dir, "ca.pem");
        e->cert_file = pem_file(cert_dir, "cert.pem");
        e->key_file = pem_file(cert_dir, "key.pem");
        if ((e->cert_file == NULL) != (e->key_file == NULL))
            return err_set(err, ERR_INVALID,
                           "Docker host \"%s\": %s has only one of cert.pem and key.pem", url,
                           cert_dir);
    }
    e->insecure = tls && !verify;
    return 0;
}

int docker_endpoint_parse(const char *url, const char *cert_dir, bool verify,
                          struct docker_endpoint *ret, struct err *err)
{
    CLEANUP_DOCKER_ENDPOINT struct docker_endpoint e = {.url = xstrdup(url)};
    const char *address = strstr(url, "://");
    int result;

    if (!address)
        return err_set(err, ERR_INVALID,
                       "Docker host \"%s\": expected unix://PATH, tcp://HOST:PORT or https://…",
                       url);
    address += 3;
    if (strncmp(url, "unix://", 7) == 0) {
        if (*address != '/')
            return err_set(err, ERR_INVALID,
                           "Docker host \"%s\": the socket's path must begin with a slash", url);
        e.unix_socket = xstrdup(address);
        e.base_url = xstrdup("http://docker");
        result = 0;
    } else if (strncmp(url, "tcp://", 6) == 0) {
        result = parse_tcp(url, address, cert_dir != NULL, cert_dir, verify, &e, err);
    } else if (strncmp(url, "http://", 7) == 0) {
        result = parse_tcp(url, address, false, NULL, verify, &e, err);
    } else if (strncmp(url, "https://", 8) == 0) {
        result = parse_tcp(url, address, true, cert_dir, verify, &e, err);
    } else if (strncmp(url, "ssh://", 6) == 0 || strncmp(url, "npipe://", 8) == 0 ||
               strncmp(url, "fd://", 5) == 0) {
        return err_set(
            err, ERR_UNSUPPORTED,
            "Docker host \"%s\": %.*s:// is not supported; forward the socket (ssh -L "
            "/tmp/docker.sock:/var/run/docker.sock HOST) and use unix:///tmp/docker.sock",
            url, (int)(address - 3 - url), url);
    } else {
        return err_set(err, ERR_INVALID,
                       "Docker host \"%s\": expected unix://PATH, tcp://HOST:PORT or https://…",
                       url);
    }
    if (result < 0)
        return -1;
    *ret = e;
    e = (struct docker_endpoint){0};
    return 0;
}

/* Opens contexts/meta/HASH/meta.json whose Name it is. The directory's name is the SHA-256 of the
 * context's, but searching a handful of files is cheaper than loading a hash function. */
static json_t *find_context(const char *config_dir, const char *name, char **ret_hash,
                            struct err *err)
{
    CLEANUP_FREE char *meta = fs_join(config_dir, "contexts/meta");
    DIR *dir = opendir(meta);
    struct dirent *entry;
    json_t *found = NULL;

    while (dir && !found && (entry = readdir(dir))) {
        CLEANUP_FREE char *path = xasprintf("%s/%s/meta.json", meta, entry->d_name);

        if (entry->d_name[0] == '.')
            continue;
        found = docker_config_read(path, NULL);
        if (found && strcmp(json_at_string(found, "Name"), name) == 0) {
            *ret_hash = xstrdup(entry->d_name);
            break;
        }
        json_decref(found);
        found = NULL;
    }
    if (dir)
        closedir(dir);
    if (!found)
        err_set(err, ERR_INVALID, "Docker context \"%s\" does not exist in %s", name, meta);
    return found;
}

static int from_context(const char *config_dir, const char *name, struct docker_endpoint *ret,
                        struct err *err)
{
    CLEANUP_FREE char *hash = NULL;
    CLEANUP_FREE char *tls = NULL;
    json_t *meta = find_context(config_dir, name, &hash, err);
    const char *host;
    bool skip;
    int result;

    if (!meta)
        return -1;
    /* Either of the two makes it TLS, as the docker command has it. */
    tls = xasprintf("%s/contexts/tls/%s/docker", config_dir, hash);
    skip = json_at_bool(meta, "Endpoints.docker.SkipTLSVerify");
    host = json_at_string(meta, "Endpoints.docker.Host");
    if (!*host)
        result = err_set(err, ERR_INVALID, "Docker context \"%s\" has no host", name);
    else
        result =
            docker_endpoint_parse(host, skip || fs_is_directory(tls) ? tls : NULL, !skip, ret, err);
    json_decref(meta);
    if (result == 0)
        ret->source = xasprintf("context \"%s\"", name);
    return result;
}

/* A host given by option or variable, with the TLS variables. */
static int from_host(const char *host, const char *source, const char *const *envp,
                     struct docker_endpoint *ret, struct err *err)
{
    const char *verify = docker_env(envp, "DOCKER_TLS_VERIFY");
    const char *dir = docker_env(envp, "DOCKER_CERT_PATH");
    bool tls = verify || docker_env(envp, "DOCKER_TLS");
    CLEANUP_FREE char *default_dir = dir ? NULL : docker_config_dir(envp);
    CLEANUP_DOCKER_ENDPOINT struct docker_endpoint e = {0};

    if (!dir)
        dir = default_dir;
    if (strncmp(host, "https://", 8) == 0 && !tls) {
        tls = true;
        verify = "1";
        dir = docker_env(envp, "DOCKER_CERT_PATH"); /* else the system's authorities */
    }
    if (docker_endpoint_parse(host, tls ? dir : NULL, verify != NULL, &e, err) < 0)
        return -1;
    if (verify && dir && strncmp(e.base_url, "https://", 8) == 0 && !e.ca_file)
        return err_set(err, ERR_INVALID,
                       "Docker host \"%s\": %s/ca.pem, which the server is verified with, does not "
                       "exist",
                       host, dir);
    *ret = e;
    e = (struct docker_endpoint){0};
    ret->source = xstrdup(source);
    return 0;
}

static bool is_socket(const char *path)
{
    struct stat st;

    return stat(path, &st) == 0 && S_ISSOCK(st.st_mode);
}

static int from_sockets(const char *const *envp, struct docker_endpoint *ret, struct err *err)
{
    const char *runtime = docker_env(envp, "XDG_RUNTIME_DIR");
    CLEANUP_FREE char *rootless = xasprintf("%s/docker.sock", runtime ? runtime : "");
    CLEANUP_FREE char *podman = xasprintf("%s/podman/podman.sock", runtime ? runtime : "");
    const char *const paths[] = {
        "/var/run/docker.sock",
        runtime ? rootless : NULL,
        runtime ? podman : NULL,
        "/run/podman/podman.sock",
    };

    for (size_t i = 0; i < sizeof(paths) / sizeof(*paths); i++) {
        CLEANUP_FREE char *url = NULL;

        if (!paths[i] || !is_socket(paths[i]))
            continue;
        url = xasprintf("unix://%s", paths[i]);
        if (docker_endpoint_parse(url, NULL, true, ret, err) < 0)
            return -1;
        ret->source = xstrdup("default socket");
        return 0;
    }
    return err_set(err, ERR_NOT_FOUND,
                   "no Docker was found: neither DOCKER_HOST nor a context is set, and there is no "
                   "/var/run/docker.sock nor a podman socket; start Docker or set DOCKER_HOST");
}

/* currentContext of config.json into *ret (NULL: none). */
static int current_context(const char *const *envp, char **ret, struct err *err)
{
    const char *name;
    json_t *config;

    *ret = NULL;
    if (docker_config_load(envp, &config, NULL, err) < 0)
        return -1;
    name = json_at_string(config, "currentContext");
    if (*name)
        *ret = xstrdup(name);
    json_decref(config);
    return 0;
}

int docker_endpoint_find(const char *host, const char *const *envp, struct docker_endpoint *ret,
                         struct err *err)
{
    CLEANUP_FREE char *config_dir = docker_config_dir(envp);
    CLEANUP_FREE char *context = NULL;

    if (host && *host)
        return from_host(host, "--docker-host", envp, ret, err);
    if (docker_env(envp, "DOCKER_HOST"))
        return from_host(docker_env(envp, "DOCKER_HOST"), "DOCKER_HOST", envp, ret, err);
    context = xstrdup_null(docker_env(envp, "DOCKER_CONTEXT"));
    if (!context && current_context(envp, &context, err) < 0)
        return -1;
    if (!context || strcmp(context, "default") == 0)
        return from_sockets(envp, ret, err);
    if (!config_dir)
        return err_set(err, ERR_INVALID,
                       "Docker context \"%s\": neither DOCKER_CONFIG nor HOME is set", context);
    return from_context(config_dir, context, ret, err);
}
