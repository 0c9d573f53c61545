/* Shared by the files of apis/s3; not for others. */
#pragma once

#include "apis/s3/s3.h"
#include "base/map.h"

/* Of an upload in parts: what tells its object from one that somebody else has put. */
#define S3_META_UPLOAD "x-amz-meta-runner-upload"
#define S3_META_NOTE   "x-amz-meta-runner-note"

/* Strings are borrowed; release the maps. */
struct s3_request {
    const char *method;
    const char *key; /* NULL: the bucket itself */
    struct strmap query;
    struct strmap headers; /* lower-case names */
    const void *body;
    size_t body_len;
    http_write_fn *write; /* as of struct http_request */
    void *write_arg;
    size_t max_body;
};

struct s3_answer {
    int status; /* 0: there was none */
    struct strmap headers;
    struct buf body;
    char code[64]; /* of a refusal: what S3 calls it, or empty */
};

#define S3_ANSWER_INIT                                                                             \
    {                                                                                              \
        .body = BUF_INIT                                                                           \
    }
#define CLEANUP_S3_REQUEST CLEANUP(s3_request_release)
#define CLEANUP_S3_ANSWER  CLEANUP(s3_answer_release)

void s3_request_release(struct s3_request *request);
void s3_answer_release(struct s3_answer *answer);

/* One attempt. *answer holds what came of an answer even when this fails. */
int s3_attempt(const struct ctx *ctx, struct s3_client *s3, const struct s3_request *request,
               struct s3_answer *answer, struct err *err) __attribute__((warn_unused_result));
/* After a failed attempt: waits, and says whether (0) there is to be another one. -1: no, and *err
 * is the attempt's, or that of the ctx. */
int s3_again(const struct ctx *ctx, struct retry *retry, const struct s3_answer *answer,
             struct err *err) __attribute__((warn_unused_result));
/* As many attempts as it takes. */
int s3_call(const struct ctx *ctx, struct s3_client *s3, const struct s3_request *request,
            struct s3_answer *answer, struct err *err) __attribute__((warn_unused_result));
const struct retry_policy *s3_retry_policy(const struct s3_client *s3);
int64_t s3_part_size(const struct s3_client *s3);
/* "S3 at URL: METHOD s3://BUCKET/KEY" */
void s3_describe(const struct s3_client *s3, const char *method, const char *key, struct buf *out);

/* error.c: fills *err, and answer->code, from a refusal, and returns -1. */
int s3_refused(const struct s3_client *s3, const struct s3_request *request,
               struct s3_answer *answer, struct err *err);
/* Whether a failed attempt may do better the next time. */
bool s3_is_transient(const struct s3_answer *answer, const struct err *err);
/* multipart.c */
struct s3_input {
    const struct s3_source *source;
    int64_t given;
};
/* Fills data as far as the source reaches; returns how many bytes there were, or -1. */
int64_t s3_input_read(struct s3_input *input, char *data, int64_t size, struct err *err);
/* Uploads in parts of part_size bytes, the first of which is in `data` already. */
int s3_put_parts(const struct ctx *ctx, struct s3_client *s3, const char *key, char *data,
                 int64_t part_size, struct s3_input *input, struct err *err)
    __attribute__((warn_unused_result));
