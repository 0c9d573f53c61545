#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/logger.h"
#include "base/state_dir.h"
#include "own/journal.h"
#include "own/own.h"

enum { ID_LENGTH = 22 };

struct own_run {
    char id[OWN_RUN_ID_SIZE];
    char *path; /* of the journal */
    int fd;     /* append-only, locked */
    struct strmap labels;
    pthread_mutex_t mu;
    bool named;          /* the journal can be found; guarded by mu */
    bool left;           /* own_run_leave(); guarded by mu */
    struct strvec noted; /* "KIND WHAT"; guarded by mu */
    char *temp_dir;      /* guarded by mu */
};

static const char digits[] = "0123456789abcdefghjkmnpqrstvwxyz";

/* Crockford's base 32: its order is that of the bytes. 10 characters of milliseconds, 12 of chance.
 */
int own_run_make_id(char out[OWN_RUN_ID_SIZE], struct err *err)
{
    uint64_t time = (uint64_t)clock_wall_ms();
    uint64_t chance;

    if (getrandom(&chance, sizeof(chance), 0) != sizeof(chance))
        return err_errno(err, "cannot get random bytes");
    for (int i = 9; i >= 0; i--, time >>= 5)
        out[i] = digits[time & 31];
    for (int i = 21; i >= 10; i--, chance >>= 5)
        out[i] = digits[chance & 31];
    out[ID_LENGTH] = '\0';
    return 0;
}

/* Without a name until something is noted: a run that dies before it has made anything leaves
 * nothing, and no sweep meets the file before it is locked. */
static int create_unnamed(const char *dir, struct own_run *run, struct err *err)
{
    CLEANUP_FD int fd = open(dir, O_TMPFILE | O_RDWR | O_APPEND | O_CLOEXEC, 0600);

    if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) < 0)
        return err_errno(err, "cannot create a journal in %s", dir);
    run->fd = steal_fd(&fd);
    return 0;
}

/* For file systems that have no unnamed files. Between creation and lock a sweep may have taken the
 * file for a dead owner's and removed it: then it has no link any more, and the next try makes
 * another. */
static int create_named(const char *dir, struct own_run *run, struct err *err)
{
    for (int attempt = 0; attempt < 10; attempt++) {
        CLEANUP_FD int fd = open(run->path, O_RDWR | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC, 0600);
        struct stat st;

        if (fd < 0)
            return err_errno(err, "cannot create a journal in %s", dir);
        if (flock(fd, LOCK_EX) < 0 || fstat(fd, &st) < 0) {
            err_errno(err, "cannot lock the journal in %s", dir);
            unlink(run->path);
            return -1;
        }
        if (st.st_nlink > 0) {
            run->fd = steal_fd(&fd);
            run->named = true;
            return 0;
        }
    }
    return err_set(err, ERR_CONFLICT, "journals in %s disappear as they are made", dir);
}

static int begin_in(const char *dir, struct own_run *run, struct err *err)
{
    CLEANUP_FD int dir_fd = state_dir_open(dir, err);
    struct err why = ERR_INIT;

    if (dir_fd < 0)
        return -1;
    free(run->path);
    run->path = xasprintf("%s/%s" JOURNAL_SUFFIX, dir, run->id);
    if (faccessat(AT_FDCWD, run->path, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
        return err_set(err, ERR_CONFLICT, "there is a run %s already: %s", run->id, run->path);
    if (create_unnamed(dir, run, &why) == 0)
        return 0;
    if (why.errnum == EOPNOTSUPP || why.errnum == EISDIR)
        return create_named(dir, run, err);
    return err_set(err, why.code, "%s", why.message);
}

static int set_id(struct own_run *run, const char *run_id, struct err *err)
{
    if (!run_id)
        return own_run_make_id(run->id, err);
    if (strspn(run_id, digits) != ID_LENGTH || run_id[ID_LENGTH])
        return err_set(err, ERR_INVALID, "\"%.40s\" is not the id of a run", run_id);
    memcpy(run->id, run_id, ID_LENGTH + 1);
    return 0;
}

int own_run_begin(const char *state_dir, struct own_run **ret, struct err *err)
{
    return own_run_begin_as(state_dir, NULL, ret, err);
}

int own_run_begin_as(const char *state_dir, const char *run_id, struct own_run **ret,
                     struct err *err)
{
    CLEANUP_STRVEC struct strvec dirs = {0};
    struct own_run *run = xcalloc(1, sizeof(*run));
    struct own_owner owner;
    struct err why = ERR_INIT;
    char text[128];
    int result = -1;

    run->fd = -1;
    pthread_mutex_init(&run->mu, NULL);
    if (set_id(run, run_id, err) < 0) {
        own_run_abandon(run);
        return -1;
    }
    journal_state_dirs(state_dir, &dirs);
    for (size_t i = 0; result < 0 && why.code != ERR_CONFLICT && i < dirs.len; i++)
        result = begin_in(dirs.items[i], run, &why);
    if (result < 0) {
        if (err)
            *err = why;
        own_run_abandon(run);
        return -1;
    }
    own_owner_self(&owner);
    own_owner_format(&owner, text, sizeof(text));
    strmap_set(&run->labels, OWN_LABEL_RUN, run->id);
    strmap_set(&run->labels, OWN_LABEL_OWNER, text);
    *ret = run;
    return 0;
}

const char *own_run_id(const struct own_run *run)
{
    return run->id;
}

const struct strmap *own_run_labels(const struct own_run *run)
{
    return &run->labels;
}

int own_run_fd(const struct own_run *run)
{
    return run->fd;
}

/* One write() for all of it. A short one (disk full) is taken back, so that the next line does not
 * get glued to its remains. */
static int append(struct own_run *run, const struct buf *lines, struct err *err)
{
    struct stat before;
    ssize_t put;

    if (fstat(run->fd, &before) < 0)
        return err_errno(err, "cannot examine %s", run->path);
    put = write(run->fd, lines->data, lines->len);
    if (put == (ssize_t)lines->len)
        return 0;
    if (put >= 0)
        errno = ENOSPC;
    err_errno(err, "cannot write to the journal %s", run->path);
    if (put > 0 && ftruncate(run->fd, before.st_size) < 0)
        return err_errno(err, "cannot mend the journal %s", run->path);
    return -1;
}

/* Whether the file that has the name of the journal is the journal. */
static bool has_name(const struct own_run *run)
{
    struct stat own;
    struct stat named;

    return fstat(run->fd, &own) == 0 && lstat(run->path, &named) == 0 &&
           own.st_dev == named.st_dev && own.st_ino == named.st_ino;
}

static int give_name(struct own_run *run, struct err *err)
{
    char source[64];

    snprintf(source, sizeof(source), "/proc/self/fd/%d", run->fd);
    if (linkat(AT_FDCWD, source, AT_FDCWD, run->path, AT_SYMLINK_FOLLOW) < 0) {
        if (errno != EEXIST)
            return err_errno(err, "cannot create the journal %s", run->path);
        /* Else a forked copy of this run was first. */
        if (!has_name(run))
            return err_set(err, ERR_CONFLICT, "there is a run %s already: %s", run->id, run->path);
    }
    run->named = true;
    return 0;
}

static ssize_t find_noted(const struct own_run *run, const char *entry)
{
    for (size_t i = 0; i < run->noted.len; i++) {
        if (strcmp(run->noted.items[i], entry) == 0)
            return (ssize_t)i;
    }
    return -1;
}

static int note_locked(struct own_run *run, enum own_kind kind, const char *what, struct err *err)
{
    CLEANUP_FREE char *entry = xasprintf("%s %s", journal_kind_name(kind), what);
    CLEANUP_BUF struct buf line = BUF_INIT;

    if (find_noted(run, entry) >= 0)
        return 0;
    if (!run->named && give_name(run, err) < 0)
        return -1;
    journal_format(&line, "note", kind, what);
    if (!line.len)
        return err_set(err, ERR_UNSUPPORTED, "cannot note %s: its name is not UTF-8", what);
    if (append(run, &line, err) < 0)
        return -1;
    strvec_push_owned(&run->noted, steal_ptr(&entry));
    return 0;
}

static void forget_locked(struct own_run *run, enum own_kind kind, const char *const *what,
                          size_t count)
{
    CLEANUP_BUF struct buf lines = BUF_INIT;

    for (size_t i = 0; i < count; i++)
        journal_format(&lines, "forget", kind, what[i]);
    /* A note that cannot be taken back only makes a sweep look in vain. */
    if (!lines.len || append(run, &lines, NULL) < 0)
        return;
    for (size_t i = 0; i < count; i++) {
        CLEANUP_FREE char *entry = xasprintf("%s %s", journal_kind_name(kind), what[i]);
        ssize_t at = find_noted(run, entry);

        if (at < 0)
            continue;
        free(run->noted.items[at]);
        run->noted.items[at] = run->noted.items[--run->noted.len];
        run->noted.items[run->noted.len] = NULL;
    }
}

int own_run_note(struct own_run *run, enum own_kind kind, const char *what, struct err *err)
{
    int result;

    pthread_mutex_lock(&run->mu);
    result = note_locked(run, kind, what, err);
    pthread_mutex_unlock(&run->mu);
    return result;
}

void own_run_forget(struct own_run *run, enum own_kind kind, const char *what)
{
    pthread_mutex_lock(&run->mu);
    forget_locked(run, kind, &what, 1);
    pthread_mutex_unlock(&run->mu);
}

void own_run_forget_all(struct own_run *run, enum own_kind kind, const struct strvec *what)
{
    pthread_mutex_lock(&run->mu);
    forget_locked(run, kind, (const char *const *)what->items, what->len);
    pthread_mutex_unlock(&run->mu);
}

void own_run_leave(struct own_run *run)
{
    pthread_mutex_lock(&run->mu);
    run->left = true;
    pthread_mutex_unlock(&run->mu);
}

static int make_temp_dir(struct own_run *run, struct err *err)
{
    const char *base = getenv("TMPDIR");
    CLEANUP_FREE char *path =
        xasprintf("%s/runner-%s", base && *base == '/' ? base : "/tmp", run->id);

    if (note_locked(run, OWN_DIRECTORY, path, err) < 0)
        return -1;
    if (mkdir(path, 0711) < 0) {
        err_errno(err, "cannot create the temporary directory %s", path);
        forget_locked(run, OWN_DIRECTORY, (const char *const *)&path, 1);
        return -1;
    }
    run->temp_dir = steal_ptr(&path);
    chmod(run->temp_dir, 0711); /* whatever the umask */
    return 0;
}

char *own_run_state_dir(const struct own_run *run)
{
    return xstrndup(run->path, (size_t)(strrchr(run->path, '/') - run->path));
}

const char *own_run_temp_dir(struct own_run *run, struct err *err)
{
    const char *path;

    pthread_mutex_lock(&run->mu);
    if (!run->temp_dir && make_temp_dir(run, err) < 0)
        path = NULL;
    else
        path = run->temp_dir;
    pthread_mutex_unlock(&run->mu);
    return path;
}

static struct own_journal *read_own(const struct own_run *run, struct err *err)
{
    struct own_journal *journal = xcalloc(1, sizeof(*journal));

    journal->path = xstrdup(run->path);
    journal->alive = true;
    memcpy(journal->run_id, run->id, sizeof(run->id));
    if (journal_read_fd(run->fd, run->path, journal, err) == 0)
        return journal;
    own_journals_free(journal, 1);
    return NULL;
}

int own_run_journal(const struct own_run *run, struct own_journal **ret, struct err *err)
{
    struct own_journal *journal = read_own(run, err);

    if (!journal)
        return -1;
    *ret = journal;
    return 0;
}

void own_run_end(struct own_run *run)
{
    struct own_journal *journal = run ? read_own(run, NULL) : NULL;
    struct err err = ERR_INIT;

    /* On failure the journal stays, unlocked from now on: that is the request to the next sweep. */
    if (journal && journal_discard(journal, run->left || !has_name(run), &err) < 0)
        log_debug("own", "run %s leaves its journal: %s", run->id, err.message);
    if (journal)
        own_journals_free(journal, 1);
    own_run_abandon(run);
}

void own_run_abandon(struct own_run *run)
{
    if (!run)
        return;
    if (run->fd >= 0)
        close(run->fd);
    strmap_release(&run->labels);
    strvec_release(&run->noted);
    pthread_mutex_destroy(&run->mu);
    free(run->temp_dir);
    free(run->path);
    free(run);
}
