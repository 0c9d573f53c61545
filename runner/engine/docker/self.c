#include "engine/docker/self.h"

#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/fs.h"

#define ID_LENGTH           64
#define API_VOLUME_SUBPATH  45
#define PROC_FILE_MAX_BYTES ((size_t)4 << 20)

void self_path_release(struct self_path *path)
{
    free(path->source);
    free(path->subpath);
    *path = (struct self_path){0};
}

void self_release(struct self *self)
{
    docker_container_release(&self->container);
}

/* The id at `text`, if exactly that many hexadecimal digits stand there. */
static bool is_id(const char *text)
{
    return strspn(text, "0123456789abcdef") == ID_LENGTH;
}

static void add_id(struct strvec *ids, const char *text)
{
    CLEANUP_FREE char *id = xstrndup(text, ID_LENGTH);

    for (size_t i = 0; i < ids->len; i++) {
        if (strcmp(ids->items[i], id) == 0)
            return;
    }
    strvec_push(ids, id);
}

/* Every container has these mounted from a directory that is named by its id. On a Docker host
 * itself other lines hold ids too, of containers that are not ours: their mount points differ. */
void self_ids_from_mountinfo(const char *text, struct strvec *ret)
{
    static const char *const points[] = {" /etc/hostname ", " /etc/hosts ", " /etc/resolv.conf "};

    while (*text) {
        CLEANUP_FREE char *line = xstrndup(text, strcspn(text, "\n"));
        const char *point = NULL;

        for (size_t i = 0; i < sizeof(points) / sizeof(*points) && !point; i++)
            point = strstr(line, points[i]);
        for (const char *at = line; point && (at = strchr(at, '/')) && at < point; at++) {
            if (is_id(at + 1))
                add_id(ret, at + 1);
        }
        text += strlen(line);
        text += *text == '\n';
    }
}

/* cgroup v1: "9:memory:/docker/ID", systemd's driver: "…/docker-ID.scope", "libpod-ID.scope". */
void self_ids_from_cgroup(const char *text, struct strvec *ret)
{
    for (const char *at = text; *at; at++) {
        if ((*at == '/' || *at == '-') && is_id(at + 1))
            add_id(ret, at + 1);
    }
}

static void collect_ids(struct strvec *ids)
{
    CLEANUP_BUF struct buf mounts = BUF_INIT;
    CLEANUP_BUF struct buf cgroup = BUF_INIT;
    char name[256] = "";

    if (fs_read_file("/proc/self/mountinfo", PROC_FILE_MAX_BYTES, &mounts, NULL) == 0)
        self_ids_from_mountinfo(mounts.data, ids);
    if (fs_read_file("/proc/self/cgroup", PROC_FILE_MAX_BYTES, &cgroup, NULL) == 0)
        self_ids_from_cgroup(cgroup.data, ids);
    /* With the host's network the name is the host's: only what looks like an id will do. */
    if (gethostname(name, sizeof(name) - 1) == 0 && strspn(name, "0123456789abcdef") == 12 &&
        strlen(name) == 12)
        strvec_push(ids, name);
}

bool self_is_loopback_url(const char *url)
{
    static const char *const hosts[] = {"127.0.0.1", "localhost", "[::1]"};
    const char *host = strstr(url, "://");

    for (size_t i = 0; host && i < sizeof(hosts) / sizeof(*hosts); i++) {
        size_t len = strlen(hosts[i]);

        if (strncmp(host + 3, hosts[i], len) == 0 && strchr(":/", host[3 + len]))
            return true;
    }
    return false;
}

int self_find(const struct ctx *ctx, struct docker_client *client,
              const struct docker_endpoint *endpoint, struct self *ret, struct err *err)
{
    CLEANUP_STRVEC struct strvec ids = {0};
    bool in_container = fs_exists("/.dockerenv") || fs_exists("/run/.containerenv");

    collect_ids(&ids);
    for (size_t i = 0; i < ids.len; i++) {
        struct err missing = ERR_INIT;

        if (docker_container_inspect(ctx, client, ids.items[i], &ret->container, &missing) == 0) {
            ret->place = SELF_IN_CONTAINER;
            return 0;
        }
        if (missing.code != ERR_NOT_FOUND) {
            if (err)
                *err = missing;
            return -1;
        }
    }
    /* In a container that the daemon does not know the socket may be another container's; but
     * machines made from images have /.dockerenv, too. */
    if (!endpoint->unix_socket && !self_is_loopback_url(endpoint->url))
        ret->place = SELF_ELSEWHERE;
    else
        ret->place = in_container || !endpoint->unix_socket ? SELF_UNCERTAIN : SELF_ON_HOST;
    return 0;
}

/* The rest of path below directory; NULL when it is not there. */
static const char *below(const char *path, const char *directory)
{
    size_t len = strlen(directory);

    while (len > 0 && directory[len - 1] == '/')
        len--;
    if (strncmp(path, directory, len) != 0 || (path[len] != '/' && path[len] != '\0'))
        return NULL;
    return path + len;
}

static const struct docker_mount_point *find_mount(const struct docker_container *container,
                                                   const char *path)
{
    const struct docker_mount_point *best = NULL;

    for (size_t i = 0; i < container->mount_count; i++) {
        const struct docker_mount_point *mount = &container->mounts[i];

        if (below(path, mount->destination) &&
            (!best || strlen(mount->destination) > strlen(best->destination)))
            best = mount;
    }
    return best;
}

static bool is_of_host(const struct docker_mount_point *mount)
{
    return mount && (strcmp(mount->type, "bind") == 0 || strcmp(mount->type, "volume") == 0);
}

/* Of a volume too the source is its directory on the host. */
char *self_host_path(const struct self *self, const char *path)
{
    const struct docker_mount_point *mount = find_mount(&self->container, path);

    return is_of_host(mount) ? xasprintf("%s%s", mount->source, below(path, mount->destination))
                             : NULL;
}

int self_translate(const struct self *self, const char *path, int api_minor, struct self_path *ret,
                   struct err *err)
{
    const struct docker_mount_point *mount;
    const char *rest;

    if (self->place != SELF_IN_CONTAINER) {
        *ret = (struct self_path){.type = DOCKER_MOUNT_BIND, .source = xstrdup(path)};
        return 0;
    }
    mount = find_mount(&self->container, path);
    if (!is_of_host(mount))
        return err_set(err, ERR_NOT_FOUND,
                       "%s is a path inside the runner's own container (%s), which the Docker host "
                       "cannot see; mount a host directory or volume there (-v %s:%s)",
                       path, self->container.name, path, path);
    rest = below(path, mount->destination);
    if (strcmp(mount->type, "volume") == 0 && (!*rest || api_minor >= API_VOLUME_SUBPATH))
        *ret = (struct self_path){.type = DOCKER_MOUNT_VOLUME,
                                  .source = xstrdup(mount->name),
                                  .subpath = *rest ? xstrdup(rest + 1) : NULL};
    else
        *ret = (struct self_path){.type = DOCKER_MOUNT_BIND, .source = self_host_path(self, path)};
    return 0;
}
