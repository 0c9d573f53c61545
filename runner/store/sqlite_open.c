/* Opening: everything that can be wrong with the file shows here, or is made. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/fs.h"
#include "store/sqlite.h"

/* "runs", in the header of the file: what tells a store from a database of another program. */
#define APPLICATION_ID 0x72756e73

static int make_directory(const char *path, struct err *err)
{
    const char *slash = strrchr(path, '/');
    CLEANUP_FREE char *directory = strndup(path, (size_t)(slash - path));

    if (!directory || !*directory || fs_is_directory(directory))
        return 0;
    return fs_mkdir_p(directory, 0700, err);
}

/* SQLite would make it as the umask says. Only a file that is not there is opened here: closing
 * another descriptor of one that is in use drops the locks of the whole process. */
static int make_file(const char *path, struct err *err)
{
    struct stat info;
    int fd;

    if (stat(path, &info) == 0) {
        if (S_ISDIR(info.st_mode))
            return err_set(err, ERR_INVALID, "%s is a directory; name a file in it", path);
        if (!S_ISREG(info.st_mode))
            return err_set(err, ERR_INVALID, "%s is no regular file; name another", path);
        return 0;
    }
    if (errno == ENOENT && make_directory(path, err) < 0)
        return -1;
    fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0 && errno != EEXIST) {
        bool denied = errno == EACCES || errno == EPERM || errno == EROFS;

        err_errno(err, "cannot make %s", path);
        if (denied && err)
            err->code = ERR_DENIED;
        return -1;
    }
    if (fd >= 0)
        close(fd);
    return 0;
}

/* SQLite takes no "no" from the file system: it opens for reading then, or says that it cannot. */
static int check_access(const char *path, struct err *err)
{
    if (access(path, R_OK | W_OK) == 0)
        return 0;
    if (errno == EACCES || errno == EPERM || errno == EROFS)
        return err_set(err, ERR_DENIED,
                       "%s cannot be written (%s); make it writable for this user, or name another "
                       "file",
                       path, strerror(errno));
    return err_errno(err, "cannot open %s", path);
}

static int migrate_from(struct sqlite_db *db, int64_t version, struct err *err)
{
    for (; version < db_sqlite_version; version++) {
        if (sqlite_db_exec(db, db_sqlite_migrations[version], err) < 0)
            return -1;
    }
    return 0;
}

/* What the header says: the version of the tables, 0 for a file that is empty. */
static int read_version(struct sqlite_db *db, int64_t *ret, struct err *err)
{
    int64_t version, application, tables = 0;

    if (sqlite_db_number(db, "PRAGMA user_version", &version, err) < 0 ||
        sqlite_db_number(db, "PRAGMA application_id", &application, err) < 0)
        return -1;
    if (application != APPLICATION_ID &&
        sqlite_db_number(db, "SELECT count(*) FROM sqlite_schema", &tables, err) < 0)
        return -1;
    if (tables || (application && application != APPLICATION_ID))
        return err_set(err, ERR_INVALID,
                       "%s is a SQLite database of another program; name another file", db->path);
    if (version > db_sqlite_version)
        return err_set(
            err, ERR_UNSUPPORTED,
            "%s has version %lld, made by a newer runner; this one knows version %d: use "
            "the newer one, or name another file",
            db->path, (long long)version, db_sqlite_version);
    *ret = version;
    return 0;
}

#define TEXT_OF(number)  TEXT_OF_(number)
#define TEXT_OF_(number) #number

static int migrate_locked(struct sqlite_db *db, struct err *err)
{
    char done[64];
    int64_t version;

    /* Another process may have been faster. */
    if (read_version(db, &version, err) < 0 || migrate_from(db, version, err) < 0)
        return -1;
    snprintf(done, sizeof(done), "PRAGMA user_version = %d", db_sqlite_version);
    return sqlite_db_exec(db, "PRAGMA application_id = " TEXT_OF(APPLICATION_ID), err) < 0 ||
                   sqlite_db_exec(db, done, err) < 0 || sqlite_db_exec(db, "COMMIT", err) < 0
               ? -1
               : 0;
}

/* In a transaction: the tables and the number come together, when another process makes them. */
static int look(struct sqlite_db *db, int64_t *ret, struct err *err)
{
    if (sqlite_db_begin(db, "BEGIN", err) < 0)
        return -1;
    if (read_version(db, ret, err) == 0 && sqlite_db_exec(db, "COMMIT", err) == 0)
        return 0;
    sqlite_db_rollback(db);
    return -1;
}

int sqlite_db_migrate(struct sqlite_db *db, struct err *err)
{
    int64_t version;

    if (look(db, &version, err) < 0)
        return -1;
    if (version == db_sqlite_version)
        return 0;
    /* Stays in the file. Where the file system cannot do it the old way is as right. */
    if (sqlite_db_begin(db, "PRAGMA journal_mode = WAL", err) < 0 ||
        sqlite_db_begin(db, "BEGIN IMMEDIATE", err) < 0)
        return -1;
    if (migrate_locked(db, err) < 0) {
        sqlite_db_rollback(db);
        return -1;
    }
    return 0;
}

int sqlite_db_make(const char *path, struct err *err)
{
    return make_file(path, err) < 0 || check_access(path, err) < 0 ? -1 : 0;
}
