/* Published ports: [[ADDRESS:]PORT[-PORT]:]PORT[-PORT][/PROTOCOL]. */
#include <arpa/inet.h>
#include <string.h>

#include "base/alloc.h"
#include "base/parse.h"
#include "compose/reader.h"
#include "compose/rows.h"

#define PORT_MAX 65535
/* Of one document: a short range stands for many. */
#define PORTS_MAX 200000

struct range {
    int64_t first;
    int64_t last;
};

static bool parse_range(const char *text, struct range *ret)
{
    CLEANUP_FREE char *copy = xstrdup(text);
    char *dash = strchr(copy, '-');
    int64_t *const numbers[] = {&ret->first, &ret->last};
    const char *texts[] = {copy, dash ? dash + 1 : copy};

    if (dash)
        *dash = '\0';
    for (size_t i = 0; i < 2; i++) {
        if (!*texts[i] || texts[i][strspn(texts[i], "0123456789")] ||
            parse_int64(texts[i], numbers[i], NULL) < 0 || *numbers[i] > PORT_MAX)
            return false;
    }
    return ret->first <= ret->last;
}

static bool is_address(const char *text)
{
    struct in6_addr address;

    return inet_pton(AF_INET, text, &address) == 1 || inet_pton(AF_INET6, text, &address) == 1;
}

static bool is_protocol(const char *text)
{
    return strcmp(text, "tcp") == 0 || strcmp(text, "udp") == 0 || strcmp(text, "sctp") == 0;
}

/* The parts of a short form, cut out of a copy of it. */
struct parts {
    char *address;
    char *published;
    char *target;
    char *protocol;
};

static char *cut_last(char *text, char separator)
{
    char *at = strrchr(text, separator);

    if (!at)
        return NULL;
    *at = '\0';
    return at + 1;
}

static void cut(char *text, struct parts *ret)
{
    char *protocol = cut_last(text, '/');
    char *target = cut_last(text, ':');
    char *published = target ? cut_last(text, ':') : NULL;

    *ret = (struct parts){.address = published ? text : NULL,
                          .published = published ? published
                                       : target  ? text
                                                 : NULL,
                          .target = target ? target : text,
                          .protocol = protocol};
    if (ret->address && *ret->address == '[') {
        size_t len = strlen(ret->address);

        if (ret->address[len - 1] == ']') {
            ret->address[len - 1] = '\0';
            ret->address++;
        }
    }
}

static const char *check_parts(struct parts *parts, struct range *target, struct range *published)
{
    for (char *c = parts->protocol; c && *c; c++)
        *c |= *c >= 'A' && *c <= 'Z' ? 0x20 : 0;
    if (parts->protocol && !is_protocol(parts->protocol))
        return "the protocol is tcp, udp or sctp";
    if (parts->address && *parts->address && !is_address(parts->address))
        return "what stands before the ports is not an IP address";
    if (!parse_range(parts->target, target))
        return "the container's port is a number up to 65535, or a range such as 8000-8010";
    *published = (struct range){0, 0};
    if (parts->published && *parts->published && !parse_range(parts->published, published))
        return "the published port is a number up to 65535, or a range such as 8000-8010";
    if (parts->published && *parts->published && target->first != target->last &&
        target->last - target->first != published->last - published->first)
        return "the two ranges of ports are not of the same length";
    return NULL;
}

static json_t *port_object(const struct parts *parts, const struct range *target,
                           const struct range *published, int64_t i)
{
    json_t *port =
        json_pack("{s:s, s:I, s:s}", "mode", "ingress", "target", (json_int_t)(target->first + i),
                  "protocol", parts->protocol ? parts->protocol : "tcp");

    if (parts->published && *parts->published) {
        bool any = target->first == target->last && published->first != published->last;

        json_object_set_new(port, "published",
                            any ? json_sprintf("%lld-%lld", (long long)published->first,
                                               (long long)published->last)
                                : json_sprintf("%lld", (long long)(published->first + i)));
    }
    if (parts->address && *parts->address)
        json_object_set_new(port, "host_ip", json_string(parts->address));
    return port;
}

json_t *compose_read_port(struct compose_reader *r, const struct node_path *path,
                          const struct yaml_node *node)
{
    CLEANUP_FREE char *text = compose_read_string(r, path, node, true);
    CLEANUP_FREE char *copy = xstrdup_null(text);
    struct parts parts;
    struct range target;
    struct range published;
    const char *problem;
    json_t *list;

    if (!text)
        return NULL;
    cut(copy, &parts);
    problem = check_parts(&parts, &target, &published);
    if (problem) {
        compose_reader_error(r, path, node, "\"%s\" is not [[ADDRESS:]PORT:]PORT[/PROTOCOL]: %s",
                             text, problem);
        return NULL;
    }
    if (r->target == COMPOSE_TARGET_SWARM && parts.address && *parts.address)
        compose_reader_warn(r, path, node, "the address %s is ignored: " COMPOSE_WHY_HOST_IP,
                            parts.address);
    r->ports += (size_t)(target.last - target.first + 1);
    if (r->ports > PORTS_MAX) {
        compose_reader_error(r, path, node, "a file has at most %d ports, ranges written out",
                             PORTS_MAX);
        return NULL;
    }
    list = json_array();
    for (int64_t i = 0; i <= target.last - target.first; i++)
        json_array_append_new(list,
                              compose_placed(r, node, port_object(&parts, &target, &published, i)));
    return list;
}

void compose_check_port(struct compose_reader *r, const struct node_path *path,
                        const struct yaml_node *node, json_t *object)
{
    const char *address = json_string_value(json_object_get(object, "host_ip"));
    const char *published = json_string_value(json_object_get(object, "published"));
    const char *protocol = json_string_value(json_object_get(object, "protocol"));
    const json_t *target = json_object_get(object, "target");
    struct range range;

    if (json_is_integer(target) &&
        (json_integer_value(target) < 1 || json_integer_value(target) > PORT_MAX))
        compose_reader_error(r, path, node, "\"target\" must be a port from 1 to 65535");
    if (address && !is_address(address))
        compose_reader_error(r, path, node, "\"host_ip\" is not an IP address: %s", address);
    if (protocol && !is_protocol(protocol))
        compose_reader_error(r, path, node, "\"protocol\" is tcp, udp or sctp, not \"%s\"",
                             protocol);
    if (published && *published && !parse_range(published, &range))
        compose_reader_error(r, path, node, "\"published\" must be a port or a range, not \"%s\"",
                             published);
}
