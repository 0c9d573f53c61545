#include "archive/below.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"

static void close_directory(struct below *b)
{
    if (b->directory_fd >= 0)
        close(steal_fd(&b->directory_fd));
}

void below_release(struct below *b)
{
    close_directory(b);
    buf_release(&b->directory);
}

int below_enter(const struct below *b, int dir_fd, const char *name, const char *path, bool make,
                struct err *err)
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
                       "cannot %s %s: \"%s\" on the way to it is a link or a file", b->purpose,
                       path, name);
    return fd < 0 ? err_errno(err, "cannot open the directory of %s", path) : fd;
}

int below_walk(const struct below *b, const char *path, size_t len, bool make, struct err *err)
{
    CLEANUP_FREE char *copy = xstrndup(path, len);
    CLEANUP_FD int fd = fcntl(b->root_fd, F_DUPFD_CLOEXEC, 3);

    if (fd < 0)
        return err_errno(err, "cannot open the directory of %s", path);
    for (char *s = copy; *s;) {
        size_t part = strcspn(s, "/");
        bool more = s[part] == '/';
        int next;

        s[part] = '\0';
        next = below_enter(b, fd, s, path, make, err);
        if (next < 0)
            return -1;
        close(fd);
        fd = next;
        s += part + more;
    }
    return steal_fd(&fd);
}

int below_parent(struct below *b, const char *path, bool make, const char **ret_name,
                 struct err *err)
{
    const char *slash = strrchr(path, '/');
    size_t len = slash ? (size_t)(slash - path) : 0;

    *ret_name = slash ? slash + 1 : path;
    if (b->directory_fd >= 0 && b->directory.len == len &&
        memcmp(b->directory.data, path, len) == 0)
        return b->directory_fd;
    close_directory(b);
    buf_reset(&b->directory);
    buf_add(&b->directory, path, len);
    b->directory_fd = below_walk(b, path, len, make, err);
    return b->directory_fd;
}
