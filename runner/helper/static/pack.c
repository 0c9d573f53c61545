/* `helper pack`: all that is below a directory, or one path there, as a tar archive. Regular files,
 * directories, symbolic and hard links with their permissions, owners and times; sockets, pipes and
 * devices are left out, and holes become zeros. */
#include <asm/errno.h>
#include <asm/stat.h>
#include <linux/fcntl.h>
#include <linux/stat.h>

#include "../request.h"
#include "program.h"
#include "rt.h"
#include "sys.h"
#include "tar.h"

#define BUFFER_BYTES 65536
#define LINK_BUCKETS 4096
/* Of a level; the levels are in the stack. */
#define ENTRIES_BYTES 2048

/* A file that has several names: the first of them. */
struct first {
    struct first *next;
    unsigned long device;
    unsigned long inode;
    const char *path;
};

struct pack {
    char *buffer;
    size_t len; /* of the buffer: not written yet */
    char path[TAR_NAME_MAX + 1];
    char link[TAR_NAME_MAX + 1];
    char records[3 * TAR_NAME_MAX];
    size_t records_len;
    struct first *firsts[LINK_BUCKETS];
};

static _Noreturn void fail_pack(const struct pack *pack, long error)
{
    fail(HELPER_EXIT_CANNOT, "pack", pack->path, error_text(error));
}

/* --- output --- */

static void flush(struct pack *pack)
{
    int error = write_all(1, pack->buffer, pack->len);

    if (error < 0)
        fail(HELPER_EXIT_CANNOT, "write the archive", "", error_text(error));
    pack->len = 0;
}

static void put(struct pack *pack, const char *data, size_t len)
{
    while (len > 0) {
        size_t size = BUFFER_BYTES - pack->len < len ? BUFFER_BYTES - pack->len : len;

        memcpy(pack->buffer + pack->len, data, size);
        pack->len += size;
        data += size;
        len -= size;
        if (pack->len == BUFFER_BYTES)
            flush(pack);
    }
}

static void put_zeros(struct pack *pack, unsigned long len)
{
    static const char zeros[TAR_BLOCK];

    for (; len > 0; len -= len < TAR_BLOCK ? len : TAR_BLOCK)
        put(pack, zeros, len < TAR_BLOCK ? len : TAR_BLOCK);
}

/* --- headers --- */

/* The digits end at `end`. */
static char *digits(char *end, unsigned long value)
{
    do {
        *--end = (char)('0' + value % 10);
        value /= 10;
    } while (value);
    return end;
}

static void add_text(struct pack *pack, const char *text)
{
    memcpy(pack->records + pack->records_len, text, strlen(text));
    pack->records_len += strlen(text);
}

/* Its length counts its own digits, too. */
static void add_record(struct pack *pack, const char *key, const char *value)
{
    size_t rest = strlen(key) + strlen(value) + 3;
    char text[24] = "";
    char *len = digits(text + sizeof(text) - 1, rest + 1);

    len = digits(text + sizeof(text) - 1, rest + strlen(len));
    len = digits(text + sizeof(text) - 1, rest + strlen(len));
    add_text(pack, len);
    add_text(pack, " ");
    add_text(pack, key);
    add_text(pack, "=");
    add_text(pack, value);
    add_text(pack, "\n");
}

static void add_number(struct pack *pack, const char *key, unsigned long value)
{
    char text[24] = "";

    add_record(pack, key, digits(text + sizeof(text) - 1, value));
}

/* To the nanosecond; before 1970 the fraction counts away from zero. */
static void add_time(struct pack *pack, const struct stat *status)
{
    char text[48] = "";
    char *at = text + sizeof(text) - 1;
    long seconds = (long)status->st_mtime, ns = (long)status->st_mtime_nsec;
    bool negative = seconds < 0;

    if (negative && ns > 0) {
        seconds++;
        ns = 1000000000 - ns;
    }
    for (int i = 0; i < 9; i++, ns /= 10)
        *--at = (char)('0' + ns % 10);
    *--at = '.';
    at = digits(at, (unsigned long)(negative ? -seconds : seconds));
    if (negative)
        *--at = '-';
    add_record(pack, "mtime", at);
}

/* Octal, with a NUL behind it; false: it is too large. */
static bool put_octal(char *field, size_t size, unsigned long value)
{
    for (size_t i = size - 1; i > 0; i--, value >>= 3)
        field[i - 1] = (char)('0' + (value & 7));
    return value == 0;
}

static void put_header(struct pack *pack, struct tar_header *header)
{
    memcpy(header->magic, "ustar", 6);
    memcpy(header->version, "00", 2);
    put_octal(header->checksum, 7, tar_checksum(header));
    header->checksum[7] = ' ';
    put(pack, (const char *)header, sizeof(*header));
}

static void put_records(struct pack *pack)
{
    struct tar_header header = {.name = "pax", .type = TAR_PAX};

    if (!pack->records_len)
        return;
    put_octal(header.mode, sizeof(header.mode), 0644);
    put_octal(header.uid, sizeof(header.uid), 0);
    put_octal(header.gid, sizeof(header.gid), 0);
    put_octal(header.mtime, sizeof(header.mtime), 0);
    put_octal(header.size, sizeof(header.size), pack->records_len);
    put_header(pack, &header);
    put(pack, pack->records, pack->records_len);
    put_zeros(pack, -pack->records_len % TAR_BLOCK);
}

/* In the header, or in a record when it does not fit there. */
static void set_name(struct pack *pack, char field[100], const char *key, const char *name)
{
    size_t len = strlen(name);

    memcpy(field, name, len < 100 ? len : 100);
    if (len <= 100)
        return;
    add_record(pack, "hdrcharset", "BINARY");
    add_record(pack, key, name);
}

static void put_entry(struct pack *pack, const struct stat *status, char type, unsigned long size)
{
    struct tar_header header = {.type = type};
    long seconds = (long)status->st_mtime;

    pack->records_len = 0;
    put_octal(header.mode, sizeof(header.mode), status->st_mode & 07777);
    if (!put_octal(header.uid, sizeof(header.uid), status->st_uid))
        add_number(pack, "uid", status->st_uid);
    if (!put_octal(header.gid, sizeof(header.gid), status->st_gid))
        add_number(pack, "gid", status->st_gid);
    if (!put_octal(header.size, sizeof(header.size), size))
        add_number(pack, "size", size);
    if (!put_octal(header.mtime, sizeof(header.mtime), seconds < 0 ? 0 : (unsigned long)seconds) ||
        seconds < 0 || status->st_mtime_nsec)
        add_time(pack, status);
    set_name(pack, header.name, "path", pack->path);
    if (type == TAR_SYMLINK || type == TAR_HARD_LINK)
        set_name(pack, header.link, "linkpath", pack->link);
    put_records(pack);
    put_header(pack, &header);
}

/* --- files --- */

/* Whether it is a further name of a file that is there already, whose first is in `link` then. */
static bool is_further(struct pack *pack, const struct stat *status)
{
    struct first **bucket = &pack->firsts[(status->st_ino ^ status->st_dev) % LINK_BUCKETS];
    struct first *first = *bucket;

    if (status->st_nlink < 2)
        return false;
    while (first && (first->device != status->st_dev || first->inode != status->st_ino))
        first = first->next;
    if (first) {
        memcpy(pack->link, first->path, strlen(first->path) + 1);
        return true;
    }
    first = allocate(sizeof(*first));
    *first = (struct first){*bucket, status->st_dev, status->st_ino, join(pack->path, NULL)};
    *bucket = first;
    return false;
}

/* What it has grown by since is not wanted, what it has shrunk by becomes zeros. */
static void put_content(struct pack *pack, int fd, unsigned long size)
{
    unsigned long left = size;

    while (left > 0) {
        size_t room = BUFFER_BYTES - pack->len;
        long n = SYS3(read, fd, pack->buffer + pack->len, left < room ? left : room);

        if (n == -EINTR)
            continue;
        if (n < 0)
            fail_pack(pack, n);
        if (n == 0)
            break;
        pack->len += (size_t)n;
        left -= (unsigned long)n;
        if (pack->len == BUFFER_BYTES)
            flush(pack);
    }
    put_zeros(pack, left + -size % TAR_BLOCK);
}

static void pack_file(struct pack *pack, int directory, const char *name)
{
    struct stat status;
    int fd = (int)SYS4(openat, directory, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0);

    /* It has gone meanwhile, or something else is in its place. */
    if (fd == -ENOENT || fd == -ELOOP || fd == -ENXIO)
        return;
    if (fd < 0)
        fail_pack(pack, fd);
    if (SYS4(newfstatat, fd, "", &status, AT_EMPTY_PATH) == 0 && S_ISREG(status.st_mode)) {
        if (is_further(pack, &status)) {
            put_entry(pack, &status, TAR_HARD_LINK, 0);
        } else {
            put_entry(pack, &status, TAR_FILE, (unsigned long)status.st_size);
            put_content(pack, fd, (unsigned long)status.st_size);
        }
    }
    close_fd(&fd);
}

static void pack_symlink(struct pack *pack, int directory, const char *name,
                         const struct stat *status)
{
    long n = SYS4(readlinkat, directory, name, pack->link, TAR_NAME_MAX);

    if (n == -ENOENT || n == -EINVAL)
        return;
    if (n < 0)
        fail_pack(pack, n);
    pack->link[n] = '\0';
    put_entry(pack, status, TAR_SYMLINK, 0);
}

static void pack_directory(struct pack *pack, int fd);

/* `len` is that of the path of the directory, in front of the name. */
static void pack_one(struct pack *pack, int directory, const char *name, size_t len)
{
    struct stat status;
    long error = SYS4(newfstatat, directory, name, &status, AT_SYMLINK_NOFOLLOW);
    int fd;

    if (len + 1 + strlen(name) > TAR_NAME_MAX)
        fail_pack(pack, -ENAMETOOLONG);
    if (len)
        pack->path[len++] = '/';
    memcpy(pack->path + len, name, strlen(name) + 1);
    if (error < 0 && error != -ENOENT)
        fail_pack(pack, error);
    if (error < 0)
        return;
    if (S_ISREG(status.st_mode)) {
        pack_file(pack, directory, name);
    } else if (S_ISLNK(status.st_mode)) {
        pack_symlink(pack, directory, name, &status);
    } else if (S_ISDIR(status.st_mode)) {
        put_entry(pack, &status, TAR_DIRECTORY, 0);
        fd = (int)SYS4(openat, directory, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC, 0);
        if (fd < 0 && fd != -ENOENT && fd != -ENOTDIR && fd != -ELOOP)
            fail_pack(pack, fd);
        if (fd >= 0)
            pack_directory(pack, fd);
    }
}

/* Closes it. */
static void pack_directory(struct pack *pack, int fd)
{
    char entries[ENTRIES_BYTES] __attribute__((aligned(8)));
    size_t len = strlen(pack->path);
    long n;

    while ((n = SYS3(getdents64, fd, entries, sizeof(entries))) > 0) {
        for (long at = 0; at < n;) {
            const struct directory_entry *entry = (const struct directory_entry *)(entries + at);

            at += entry->size;
            if (!str_equal(entry->name, ".") && !str_equal(entry->name, ".."))
                pack_one(pack, fd, entry->name, len);
            pack->path[len] = '\0';
        }
    }
    if (n < 0)
        fail_pack(pack, n);
    close_fd(&fd);
}

/* The next part of a path into `name`, which takes all of a path; NULL: there is none. */
static const char *next_part(const char *path, char *name)
{
    size_t len = 0;

    while (*path == '/')
        path++;
    while (path[len] && path[len] != '/')
        len++;
    memcpy(name, path, len);
    name[len] = '\0';
    return len ? path + len : NULL;
}

/* Enters the directory `name` and closes the one that it is in. False: there is none, or a link. */
static bool enter(struct pack *pack, int *fd, const char *name)
{
    size_t len = strlen(pack->path);
    int below = (int)SYS4(openat, *fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC, 0);

    if (len)
        pack->path[len++] = '/';
    memcpy(pack->path + len, name, strlen(name) + 1);
    if (below < 0 && below != -ENOENT && below != -ENOTDIR && below != -ELOOP)
        fail_pack(pack, below);
    close_fd(fd);
    *fd = below;
    return below >= 0;
}

/* What the path names, part by part and without following links. */
static void pack_path(struct pack *pack, int fd, const char *path)
{
    char name[TAR_NAME_MAX + 1], next[TAR_NAME_MAX + 1];

    if (strlen(path) > TAR_NAME_MAX)
        fail(HELPER_EXIT_CANNOT, "pack", path, error_text(-ENAMETOOLONG));
    path = next_part(path, name);
    while (path) {
        if (str_equal(name, ".."))
            fail(HELPER_EXIT_CANNOT, "pack", path, "it leads out of the directory");
        path = next_part(path, next);
        if (!path) {
            pack_one(pack, fd, name, strlen(pack->path));
            return;
        }
        if (!enter(pack, &fd, name))
            return;
        memcpy(name, next, strlen(next) + 1);
    }
    pack_directory(pack, fd);
}

int command_pack(char *const *args)
{
    static struct pack pack;
    int fd;

    if (!args[0] || (args[1] && args[2]))
        fail(HELPER_EXIT_CANNOT, "pack", "", "usage: pack DIRECTORY [PATH]");
    fd = (int)SYS4(openat, AT_FDCWD, args[0], O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
    if (fd < 0)
        fail(HELPER_EXIT_CANNOT, "open the directory", args[0], error_text(fd));
    pack.buffer = map_memory(BUFFER_BYTES);
    pack_path(&pack, fd, args[1] ? args[1] : "");
    put_zeros(&pack, 2ul * TAR_BLOCK);
    flush(&pack);
    return say_done();
}
