/* sweep(): processes that carry the cookie of a run whose owner is dead.
 *
 * The keeper and the supervisors normally leave nothing to find; this is for what remains when they
 * were killed too. A process is identified by its environment as it was at exec, and held by a
 * pidfd from before it is looked at until it is killed, so that a number that is used again cannot
 * be hit. Other PID namespaces are left alone: those are containers, which their engine sweeps. */
#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/parse.h"
#include "engine/host/private.h"

enum {
    ENVIRON_MAX_BYTES = 32 * 1024 * 1024,
    BATCH = 128, /* processes killed before waiting for them */
    DEATH_MS = 1000,
    SETTLE_MS = 20, /* a process in the middle of its exec shows no environment */
};

struct scan {
    const struct sweep_request *request;
    struct own_journal *journals;
    size_t journal_count;
    ino_t namespace;
    pid_t ancestors[64]; /* and this process */
    size_t ancestor_count;
    int killed[BATCH]; /* pidfds */
    size_t killed_count;
};

/* Whether processes of this run are to go. */
static bool wanted(const struct scan *scan, const char *run_id)
{
    if (scan->request->run_id)
        return strcmp(run_id, scan->request->run_id) == 0;
    for (size_t i = 0; i < scan->journal_count; i++) {
        if (strcmp(scan->journals[i].run_id, run_id) == 0)
            return !scan->journals[i].alive;
    }
    return false;
}

static pid_t parent_of(pid_t pid)
{
    CLEANUP_BUF struct buf text = BUF_INIT;
    char path[64];
    const char *at;

    snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
    if (fs_read_file(path, 4096, &text, NULL) < 0)
        return 0;
    at = strrchr(text.data, ')'); /* then " STATE PPID" */
    return at && strlen(at) > 4 ? (pid_t)strtol(at + 4, NULL, 10) : 0;
}

static void find_ancestors(struct scan *scan)
{
    for (pid_t pid = getpid(); pid > 0 && scan->ancestor_count < 64; pid = parent_of(pid))
        scan->ancestors[scan->ancestor_count++] = pid;
}

static bool is_ancestor(const struct scan *scan, pid_t pid)
{
    for (size_t i = 0; i < scan->ancestor_count; i++) {
        if (scan->ancestors[i] == pid)
            return true;
    }
    return false;
}

/* The value of the cookie, inside `environ`, or NULL. */
static const char *find_cookie(const struct buf *environ)
{
    const size_t len = strlen(OWN_COOKIE "=");
    const char *end = environ->data + environ->len;

    for (const char *at = environ->data; at < end; at += strlen(at) + 1) {
        if (strncmp(at, OWN_COOKIE "=", len) == 0)
            return at + len;
    }
    return NULL;
}

static void report(const struct scan *scan, pid_t pid, const char *run_id)
{
    CLEANUP_BUF struct buf name = BUF_INIT;
    char path[64];

    if (!scan->request->found)
        return;
    snprintf(path, sizeof(path), "/proc/%d/comm", (int)pid);
    if (fs_read_file(path, 64, &name, NULL) < 0 || !name.len)
        buf_addstr(&name, "?\n");
    buf_truncate(&name, name.len - 1);
    snprintf(path, sizeof(path), "%d (%.40s)", (int)pid, name.data);
    scan->request->found(scan->request->found_arg, "process", path, run_id);
}

/* Returns whether it is one that has to go; if so it has been killed. */
static bool examine(struct scan *scan, pid_t pid)
{
    CLEANUP_BUF struct buf environ = BUF_INIT;
    CLEANUP_FD int process = (int)syscall(SYS_pidfd_open, pid, 0);
    const char *run_id;
    struct stat st;
    char path[64];

    if (process < 0 || is_ancestor(scan, pid))
        return false;
    snprintf(path, sizeof(path), "/proc/%d/environ", (int)pid);
    if (fs_read_file(path, ENVIRON_MAX_BYTES, &environ, NULL) < 0)
        return false; /* another user's, or gone */
    run_id = find_cookie(&environ);
    if (!run_id || !wanted(scan, run_id))
        return false;
    snprintf(path, sizeof(path), "/proc/%d/ns/pid", (int)pid);
    if (stat(path, &st) < 0 || st.st_ino != scan->namespace)
        return false;
    report(scan, pid, run_id);
    if (scan->request->dry_run)
        return true;
    if (syscall(SYS_pidfd_send_signal, process, SIGKILL, NULL, 0) == 0)
        scan->killed[scan->killed_count++] = steal_fd(&process);
    return true;
}

static int await_deaths(const struct ctx *ctx, struct scan *scan, struct err *err)
{
    int result = 0;

    for (size_t i = 0; i < scan->killed_count; i++) {
        struct pollfd dead = {.fd = scan->killed[i], .events = POLLIN};

        if (result == 0 && ctx_poll(ctx, &dead, 1, DEATH_MS, err) < 0)
            result = -1;
        close(scan->killed[i]);
    }
    scan->killed_count = 0;
    return result;
}

/* Looks at every process once; *ret_count is how many had to go. */
static int scan_once(const struct ctx *ctx, struct scan *scan, size_t *ret_count, struct err *err)
{
    DIR *processes = opendir("/proc");
    struct dirent *entry;
    size_t count = 0;
    int64_t pid;

    if (!processes)
        return err_errno(err, "cannot list processes");
    while (scan->killed_count < BATCH && (entry = readdir(processes))) {
        if (parse_int64(entry->d_name, &pid, NULL) == 0 && examine(scan, (pid_t)pid))
            count++;
    }
    closedir(processes);
    *ret_count = count;
    return await_deaths(ctx, scan, err);
}

static int sweep(const struct ctx *ctx, struct scan *scan, size_t *ret_count, struct err *err)
{
    size_t total = 0;

    for (int empty = 0; empty < 2;) {
        size_t count = 0;

        if (scan_once(ctx, scan, &count, err) < 0)
            return -1;
        total += count;
        empty = count ? 0 : empty + 1;
        if (scan->request->dry_run)
            break;
        if (empty == 1 && ctx_sleep(ctx, SETTLE_MS, err) < 0)
            return -1;
    }
    *ret_count = total;
    return 0;
}

int host_sweep(const struct ctx *ctx, struct engine_instance *instance,
               const struct sweep_request *request, size_t *ret_count, struct err *err)
{
    struct scan scan = {.request = request};
    struct stat st;
    int result;

    (void)instance;
    if (stat("/proc/self/ns/pid", &st) < 0)
        return err_errno(err, "cannot examine /proc/self/ns/pid");
    scan.namespace = st.st_ino;
    find_ancestors(&scan);
    if (!request->run_id && own_journals_read(NULL, &scan.journals, &scan.journal_count, err) < 0)
        return -1;
    result = sweep(ctx, &scan, ret_count, err);
    own_journals_free(scan.journals, scan.journal_count);
    return result;
}
