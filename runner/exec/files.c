#include "exec/files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/alloc.h"
#include "base/fs.h"
#include "base/glob.h"
#include "base/process.h"
#include "base/vec.h"

enum { CHUNK_BYTES = 128 * 1024, GIT_OUTPUT_MAX = 64 << 20, HEAD_MAX_BYTES = 4096 };

/* --- contents --- */

static int hash_content(const struct ctx *ctx, int fd, const char *path, struct sha256 *hash,
                        struct err *err)
{
    CLEANUP_FREE char *chunk = xmalloc(CHUNK_BYTES);
    ssize_t got;

    do {
        if (ctx_check(ctx, err) < 0)
            return -1;
        got = read(fd, chunk, CHUNK_BYTES);
        if (got < 0 && errno != EINTR)
            return err_errno(err, "cannot read %s", path);
        if (got > 0)
            sha256_add(hash, chunk, (size_t)got);
    } while (got != 0);
    return 0;
}

/* 1: hashed, 0: it has gone or become something else meanwhile. */
static int hash_file(const struct ctx *ctx, int root_fd, const char *path, uint8_t ret[SHA256_SIZE],
                     struct err *err)
{
    CLEANUP_FD int fd = openat(root_fd, path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    struct sha256 hash;
    struct stat st;

    if (fd < 0 && (errno == ENOENT || errno == ELOOP || errno == ENOTDIR))
        return 0;
    if (fd < 0)
        return err_errno(err, "cannot read %s", path);
    if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
        return 0;
    sha256_begin(&hash);
    if (hash_content(ctx, fd, path, &hash, err) < 0)
        return -1;
    sha256_end(&hash, ret);
    return 1;
}

static int hash_link(int root_fd, const char *path, uint8_t ret[SHA256_SIZE])
{
    char target[PATH_MAX];
    ssize_t len = readlinkat(root_fd, path, target, sizeof(target));
    struct sha256 hash;

    if (len < 0)
        return 0;
    sha256_begin(&hash);
    sha256_add(&hash, target, (size_t)len);
    sha256_end(&hash, ret);
    return 1;
}

static int hash_found(const struct ctx *ctx, const char *root, const struct glob_found *found,
                      struct sha256 *whole, bool *ret_any, struct err *err)
{
    CLEANUP_FD int root_fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    for (size_t i = 0; i < found->len; i++) {
        const struct glob_entry *entry = &found->items[i];
        uint8_t one[SHA256_SIZE];
        int result = 0;

        if (entry->type == DT_REG)
            result = hash_file(ctx, root_fd, entry->path, one, err);
        else if (entry->type == DT_LNK)
            result = hash_link(root_fd, entry->path, one);
        if (result < 0)
            return -1;
        if (!result)
            continue;
        *ret_any = true;
        sha256_add(whole, entry->path, strlen(entry->path) + 1);
        sha256_add(whole, entry->type == DT_LNK ? "l" : "f", 1);
        sha256_add(whole, one, sizeof(one));
    }
    return 0;
}

int files_hash(const struct ctx *ctx, const char *root, const char *const *globs, size_t count,
               char ret[SHA256_HEX_SIZE], struct err *err)
{
    CLEANUP_GLOB_FOUND struct glob_found found = {0};
    CLEANUP_GLOB struct glob *glob = NULL;
    struct sha256 whole;
    bool any = false;

    sha256_begin(&whole);
    if (glob_parse(globs, count, GLOB_TREE, &glob, err) < 0 ||
        glob_find(ctx, root, glob, &found, err) < 0 ||
        hash_found(ctx, root, &found, &whole, &any, err) < 0)
        return -1;
    sha256_hex(&whole, ret);
    if (!any)
        ret[0] = '\0';
    return 0;
}

int files_exist(const struct ctx *ctx, const char *root, const char *const *globs, size_t count,
                bool *ret, struct err *err)
{
    CLEANUP_GLOB struct glob *glob = NULL;

    if (glob_parse(globs, count, GLOB_TREE, &glob, err) < 0)
        return -1;
    return glob_exists(ctx, root, glob, ret, err);
}

/* --- history --- */

/* What a repository configures must not make git run programs; beyond that it sees what a user's
 * git sees. */
#define GIT "git", "-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null"

/* Runs git in the workdir; its exit status, or -1. */
static int run_git(const struct ctx *ctx, const char *root, const char *const *argv,
                   struct buf *output, struct buf *messages, struct err *err)
{
    static const char *const passed[] = {"PATH", "HOME", "XDG_CONFIG_HOME"};
    CLEANUP_STRVEC struct strvec envp = {0};
    struct process_options options = PROCESS_OPTIONS_INIT;
    int status = 0;

    strvec_push(&envp, "LC_ALL=C");
    strvec_push(&envp, "GIT_OPTIONAL_LOCKS=0");
    strvec_push(&envp, "GIT_TERMINAL_PROMPT=0");
    for (size_t i = 0; i < sizeof(passed) / sizeof(*passed); i++) {
        if (getenv(passed[i]))
            strvec_pushf(&envp, "%s=%s", passed[i], getenv(passed[i]));
    }
    options.argv = argv;
    options.envp = (const char *const *)envp.items;
    options.cwd = root;
    if (process_run(ctx, &options, NULL, output, GIT_OUTPUT_MAX, messages, &status, err) < 0) {
        if (err && err->code == ERR_NOT_FOUND)
            return err_set(err, ERR_NOT_FOUND, "git is not installed here");
        return -1;
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}

static int git_failed(struct err *err, const struct buf *messages)
{
    size_t len = strcspn(messages->data, "\n");

    if (strncmp(messages->data, "fatal: not a git repository", 27) == 0)
        return err_set(err, ERR_NOT_FOUND, "the workdir is not in a git repository");
    return err_set(err, ERR_UNSUPPORTED, "git fails: %.*s",
                   (int)(len ? (len < 400 ? len : 400) : strlen("no message")),
                   len ? messages->data : "no message");
}

/* What HEAD is compared with: the commit before, or nothing for a first one. */
static int find_base(const struct ctx *ctx, const char *root, struct buf *ret, struct err *err)
{
    static const char *const parent[] = {GIT, "rev-parse", "--verify", "-q", "HEAD^", NULL};
    static const char *const shallow[] = {GIT, "rev-parse", "--is-shallow-repository", NULL};
    static const char *const nothing[] = {GIT, "hash-object", "-t", "tree", "/dev/null", NULL};
    CLEANUP_BUF struct buf messages = BUF_INIT;
    int status = run_git(ctx, root, parent, ret, &messages, err);

    if (status > 1)
        return git_failed(err, &messages);
    if (status == 1) {
        CLEANUP_BUF struct buf answer = BUF_INIT;

        if (run_git(ctx, root, shallow, &answer, &messages, err) < 0)
            return -1;
        if (strncmp(answer.data, "true", 4) == 0)
            return err_set(err, ERR_UNSUPPORTED,
                           "the commit before is not there, because the clone is shallow; "
                           "fetch two commits at least");
        buf_reset(ret);
        status = run_git(ctx, root, nothing, ret, &messages, err);
        if (status > 0)
            return git_failed(err, &messages);
    }
    if (status < 0)
        return -1;
    buf_truncate(ret, strcspn(ret->data, "\n"));
    return 0;
}

int files_changed(const struct ctx *ctx, const char *root, const char *const *globs, size_t count,
                  bool *ret, struct err *err)
{
    CLEANUP_GLOB struct glob *glob = NULL;
    CLEANUP_BUF struct buf base = BUF_INIT;
    CLEANUP_BUF struct buf names = BUF_INIT;
    CLEANUP_BUF struct buf messages = BUF_INIT;
    const char *argv[] = {GIT,
                          "diff",
                          "--name-only",
                          "-z",
                          "--no-renames",
                          "--relative",
                          "--no-ext-diff",
                          "--no-textconv",
                          "--ignore-submodules=dirty",
                          NULL,
                          "--",
                          NULL};
    int status;

    if (glob_parse(globs, count, GLOB_TREE, &glob, err) < 0 || find_base(ctx, root, &base, err) < 0)
        return -1;
    argv[sizeof(argv) / sizeof(*argv) - 3] = base.data;
    status = run_git(ctx, root, argv, &names, &messages, err);
    if (status)
        return status < 0 ? -1 : git_failed(err, &messages);
    *ret = false;
    for (const char *name = names.data; !*ret && name < names.data + names.len;
         name += strlen(name) + 1)
        *ret = glob_match(glob, name);
    return 0;
}

/* The directory with HEAD: DIR/.git, or what that file says. */
static char *git_dir(const char *dir)
{
    CLEANUP_FREE char *path = fs_join(dir, ".git");
    CLEANUP_BUF struct buf text = BUF_INIT;

    if (fs_is_directory(path))
        return steal_ptr(&path);
    if (fs_read_file(path, HEAD_MAX_BYTES, &text, NULL) < 0 ||
        strncmp(text.data, "gitdir: ", 8) != 0)
        return NULL;
    buf_truncate(&text, strcspn(text.data, "\n"));
    text.data[text.len] = '\0';
    return fs_join(dir, text.data + 8);
}

void files_branch(const char *root, struct buf *ret)
{
    static const char prefix[] = "ref: refs/heads/";
    CLEANUP_FREE char *dir = fs_absolute(root);
    CLEANUP_FREE char *found = NULL;
    CLEANUP_FREE char *head = NULL;
    CLEANUP_BUF struct buf text = BUF_INIT;

    for (;;) {
        char *slash = strrchr(dir, '/');

        found = git_dir(dir);
        if (found || !slash || !dir[1])
            break;
        slash[slash == dir] = '\0';
    }
    if (!found)
        return;
    head = fs_join(found, "HEAD");
    if (fs_read_file(head, HEAD_MAX_BYTES, &text, NULL) == 0 &&
        strncmp(text.data, prefix, strlen(prefix)) == 0)
        buf_add(ret, text.data + strlen(prefix), strcspn(text.data + strlen(prefix), "\n"));
}
