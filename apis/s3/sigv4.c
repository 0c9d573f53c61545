#include "apis/s3/sigv4.h"

#include <ctype.h>
#include <nettle/hmac.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "apis/http/http.h"
#include "base/alloc.h"
#include "base/sha256.h"

#define ALGORITHM "AWS4-HMAC-SHA256"

enum { DAY_LEN = 8 };

void sigv4_date(int64_t wall_ms, char ret[SIGV4_DATE_SIZE])
{
    time_t seconds = (time_t)(wall_ms / 1000);
    struct tm tm;

    gmtime_r(&seconds, &tm);
    strftime(ret, SIGV4_DATE_SIZE, "%Y%m%dT%H%M%SZ", &tm);
}

void sigv4_hash(const void *data, size_t len, char ret[SHA256_HEX_SIZE])
{
    struct sha256 hash;

    sha256_begin(&hash);
    sha256_add(&hash, data, len);
    sha256_hex(&hash, ret);
}

void sigv4_encode_path(struct buf *out, const char *key)
{
    CLEANUP_BUF struct buf segment = BUF_INIT;

    for (const char *at = key;; at++) {
        if (*at && *at != '/') {
            buf_addch(&segment, *at);
            continue;
        }
        http_escape(out, segment.data);
        buf_reset(&segment);
        if (!*at)
            return;
        buf_addch(out, '/');
    }
}

/* --- sorting --- */

struct pair {
    char *name;
    char *value;
};

static int by_name(const void *a, const void *b)
{
    const struct pair *x = a;
    const struct pair *y = b;
    int order = strcmp(x->name, y->name);

    return order ? order : strcmp(x->value, y->value);
}

static char *encoded(const char *text)
{
    struct buf out = BUF_INIT;

    http_escape(&out, text);
    return buf_steal(&out);
}

/* A header's value without spaces around it, and with one where there are several. */
static char *trimmed(const char *text)
{
    struct buf out = BUF_INIT;

    for (; *text; text++) {
        if (!isspace((unsigned char)*text))
            buf_addch(&out, *text);
        else if (out.len && !isspace((unsigned char)text[1]) && text[1])
            buf_addch(&out, ' ');
    }
    return buf_steal(&out);
}

static struct pair *sorted(const struct strmap *map, char *(*name)(const char *),
                           char *(*value)(const char *))
{
    struct pair *pairs = xcalloc((size_t)map->len + 1, sizeof(*pairs));
    struct pair *next = pairs;

    strmap_foreach (entry, map)
        *next++ = (struct pair){name(entry->key), value(entry->value)};
    qsort(pairs, map->len, sizeof(*pairs), by_name);
    return pairs;
}

static void free_pairs(struct pair *pairs)
{
    for (struct pair *p = pairs; p->name; p++) {
        free(p->name);
        free(p->value);
    }
    free(pairs);
}

void sigv4_query(struct buf *out, const struct strmap *query)
{
    struct pair *pairs;

    if (!query)
        return;
    pairs = sorted(query, encoded, encoded);
    for (const struct pair *p = pairs; p->name; p++)
        buf_addf(out, "%s%s=%s", p == pairs ? "" : "&", p->name, p->value);
    free_pairs(pairs);
}

/* --- the signature --- */

static void canonical_request(const struct sigv4_request *r, const char *query, struct buf *out,
                              struct buf *ret_signed_headers)
{
    struct pair *headers = sorted(r->headers, xstrdup, trimmed);

    buf_addf(out, "%s\n%s\n%s\n", r->method, r->path, query);
    for (const struct pair *h = headers; h->name; h++) {
        buf_addf(out, "%s:%s\n", h->name, h->value);
        buf_addf(ret_signed_headers, "%s%s", h == headers ? "" : ";", h->name);
    }
    buf_addf(out, "\n%s\n%s", ret_signed_headers->data, r->payload_hash);
    free_pairs(headers);
}

static void add_scope(struct buf *out, const struct sigv4_key *key, const char *date)
{
    buf_addf(out, "%.*s/%s/%s/aws4_request", DAY_LEN, date, key->region, key->service);
}

static void hmac(const void *key, size_t key_len, const void *data, size_t len,
                 uint8_t ret[SHA256_SIZE])
{
    struct hmac_sha256_ctx state;

    hmac_sha256_set_key(&state, key_len, key);
    hmac_sha256_update(&state, len, data);
    hmac_sha256_digest(&state, SHA256_SIZE, ret);
    explicit_bzero(&state, sizeof(state));
}

static void signing_key(const struct sigv4_key *key, const char *date, uint8_t ret[SHA256_SIZE])
{
    CLEANUP_BUF struct buf secret = BUF_INIT;
    const char *const parts[] = {key->region, key->service, "aws4_request"};

    buf_addf(&secret, "AWS4%s", key->secret_access_key);
    hmac(secret.data, secret.len, date, DAY_LEN, ret);
    explicit_bzero(secret.data, secret.len);
    for (size_t i = 0; i < sizeof(parts) / sizeof(*parts); i++)
        hmac(ret, SHA256_SIZE, parts[i], strlen(parts[i]), ret);
}

static void to_hex(const uint8_t digest[SHA256_SIZE], char ret[SHA256_HEX_SIZE])
{
    for (size_t i = 0; i < SHA256_SIZE; i++)
        snprintf(ret + 2 * i, 3, "%02x", digest[i]);
}

static void sign(const struct sigv4_key *key, const char *date, const struct buf *canonical,
                 char ret[SHA256_HEX_SIZE])
{
    CLEANUP_BUF struct buf text = BUF_INIT;
    uint8_t secret[SHA256_SIZE];
    uint8_t digest[SHA256_SIZE];

    sigv4_hash(canonical->data, canonical->len, ret);
    buf_addf(&text, ALGORITHM "\n%s\n", date);
    add_scope(&text, key, date);
    buf_addf(&text, "\n%s", ret);
    signing_key(key, date, secret);
    hmac(secret, sizeof(secret), text.data, text.len, digest);
    explicit_bzero(secret, sizeof(secret));
    to_hex(digest, ret);
}

void sigv4_authorization(const struct sigv4_key *key, const struct sigv4_request *r,
                         struct buf *out)
{
    CLEANUP_BUF struct buf query = BUF_INIT;
    CLEANUP_BUF struct buf canonical = BUF_INIT;
    CLEANUP_BUF struct buf names = BUF_INIT;
    char signature[SHA256_HEX_SIZE];

    sigv4_query(&query, r->query);
    canonical_request(r, query.data, &canonical, &names);
    sign(key, r->date, &canonical, signature);
    buf_addf(out, ALGORITHM " Credential=%s/", key->access_key_id);
    add_scope(out, key, r->date);
    buf_addf(out, ",SignedHeaders=%s,Signature=%s", names.data, signature);
}

void sigv4_presign(const struct sigv4_key *key, const struct sigv4_request *request,
                   int64_t expires_s, struct strmap *query)
{
    CLEANUP_BUF struct buf text = BUF_INIT;
    CLEANUP_BUF struct buf canonical = BUF_INIT;
    CLEANUP_BUF struct buf names = BUF_INIT;
    struct sigv4_request r = *request;
    char signature[SHA256_HEX_SIZE];

    buf_addf(&text, "%s/", key->access_key_id);
    add_scope(&text, key, r.date);
    strmap_set(query, "X-Amz-Algorithm", ALGORITHM);
    strmap_set(query, "X-Amz-Credential", text.data);
    strmap_set(query, "X-Amz-Date", r.date);
    strmap_setf(query, "X-Amz-Expires", "%lld", (long long)expires_s);
    r.payload_hash = SIGV4_UNSIGNED_PAYLOAD;
    /* The names of the headers are a parameter themselves. */
    canonical_request(&r, "", &canonical, &names);
    strmap_set(query, "X-Amz-SignedHeaders", names.data);
    buf_reset(&text);
    sigv4_query(&text, query);
    buf_reset(&canonical);
    buf_reset(&names);
    canonical_request(&r, text.data, &canonical, &names);
    sign(key, r.date, &canonical, signature);
    strmap_set(query, "X-Amz-Signature", signature);
}
