/* Uploads in parts.
 *
 * A part is in memory while it is sent, so that it can be sent again as often as it takes, and what
 * was hashed is what is sent. Until the upload is completed nobody sees any of it; a failure aborts
 * it with a context of its own, because the one at hand may have ended.
 *
 * Completing is the one request whose repetition can fail for having succeeded: the answer is lost,
 * and the second time there is no such upload. (libcurl must not repeat it in silence: a POST has a
 * connection of its own.) A random token in the object's metadata tells
 * whether the object that is there now is ours. */
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "apis/s3/s3_internal.h"
#include "apis/s3/xml.h"
#include "base/alloc.h"
#include "base/clock.h"

enum { ABORT_MS = 15000, TOKEN_SIZE = 33 };

struct upload {
    struct s3_client *s3;
    const char *key;
    char *id;
    char token[TOKEN_SIZE];
    struct buf parts; /* the list for CompleteMultipartUpload */
    int count;
};

int64_t s3_input_read(struct s3_input *input, char *data, int64_t size, struct err *err)
{
    const struct s3_source *source = input->source;
    int64_t len = 0;

    while (len < size) {
        ssize_t got = source->read(source->arg, data + len, (size_t)(size - len), err);

        if (got < 0)
            return -1;
        if (got == 0)
            break;
        len += got;
    }
    input->given += len;
    if (source->size >= 0 &&
        (input->given > source->size || (len < size && input->given < source->size)))
        return err_set(err, ERR_CONFLICT,
                       "what is to be uploaded has changed meanwhile: %s than %lld bytes",
                       input->given > source->size ? "more" : "fewer", (long long)source->size);
    return len;
}

static void make_token(char ret[TOKEN_SIZE])
{
    uint64_t bits[2];

    if (getrandom(bits, sizeof(bits), 0) != (ssize_t)sizeof(bits)) {
        bits[0] = (uint64_t)clock_wall_ms();
        bits[1] = (uint64_t)getpid();
    }
    snprintf(ret, TOKEN_SIZE, "%016llx%016llx", (unsigned long long)bits[0],
             (unsigned long long)bits[1]);
}

static int on_upload_id(void *arg, const char *path, const char *text, struct err *err)
{
    struct upload *u = arg;

    (void)err;
    if (strcmp(path, "InitiateMultipartUploadResult/UploadId") == 0 && !u->id && *text)
        u->id = xstrdup(text);
    return 0;
}

static int create(const struct ctx *ctx, struct upload *u, const char *note, struct err *err)
{
    CLEANUP_S3_REQUEST struct s3_request request = {.method = "POST", .key = u->key};
    CLEANUP_S3_ANSWER struct s3_answer answer = S3_ANSWER_INIT;

    make_token(u->token);
    strmap_set(&request.query, "uploads", "");
    strmap_set(&request.headers, S3_META_UPLOAD, u->token);
    if (note)
        strmap_set(&request.headers, S3_META_NOTE, note);
    if (s3_call(ctx, u->s3, &request, &answer, err) < 0 ||
        xml_read(answer.body.data, answer.body.len, on_upload_id, u, err) < 0)
        return -1;
    if (!u->id)
        return err_set(err, ERR_PROTOCOL, "S3 gave no id for the upload of %s", u->key);
    return 0;
}

static void add_xml_text(struct buf *out, const char *text)
{
    for (; *text; text++) {
        if (*text == '&')
            buf_addstr(out, "&amp;");
        else if (*text == '<')
            buf_addstr(out, "&lt;");
        else
            buf_addch(out, *text);
    }
}

static int put_part(const struct ctx *ctx, struct upload *u, const char *data, int64_t size,
                    struct err *err)
{
    CLEANUP_S3_REQUEST struct s3_request request = {.method = "PUT",
                                                    .key = u->key,
                                                    .body = data,
                                                    .body_len = (size_t)size};
    CLEANUP_S3_ANSWER struct s3_answer answer = S3_ANSWER_INIT;
    const char *etag;

    if (u->count == S3_PARTS_MAX)
        return err_set(err, ERR_LIMIT, "the upload of %s has more than %d parts", u->key,
                       S3_PARTS_MAX);
    strmap_setf(&request.query, "partNumber", "%d", u->count + 1);
    strmap_set(&request.query, "uploadId", u->id);
    if (s3_call(ctx, u->s3, &request, &answer, err) < 0)
        return -1;
    etag = strmap_get(&answer.headers, "etag");
    if (!etag)
        return err_set(err, ERR_PROTOCOL, "S3 gave no ETag for a part of %s", u->key);
    buf_addf(&u->parts, "<Part><PartNumber>%d</PartNumber><ETag>", ++u->count);
    add_xml_text(&u->parts, etag);
    buf_addstr(&u->parts, "</ETag></Part>");
    return 0;
}

static int on_completed(void *arg, const char *path, const char *text, struct err *err)
{
    bool *completed = arg;

    (void)text;
    (void)err;
    if (strcmp(path, "CompleteMultipartUploadResult") == 0)
        *completed = true;
    return 0;
}

/* An attempt. S3 answers 200 before it knows how it ends: the body tells. */
static int try_complete(const struct ctx *ctx, struct upload *u, const struct s3_request *request,
                        struct s3_answer *answer, struct err *err)
{
    bool completed = false;

    if (s3_attempt(ctx, u->s3, request, answer, err) < 0)
        return -1;
    if (xml_read(answer->body.data, answer->body.len, on_completed, &completed, NULL) == 0 &&
        completed)
        return 0;
    answer->status = 500;
    return s3_refused(u->s3, request, answer, err);
}

/* Whether the object is there and the one of this upload. */
static bool is_there(const struct ctx *ctx, struct upload *u)
{
    CLEANUP_S3_REQUEST struct s3_request request = {.method = "HEAD", .key = u->key};
    CLEANUP_S3_ANSWER struct s3_answer answer = S3_ANSWER_INIT;
    const char *token;

    if (s3_call(ctx, u->s3, &request, &answer, NULL) < 0)
        return false;
    token = strmap_get(&answer.headers, S3_META_UPLOAD);
    return token && strcmp(token, u->token) == 0;
}

static int complete(const struct ctx *ctx, struct upload *u, struct err *err)
{
    CLEANUP_S3_REQUEST struct s3_request request = {.method = "POST", .key = u->key};
    CLEANUP_S3_ANSWER struct s3_answer answer = S3_ANSWER_INIT;
    CLEANUP_BUF struct buf body = BUF_INIT;
    struct err own = ERR_INIT;
    struct retry retry;

    buf_addf(&body, "<CompleteMultipartUpload>%s</CompleteMultipartUpload>", u->parts.data);
    strmap_set(&request.query, "uploadId", u->id);
    request.body = body.data;
    request.body_len = body.len;
    retry_init(&retry, s3_retry_policy(u->s3));
    for (;;) {
        if (try_complete(ctx, u, &request, &answer, &own) == 0)
            return 0;
        if (retry.attempt && answer.status == 404 && is_there(ctx, u))
            return 0;
        if (s3_again(ctx, &retry, &answer, &own) < 0)
            break;
    }
    if (err)
        *err = own;
    return -1;
}

static void abort_upload(struct upload *u, struct err *err)
{
    CLEANUP_S3_REQUEST struct s3_request request = {.method = "DELETE", .key = u->key};
    CLEANUP_S3_ANSWER struct s3_answer answer = S3_ANSWER_INIT;
    CLEANUP_CTX struct ctx ctx;
    struct err own = ERR_INIT;

    strmap_set(&request.query, "uploadId", u->id);
    ctx_init_cleanup(&ctx, ABORT_MS);
    if (s3_call(&ctx, u->s3, &request, &answer, &own) < 0 && answer.status != 404 && err) {
        CLEANUP_FREE char *first = xstrdup(err->message);
        enum err_code code = err->code;
        int errnum = err->errnum;

        err_set(err, code, "%s; moreover the unfinished upload %s remains: %s", first, u->id,
                own.message);
        err->errnum = errnum;
    }
}

static int send_parts(const struct ctx *ctx, struct upload *u, char *data, int64_t part_size,
                      struct s3_input *input, struct err *err)
{
    int64_t len = part_size;

    while (len > 0) {
        if (put_part(ctx, u, data, len, err) < 0)
            return -1;
        if (len < part_size)
            break;
        len = s3_input_read(input, data, part_size, err);
    }
    return len < 0 ? -1 : 0;
}

int s3_put_parts(const struct ctx *ctx, struct s3_client *s3, const char *key, char *data,
                 int64_t part_size, struct s3_input *input, struct err *err)
{
    struct upload u = {.s3 = s3, .key = key, .parts = BUF_INIT};
    int result = create(ctx, &u, input->source->note, err);

    if (result == 0) {
        result = send_parts(ctx, &u, data, part_size, input, err);
        if (result == 0)
            result = complete(ctx, &u, err);
        if (result < 0)
            abort_upload(&u, err);
    }
    buf_release(&u.parts);
    free(u.id);
    return result;
}
