#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/fs.h"
#include "base/logger.h"
#include "engine/host/private.h"

static bool same(const struct host_files *a, const struct host_files *b)
{
    return strcmp(a->names, b->names) == 0 && a->uid == b->uid && a->gid == b->gid;
}

char *host_files_take(struct host_instance *instance, const struct host_files *wanted)
{
    char *dir = NULL;

    pthread_mutex_lock(&instance->mu);
    for (size_t i = instance->idle_files.len; i-- > 0 && !dir;) {
        struct host_files *files = &instance->idle_files.items[i];

        if (!same(files, wanted))
            continue;
        dir = files->dir;
        free(files->names);
        *files = instance->idle_files.items[--instance->idle_files.len];
    }
    pthread_mutex_unlock(&instance->mu);
    return dir;
}

static bool is_empty_file(int dir_fd, const char *name, size_t len, const struct host_files *files)
{
    CLEANUP_FREE char *path = xstrndup(name, len);
    struct stat status;

    return fstatat(dir_fd, path, &status, AT_SYMLINK_NOFOLLOW) == 0 &&
           status.st_mode == (S_IFREG | 0600) && status.st_size == 0 && status.st_nlink == 1 &&
           status.st_uid == files->uid && status.st_gid == files->gid;
}

static bool has_entries(DIR *dir, size_t count)
{
    size_t found = 0;

    while (found <= count + 2 && readdir(dir))
        found++;
    return found == count + 2; /* "." and ".." */
}

/* As it was made: nothing of the step is in it. */
static bool is_untouched(const struct host_files *files)
{
    DIR *dir = opendir(files->dir);
    struct stat status;
    size_t count = 0;
    bool untouched;

    if (!dir)
        return false;
    untouched = fstat(dirfd(dir), &status) == 0 && status.st_mode == (S_IFDIR | 0700) &&
                status.st_uid == files->uid && status.st_gid == files->gid;
    for (const char *at = files->names, *end; untouched && *at; at = end + 1, count++) {
        end = strchr(at, '/');
        untouched = is_empty_file(dirfd(dir), at, (size_t)(end - at), files);
    }
    untouched = untouched && has_entries(dir, count);
    closedir(dir);
    return untouched;
}

bool host_files_give_back(struct host_instance *instance, const struct host_files *files)
{
    if (!is_untouched(files))
        return false;
    pthread_mutex_lock(&instance->mu);
    vec_push(&instance->idle_files, *files);
    pthread_mutex_unlock(&instance->mu);
    return true;
}

void host_files_release(struct host_instance *instance)
{
    vec_foreach (struct host_files *, files, &instance->idle_files) {
        struct err err = ERR_INIT;

        if (fs_remove_tree(files->dir, &err) < 0)
            log_warn("host", "%s", err.message);
        free(files->dir);
        free(files->names);
    }
    vec_release(&instance->idle_files);
}
