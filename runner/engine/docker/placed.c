/* The archive interface writes as the daemon does, whatever the image's user and rights are, and
 * needs nothing in the image. The container runs already, but nothing of the user's in it does: the
 * helper waits for its request. Reference: docs/adr/0024-what-a-plugin-finds.md. */
#include "engine/docker/placed.h"

#include <string.h>

#include "base/alloc.h"
#include "base/tar.h"

/* The archive for the directory path[0 .. len), which holds what of the path is behind it. */
static void make_archive(struct buf *tar, const struct placed_file *file, size_t len)
{
    const char *name = file->path + len + 1;

    for (const char *slash = strchr(name, '/'); slash; slash = strchr(slash + 1, '/')) {
        CLEANUP_FREE char *directory = xstrndup(name, (size_t)(slash - name));

        tar_add_directory(tar, directory, 0755);
    }
    tar_add_file(tar, name, 0644, file->data, file->size);
    tar_add_end(tar);
}

/* Into the deepest directory of the path that is there: the daemon would change those that an
 * archive names. */
static int put(const struct ctx *ctx, struct step_container *container,
               const struct placed_file *file, struct err *err)
{
    size_t len = (size_t)(strrchr(file->path, '/') - file->path);
    struct err why = ERR_INIT;

    for (;;) {
        CLEANUP_FREE char *directory = len ? xstrndup(file->path, len) : xstrdup("/");
        CLEANUP_BUF struct buf tar = BUF_INIT;

        make_archive(&tar, file, len);
        if (docker_container_archive_put(ctx, container->client, container->id, directory,
                                         &(struct docker_tar){.data = tar.data, .len = tar.len},
                                         &why) == 0)
            return 0;
        if (why.code != ERR_NOT_FOUND || !len) {
            if (err)
                *err = why;
            return err_wrap(err, "cannot bring %s to the container", file->path);
        }
        while (file->path[--len] != '/')
            ;
    }
}

int placed_put(const struct ctx *ctx, struct step_container *container,
               const struct runnable *runnable, struct err *err)
{
    for (size_t i = 0; i < runnable->placed_count; i++) {
        if (put(ctx, container, &runnable->placed[i], err) < 0)
            return -1;
    }
    return 0;
}
