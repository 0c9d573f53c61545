/* Registry credentials.
 *
 * Looked for in the order: given user and password; credHelpers of the registry; credsStore; auths.
 * A credential helper is a program by its specification (docker-credential-NAME get).
 * Source: Docker CLI configuration file, docker-credential-helpers protocol, X-Registry-Auth. */
#pragma once

#include <stdbool.h>

#include "base/cleanup.h"
#include "base/ctx.h"
#include "base/err.h"
#include "base/vec.h"

struct docker_credentials {
    char *username; /* all NULL: anonymous */
    char *password;
    char *identity_token; /* instead of a password */
    char *server_address;
};

#define CLEANUP_DOCKER_CREDENTIALS CLEANUP(docker_credentials_release)
/* Overwrites the secrets before they are freed. */
void docker_credentials_release(struct docker_credentials *credentials);

/* Whether `name`, as people write it ("host", "https://host/v1/"), is that registry, which is as in
 * struct docker_image_ref. */
bool docker_same_registry(const char *name, const char *registry);
/* registry as in struct docker_image_ref. username and password may be NULL: then the
 * configuration file in docker_config_dir(envp) is asked; no file, or no entry in it, is no error
 * and gives anonymous. ERR_INVALID: the file is broken. A helper that is missing or fails is an
 * error that names it; "credentials not found" is not. */
int docker_credentials_find(const struct ctx *ctx, const char *const *envp, const char *registry,
                            const char *username, const char *password,
                            struct docker_credentials *ret, struct err *err)
    __attribute__((warn_unused_result));
/* The registries that the configuration file names, each as in struct docker_image_ref, for what
 * may need any of them. */
int docker_credentials_registries(const char *const *envp, struct strvec *ret, struct err *err)
    __attribute__((warn_unused_result));
/* The value of X-Registry-Auth; NULL for anonymous. Caller frees. */
char *docker_credentials_header(const struct docker_credentials *credentials);
