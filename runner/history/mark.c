#include "history/mark.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/fs.h"
#include "record/record.h"

#define MARKS_NAME "open"

static char *path_of(const char *dir, const char *run_id)
{
    return xasprintf("%s/" MARKS_NAME "/%s", dir, run_id);
}

int mark_add(const char *dir, const char *run_id, struct err *err)
{
    CLEANUP_FREE char *marks = fs_join(dir, MARKS_NAME);
    CLEANUP_FREE char *path = path_of(dir, run_id);
    CLEANUP_FD int fd = -1;

    if (fs_mkdir_p(marks, 0700, err) < 0)
        return -1;
    fd = open(path, O_RDONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) < 0)
        return err_errno(err, "cannot create %s", path);
    return steal_fd(&fd);
}

bool mark_is_left(const char *dir, const char *run_id)
{
    CLEANUP_FREE char *path = path_of(dir, run_id);
    CLEANUP_FD int fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);

    return fd < 0 ? errno == ENOENT : flock(fd, LOCK_SH | LOCK_NB) == 0;
}

void mark_remove(const char *dir, const char *run_id)
{
    CLEANUP_FREE char *path = path_of(dir, run_id);

    unlink(path);
}

int marks_list(const char *dir, struct strvec *out, struct err *err)
{
    CLEANUP_FREE char *marks = fs_join(dir, MARKS_NAME);
    DIR *stream = opendir(marks);
    struct dirent *entry;

    if (!stream)
        return errno == ENOENT ? 0 : err_errno(err, "cannot read %s", marks);
    while ((entry = readdir(stream))) {
        if (record_id_is_valid(entry->d_name))
            strvec_push(out, entry->d_name);
    }
    closedir(stream);
    return 0;
}
