/* libFuzzer harness: any bytes as an archive that is unpacked. The first byte chooses between the
 * bytes as they are, with the check sums of their tar headers set right, and a short notation of
 * members in which the names collide and lead out of the directory.
 *
 * Nothing beside the directory may change, and what is refused must say why.
 *
 *     build/fuzz/tests/fuzz_archive -max_len=4096 -timeout=10 corpus/ */
#include <fcntl.h>
#include <fts.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "archive/archive.h"
#include "base/alloc.h"
#include "base/buf.h"
#include "base/fs.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

enum { BLOCK = 512, NAME = 0, MODE = 100, SIZE = 124, SUM = 148, TYPE = 156, LINK = 157 };
enum { MAGIC = 257, NAME_MAX_BYTES = 100, MEMBERS_MAX = 64 };

/* PLACE/a, PLACE/b/a   must not change
 * PLACE/root           what is unpacked into
 * PLACE/empty          the working directory meanwhile */
static char place[64];
static char root[80];

static void stop(const char *what, const char *text)
{
    fprintf(stderr, "%s: \"%s\"\n", what, text);
    abort();
}

/* --- what must not change --- */

/* The times of a change tell of writes, links, and other owners and permissions. */
static void describe(const FTSENT *entry, struct buf *out)
{
    const struct stat *st = entry->fts_statp;

    buf_addf(out, "%s %o %llu %llu %lld.%ld\n", entry->fts_path, st->st_mode,
             (unsigned long long)st->st_nlink, (unsigned long long)st->st_size,
             (long long)st->st_ctim.tv_sec, st->st_ctim.tv_nsec);
}

static void look(struct buf *out)
{
    char *const paths[] = {place, NULL};
    FTS *fts = fts_open(paths, FTS_PHYSICAL | FTS_NOCHDIR, NULL);
    FTSENT *entry;

    while ((entry = fts_read(fts))) {
        if (strcmp(entry->fts_path, root) == 0)
            fts_set(fts, entry, FTS_SKIP);
        else if (entry->fts_level > 0 && entry->fts_info != FTS_DP)
            describe(entry, out);
    }
    fts_close(fts);
}

static void tidy(void)
{
    (void)!fs_remove_tree(place, NULL);
}

static int make(const char *path, bool file)
{
    CLEANUP_FREE char *full = fs_join(place, path);

    return file ? fs_write_file(full, "secret", 6, 0600, NULL) : mkdir(full, 0700);
}

static void set_up(struct buf *ret)
{
    const struct rlimit file_size = {1 << 24, 1 << 24};

    snprintf(place, sizeof(place), "%s/runner-fuzz-XXXXXX",
             access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    if (!mkdtemp(place) || make("b", false) < 0 || make("empty", false) < 0 ||
        make("a", true) < 0 || make("b/a", true) < 0)
        abort();
    atexit(tidy);
    snprintf(root, sizeof(root), "%s/root", place);
    signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &file_size);
    look(ret);
}

/* --- archives --- */

static void set_sum(char *header)
{
    unsigned sum = 0;

    memset(header + SUM, ' ', 8);
    for (size_t i = 0; i < BLOCK; i++)
        sum += (unsigned char)header[i];
    snprintf(header + SUM, 8, "%06o", sum);
}

static void set_sums(struct buf *archive)
{
    for (size_t at = 0; at + BLOCK <= archive->len; at += BLOCK) {
        if (memcmp(archive->data + at + MAGIC, "ustar", 5) == 0)
            set_sum(archive->data + at);
    }
}

struct notation {
    const uint8_t *data;
    size_t len;
};

static unsigned next(struct notation *n)
{
    if (!n->len)
        return 0;
    n->len--;
    return *n->data++;
}

/* Of so few characters that ".." and what is there already come often. */
static void add_name(struct notation *n, char *to)
{
    static const char characters[] = "ab/.\xff..a/b\n-ab//";
    size_t len = next(n) % (NAME_MAX_BYTES + 1);

    if (len > 8 && len < NAME_MAX_BYTES - 8)
        len %= 9;
    for (size_t i = 0; i < len; i++)
        to[i] = characters[next(n) % (sizeof(characters) - 1)];
}

static void add_member(struct notation *n, struct buf *archive)
{
    static const char types[] = "0012253467gxLKS";
    char header[BLOCK] = "";
    char content[BLOCK] = "";
    unsigned size;

    header[TYPE] = types[next(n) % (sizeof(types) - 1)];
    add_name(n, header + NAME);
    if (strchr("12LK", header[TYPE]))
        add_name(n, header + LINK);
    snprintf(header + MODE, 8, "%07o", next(n) << 4 | next(n));
    size = strchr("0gxLKS", header[TYPE]) ? next(n) % 100 : 0;
    snprintf(header + SIZE, 12, "%011o", size);
    memcpy(header + MAGIC, "ustar\00000", 8);
    set_sum(header);
    buf_add(archive, header, BLOCK);
    for (unsigned i = 0; i < size; i++)
        content[i] = (char)next(n);
    if (size)
        buf_add(archive, content, BLOCK);
}

static void write_archive(const uint8_t *data, size_t len, struct buf *archive)
{
    static const char end[2 * BLOCK];
    struct notation n = {.data = data + 1, .len = len - 1};

    if (data[0] % 4 == 0) {
        buf_add(archive, data + 1, len - 1);
    } else if (data[0] % 4 == 1) {
        buf_add(archive, data + 1, len - 1);
        set_sums(archive);
    } else {
        for (int i = 0; n.len && i < MEMBERS_MAX; i++)
            add_member(&n, archive);
        buf_add(archive, end, sizeof(end));
    }
}

static void unpack(const struct buf *archive)
{
    CLEANUP_FREE char *empty = fs_join(place, "empty");
    CLEANUP_FD int fd = memfd_create("archive", MFD_CLOEXEC);
    CLEANUP_FD int here = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct err err = ERR_INIT;
    struct archive_stats stats;
    struct ctx ctx;

    if (fd < 0 || fs_write_all(fd, archive->data, archive->len, NULL) < 0 ||
        lseek(fd, 0, SEEK_SET) < 0 || mkdir(root, 0700) < 0 || chdir(empty) < 0)
        abort();
    ctx_init_cleanup(&ctx, 5000);
    if (archive_unpack(&ctx, fd, root, &stats, &err) < 0 &&
        (!*err.message || strchr(err.message, '\n')))
        stop("message", err.message);
    ctx_release(&ctx);
    if (fchdir(here) < 0)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    static struct buf before = BUF_INIT;
    CLEANUP_BUF struct buf after = BUF_INIT;
    CLEANUP_BUF struct buf archive = BUF_INIT;
    struct err err = ERR_INIT;

    if (!before.len)
        set_up(&before);
    if (!len)
        return 0;
    write_archive(data, len, &archive);
    unpack(&archive);
    look(&after);
    if (before.len != after.len || memcmp(before.data, after.data, after.len) != 0)
        stop("changed", after.data);
    if (fs_remove_tree(root, &err) < 0)
        stop("not removed", err.message);
    return 0;
}
