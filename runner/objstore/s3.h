/* Objects in a bucket of S3.
 *
 *     s3://BUCKET[/PREFIX][?NAME=VALUE&…]
 *
 * endpoint=URL, region=NAME, path_style=true|false and profile=NAME, percent-encoded where needed;
 * what is not said comes from the environment and the files of AWS's tools (apis/s3/credentials.h).
 * An object has the key PREFIX/KEY and carries its SHA-256 as metadata. It passes through a
 * temporary file without a name, in $TMPDIR or /tmp, on its way up, so that its hash is known when
 * it is sent, and on its way down, so that it is verified before anybody reads it.
 *
 * Contexts bound everything; what a put() that failed has uploaded is removed. There is no time of
 * the last use: it is the time when the object was stored. A bucket is best given lifecycle rules,
 * for what is old and for uploads that a dead process has left incomplete. */
#pragma once

#include "objstore/objstore.h"

#define OBJECT_STORE_S3_SCHEME "s3://"

/* Whether the URL is of that form; no I/O. */
int object_store_s3_check(const char *url, struct err *err) __attribute__((warn_unused_result));
/* Looks for credentials and loads libcurl; nothing is asked of the server yet. `environment` holds
 * "KEY=VALUE" strings, NULL-terminated (environ). */
int object_store_s3_open(const char *url, const char *const *environment, struct object_store **ret,
                         struct err *err) __attribute__((warn_unused_result));
