#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "archive/archive.h"
#include "archive/below.h"
#include "archive/libarchive.h"
#include "base/alloc.h"
#include "base/map.h"

enum { CHUNK_BYTES = 256 * 1024, THREADS_MAX = 8 };

struct pack {
    const struct ctx *ctx;
    const struct libarchive *lib;
    struct archive *archive;
    struct archive_entry *entry;
    struct below below;
    char *chunk;
    struct strmap links; /* "DEVICE:INODE" of files with several names → the first of them */
    archive_write_fn write;
    void *arg;
    struct archive_stats stats;
    struct err failure; /* of `write` */
};

static ssize_t write_out(struct archive *archive, void *arg, const void *data, size_t len)
{
    struct pack *p = arg;

    (void)archive;
    if (ctx_check(p->ctx, &p->failure) < 0 || p->write(p->arg, data, len, &p->failure) < 0)
        return -1;
    return (ssize_t)len;
}

static int archive_error(const struct pack *p, const char *path, struct err *err)
{
    const char *message = p->lib->error_string(p->archive);

    if (p->failure.code != ERR_NONE) {
        if (err)
            *err = p->failure;
        return -1;
    }
    return err_set(err, ERR_SYSTEM, "cannot pack %s: %s", path, message ? message : "no reason");
}

static void fill_entry(struct pack *p, const char *path, const struct stat *st)
{
    p->lib->entry_clear(p->entry);
    p->lib->entry_set_pathname(p->entry, path);
    p->lib->entry_set_mode(p->entry, st->st_mode);
    p->lib->entry_set_uid(p->entry, st->st_uid);
    p->lib->entry_set_gid(p->entry, st->st_gid);
    p->lib->entry_set_mtime(p->entry, st->st_mtim.tv_sec, st->st_mtim.tv_nsec);
    p->lib->entry_set_size(p->entry, S_ISREG(st->st_mode) ? st->st_size : 0);
}

static int write_header(struct pack *p, const char *path, struct err *err)
{
    /* A warning is about what is written in a reduced form. */
    if (p->lib->write_header(p->archive, p->entry) < ARCHIVE_WARN)
        return archive_error(p, path, err);
    p->stats.entries++;
    return 0;
}

static int pack_content(struct pack *p, const char *path, int fd, int64_t size, struct err *err)
{
    while (size > 0) {
        ssize_t got = read(fd, p->chunk, size < CHUNK_BYTES ? (size_t)size : CHUNK_BYTES);

        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return err_errno(err, "cannot read %s", path);
        if (got == 0)
            return 0;
        if (p->lib->write_data(p->archive, p->chunk, (size_t)got) != got)
            return archive_error(p, path, err);
        size -= got;
        p->stats.bytes += got;
    }
    return 0;
}

/* Tells the archive where the file has data, so that its holes take no room anywhere. What the file
 * system does not say is one piece of data. */
static void add_holes(struct pack *p, int fd, const struct stat *st)
{
    off_t at = 0;
    off_t end;

    if (st->st_blocks >= st->st_size / 512)
        return;
    while ((at = lseek(fd, at, SEEK_DATA)) >= 0 && at < st->st_size) {
        end = lseek(fd, at, SEEK_HOLE);
        if (end < 0 || end > st->st_size)
            end = st->st_size;
        p->lib->entry_sparse_add_entry(p->entry, at, end - at);
        at = end;
    }
    if (at < 0 && errno == ENXIO) /* a hole up to the end */
        p->lib->entry_sparse_add_entry(p->entry, st->st_size, 0);
    lseek(fd, 0, SEEK_SET);
}

/* Whether it is a further name of a file that is in the archive already: packed as such then. */
static bool is_further_link(struct pack *p, const char *path, const struct stat *st)
{
    char id[64];
    const char *first;

    if (st->st_nlink < 2)
        return false;
    snprintf(id, sizeof(id), "%llx:%llx", (unsigned long long)st->st_dev,
             (unsigned long long)st->st_ino);
    first = strmap_get(&p->links, id);
    if (!first) {
        strmap_set(&p->links, id, path);
        return false;
    }
    p->lib->entry_set_hardlink(p->entry, first);
    p->lib->entry_set_size(p->entry, 0);
    return true;
}

static int pack_file(struct pack *p, int dir_fd, const char *name, const char *path,
                     struct err *err)
{
    CLEANUP_FD int fd = openat(dir_fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    struct stat st;

    if (fd < 0 && (errno == ENOENT || errno == ELOOP || errno == ENOTDIR || errno == ENXIO))
        return 0;
    if (fd < 0)
        return err_errno(err, "cannot read %s", path);
    if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
        return 0;
    fill_entry(p, path, &st);
    if (is_further_link(p, path, &st))
        return write_header(p, path, err);
    add_holes(p, fd, &st);
    if (write_header(p, path, err) < 0 || pack_content(p, path, fd, st.st_size, err) < 0)
        return -1;
    return p->lib->write_finish_entry(p->archive) < ARCHIVE_WARN ? archive_error(p, path, err) : 0;
}

static int pack_other(struct pack *p, int dir_fd, const char *name, const char *path,
                      struct err *err)
{
    char target[PATH_MAX + 1];
    struct stat st;
    ssize_t len;

    if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return errno == ENOENT || errno == ENOTDIR ? 0 : err_errno(err, "cannot examine %s", path);
    if (!S_ISDIR(st.st_mode) && !S_ISLNK(st.st_mode))
        return 0;
    fill_entry(p, path, &st);
    if (S_ISLNK(st.st_mode)) {
        len = readlinkat(dir_fd, name, target, PATH_MAX);
        if (len < 0)
            return err_errno(err, "cannot read the link %s", path);
        target[len] = '\0';
        p->lib->entry_set_symlink(p->entry, target);
    }
    return write_header(p, path, err);
}

static int pack_entry(struct pack *p, const struct glob_entry *entry, struct err *err)
{
    struct err own = ERR_INIT;
    const char *name;
    int dir_fd = below_parent(&p->below, entry->path, false, &name, &own);

    /* Its directory has vanished, or something else is in its place. */
    if (dir_fd < 0 && (own.code == ERR_CONFLICT || own.errnum == ENOENT))
        return 0;
    if (dir_fd < 0)
        return err_set(err, own.code, "%s", own.message);
    return entry->type == DT_REG ? pack_file(p, dir_fd, name, entry->path, err)
                                 : pack_other(p, dir_fd, name, entry->path, err);
}

static int pack_all(struct pack *p, const struct glob_found *found, struct err *err)
{
    for (size_t i = 0; i < found->len; i++) {
        if (ctx_check(p->ctx, err) < 0 || pack_entry(p, &found->items[i], err) < 0)
            return -1;
    }
    return 0;
}

static unsigned threads(void)
{
    cpu_set_t cpus;
    int count = sched_getaffinity(0, sizeof(cpus), &cpus) == 0 ? CPU_COUNT(&cpus) : 1;

    return count > THREADS_MAX ? THREADS_MAX : (unsigned)count;
}

static int open_archive(struct pack *p, struct err *err)
{
    const struct libarchive *lib = p->lib;
    char count[16];

    snprintf(count, sizeof(count), "%u", threads());
    p->archive = lib->write_new();
    p->entry = lib->entry_new();
    if (!p->archive || !p->entry)
        return err_set(err, ERR_SYSTEM, "libarchive has no memory");
    if (lib->write_set_format_pax(p->archive) < ARCHIVE_OK ||
        lib->write_set_format_option(p->archive, "pax", "hdrcharset", "BINARY") < ARCHIVE_OK ||
        lib->write_add_filter_zstd(p->archive) < ARCHIVE_OK)
        return archive_error(p, "anything", err);
    /* libarchive before 3.6, or a zstd without threads: one will do. */
    (void)lib->write_set_filter_option(p->archive, "zstd", "threads", count);
    lib->write_set_bytes_per_block(p->archive, 0);
    lib->write_set_bytes_in_last_block(p->archive, 1);
    if (lib->write_open(p->archive, p, NULL, write_out, NULL) < ARCHIVE_OK)
        return archive_error(p, "anything", err);
    return 0;
}

static void release(struct pack *p, bool failed)
{
    if (p->archive) {
        if (failed)
            p->lib->write_fail(p->archive);
        p->lib->write_free(p->archive);
    }
    if (p->entry)
        p->lib->entry_free(p->entry);
    below_release(&p->below);
    strmap_release(&p->links);
    free(p->chunk);
}

int archive_pack(const struct ctx *ctx, const char *root, const struct glob *glob,
                 archive_write_fn write, void *arg, struct archive_stats *ret, struct err *err)
{
    CLEANUP_GLOB_FOUND struct glob_found found = {0};
    CLEANUP_FD int root_fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct pack p = {.ctx = ctx, .below = BELOW_INIT(root_fd, "pack"), .write = write, .arg = arg};
    int result = -1;

    if (root_fd < 0)
        return err_errno(err, "cannot read the directory %s", root);
    p.lib = libarchive_load(err);
    if (!p.lib || glob_find(ctx, root, glob, &found, err) < 0)
        return -1;
    p.chunk = xmalloc(CHUNK_BYTES);
    if (open_archive(&p, err) == 0 && pack_all(&p, &found, err) == 0)
        result = p.lib->write_close(p.archive) < ARCHIVE_WARN ? archive_error(&p, root, err) : 0;
    release(&p, result < 0);
    if (result == 0 && ret)
        *ret = p.stats;
    return result;
}
