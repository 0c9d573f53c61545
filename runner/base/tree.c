#include "base/tree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/prctl.h>

#include "base/buf.h"
#include "base/fs.h"
#include "base/vec.h"

/* Longest list of children of one thread; pid_max bounds it to 4 Mi numbers of 8 bytes. */
enum { CHILDREN_MAX_BYTES = 32 * 1024 * 1024 };

int tree_adopt_orphans(struct err *err)
{
    if (prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) < 0)
        return err_errno(err, "cannot become the parent of orphans");
    return 0;
}

bool tree_supported(void)
{
    return access("/proc/thread-self/children", R_OK) == 0;
}

static void thread_children(const char *path, struct pidvec *out)
{
    CLEANUP_BUF struct buf text = BUF_INIT;
    const char *at;
    char *end;

    if (fs_read_file(path, CHILDREN_MAX_BYTES, &text, NULL) < 0)
        return;
    for (at = text.data; *at; at = end) {
        long pid = strtol(at, &end, 10);

        if (end == at)
            break;
        vec_push(out, (pid_t)pid);
    }
}

void tree_children(pid_t pid, struct pidvec *out)
{
    char path[288];
    struct dirent *entry;
    DIR *threads;

    snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
    threads = opendir(path);
    if (!threads)
        return;
    while ((entry = readdir(threads))) {
        if (entry->d_name[0] == '.')
            continue;
        snprintf(path, sizeof(path), "/proc/%d/task/%s/children", (int)pid, entry->d_name);
        thread_children(path, out);
    }
    closedir(threads);
}

void tree_descendants(pid_t pid, struct pidvec *out)
{
    size_t next = out->len;

    tree_children(pid, out);
    for (; next < out->len; next++)
        tree_children(out->items[next], out);
}

static bool contains(const pid_t *pids, size_t count, pid_t pid)
{
    for (size_t i = 0; i < count; i++) {
        if (pids[i] == pid)
            return true;
    }
    return false;
}

/* Each is killed as soon as its children are known, which stops trees that grow while they are
 * walked. Its children can then be waited for by nobody but us (they become ours), so their numbers
 * cannot pass to other processes before we come to them. */
size_t tree_kill_children(const pid_t *except, size_t except_count)
{
    CLEANUP_PIDVEC struct pidvec below = {0};
    size_t count = 0;
    size_t direct;

    tree_children(getpid(), &below);
    direct = below.len;
    for (size_t i = 0; i < below.len; i++) {
        pid_t pid = below.items[i];

        if (i < direct && contains(except, except_count, pid))
            continue;
        tree_children(pid, &below);
        kill(pid, SIGKILL);
        count += i < direct;
    }
    return count;
}

void tree_signal(pid_t group, int sig)
{
    CLEANUP_PIDVEC struct pidvec below = {0};

    tree_descendants(getpid(), &below);
    if (group > 0)
        kill(-group, sig);
    vec_foreach (pid_t *, pid, &below) {
        if (group <= 0 || getpgid(*pid) != group)
            kill(*pid, sig);
    }
}
