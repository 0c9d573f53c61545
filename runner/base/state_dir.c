#include "base/state_dir.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"

void state_dirs_push(struct strvec *out, char *dir)
{
    if (strvec_has(out, dir))
        free(dir);
    else
        strvec_push_owned(out, dir);
}

static void push_env_dir(struct strvec *out, const char *variable, const char *below)
{
    const char *dir = getenv(variable);

    if (dir && *dir == '/')
        state_dirs_push(out, xasprintf("%s%s", dir, below));
}

void state_dirs(bool of_session, struct strvec *out)
{
    if (of_session)
        push_env_dir(out, "XDG_RUNTIME_DIR", "/runner");
    push_env_dir(out, "XDG_STATE_HOME", "/runner");
    push_env_dir(out, "HOME", "/.local/state/runner");
    state_dirs_push(out, xasprintf("/tmp/runner-%u", (unsigned)geteuid()));
}

int state_dir_check(int dir_fd, const char *path, struct err *err)
{
    struct stat st;

    if (fstat(dir_fd, &st) < 0)
        return err_errno(err, "cannot examine %s", path);
    if (st.st_uid != geteuid())
        return err_set(err, ERR_DENIED, "%s belongs to user %u, not to this one; remove it", path,
                       (unsigned)st.st_uid);
    if (st.st_mode & 022)
        return err_set(err, ERR_DENIED, "%s can be written by others; chmod it to 0700", path);
    return 0;
}

int state_dir_open(const char *path, struct err *err)
{
    CLEANUP_FD int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

    if (fd < 0 && errno == ENOENT) {
        if (fs_mkdir_p(path, 0700, err) < 0)
            return -1;
        fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    }
    if (fd < 0)
        return err_errno(err, "cannot open the state directory %s", path);
    return state_dir_check(fd, path, err) < 0 ? -1 : steal_fd(&fd);
}
