/* The holder has the copy mounted, and the helper in it: that packs what is wanted without
 * following links, and its exit code says whether it is all. Only then it is unpacked. The archive
 * API would follow links, and leaves out in silence what its daemon cannot read. */
#include "engine/docker/copy.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "archive/archive.h"
#include "base/alloc.h"
#include "base/fs.h"
#include "base/last_line.h"
#include "base/logger.h"
#include "base/tar.h"
#include "engine/docker/place.h"

#define HOLDER_END_MS 5000

/* What the helper writes. */
struct spool {
    int fd;
    struct last_line said;
};

static int on_output(void *arg, enum docker_output stream, const char *data, size_t len,
                     struct err *err)
{
    struct spool *spool = arg;

    if (stream == DOCKER_OUTPUT_STDOUT)
        return fs_write_all(spool->fd, data, len, err);
    last_line_add(&spool->said, data, len);
    return 0;
}

/* A file without a name. */
static int open_spool(const char *directory, struct err *err)
{
    CLEANUP_FREE char *path = fs_join(directory, ".archive-XXXXXX");
    int fd = mkostemp(path, O_CLOEXEC);

    if (fd < 0)
        return err_errno(err, "cannot make a file in %s", directory);
    unlink(path);
    return fd;
}

static int pack(const struct ctx *ctx, struct docker_place *place, struct docker_client *client,
                const char *path, struct spool *spool, struct err *err)
{
    const char *const cmd[] = {TOOLS_HELPER, "pack", place->workspace, path, NULL};
    const struct docker_exec_create create = {.cmd = cmd};
    CLEANUP_FREE char *holder = place_holder_name(ctx, place);
    int64_t code = -1;

    if (!holder)
        return err_set(err, ERR_UNAVAILABLE, "the container that holds the copy is away");
    if (docker_exec_run(ctx, client, holder, &create, NULL, on_output, spool, &code, err) < 0)
        return -1;
    if (code == 0)
        return 0;
    /* What it fails by itself it says. */
    return err_set(err, *spool->said.text ? ERR_UNAVAILABLE : ERR_LOST,
                   "the helper ends with %lld%s%s", (long long)code, *spool->said.text ? ": " : "",
                   spool->said.text);
}

/* Whether the holder, in which something was ended from outside, ends itself. */
static bool holder_ends(const struct ctx *parent, struct docker_place *place,
                        struct docker_client *client)
{
    CLEANUP_FREE char *holder = place_holder_name(parent, place);
    CLEANUP_DOCKER_WAIT struct docker_wait *wait = NULL;
    CLEANUP_CTX struct ctx ctx;
    struct err err = ERR_INIT;
    int64_t code;

    ctx_init(&ctx, parent);
    ctx_set_timeout(&ctx, HOLDER_END_MS, "holder");
    if (holder && (docker_container_wait_start(&ctx, client, holder, DOCKER_WAIT_NOT_RUNNING, &wait,
                                               &err) < 0 ||
                   docker_wait_result(&ctx, wait, &code, &err) < 0))
        log_debug("docker", "the holder of %s does not end: %s", place->name, err.message);
    return place_holder_is_lost(parent, place);
}

/* The holder, made anew if it is lost, as steps would have it. */
static int ensure_holder(const struct ctx *ctx, struct docker_place *place,
                         struct docker_client *client, struct err *err)
{
    struct arena arena = {0};
    struct place_view view;
    int result;

    (void)place_holder_is_lost(ctx, place);
    result = place_holder_ensure(ctx, place, client, NULL, &arena, &view, err);
    arena_release(&arena);
    return result;
}

static int rewind_spool(struct spool *spool, bool empty, struct err *err)
{
    if (lseek(spool->fd, 0, SEEK_SET) < 0 || (empty && ftruncate(spool->fd, 0) < 0))
        return err_errno(err, "cannot read the archive");
    spool->said = (struct last_line){0};
    return 0;
}

/* Once more when the holder has ended meanwhile: the copy is still there. */
static int pack_again(const struct ctx *ctx, struct docker_place *place,
                      struct docker_client *client, const char *path, struct spool *spool,
                      struct err *err)
{
    for (int tries = 2;; tries--) {
        if (ensure_holder(ctx, place, client, err) < 0)
            return -1;
        if (pack(ctx, place, client, path, spool, err) == 0)
            return rewind_spool(spool, false, err);
        if (tries == 1 || err->code != ERR_LOST || ctx_done(ctx) ||
            !holder_ends(ctx, place, client) || rewind_spool(spool, true, err) < 0)
            return -1;
    }
}

static int get(const struct ctx *ctx, struct docker_place *place, struct docker_client *client,
               const char *path, const char *into, struct err *err)
{
    struct spool spool = {.fd = open_spool(into, err)};
    int result;

    if (spool.fd < 0)
        return -1;
    result = pack_again(ctx, place, client, path, &spool, err);
    if (result == 0)
        result = archive_unpack(ctx, spool.fd, into, NULL, err);
    close(spool.fd);
    return result;
}

int docker_place_get(const struct ctx *ctx, struct place *opaque, const char *path,
                     const char *into, struct err *err)
{
    struct docker_place *place = (struct docker_place *)opaque;
    struct docker_client *client;
    struct err local = ERR_INIT;
    int result;

    if (!err)
        err = &local;
    if (!place_has_copy(ctx, place))
        return 0;
    if (instance_client_take(place->instance, &client, err) < 0)
        return -1;
    result = get(ctx, place, client, path, into, err);
    instance_client_give(place->instance, client);
    return result < 0 ? err_wrap(err, "cannot bring %s from the Docker host",
                                 *path ? path : place->workspace)
                      : 0;
}

static ssize_t read_tree(void *arg, char *data, size_t size, struct err *err)
{
    return tar_tree_read(arg, data, size, err);
}

static int put(const struct ctx *ctx, struct docker_place *place, struct docker_client *client,
               struct tar_tree *tree, struct err *err)
{
    const struct docker_tar tar = {.read = read_tree, .arg = tree};
    CLEANUP_FREE char *holder = NULL;

    if (ensure_holder(ctx, place, client, err) < 0)
        return -1;
    holder = place_holder_name(ctx, place);
    if (!holder)
        return err_set(err, ERR_UNAVAILABLE, "the container that holds the copy is away");
    return docker_container_archive_put(ctx, client, holder, place->workspace, &tar, err);
}

int docker_place_put(const struct ctx *ctx, struct place *opaque, const char *const *paths,
                     struct err *err)
{
    struct docker_place *place = (struct docker_place *)opaque;
    struct docker_client *client;
    struct tar_tree *tree;
    int result;

    if (!place_has_copy(ctx, place))
        return 0; /* it will be made of what is there by then */
    if (tar_tree_open_paths(place->workspace, paths, &tree, err) < 0)
        return -1;
    result = instance_client_take(place->instance, &client, err);
    if (result == 0) {
        result = put(ctx, place, client, tree, err);
        instance_client_give(place->instance, client);
    }
    tar_tree_close(tree);
    return result < 0 ? err_wrap(err, "cannot copy to the Docker host") : 0;
}
