#include "base/fs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "base/fs_writer.h"
#include "base/vec.h"

int fs_read_fd(int fd, const char *name, size_t max, struct buf *out, struct err *err)
{
    struct stat st;

    if (fstat(fd, &st) == 0 && S_ISDIR(st.st_mode))
        return err_set(err, ERR_INVALID, "%s is a directory, not a file", name);
    for (;;) {
        ssize_t got;

        buf_reserve(out, 16384);
        got = read(fd, out->data + out->len, out->cap - out->len - 1);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return err_errno(err, "cannot read %s", name);
        out->len += (size_t)got;
        out->data[out->len] = '\0';
        if (out->len > max)
            return err_set(err, ERR_LIMIT, "%s is larger than %zu bytes", name, max);
        if (got == 0)
            return 0;
    }
}

int fs_read_file(const char *path, size_t max, struct buf *out, struct err *err)
{
    CLEANUP_FD int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0 && errno == ENOENT)
        return err_set(err, ERR_NOT_FOUND, "%s does not exist", path);
    if (fd < 0)
        return err_errno(err, "cannot open %s", path);
    return fs_read_fd(fd, path, max, out, err);
}

int fs_write_all(int fd, const void *data, size_t len, struct err *err)
{
    const char *at = data;

    while (len > 0) {
        ssize_t put = write(fd, at, len);

        if (put < 0 && errno == EAGAIN) {
            /* Somebody who shares the file has made it non-blocking. */
            struct pollfd room = {.fd = fd, .events = POLLOUT};

            poll(&room, 1, -1);
            continue;
        }
        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0)
            return err_errno(err, "write failed");
        at += put;
        len -= (size_t)put;
    }
    return 0;
}

static bool is_special(const char *path)
{
    struct stat st;

    return stat(path, &st) == 0 && !S_ISREG(st.st_mode);
}

int fs_write_file(const char *path, const void *data, size_t len, mode_t mode, struct err *err)
{
    CLEANUP_FS_WRITER struct fs_writer w = FS_WRITER_INIT;

    if (fs_writer_open(&w, path, mode, err) < 0)
        return -1;
    buf_add(&w.buf, data, len);
    return fs_writer_commit(&w, err);
}

int fs_check_writable(const char *path, struct err *err)
{
    CLEANUP_FS_WRITER struct fs_writer w = FS_WRITER_INIT;

    if (fs_is_directory(path))
        return err_set(err, ERR_INVALID, "cannot write %s: Is a directory", path);
    if (is_special(path))
        return access(path, W_OK) < 0 ? err_errno(err, "cannot write %s", path) : 0;
    return fs_writer_open(&w, path, 0600, err);
}

int fs_mkdir_p(const char *path, mode_t mode, struct err *err)
{
    CLEANUP_FREE char *partial = xstrdup(path);
    size_t len = strlen(partial);

    while (len > 1 && partial[len - 1] == '/')
        partial[--len] = '\0';
    for (size_t i = 1; i <= len; i++) {
        bool last = i == len;
        bool created;

        if (!last && partial[i] != '/')
            continue;
        partial[i] = '\0';
        created = mkdir(partial, mode) == 0;
        if (!created && errno != EEXIST)
            return err_errno(err, "cannot create the directory %s", partial);
        if (!created && last && !fs_is_directory(partial))
            return err_set(err, ERR_CONFLICT, "%s exists and is not a directory", partial);
        if (!last)
            partial[i] = '/';
    }
    return 0;
}

static int remove_entry(int dir_fd, const char *name, dev_t device, struct err *err);

/* Empties the directory that fd is open on; takes fd over. */
static int remove_children(int fd, const char *name, dev_t device, struct err *err)
{
    DIR *dir = fdopendir(fd);
    struct dirent *entry;
    int result = 0;

    if (!dir) {
        close(fd);
        return err_errno(err, "cannot read the directory %s", name);
    }
    while (result == 0 && (entry = readdir(dir))) {
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            result = remove_entry(dirfd(dir), entry->d_name, device, err);
    }
    closedir(dir);
    return result;
}

static int remove_entry(int dir_fd, const char *name, dev_t device, struct err *err)
{
    struct stat st;
    int fd;

    if (unlinkat(dir_fd, name, 0) == 0 || errno == ENOENT)
        return 0;
    if (errno != EISDIR && errno != EPERM)
        return err_errno(err, "cannot remove %s", name);
    fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 && errno == EACCES && fchmodat(dir_fd, name, 0700, 0) == 0)
        fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT)
        return 0; /* another who removes it was faster */
    if (fd < 0)
        return err_errno(err, "cannot open %s to remove it", name);
    if (fstat(fd, &st) < 0 || st.st_dev != device) {
        close(fd);
        return err_set(err, ERR_CONFLICT, "%s is a mount point and stays", name);
    }
    if ((st.st_mode & 0700) != 0700)
        fchmod(fd, 0700);
    if (remove_children(fd, name, device, err) < 0)
        return -1;
    if (unlinkat(dir_fd, name, AT_REMOVEDIR) < 0 && errno != ENOENT)
        return err_errno(err, "cannot remove the directory %s", name);
    return 0;
}

int fs_remove_tree_at(int dir_fd, const char *name, struct err *err)
{
    struct stat st;

    if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return errno == ENOENT ? 0 : err_errno(err, "cannot examine %s", name);
    return remove_entry(dir_fd, name, st.st_dev, err);
}

int fs_remove_tree(const char *path, struct err *err)
{
    return fs_remove_tree_at(AT_FDCWD, path, err);
}

bool fs_is_directory(const char *path)
{
    struct stat st;

    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

bool fs_exists(const char *path)
{
    return access(path, F_OK) == 0;
}

char *fs_join(const char *dir, const char *name)
{
    size_t len = strlen(dir);

    if (*name == '/')
        return xstrdup(name);
    return xasprintf("%s%s%s", dir, len && dir[len - 1] == '/' ? "" : "/", name);
}

char *fs_absolute(const char *path)
{
    char here[PATH_MAX];
    CLEANUP_FREE char *full = NULL;
    struct buf out = BUF_INIT;

    if (*path == '/' || !getcwd(here, sizeof(here)))
        full = xstrdup(path);
    else
        full = fs_join(here, path);
    for (const char *s = full; *s;) {
        size_t len;

        while (*s == '/')
            s++;
        len = strcspn(s, "/");
        if (len == 2 && strncmp(s, "..", 2) == 0) {
            char *slash = strrchr(out.data, '/');
            buf_truncate(&out, slash ? (size_t)(slash - out.data) : 0);
        } else if (len > 0 && !(len == 1 && *s == '.')) {
            buf_addch(&out, '/');
            buf_add(&out, s, len);
        }
        s += len;
    }
    if (!out.len)
        buf_addch(&out, '/');
    return buf_steal(&out);
}
