/* libFuzzer harness: any bytes as a file of a local object store, and as the manifest of an
 * artifact. The first byte chooses how much of the header is right for certain, so that what is
 * behind that is reached.
 *
 *     build/fuzz/tests/fuzz_objects -max_len=1024 -timeout=5 corpus/ */
#include <inttypes.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "artifact/manifest.h"
#include "base/alloc.h"
#include "base/clock.h"
#include "base/fs.h"
#include "objstore/local.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

enum { HEADER_SIZE = 256, CONTENT_MAX = 4096 };

#define KEY "a/b/c.json"

static char place[64];
static struct ctx ctx;

static void tidy(void)
{
    (void)!fs_remove_tree(place, NULL);
}

static struct object_store *set_up(void)
{
    struct object_store *store;

    snprintf(place, sizeof(place), "%s/runner-fuzz-XXXXXX",
             access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    if (!mkdtemp(place))
        abort();
    atexit(tidy);
    ctx_init_cleanup(&ctx, INT32_MAX);
    object_store_local_open(&(struct object_store_local_options){.root = place}, &store);
    return store;
}

/* --- objects --- */

/* What the header begins with for certain. */
enum right { RIGHT_NOTHING, RIGHT_HASH, RIGHT_SIZE };

/* A file with the header, or the end of one, and that content. */
static void write_object(const struct buf *header, const char *content, size_t len,
                         enum right right)
{
    CLEANUP_FREE char *path = xasprintf("%s/objects/" KEY "~", place);
    CLEANUP_FREE char *directory = xstrndup(path, (size_t)(strrchr(path, '/') - path));
    CLEANUP_BUF struct buf file = BUF_INIT;
    static const char zeros[HEADER_SIZE];
    struct sha256 hash;
    char hex[SHA256_HEX_SIZE];

    if (right != RIGHT_NOTHING) {
        sha256_begin(&hash);
        sha256_add(&hash, content, len);
        sha256_hex(&hash, hex);
        buf_addf(&file, "runner-object 1 %s ", hex);
    }
    if (right == RIGHT_SIZE)
        buf_addf(&file, "%zu ", len);
    buf_add(&file, header->data, header->len);
    if (file.len > HEADER_SIZE)
        buf_truncate(&file, HEADER_SIZE);
    buf_add(&file, zeros, HEADER_SIZE - file.len);
    buf_add(&file, content, len);
    if (fs_mkdir_p(directory, 0700, NULL) < 0 ||
        fs_write_file(path, file.data, file.len, 0600, NULL) < 0)
        abort();
}

static void check_content(int fd, const struct object_info *info, const char *content, size_t len)
{
    char got[CONTENT_MAX + 1];

    if (info->size_bytes != (int64_t)len || strlen(info->sha256) != SHA256_HEX_SIZE - 1 ||
        read(fd, got, sizeof(got)) != (ssize_t)len || memcmp(got, content, len) != 0)
        abort();
}

static void read_object(struct object_store *store, const char *content, size_t len)
{
    const struct object_trim trim = {.max_bytes = 1, .unused_ms = 1, .dry_run = true};
    CLEANUP_OBJECT_LIST struct object_list list = {0};
    CLEANUP_FD int fd = -1;
    struct object_info info;
    struct err err = ERR_INIT;

    if (store->ops->list(&ctx, store, "", &list, &err) < 0 || list.len != 1 ||
        object_store_trim(&ctx, store, "", &trim, &err) < 0)
        abort();
    if (store->ops->get(&ctx, store, KEY, &fd, &info, &err) == 0)
        check_content(fd, &info, content, len);
    else if (err.code != ERR_PROTOCOL || store->ops->head(&ctx, store, KEY, NULL, &err) == 0)
        abort(); /* what is damaged has been removed */
}

/* --- manifests --- */

static void manifest(const char *text, size_t len)
{
    static const struct glob_found none;
    CLEANUP_ARTIFACT struct artifact artifact = {0};
    CLEANUP_ARTIFACT struct artifact again = {0};
    CLEANUP_BUF struct buf out = BUF_INIT;
    struct err err = ERR_INIT;

    if (manifest_read(text, len, KEY, &artifact, &err) < 0) {
        if (!*err.message)
            abort();
        return;
    }
    manifest_write(&artifact, &none, place, &out);
    if (manifest_read(out.data, out.len, KEY, &again, &err) < 0 ||
        strcmp(artifact.name, again.name) != 0 || artifact.expires_ms != again.expires_ms ||
        strcmp(artifact.sha256, again.sha256) != 0)
        abort();
}

/* Key words, so that a mutation gets past them. */
static void manifest_of(const char *text, size_t len)
{
    CLEANUP_BUF struct buf out = BUF_INIT;

    buf_addstr(
        &out, "{\"run\":\"r\",\"pipeline\":\"p\",\"job\":\"j\",\"job_id\":\"0.0\",\"name\":\"n\",");
    buf_add(&out, text, len);
    buf_addstr(&out, "}");
    manifest(out.data, out.len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    static struct object_store *store;
    CLEANUP_BUF struct buf header = BUF_INIT;
    const char *text = (const char *)data + 1;
    const char *newline;
    size_t header_len;

    if (!store)
        store = set_up();
    if (len < 2 || len > CONTENT_MAX)
        return 0;
    len--;
    newline = memchr(text, '\n', len);
    header_len = newline ? (size_t)(newline + 1 - text) : len;
    buf_add(&header, text, header_len);
    write_object(&header, text + header_len, len - header_len, data[0] % 3);
    read_object(store, text + header_len, len - header_len);
    manifest(text, len);
    manifest_of(text, len);
    return 0;
}
