#include "apis/docker/distribution.h"

#include "apis/docker/path.h"
#include "base/alloc.h"
#include "base/json_at.h"

void docker_distribution_release(struct docker_distribution *d)
{
    free(d->digest);
    free(d->platforms);
    json_decref(d->body);
    *d = (struct docker_distribution){0};
}

int docker_distribution_begin(const struct ctx *ctx, struct docker_client *docker,
                              const char *image, const char *registry_auth,
                              struct docker_pending **ret, struct err *err)
{
    CLEANUP_BUF struct buf path = BUF_INIT;

    docker_path(&path, "distribution", image, "json");
    return docker_call_begin(ctx, docker, "GET", path.data, NULL, registry_auth, ret, err);
}

static bool is_known(const struct docker_distribution *d, const char *os, const char *architecture)
{
    for (size_t i = 0; i < d->platform_count; i++) {
        if (strcmp(d->platforms[i].os, os) == 0 &&
            strcmp(d->platforms[i].architecture, architecture) == 0)
            return true;
    }
    return false;
}

/* Attestations are called "unknown". A node calls its architecture "armv7l" where an image says
 * "arm", so that this one must not be compared, as the docker command knows (swarmkit 2294). */
static void add_platform(struct docker_distribution *d, const json_t *platform)
{
    const char *os = json_at_string(platform, "os");
    const char *architecture = json_at_string(platform, "architecture");

    if (strcmp(os, "unknown") == 0 || strcmp(architecture, "unknown") == 0)
        return;
    if (strcmp(architecture, "arm") == 0)
        architecture = "";
    if (!is_known(d, os, architecture))
        d->platforms[d->platform_count++] = (struct docker_platform){os, architecture};
}

int docker_distribution_end(const struct ctx *ctx, struct docker_pending *pending,
                            struct docker_distribution *ret, struct err *err)
{
    struct docker_distribution d = {0};
    const json_t *platforms;
    const json_t *platform;
    size_t i;

    if (docker_call_end(ctx, pending, &d.body, err) < 0)
        return -1;
    d.digest = json_at_dup(d.body, "Descriptor.digest");
    platforms = json_at(d.body, "Platforms");
    d.platforms = xcalloc(json_array_size(platforms) + 1, sizeof(*d.platforms));
    json_array_foreach (platforms, i, platform) {
        add_platform(&d, platform);
    }
    *ret = d;
    return 0;
}
