/* The client: names, connections, signed requests and their attempts.
 *
 * An HTTP client belongs to one thread at a time, so there is a pool of them: a call takes one out
 * and gives it back, and its connection is there for the next. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "apis/s3/s3_internal.h"
#include "apis/s3/sigv4.h"
#include "base/alloc.h"
#include "base/clock.h"
#include "base/logger.h"
#include "base/vec.h"

struct s3_client {
    char *bucket;
    char *endpoint; /* without the bucket: for messages */
    char *peer;
    char *base_url;    /* with the bucket in virtual style */
    const char *host;  /* within base_url: what the header Host says */
    char *path_prefix; /* "/BUCKET" in path style, else "" */
    char *region;
    struct s3_credentials credentials;
    struct retry_policy retry;
    int64_t part_size;
    int stall_timeout_s;
    pthread_mutex_t mu;
    VEC(struct http_client *)
    idle; /* guarded by mu */
};

void s3_request_release(struct s3_request *request)
{
    strmap_release(&request->query);
    strmap_release(&request->headers);
}

void s3_answer_release(struct s3_answer *answer)
{
    strmap_release(&answer->headers);
    buf_release(&answer->body);
    answer->status = 0;
    answer->code[0] = '\0';
}

const struct retry_policy *s3_retry_policy(const struct s3_client *s3)
{
    return &s3->retry;
}

int64_t s3_part_size(const struct s3_client *s3)
{
    return s3->part_size;
}

void s3_describe(const struct s3_client *s3, const char *method, const char *key, struct buf *out)
{
    buf_addf(out, "%s: %s s3://%s/%s", s3->peer, method, s3->bucket, key ? key : "");
}

/* --- names --- */

/* The endpoint without what need not be said: a slash at the end and the scheme's own port. */
static char *normal_endpoint(const char *text, struct err *err)
{
    bool tls = strncmp(text, "https://", 8) == 0;
    const char *host = text + (tls ? 8 : 7);
    const char *port = tls ? ":443" : ":80";
    size_t len = strlen(text);
    size_t port_len = strlen(port);

    if (strchr(text, '@')) { /* not to be shown */
        err_set(err, ERR_INVALID,
                "the S3 endpoint must be a host without a user and a password; credentials are "
                "taken from AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or a profile");
        return NULL;
    }
    if (!tls && strncmp(text, "http://", 7) != 0) {
        err_set(err, ERR_INVALID, "the S3 endpoint must be http://HOST or https://HOST, not \"%s\"",
                text);
        return NULL;
    }
    while (len > (size_t)(host - text) && text[len - 1] == '/')
        len--;
    if (!*host || strcspn(host, "/?#") < len - (size_t)(host - text)) {
        err_set(err, ERR_INVALID,
                "the S3 endpoint \"%s\" must be a host with an optional port, without a path",
                text);
        return NULL;
    }
    if (len > port_len && strncmp(text + len - port_len, port, port_len) == 0)
        len -= port_len;
    return xstrndup(text, len);
}

static bool is_virtual(const struct s3_options *o, const char *endpoint)
{
    static const char amazon[] = ".amazonaws.com";
    size_t len = strlen(endpoint);
    bool at_amazon =
        len > sizeof(amazon) - 1 && (strstr(endpoint, ".amazonaws.com.") ||
                                     strcmp(endpoint + len - (sizeof(amazon) - 1), amazon) == 0);

    if (o->style != S3_STYLE_AUTO)
        return o->style == S3_STYLE_VIRTUAL;
    /* A certificate for *.s3.amazonaws.com does not hold for a name with further dots. */
    return at_amazon && (!strchr(o->bucket, '.') || strncmp(endpoint, "http://", 7) == 0);
}

static int check_bucket(const char *bucket, struct err *err)
{
    size_t len = strlen(bucket);

    if (strpbrk(bucket, ":@")) /* not to be shown */
        return err_set(
            err, ERR_INVALID,
            "the name of an S3 bucket has no \":\" and \"@\"; credentials are taken from "
            "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or a profile");
    if (len < 3 || len > 63 ||
        strspn(bucket, "abcdefghijklmnopqrstuvwxyz0123456789.-_ABCDEFGHIJKLMNOPQRSTUVWXYZ") != len)
        return err_set(err, ERR_INVALID,
                       "\"%s\" is no name of an S3 bucket: 3 to 63 letters, digits, dots and "
                       "hyphens",
                       bucket);
    return 0;
}

static int make_names(struct s3_client *s3, const struct s3_options *o, struct err *err)
{
    const struct s3_credentials *c = o->credentials;
    const char *region = o->region ? o->region : c->region;
    const char *given = o->endpoint ? o->endpoint : c->endpoint;
    CLEANUP_FREE char *standard = NULL;
    const char *rest;

    if (check_bucket(o->bucket, err) < 0)
        return -1;
    s3->region = xstrdup(region && *region ? region : S3_REGION_DEFAULT);
    standard = xasprintf("https://s3.%s.amazonaws.com%s", s3->region,
                         strncmp(s3->region, "cn-", 3) == 0 ? ".cn" : "");
    s3->endpoint = normal_endpoint(given && *given ? given : standard, err);
    if (!s3->endpoint)
        return -1;
    s3->bucket = xstrdup(o->bucket);
    s3->peer = xasprintf("S3 at %s", s3->endpoint);
    rest = strstr(s3->endpoint, "://") + 3;
    if (is_virtual(o, s3->endpoint)) {
        s3->base_url =
            xasprintf("%.*s%s.%s", (int)(rest - s3->endpoint), s3->endpoint, s3->bucket, rest);
        s3->path_prefix = xstrdup("");
    } else {
        s3->base_url = xstrdup(s3->endpoint);
        s3->path_prefix = xasprintf("/%s", s3->bucket);
    }
    s3->host = strstr(s3->base_url, "://") + 3;
    return 0;
}

static void copy_credentials(struct s3_credentials *to, const struct s3_credentials *from)
{
    to->access_key_id = xstrdup(from->access_key_id);
    to->secret_access_key = xstrdup(from->secret_access_key);
    to->session_token = xstrdup_null(from->session_token);
    to->ca_bundle = xstrdup_null(from->ca_bundle);
}

/* --- connections --- */

static int take_http(struct s3_client *s3, struct http_client **ret, struct err *err)
{
    struct http_client *http = NULL;

    pthread_mutex_lock(&s3->mu);
    if (s3->idle.len)
        http = s3->idle.items[--s3->idle.len];
    pthread_mutex_unlock(&s3->mu);
    if (!http &&
        http_client_new(&(struct http_client_options){.base_url = s3->base_url,
                                                      .peer = s3->peer,
                                                      .stall_timeout_s = s3->stall_timeout_s,
                                                      .tls.ca_file = s3->credentials.ca_bundle},
                        &http, err) < 0)
        return -1;
    *ret = http;
    return 0;
}

static void give_http(struct s3_client *s3, struct http_client *http)
{
    pthread_mutex_lock(&s3->mu);
    vec_push(&s3->idle, http);
    pthread_mutex_unlock(&s3->mu);
}

int s3_client_new(const struct s3_options *o, struct s3_client **ret, struct err *err)
{
    CLEANUP_S3_CLIENT struct s3_client *s3 = xcalloc(1, sizeof(*s3));
    struct http_client *first;

    pthread_mutex_init(&s3->mu, NULL);
    s3->retry = o->retry;
    s3->stall_timeout_s = o->stall_timeout_s ? o->stall_timeout_s : S3_STALL_TIMEOUT_S;
    s3->part_size = o->part_size ? o->part_size : S3_PART_SIZE;
    if (s3->part_size < S3_PART_SIZE_MIN)
        return err_set(err, ERR_INVALID, "parts of an S3 upload have at least %lld bytes",
                       (long long)S3_PART_SIZE_MIN);
    if (make_names(s3, o, err) < 0)
        return -1;
    copy_credentials(&s3->credentials, o->credentials);
    if (take_http(s3, &first, err) < 0)
        return -1;
    give_http(s3, first);
    *ret = steal_ptr(&s3);
    return 0;
}

void s3_client_free(struct s3_client *s3)
{
    if (!s3)
        return;
    vec_foreach (struct http_client **, http, &s3->idle)
        http_client_free(*http);
    vec_release(&s3->idle);
    pthread_mutex_destroy(&s3->mu);
    s3_credentials_release(&s3->credentials);
    free(s3->bucket);
    free(s3->endpoint);
    free(s3->peer);
    free(s3->base_url);
    free(s3->path_prefix);
    free(s3->region);
    free(s3);
}

/* --- requests --- */

static void add_path(const struct s3_client *s3, const char *key, struct buf *out)
{
    buf_addstr(out, s3->path_prefix);
    if (key || !out->len)
        buf_addch(out, '/');
    if (key)
        sigv4_encode_path(out, key);
}

static struct sigv4_key signing_key(const struct s3_client *s3)
{
    return (struct sigv4_key){.access_key_id = s3->credentials.access_key_id,
                              .secret_access_key = s3->credentials.secret_access_key,
                              .region = s3->region,
                              .service = "s3"};
}

/* Fills the lines "name: value" of what is signed, and the signature. */
static void sign(const struct s3_client *s3, const struct s3_request *r, const char *path,
                 struct strvec *lines)
{
    CLEANUP_STRMAP struct strmap headers = {0};
    CLEANUP_BUF struct buf authorization = BUF_INIT;
    const struct sigv4_key key = signing_key(s3);
    char hash[SHA256_HEX_SIZE];
    struct sigv4_request request = {.method = r->method,
                                    .path = path,
                                    .query = &r->query,
                                    .headers = &headers,
                                    .payload_hash = hash};

    sigv4_hash(r->body, r->body_len, hash);
    sigv4_date(clock_wall_ms(), request.date);
    strmap_merge(&headers, &r->headers);
    strmap_set(&headers, "x-amz-content-sha256", hash);
    strmap_set(&headers, "x-amz-date", request.date);
    if (s3->credentials.session_token)
        strmap_set(&headers, "x-amz-security-token", s3->credentials.session_token);
    strmap_foreach (header, &headers)
        strvec_pushf(lines, "%s: %s", header->key, header->value);
    strmap_set(&headers, "host", s3->host);
    sigv4_authorization(&key, &request, &authorization);
    strvec_pushf(lines, "Authorization: %s", authorization.data);
}

static void copy_answer(const struct http_response *from, struct s3_answer *to)
{
    to->status = from->status;
    strmap_merge(&to->headers, &from->headers);
    buf_add(&to->body, from->body.data, from->body.len);
}

static int perform(const struct ctx *ctx, struct http_client *http,
                   const struct http_request *request, struct s3_answer *answer, struct err *err)
{
    CLEANUP_HTTP_CALL struct http_call *call = NULL;
    int result;

    if (ctx_check(ctx, err) < 0 || http_start(http, request, &call, err) < 0)
        return -1;
    result = http_call_wait(ctx, call, err);
    copy_answer(http_call_response(call), answer);
    return result;
}

int s3_attempt(const struct ctx *ctx, struct s3_client *s3, const struct s3_request *r,
               struct s3_answer *answer, struct err *err)
{
    static const char *const keep[] = {"content-length", "date",        "etag",
                                       "last-modified",  "retry-after", "x-amz-bucket-region",
                                       S3_META_UPLOAD,   S3_META_NOTE,  NULL};
    CLEANUP_BUF struct buf path = BUF_INIT;
    CLEANUP_BUF struct buf query = BUF_INIT;
    CLEANUP_STRVEC struct strvec headers = {0};
    struct http_request request = {.method = r->method,
                                   .body = r->body,
                                   .body_len = r->body_len,
                                   .write = r->write,
                                   .write_arg = r->write_arg,
                                   .max_body = r->max_body,
                                   .keep = keep,
                                   /* What begins or completes an upload. */
                                   .once = strcmp(r->method, "POST") == 0};
    struct http_client *http;
    int result;

    s3_answer_release(answer);
    add_path(s3, r->key, &path);
    sign(s3, r, path.data, &headers);
    sigv4_query(&query, &r->query);
    if (query.len)
        buf_addf(&path, "?%s", query.data);
    request.path = path.data;
    request.headers = (const char *const *)headers.items;
    if (take_http(s3, &http, err) < 0)
        return -1;
    result = perform(ctx, http, &request, answer, err);
    give_http(s3, http);
    if (result == 0 && (answer->status < 200 || answer->status > 299))
        return s3_refused(s3, r, answer, err);
    return result;
}

int s3_again(const struct ctx *ctx, struct retry *retry, const struct s3_answer *answer,
             struct err *err)
{
    const struct http_response response = {.headers = answer->headers};

    if (!s3_is_transient(answer, err))
        return -1;
    log_debug("s3", "attempt %d: %s", retry->attempt + 1, err->message);
    return retry_wait(ctx, retry, http_response_retry_after_ms(&response), err);
}

int s3_call(const struct ctx *ctx, struct s3_client *s3, const struct s3_request *request,
            struct s3_answer *answer, struct err *err)
{
    struct err own = ERR_INIT;
    struct retry retry;

    retry_init(&retry, &s3->retry);
    for (;;) {
        if (s3_attempt(ctx, s3, request, answer, &own) == 0)
            return 0;
        if (s3_again(ctx, &retry, answer, &own) < 0)
            break;
    }
    if (err)
        *err = own;
    return -1;
}

int s3_presign(const struct s3_client *s3, const char *method, const char *key, int64_t expires_s,
               struct buf *out, struct err *err)
{
    CLEANUP_STRMAP struct strmap headers = {0};
    CLEANUP_STRMAP struct strmap query = {0};
    CLEANUP_BUF struct buf path = BUF_INIT;
    const struct sigv4_key signer = signing_key(s3);
    struct sigv4_request request = {.method = method, .headers = &headers};

    if (expires_s < 1 || expires_s > S3_PRESIGN_MAX_S)
        return err_set(err, ERR_INVALID, "a presigned URL lasts 1 second to 7 days, not %lld s",
                       (long long)expires_s);
    add_path(s3, key, &path);
    request.path = path.data;
    strmap_set(&headers, "host", s3->host);
    if (s3->credentials.session_token)
        strmap_set(&query, "X-Amz-Security-Token", s3->credentials.session_token);
    sigv4_date(clock_wall_ms(), request.date);
    sigv4_presign(&signer, &request, expires_s, &query);
    buf_addf(out, "%s%s?", s3->base_url, path.data);
    sigv4_query(out, &query);
    return 0;
}
