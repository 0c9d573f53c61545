#include "exec/collection.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "archive/archive.h"
#include "base/alloc.h"
#include "base/fs.h"
#include "base/logger.h"

void collection_begin(struct collection *ret, const struct run *run, struct places *places,
                      const struct open_place *only, const struct ctx *ctx)
{
    CLEANUP_FREE struct open_place *all = NULL;
    bool apart = false;
    size_t count;

    *ret = (struct collection){.run = run, .root = run->plan->workdir};
    count = only ? (only->place != NULL) : places_list(places, ctx, &all);
    for (size_t i = 0; i < count; i++) {
        const struct open_place *open = only ? only : &all[i];

        vec_push(&ret->from, *open);
        if (open_place_shares_workdir(open, ctx))
            continue;
        apart = true;
        if (!ret->unable && !open->engine->get)
            ret->unable = open->engine->name;
    }
    if (!apart)
        vec_release(&ret->from);
}

static int make_directory(struct collection *c, struct err *err)
{
    const char *parent = own_run_temp_dir(c->run->options->services->run, err);
    CLEANUP_FREE char *path = NULL;

    if (!parent)
        return -1;
    path = fs_join(parent, "files-XXXXXX");
    if (!mkdtemp(path))
        return err_errno(err, "cannot make a directory in %s", parent);
    c->root = c->directory = steal_ptr(&path);
    return 0;
}

static int write_spool(void *arg, const void *data, size_t len, struct err *err)
{
    return fs_write_all(*(const int *)arg, data, len, err);
}

/* A pattern for each path, which it stands for alone with all that is below it. */
static int glob_of_paths(const struct strvec *paths, struct glob **ret, struct err *err)
{
    CLEANUP_STRVEC struct strvec patterns = {0};

    for (size_t i = 0; i < paths->len; i++) {
        CLEANUP_BUF struct buf pattern = BUF_INIT;

        buf_addstr(&pattern, "./");
        for (const char *c = paths->items[i]; *c; c++) {
            if (strchr("*?[]{},\\", *c))
                buf_addch(&pattern, '\\');
            buf_addch(&pattern, *c);
        }
        strvec_push(&patterns, *paths->items[i] ? pattern.data : "**");
    }
    return glob_parse((const char *const *)patterns.items, patterns.len, GLOB_TREE, ret, err);
}

/* From the workdir, where a place shares that. */
static int copy_all(const struct collection *c, const struct ctx *ctx, const struct strvec *paths,
                    struct err *err)
{
    CLEANUP_FREE char *path = fs_join(c->directory, ".archive-XXXXXX");
    CLEANUP_FD int fd = mkostemp(path, O_CLOEXEC);
    CLEANUP_GLOB struct glob *glob = NULL;

    if (fd < 0)
        return err_errno(err, "cannot make a file in %s", c->directory);
    unlink(path);
    if (glob_of_paths(paths, &glob, err) < 0 ||
        archive_pack(ctx, c->run->plan->workdir, glob, write_spool, &fd, NULL, err) < 0)
        return -1;
    if (lseek(fd, 0, SEEK_SET) < 0)
        return err_errno(err, "cannot read the archive");
    return archive_unpack(ctx, fd, c->directory, NULL, err);
}

static int get_all(const struct collection *c, const struct ctx *ctx, const struct open_place *open,
                   const struct strvec *paths, struct err *err)
{
    for (size_t i = 0; i < paths->len; i++) {
        if (open->engine->get(ctx, open->place, paths->items[i], c->directory, err) < 0)
            return -1;
    }
    return 0;
}

static bool is_there(const struct collection *c, const char *path)
{
    for (size_t i = 0; i < c->has.len; i++) {
        size_t len = strlen(c->has.items[i]);

        if (!len || (strncmp(path, c->has.items[i], len) == 0 && (!path[len] || path[len] == '/')))
            return true;
    }
    return false;
}

int collection_bring(struct collection *c, const struct ctx *ctx, const struct glob *glob,
                     struct err *err)
{
    CLEANUP_STRVEC struct strvec starts = {0};
    CLEANUP_STRVEC struct strvec paths = {0};

    if (c->unable)
        return err_set(err, ERR_UNSUPPORTED,
                       "steps on the engine %s worked on a copy of the workdir, from which nothing "
                       "comes back",
                       c->unable);
    glob_starts(glob, &starts);
    for (size_t i = 0; i < starts.len; i++) {
        if (!is_there(c, starts.items[i]))
            strvec_push(&paths, starts.items[i]);
    }
    if (!c->from.len || !paths.len)
        return 0;
    if (!c->directory && make_directory(c, err) < 0)
        return -1;
    vec_foreach (const struct open_place *, open, &c->from) {
        int result = open_place_shares_workdir(open, ctx) ? copy_all(c, ctx, &paths, err)
                                                          : get_all(c, ctx, open, &paths, err);

        if (result < 0)
            return -1;
    }
    for (size_t i = 0; i < paths.len; i++)
        strvec_push(&c->has, paths.items[i]);
    return 0;
}

void collection_end(struct collection *c)
{
    struct err err = ERR_INIT;

    if (c->directory && fs_remove_tree(c->directory, &err) < 0)
        log_debug("exec", "%s remains until the run ends: %s", c->directory, err.message);
    free(c->directory);
    vec_release(&c->from);
    strvec_release(&c->has);
    *c = (struct collection){0};
}
