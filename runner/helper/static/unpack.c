/* `helper unpack`: files out of a tar archive, whose end is in it: the one who sends it cannot
 * always end a stream.
 *
 * Whatever it says, nothing is written outside of the directory: names are relative and have no
 * "..", and every directory on the way is opened within the one before without following links. */
#include <asm/errno.h>
#include <asm/poll.h>
#include <asm/stat.h>
#include <linux/fcntl.h>
#include <linux/stat.h>
#include <linux/time_types.h>

#include "../request.h"
#include "program.h"
#include "rt.h"
#include "sys.h"
#include "tar.h"

#define BUFFER_BYTES 65536
#define RECORDS_MAX  (1u << 20)
#define UTIME_NOW    ((1l << 30) - 1)

/* A directory gets its permissions and time when everything is in it. */
struct later {
    struct later *next;
    const char *path;
    unsigned mode;
    struct __kernel_timespec mtime;
};

struct entry {
    char path[TAR_NAME_MAX + 1];
    char link[TAR_NAME_MAX + 1];
    char type;
    unsigned mode;
    unsigned long uid, gid;
    unsigned long size; /* of the data in the archive */
    struct __kernel_timespec mtime;
};

/* What the next entry has in place of what is in its header. */
struct extension {
    bool path, link, size, uid, gid, mtime;
    bool sparse;
    unsigned long real_size; /* of a sparse file */
    struct entry values;
};

struct unpack {
    int root;
    bool is_root;
    unsigned long user;
    char *buffer;
    size_t at, len; /* of the buffer: not used yet */
    char *records;  /* of an extension */
    struct extension extension;
    struct entry entry;
    char directory_path[TAR_NAME_MAX + 1];
    int directory; /* open on that; -1: none is */
    struct later *directories;
};

static _Noreturn void fail_unpack(const char *path, const char *why)
{
    fail(HELPER_EXIT_CANNOT, "unpack", path, why);
}

static _Noreturn void damaged(void)
{
    fail(HELPER_EXIT_CANNOT, "unpack the archive", "", "it is damaged");
}

/* --- input --- */

/* What comes next, at most so much; at least a byte. */
static const char *next_bytes(struct unpack *unpack, size_t max, size_t *ret)
{
    const char *bytes;

    while (unpack->at == unpack->len) {
        long n = SYS3(read, 0, unpack->buffer, BUFFER_BYTES);

        if (n == -EINTR)
            continue;
        if (n == -EAGAIN) {
            struct pollfd input = {.fd = 0, .events = POLLIN};

            poll_until(&input, 1, -1);
            continue;
        }
        if (n <= 0)
            fail(HELPER_EXIT_CANNOT, "unpack the archive", "", "it is cut off");
        unpack->at = 0;
        unpack->len = (size_t)n;
    }
    bytes = unpack->buffer + unpack->at;
    *ret = unpack->len - unpack->at < max ? unpack->len - unpack->at : max;
    unpack->at += *ret;
    return bytes;
}

static void read_bytes(struct unpack *unpack, char *to, size_t len)
{
    while (len > 0) {
        size_t size;
        const char *from = next_bytes(unpack, len, &size);

        memcpy(to, from, size);
        to += size;
        len -= size;
    }
}

static void skip_bytes(struct unpack *unpack, unsigned long len)
{
    while (len > 0) {
        size_t size;

        next_bytes(unpack, len < BUFFER_BYTES ? (size_t)len : BUFFER_BYTES, &size);
        len -= size;
    }
}

static unsigned long padding_of(unsigned long size)
{
    return -size % TAR_BLOCK;
}

/* --- names --- */

static size_t component_length(const char *s)
{
    size_t len = 0;

    while (s[len] && s[len] != '/')
        len++;
    return len;
}

/* Without what means nothing: "./", double slashes, one at the end. In place. */
static void clean_name(char *name)
{
    char *to = name;

    if (*name == '/')
        fail_unpack(name, "the name is absolute");
    for (const char *s = name; *s;) {
        size_t len = component_length(s);

        if (len == 2 && s[0] == '.' && s[1] == '.')
            fail_unpack(name, "the name leads out of the directory");
        s += len;
        if (*s)
            s++;
    }
    for (const char *s = name; *s;) {
        size_t len = component_length(s);
        bool more = s[len] != '\0';

        if (len && !(len == 1 && *s == '.')) {
            if (to != name)
                *to++ = '/';
            for (size_t i = 0; i < len; i++)
                *to++ = s[i];
        }
        s += len + more;
    }
    *to = '\0';
}

static int open_within(int directory, const char *name)
{
    return (int)SYS4(openat, directory, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC, 0);
}

/* Opens the first `len` bytes of a path; of none, the root. */
static int walk(const struct unpack *unpack, const char *path, size_t len)
{
    int directory = open_within(unpack->root, ".");

    for (size_t at = 0; at < len && directory >= 0;) {
        char name[TAR_NAME_MAX + 1];
        size_t size = component_length(path + at);
        int inner;

        memcpy(name, path + at, size);
        name[size] = '\0';
        inner = open_within(directory, name);
        if (inner == -ENOENT) {
            SYS3(mkdirat, directory, name, 0777);
            inner = open_within(directory, name);
        }
        SYS1(close, directory);
        directory = inner;
        at += size + 1;
    }
    if (directory == -ENOTDIR || directory == -ELOOP)
        fail_unpack(path, "a link or a file is in the way");
    if (directory < 0)
        fail_unpack(path, error_text(directory));
    return directory;
}

static size_t parent_length(const char *path)
{
    size_t slash = 0;

    for (size_t i = 0; path[i]; i++) {
        if (path[i] == '/')
            slash = i;
    }
    return slash;
}

static const char *name_of(const char *path)
{
    size_t parent = parent_length(path);

    return parent ? path + parent + 1 : path;
}

/* The directory that the path is in, kept open: its files come in a row. */
static int parent_of(struct unpack *unpack, const char *path)
{
    size_t len = parent_length(path);
    bool same = unpack->directory >= 0;

    for (size_t i = 0; same && i < len; i++)
        same = unpack->directory_path[i] == path[i];
    if (same && !unpack->directory_path[len])
        return unpack->directory;
    close_fd(&unpack->directory);
    unpack->directory = walk(unpack, path, len);
    memcpy(unpack->directory_path, path, len);
    unpack->directory_path[len] = '\0';
    return unpack->directory;
}

/* --- entries --- */

/* What is in the way goes, unless it is a directory. */
static void clear_way(int directory, const char *path)
{
    long error = SYS3(unlinkat, directory, name_of(path), 0);

    if (error == -EISDIR)
        fail_unpack(path, "a directory is in its place");
    if (error < 0 && error != -ENOENT)
        fail_unpack(path, error_text(error));
}

/* A root that may not give files away is as everybody else: who owns what is unpacked, and gives
 * nobody its rights. Returns the permissions to set. */
static unsigned set_owner(const struct unpack *unpack, int fd, const char *name, int flags)
{
    const struct entry *entry = &unpack->entry;

    if (unpack->is_root && SYS5(fchownat, fd, name, entry->uid, entry->gid, flags) == 0)
        return entry->mode & 07777;
    return entry->mode & (!unpack->is_root && entry->uid == unpack->user ? 07777 : 01777);
}

static void set_time(int fd, const char *name, struct __kernel_timespec mtime, int flags)
{
    struct __kernel_timespec times[2] = {{.tv_nsec = UTIME_NOW}, mtime};

    /* Some file systems have none. */
    SYS4(utimensat, fd, name, times, flags);
}

/* One piece of a file. */
static void write_piece(struct unpack *unpack, int fd, unsigned long at, unsigned long size)
{
    SYS3(lseek, fd, at, 0);
    while (size > 0) {
        size_t len;
        const char *data = next_bytes(unpack, size < BUFFER_BYTES ? size : BUFFER_BYTES, &len);
        int error = write_all(fd, data, len);

        /* Nobody could tell it from a whole one. */
        if (error < 0) {
            SYS3(unlinkat, unpack->directory, name_of(unpack->entry.path), 0);
            fail_unpack(unpack->entry.path, error_text(error));
        }
        size -= len;
    }
}

/* A line of the map of a sparse file, which is in front of its data. */
static unsigned long read_map_number(struct unpack *unpack, unsigned long *left)
{
    unsigned long value = 0;

    for (int digits = 0;; digits++) {
        size_t size;
        char c;

        if ((*left)-- == 0)
            damaged();
        c = *next_bytes(unpack, 1, &size);
        if (c == '\n' && digits)
            return value;
        if (c < '0' || c > '9' || digits > 18)
            damaged();
        value = value * 10 + (unsigned long)(c - '0');
    }
}

static void write_sparse(struct unpack *unpack, int fd)
{
    unsigned long left = unpack->entry.size;
    unsigned long count = read_map_number(unpack, &left);
    unsigned long(*map)[2];

    /* Each takes four bytes. */
    if (count > left / 4)
        damaged();
    map = map_memory((count + 1) * sizeof(*map));
    for (unsigned long i = 0; i < count; i++) {
        map[i][0] = read_map_number(unpack, &left);
        map[i][1] = read_map_number(unpack, &left);
    }
    skip_bytes(unpack, left % TAR_BLOCK);
    left -= left % TAR_BLOCK;
    left += unpack->entry.size % TAR_BLOCK;
    for (unsigned long i = 0; i < count; i++) {
        if (map[i][1] > left || map[i][0] > (1ul << 62))
            damaged();
        write_piece(unpack, fd, map[i][0], map[i][1]);
        left -= map[i][1];
    }
    if (left)
        damaged();
    SYS2(munmap, map, (count + 1) * sizeof(*map));
    SYS2(ftruncate, fd, unpack->extension.real_size);
}

static void make_file(struct unpack *unpack)
{
    const int flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
    const struct entry *entry = &unpack->entry;
    int directory = parent_of(unpack, entry->path);
    long fd;

    clear_way(directory, entry->path);
    fd = SYS4(openat, directory, name_of(entry->path), flags, 0600);
    if (fd < 0)
        fail_unpack(entry->path, error_text(fd));
    if (unpack->extension.sparse)
        write_sparse(unpack, (int)fd);
    else
        write_piece(unpack, (int)fd, 0, entry->size);
    skip_bytes(unpack, padding_of(entry->size));
    SYS2(fchmod, fd, set_owner(unpack, (int)fd, "", AT_EMPTY_PATH));
    set_time((int)fd, NULL, entry->mtime, 0);
    SYS1(close, fd);
}

static void make_symlink(struct unpack *unpack)
{
    const struct entry *entry = &unpack->entry;
    int directory = parent_of(unpack, entry->path);
    const char *name = name_of(entry->path);
    long error;

    if (!*entry->link)
        damaged();
    clear_way(directory, entry->path);
    error = SYS3(symlinkat, entry->link, directory, name);
    if (error < 0)
        fail_unpack(entry->path, error_text(error));
    set_owner(unpack, directory, name, AT_SYMLINK_NOFOLLOW);
    set_time(directory, name, entry->mtime, AT_SYMLINK_NOFOLLOW);
}

static void make_hard_link(struct unpack *unpack)
{
    struct entry *entry = &unpack->entry;
    int directory = parent_of(unpack, entry->path), target;
    struct stat status;
    long error;

    clean_name(entry->link);
    if (!*entry->link || str_equal(entry->link, entry->path))
        damaged();
    target = walk(unpack, entry->link, parent_length(entry->link));
    error = SYS4(newfstatat, target, name_of(entry->link), &status, AT_SYMLINK_NOFOLLOW);
    if (error < 0 || !S_ISREG(status.st_mode))
        fail_unpack(entry->path, "it is a link to what is no file");
    clear_way(directory, entry->path);
    error = SYS5(linkat, target, name_of(entry->link), directory, name_of(entry->path), 0);
    SYS1(close, target);
    if (error < 0)
        fail_unpack(entry->path, error_text(error));
}

static void make_directory(struct unpack *unpack)
{
    const struct entry *entry = &unpack->entry;
    int directory = walk(unpack, entry->path, strlen(entry->path));
    struct later *later = allocate(sizeof(*later));

    *later = (struct later){.next = unpack->directories,
                            .path = join(entry->path, NULL),
                            .mode = set_owner(unpack, directory, "", AT_EMPTY_PATH),
                            .mtime = entry->mtime};
    unpack->directories = later;
    if (!unpack->is_root && (later->mode & 0700) != 0700)
        SYS2(fchmod, directory, 0700);
    SYS1(close, directory);
}

/* From the last to the first: what is in a directory comes behind it. */
static void finish_directories(struct unpack *unpack)
{
    for (struct later *later = unpack->directories; later; later = later->next) {
        int directory = walk(unpack, later->path, strlen(later->path));

        SYS2(fchmod, directory, later->mode);
        set_time(directory, NULL, later->mtime, 0);
        SYS1(close, directory);
    }
}

/* --- headers --- */

/* Octal digits, or a binary number with a first byte of 0x80, of 0xff when it is negative. */
static unsigned long get_number(const char *field, size_t size)
{
    const unsigned char first = (unsigned char)field[0];
    unsigned long value = first == 0xff ? -1ul : 0;
    size_t i = 0;

    if (first == 0x80 || first == 0xff) {
        for (i = 1; i < size; i++)
            value = value << 8 | (unsigned char)field[i];
        return value;
    }
    while (i < size && field[i] == ' ')
        i++;
    for (; i < size && field[i] >= '0' && field[i] <= '7'; i++)
        value = value << 3 | (unsigned long)(field[i] - '0');
    if (i < size && field[i] != '\0' && field[i] != ' ')
        damaged();
    return value;
}

static void set_text(char to[TAR_NAME_MAX + 1], const char *from, size_t len)
{
    if (len > TAR_NAME_MAX)
        fail(HELPER_EXIT_CANNOT, "unpack the archive", "", "a name in it is too long");
    for (size_t i = 0; i < len; i++) {
        if (!from[i])
            damaged();
    }
    memcpy(to, from, len);
    to[len] = '\0';
}

static size_t field_length(const char *field, size_t size)
{
    size_t len = 0;

    while (len < size && field[len])
        len++;
    return len;
}

static unsigned long get_decimal(const char *value)
{
    unsigned long number;

    if (!parse_number(value, &number))
        damaged();
    return number;
}

/* "SECONDS", "SECONDS.FRACTION", also negative: the fraction counts away from zero. */
static struct __kernel_timespec get_time(const char *value)
{
    struct __kernel_timespec time = {0};
    bool negative = *value == '-';
    long scale = 100000000;

    value += negative;
    for (; *value >= '0' && *value <= '9'; value++)
        time.tv_sec = (long)((unsigned long)time.tv_sec * 10 + (unsigned long)(*value - '0'));
    if (*value == '.')
        value++;
    for (; *value >= '0' && *value <= '9'; value++, scale /= 10)
        time.tv_nsec += (*value - '0') * scale;
    if (*value)
        damaged();
    if (negative)
        time.tv_sec = -time.tv_sec - (time.tv_nsec > 0);
    if (negative && time.tv_nsec > 0)
        time.tv_nsec = 1000000000 - time.tv_nsec;
    return time;
}

static void take_record(struct extension *extension, const char *key, const char *value, size_t len)
{
    struct entry *values = &extension->values;

    if (str_equal(key, "path") || str_equal(key, "GNU.sparse.name")) {
        /* The path of a sparse file is there for those who do not know these. */
        if (extension->path && extension->sparse && str_equal(key, "path"))
            return;
        extension->path = true;
        set_text(values->path, value, len);
    } else if (str_equal(key, "linkpath")) {
        extension->link = true;
        set_text(values->link, value, len);
    } else if (str_equal(key, "size")) {
        extension->size = true;
        values->size = get_decimal(value);
    } else if (str_equal(key, "uid")) {
        extension->uid = true;
        values->uid = get_decimal(value);
    } else if (str_equal(key, "gid")) {
        extension->gid = true;
        values->gid = get_decimal(value);
    } else if (str_equal(key, "mtime")) {
        extension->mtime = true;
        values->mtime = get_time(value);
    } else if (str_equal(key, "GNU.sparse.major")) {
        extension->sparse = str_equal(value, "1");
    } else if (str_equal(key, "GNU.sparse.realsize")) {
        extension->real_size = get_decimal(value);
    }
}

/* "LENGTH KEY=VALUE\n", one after the other. */
static void take_records(struct extension *extension, char *at, size_t size)
{
    char *end = at + size;

    while (at < end) {
        size_t len = 0;
        char *key = at, *value;

        while (key < end && *key >= '0' && *key <= '9' && len < size)
            len = len * 10 + (size_t)(*key++ - '0');
        if (key == at || key >= end || *key != ' ' || len <= (size_t)(key + 1 - at) ||
            len > (size_t)(end - at) || at[len - 1] != '\n')
            damaged();
        at[len - 1] = '\0';
        value = ++key;
        while (*value && *value != '=')
            value++;
        if (*value != '=')
            damaged();
        *value++ = '\0';
        take_record(extension, key, value, (size_t)(at + len - 1 - value));
        at += len;
    }
}

/* The data of an entry that is about the next one. */
static void read_extension(struct unpack *unpack, char type, unsigned long size)
{
    struct extension *extension = &unpack->extension;

    if (size > RECORDS_MAX)
        damaged();
    read_bytes(unpack, unpack->records, size);
    skip_bytes(unpack, padding_of(size));
    if (type == TAR_PAX) {
        take_records(extension, unpack->records, size);
    } else if (type == TAR_GNU_NAME) {
        extension->path = true;
        set_text(extension->values.path, unpack->records, field_length(unpack->records, size));
    } else if (type == TAR_GNU_LINK) {
        extension->link = true;
        set_text(extension->values.link, unpack->records, field_length(unpack->records, size));
    }
}

static void set_path(struct entry *entry, const struct tar_header *header)
{
    size_t prefix = field_length(header->prefix, sizeof(header->prefix));
    size_t name = field_length(header->name, sizeof(header->name));

    /* GNU tar has other things there. */
    if (header->magic[5] != '\0' || !has_prefix(header->magic, "ustar"))
        prefix = 0;
    memcpy(entry->path, header->prefix, prefix);
    if (prefix)
        entry->path[prefix++] = '/';
    memcpy(entry->path + prefix, header->name, name);
    entry->path[prefix + name] = '\0';
}

static void set_entry(struct unpack *unpack, const struct tar_header *header)
{
    const struct extension *extension = &unpack->extension;
    const struct entry *values = &extension->values;
    struct entry *entry = &unpack->entry;

    entry->type = header->type;
    entry->mode = (unsigned)get_number(header->mode, sizeof(header->mode));
    set_path(entry, header);
    set_text(entry->link, header->link, field_length(header->link, sizeof(header->link)));
    if (extension->path)
        set_text(entry->path, values->path, strlen(values->path));
    if (extension->link)
        set_text(entry->link, values->link, strlen(values->link));
    entry->size = extension->size ? values->size : get_number(header->size, sizeof(header->size));
    entry->uid = extension->uid ? values->uid : get_number(header->uid, sizeof(header->uid));
    entry->gid = extension->gid ? values->gid : get_number(header->gid, sizeof(header->gid));
    entry->mtime = (struct __kernel_timespec){
        .tv_sec = (long)get_number(header->mtime, sizeof(header->mtime))};
    if (extension->mtime)
        entry->mtime = values->mtime;
    if (entry->size > 1ul << 62)
        damaged();
}

/* Ends with its data. */
static void make_entry(struct unpack *unpack)
{
    struct entry *entry = &unpack->entry;
    size_t len = strlen(entry->path);
    bool slash = len > 0 && entry->path[len - 1] == '/';
    char type = entry->type;

    if (!len)
        damaged();
    clean_name(entry->path);
    if (type == TAR_OLD_FILE || type == TAR_CONTIGUOUS)
        type = type == TAR_OLD_FILE && slash ? TAR_DIRECTORY : TAR_FILE;
    if (type == TAR_FILE && *entry->path) {
        make_file(unpack);
        return;
    }
    if (!*entry->path)
        ; /* the directory itself */
    else if (type == TAR_DIRECTORY)
        make_directory(unpack);
    else if (type == TAR_SYMLINK)
        make_symlink(unpack);
    else if (type == TAR_HARD_LINK)
        make_hard_link(unpack);
    else if (type != TAR_FIFO && type != TAR_CHARACTER_DEVICE && type != TAR_BLOCK_DEVICE)
        fail_unpack(entry->path, "it is of a kind that is not known here");
    skip_bytes(unpack, entry->size + padding_of(entry->size));
}

static bool is_zero(const char *block)
{
    for (size_t i = 0; i < TAR_BLOCK; i++) {
        if (block[i])
            return false;
    }
    return true;
}

/* Up to the end of the archive. */
static void unpack_all(struct unpack *unpack)
{
    struct tar_header header;
    int zeros = 0;

    while (zeros < 2) {
        read_bytes(unpack, (char *)&header, sizeof(header));
        if (is_zero((const char *)&header)) {
            zeros++;
            continue;
        }
        zeros = 0;
        if (get_number(header.checksum, sizeof(header.checksum)) != tar_checksum(&header))
            damaged();
        if (header.type == TAR_PAX || header.type == TAR_PAX_GLOBAL ||
            header.type == TAR_GNU_NAME || header.type == TAR_GNU_LINK) {
            read_extension(unpack, header.type, get_number(header.size, sizeof(header.size)));
            continue;
        }
        set_entry(unpack, &header);
        make_entry(unpack);
        memset(&unpack->extension, 0, sizeof(unpack->extension));
    }
}

int command_unpack(char *const *args)
{
    static struct unpack unpack;

    if (!args[0] || args[1])
        fail(HELPER_EXIT_CANNOT, "unpack", "", "usage: unpack DIRECTORY");
    make_directories(join(args[0], NULL));
    unpack.root = (int)SYS4(openat, AT_FDCWD, args[0], O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
    if (unpack.root < 0)
        fail(HELPER_EXIT_CANNOT, "open the directory", args[0], error_text(unpack.root));
    unpack.user = (unsigned long)SYS0(geteuid);
    unpack.is_root = unpack.user == 0;
    unpack.buffer = map_memory(BUFFER_BYTES);
    unpack.records = map_memory(RECORDS_MAX);
    unpack.directory = -1;
    unpack_all(&unpack);
    finish_directories(&unpack);
    return say_done();
}
