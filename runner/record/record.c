#include "record/record.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/state_dir.h"
#include "record/files.h"

/* Pipeline files are a few kilobytes; more than this is none of ours. */
enum { PIPELINE_MAX = 64 << 20, NEW_AGE_S = 3600, TRIES_MAX = 3 };

void record_dirs(const char *runs_dir, struct strvec *out)
{
    CLEANUP_STRVEC struct strvec dirs = {0};

    if (runs_dir) {
        strvec_push_owned(out, fs_absolute(runs_dir));
        return;
    }
    state_dirs(false, &dirs);
    for (size_t i = 0; i < dirs.len; i++)
        strvec_push_owned(out, fs_join(dirs.items[i], "runs"));
}

static size_t id_length(const char *name)
{
    size_t len = strspn(name, "0123456789abcdefghijklmnopqrstuvwxyz");

    return len < RECORD_RUN_ID_SIZE ? len : 0;
}

bool record_id_is_valid(const char *run_id)
{
    size_t len = id_length(run_id);

    return len > 0 && !run_id[len];
}

/* A shared lock, held for an instant, is in nobody's way: the writer takes its own before anybody
 * can see the record, and asks for none later. */
bool record_lock_is_held(int events_fd)
{
    if (flock(events_fd, LOCK_SH | LOCK_NB) < 0)
        return true;
    flock(events_fd, LOCK_UN);
    return false;
}

int record_read_at(int fd, void *data, size_t size, int64_t offset, const char *name,
                   struct err *err)
{
    char *at = data;

    while (size > 0) {
        ssize_t got = pread(fd, at, size, (off_t)offset);

        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return err_errno(err, "cannot read %s", name);
        if (got == 0)
            return err_set(err, ERR_PROTOCOL, "%s ends at %lld: it has been cut off", name,
                           (long long)offset);
        at += got;
        offset += got;
        size -= (size_t)got;
    }
    return 0;
}

/* -1: not there (err ERR_NOT_FOUND) or not to be used. */
static int open_runs_dir(const char *path, struct err *err)
{
    CLEANUP_FD int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

    if (fd < 0 && errno == ENOENT)
        return err_set(err, ERR_NOT_FOUND, "%s does not exist", path);
    if (fd < 0)
        return err_errno(err, "cannot open the directory of runs %s", path);
    return state_dir_check(fd, path, err) < 0 ? -1 : steal_fd(&fd);
}

/* Not a symbolic link, and not a pipe that would make this wait. */
static int open_file(const struct record *record, const char *name, struct err *err)
{
    CLEANUP_FD int fd =
        openat(record->dir_fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    struct stat st;

    if (fd < 0 && errno == ENOENT)
        return err_set(err, ERR_NOT_FOUND, "%s has no %s", record->path, name);
    if (fd < 0)
        return err_errno(err, "cannot open %s/%s", record->path, name);
    if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
        return err_set(err, ERR_INVALID, "%s/%s is not a file", record->path, name);
    return steal_fd(&fd);
}

static int open_below(const char *runs_dir, const char *run_id, struct record *record,
                      struct err *err)
{
    CLEANUP_FD int runs_fd = open_runs_dir(runs_dir, err);

    if (runs_fd < 0)
        return -1;
    record->path = fs_join(runs_dir, run_id);
    record->dir_fd = openat(runs_fd, run_id, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (record->dir_fd < 0 && errno == ENOENT)
        return err_set(err, ERR_NOT_FOUND, "there is no record of a run %s in %s", run_id,
                       runs_dir);
    if (record->dir_fd < 0)
        return err_errno(err, "cannot open the record %s", record->path);
    if (state_dir_check(record->dir_fd, record->path, err) < 0)
        return -1;
    record->events_fd = open_file(record, EVENTS_NAME, err);
    if (record->events_fd < 0)
        return -1;
    record->log_fd = open_file(record, LOG_NAME, err);
    if (record->log_fd < 0)
        return -1;
    record->index_fd = open_file(record, INDEX_NAME, err);
    return record->index_fd < 0 ? -1 : 0;
}

int record_open(const char *runs_dir, const char *run_id, struct record **ret, struct err *err)
{
    CLEANUP_STRVEC struct strvec dirs = {0};
    struct err why = ERR_INIT;
    struct err first = ERR_INIT; /* that says more than that there is none */

    if (!record_id_is_valid(run_id))
        return err_set(err, ERR_INVALID, "\"%s\" is not the id of a run", run_id);
    record_dirs(runs_dir, &dirs);
    for (size_t i = 0; i < dirs.len; i++) {
        struct record *record = xcalloc(1, sizeof(*record));

        record->run_id = xstrdup(run_id);
        record->dir_fd = record->events_fd = record->log_fd = record->index_fd = -1;
        if (open_below(dirs.items[i], run_id, record, &why) == 0) {
            *ret = record;
            return 0;
        }
        if (!first.code && (why.code != ERR_NOT_FOUND || record->dir_fd >= 0))
            first = why;
        record_close(record);
    }
    if (first.code) {
        if (err)
            *err = first;
        return -1;
    }
    return err_set(err, ERR_NOT_FOUND, "there is no record of a run %s in %s", run_id,
                   dirs.items[0]);
}

void record_close(struct record *record)
{
    if (!record)
        return;
    cleanup_fd(&record->index_fd);
    cleanup_fd(&record->log_fd);
    cleanup_fd(&record->events_fd);
    cleanup_fd(&record->dir_fd);
    free(record->path);
    free(record->run_id);
    free(record);
}

const char *record_run_id(const struct record *record)
{
    return record->run_id;
}

const char *record_path(const struct record *record)
{
    return record->path;
}

bool record_is_written(const struct record *record)
{
    return record_lock_is_held(record->events_fd);
}

int record_read_pipeline(const struct record *record, struct buf *out, struct err *err)
{
    CLEANUP_FREE char *name = fs_join(record->path, PIPELINE_NAME);
    CLEANUP_FD int fd = open_file(record, PIPELINE_NAME, err);

    return fd < 0 ? -1 : fs_read_fd(fd, name, PIPELINE_MAX, out, err);
}

static int64_t size_on_disk(int dir_fd)
{
    static const char *const names[] = {EVENTS_NAME, LOG_NAME, INDEX_NAME, PIPELINE_NAME};
    int64_t size = 0;

    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
        struct stat st;

        if (fstatat(dir_fd, names[i], &st, AT_SYMLINK_NOFOLLOW) == 0)
            size += (int64_t)st.st_blocks * 512;
    }
    return size;
}

static void list_one(struct record_list *list, const char *runs_dir, int runs_fd, const char *name)
{
    struct record_entry entry = {0};
    CLEANUP_FD int dir_fd = -1;
    CLEANUP_FD int events_fd = -1;

    if (!record_id_is_valid(name))
        return;
    dir_fd = openat(runs_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (dir_fd < 0)
        return; /* not a record, or removed meanwhile */
    events_fd = openat(dir_fd, EVENTS_NAME, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (events_fd < 0)
        return;
    memcpy(entry.run_id, name, strlen(name));
    entry.runs_dir = xstrdup(runs_dir);
    entry.written = record_lock_is_held(events_fd);
    entry.size_bytes = size_on_disk(dir_fd);
    vec_push(list, entry);
}

/* Takes runs_fd over. */
static DIR *read_dir(int runs_fd, const char *path, struct err *err)
{
    DIR *dir = fdopendir(runs_fd);

    if (!dir) {
        err_errno(err, "cannot read %s", path);
        close(runs_fd);
    }
    return dir;
}

static int list_below(struct record_list *list, const char *path, struct err *err)
{
    int runs_fd = open_runs_dir(path, err);
    DIR *dir = runs_fd < 0 ? NULL : read_dir(runs_fd, path, err);
    struct dirent *entry;

    if (!dir)
        return -1;
    while ((entry = readdir(dir)))
        list_one(list, path, dirfd(dir), entry->d_name);
    closedir(dir);
    return 0;
}

static int by_id(const void *a, const void *b)
{
    return strcmp(((const struct record_entry *)a)->run_id,
                  ((const struct record_entry *)b)->run_id);
}

int record_list_add(struct record_list *list, const char *runs_dir, struct err *err)
{
    CLEANUP_STRVEC struct strvec dirs = {0};
    struct err why = ERR_INIT;

    record_dirs(runs_dir, &dirs);
    for (size_t i = 0; i < dirs.len; i++) {
        if (list_below(list, dirs.items[i], &why) < 0 && runs_dir && why.code != ERR_NOT_FOUND) {
            if (err)
                *err = why;
            return -1;
        }
    }
    if (list->len)
        qsort(list->items, list->len, sizeof(*list->items), by_id);
    return 0;
}

void record_list_release(struct record_list *list)
{
    for (size_t i = 0; i < list->len; i++)
        free(list->items[i].runs_dir);
    vec_release(list);
}

/* ".new", or ".3.new". */
static bool is_new(const char *suffix)
{
    size_t digits = *suffix == '.' ? strspn(suffix + 1, "0123456789") : 0;

    return strcmp(digits ? suffix + 1 + digits : suffix, NEW_SUFFIX) == 0;
}

/* A creation that has only begun has no lock yet. */
static bool is_left_over(int runs_fd, const char *name)
{
    const char *suffix = name + id_length(name);
    struct stat st;

    if (suffix == name || fstatat(runs_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return false;
    if (strcmp(suffix, GONE_SUFFIX) == 0)
        return true;
    return is_new(suffix) && (int64_t)st.st_mtime * 1000 < clock_wall_ms() - NEW_AGE_S * 1000;
}

void record_sweep(int runs_fd)
{
    int fd = openat(runs_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : read_dir(fd, ".", NULL);
    struct dirent *entry;

    if (!dir)
        return;
    while ((entry = readdir(dir))) {
        if (is_left_over(dirfd(dir), entry->d_name))
            fs_remove_tree_at(dirfd(dir), entry->d_name, NULL);
    }
    closedir(dir);
}

/* 1: it is out of the way; 0: somebody else was faster. What an earlier removal has left there
 * goes, which others may be at as well. */
static int take_away(int runs_fd, const char *run_id, const char *gone, struct err *err)
{
    for (int i = 0;; i++) {
        if (renameat(runs_fd, run_id, runs_fd, gone) == 0)
            return 1;
        if (errno == ENOENT)
            return 0;
        if ((errno != EEXIST && errno != ENOTEMPTY) || i == TRIES_MAX)
            return err_errno(err, "cannot rename it");
        fs_remove_tree_at(runs_fd, gone, NULL);
    }
}

/* 1: removed; 0: not there. A record that cannot be opened for reading can be removed all the same.
 */
static int remove_below(const char *runs_dir, const char *run_id, struct err *err)
{
    CLEANUP_FREE char *gone = xasprintf("%s" GONE_SUFFIX, run_id);
    struct err why = ERR_INIT;
    CLEANUP_FD int runs_fd = open_runs_dir(runs_dir, &why);
    CLEANUP_FD int dir_fd = -1;
    CLEANUP_FD int events_fd = -1;
    int taken;

    if (runs_fd < 0 && why.code == ERR_NOT_FOUND)
        return 0;
    if (runs_fd < 0)
        return err_set(err, why.code, "%s", why.message);
    dir_fd = openat(runs_fd, run_id, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (dir_fd < 0 && errno == ENOENT)
        return 0;
    if (dir_fd < 0)
        return err_errno(err, "cannot open the record %s/%s", runs_dir, run_id);
    events_fd = openat(dir_fd, EVENTS_NAME, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (events_fd >= 0 && record_lock_is_held(events_fd))
        return err_set(err, ERR_CONFLICT, "run %s is still going on: its record stays", run_id);
    taken = take_away(runs_fd, run_id, gone, err);
    if (taken < 0 || (taken > 0 && fs_remove_tree_at(runs_fd, gone, err) < 0))
        return err_wrap(err, "the record %s/%s", runs_dir, run_id);
    return taken;
}

int record_remove(const char *runs_dir, const char *run_id, struct err *err)
{
    CLEANUP_STRVEC struct strvec dirs = {0};

    if (!record_id_is_valid(run_id))
        return err_set(err, ERR_INVALID, "\"%s\" is not the id of a run", run_id);
    record_dirs(runs_dir, &dirs);
    for (size_t i = 0; i < dirs.len; i++) {
        int removed = remove_below(dirs.items[i], run_id, err);

        if (removed)
            return removed < 0 ? -1 : 0;
    }
    return err_set(err, ERR_NOT_FOUND, "there is no record of a run %s in %s", run_id,
                   dirs.items[0]);
}
