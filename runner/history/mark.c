#include "history/mark.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/fs.h"
#include "record/record.h"

enum {
    TRIES_MAX = 100,
    OPEN_FLAGS = O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, /* a pipe keeps nobody waiting */
};

static char *path_of(const char *dir, const char *kind, const char *name)
{
    return xasprintf("%s/%s/%s", dir, kind, name);
}

/* Between creation and lock somebody may have taken the mark for one that was left behind, and
 * removed it: then it has no link any more, and the next try makes another. */
static int add(const char *path, struct err *err)
{
    for (int attempt = 0; attempt < TRIES_MAX; attempt++) {
        CLEANUP_FD int fd = open(path, OPEN_FLAGS | O_CREAT, 0600);
        struct stat st;

        if (fd < 0 || flock(fd, LOCK_EX) < 0 || fstat(fd, &st) < 0)
            return err_errno(err, "cannot create %s", path);
        if (st.st_nlink > 0)
            return steal_fd(&fd);
    }
    return err_set(err, ERR_CONFLICT, "%s disappears as it is made", path);
}

int mark_add(const char *dir, const char *kind, const char *name, struct err *err)
{
    CLEANUP_FREE char *marks = fs_join(dir, kind);
    CLEANUP_FREE char *path = path_of(dir, kind, name);

    return fs_mkdir_p(marks, 0700, err) < 0 ? -1 : add(path, err);
}

/* Some file systems cannot, and have nothing to lose. */
static int sync_fd(int fd, const char *path, struct err *err)
{
    return fsync(fd) < 0 && errno != EINVAL ? err_errno(err, "cannot write %s", path) : 0;
}

static int sync_directory(const char *path, struct err *err)
{
    CLEANUP_FD int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    return fd < 0 ? err_errno(err, "cannot open %s", path) : sync_fd(fd, path, err);
}

int mark_sync(const char *dir, const char *kind, int mark, struct err *err)
{
    CLEANUP_FREE char *marks = fs_join(dir, kind);

    if (sync_fd(mark, marks, err) < 0 || sync_directory(marks, err) < 0)
        return -1;
    return sync_directory(dir, err);
}

int mark_take(const char *dir, const char *kind, const char *name)
{
    CLEANUP_FREE char *path = path_of(dir, kind, name);
    CLEANUP_FD int fd = open(path, OPEN_FLAGS);
    struct stat st;

    /* One that has been removed meanwhile is no mark: there may be another by its name. */
    if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) < 0 || fstat(fd, &st) < 0 || st.st_nlink == 0)
        return -1;
    return steal_fd(&fd);
}

void mark_remove(const char *dir, const char *kind, const char *name)
{
    CLEANUP_FREE char *path = path_of(dir, kind, name);

    unlink(path);
}

bool mark_exists(const char *dir, const char *kind, const char *name)
{
    CLEANUP_FREE char *path = path_of(dir, kind, name);

    return access(path, F_OK) == 0;
}

int marks_list(const char *dir, const char *kind, struct strvec *out, struct err *err)
{
    CLEANUP_FREE char *marks = fs_join(dir, kind);
    DIR *stream = opendir(marks);
    struct dirent *entry;

    if (!stream)
        return errno == ENOENT ? 0 : err_errno(err, "cannot read %s", marks);
    while ((entry = readdir(stream))) {
        if (*entry->d_name != '.')
            strvec_push(out, entry->d_name);
    }
    closedir(stream);
    return 0;
}
