#include "apis/ssh/canonical.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <string.h>
#include <strings.h>

#include "base/buf.h"

static bool is_address(const char *name)
{
    unsigned char unused[sizeof(struct in6_addr)];

    return strchr(name, ':') || inet_pton(AF_INET, name, unused) == 1;
}

static bool resolves(const struct ssh_config_source *source, const char *name)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    struct addrinfo *list;

    if (source->resolves)
        return source->resolves(name);
    if (getaddrinfo(name, NULL, &hints, &list) != 0)
        return false;
    freeaddrinfo(list);
    return true;
}

/* Names that a jump host looks up are left to it, unless "always" is said. */
static bool is_wanted(const struct ssh_settings *s)
{
    const bool direct = !s->proxy_jump || strcasecmp(s->proxy_jump, "none") == 0;

    return s->canonicalize == SSH_CANONICALIZE_ALWAYS ||
           (s->canonicalize == SSH_CANONICALIZE_YES && direct);
}

static unsigned count_dots(const char *name)
{
    unsigned count = 0;

    for (; *name; name++)
        count += *name == '.';
    return count;
}

/* `name` ends with a dot, so that the search list of resolv.conf is not gone through; the result
 * has none. Takes the name. */
static bool take_if_resolves(const struct ssh_config_source *source, char *name, char **ret)
{
    if (!resolves(source, name)) {
        free(name);
        return false;
    }
    name[strlen(name) - 1] = '\0';
    *ret = name;
    return true;
}

static bool find(const struct ssh_config_source *source, const struct ssh_settings *s, char **ret)
{
    const size_t len = strlen(s->host_name);

    if (len && s->host_name[len - 1] == '.')
        return take_if_resolves(source, xstrdup(s->host_name), ret);
    for (size_t i = 0; i < s->canonical_domains.len; i++) {
        const char *domain = s->canonical_domains.items[i];

        if (strcasecmp(domain, "none") == 0)
            break;
        if (take_if_resolves(source, xasprintf("%s.%s.", s->host_name, domain), ret))
            return true;
    }
    return false;
}

int ssh_canonical_name(const struct ssh_config_source *source, const struct ssh_settings *s,
                       char **ret, struct err *err)
{
    const char *name = s->host_name;
    const size_t len = strlen(name);
    const bool anchored = len && name[len - 1] == '.';
    const bool qualified = !anchored && count_dots(name) > s->canonical_max_dots;

    if (!is_wanted(s) || is_address(name) || qualified) {
        *ret = xstrdup(name);
        return 0;
    }
    if (find(source, s, ret))
        return 0;
    if (!s->canonical_fallback)
        return err_set(err, ERR_NOT_FOUND,
                       "%s: no such host in any domain of CanonicalDomains, and "
                       "CanonicalizeFallbackLocal is \"no\"",
                       name);
    *ret = xstrdup(name);
    return 0;
}
