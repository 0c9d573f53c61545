#include "exec/kept_logs.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/fs.h"

/* One that says more than this is cut off: it is to explain a failure. */
#define LOG_MAX_BYTES ((size_t)64 << 20)

struct kept_log {
    char *name;
    int fd;
    size_t bytes;
    struct mask_stream mask;
    struct kept_logs *logs;
};

void kept_logs_init(struct kept_logs *logs, struct run *run, const struct node *node)
{
    *logs = (struct kept_logs){.run = run, .node = node};
}

static int make_directory(struct kept_logs *logs, struct err *err)
{
    const char *parent = own_run_temp_dir(logs->run->options->services->run, err);
    CLEANUP_BUF struct buf id = BUF_INIT;

    if (!parent)
        return -1;
    node_id(logs->node, logs->run->id, &id);
    logs->directory = xasprintf("%s/%s-logs", parent, id.data);
    return fs_mkdir_p(logs->directory, 0700, err);
}

/* NULL with the reason in logs->err. */
static struct kept_log *open_log(struct kept_logs *logs, const char *name)
{
    CLEANUP_FREE char *file = xasprintf("%s.log", name);
    CLEANUP_FREE char *path = NULL;
    struct kept_log *log;
    int fd;

    if (!logs->directory && make_directory(logs, &logs->err) < 0)
        return NULL;
    for (char *c = file; *c; c++)
        *c = *c == '/' ? '_' : *c;
    path = fs_join(logs->directory, file);
    fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) {
        err_errno(&logs->err, "cannot create %s", path);
        return NULL;
    }
    log = xcalloc(1, sizeof(*log));
    log->name = xstrdup(name);
    log->fd = fd;
    log->logs = logs;
    mask_stream_init(&log->mask, logs->run->bus->mask);
    vec_push(&logs->logs, log);
    return log;
}

static struct kept_log *find_log(struct kept_logs *logs, const char *name)
{
    vec_foreach (struct kept_log **, log, &logs->logs) {
        if (strcmp((*log)->name, name) == 0)
            return *log;
    }
    return open_log(logs, name);
}

static void emit(void *arg, const char *data, size_t size)
{
    struct kept_log *log = arg;

    if (log->logs->err.code == ERR_NONE)
        (void)!fs_write_all(log->fd, data, size, &log->logs->err);
}

void kept_logs_add(struct kept_logs *logs, const char *name, const void *data, size_t len)
{
    struct kept_log *log = logs->err.code == ERR_NONE ? find_log(logs, name) : NULL;

    if (!log)
        return;
    if (len > LOG_MAX_BYTES - log->bytes)
        len = LOG_MAX_BYTES - log->bytes;
    log->bytes += len;
    mask_stream_write(&log->mask, data, len, emit, log);
}

static void close_logs(struct kept_logs *logs)
{
    vec_foreach (struct kept_log **, log, &logs->logs) {
        mask_stream_finish(&(*log)->mask, emit, *log);
        mask_stream_release(&(*log)->mask);
        close((*log)->fd);
        free((*log)->name);
        free(*log);
    }
    vec_release(&logs->logs);
}

void kept_logs_save(struct kept_logs *logs, const struct ctx *ctx,
                    const struct artifacts_owner *owner, const char *name)
{
    struct ctx late;

    if (!logs->directory && logs->err.code == ERR_NONE)
        return;
    close_logs(logs);
    ctx_init_grace(&late, ctx, EXEC_POST_BUDGET_MS);
    late.label = "artifacts";
    if (logs->err.code == ERR_NONE)
        (void)!artifacts_keep_directory(logs->run, ctx_done(ctx) ? &late : ctx, owner,
                                        logs->directory, name, &logs->err);
    if (logs->err.code != ERR_NONE)
        event_bus_note(logs->run->bus, logs->node, "logs are not kept: %s", logs->err.message);
    ctx_release(&late);
}

void kept_logs_release(struct kept_logs *logs)
{
    close_logs(logs);
    if (logs->directory)
        (void)!fs_remove_tree(logs->directory, NULL);
    free(logs->directory);
}
