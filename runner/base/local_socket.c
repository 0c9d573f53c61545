#include "base/local_socket.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/cleanup.h"

enum { LOCK_TRIES = 100 };

/* false: errno is ENAMETOOLONG. */
static bool set_address(const char *path, struct sockaddr_un *ret)
{
    *ret = (struct sockaddr_un){.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof(ret->sun_path)) {
        errno = ENAMETOOLONG;
        return false;
    }
    memcpy(ret->sun_path, path, strlen(path));
    return true;
}

static int make(int type)
{
    return socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
}

/* The kernel does not tell a socket that nobody listens on from what is none. */
static bool is_other_file(const char *path)
{
    struct stat st;

    return stat(path, &st) == 0 && !S_ISSOCK(st.st_mode);
}

int local_socket_connect(const char *path, int type)
{
    struct sockaddr_un address;
    CLEANUP_FD int fd = make(type);

    if (fd < 0 || !set_address(path, &address))
        return -1;
    if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0) {
        if (errno == ECONNREFUSED)
            errno = is_other_file(path) ? ENOTSOCK : ECONNREFUSED;
        return -1;
    }
    return steal_fd(&fd);
}

static int remove_stale(const char *path, int type, struct err *err)
{
    CLEANUP_FD int fd = -1;
    struct stat st;

    if (lstat(path, &st) < 0)
        return 0;
    if (!S_ISSOCK(st.st_mode))
        return err_set(err, ERR_CONFLICT, "%s is there, and no socket", path);
    fd = local_socket_connect(path, type);
    if (fd >= 0 || errno == EAGAIN)
        return err_set(err, ERR_CONFLICT, "another process listens on %s already", path);
    if (errno != ECONNREFUSED || unlink(path) < 0)
        return err_errno(err, "%s cannot be replaced", path);
    return 0;
}

/* Between the look at what is there and the listening nobody else does the same. Where directories
 * cannot be locked, as on some network file systems, or somebody keeps this one locked, that is
 * left to luck. */
static int lock_directory(const char *path)
{
    const struct timespec moment = {.tv_nsec = 10 * 1000 * 1000};
    CLEANUP_FREE char *dir = xstrndup(path, (size_t)(strrchr(path, '/') - path) + 1);
    CLEANUP_FD int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    for (int i = 0; fd >= 0 && i < LOCK_TRIES && flock(fd, LOCK_EX | LOCK_NB) < 0; i++) {
        if (errno != EWOULDBLOCK)
            break;
        nanosleep(&moment, NULL);
    }
    return steal_fd(&fd);
}

int local_socket_listen(const char *path, int type, int backlog, struct err *err)
{
    struct sockaddr_un address;
    CLEANUP_FD int fd = make(type);
    CLEANUP_FD int lock = -1;

    if (fd < 0)
        return err_errno(err, "cannot make a socket");
    if (!set_address(path, &address))
        return err_set(err, ERR_INVALID, "%s: the path of a socket has at most %zu characters",
                       path, sizeof(address.sun_path) - 1);
    lock = lock_directory(path);
    if (remove_stale(path, type, err) < 0)
        return -1;
    /* The file gets the mode of the socket. The umask is that of all threads. */
    if (fchmod(fd, 0600) < 0 || bind(fd, (const struct sockaddr *)&address, sizeof(address)) < 0 ||
        listen(fd, backlog) < 0)
        return err_errno(err, "cannot listen on %s", path);
    return steal_fd(&fd);
}
