#include "own/journal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fs.h"
#include "base/state_dir.h"

/* A run notes a handful of things; more than this is not one of our files. */
enum { JOURNAL_MAX_BYTES = 16 * 1024 * 1024 };

const char *journal_kind_name(enum own_kind kind)
{
    return kind == OWN_ENDPOINT ? "endpoint" : "directory";
}

void journal_state_dirs(const char *state_dir, struct strvec *out)
{
    if (state_dir) {
        strvec_push_owned(out, fs_absolute(state_dir));
        return;
    }
    state_dirs(true, out);
}

void journal_format(struct buf *line, const char *verb, enum own_kind kind, const char *what)
{
    json_t *entry = json_pack("{s:s, s:s}", verb, journal_kind_name(kind), "what", what);
    char *text = entry ? json_dumps(entry, JSON_COMPACT) : NULL;

    if (text)
        buf_addf(line, "%s\n", text);
    free(text);
    json_decref(entry);
}

static void add_unique(char ***items, size_t *count, const char *what)
{
    for (size_t i = 0; i < *count; i++) {
        if (strcmp((*items)[i], what) == 0)
            return;
    }
    *items = xreallocarray(*items, *count + 1, sizeof(**items));
    (*items)[(*count)++] = xstrdup(what);
}

static void drop(char **items, size_t *count, const char *what)
{
    for (size_t i = 0; i < *count; i++) {
        if (strcmp(items[i], what) != 0)
            continue;
        free(items[i]);
        memmove(items + i, items + i + 1, (*count - i - 1) * sizeof(*items));
        (*count)--;
        return;
    }
}

static void apply_line(struct own_journal *journal, const char *line, size_t len)
{
    json_t *entry = json_loadb(line, len, 0, NULL);
    const char *note = json_string_value(json_object_get(entry, "note"));
    const char *forget = json_string_value(json_object_get(entry, "forget"));
    const char *kind = note ? note : forget;
    const char *what = json_string_value(json_object_get(entry, "what"));

    if (kind && what) {
        bool endpoint = strcmp(kind, journal_kind_name(OWN_ENDPOINT)) == 0;
        bool directory = strcmp(kind, journal_kind_name(OWN_DIRECTORY)) == 0;
        char ***items = endpoint ? &journal->endpoints : &journal->directories;
        size_t *count = endpoint ? &journal->endpoint_count : &journal->directory_count;

        if (note && (endpoint || directory))
            add_unique(items, count, what);
        else if (endpoint || directory)
            drop(*items, count, what);
    }
    json_decref(entry);
}

int journal_read_fd(int fd, const char *path, struct own_journal *ret, struct err *err)
{
    CLEANUP_BUF struct buf text = BUF_INIT;
    const char *at;
    const char *end;

    for (;;) {
        ssize_t got;

        buf_reserve(&text, 4096);
        got = pread(fd, text.data + text.len, 4096, (off_t)text.len);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return err_errno(err, "cannot read %s", path);
        if (got == 0)
            break;
        text.len += (size_t)got;
        if (text.len > JOURNAL_MAX_BYTES)
            return err_set(err, ERR_LIMIT, "%s is larger than %d bytes: not a journal", path,
                           JOURNAL_MAX_BYTES);
    }
    for (at = text.data; (end = memchr(at, '\n', text.len - (size_t)(at - text.data)));
         at = end + 1)
        apply_line(ret, at, (size_t)(end - at));
    return 0;
}

void journal_release(struct own_journal *journal)
{
    for (size_t i = 0; i < journal->endpoint_count; i++)
        free(journal->endpoints[i]);
    for (size_t i = 0; i < journal->directory_count; i++)
        free(journal->directories[i]);
    free(journal->endpoints);
    free(journal->directories);
    free(journal->path);
}

void own_journals_free(struct own_journal *journals, size_t count)
{
    for (size_t i = 0; i < count; i++)
        journal_release(&journals[i]);
    free(journals);
}

/* "RUNID.journal" → RUNID. */
static bool parse_name(const char *name, char run_id[OWN_RUN_ID_SIZE])
{
    size_t len = strspn(name, "0123456789abcdefghijklmnopqrstuvwxyz");

    if (len == 0 || len >= OWN_RUN_ID_SIZE || strcmp(name + len, JOURNAL_SUFFIX) != 0)
        return false;
    memcpy(run_id, name, len);
    run_id[len] = '\0';
    return true;
}

struct journal_list {
    struct own_journal *items;
    size_t len;
    size_t cap;
};

static void read_one(int dir_fd, const char *dir, const char *name, struct journal_list *list)
{
    struct own_journal journal = {0};
    CLEANUP_FD int fd = -1;

    if (!parse_name(name, journal.run_id))
        return;
    fd = openat(dir_fd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return; /* its run has just ended */
    journal.path = fs_join(dir, name);
    journal.alive = flock(fd, LOCK_EX | LOCK_NB) < 0;
    if (journal_read_fd(fd, journal.path, &journal, NULL) < 0)
        journal_release(&journal);
    else
        vec_push(list, journal);
}

static int read_dir(const char *path, struct journal_list *list, struct err *err)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    struct dirent *entry;
    DIR *dir;

    if (fd < 0)
        return errno == ENOENT ? 0 : err_errno(err, "cannot open %s", path);
    if (state_dir_check(fd, path, err) < 0) {
        close(fd);
        return -1;
    }
    dir = fdopendir(fd);
    if (!dir) {
        close(fd);
        return err_errno(err, "cannot read %s", path);
    }
    while ((entry = readdir(dir)))
        read_one(fd, path, entry->d_name, list);
    closedir(dir);
    return 0;
}

int own_journals_read(const char *state_dir, struct own_journal **ret, size_t *ret_count,
                      struct err *err)
{
    CLEANUP_STRVEC struct strvec dirs = {0};
    struct journal_list list = {0};

    journal_state_dirs(state_dir, &dirs);
    /* A run of a login session is also to be found from outside of it, e.g. by cron. */
    if (!state_dir)
        state_dirs_push(&dirs, xasprintf("/run/user/%u/runner", (unsigned)geteuid()));
    for (size_t i = 0; i < dirs.len; i++) {
        /* A fallback that cannot be used was not used by a run either. */
        if (read_dir(dirs.items[i], &list, err) < 0 && state_dir) {
            own_journals_free(list.items, list.len);
            return -1;
        }
    }
    *ret = list.items;
    *ret_count = list.len;
    return 0;
}

int journal_discard(const struct own_journal *journal, bool keep_file, struct err *err)
{
    int result = 0;

    for (size_t i = 0; i < journal->directory_count; i++) {
        const char *path = journal->directories[i];

        if (*path == '/' && fs_remove_tree(path, result == 0 ? err : NULL) < 0)
            result = -1;
    }
    if (result < 0)
        return -1;
    if (!keep_file && unlink(journal->path) < 0 && errno != ENOENT)
        return err_errno(err, "cannot remove %s", journal->path);
    return 0;
}

int own_journal_remove(const struct own_journal *journal, struct err *err)
{
    CLEANUP_FD int fd = open(journal->path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);

    if (fd < 0)
        return errno == ENOENT ? 0 : err_errno(err, "cannot open %s", journal->path);
    if (flock(fd, LOCK_EX | LOCK_NB) < 0)
        return err_set(err, ERR_CONFLICT, "run %s has an owner: its journal stays",
                       journal->run_id);
    return journal_discard(journal, false, err);
}
