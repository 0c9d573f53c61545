#include "base/fs_writer.h"

#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/fs.h"

enum { SPILL_SIZE = 64 * 1024 };

/* A device or a pipe is written to; a pipe without a reader is an error, not a wait. */
static int open_special(struct fs_writer *w, const char *path, struct err *err)
{
    w->target = xstrdup(path);
    w->fd = open(path, O_WRONLY | O_CLOEXEC | O_NONBLOCK);
    return w->fd < 0 ? err_errno(err, "cannot write %s", path) : 0;
}

int fs_writer_open(struct fs_writer *w, const char *path, mode_t mode, struct err *err)
{
    struct stat st;
    char *resolved;

    if (stat(path, &st) == 0 && !S_ISREG(st.st_mode))
        return open_special(w, path, err);
    resolved = realpath(path, NULL);
    w->target = resolved ? resolved : xstrdup(path);
    w->temp = xasprintf("%s.XXXXXX", w->target);
    w->fd = mkostemp(w->temp, O_CLOEXEC);
    if (w->fd < 0) {
        free(steal_ptr(&w->temp));
        return err_errno(err, "cannot create a file beside %s", w->target);
    }
    return fchmod(w->fd, mode) < 0 ? err_errno(err, "cannot write %s", w->target) : 0;
}

static void flush(struct fs_writer *w)
{
    if (!w->failure.code && fs_write_all(w->fd, w->buf.data, w->buf.len, &w->failure) < 0)
        err_wrap(&w->failure, "cannot write %s", w->target);
    buf_reset(&w->buf);
}

void fs_writer_spill(struct fs_writer *w)
{
    if (w->buf.len >= SPILL_SIZE)
        flush(w);
}

int fs_writer_commit(struct fs_writer *w, struct err *err)
{
    flush(w);
    if (w->failure.code) {
        if (err)
            *err = w->failure;
        return -1;
    }
    if (w->temp && rename(w->temp, w->target) < 0)
        return err_errno(err, "cannot write %s", w->target);
    free(steal_ptr(&w->temp));
    return 0;
}

void fs_writer_release(struct fs_writer *w)
{
    if (w->temp)
        unlink(w->temp);
    cleanup_fd(&w->fd);
    w->fd = -1;
    free(steal_ptr(&w->temp));
    free(steal_ptr(&w->target));
    buf_release(&w->buf);
}
