#include "spec/service_kinds.h"

#include <stddef.h>
#include <string.h>

static const struct spec_service_kind kinds[] = {
    [SPEC_DEPLOYMENT_COMPOSE] = {"docker-compose", "docker-compose", false},
    [SPEC_DEPLOYMENT_SWARM] = {"docker-swarm", "docker-swarm", false},
    [SPEC_DEPLOYMENT_KUBERNETES] = {"kubernetes", "manifests", true},
};

_Static_assert(sizeof(kinds) / sizeof(*kinds) == SPEC_DEPLOYMENT_ADDED, "a row for each type");

static const struct spec_service_kind *added[SPEC_SERVICE_KINDS_ADDED_MAX];
static size_t added_count;

static bool is_known(const char *name)
{
    const struct spec_service_kind *kind;

    for (int type = SPEC_DEPLOYMENT_COMPOSE;
         (kind = spec_service_kind((enum spec_deployment_type)type)); type++) {
        if (strcmp(kind->name, name) == 0)
            return true;
    }
    return false;
}

void spec_service_kinds_add(const struct spec_service_kind *more)
{
    for (; more && more->name && added_count < SPEC_SERVICE_KINDS_ADDED_MAX; more++) {
        if (!is_known(more->name))
            added[added_count++] = more;
    }
}

const struct spec_service_kind *spec_service_kind(enum spec_deployment_type type)
{
    if (type > SPEC_DEPLOYMENT_UNSET && type < SPEC_DEPLOYMENT_ADDED)
        return &kinds[type];
    if (type >= SPEC_DEPLOYMENT_ADDED && (size_t)type - SPEC_DEPLOYMENT_ADDED < added_count)
        return added[(size_t)type - SPEC_DEPLOYMENT_ADDED];
    return NULL;
}
