/* S3 client: the objects of one bucket.
 *
 *     const struct s3_options options = {.bucket = "builds", .credentials = &found};
 *     CLEANUP_S3_CLIENT struct s3_client *s3 = NULL;
 *
 *     s3_credentials_find(environ, NULL, &found, err)
 *     s3_client_new(&options, &s3, err)
 *     s3_put(ctx, s3, "a/b.tar", &source, err)
 *
 * Signs with Signature Version 4, the payload included. What may pass by itself (no connection, a
 * connection lost, 429, 5xx, SlowDown …) is tried again with growing pauses; what is uploaded is
 * sent again from memory, a download goes on where it broke off. An upload of several parts that
 * fails is aborted, so that nothing remains of it; only if the process dies, or the answer to its
 * beginning is lost, does the server keep invisible parts until the bucket's lifecycle rules remove
 * them.
 *
 * Threads: any; each call has a connection of its own while it lasts.
 * Errors: http.h's, and for a refusal what S3 says, with errnum = HTTP status: 400 ERR_INVALID, 401
 * and 403 ERR_DENIED, 404 ERR_NOT_FOUND, 409 and 412 ERR_CONFLICT, 501 ERR_UNSUPPORTED, 5xx and 429
 * ERR_UNAVAILABLE, else ERR_PROTOCOL.
 * Source: Amazon S3 API Reference. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "apis/http/http.h"
#include "apis/http/retry.h"
#include "apis/s3/credentials.h"
#include "base/buf.h"
#include "base/ctx.h"
#include "base/err.h"

/* How the bucket is named: http://HOST/BUCKET/KEY or http://BUCKET.HOST/KEY. */
enum s3_style { S3_STYLE_AUTO /* BUCKET.HOST at Amazon only */, S3_STYLE_PATH, S3_STYLE_VIRTUAL };

#define S3_REGION_DEFAULT  "us-east-1"
#define S3_PART_SIZE_MIN   (INT64_C(5) << 20) /* of all parts but the last */
#define S3_PART_SIZE       (INT64_C(8) << 20)
#define S3_PARTS_MAX       10000
#define S3_NOTE_MAX        255
#define S3_STALL_TIMEOUT_S 60
#define S3_PRESIGN_MAX_S   INT64_C(604800)

struct s3_options {
    const char *bucket;
    /* NULL: that of the credentials, else https://s3.REGION.amazonaws.com */
    const char *endpoint;
    const char *region; /* NULL: that of the credentials, else S3_REGION_DEFAULT */
    enum s3_style style;
    const struct s3_credentials *credentials;
    struct retry_policy retry; /* zeroed: the defaults */
    int stall_timeout_s;       /* how long a server may be silent; 0: S3_STALL_TIMEOUT_S */
    int64_t part_size;         /* of uploads in parts, at least S3_PART_SIZE_MIN; 0: S3_PART_SIZE */
};

struct s3_client;

/* Everything in options is copied. No I/O but loading libcurl. */
int s3_client_new(const struct s3_options *options, struct s3_client **ret, struct err *err)
    __attribute__((warn_unused_result));
void s3_client_free(struct s3_client *s3);
static inline void s3_client_freep(struct s3_client **s3)
{
    s3_client_free(*s3);
}
#define CLEANUP_S3_CLIENT CLEANUP(s3_client_freep)

struct s3_object {
    const char *key;
    int64_t size;
    int64_t modified_ms; /* since the epoch; 0: not said */
    const char *etag;    /* with its quotes; may be empty */
};

/* What the server says of an object apart from its contents. */
struct s3_info {
    int64_t size;               /* -1: not said */
    int64_t modified_ms;        /* since the epoch; 0: not said */
    char note[S3_NOTE_MAX + 1]; /* the metadata "note" that s3_put() gave it; may be empty */
};

/* What is there under the key; ERR_NOT_FOUND when nothing is. *ret may be NULL. */
int s3_head(const struct ctx *ctx, struct s3_client *s3, const char *key, struct s3_info *ret,
            struct err *err) __attribute__((warn_unused_result));
/* Gives the object's bytes to `write`, each once and in order. After an error some may have been
 * given. *ret may be NULL. */
int s3_get(const struct ctx *ctx, struct s3_client *s3, const char *key, http_write_fn *write,
           void *arg, struct s3_info *ret, struct err *err) __attribute__((warn_unused_result));
struct s3_source {
    http_read_fn *read; /* gives all bytes, then 0 */
    void *arg;
    int64_t size;     /* < 0: not known beforehand */
    const char *note; /* kept with the object: at most S3_NOTE_MAX printable bytes; NULL: none */
};
/* Stores what the source gives as the object. Others see all of it or nothing. A source that gives
 * another number of bytes than its size is an error. */
int s3_put(const struct ctx *ctx, struct s3_client *s3, const char *key,
           const struct s3_source *source, struct err *err) __attribute__((warn_unused_result));
/* No error when there is no such object. */
int s3_delete(const struct ctx *ctx, struct s3_client *s3, const char *key, struct err *err)
    __attribute__((warn_unused_result));

/* -1 ends the list with *err. What it gets is borrowed until it returns. */
typedef int s3_each_fn(void *arg, const struct s3_object *object, struct err *err);
/* All objects whose key begins with prefix, in the order of the keys' bytes, page by page;
 * page_size 0: the server's (1000). */
int s3_list(const struct ctx *ctx, struct s3_client *s3, const char *prefix, int page_size,
            s3_each_fn *each, void *arg, struct err *err) __attribute__((warn_unused_result));

/* Adds a URL by which anybody can GET or PUT the object until expires_s (at most a week) have
 * passed. No I/O. */
int s3_presign(const struct s3_client *s3, const char *method, const char *key, int64_t expires_s,
               struct buf *out, struct err *err) __attribute__((warn_unused_result));
