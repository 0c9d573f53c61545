#include "engine/remote/files.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "archive/archive.h"
#include "base/clock.h"
#include "base/fs.h"
#include "base/tar.h"
#include "engine/remote/program.h"

enum { TELL_MS = 200, DUE_MS = 10000 };

/* Counts what goes by. */
struct filling {
    struct tar_tree *tree;
    struct output *output; /* NULL: nobody is told */
    int64_t bytes;
    int64_t told_ms;
    int64_t due_ms; /* when those were told who can only add lines */
};

static void tell(struct filling *filling, bool due)
{
    char text[96];
    struct output_progress progress = {.text = text, .done = filling->bytes, .due = due};

    snprintf(text, sizeof(text), "filling the workspace: %.1f MiB",
             (double)filling->bytes / (1 << 20));
    if (filling->output->progress)
        filling->output->progress(filling->output, &progress);
    else if (due)
        filling->output->note(filling->output, text);
}

static ssize_t read_tree(void *arg, void *data, size_t size, struct err *err)
{
    struct filling *filling = arg;
    ssize_t n = tar_tree_read(filling->tree, data, size, err);
    int64_t now = clock_monotonic_ms();

    if (n > 0)
        filling->bytes += n;
    if (filling->output && filling->told_ms < now - TELL_MS) {
        bool due = filling->due_ms < now - DUE_MS;

        filling->told_ms = now;
        filling->due_ms = due ? now : filling->due_ms;
        tell(filling, due);
    }
    return n;
}

/* Closes the tree. */
static int send_tree(const struct ctx *ctx, const struct remote *remote, const char *directory,
                     struct tar_tree *tree, struct output *output, struct err *err)
{
    const char *const argv[] = {remote->helper, "unpack", directory, NULL};
    struct filling filling = {.tree = tree,
                              .output = output,
                              .told_ms = clock_monotonic_ms(),
                              .due_ms = clock_monotonic_ms()};
    const struct remote_program program = {.argv = argv,
                                           .read = read_tree,
                                           .arg = &filling,
                                           .says_done = true};
    int result = remote_do(ctx, remote, &program, err);

    tar_tree_close(tree);
    if (output && output->progress)
        output->progress(output, NULL);
    return result;
}

int remote_fill(const struct ctx *ctx, const struct remote *remote, const char *from,
                const char *directory, struct output *output, struct err *err)
{
    CLEANUP_IGNORE struct ignore *ignore = NULL;
    struct tar_tree *tree;

    if (ignore_read(from, &ignore, err) < 0 || tar_tree_open(from, &tree, err) < 0)
        return -1;
    tar_tree_ignore(tree, ignore);
    return send_tree(ctx, remote, directory, tree, output, err);
}

int remote_put(const struct ctx *ctx, const struct remote *remote, const char *from,
               const char *const *paths, const char *directory, struct err *err)
{
    struct tar_tree *tree;

    if (tar_tree_open_paths(from, paths, &tree, err) < 0)
        return -1;
    return send_tree(ctx, remote, directory, tree, NULL, err);
}

static int write_spool(void *arg, const void *data, size_t len, struct err *err)
{
    return fs_write_all(*(int *)arg, data, len, err);
}

/* Unpacked is only what the helper says is whole. */
int remote_get(const struct ctx *ctx, const struct remote *remote, const char *directory,
               const char *path, const char *into, struct err *err)
{
    const char *const argv[] = {remote->helper, "pack", directory, path, NULL};
    CLEANUP_FREE char *name = fs_join(into, ".archive-XXXXXX");
    CLEANUP_FD int fd = mkostemp(name, O_CLOEXEC);
    const struct remote_program program = {.argv = argv,
                                           .write = write_spool,
                                           .arg = &fd,
                                           .says_done = true};

    if (fd < 0)
        return err_errno(err, "cannot make a file in %s", into);
    unlink(name);
    if (remote_do(ctx, remote, &program, err) < 0)
        return -1;
    if (lseek(fd, 0, SEEK_SET) < 0)
        return err_errno(err, "cannot read the archive");
    return archive_unpack(ctx, fd, into, NULL, err);
}

int remote_unpack(const struct ctx *ctx, const struct remote *remote, const char *directory,
                  const struct buf *tar, struct err *err)
{
    const char *const argv[] = {remote->helper, "unpack", directory, NULL};
    struct remote_text text = {.data = tar};
    const struct remote_program program = {.argv = argv,
                                           .read = remote_read_text,
                                           .arg = &text,
                                           .says_done = true};

    return remote_do(ctx, remote, &program, err);
}
