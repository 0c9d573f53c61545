/* The address of a machine with a login, behind the "SCHEME://" of an engine URL:
 * USER:PASSWORD@HOST:PORT/PATH?KEY=VALUE&… with all parts but the host optional. User, password and
 * values are percent-decoded. The last "@" in front of the query ends the login, so that a password
 * may hold one, and what else parts a URL, but no "?". Each parameter has a value, and comes once.
 * Password and values are overwritten on release. Pure. Source: RFC 3986, section 3. */
#pragma once

#include "base/err.h"
#include "base/map.h"

struct remote_url {
    char *user; /* NULL: not said; likewise the others */
    char *password;
    char *host;    /* without the brackets of an IPv6 address; never NULL */
    unsigned port; /* 0: not said */
    char *path;    /* begins with a slash */
    struct strmap query;
};

#define CLEANUP_REMOTE_URL CLEANUP(remote_url_release)

/* ERR_INVALID; *ret is then untouched, and nothing of the login or of a value is in the message. */
int remote_url_parse(const char *address, struct remote_url *ret, struct err *err)
    __attribute__((warn_unused_result));
/* That its query has no other keys than those; `keys` ends with NULL. ERR_INVALID: the message
 * quotes an unknown one only if it looks like a name, as it may be a piece of a secret, too. */
int remote_url_check_keys(const struct remote_url *url, const char *const *keys, struct err *err)
    __attribute__((warn_unused_result));
/* A key that is true or false; false when it is missing. ERR_INVALID. */
int remote_url_flag(const struct remote_url *url, const char *key, bool *ret, struct err *err)
    __attribute__((warn_unused_result));
void remote_url_release(struct remote_url *url);
