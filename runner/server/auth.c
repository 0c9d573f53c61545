#include "server/auth.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/alloc.h"
#include "base/base64.h"

/* Longer ones are wrong: nobody types them, and they would have to be decoded. */
enum { CREDENTIALS_MAX = 4096 };

static void hash(const void *text, size_t size, uint8_t ret[SHA256_SIZE])
{
    struct sha256 state;

    sha256_begin(&state);
    sha256_add(&state, text, size);
    sha256_end(&state, ret);
}

void auth_init(struct auth *auth, const char *user, const char *password)
{
    *auth = (struct auth){.required = user || password};
    user = user ? user : "";
    password = password ? password : "";
    auth->user = xstrdup(user);
    hash(user, strlen(user), auth->user_hash);
    hash(password, strlen(password), auth->password_hash);
}

void auth_release(struct auth *auth)
{
    free(auth->user);
    explicit_bzero(auth, sizeof(*auth));
}

/* By hashes, so that neither length nor content shows in the time that it takes. */
static bool is_same(const uint8_t expected[SHA256_SIZE], const void *text, size_t size)
{
    uint8_t got[SHA256_SIZE];
    volatile uint8_t differs = 0;

    hash(text, size, got);
    for (size_t i = 0; i < SHA256_SIZE; i++)
        differs |= (uint8_t)(expected[i] ^ got[i]);
    return !differs;
}

static enum auth_result check_basic(const struct auth *auth, const char *text)
{
    CLEANUP_BUF struct buf given = BUF_INIT;
    const char *colon;
    bool user, password;

    if (strlen(text) > CREDENTIALS_MAX || base64_decode(&given, text, NULL) < 0)
        return AUTH_WRONG;
    colon = memchr(given.data, ':', given.len);
    if (!colon)
        return AUTH_WRONG;
    user = is_same(auth->user_hash, given.data, (size_t)(colon - given.data));
    password =
        is_same(auth->password_hash, colon + 1, given.len - (size_t)(colon + 1 - given.data));
    explicit_bzero(given.data, given.len);
    return user & password ? AUTH_OK : AUTH_WRONG;
}

enum auth_result auth_check(const struct auth *auth, const char *header, const char **ret_user)
{
    enum auth_result result;

    *ret_user = NULL;
    if (!auth->required)
        return AUTH_OK;
    if (strncasecmp(header, "Basic ", 6) != 0)
        return AUTH_MISSING;
    result = check_basic(auth, header + 6 + strspn(header + 6, " "));
    if (result == AUTH_OK && *auth->user)
        *ret_user = auth->user;
    return result;
}

/* Length of HOST[:PORT] without the port that the scheme has anyway. */
static size_t authority_len(const char *text, const char *port)
{
    size_t len = strcspn(text, "/");
    size_t port_len = strlen(port);

    if (len > port_len && memcmp(text + len - port_len, port, port_len) == 0)
        len -= port_len;
    return len;
}

static bool is_address(const char *text, size_t len)
{
    CLEANUP_FREE char *four = xstrndup(text, len);
    CLEANUP_FREE char *six = len > 2 ? xstrndup(text + 1, len - 2) : NULL;
    struct in6_addr address;

    if (inet_pton(AF_INET, four, &address) == 1)
        return true;
    return six && *text == '[' && text[len - 1] == ']' && inet_pton(AF_INET6, six, &address) == 1;
}

bool auth_host_is_safe(const char *host, const char *own)
{
    static const char local[] = ".localhost";
    const char *colon = strrchr(host, ':');
    size_t local_len = sizeof(local) - 1;
    size_t len = strlen(host);

    if (colon && strspn(colon + 1, "0123456789") == strlen(colon + 1))
        len = (size_t)(colon - host);
    if (is_address(host, len) || (!memchr(host, '.', len) && !memchr(host, ':', len)))
        return true;
    if (own && strlen(own) == len && strncasecmp(host, own, len) == 0)
        return true;
    return len > local_len && strncasecmp(host + len - local_len, local, local_len) == 0;
}

bool auth_origin_is_own(const char *origin, const char *host)
{
    const char *port;
    size_t len;

    if (!*origin)
        return true;
    if (strncasecmp(origin, "http://", 7) == 0)
        port = ":80";
    else if (strncasecmp(origin, "https://", 8) == 0)
        port = ":443";
    else
        return false;
    origin += strchr(origin, '/') - origin + 2;
    len = authority_len(origin, port);
    if (strchr(origin, '/'))
        return false;
    return len > 0 && len == authority_len(host, port) && strncasecmp(origin, host, len) == 0;
}
