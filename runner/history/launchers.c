/* Launchers in containers of their own, while they are being made: a mark says that such a
 * container may be there, and beside it is the socket that the launcher connects to. It is reached
 * by the descriptor of the directory, so that no path is too long for it. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/fs.h"
#include "history/history.h"
#include "history/mark.h"

/* What begins with a dot is no mark. */
static int open_socket(const char *dir, const char *id, int *ret_dir, struct sockaddr_un *ret,
                       struct err *err)
{
    CLEANUP_FREE char *marks = fs_join(dir, MARKS_LAUNCHERS);
    CLEANUP_FD int dir_fd = open(marks, O_PATH | O_DIRECTORY | O_CLOEXEC);
    CLEANUP_FD int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    int length;

    *ret = (struct sockaddr_un){.sun_family = AF_UNIX};
    length = snprintf(ret->sun_path, sizeof(ret->sun_path), "/proc/self/fd/%d/.%s", dir_fd, id);
    if (dir_fd < 0 || fd < 0)
        return err_errno(err, "cannot make a socket in %s", marks);
    if (length >= (int)sizeof(ret->sun_path))
        return err_set(err, ERR_INVALID, "\"%.40s\" is not the id of a launcher", id);
    *ret_dir = steal_fd(&dir_fd);
    return steal_fd(&fd);
}

static int listen_for(const char *dir, const char *id, struct err *err)
{
    struct sockaddr_un address;
    CLEANUP_FD int dir_fd = -1;
    CLEANUP_FD int fd = open_socket(dir, id, &dir_fd, &address, err);

    if (fd < 0)
        return -1;
    if (fcntl(fd, F_SETFL, O_NONBLOCK) < 0 ||
        bind(fd, (const struct sockaddr *)&address, sizeof(address)) < 0 || listen(fd, 1) < 0)
        return err_errno(err, "cannot make a socket in %s/" MARKS_LAUNCHERS, dir);
    return steal_fd(&fd);
}

int history_launcher_begin(const char *dir, const char *id, int *ret_listener, struct err *err)
{
    int mark = mark_add(dir, MARKS_LAUNCHERS, id, err);
    int fd;

    if (mark < 0)
        return -1;
    fd = listen_for(dir, id, err);
    if (fd < 0) {
        history_launcher_end(dir, id, mark);
        return -1;
    }
    *ret_listener = fd;
    return mark;
}

void history_launcher_end(const char *dir, const char *id, int fd)
{
    CLEANUP_FREE char *path = xasprintf("%s/" MARKS_LAUNCHERS "/.%s", dir, id);

    unlink(path);
    mark_remove(dir, MARKS_LAUNCHERS, id);
    close(fd);
}

int history_launcher_join(const char *dir, const char *id, int *ret_fd, struct err *err)
{
    struct sockaddr_un address;
    CLEANUP_FD int dir_fd = -1;
    CLEANUP_FD int fd = open_socket(dir, id, &dir_fd, &address, err);

    if (fd < 0)
        return -1;
    if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0) {
        if (errno == ENOENT || errno == ECONNREFUSED)
            return err_set(err, ERR_LOST,
                           "the server that this launcher was made for is gone, or its history is "
                           "not in %s",
                           dir);
        return err_errno(err, "cannot reach the server through %s/" MARKS_LAUNCHERS, dir);
    }
    *ret_fd = steal_fd(&fd);
    return 0;
}

void history_launchers(const char *dir, struct strvec *ret)
{
    (void)!marks_list(dir, MARKS_LAUNCHERS, ret, NULL);
}

int history_launcher_take(const char *dir, const char *id)
{
    return mark_take(dir, MARKS_LAUNCHERS, id);
}
