/* Who one is at S3, found the way that AWS's own tools find it.
 *
 * Environment: AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN, AWS_REGION or
 * AWS_DEFAULT_REGION, AWS_ENDPOINT_URL_S3 or AWS_ENDPOINT_URL, AWS_PROFILE, AWS_CA_BUNDLE. Files:
 * the profile's section in ~/.aws/credentials (or AWS_SHARED_CREDENTIALS_FILE) and ~/.aws/config
 * (or AWS_CONFIG_FILE): aws_access_key_id, aws_secret_access_key, aws_session_token, region,
 * endpoint_url, ca_bundle. The environment wins, but key and secret come from the same place; a
 * profile that was asked for by name wins over the environment's keys, as with AWS's tools.
 * Web identities, single sign-on, credential processes and the metadata service of EC2 are not
 * asked. Source: "Configuration and credential file settings", AWS SDKs and Tools Reference. */
#pragma once

#include "base/cleanup.h"
#include "base/err.h"

/* Owned strings; NULL: not set. */
struct s3_credentials {
    char *access_key_id;
    char *secret_access_key;
    char *session_token;
    char *region;
    char *endpoint;
    char *ca_bundle;
};

#define CLEANUP_S3_CREDENTIALS CLEANUP(s3_credentials_release)

/* `environment` holds "KEY=VALUE" strings, NULL-terminated (environ). profile: NULL for AWS_PROFILE
 * or "default". Without any keys ERR_DENIED with what to set; a profile that was asked for and is
 * nowhere is ERR_NOT_FOUND; a file that cannot be read, or is not of that form, an error. */
int s3_credentials_find(const char *const *environment, const char *profile,
                        struct s3_credentials *ret, struct err *err)
    __attribute__((warn_unused_result));
/* Wipes and frees. */
void s3_credentials_release(struct s3_credentials *credentials);
