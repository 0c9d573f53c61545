/* Where the Docker Engine (or podman's compatible service) is.
 *
 * docker_endpoint_find() looks, as the docker command does, at an explicit host, DOCKER_HOST,
 * DOCKER_CONTEXT, currentContext of config.json, and then at the sockets that exist:
 * /var/run/docker.sock, $XDG_RUNTIME_DIR/docker.sock, $XDG_RUNTIME_DIR/podman/podman.sock,
 * /run/podman/podman.sock. Nothing is connected to. The environment is passed in.
 * Pure data; every string is owned; docker_endpoint_release() frees them.
 * Source: Docker CLI, "docker context" and DOCKER_HOST, DOCKER_TLS_VERIFY, DOCKER_CERT_PATH. */
#pragma once

#include <stdbool.h>

#include "base/cleanup.h"
#include "base/err.h"

struct docker_endpoint {
    char *url;         /* as given: "unix:///var/run/docker.sock", "tcp://host:2376" */
    char *source;      /* who named it: "DOCKER_HOST", "context \"x\"", … */
    char *base_url;    /* for HTTP: "http://docker", "https://host:2376" */
    char *unix_socket; /* NULL: TCP */
    char *ca_file;     /* NULL, like the next two: none */
    char *cert_file;
    char *key_file;
    bool insecure; /* the server's certificate is not verified */
};

#define CLEANUP_DOCKER_ENDPOINT CLEANUP(docker_endpoint_release)
void docker_endpoint_release(struct docker_endpoint *endpoint);
/* The daemon's host as this process reaches it, without a port or brackets: "127.0.0.1" for a
 * socket. The caller frees. */
char *docker_endpoint_host(const struct docker_endpoint *endpoint);
void docker_endpoint_copy(struct docker_endpoint *to, const struct docker_endpoint *from);

/* Parses unix://PATH, tcp://HOST[:PORT], http://…, https://…; ssh:// and npipe:// are refused with
 * ERR_UNSUPPORTED, anything else with ERR_INVALID. tcp:// becomes TLS when `cert_dir` is given;
 * ca.pem, cert.pem and key.pem in it are used if they exist, without ca.pem the system's
 * authorities are trusted; `verify` false: the server is not verified. */
int docker_endpoint_parse(const char *url, const char *cert_dir, bool verify,
                          struct docker_endpoint *ret, struct err *err)
    __attribute__((warn_unused_result));

/* `host` is the --docker-host option or NULL; envp is NULL-terminated "KEY=VALUE". ERR_NOT_FOUND
 * when nothing is configured and no socket exists, ERR_INVALID when the named context does not. */
int docker_endpoint_find(const char *host, const char *const *envp, struct docker_endpoint *ret,
                         struct err *err) __attribute__((warn_unused_result));

/* Value of KEY in envp, or NULL when it is unset or empty. */
const char *docker_env(const char *const *envp, const char *key);
/* The directory of the docker command's configuration, $DOCKER_CONFIG or ~/.docker; NULL when
 * neither is set. Caller frees. */
char *docker_config_dir(const char *const *envp);
