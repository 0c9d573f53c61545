/* Image references: [registry/]repository[:tag][@digest].
 * Source: the distribution reference grammar; docker.io and library/ are implied as the docker
 * command implies them. */
#pragma once

#include "base/cleanup.h"
#include "base/err.h"

struct docker_image_ref {
    char *registry;   /* "docker.io", "localhost:5000": lower case, index.docker.io folded */
    char *repository; /* "library/alpine", "team/app" */
    char *tag;        /* NULL: none given */
    char *digest;     /* "sha256:…"; NULL: none given */
};

#define CLEANUP_DOCKER_IMAGE_REF CLEANUP(docker_image_ref_release)
void docker_image_ref_release(struct docker_image_ref *ref);
/* ERR_INVALID says what is wrong; *ret is complete or untouched. */
int docker_image_ref_parse(const char *text, struct docker_image_ref *ret, struct err *err)
    __attribute__((warn_unused_result));
/* What to pass to the daemon: the name without tag or digest as users write it ("alpine",
 * "localhost:5000/team/app"). Caller frees. */
char *docker_image_ref_name(const struct docker_image_ref *ref);
/* Name with ":tag" and "@digest"; ":latest" when there is neither. Caller frees. */
char *docker_image_ref_full(const struct docker_image_ref *ref);
