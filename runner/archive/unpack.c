/* libarchive reads the archive; the files are made here. Its own writer takes paths, which others
 * could bend while it works; here each part of a path is opened within the part before it, without
 * following links, so that there is no moment at which a name means something else. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "archive/archive.h"
#include "archive/libarchive.h"
#include "base/alloc.h"
#include "base/buf.h"
#include "base/vec.h"

enum { CHUNK_BYTES = 256 * 1024 };

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
    int fd;
    int root_fd;
    bool is_root;
    char *chunk;
    struct buf parent; /* the directory that parent_fd is open on, relative to the root */
    int parent_fd;     /* -1: none is */
    VEC(struct later)
    directories;
    struct archive_stats stats;
    struct err failure; /* of reading */
};

static ssize_t read_in(struct archive *archive, void *arg, const void **ret_data)
{
    struct unpack *u = arg;
    ssize_t got;

    (void)archive;
    if (ctx_check(u->ctx, &u->failure) < 0)
        return -1;
    do {
        got = read(u->fd, u->chunk, CHUNK_BYTES);
    } while (got < 0 && errno == EINTR);
    if (got < 0)
        err_errno(&u->failure, "cannot read the archive");
    *ret_data = u->chunk;
    return got;
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

/* Opens, and makes if `make` is set, one directory within another. */
static int enter(int dir_fd, const char *name, const char *path, bool make, struct err *err)
{
    const int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
    int fd = openat(dir_fd, name, flags);

    if (fd < 0 && errno == ENOENT && make) {
        if (mkdirat(dir_fd, name, 0777) < 0 && errno != EEXIST)
            return err_errno(err, "cannot make the directory of %s", path);
        fd = openat(dir_fd, name, flags);
    }
    if (fd < 0 && (errno == ENOTDIR || errno == ELOOP))
        return err_set(err, ERR_CONFLICT,
                       "cannot unpack %s: \"%s\" on the way to it is a link or a file", path, name);
    return fd < 0 ? err_errno(err, "cannot open the directory of %s", path) : fd;
}

/* A descriptor of the directory `path` of `len` bytes, for the caller to close. */
static int walk(const struct unpack *u, const char *path, size_t len, bool make, struct err *err)
{
    CLEANUP_FREE char *copy = xstrndup(path, len);
    CLEANUP_FD int fd = fcntl(u->root_fd, F_DUPFD_CLOEXEC, 3);

    if (fd < 0)
        return err_errno(err, "cannot open the directory of %s", path);
    for (char *s = copy; *s;) {
        size_t part = strcspn(s, "/");
        bool more = s[part] == '/';
        int next;

        s[part] = '\0';
        next = enter(fd, s, path, make, err);
        if (next < 0)
            return -1;
        close(fd);
        fd = next;
        s += part + more;
    }
    return steal_fd(&fd);
}

/* Borrowed until the next call: archives have the files of a directory in a row. */
static int parent_of(struct unpack *u, const char *path, const char **ret_name, struct err *err)
{
    const char *slash = strrchr(path, '/');
    size_t len = slash ? (size_t)(slash - path) : 0;

    *ret_name = slash ? slash + 1 : path;
    if (u->parent_fd >= 0 && u->parent.len == len && memcmp(u->parent.data, path, len) == 0)
        return u->parent_fd;
    if (u->parent_fd >= 0)
        close(steal_fd(&u->parent_fd));
    buf_reset(&u->parent);
    buf_add(&u->parent, path, len);
    u->parent_fd = walk(u, path, len, true, err);
    return u->parent_fd;
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
    if (errno == EISDIR || errno == EPERM)
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
    const void *data;
    la_int64_t at;
    size_t len;
    int status;

    while ((status = u->lib->read_data_block(u->archive, &data, &len, &at)) == ARCHIVE_OK) {
        if (write_at(fd, data, len, at, path, err) < 0)
            return -1;
        u->stats.bytes += (int64_t)len;
    }
    return status == ARCHIVE_EOF ? 0 : archive_error(u, err);
}

static int make_file(struct unpack *u, int dir_fd, const char *name, const char *path,
                     struct err *err)
{
    const int flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
    const struct timespec times[2] = {{.tv_nsec = UTIME_NOW}, mtime_of(u)};
    CLEANUP_FD int fd = openat(dir_fd, name, flags, 0600);

    if (fd < 0 && errno == EEXIST) {
        if (clear_way(dir_fd, name, path, err) < 0)
            return -1;
        fd = openat(dir_fd, name, flags, 0600);
    }
    if (fd < 0)
        return err_errno(err, "cannot make %s", path);
    if (write_content(u, fd, path, err) < 0)
        return -1;
    if ((u->is_root &&
         fchown(fd, (uid_t)u->lib->entry_uid(u->entry), (gid_t)u->lib->entry_gid(u->entry)) < 0) ||
        fchmod(fd, mode_of(u)) < 0 || futimens(fd, times) < 0)
        return err_errno(err, "cannot set owner, permissions and time of %s", path);
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
    target_fd = walk(u, target.data, slash ? (size_t)(slash - target.data) : 0, false, err);
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
    CLEANUP_FD int fd = enter(dir_fd, name, path, true, err);

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

static int make_entry(struct unpack *u, struct err *err)
{
    CLEANUP_BUF struct buf path = BUF_INIT;
    mode_t mode = u->lib->entry_mode(u->entry);
    const char *name;
    int dir_fd;

    if (clean_name(u->lib->entry_pathname(u->entry), &path, err) < 0)
        return -1;
    if (!path.len) /* the directory itself */
        return 0;
    dir_fd = parent_of(u, path.data, &name, err);
    if (dir_fd < 0)
        return -1;
    u->stats.entries++;
    if (u->lib->entry_hardlink(u->entry))
        return make_hard_link(u, dir_fd, name, path.data, err);
    if (S_ISREG(mode))
        return make_file(u, dir_fd, name, path.data, err);
    if (S_ISDIR(mode))
        return make_directory(u, dir_fd, name, path.data, err);
    if (S_ISLNK(mode))
        return make_symlink(u, dir_fd, name, path.data, err);
    u->stats.entries--;
    return 0;
}

/* From the last to the first: what is in a directory comes behind it. */
static int finish_directories(struct unpack *u, struct err *err)
{
    while (u->directories.len > 0) {
        struct later *later = &u->directories.items[--u->directories.len];
        const struct timespec times[2] = {{.tv_nsec = UTIME_NOW}, later->mtime};
        CLEANUP_FREE char *path = later->path;
        CLEANUP_FD int fd = walk(u, path, strlen(path), false, err);

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
    if (u->lib->read_support_filter_zstd(u->archive) < ARCHIVE_WARN ||
        u->lib->read_support_format_tar(u->archive) < ARCHIVE_WARN ||
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
    if (u->parent_fd >= 0)
        close(u->parent_fd);
    buf_release(&u->parent);
    for (size_t i = 0; i < u->directories.len; i++)
        free(u->directories.items[i].path);
    vec_release(&u->directories);
    free(u->chunk);
}

int archive_unpack(const struct ctx *ctx, int fd, const char *root, struct archive_stats *ret,
                   struct err *err)
{
    CLEANUP_FD int root_fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct unpack u = {.ctx = ctx,
                       .fd = fd,
                       .root_fd = root_fd,
                       .is_root = geteuid() == 0,
                       .parent = BUF_INIT,
                       .parent_fd = -1};
    int result;

    if (root_fd < 0)
        return err_errno(err, "cannot open the directory %s", root);
    u.lib = libarchive_load(err);
    if (!u.lib)
        return -1;
    u.chunk = xmalloc(CHUNK_BYTES);
    result = unpack_all(&u, err);
    release(&u);
    if (result == 0 && ret)
        *ret = u.stats;
    return result;
}
