#include "compose/plan_held.h"

#include <arpa/inet.h>
#include <string.h>

#include "base/parse.h"

static bool is_any(const char *address)
{
    return !address || !*address || strcmp(address, "0.0.0.0") == 0 || strcmp(address, "::") == 0;
}

static bool is_same_port(const struct docker_port_binding *held, const json_t *wanted)
{
    const char *published = compose_string(wanted, "published");
    const char *protocol = compose_string(wanted, "protocol");
    const char *address = compose_string(wanted, "host_ip");
    int64_t port;

    /* Of a range a free one is taken. */
    if (!published || parse_int64(published, &port, NULL) < 0 || port != held->host_port ||
        strcmp(protocol ? protocol : "tcp", held->protocol) != 0)
        return false;
    return is_any(address) || is_any(held->host_ip) || strcmp(address, held->host_ip) == 0;
}

static bool holds_port(const struct compose_container *container, const json_t *service)
{
    size_t i;
    json_t *wanted;

    json_array_foreach (json_object_get(service, "ports"), i, wanted) {
        for (size_t k = 0; k < container->port_count; k++) {
            if (container->ports[k].host_port && is_same_port(&container->ports[k], wanted))
                return true;
        }
    }
    return false;
}

/* IPv6 has several spellings. */
static bool is_same_address(const char *a, const char *b)
{
    struct in6_addr left;
    struct in6_addr right;

    if (inet_pton(AF_INET6, a, &left) == 1 && inet_pton(AF_INET6, b, &right) == 1)
        return memcmp(&left, &right, sizeof(left)) == 0;
    return strcmp(a, b) == 0;
}

static bool holds_address(const struct compose_container *container,
                          const struct compose_project *project, const json_t *service)
{
    static const char *const members[] = {"ipv4_address", "ipv6_address"};
    const char *key;
    json_t *settings;

    json_object_foreach (json_object_get(service, "networks"), key, settings) {
        const char *network = compose_string(compose_network(project, key), "name");

        for (size_t i = 0; i < sizeof(members) / sizeof(*members); i++) {
            const char *wanted = compose_string(settings, members[i]);

            strmap_foreach (held, &container->addresses) {
                if (wanted && strcmp(held->value, network) == 0 &&
                    is_same_address(held->key, wanted))
                    return true;
            }
        }
    }
    return false;
}

bool compose_holds_for(const struct compose_container *container,
                       const struct compose_project *project, const json_t *service)
{
    return holds_port(container, service) || holds_address(container, project, service);
}
