#include "objstore/local.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/fs.h"
#include "base/vec.h"

/* No part of a key can hold the mark, so that KEY~ is never the directory of another key. */
#define MARK   "~"
#define HEADER "runner-object 1 "

enum {
    HEADER_SIZE = 256,
    CHUNK_BYTES = 256 * 1024,
    LOCK_PAUSE_MS = 10,
    FLUSH_BYTES = 8 << 20, /* how much is written before the disk is told to begin */
    DEPTH_MAX = OBJECT_KEY_MAX,
};

struct local_store {
    struct object_store store;
    char *root;
    char *objects;
    char *temporary;
    int64_t max_bytes;
};

static struct local_store *local(struct object_store *store)
{
    return (struct local_store *)store;
}

static char *object_path(const struct local_store *s, const char *key)
{
    return xasprintf("%s/%s" MARK, s->objects, key);
}

static int store_error(struct err *err, const char *what, const char *path)
{
    int saved = errno;

    err_errno(err, "%s %s", what, path);
    if (err && (saved == EACCES || saved == EPERM || saved == EROFS))
        err->code = ERR_DENIED;
    return -1;
}

/* --- the lock --- */

/* The descriptor holds it until it is closed. */
static int lock_store(const struct ctx *ctx, const struct local_store *s, struct err *err)
{
    CLEANUP_FREE char *path = fs_join(s->root, "lock");
    CLEANUP_FD int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

    if (fd < 0)
        return store_error(err, "cannot open", path);
    while (flock(fd, LOCK_EX | LOCK_NB) < 0) {
        if (errno != EWOULDBLOCK && errno != EINTR)
            return store_error(err, "cannot lock", path);
        if (ctx_sleep(ctx, LOCK_PAUSE_MS, err) < 0)
            return -1;
    }
    return steal_fd(&fd);
}

/* --- headers --- */

static void format_header(const struct object_info *info, char header[HEADER_SIZE])
{
    memset(header, 0, HEADER_SIZE);
    snprintf(header, HEADER_SIZE, HEADER "%s %" PRId64 " %" PRId64 "\n", info->sha256,
             info->size_bytes, info->stored_ms);
}

/* Nothing but what format_header() writes is a header. */
static bool parse_header(const char header[HEADER_SIZE + 1], struct object_info *ret)
{
    char written[HEADER_SIZE];

    if (sscanf(header, HEADER "%64[0-9a-f] %" SCNd64 " %" SCNd64, ret->sha256, &ret->size_bytes,
               &ret->stored_ms) != 3 ||
        strlen(ret->sha256) != SHA256_HEX_SIZE - 1 || ret->size_bytes < 0 || ret->stored_ms < 0)
        return false;
    format_header(ret, written);
    return memcmp(header, written, HEADER_SIZE) == 0;
}

/* Whether the file holds a whole object as far as its header and size tell. */
static bool read_header(int fd, const char *key, struct object_info *ret)
{
    char header[HEADER_SIZE + 1] = "";
    struct stat st;

    memset(ret, 0, sizeof(*ret));
    snprintf(ret->key, sizeof(ret->key), "%s", key);
    if (pread(fd, header, HEADER_SIZE, 0) != HEADER_SIZE || fstat(fd, &st) < 0)
        return false;
    if (!parse_header(header, ret))
        return false;
    ret->used_ms = (int64_t)st.st_mtim.tv_sec * 1000 + st.st_mtim.tv_nsec / 1000000;
    return S_ISREG(st.st_mode) && st.st_size - HEADER_SIZE == ret->size_bytes;
}

/* The time of the last use is that of the file. Whose file it is not cannot set it. */
static void stamp(int fd, struct object_info *info)
{
    int64_t now_ms = clock_wall_ms();
    const struct timespec times[2] = {{.tv_nsec = UTIME_OMIT},
                                      {.tv_sec = now_ms / 1000,
                                       .tv_nsec = now_ms % 1000 * 1000000}};

    if (futimens(fd, times) == 0)
        info->used_ms = now_ms;
}

static int open_object(const struct local_store *s, const char *key, struct err *err)
{
    CLEANUP_FREE char *path = object_path(s, key);
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);

    if (fd < 0 && (errno == ENOENT || errno == ENOTDIR))
        return err_set(err, ERR_NOT_FOUND, "there is no object \"%s\"", key);
    return fd < 0 ? store_error(err, "cannot open", path) : fd;
}

/* --- removing --- */

/* Removes what is empty above it, too. `same_as` (may be NULL): only if it is still that file. */
static int remove_object(const struct ctx *ctx, const struct local_store *s, const char *key,
                         const struct stat *same_as, struct err *err)
{
    CLEANUP_FREE char *path = object_path(s, key);
    CLEANUP_FD int lock = -1;
    struct stat st;

    if (lstat(path, &st) < 0 && (errno == ENOENT || errno == ENOTDIR))
        return err_set(err, ERR_NOT_FOUND, "there is no object \"%s\"", key);
    lock = lock_store(ctx, s, err);
    if (lock < 0)
        return -1;
    if (same_as && (lstat(path, &st) < 0 || st.st_ino != same_as->st_ino))
        return 0;
    if (unlink(path) < 0)
        return errno == ENOENT ? err_set(err, ERR_NOT_FOUND, "there is no object \"%s\"", key)
                               : store_error(err, "cannot remove", path);
    for (;;) {
        *strrchr(path, '/') = '\0';
        if (strlen(path) <= strlen(s->objects) || rmdir(path) < 0)
            return 0;
    }
}

static int local_remove(const struct ctx *ctx, struct object_store *store, const char *key,
                        struct err *err)
{
    if (object_key_check(key, err) < 0)
        return -1;
    return remove_object(ctx, local(store), key, NULL, err);
}

/* --- writing --- */

struct writer {
    struct object_sink sink;
    const struct local_store *store;
    struct object_info info;
    struct sha256 hash;
    char *path; /* of the temporary file; NULL: there is none any more */
    int fd;
    int64_t flushed_bytes;
};

static int write_content(struct object_sink *sink, const void *data, size_t len, struct err *err)
{
    struct writer *w = (struct writer *)sink;
    int64_t max_bytes = w->store->max_bytes;

    if (max_bytes && w->info.size_bytes + (int64_t)len > max_bytes)
        return err_set(err, ERR_LIMIT, "it has more than the %" PRId64 " bytes of the whole store",
                       max_bytes);
    if (fs_write_all(w->fd, data, len, err) < 0)
        return err_wrap(err, "cannot write to the store %s", w->store->root);
    sha256_add(&w->hash, data, len);
    w->info.size_bytes += (int64_t)len;
    if (w->info.size_bytes - w->flushed_bytes >= FLUSH_BYTES) {
        /* So that there is little to wait for at the end. */
        sync_file_range(w->fd, w->flushed_bytes, 0, SYNC_FILE_RANGE_WRITE);
        w->flushed_bytes = w->info.size_bytes;
    }
    return 0;
}

/* What dead writers have left; with the lock held, so that no file is between its making and its
 * locking. */
static void remove_abandoned(const struct local_store *s)
{
    DIR *dir = opendir(s->temporary);
    struct dirent *entry;

    while (dir && (entry = readdir(dir))) {
        CLEANUP_FD int fd = -1;

        if (entry->d_name[0] == '.')
            continue;
        fd = openat(dirfd(dir), entry->d_name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
        if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0)
            unlinkat(dirfd(dir), entry->d_name, 0);
    }
    if (dir)
        closedir(dir);
}

static int writer_begin(const struct ctx *ctx, const struct local_store *s, struct writer *w,
                        struct err *err)
{
    CLEANUP_FD int lock = -1;
    CLEANUP_FREE char *path = NULL;

    if (fs_mkdir_p(s->root, 0700, err) < 0 || fs_mkdir_p(s->objects, 0700, err) < 0 ||
        fs_mkdir_p(s->temporary, 0700, err) < 0)
        return -1;
    lock = lock_store(ctx, s, err);
    if (lock < 0)
        return -1;
    remove_abandoned(s);
    path = xasprintf("%s/XXXXXX", s->temporary);
    w->fd = mkostemp(path, O_CLOEXEC);
    if (w->fd < 0)
        return store_error(err, "cannot write to the store", s->root);
    w->path = steal_ptr(&path);
    if (flock(w->fd, LOCK_EX | LOCK_NB) < 0)
        return store_error(err, "cannot lock", w->path);
    if (lseek(w->fd, HEADER_SIZE, SEEK_SET) < 0)
        return store_error(err, "cannot write to", w->path);
    w->flushed_bytes = 0;
    sha256_begin(&w->hash);
    return 0;
}

static int sync_directory(const char *path, struct err *err)
{
    CLEANUP_FD int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd < 0 || (fsync(fd) < 0 && errno != EINVAL))
        return store_error(err, "cannot write the directory", path);
    return 0;
}

static int publish(const struct ctx *ctx, const struct local_store *s, struct writer *w,
                   struct err *err)
{
    CLEANUP_FREE char *path = object_path(s, w->info.key);
    CLEANUP_FREE char *directory = xstrdup(path);
    CLEANUP_FD int lock = lock_store(ctx, s, err);

    if (lock < 0)
        return -1;
    *strrchr(directory, '/') = '\0';
    if (fs_mkdir_p(directory, 0700, err) < 0)
        return -1;
    if (rename(w->path, path) < 0)
        return store_error(err, "cannot write", path);
    free(steal_ptr(&w->path));
    return sync_directory(directory, err);
}

static int writer_finish(const struct ctx *ctx, const struct local_store *s, struct writer *w,
                         struct err *err)
{
    char header[HEADER_SIZE];

    sha256_hex(&w->hash, w->info.sha256);
    w->info.stored_ms = w->info.used_ms = clock_wall_ms();
    format_header(&w->info, header);
    if (pwrite(w->fd, header, sizeof(header), 0) != sizeof(header))
        return store_error(err, "cannot write to the store", s->root);
    stamp(w->fd, &w->info);
    if (fsync(w->fd) < 0)
        return store_error(err, "cannot write to the store", s->root);
    return publish(ctx, s, w, err);
}

static void writer_release(struct writer *w)
{
    if (w->path)
        unlink(w->path);
    free(w->path);
    if (w->fd >= 0)
        close(w->fd);
}

static int local_put(const struct ctx *ctx, struct object_store *store, const char *key,
                     const struct object_source *source, struct object_info *ret, struct err *err)
{
    const struct local_store *s = local(store);
    struct writer w = {.sink.write = write_content, .store = s, .fd = -1};
    int result = -1;

    if (object_key_check(key, err) < 0)
        return -1;
    snprintf(w.info.key, sizeof(w.info.key), "%s", key);
    if (writer_begin(ctx, s, &w, err) == 0 && source->produce(source->arg, ctx, &w.sink, err) == 0)
        result = writer_finish(ctx, s, &w, err);
    writer_release(&w);
    if (result < 0)
        return -1;
    if (ret)
        *ret = w.info;
    if (s->max_bytes) {
        const struct object_trim trim = {.max_bytes = s->max_bytes, .unused_ms = -1, .keep = key};

        return object_store_trim(ctx, store, "", &trim, err);
    }
    return 0;
}

/* --- reading --- */

/* 1: it is what its header says, 0: it is not. */
static int verify(const struct ctx *ctx, int fd, const struct object_info *info, struct err *err)
{
    CLEANUP_FREE char *chunk = xmalloc(CHUNK_BYTES);
    char hex[SHA256_HEX_SIZE];
    struct sha256 hash;
    off_t at = HEADER_SIZE;

    sha256_begin(&hash);
    posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL);
    for (;;) {
        ssize_t got;

        if (ctx_check(ctx, err) < 0)
            return -1;
        got = pread(fd, chunk, CHUNK_BYTES, at);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0 && errno != EIO)
            return err_errno(err, "cannot read the object \"%s\"", info->key);
        if (got <= 0)
            break;
        sha256_add(&hash, chunk, (size_t)got);
        at += got;
    }
    sha256_hex(&hash, hex);
    return strcmp(hex, info->sha256) == 0;
}

static int damaged(const struct ctx *ctx, const struct local_store *s, const char *key, int fd,
                   struct err *err)
{
    struct err local_err = ERR_INIT;
    struct stat st;

    if (fstat(fd, &st) == 0 && remove_object(ctx, s, key, &st, &local_err) < 0 &&
        local_err.code != ERR_NOT_FOUND)
        return err_set(err, ERR_PROTOCOL, "the object \"%s\" is damaged and cannot be removed: %s",
                       key, local_err.message);
    return err_set(err, ERR_PROTOCOL, "the object \"%s\" was damaged and has been removed", key);
}

static int local_get(const struct ctx *ctx, struct object_store *store, const char *key,
                     int *ret_fd, struct object_info *ret, struct err *err)
{
    const struct local_store *s = local(store);
    CLEANUP_FD int fd = -1;
    struct object_info info;
    int good;

    if (object_key_check(key, err) < 0)
        return -1;
    fd = open_object(s, key, err);
    if (fd < 0)
        return -1;
    good = read_header(fd, key, &info) ? verify(ctx, fd, &info, err) : 0;
    if (good <= 0)
        return good < 0 ? -1 : damaged(ctx, s, key, fd, err);
    stamp(fd, &info);
    if (lseek(fd, HEADER_SIZE, SEEK_SET) < 0)
        return err_errno(err, "cannot read the object \"%s\"", key);
    if (ret)
        *ret = info;
    *ret_fd = steal_fd(&fd);
    return 0;
}

/* One that its header already shows to be broken is not there: get() removes it, put() replaces it.
 */
static int local_head(const struct ctx *ctx, struct object_store *store, const char *key,
                      struct object_info *ret, struct err *err)
{
    CLEANUP_FD int fd = -1;
    struct object_info info;

    if (ctx_check(ctx, err) < 0 || object_key_check(key, err) < 0)
        return -1;
    fd = open_object(local(store), key, err);
    if (fd < 0)
        return -1;
    if (!read_header(fd, key, &info))
        return err_set(err, ERR_NOT_FOUND, "there is no whole object \"%s\"", key);
    if (ret)
        *ret = info;
    return 0;
}

/* --- listing --- */

struct listing {
    const struct ctx *ctx;
    const struct local_store *store;
    const char *prefix;
    struct object_list *list;
    struct buf key; /* of the directory, with a slash behind it */
};

/* Whether keys that begin with `key` can begin with the prefix. */
static bool may_hold(const struct listing *l)
{
    size_t len = strlen(l->prefix);

    return strncmp(l->key.data, l->prefix, l->key.len < len ? l->key.len : len) == 0;
}

static void list_file(struct listing *l, int dir_fd, const char *name)
{
    CLEANUP_FD int fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    struct object_info info;

    buf_add(&l->key, name, strlen(name) - strlen(MARK));
    if (fd >= 0 && strncmp(l->key.data, l->prefix, strlen(l->prefix)) == 0 &&
        l->key.len <= OBJECT_KEY_MAX) {
        struct stat st;

        /* A damaged one takes its place in the store, too. */
        if (!read_header(fd, l->key.data, &info) && fstat(fd, &st) == 0) {
            info.size_bytes = st.st_size;
            info.sha256[0] = '\0';
            info.used_ms = info.stored_ms = (int64_t)st.st_mtim.tv_sec * 1000;
        }
        vec_push(l->list, info);
    }
}

static int list_directory(struct listing *l, const char *path, unsigned depth, struct err *err)
{
    DIR *dir = opendir(path);
    struct dirent *entry;
    int result = 0;

    if (!dir)
        return errno == ENOENT ? 0 : store_error(err, "cannot read", path);
    while (result == 0 && (entry = readdir(dir))) {
        size_t len = strlen(entry->d_name);
        size_t above = l->key.len;

        if (entry->d_name[0] == '.' && (len == 1 || (len == 2 && entry->d_name[1] == '.')))
            continue;
        if (ctx_check(l->ctx, err) < 0) {
            result = -1;
        } else if (entry->d_name[len - 1] == MARK[0]) {
            list_file(l, dirfd(dir), entry->d_name);
        } else if (depth < DEPTH_MAX) {
            CLEANUP_FREE char *below = fs_join(path, entry->d_name);

            buf_addf(&l->key, "%s/", entry->d_name);
            if (may_hold(l))
                result = list_directory(l, below, depth + 1, err);
        }
        buf_truncate(&l->key, above);
    }
    closedir(dir);
    return result;
}

static int local_list(const struct ctx *ctx, struct object_store *store, const char *prefix,
                      struct object_list *ret, struct err *err)
{
    struct listing l = {
        .ctx = ctx, .store = local(store), .prefix = prefix, .list = ret, .key = BUF_INIT};
    int result = list_directory(&l, l.store->objects, 0, err);

    buf_release(&l.key);
    if (result == 0)
        object_list_sort(ret);
    return result;
}

/* --- the store --- */

static void local_close(struct object_store *store)
{
    struct local_store *s = local(store);

    free(s->root);
    free(s->objects);
    free(s->temporary);
    free(s);
}

static const struct object_store_ops local_ops = {.name = "local",
                                                  .put = local_put,
                                                  .get = local_get,
                                                  .head = local_head,
                                                  .list = local_list,
                                                  .remove = local_remove,
                                                  .close = local_close};

void object_store_local_open(const struct object_store_local_options *options,
                             struct object_store **ret)
{
    struct local_store *s = xcalloc(1, sizeof(*s));

    s->store.ops = &local_ops;
    s->root = fs_absolute(options->root);
    s->objects = fs_join(s->root, "objects");
    s->temporary = fs_join(s->root, "tmp");
    s->max_bytes = options->max_bytes;
    *ret = &s->store;
}
