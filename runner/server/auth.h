/* Who may use a server: turns a request into somebody, or a refusal. Pure, and in constant time for
 * credentials of one length.
 *
 * Today there is one name with a password, sent by HTTP Basic (RFC 7617). Other schemes, such as
 * tokens, are another branch of auth_check() and another member of struct auth. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/sha256.h"

struct auth {
    bool required; /* false: everybody may do everything */
    char *user;
    uint8_t user_hash[SHA256_SIZE];
    uint8_t password_hash[SHA256_SIZE];
};

enum auth_result {
    AUTH_OK,
    AUTH_MISSING, /* no credentials, or of a scheme that is not known */
    AUTH_WRONG,
};

/* NULL both: none are required. NULL one: it is "". */
void auth_init(struct auth *auth, const char *user, const char *password);
void auth_release(struct auth *auth);
/* `header` is the value of Authorization, "" when there is none. *ret_user: the name, borrowed;
 * NULL when nobody in particular. */
enum auth_result auth_check(const struct auth *auth, const char *header, const char **ret_user);

/* Whether a server that needs no credentials may be asked by that name: any page may have its own
 * name lead to the address of the server, and then ask it as its own. So it has to be an address, a
 * name that nobody else can have (localhost, or one without a dot), or `own`, NULL if there is
 * none.
 */
bool auth_host_is_safe(const char *host, const char *own);

/* Whether a request that changes something may come from a page with that Origin ("" when a request
 * has none, as no browser sent it): only from the host that it is sent to, as in its Host header.
 */
bool auth_origin_is_own(const char *origin, const char *host);
