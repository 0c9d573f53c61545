#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "store/sqlite.h"

#define ELSEWHERE "move it away or name another file; what is in the records of runs is found again"

static int no_room(const struct sqlite_db *db, struct err *err)
{
    err_set(err, ERR_SYSTEM, "%s cannot grow: no space left on its file system; make room there",
            db->path);
    if (err)
        err->errnum = ENOSPC;
    return -1;
}

static int locked(const struct sqlite_db *db, struct err *err)
{
    char waited[CLOCK_DURATION_SIZE];

    clock_format_limit(db->wait_ms, waited, sizeof(waited));
    return err_set(err, ERR_UNAVAILABLE,
                   "%s is locked by another process for %s already; find it with: fuser %s",
                   db->path, waited, db->path);
}

static int not_writable(const struct sqlite_db *db, struct err *err)
{
    return err_set(
        err, ERR_DENIED,
        "%s cannot be written; the file, its directory, and the files beside it that end "
        "in -wal and -shm must be writable for this user",
        db->path);
}

static int other(const struct sqlite_db *db, int code, struct err *err)
{
    int errnum = sqlite3_system_errno(db->handle);

    err_set(err, ERR_SYSTEM, "%s: %s (%d)%s%s", db->path, sqlite3_errmsg(db->handle), code,
            errnum ? ": " : "", errnum ? strerror(errnum) : "");
    if (err)
        err->errnum = errnum;
    return -1;
}

int sqlite_db_error(const struct sqlite_db *db, int code, struct err *err)
{
    int errnum = db->handle ? sqlite3_system_errno(db->handle) : 0;

    /* Whatever it says when its statement is interrupted or a lock is not waited for. */
    if (db->ctx && ctx_done(db->ctx))
        return ctx_check(db->ctx, err);
    switch (code & 0xff) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
    case SQLITE_PROTOCOL:
        return locked(db, err);
    case SQLITE_FULL:
        return no_room(db, err);
    case SQLITE_READONLY:
    case SQLITE_PERM:
        return not_writable(db, err);
    case SQLITE_NOTADB:
        return err_set(err, ERR_INVALID, "%s is no SQLite database; " ELSEWHERE, db->path);
    case SQLITE_CORRUPT:
        return err_set(err, ERR_INVALID, "%s is damaged (%s); " ELSEWHERE, db->path,
                       sqlite3_errmsg(db->handle));
    case SQLITE_CANTOPEN:
        /* It asks only for the files beside the database what the system said. */
        if (errnum == EACCES || errnum == EPERM || errnum == EROFS || errnum == 0)
            return not_writable(db, err);
        return errnum == ENOSPC ? no_room(db, err) : other(db, code, err);
    default:
        return errnum == ENOSPC || errnum == EDQUOT ? no_room(db, err) : other(db, code, err);
    }
}
