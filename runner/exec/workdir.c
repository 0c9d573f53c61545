#include "exec/workdir.h"

#include <limits.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/ctx.h"
#include "base/fs.h"

enum { REMOVE_ATTEMPTS = 3, REMOVE_DELAY_MS = 200 };

int workdir_prepare(const char *path, bool *ret_created, struct err *err)
{
    if (fs_mkdir_p(path, 0777, ret_created, err) < 0)
        return err_wrap(err, "cannot prepare the workdir");
    if (access(path, R_OK | X_OK) < 0)
        return err_errno(err, "cannot use the workdir %s", path);
    return 0;
}

static bool same_directory(const char *a, const char *b)
{
    struct stat sa;
    struct stat sb;

    return a && b && stat(a, &sa) == 0 && stat(b, &sb) == 0 && sa.st_dev == sb.st_dev &&
           sa.st_ino == sb.st_ino;
}

/* Whether `path` is the current directory or holds it. */
static bool holds_current_directory(const char *path)
{
    char here[PATH_MAX];

    if (!getcwd(here, sizeof(here)))
        return true;
    for (;;) {
        char *slash;

        if (same_directory(path, here))
            return true;
        slash = strrchr(here, '/');
        if (!slash || !here[1])
            return false;
        slash[slash == here] = '\0';
    }
}

static bool is_home(const char *path)
{
    struct passwd *entry;
    bool found = same_directory(path, getenv("HOME"));

    setpwent();
    while (!found && (entry = getpwent()))
        found = same_directory(path, entry->pw_dir);
    endpwent();
    return found;
}

bool workdir_is_removable(const char *path)
{
    return !same_directory(path, "/") && !holds_current_directory(path) && !is_home(path);
}

int workdir_remove(const char *path, struct err *err)
{
    struct ctx ctx;
    int result = -1;

    ctx_init_cleanup(&ctx, 30000);
    for (int i = 0; i < REMOVE_ATTEMPTS && result < 0; i++) {
        if (i > 0 && ctx_sleep(&ctx, REMOVE_DELAY_MS, NULL) < 0)
            break;
        result = fs_remove_tree(path, err);
    }
    ctx_release(&ctx);
    return result;
}
