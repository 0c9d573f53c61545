#include "exec/workdir.h"

#include <limits.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/ctx.h"
#include "base/fs.h"

enum { REMOVE_ATTEMPTS = 3, REMOVE_DELAY_MS = 200 };

/* The first directory on the way to `path` that does not exist; NULL: all do. */
static char *first_missing(const char *path)
{
    for (size_t len = 1;; len++) {
        CLEANUP_FREE char *partial = NULL;

        len += strcspn(path + len, "/");
        partial = xstrndup(path, len);
        if (!fs_exists(partial))
            return steal_ptr(&partial);
        if (!path[len])
            return NULL;
    }
}

int workdir_prepare(const char *path, char **ret_made, struct err *err)
{
    CLEANUP_FREE char *made = first_missing(path);

    if (fs_mkdir_p(path, 0777, err) < 0)
        return err_wrap(err, "cannot prepare the workdir");
    if (access(path, R_OK | X_OK) < 0)
        return err_errno(err, "cannot use the workdir %s", path);
    *ret_made = steal_ptr(&made);
    return 0;
}

static bool same_directory(const char *a, const char *b)
{
    struct stat sa;
    struct stat sb;

    return a && b && stat(a, &sa) == 0 && stat(b, &sb) == 0 && sa.st_dev == sb.st_dev &&
           sa.st_ino == sb.st_ino;
}

/* Whether `path` is the directory `inner`, or one above it. */
static bool holds(const char *path, const char *inner)
{
    char here[PATH_MAX];

    if (!inner || !realpath(inner, here))
        return false;
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

static bool holds_home(const char *path)
{
    struct passwd *entry;
    bool found = holds(path, getenv("HOME"));

    setpwent();
    while (!found && (entry = getpwent()))
        found = holds(path, entry->pw_dir);
    endpwent();
    return found;
}

bool workdir_is_removable(const char *path)
{
    char here[PATH_MAX];

    return !same_directory(path, "/") && getcwd(here, sizeof(here)) && !holds(path, here) &&
           !holds_home(path);
}

static void remove_made_parents(const char *path, const char *made)
{
    CLEANUP_FREE char *parent = xstrdup(path);

    for (;;) {
        char *slash = strrchr(parent, '/');

        *slash = '\0';
        if (strlen(parent) < strlen(made) || rmdir(parent) < 0)
            return;
    }
}

int workdir_remove(const char *path, const char *made, struct err *err)
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
    if (result == 0 && made)
        remove_made_parents(path, made);
    return result;
}
