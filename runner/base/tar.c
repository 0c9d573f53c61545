#include "base/tar.h"

#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/fs.h"
#include "base/vec.h"

#define BLOCK      512
#define NAME_SIZE  100
#define SIZE_LIMIT INT64_C(077777777777) /* eleven octal digits */

struct header {
    char name[100];
    char mode[8];
    char uid[8];
    char gid[8];
    char size[12];
    char mtime[12];
    char checksum[8];
    char type;
    char link[100];
    char magic[6];
    char version[2];
    char user[32];
    char group[32];
    char major[8];
    char minor[8];
    char prefix[155];
    char padding[12];
};

_Static_assert(sizeof(struct header) == BLOCK, "a tar header is one block");

struct entry {
    const char *name;
    const char *link; /* target of a symbolic link, else "" */
    char type;        /* '0' file, '2' symbolic link, '5' directory, 'x' extended header */
    mode_t mode;
    uid_t uid;
    gid_t gid;
    int64_t size;
    int64_t mtime_s;
};

static void put_octal(char *field, size_t size, uint64_t value)
{
    for (size_t i = size - 1; i-- > 0; value >>= 3)
        field[i] = (char)('0' + (value & 7));
}

static void pad(struct buf *out, int64_t size)
{
    static const char zeros[BLOCK];

    buf_add(out, zeros, (size_t)(-size & (BLOCK - 1)));
}

static void put_string(char *field, size_t size, const char *text)
{
    memcpy(field, text, strnlen(text, size));
}

static void add_header(struct buf *out, const struct entry *entry)
{
    struct header header = {.type = entry->type, .magic = "ustar", .version = {'0', '0'}};
    unsigned sum = 0;

    put_string(header.name, sizeof(header.name), entry->name);
    put_string(header.link, sizeof(header.link), entry->link);
    put_octal(header.mode, sizeof(header.mode), entry->mode & 07777);
    put_octal(header.uid, sizeof(header.uid), entry->uid & 07777777);
    put_octal(header.gid, sizeof(header.gid), entry->gid & 07777777);
    put_octal(header.size, sizeof(header.size), (uint64_t)entry->size);
    put_octal(header.mtime, sizeof(header.mtime),
              entry->mtime_s > 0 && entry->mtime_s <= SIZE_LIMIT ? (uint64_t)entry->mtime_s : 0);
    memset(header.checksum, ' ', sizeof(header.checksum));
    for (size_t i = 0; i < BLOCK; i++)
        sum += ((const unsigned char *)&header)[i];
    put_octal(header.checksum, 7, sum);
    buf_add(out, &header, sizeof(header));
}

/* "LENGTH KEY=VALUE\n", where LENGTH counts itself. */
static void add_record(struct buf *records, const char *key, const char *value)
{
    size_t rest = strlen(key) + strlen(value) + 3;
    size_t len = rest + 1;

    while (len != rest + (size_t)snprintf(NULL, 0, "%zu", len))
        len = rest + (size_t)snprintf(NULL, 0, "%zu", len);
    buf_addf(records, "%zu %s=%s\n", len, key, value);
}

static void add_entry(struct buf *out, const struct entry *entry)
{
    CLEANUP_BUF struct buf records = BUF_INIT;
    struct entry plain = *entry;
    char number[32];

    if (strlen(entry->name) > NAME_SIZE)
        add_record(&records, "path", entry->name);
    if (strlen(entry->link) > NAME_SIZE)
        add_record(&records, "linkpath", entry->link);
    if (entry->size > SIZE_LIMIT) {
        snprintf(number, sizeof(number), "%lld", (long long)entry->size);
        add_record(&records, "size", number);
        plain.size = 0;
    }
    if (entry->uid > 07777777) {
        snprintf(number, sizeof(number), "%u", (unsigned)entry->uid);
        add_record(&records, "uid", number);
    }
    if (entry->gid > 07777777) {
        snprintf(number, sizeof(number), "%u", (unsigned)entry->gid);
        add_record(&records, "gid", number);
    }
    if (records.len > 0) {
        struct entry extended = {
            .name = "pax", .link = "", .type = 'x', .mode = 0644, .size = (int64_t)records.len};

        add_header(out, &extended);
        buf_add(out, records.data, records.len);
        pad(out, extended.size);
    }
    add_header(out, &plain);
}

void tar_add_directory(struct buf *out, const char *name, mode_t mode)
{
    add_entry(out, &(struct entry){.name = name, .link = "", .type = '5', .mode = mode});
}

void tar_add_file_owned(struct buf *out, const char *name, mode_t mode, uid_t uid, gid_t gid,
                        const void *data, size_t size)
{
    add_entry(out, &(struct entry){.name = name,
                                   .link = "",
                                   .type = '0',
                                   .mode = mode,
                                   .uid = uid,
                                   .gid = gid,
                                   .size = (int64_t)size});
    buf_add(out, data, size);
    pad(out, (int64_t)size);
}

void tar_add_file(struct buf *out, const char *name, mode_t mode, const void *data, size_t size)
{
    tar_add_file_owned(out, name, mode, 0, 0, data, size);
}

void tar_add_end(struct buf *out)
{
    static const char zeros[2 * BLOCK];

    buf_add(out, zeros, sizeof(zeros));
}

struct tar_tree {
    FTS *fts;
    size_t skip; /* length of the root's path and the slash behind it */
    int top;     /* the level of what is part of the archive */
    const struct ignore *ignore;
    struct buf pending; /* headers and padding that come first */
    int fd;             /* the file whose content is given, or -1 */
    char *path;         /* its path */
    int64_t left;       /* of its content */
    int64_t size;
    bool ended;
};

static int open_tree(const char *path, char *const *roots, int options, int top,
                     struct tar_tree **ret, struct err *err)
{
    struct tar_tree *tree;
    FTS *fts = fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR | options, NULL);

    if (!fts)
        return err_errno(err, "cannot read the directory %s", path);
    tree = xcalloc(1, sizeof(*tree));
    tree->fts = fts;
    tree->top = top;
    tree->skip = strlen(path) + (path[strlen(path) - 1] != '/');
    tree->pending = (struct buf)BUF_INIT;
    tree->fd = -1;
    *ret = tree;
    return 0;
}

int tar_tree_open(const char *path, struct tar_tree **ret, struct err *err)
{
    char *const roots[] = {(char *)path, NULL};

    return open_tree(path, roots, FTS_COMFOLLOW, 1, ret, err);
}

int tar_tree_open_paths(const char *path, const char *const *paths, struct tar_tree **ret,
                        struct err *err)
{
    CLEANUP_STRVEC struct strvec roots = {0};

    for (; *paths; paths++)
        strvec_push_owned(&roots, fs_join(path, *paths));
    if (!roots.len)
        return err_set(err, ERR_INVALID, "there is nothing to pack of %s", path);
    return open_tree(path, roots.items, 0, 0, ret, err);
}

void tar_tree_ignore(struct tar_tree *tree, const struct ignore *ignore)
{
    tree->ignore = ignore;
}

void tar_tree_close(struct tar_tree *tree)
{
    if (!tree)
        return;
    if (tree->fd >= 0)
        close(tree->fd);
    /* glibc's fts_close() leaks the roots of a tree that nothing has been read of. */
    if (tree->fts->fts_cur && tree->fts->fts_cur->fts_info == FTS_INIT)
        (void)!fts_read(tree->fts);
    fts_close(tree->fts);
    buf_release(&tree->pending);
    free(tree->path);
    free(tree);
}

/* Opens the content of a regular file; 1 when it is gone. */
static int open_content(struct tar_tree *tree, const FTSENT *found, struct stat *status,
                        struct err *err)
{
    int fd = open(found->fts_accpath, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);

    if (fd < 0 || fstat(fd, status) < 0) {
        int error = errno;

        if (fd >= 0)
            close(fd);
        if (error == ENOENT || error == ELOOP)
            return 1;
        errno = error;
        return err_errno(err, "cannot read %s", found->fts_path);
    }
    if (!S_ISREG(status->st_mode)) {
        close(fd);
        return 1;
    }
    tree->fd = fd;
    tree->left = tree->size = status->st_size;
    free(tree->path);
    tree->path = xstrdup(found->fts_path);
    return 0;
}

static int add_found(struct tar_tree *tree, const FTSENT *found, struct err *err)
{
    struct stat status = *found->fts_statp;
    char link[PATH_MAX] = "";
    struct entry entry = {.name = found->fts_path + tree->skip, .link = link};
    CLEANUP_FREE char *directory = NULL;

    if (found->fts_info == FTS_F) {
        int gone = open_content(tree, found, &status, err);

        if (gone)
            return gone < 0 ? -1 : 0;
        entry.type = '0';
        entry.size = status.st_size;
    } else if (found->fts_info == FTS_D) {
        directory = xasprintf("%s/", entry.name);
        entry.name = directory;
        entry.type = '5';
    } else {
        ssize_t len = readlink(found->fts_accpath, link, sizeof(link) - 1);

        if (len < 0)
            return 0;
        link[len] = '\0';
        entry.type = '2';
    }
    entry.mode = status.st_mode;
    entry.uid = status.st_uid;
    entry.gid = status.st_gid;
    entry.mtime_s = status.st_mtime;
    add_entry(&tree->pending, &entry);
    return 0;
}

/* Adds the next entry's headers to `pending`, or the end of the archive. */
static int next_entry(struct tar_tree *tree, struct err *err)
{
    FTSENT *found;

    errno = 0;
    found = fts_read(tree->fts);
    if (!found) {
        if (errno)
            return err_errno(err, "cannot read the directory");
        tar_add_end(&tree->pending);
        tree->ended = true;
        return 0;
    }
    switch (found->fts_info) {
    case FTS_DNR:
    case FTS_ERR:
    case FTS_NS:
        errno = found->fts_errno;
        if (errno == ENOENT && found->fts_level >= tree->top)
            return 0;
        return err_errno(err, "cannot read %s", found->fts_path);
    case FTS_D:
    case FTS_F:
    case FTS_SL:
    case FTS_SLNONE:
        if (found->fts_level < tree->top)
            return 0;
        if (!ignore_match(tree->ignore, found->fts_path + tree->skip, found->fts_info == FTS_D))
            return add_found(tree, found, err);
        /* Nothing of a directory that is left out is even looked at, unless it can be taken back.
         */
        if (found->fts_info == FTS_D && ignore_looks_inside(tree->ignore))
            return 0;
        if (fts_set(tree->fts, found, FTS_SKIP) < 0)
            return err_errno(err, "cannot leave out %s", found->fts_path);
        return 0;
    default:
        return 0;
    }
}

static ssize_t read_content(struct tar_tree *tree, char *data, size_t size, struct err *err)
{
    ssize_t n;

    if ((int64_t)size > tree->left)
        size = (size_t)tree->left;
    do {
        n = size > 0 ? read(tree->fd, data, size) : 0;
    } while (n < 0 && errno == EINTR);
    if (n < 0)
        return err_errno(err, "cannot read %s", tree->path);
    if (n == 0 && size > 0) {
        memset(data, 0, size);
        n = (ssize_t)size;
    }
    tree->left -= n;
    if (tree->left == 0) {
        pad(&tree->pending, tree->size);
        close(steal_fd(&tree->fd));
    }
    return n;
}

ssize_t tar_tree_read(struct tar_tree *tree, void *data, size_t size, struct err *err)
{
    for (;;) {
        if (tree->pending.len > 0) {
            size_t n = tree->pending.len < size ? tree->pending.len : size;

            memcpy(data, tree->pending.data, n);
            buf_consume(&tree->pending, n);
            return (ssize_t)n;
        }
        if (tree->fd >= 0) {
            ssize_t n = read_content(tree, data, size, err);

            if (n != 0)
                return n;
        } else if (tree->ended) {
            return 0;
        } else if (next_entry(tree, err) < 0) {
            return -1;
        }
    }
}
