/* AWS Signature Version 4: pure computation, for the header Authorization and for presigned URLs.
 *
 * The request is described in its final form: `path` is percent-encoded already (of S3: each
 * segment once, sigv4_encode_path()), query and headers are not encoded. Everything in `headers` is
 * signed; `host` and `x-amz-date` must be among them, and the caller sends them exactly so. Source:
 * "Signature Version 4 signing process", AWS General Reference; "Authenticating Requests", Amazon
 * S3 API Reference. libcurl's own signing is not used: docs/adr/0020-s3.md. */
#pragma once

#include <stdint.h>

#include "base/buf.h"
#include "base/map.h"
#include "base/sha256.h"

#define SIGV4_UNSIGNED_PAYLOAD "UNSIGNED-PAYLOAD"
#define SIGV4_DATE_SIZE        17

/* Borrowed strings. */
struct sigv4_key {
    const char *access_key_id;
    const char *secret_access_key;
    const char *region;
    const char *service; /* "s3" */
};

struct sigv4_request {
    const char *method;
    const char *path;
    const struct strmap *query;   /* names and values; NULL: none */
    const struct strmap *headers; /* lower-case names */
    const char *payload_hash;     /* SHA-256 in hexadecimal, or SIGV4_UNSIGNED_PAYLOAD */
    char date[SIGV4_DATE_SIZE];   /* sigv4_date() */
};

/* "20130524T000000Z" of a wall time. */
void sigv4_date(int64_t wall_ms, char ret[SIGV4_DATE_SIZE]);
/* The payload_hash of a body. */
void sigv4_hash(const void *data, size_t len, char ret[SHA256_HEX_SIZE]);
/* Adds the percent-encoded key, its slashes kept. */
void sigv4_encode_path(struct buf *out, const char *key);
/* Adds the query in canonical form, sorted and encoded, without a question mark: what is signed is
 * also what is sent. */
void sigv4_query(struct buf *out, const struct strmap *query);
/* Adds the value of the header Authorization. */
void sigv4_authorization(const struct sigv4_key *key, const struct sigv4_request *request,
                         struct buf *out);
/* Completes the query of a presigned URL: adds the X-Amz-* parameters to `query`, which may hold
 * others (X-Amz-Security-Token too) already, the signature included. request->query is not looked
 * at, its headers need no x-amz-date, and its payload is unsigned. */
void sigv4_presign(const struct sigv4_key *key, const struct sigv4_request *request,
                   int64_t expires_s, struct strmap *query);
