#include "engine/kubernetes/shape.h"

#include <string.h>

#include "base/base64.h"

#define DOCKER_HUB "https://index.docker.io/v1/"

static const char *keep(struct arena *arena, const char *text)
{
    return text ? arena_strndup(arena, text, strlen(text)) : NULL;
}

static const char *const *keep_words(struct arena *arena, const char *const *words)
{
    const char **copy;
    size_t count = 0;

    if (!words)
        return NULL;
    while (words[count])
        count++;
    copy = arena_alloc(arena, (count + 1) * sizeof(*copy));
    for (size_t i = 0; i < count; i++)
        copy[i] = keep(arena, words[i]);
    copy[count] = NULL;
    return copy;
}

/* What containers of one pod cannot have. */
static int check(const struct runnable *runnable, struct err *err)
{
    const struct container_shape *shape = runnable->container;
    const struct spec_resources *resources = shape->resources;

    if (shape->network)
        return err_set(err, ERR_UNSUPPORTED,
                       "`network` is not possible in Kubernetes: all containers of a job share the "
                       "network of its pod; take it out");
    if (shape->sandbox)
        return err_set(err, ERR_UNSUPPORTED,
                       "`sandbox` is not possible in Kubernetes, as a container of a pod cannot be "
                       "without network; use `security` and a NetworkPolicy");
    if (shape->mount_count)
        return err_set(err, ERR_UNSUPPORTED,
                       "the volume %s:%s is of the machine of the runner, which pods do not see; "
                       "use `kubernetes.volumes`",
                       shape->mounts[0].source, shape->mounts[0].target);
    if (shape->security.userns)
        return err_set(err, ERR_UNSUPPORTED,
                       "`security.userns` is not possible in Kubernetes; take it out");
    if (shape->security.seccomp && strcmp(shape->security.seccomp, "unconfined") != 0)
        return err_set(err, ERR_UNSUPPORTED,
                       "`security.seccomp` can only be `unconfined` in Kubernetes; name profiles "
                       "of its nodes in `kubernetes.security_context`");
    if (resources && resources->pids > 0)
        return err_set(err, ERR_UNSUPPORTED,
                       "`resources.pids` is not possible in Kubernetes, where the kubelet limits "
                       "the processes of a pod; take it out");
    return 0;
}

static enum pod_pull pull_of(const struct image_source *source)
{
    switch (source->pull_count ? source->pull[0] : SPEC_PULL_IF_NOT_PRESENT) {
    case SPEC_PULL_ALWAYS:
        return POD_PULL_ALWAYS;
    case SPEC_PULL_NEVER:
        return POD_PULL_NEVER;
    default:
        return POD_PULL_IF_NOT_PRESENT;
    }
}

static void add_resources(const struct spec_resources *from, struct pod_resources *to)
{
    if (!from)
        return;
    to->cpus_milli = from->cpus_milli > 0 ? from->cpus_milli : 0;
    to->memory_bytes = from->memory_bytes > 0 ? from->memory_bytes : 0;
    to->disk_bytes = from->disk_bytes > 0 ? from->disk_bytes : 0;
    to->shm_bytes = from->shm_bytes > 0 ? from->shm_bytes : 0;
}

static void add_security(const struct container_shape *shape, struct arena *arena,
                         struct pod_security *to)
{
    *to = (struct pod_security){.privileged = shape->privileged,
                                .read_only = shape->security.read_only,
                                .no_new_privileges = shape->security.no_new_privileges,
                                .seccomp_unconfined = shape->security.seccomp != NULL,
                                .cap_add = keep_words(arena, shape->security.cap_add),
                                .cap_drop = keep_words(arena, shape->security.cap_drop)};
}

static void add_words_to_key(struct buf *key, const char *const *words)
{
    for (; words && *words; words++)
        buf_addf(key, "%s,", *words);
    buf_addch(key, '|');
}

static void make_key(const struct pod_container *c, struct buf *key)
{
    char *kubernetes =
        c->kubernetes ? json_dumps(c->kubernetes, JSON_COMPACT | JSON_SORT_KEYS) : NULL;

    buf_addf(key, "%s|%d|%s|", c->image, (int)c->pull, c->user ? c->user : "");
    buf_addf(key, "%lld %lld %lld %lld|", (long long)c->resources.cpus_milli,
             (long long)c->resources.memory_bytes, (long long)c->resources.disk_bytes,
             (long long)c->resources.shm_bytes);
    buf_addf(key, "%d%d%d%d|", c->security.privileged, c->security.read_only,
             c->security.no_new_privileges, c->security.seccomp_unconfined);
    add_words_to_key(key, c->security.cap_add);
    add_words_to_key(key, c->security.cap_drop);
    buf_addstr(key, kubernetes ? kubernetes : "");
    free(kubernetes);
}

/* The program of its image where it would be without us. */
static void add_service(const struct runnable *runnable, struct arena *arena,
                        struct pod_container *ret)
{
    ret->service = true;
    ret->command = keep_words(arena, runnable->container->entrypoint);
    if (ret->command && !*ret->command)
        ret->command = NULL;
    ret->args = runnable->argv && *runnable->argv ? keep_words(arena, runnable->argv) : NULL;
    ret->workdir = keep(arena, runnable->workdir);
    ret->tty = runnable->tty;
    ret->environment =
        runnable->environment && runnable->environment->len ? runnable->environment : NULL;
}

int shape_container(const struct runnable *runnable, struct arena *arena, struct pod_container *ret,
                    struct buf *key, struct err *err)
{
    const struct container_shape *shape = runnable->container;

    *ret = (struct pod_container){0};
    if (!shape || !shape->source.image)
        return err_set(err, ERR_INVALID, "engine kubernetes needs an `image`");
    if (check(runnable, err) < 0)
        return -1;
    ret->image = keep(arena, shape->source.image);
    ret->pull = pull_of(&shape->source);
    ret->user = keep(arena, runnable->user);
    ret->kubernetes = shape->kubernetes;
    add_resources(shape->resources, &ret->resources);
    add_security(shape, arena, &ret->security);
    if (runnable->service)
        add_service(runnable, arena, ret);
    make_key(ret, key);
    if (runnable->service)
        buf_addf(key, "|service %s", runnable->id);
    return 0;
}

int shape_architecture(const struct runnable *const *expected, size_t count, const char **ret,
                       struct err *err)
{
    *ret = NULL;
    for (size_t i = 0; i < count; i++) {
        const struct container_shape *shape = expected[i]->container;
        const char *platform = shape ? shape->platform : NULL;
        const char *architecture;

        if (!platform)
            continue;
        architecture = strchr(platform, '/');
        architecture = architecture ? architecture + 1 : platform;
        if (strncmp(platform, "linux/", 6) != 0 ||
            (strcmp(architecture, "amd64") != 0 && strcmp(architecture, "arm64") != 0))
            return err_set(err, ERR_UNSUPPORTED,
                           "platform \"%s\" is not possible in Kubernetes: pods of this runner are "
                           "linux/amd64 or linux/arm64",
                           platform);
        if (*ret && strcmp(*ret, architecture) != 0)
            return err_set(err, ERR_UNSUPPORTED,
                           "steps for %s and %s cannot be in one pod; put them into two jobs", *ret,
                           architecture);
        *ret = strcmp(architecture, "arm64") == 0 ? "arm64" : "amd64";
    }
    return 0;
}

/* --- credentials --- */

/* As configuration files of docker name a registry. */
static const char *registry_of(const struct image_source *source, struct buf *text)
{
    const char *image = source->image;
    const char *slash = strchr(image, '/');

    if (source->registry)
        return source->registry;
    if (!slash)
        return DOCKER_HUB;
    buf_add(text, image, (size_t)(slash - image));
    if (strcmp(text->data, "docker.io") == 0 ||
        (!strpbrk(text->data, ".:") && strcmp(text->data, "localhost") != 0))
        return DOCKER_HUB;
    return text->data;
}

void shape_add_credentials(const struct image_source *source, struct pull_credentials *credentials)
{
    CLEANUP_BUF struct buf registry = BUF_INIT;
    CLEANUP_BUF struct buf pair = BUF_INIT;
    CLEANUP_BUF struct buf encoded = BUF_INIT;
    const char *password = source->password ? source->password : "";

    if (!source->username || !*source->username)
        return;
    if (!credentials->auths)
        credentials->auths = json_object();
    buf_addf(&pair, "%s:%s", source->username, password);
    base64_encode(&encoded, pair.data, pair.len);
    json_object_set_new(credentials->auths, registry_of(source, &registry),
                        json_pack("{s:s, s:s, s:s}", "username", source->username, "password",
                                  password, "auth", encoded.data));
}

json_t *shape_pull_secret(const struct pull_credentials *credentials, json_t *metadata)
{
    json_t *config = json_pack("{s:O}", "auths", credentials->auths);
    char *text = json_dumps(config, JSON_COMPACT);
    json_t *secret =
        json_pack("{s:s, s:s, s:o, s:s, s:{s:s}}", "apiVersion", "v1", "kind", "Secret", "metadata",
                  metadata, "type", "kubernetes.io/dockerconfigjson", "stringData",
                  ".dockerconfigjson", text);

    free(text);
    json_decref(config);
    return secret;
}
