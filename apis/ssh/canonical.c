#include "apis/ssh/canonical.h"

#include <arpa/inet.h>
#include <string.h>
#include <strings.h>

#include "base/buf.h"
#include "base/resolve.h"

static bool is_address(const char *name)
{
    unsigned char unused[sizeof(struct in6_addr)];

    return strchr(name, ':') || inet_pton(AF_INET, name, unused) == 1;
}

/* 1, 0, -1: ctx has ended. */
static int resolves(const struct ctx *ctx, const struct ssh_config_source *source, const char *name,
                    struct err *err)
{
    struct addrinfo *list;
    struct err why = ERR_INIT;

    if (source->resolves)
        return source->resolves(name);
    if (resolve_host(ctx, name, NULL, &list, &why) == 0) {
        freeaddrinfo(list);
        return 1;
    }
    if (why.code == ERR_NOT_FOUND)
        return 0;
    if (err)
        *err = why;
    return -1;
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
 * has none. Takes the name. 1: it does; 0, -1. */
static int take_if_resolves(const struct ctx *ctx, const struct ssh_config_source *source,
                            char *name, char **ret, struct err *err)
{
    const int found = resolves(ctx, source, name, err);

    if (found <= 0) {
        free(name);
        return found;
    }
    name[strlen(name) - 1] = '\0';
    *ret = name;
    return 1;
}

static int find(const struct ctx *ctx, const struct ssh_config_source *source,
                const struct ssh_settings *s, char **ret, struct err *err)
{
    const size_t len = strlen(s->host_name);
    int found = 0;

    if (len && s->host_name[len - 1] == '.')
        return take_if_resolves(ctx, source, xstrdup(s->host_name), ret, err);
    for (size_t i = 0; !found && i < s->canonical_domains.len; i++) {
        const char *domain = s->canonical_domains.items[i];

        if (strcasecmp(domain, "none") == 0)
            break;
        found = take_if_resolves(ctx, source, xasprintf("%s.%s.", s->host_name, domain), ret, err);
    }
    return found;
}

int ssh_canonical_name(const struct ctx *ctx, const struct ssh_config_source *source,
                       const struct ssh_settings *s, char **ret, struct err *err)
{
    const char *name = s->host_name;
    const size_t len = strlen(name);
    const bool anchored = len && name[len - 1] == '.';
    const bool qualified = !anchored && count_dots(name) > s->canonical_max_dots;
    int found;

    if (!is_wanted(s) || is_address(name) || qualified) {
        *ret = xstrdup(name);
        return 0;
    }
    found = find(ctx, source, s, ret, err);
    if (found)
        return found < 0 ? -1 : 0;
    if (!s->canonical_fallback)
        return err_set(err, ERR_NOT_FOUND,
                       "%s: no such host in any domain of CanonicalDomains, and "
                       "CanonicalizeFallbackLocal is \"no\"",
                       name);
    *ret = xstrdup(name);
    return 0;
}
