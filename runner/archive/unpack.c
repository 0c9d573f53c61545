/* libarchive reads the archive; the files are made here. Its own writer takes paths, which others
 * could bend while it works. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "archive/archive.h"
#include "archive/below.h"
#include "archive/decompress.h"
#include "archive/libarchive.h"
#include "base/alloc.h"
#include "base/buf.h"

/* A directory gets its permissions and time when everything is in it. */
struct later {
    char *path;
    mode_t mode;
    struct timespec mtime;
};

struct unpack {
    const struct ctx *ctx;
    const struct libarchive *lib;
    struct archive *archive;
    struct archive_entry *entry;
    struct decompress *source;
    bool is_root;
    struct below below;
    VEC(struct later)
    directories;
    struct strvec *names; /* NULL: nobody wants them */
    struct archive_stats stats;
    struct err failure; /* of reading */
};

static ssize_t read_in(struct archive *archive, void *arg, const void **ret_data)
{
    struct unpack *u = arg;

    (void)archive;
    return decompress_read(u->source, ret_data, &u->failure);
}

static int archive_error(const struct unpack *u, struct err *err)
{
    const char *message = u->lib->error_string(u->archive);

    if (u->failure.code != ERR_NONE) {
        if (err)
            *err = u->failure;
        return -1;
    }
    return err_set(err, ERR_PROTOCOL, "the archive is damaged: %s",
                   message ? message : "no reason");
}

/* --- names --- */

/* The name without what means nothing: "./", double slashes, one at the end. */
static int clean_name(const char *name, struct buf *ret, struct err *err)
{
    if (!name || !*name)
        return err_set(err, ERR_PROTOCOL, "the archive is damaged: an entry has no name");
    if (*name == '/')
        return err_set(err, ERR_DENIED, "the archive has an absolute name: %s", name);
    for (const char *s = name; *s;) {
        size_t len = strcspn(s, "/");

        if (len == 2 && strncmp(s, "..", 2) == 0)
            return err_set(err, ERR_DENIED, "the archive has a name that leads out of it: %s",
                           name);
        if (len && !(len == 1 && *s == '.')) {
            if (ret->len)
                buf_addch(ret, '/');
            buf_add(ret, s, len);
        }
        s += len + (s[len] == '/');
    }
    return 0;
}

/* --- entries --- */

static struct timespec mtime_of(const struct unpack *u)
{
    return (struct timespec){.tv_sec = u->lib->entry_mtime(u->entry),
                             .tv_nsec = u->lib->entry_mtime_nsec(u->entry)};
}

/* Who is not root owns what is unpacked, and gives nobody its rights. */
static mode_t mode_of(const struct unpack *u)
{
    mode_t mode = u->lib->entry_mode(u->entry) & 07777;

    return u->is_root || u->lib->entry_uid(u->entry) == (la_int64_t)geteuid() ? mode : mode & 01777;
}

/* What is in the way goes, unless it is a directory. */
static int clear_way(int dir_fd, const char *name, const char *path, struct err *err)
{
    if (unlinkat(dir_fd, name, 0) == 0 || errno == ENOENT)
        return 0;
    if (errno == EISDIR)
        return err_set(err, ERR_CONFLICT, "cannot unpack %s: a directory is in its place", path);
    return err_errno(err, "cannot replace %s", path);
}

static int write_at(int fd, const char *data, size_t len, int64_t at, const char *path,
                    struct err *err)
{
    while (len > 0) {
        ssize_t put = pwrite(fd, data, len, at);

        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0)
            return err_errno(err, "cannot write %s", path);
        data += put;
        at += put;
        len -= (size_t)put;
    }
    return 0;
}

static int write_content(struct unpack *u, int fd, const char *path, struct err *err)
{
    const la_int64_t size = u->lib->entry_size(u->entry);
    la_int64_t end = 0;
    const void *data;
    la_int64_t at;
    size_t len;
    int status;

    while ((status = u->lib->read_data_block(u->archive, &data, &len, &at)) == ARCHIVE_OK) {
        if (write_at(fd, data, len, at, path, err) < 0)
            return -1;
        end = at + (la_int64_t)len;
    }
    if (status != ARCHIVE_EOF)
        return archive_error(u, err);
    if (end < size && ftruncate(fd, size) < 0) /* a hole */
        return err_errno(err, "cannot write %s", path);
    if (__builtin_add_overflow(u->stats.bytes, size, &u->stats.bytes))
        return err_set(err, ERR_PROTOCOL, "the archive is damaged: the size of %s", path);
    return 0;
}

static int fill_file(struct unpack *u, int fd, const char *path, struct err *err)
{
    const struct timespec times[2] = {{.tv_nsec = UTIME_NOW}, mtime_of(u)};

    if (write_content(u, fd, path, err) < 0)
        return -1;
    if ((u->is_root &&
         fchown(fd, (uid_t)u->lib->entry_uid(u->entry), (gid_t)u->lib->entry_gid(u->entry)) < 0) ||
        fchmod(fd, mode_of(u)) < 0 || futimens(fd, times) < 0)
        return err_errno(err, "cannot set owner, permissions and time of %s", path);
    return 0;
}

/* One that cannot be finished is not left behind: nobody could tell it from a whole one. */
static int make_file(struct unpack *u, int dir_fd, const char *name, const char *path,
                     struct err *err)
{
    const int flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
    CLEANUP_FD int fd = openat(dir_fd, name, flags, 0600);

    if (fd < 0 && errno == EEXIST) {
        if (clear_way(dir_fd, name, path, err) < 0)
            return -1;
        fd = openat(dir_fd, name, flags, 0600);
    }
    if (fd < 0)
        return err_errno(err, "cannot make %s", path);
    if (fill_file(u, fd, path, err) < 0) {
        unlinkat(dir_fd, name, 0);
        return -1;
    }
    return 0;
}

static int make_symlink(struct unpack *u, int dir_fd, const char *name, const char *path,
                        struct err *err)
{
    const struct timespec times[2] = {{.tv_nsec = UTIME_NOW}, mtime_of(u)};
    const char *target = u->lib->entry_symlink(u->entry);

    if (!target || !*target)
        return err_set(err, ERR_PROTOCOL, "the archive is damaged: the link %s has no target",
                       path);
    if (clear_way(dir_fd, name, path, err) < 0)
        return -1;
    if (symlinkat(target, dir_fd, name) < 0)
        return err_errno(err, "cannot make the link %s", path);
    if (u->is_root && fchownat(dir_fd, name, (uid_t)u->lib->entry_uid(u->entry),
                               (gid_t)u->lib->entry_gid(u->entry), AT_SYMLINK_NOFOLLOW) < 0)
        return err_errno(err, "cannot set the owner of %s", path);
    /* Some file systems have no times of links. */
    (void)utimensat(dir_fd, name, times, AT_SYMLINK_NOFOLLOW);
    return 0;
}

static int make_hard_link(struct unpack *u, int dir_fd, const char *name, const char *path,
                          struct err *err)
{
    CLEANUP_BUF struct buf target = BUF_INIT;
    CLEANUP_FD int target_fd = -1;
    const char *slash;
    struct stat st;

    if (clean_name(u->lib->entry_hardlink(u->entry), &target, err) < 0)
        return -1;
    if (strcmp(target.data, path) == 0)
        return err_set(err, ERR_PROTOCOL, "the archive is damaged: %s links to itself", path);
    slash = strrchr(target.data, '/');
    target_fd =
        below_walk(&u->below, target.data, slash ? (size_t)(slash - target.data) : 0, false, err);
    if (target_fd < 0)
        return -1;
    if (fstatat(target_fd, slash ? slash + 1 : target.data, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
        !S_ISREG(st.st_mode))
        return err_set(err, ERR_PROTOCOL,
                       "the archive is damaged: %s is a link to %s, which is no file", path,
                       target.data);
    if (clear_way(dir_fd, name, path, err) < 0)
        return -1;
    if (linkat(target_fd, slash ? slash + 1 : target.data, dir_fd, name, 0) < 0)
        return err_errno(err, "cannot make the link %s", path);
    return 0;
}

static int make_directory(struct unpack *u, int dir_fd, const char *name, const char *path,
                          struct err *err)
{
    struct later later = {.mode = mode_of(u), .mtime = mtime_of(u)};
    CLEANUP_FD int fd = below_enter(&u->below, dir_fd, name, path, true, err);

    if (fd < 0)
        return -1;
    if (u->is_root &&
        fchown(fd, (uid_t)u->lib->entry_uid(u->entry), (gid_t)u->lib->entry_gid(u->entry)) < 0)
        return err_errno(err, "cannot set the owner of %s", path);
    if (!u->is_root && (later.mode & 0700) != 0700)
        (void)fchmod(fd, 0700);
    later.path = xstrdup(path);
    vec_push(&u->directories, later);
    return 0;
}

/* 1: of a kind that is left out. */
static int make_one(struct unpack *u, int dir_fd, const char *name, const char *path,
                    struct err *err)
{
    mode_t mode = u->lib->entry_mode(u->entry);

    if (u->lib->entry_hardlink(u->entry))
        return make_hard_link(u, dir_fd, name, path, err);
    if (S_ISREG(mode))
        return make_file(u, dir_fd, name, path, err);
    if (S_ISDIR(mode))
        return make_directory(u, dir_fd, name, path, err);
    if (S_ISLNK(mode))
        return make_symlink(u, dir_fd, name, path, err);
    return 1;
}

static int make_entry(struct unpack *u, struct err *err)
{
    CLEANUP_BUF struct buf path = BUF_INIT;
    const char *name;
    int dir_fd;
    int result;

    if (clean_name(u->lib->entry_pathname(u->entry), &path, err) < 0)
        return -1;
    if (!path.len) /* the directory itself */
        return 0;
    dir_fd = below_parent(&u->below, path.data, true, &name, err);
    if (dir_fd < 0)
        return -1;
    result = make_one(u, dir_fd, name, path.data, err);
    if (result != 0)
        return result < 0 ? -1 : 0;
    u->stats.entries++;
    if (u->names)
        strvec_pushf(u->names, "%s%s", path.data,
                     !u->lib->entry_hardlink(u->entry) && S_ISDIR(u->lib->entry_mode(u->entry))
                         ? "/"
                         : "");
    return 0;
}

/* From the last to the first: what is in a directory comes behind it. */
static int finish_directories(struct unpack *u, struct err *err)
{
    while (u->directories.len > 0) {
        struct later *later = &u->directories.items[--u->directories.len];
        const struct timespec times[2] = {{.tv_nsec = UTIME_NOW}, later->mtime};
        CLEANUP_FREE char *path = later->path;
        CLEANUP_FD int fd = below_walk(&u->below, path, strlen(path), false, err);

        if (fd < 0)
            return -1;
        if (fchmod(fd, later->mode) < 0 || futimens(fd, times) < 0)
            return err_errno(err, "cannot set permissions and time of %s", path);
    }
    return 0;
}

static int unpack_all(struct unpack *u, struct err *err)
{
    int status;

    u->archive = u->lib->read_new();
    u->entry = u->lib->entry_new();
    if (!u->archive || !u->entry)
        return err_set(err, ERR_SYSTEM, "libarchive has no memory");
    if (u->lib->read_support_format_tar(u->archive) < ARCHIVE_WARN ||
        u->lib->read_open(u->archive, u, NULL, read_in, NULL) < ARCHIVE_OK)
        return archive_error(u, err);
    /* A warning is about what is not used here, or ends up as a name that is NULL. */
    while ((status = u->lib->read_next_header2(u->archive, u->entry)) == ARCHIVE_OK ||
           status == ARCHIVE_WARN) {
        if (ctx_check(u->ctx, err) < 0 || make_entry(u, err) < 0)
            return -1;
    }
    if (status != ARCHIVE_EOF)
        return archive_error(u, err);
    return finish_directories(u, err);
}

static void release(struct unpack *u)
{
    if (u->archive)
        u->lib->read_free(u->archive);
    if (u->entry)
        u->lib->entry_free(u->entry);
    below_release(&u->below);
    for (size_t i = 0; i < u->directories.len; i++)
        free(u->directories.items[i].path);
    vec_release(&u->directories);
    decompress_stop(u->source);
}

int archive_unpack_names(const struct ctx *ctx, int fd, const char *root, struct strvec *ret_names,
                         struct archive_stats *ret, struct err *err)
{
    CLEANUP_FD int root_fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct unpack u = {.ctx = ctx,
                       .is_root = geteuid() == 0,
                       .names = ret_names,
                       .below = BELOW_INIT(root_fd, "unpack")};
    int result;

    if (root_fd < 0)
        return err_errno(err, "cannot open the directory %s", root);
    u.lib = libarchive_load(err);
    if (!u.lib)
        return -1;
    if (decompress_start(ctx, u.lib, fd, &u.source, err) < 0)
        return -1;
    result = unpack_all(&u, err);
    release(&u);
    if (result == 0 && ret)
        *ret = u.stats;
    return result;
}

int archive_unpack(const struct ctx *ctx, int fd, const char *root, struct archive_stats *ret,
                   struct err *err)
{
    return archive_unpack_names(ctx, fd, root, NULL, ret, err);
}
