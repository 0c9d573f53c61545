/* What S3 says when it refuses, in one line, with what to do where that is known. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "apis/s3/s3_internal.h"
#include "apis/s3/xml.h"
#include "base/alloc.h"
#include "base/clock.h"

struct refusal {
    char *code;
    char *message;
    char *region;
};

static int on_end(void *arg, const char *path, const char *text, struct err *err)
{
    struct refusal *r = arg;
    char **member = strcmp(path, "Error/Code") == 0      ? &r->code
                    : strcmp(path, "Error/Message") == 0 ? &r->message
                    : strcmp(path, "Error/Region") == 0  ? &r->region
                                                         : NULL;

    (void)err;
    if (member && !*member)
        *member = xstrdup(text);
    return 0;
}

static void refusal_release(struct refusal *r)
{
    free(r->code);
    free(r->message);
    free(r->region);
}

static enum err_code code_of_status(int status)
{
    static const struct {
        int status;
        enum err_code code;
    } codes[] = {
        {400, ERR_INVALID},  {401, ERR_DENIED},   {403, ERR_DENIED},      {404, ERR_NOT_FOUND},
        {409, ERR_CONFLICT}, {412, ERR_CONFLICT}, {429, ERR_UNAVAILABLE}, {501, ERR_UNSUPPORTED},
    };

    for (size_t i = 0; i < sizeof(codes) / sizeof(*codes); i++) {
        if (codes[i].status == status)
            return codes[i].code;
    }
    return status >= 500 ? ERR_UNAVAILABLE : ERR_PROTOCOL;
}

/* How far this machine's clock is from the server's. */
static void add_skew(struct buf *out, const struct s3_answer *answer)
{
    const char *date = strmap_get(&answer->headers, "date");
    char text[CLOCK_DURATION_SIZE];
    struct tm tm = {0};
    int64_t ahead_ms;

    if (date && strptime(date, "%a, %d %b %Y %H:%M:%S GMT", &tm)) {
        ahead_ms = clock_wall_ms() - (int64_t)timegm(&tm) * 1000;
        clock_format_duration(ahead_ms < 0 ? -ahead_ms : ahead_ms, text, sizeof(text));
        buf_addf(out,
                 "; the clock of this machine is %s %s the server's: set it, with NTP for "
                 "example",
                 text, ahead_ms < 0 ? "behind" : "ahead of");
    } else {
        buf_addstr(out, "; the clock of this machine differs too much from the server's: set it");
    }
}

static void add_advice(struct buf *out, const struct refusal *r, const struct s3_answer *answer)
{
    static const struct {
        const char *code;
        const char *advice;
    } table[] = {
        {"SignatureDoesNotMatch", "check the secret access key, and the region"},
        {"InvalidAccessKeyId", "check the access key id"},
        {"NoSuchBucket", "make it first, or check the endpoint and the region"},
        {"AccessDenied", "check what the access key is allowed to do"},
        {"ExpiredToken", "get new temporary credentials"},
    };
    const char *region =
        r->region ? r->region : strmap_get(&answer->headers, "x-amz-bucket-region");

    if (strcmp(answer->code, "RequestTimeTooSkewed") == 0)
        add_skew(out, answer);
    else if (region && (answer->status == 301 || answer->status == 307 || answer->status == 400))
        buf_addf(out, "; the region of the bucket is %s", region);
    for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
        if (strcmp(table[i].code, answer->code) == 0)
            buf_addf(out, "; %s", table[i].advice);
    }
}

/* Makes one line of it. */
static void add_line(struct buf *out, const char *text)
{
    for (; *text; text++)
        buf_addch(out, (unsigned char)*text < ' ' ? ' ' : *text);
}

int s3_refused(const struct s3_client *s3, const struct s3_request *request,
               struct s3_answer *answer, struct err *err)
{
    CLEANUP(refusal_release) struct refusal r = {0};
    CLEANUP_BUF struct buf text = BUF_INIT;

    /* What is no XML (a proxy's page) is left to the status to say; so is HEAD, without a body. */
    (void)!xml_read(answer->body.data, answer->body.len, on_end, &r, NULL);
    s3_describe(s3, request->method, request->key, &text);
    if (r.code) {
        snprintf(answer->code, sizeof(answer->code), "%s", r.code);
        buf_addstr(&text, ": ");
        add_line(&text, r.code);
        if (r.message && *r.message) {
            buf_addstr(&text, ": ");
            add_line(&text, r.message);
        }
        buf_addf(&text, " (HTTP %d)", answer->status);
    } else if (answer->status == 404 && request->key) {
        buf_addstr(&text, ": there is no such object (HTTP 404)");
    } else {
        buf_addf(&text, ": HTTP status %d", answer->status);
    }
    add_advice(&text, &r, answer);
    err_set(err, code_of_status(answer->status), "%s", text.data);
    if (err)
        err->errnum = answer->status;
    return -1;
}

bool s3_is_transient(const struct s3_answer *answer, const struct err *err)
{
    static const char *const codes[] = {"SlowDown",           "RequestTimeout",
                                        "InternalError",      "Throttling",
                                        "ServiceUnavailable", "BadDigest",
                                        "IncompleteBody",     "XAmzContentSHA256Mismatch"};

    for (size_t i = 0; i < sizeof(codes) / sizeof(*codes); i++) {
        if (strcmp(answer->code, codes[i]) == 0)
            return true;
    }
    return retry_is_transient(err);
}
