/* Images. See client.h for lifecycle, threads, errors. */
#pragma once

#include "apis/docker/auth.h"
#include "apis/docker/client.h"
#include "apis/docker/container.h"
#include "apis/http/retry.h"
#include "base/vec.h"

struct docker_image {
    char *id;
    char *os;
    char *architecture;
    char *variant;
    int64_t size_bytes;
    int64_t last_tagged_ns; /* since the epoch: pulled, built or tagged here; 0: not known */
    char *user;
    char *workdir;
    struct strvec entrypoint;
    struct strvec cmd;
    struct strvec env;     /* "KEY=VALUE" */
    struct strvec volumes; /* paths */
    struct strvec repo_tags;
    struct strvec repo_digests;
    struct strmap labels;
    bool has_healthcheck;
};

#define CLEANUP_DOCKER_IMAGE CLEANUP(docker_image_release)
/* ERR_NOT_FOUND: not on this daemon. */
int docker_image_inspect(const struct ctx *ctx, struct docker_client *docker, const char *image,
                         struct docker_image *ret, struct err *err)
    __attribute__((warn_unused_result));
void docker_image_release(struct docker_image *image);
/* Whether the image is of the platform, OS/ARCHITECTURE[/VARIANT], as far as it can be told: what
 * the daemon thinks of it is told when the container is created. NULL: of any. */
bool docker_image_is_of(const struct docker_image *image, const char *platform);

/* Sums over all layers seen so far. */
struct docker_pull_progress {
    const char *status; /* the daemon's last line: "Downloading", "Pull complete", … */
    const char *layer;  /* its short id, or "" */
    size_t layer_count;
    size_t layer_done_count;
    int64_t bytes;       /* downloaded */
    int64_t bytes_total; /* of the layers whose size is known; 0: unknown */
};
typedef void docker_pull_fn(void *arg, const struct docker_pull_progress *progress);

struct docker_pull {
    const char *image;                     /* without a tag and digest: latest */
    const char *platform;                  /* NULL: the daemon's */
    const struct docker_credentials *auth; /* NULL: anonymous */
    struct retry_policy retry;             /* {.attempts = 1}: once */
    docker_pull_fn *progress;              /* NULL: none */
    void *progress_arg;
    void (*retrying)(void *arg, int attempt, const struct err *why); /* before the wait; NULL */
};
/* Pulls, and tries again after what may pass by itself (retry.h; also registry answers that the
 * daemon only tells in words: 429, 5xx, resets, time-outs). ERR_IMAGE_PULL when the registry or the
 * daemon refused, errnum being the HTTP status when known: 404, 401, 403, 429, 5xx. */
int docker_image_pull(const struct ctx *ctx, struct docker_client *docker,
                      const struct docker_pull *pull, struct err *err)
    __attribute__((warn_unused_result));

/* Makes an image from the tar of a root file system. changes: Dockerfile lines ("CMD [\"sh\"]"),
 * NULL-terminated, or NULL. *ret_id (may be NULL) is for the caller to free. */
int docker_image_import(const struct ctx *ctx, struct docker_client *docker, const char *repository,
                        const char *tag, const struct docker_tar *tar, const char *const *changes,
                        char **ret_id, struct err *err) __attribute__((warn_unused_result));
/* Loads a tar as `docker save` writes it. */
int docker_image_load(const struct ctx *ctx, struct docker_client *docker,
                      const struct docker_tar *tar, struct err *err)
    __attribute__((warn_unused_result));
int docker_image_tag(const struct ctx *ctx, struct docker_client *docker, const char *image,
                     const char *repository, const char *tag, struct err *err)
    __attribute__((warn_unused_result));
int docker_image_remove(const struct ctx *ctx, struct docker_client *docker, const char *image,
                        bool force, struct err *err) __attribute__((warn_unused_result));
