#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "apis/s3/s3_internal.h"
#include "apis/s3/xml.h"
#include "base/alloc.h"
#include "base/parse.h"

static void read_info(const struct s3_answer *answer, struct s3_info *ret)
{
    const char *length = strmap_get(&answer->headers, "content-length");
    const char *modified = strmap_get(&answer->headers, "last-modified");
    const char *note = strmap_get(&answer->headers, S3_META_NOTE);
    struct tm tm = {0};

    *ret = (struct s3_info){.size = -1};
    if (length && parse_int64(length, &ret->size, NULL) < 0)
        ret->size = -1;
    if (modified && strptime(modified, "%a, %d %b %Y %H:%M:%S GMT", &tm))
        ret->modified_ms = (int64_t)timegm(&tm) * 1000;
    snprintf(ret->note, sizeof(ret->note), "%s", note ? note : "");
}

int s3_head(const struct ctx *ctx, struct s3_client *s3, const char *key, struct s3_info *ret,
            struct err *err)
{
    CLEANUP_S3_REQUEST struct s3_request request = {.method = "HEAD", .key = key};
    CLEANUP_S3_ANSWER struct s3_answer answer = S3_ANSWER_INIT;

    if (s3_call(ctx, s3, &request, &answer, err) < 0)
        return -1;
    if (ret)
        read_info(&answer, ret);
    return 0;
}

/* --- download --- */

struct download {
    http_write_fn *write;
    void *arg;
    int64_t got;
    char *etag; /* of the object that the bytes so far are from; NULL: not known */
};

static int on_bytes(void *arg, const char *data, size_t len, struct err *err)
{
    struct download *d = arg;

    if (d->write(d->arg, data, len, err) < 0)
        return -1;
    d->got += (int64_t)len;
    return 0;
}

/* One attempt for what is missing yet. */
static int get_rest(const struct ctx *ctx, struct s3_client *s3, const char *key,
                    struct download *d, struct s3_answer *answer, struct err *err)
{
    CLEANUP_S3_REQUEST struct s3_request request = {.method = "GET",
                                                    .key = key,
                                                    .write = on_bytes,
                                                    .write_arg = d};
    int64_t from = d->got;
    const char *etag;

    if (from) {
        strmap_setf(&request.headers, "range", "bytes=%lld-", (long long)from);
        strmap_set(&request.headers, "if-match", d->etag);
    }
    if (s3_attempt(ctx, s3, &request, answer, err) < 0) {
        etag = strmap_get(&answer->headers, "etag");
        if (etag && !d->etag)
            d->etag = xstrdup(etag);
        /* The last byte was the last one that there is. */
        return from && answer->status == 416 ? 0 : -1;
    }
    if (from && answer->status != 206)
        return err_set(err, ERR_PROTOCOL,
                       "s3://…/%s: the download broke off and cannot go on: the server sends the "
                       "whole object when asked for the rest",
                       key);
    return 0;
}

int s3_get(const struct ctx *ctx, struct s3_client *s3, const char *key, http_write_fn *write,
           void *arg, struct s3_info *ret, struct err *err)
{
    CLEANUP_S3_ANSWER struct s3_answer answer = S3_ANSWER_INIT;
    struct download d = {.write = write, .arg = arg};
    struct err own = ERR_INIT;
    struct retry retry;
    int result;

    retry_init(&retry, s3_retry_policy(s3));
    while ((result = get_rest(ctx, s3, key, &d, &answer, &own)) < 0) {
        /* Without an ETag nobody knows whether the rest belongs to what has come. */
        if ((d.got && !d.etag) || s3_again(ctx, &retry, &answer, &own) < 0)
            break;
    }
    free(d.etag);
    if (result < 0 && err)
        *err = own;
    if (result == 0 && ret) {
        read_info(&answer, ret);
        ret->size = d.got;
    }
    return result;
}

/* --- upload --- */

static int put_whole(const struct ctx *ctx, struct s3_client *s3, const char *key, const char *data,
                     int64_t size, const char *note, struct err *err)
{
    CLEANUP_S3_REQUEST struct s3_request request = {.method = "PUT",
                                                    .key = key,
                                                    .body = data,
                                                    .body_len = (size_t)size};
    CLEANUP_S3_ANSWER struct s3_answer answer = S3_ANSWER_INIT;

    if (note)
        strmap_set(&request.headers, S3_META_NOTE, note);
    return s3_call(ctx, s3, &request, &answer, err);
}

/* Parts so large that no more than are allowed come of it. */
static int64_t part_size_for(const struct s3_client *s3, int64_t size)
{
    int64_t part = s3_part_size(s3);

    while (size > part * S3_PARTS_MAX)
        part *= 2;
    /* Of a stream nobody knows the length: 160 GB at most. */
    return size < 0 ? part * 2 : part;
}

int s3_put(const struct ctx *ctx, struct s3_client *s3, const char *key,
           const struct s3_source *source, struct err *err)
{
    struct s3_input input = {.source = source};
    int64_t part = part_size_for(s3, source->size);
    /* One byte more than there should be: whether there is. */
    int64_t room = source->size >= 0 && source->size < part ? source->size + 1 : part;
    CLEANUP_FREE char *data = NULL;
    int64_t got;

    if (source->note && strlen(source->note) > S3_NOTE_MAX)
        return err_set(err, ERR_LIMIT, "the note of an S3 object is longer than %d bytes",
                       S3_NOTE_MAX);
    data = xmalloc((size_t)room);
    got = s3_input_read(&input, data, room, err);
    if (got < 0)
        return -1;
    if (got < part)
        return put_whole(ctx, s3, key, data, got, source->note, err);
    return s3_put_parts(ctx, s3, key, data, part, &input, err);
}

int s3_delete(const struct ctx *ctx, struct s3_client *s3, const char *key, struct err *err)
{
    CLEANUP_S3_REQUEST struct s3_request request = {.method = "DELETE", .key = key};
    CLEANUP_S3_ANSWER struct s3_answer answer = S3_ANSWER_INIT;

    if (s3_call(ctx, s3, &request, &answer, err) == 0 || strcmp(answer.code, "NoSuchKey") == 0)
        return 0;
    return -1;
}

/* --- list --- */

struct page {
    const char *prefix;
    s3_each_fn *each;
    void *arg;
    char *key;
    char *etag;
    int64_t size;
    int64_t modified_ms;
    bool truncated;
    char *next;
};

static void page_reset_object(struct page *p)
{
    free(p->key);
    free(p->etag);
    p->key = p->etag = NULL;
    p->size = p->modified_ms = 0;
}

static void page_release(struct page *p)
{
    page_reset_object(p);
    free(p->next);
}

static void take(char **to, const char *text)
{
    free(*to);
    *to = xstrdup(text);
}

static int64_t parse_time(const char *text)
{
    struct tm tm = {0};

    return strptime(text, "%Y-%m-%dT%H:%M:%S", &tm) ? (int64_t)timegm(&tm) * 1000 : 0;
}

static int on_object(struct page *p, struct err *err)
{
    const struct s3_object object = {.key = p->key,
                                     .size = p->size,
                                     .modified_ms = p->modified_ms,
                                     .etag = p->etag ? p->etag : ""};
    int result;

    if (!p->key)
        return err_set(err, ERR_PROTOCOL, "a list of S3 objects has one without a key");
    if (strncmp(p->key, p->prefix, strlen(p->prefix)) != 0)
        return err_set(err, ERR_PROTOCOL,
                       "a list of S3 objects has \"%s\", which does not begin with \"%s\"", p->key,
                       p->prefix);
    result = p->each(p->arg, &object, err);
    page_reset_object(p);
    return result;
}

static int on_end(void *arg, const char *path, const char *text, struct err *err)
{
    struct page *p = arg;

    if (strcmp(path, "ListBucketResult/Contents/Key") == 0)
        take(&p->key, text);
    else if (strcmp(path, "ListBucketResult/Contents/ETag") == 0)
        take(&p->etag, text);
    else if (strcmp(path, "ListBucketResult/Contents/Size") == 0)
        return parse_int64(text, &p->size, err);
    else if (strcmp(path, "ListBucketResult/Contents/LastModified") == 0)
        p->modified_ms = parse_time(text);
    else if (strcmp(path, "ListBucketResult/Contents") == 0)
        return on_object(p, err);
    else if (strcmp(path, "ListBucketResult/IsTruncated") == 0)
        p->truncated = strcmp(text, "true") == 0;
    else if (strcmp(path, "ListBucketResult/NextContinuationToken") == 0)
        take(&p->next, text);
    return 0;
}

/* One page; *token (may be NULL) becomes that of the next, NULL when there is none. */
static int list_page(const struct ctx *ctx, struct s3_client *s3, const char *prefix, int page_size,
                     char **token, struct page *p, struct err *err)
{
    CLEANUP_S3_REQUEST struct s3_request request = {.method = "GET"};
    CLEANUP_S3_ANSWER struct s3_answer answer = S3_ANSWER_INIT;

    strmap_set(&request.query, "list-type", "2");
    strmap_set(&request.query, "prefix", prefix);
    if (page_size > 0)
        strmap_setf(&request.query, "max-keys", "%d", page_size);
    if (*token)
        strmap_set(&request.query, "continuation-token", *token);
    p->truncated = false;
    if (s3_call(ctx, s3, &request, &answer, err) < 0 ||
        xml_read(answer.body.data, answer.body.len, on_end, p, err) < 0)
        return -1;
    if (p->truncated && (!p->next || (*token && strcmp(p->next, *token) == 0)))
        return err_set(err, ERR_PROTOCOL, "a list of S3 objects does not say where it goes on");
    free(*token);
    *token = p->truncated ? p->next : NULL;
    if (p->truncated)
        p->next = NULL;
    return 0;
}

int s3_list(const struct ctx *ctx, struct s3_client *s3, const char *prefix, int page_size,
            s3_each_fn *each, void *arg, struct err *err)
{
    CLEANUP(page_release) struct page page = {.prefix = prefix, .each = each, .arg = arg};
    CLEANUP_FREE char *token = NULL;

    do {
        if (list_page(ctx, s3, prefix, page_size, &token, &page, err) < 0)
            return -1;
    } while (token);
    return 0;
}
