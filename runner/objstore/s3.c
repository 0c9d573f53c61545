#include "objstore/s3.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "apis/s3/s3.h"
#include "base/alloc.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/fs.h"
#include "base/vec.h"

struct s3_store {
    struct object_store store;
    struct s3_client *client;
    char *prefix; /* "" or with a slash at its end */
};

static struct s3_store *s3_store(struct object_store *store)
{
    return (struct s3_store *)store;
}

static char *full_key(const struct s3_store *s, const char *key)
{
    return xasprintf("%s%s", s->prefix, key);
}

/* --- URLs --- */

struct s3_url {
    char *bucket;
    char *prefix;
    char *endpoint;
    char *region;
    char *profile;
    char *path_style;
};

static void url_release(struct s3_url *url)
{
    free(url->bucket);
    free(url->prefix);
    free(url->endpoint);
    free(url->region);
    free(url->profile);
    free(url->path_style);
}

static int hex_digit(char c)
{
    static const char digits[] = "0123456789abcdef";
    const char *at = c ? strchr(digits, c | 0x20) : NULL;

    return at ? (int)(at - digits) : -1;
}

static int decode(const char *text, size_t len, char **ret, struct err *err)
{
    CLEANUP_BUF struct buf out = BUF_INIT;

    for (size_t i = 0; i < len; i++) {
        int high = 0;
        int low = 0;

        if (text[i] != '%') {
            buf_addch(&out, text[i]);
            continue;
        }
        high = i + 2 < len ? hex_digit(text[i + 1]) : -1;
        low = i + 2 < len ? hex_digit(text[i + 2]) : -1;
        if (high < 0 || low < 0 || high + low == 0)
            return err_set(err, ERR_INVALID, "\"%.*s\" has a \"%%\" without two hexadecimal digits",
                           (int)len, text);
        buf_addch(&out, (char)(high << 4 | low));
        i += 2;
    }
    free(*ret);
    *ret = buf_steal(&out);
    return 0;
}

static int take_parameter(struct s3_url *url, const char *text, size_t len, struct err *err)
{
    const struct {
        const char *name;
        char **to;
    } parameters[] = {
        {"endpoint", &url->endpoint},
        {"region", &url->region},
        {"profile", &url->profile},
        {"path_style", &url->path_style},
    };
    const char *equals = memchr(text, '=', len);
    size_t name_len = equals ? (size_t)(equals - text) : len;

    for (size_t i = 0; equals && i < sizeof(parameters) / sizeof(*parameters); i++) {
        if (strlen(parameters[i].name) == name_len &&
            strncmp(parameters[i].name, text, name_len) == 0)
            return decode(equals + 1, len - name_len - 1, parameters[i].to, err);
    }
    return err_set(err, ERR_INVALID,
                   "an S3 store takes endpoint=, region=, profile= and path_style=, not \"%.*s\"",
                   (int)name_len, text);
}

static int parse_parameters(struct s3_url *url, const char *text, struct err *err)
{
    while (*text) {
        size_t len = strcspn(text, "&");

        if (take_parameter(url, text, len, err) < 0)
            return -1;
        text += len + (text[len] == '&');
    }
    if (url->path_style && strcmp(url->path_style, "true") != 0 &&
        strcmp(url->path_style, "false") != 0)
        return err_set(err, ERR_INVALID, "path_style is true or false, not \"%s\"",
                       url->path_style);
    return 0;
}

static int parse_url(const char *text, struct s3_url *url, struct err *err)
{
    const char *rest = text + strlen(OBJECT_STORE_S3_SCHEME);
    size_t bucket_len;
    size_t path_len;

    if (strncmp(text, OBJECT_STORE_S3_SCHEME, strlen(OBJECT_STORE_S3_SCHEME)) != 0)
        return err_set(err, ERR_INVALID, "\"%s\" is not of the form s3://BUCKET/PREFIX", text);
    bucket_len = strcspn(rest, "/?");
    if (!bucket_len)
        return err_set(err, ERR_INVALID, "\"%s\" names no bucket: s3://BUCKET/PREFIX", text);
    url->bucket = xstrndup(rest, bucket_len);
    rest += bucket_len;
    rest += strspn(rest, "/");
    path_len = strcspn(rest, "?");
    if (decode(rest, path_len, &url->prefix, err) < 0)
        return -1;
    rest += path_len;
    for (size_t len = strlen(url->prefix); len && url->prefix[len - 1] == '/'; len--)
        url->prefix[len - 1] = '\0';
    if (*url->prefix && object_key_check(url->prefix, err) < 0)
        return err_wrap(err, "the prefix of \"%s\"", text);
    return *rest ? parse_parameters(url, rest + 1, err) : 0;
}

int object_store_s3_check(const char *text, struct err *err)
{
    CLEANUP(url_release) struct s3_url url = {0};

    return parse_url(text, &url, err);
}

/* --- spooling --- */

static int open_spool(struct err *err)
{
    const char *dir = getenv("TMPDIR");
    CLEANUP_FREE char *path = NULL;
    int fd;

    if (!dir || !*dir)
        dir = "/tmp";
    fd = open(dir, O_RDWR | O_TMPFILE | O_CLOEXEC, 0600);
    if (fd >= 0 || (errno != EOPNOTSUPP && errno != EISDIR && errno != EINVAL))
        return fd >= 0 ? fd : err_errno(err, "cannot make a temporary file in %s", dir);
    path = fs_join(dir, "runner-object-XXXXXX");
    fd = mkostemp(path, O_CLOEXEC);
    if (fd < 0)
        return err_errno(err, "cannot make a temporary file in %s", dir);
    unlink(path);
    return fd;
}

/* What goes into the spool is hashed and counted. */
struct spool {
    struct object_sink sink;
    struct sha256 hash;
    int64_t size;
    int fd;
};

static int spool_init(struct spool *spool, struct err *err)
{
    spool->fd = open_spool(err);
    sha256_begin(&spool->hash);
    return spool->fd < 0 ? -1 : 0;
}

static void spool_release(struct spool *spool)
{
    if (spool->fd >= 0)
        close(spool->fd);
}

static int spool_add(struct spool *spool, const void *data, size_t len, struct err *err)
{
    if (fs_write_all(spool->fd, data, len, err) < 0)
        return err_wrap(err, "cannot write a temporary file");
    sha256_add(&spool->hash, data, len);
    spool->size += (int64_t)len;
    return 0;
}

static int spool_write(struct object_sink *sink, const void *data, size_t len, struct err *err)
{
    return spool_add((struct spool *)sink, data, len, err);
}

static int spool_receive(void *arg, const char *data, size_t len, struct err *err)
{
    return spool_add(arg, data, len, err);
}

static ssize_t spool_read(void *arg, char *data, size_t size, struct err *err)
{
    const struct spool *spool = arg;
    ssize_t got;

    do
        got = read(spool->fd, data, size);
    while (got < 0 && errno == EINTR);
    return got < 0 ? err_errno(err, "cannot read a temporary file") : got;
}

static int spool_rewind(const struct spool *spool, struct err *err)
{
    return lseek(spool->fd, 0, SEEK_SET) < 0 ? err_errno(err, "cannot read a temporary file") : 0;
}

/* --- operations --- */

static void set_info(struct object_info *ret, const char *key, const struct s3_info *info)
{
    memset(ret, 0, sizeof(*ret));
    snprintf(ret->key, sizeof(ret->key), "%s", key);
    ret->size_bytes = info->size;
    ret->stored_ms = ret->used_ms = info->modified_ms;
    if (strlen(info->note) == SHA256_HEX_SIZE - 1)
        memcpy(ret->sha256, info->note, sizeof(ret->sha256));
}

/* As the contract has it: ERR_NOT_FOUND is about the object and nothing else. */
static int failed(const char *key, struct err *err)
{
    if (!err || err->code != ERR_NOT_FOUND)
        return -1;
    if (strstr(err->message, "NoSuchBucket")) {
        err->code = ERR_UNAVAILABLE;
        return -1;
    }
    return err_set(err, ERR_NOT_FOUND, "there is no object \"%s\"", key);
}

static int upload(const struct ctx *ctx, struct s3_store *s, const char *key, struct spool *spool,
                  struct object_info *ret, struct err *err)
{
    CLEANUP_FREE char *full = full_key(s, key);
    char hash[SHA256_HEX_SIZE];
    struct s3_info info = {.size = spool->size};
    const struct s3_source source = {.read = spool_read,
                                     .arg = spool,
                                     .size = spool->size,
                                     .note = hash};

    sha256_hex(&spool->hash, hash);
    if (spool_rewind(spool, err) < 0)
        return -1;
    if (s3_put(ctx, s->client, full, &source, err) < 0)
        return failed(key, err);
    if (ret) {
        snprintf(info.note, sizeof(info.note), "%s", hash);
        info.modified_ms = clock_wall_ms();
        set_info(ret, key, &info);
    }
    return 0;
}

static int s3_store_put(const struct ctx *ctx, struct object_store *store, const char *key,
                        const struct object_source *source, struct object_info *ret,
                        struct err *err)
{
    CLEANUP(spool_release) struct spool spool = {.sink.write = spool_write, .fd = -1};

    if (object_key_check(key, err) < 0 || ctx_check(ctx, err) < 0 || spool_init(&spool, err) < 0 ||
        source->produce(source->arg, ctx, &spool.sink, err) < 0)
        return -1;
    return upload(ctx, s3_store(store), key, &spool, ret, err);
}

/* Whoever has put it there, these are not the bytes that its hash is of. */
static int damaged(const struct ctx *ctx, struct s3_store *s, const char *full, const char *key,
                   struct err *err)
{
    struct err own = ERR_INIT;

    if (s3_delete(ctx, s->client, full, &own) < 0)
        return err_set(err, ERR_PROTOCOL, "the object \"%s\" is damaged and cannot be removed: %s",
                       key, own.message);
    return err_set(err, ERR_PROTOCOL, "the object \"%s\" was damaged and has been removed", key);
}

static int s3_store_get(const struct ctx *ctx, struct object_store *store, const char *key,
                        int *ret_fd, struct object_info *ret, struct err *err)
{
    CLEANUP(spool_release) struct spool spool = {.fd = -1};
    struct s3_store *s = s3_store(store);
    CLEANUP_FREE char *full = NULL;
    char hash[SHA256_HEX_SIZE];
    struct s3_info info;

    if (object_key_check(key, err) < 0 || ctx_check(ctx, err) < 0 || spool_init(&spool, err) < 0)
        return -1;
    full = full_key(s, key);
    if (s3_get(ctx, s->client, full, spool_receive, &spool, &info, err) < 0)
        return failed(key, err);
    if (!*info.note)
        return err_set(err, ERR_PROTOCOL,
                       "the object \"%s\" has no SHA-256 in its metadata: it is not the runner's",
                       key);
    sha256_hex(&spool.hash, hash);
    if (strcmp(hash, info.note) != 0)
        return damaged(ctx, s, full, key, err);
    if (spool_rewind(&spool, err) < 0)
        return -1;
    if (ret)
        set_info(ret, key, &info);
    *ret_fd = steal_fd(&spool.fd);
    return 0;
}

static int s3_store_head(const struct ctx *ctx, struct object_store *store, const char *key,
                         struct object_info *ret, struct err *err)
{
    CLEANUP_FREE char *full = full_key(s3_store(store), key);
    struct s3_info info;

    if (object_key_check(key, err) < 0)
        return -1;
    if (s3_head(ctx, s3_store(store)->client, full, &info, err) < 0)
        return failed(key, err);
    if (ret)
        set_info(ret, key, &info);
    return 0;
}

struct listing {
    size_t prefix_len;
    struct object_list *list;
};

/* What no store could have been asked to keep is not the store's. */
static int add_object(void *arg, const struct s3_object *object, struct err *err)
{
    struct listing *l = arg;
    const char *key = object->key + l->prefix_len;
    const struct s3_info info = {.size = object->size, .modified_ms = object->modified_ms};
    struct object_info added;

    (void)err;
    if (object_key_check(key, NULL) < 0)
        return 0;
    set_info(&added, key, &info);
    vec_push(l->list, added);
    return 0;
}

static int s3_store_list(const struct ctx *ctx, struct object_store *store, const char *prefix,
                         struct object_list *ret, struct err *err)
{
    struct s3_store *s = s3_store(store);
    CLEANUP_FREE char *full = full_key(s, prefix);
    struct listing l = {.prefix_len = strlen(s->prefix), .list = ret};

    if (s3_list(ctx, s->client, full, 0, add_object, &l, err) < 0)
        return failed(prefix, err);
    object_list_sort(ret);
    return 0;
}

/* S3 does not say whether there was one. */
static int s3_store_remove(const struct ctx *ctx, struct object_store *store, const char *key,
                           struct err *err)
{
    CLEANUP_FREE char *full = full_key(s3_store(store), key);

    if (s3_store_head(ctx, store, key, NULL, err) < 0)
        return -1;
    return s3_delete(ctx, s3_store(store)->client, full, err);
}

static void s3_store_close(struct object_store *store)
{
    struct s3_store *s = s3_store(store);

    s3_client_free(s->client);
    free(s->prefix);
    free(s);
}

static const struct object_store_ops s3_ops = {.name = "s3",
                                               .put = s3_store_put,
                                               .get = s3_store_get,
                                               .head = s3_store_head,
                                               .list = s3_store_list,
                                               .remove = s3_store_remove,
                                               .close = s3_store_close};

int object_store_s3_open(const char *text, const char *const *environment,
                         struct object_store **ret, struct err *err)
{
    CLEANUP(url_release) struct s3_url url = {0};
    CLEANUP_S3_CREDENTIALS struct s3_credentials credentials = {0};
    CLEANUP_OBJECT_STORE struct object_store *store = NULL;
    struct s3_options options = {.credentials = &credentials};
    struct s3_store *s;

    if (parse_url(text, &url, err) < 0 ||
        s3_credentials_find(environment, url.profile, &credentials, err) < 0)
        return -1;
    options.bucket = url.bucket;
    options.endpoint = url.endpoint;
    options.region = url.region;
    if (url.path_style)
        options.style = strcmp(url.path_style, "true") == 0 ? S3_STYLE_PATH : S3_STYLE_VIRTUAL;
    s = xcalloc(1, sizeof(*s));
    s->store.ops = &s3_ops;
    store = &s->store;
    s->prefix = *url.prefix ? xasprintf("%s/", url.prefix) : xstrdup("");
    if (s3_client_new(&options, &s->client, err) < 0)
        return -1;
    *ret = steal_ptr(&store);
    return 0;
}
