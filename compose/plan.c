#include "compose/plan.h"

#include <stdarg.h>
#include <string.h>

#include "base/alloc.h"
#include "compose/plan_held.h"
#include "compose/recipe.h"

#define NONE SIZE_MAX

/* A service while the plan is made. */
struct planned {
    const char *name;
    const json_t *service;
    int count;
    bool changed;  /* a container of it is new, or replaced */
    bool replaced; /* a container of it goes */
    VEC(size_t)
    creates;
    VEC(size_t)
    starts;
    VEC(size_t)
    leaves;          /* what stops the old containers */
    size_t await[3]; /* by condition; NONE: not made */
    bool settled;    /* nothing of it has to be waited for */
};

struct planner {
    const struct compose_plan_request *request;
    struct compose_plan *plan;
    struct strvec selected;
    struct planned *services;
    VEC(size_t)
    base; /* networks and volumes */
    VEC(size_t)
    stops;                          /* of what is superfluous, whose ports others may want */
    struct strmap changed_networks; /* names */
};

static const char *const kind_names[] = {
    [COMPOSE_NETWORK_REMOVE] = "remove network", [COMPOSE_NETWORK_CREATE] = "create network",
    [COMPOSE_VOLUME_CREATE] = "create volume",   [COMPOSE_CONTAINER_STOP] = "stop",
    [COMPOSE_CONTAINER_SET_ASIDE] = "set aside", [COMPOSE_CONTAINER_RENAME] = "rename",
    [COMPOSE_CONTAINER_CREATE] = "create",       [COMPOSE_CONTAINER_START] = "start",
    [COMPOSE_CONTAINER_REMOVE] = "remove",       [COMPOSE_SERVICE_AWAIT] = "await",
};

const char *compose_action_name(enum compose_action_kind kind)
{
    return kind_names[kind];
}

void compose_plan_release(struct compose_plan *plan)
{
    vec_foreach (struct compose_action *, action, &plan->actions) {
        free(action->name);
        free(action->reason);
        vec_release(&action->needs);
    }
    vec_release(&plan->actions);
    strvec_release(&plan->warnings);
    *plan = (struct compose_plan){0};
}

/* --- making actions --- */

static size_t add(struct planner *p, enum compose_action_kind kind, const char *name)
{
    vec_push(&p->plan->actions,
             ((struct compose_action){.kind = kind, .name = xstrdup(name), .reason = xstrdup("")}));
    return p->plan->actions.len - 1;
}

static size_t add_container(struct planner *p, enum compose_action_kind kind, const char *name,
                            const char *service, int number,
                            const struct compose_container *container)
{
    size_t index = add(p, kind, name);
    struct compose_action *action = &p->plan->actions.items[index];

    action->service = service;
    action->number = number;
    action->container = container;
    return index;
}

static void need(struct planner *p, size_t action, size_t needed)
{
    if (needed != NONE)
        vec_push(&p->plan->actions.items[action].needs, needed);
}

#define need_all(p, action, list)                                                                  \
    do {                                                                                           \
        vec_foreach (const size_t *, needed_one, list)                                             \
            need(p, action, *needed_one);                                                          \
    } while (0)

static struct planned *planned_of(struct planner *p, const char *name)
{
    for (size_t i = 0; i < p->selected.len; i++) {
        if (strcmp(p->selected.items[i], name) == 0)
            return &p->services[i];
    }
    return NULL;
}

/* --- which services --- */

int compose_select(const struct compose_project *project, const struct strvec *services,
                   struct strvec *ret, struct err *err)
{
    CLEANUP_STRVEC struct strvec wanted = {0};

    if (!services || !services->len) {
        strvec_extend(ret, project->order.items);
        return 0;
    }
    for (size_t i = 0; i < services->len; i++) {
        if (!compose_service(project, services->items[i]))
            return err_set(err, ERR_NOT_FOUND, "project %s has no service \"%s\"", project->name,
                           services->items[i]);
        strvec_push(&wanted, services->items[i]);
    }
    for (size_t i = 0; i < wanted.len; i++) {
        const char *name;
        json_t *dependency;

        json_object_foreach (json_object_get(compose_service(project, wanted.items[i]),
                                             "depends_on"),
                             name, dependency) {
            if (compose_service(project, name) && !strvec_has(&wanted, name))
                strvec_push(&wanted, name);
        }
    }
    for (size_t i = 0; i < project->order.len; i++) {
        if (strvec_has(&wanted, project->order.items[i]))
            strvec_push(ret, project->order.items[i]);
    }
    return 0;
}

const struct compose_container *compose_find_container(const struct compose_project *project,
                                                       const struct compose_state *state,
                                                       const char *service, int number)
{
    CLEANUP_FREE char *name = compose_container_name(project, service, number);
    const struct compose_container *found = NULL;

    vec_foreach (const struct compose_container *, c, &state->containers) {
        if (!compose_state_owns(state, c) || strcmp(c->service, service) != 0 ||
            c->number != number)
            continue;
        if (!found || strcmp(c->name, name) == 0)
            found = c;
    }
    return found;
}

/* --- networks and volumes --- */

static bool is_external(const json_t *object)
{
    return compose_bool(object, "external", false);
}

/* Whether a selected service names it. */
static bool uses_network(const struct planner *p, const char *key)
{
    for (size_t i = 0; i < p->selected.len; i++) {
        if (json_object_get(json_object_get(p->services[i].service, "networks"), key))
            return true;
    }
    return false;
}

static bool uses_volume(const struct planner *p, const char *key)
{
    for (size_t i = 0; i < p->selected.len; i++) {
        size_t n;
        json_t *mount;

        json_array_foreach (json_object_get(p->services[i].service, "volumes"), n, mount) {
            const char *type = compose_string(mount, "type");
            const char *source = compose_string(mount, "source");

            if (source && strcmp(type, "volume") == 0 && strcmp(source, key) == 0)
                return true;
        }
    }
    return false;
}

static bool runs(const struct compose_container *c)
{
    return strcmp(c->state, "running") == 0 || strcmp(c->state, "restarting") == 0 ||
           strcmp(c->state, "paused") == 0;
}

/* Somebody else's container that runs in the network. */
static const struct compose_container *stranger_in(const struct planner *p, const char *network)
{
    vec_foreach (const struct compose_container *, c, &p->request->state->containers) {
        if (!compose_state_owns(p->request->state, c) && runs(c) &&
            strmap_has(&c->networks, network))
            return c;
    }
    return NULL;
}

static int plan_network(struct planner *p, const char *key, const json_t *network, struct err *err)
{
    const struct compose_project *project = p->request->project;
    const char *name = compose_string(network, "name");
    const struct compose_network_seen *seen = compose_state_network(p->request->state, name);
    const struct compose_container *stranger;
    char hash[COMPOSE_HASH_SIZE];
    size_t removal = NONE;
    size_t creation;

    if (is_external(network)) {
        if (!seen)
            return compose_error(
                project, network, err, ERR_NOT_FOUND,
                "network \"%s\" is external, but there is none named %s; create it "
                "with `docker network create %s`",
                key, name, name);
        return 0;
    }
    if (seen && strcmp(seen->project, project->name) != 0)
        return compose_error(project, network, err, ERR_CONFLICT,
                             "there is a network %s that is not of project %s%s%s; use it with "
                             "`external: true`, or give this one another `name`",
                             name, project->name, *seen->project ? ", but of " : "", seen->project);
    compose_object_hash(network, hash);
    if (seen && (!*seen->hash || strcmp(seen->hash, hash) == 0))
        return 0;
    if (seen) {
        stranger = stranger_in(p, name);
        if (stranger)
            return compose_error(project, network, err, ERR_CONFLICT,
                                 "network %s has to be made anew, but container %s, which is not "
                                 "of a service of the project, is in it; stop or disconnect that "
                                 "first",
                                 name, stranger->name);
        removal = add(p, COMPOSE_NETWORK_REMOVE, name);
        p->plan->actions.items[removal].key = key;
        strmap_setf(&p->changed_networks, name, "%zu", removal);
    }
    creation = add(p, COMPOSE_NETWORK_CREATE, name);
    p->plan->actions.items[creation].key = key;
    need(p, creation, removal);
    vec_push(&p->base, creation);
    return 0;
}

static int plan_volume(struct planner *p, const char *key, const json_t *volume, struct err *err)
{
    const struct compose_project *project = p->request->project;
    const char *name = compose_string(volume, "name");
    const struct compose_volume_seen *seen = compose_state_volume(p->request->state, name);
    char hash[COMPOSE_HASH_SIZE];
    size_t creation;

    if (is_external(volume)) {
        if (!seen)
            return compose_error(project, volume, err, ERR_NOT_FOUND,
                                 "volume \"%s\" is external, but there is none named %s; create it "
                                 "with `docker volume create %s`",
                                 key, name, name);
        return 0;
    }
    if (!seen) {
        creation = add(p, COMPOSE_VOLUME_CREATE, name);
        p->plan->actions.items[creation].key = key;
        vec_push(&p->base, creation);
        return 0;
    }
    compose_object_hash(volume, hash);
    if (strcmp(seen->project, project->name) != 0)
        strvec_pushf(&p->plan->warnings,
                     "volume %s is used, but was not made for project %s; say `external: true`",
                     name, project->name);
    else if (*seen->hash && strcmp(seen->hash, hash) != 0)
        strvec_pushf(&p->plan->warnings,
                     "volume %s is kept as it is, although the file says something else; remove it "
                     "for that",
                     name);
    return 0;
}

static int plan_objects(struct planner *p, struct err *err)
{
    const json_t *model = p->request->project->model;
    const char *key;
    json_t *object;

    json_object_foreach (json_object_get(model, "networks"), key, object) {
        if (uses_network(p, key) && plan_network(p, key, object, err) < 0)
            return -1;
    }
    json_object_foreach (json_object_get(model, "volumes"), key, object) {
        if (uses_volume(p, key) && plan_volume(p, key, object, err) < 0)
            return -1;
    }
    return 0;
}

/* --- what is superfluous --- */

static void plan_removal(struct planner *p, const struct compose_container *c)
{
    size_t stop = NONE;
    size_t removal;

    if (strcmp(c->state, "running") == 0 || strcmp(c->state, "restarting") == 0 ||
        strcmp(c->state, "paused") == 0) {
        stop = add_container(p, COMPOSE_CONTAINER_STOP, c->name, c->service, c->number, c);
        vec_push(&p->stops, stop);
    }
    removal = add_container(p, COMPOSE_CONTAINER_REMOVE, c->name, c->service, c->number, c);
    p->plan->actions.items[removal].last = true;
    need(p, removal, stop);
}

static void plan_orphans(struct planner *p)
{
    const struct compose_project *project = p->request->project;
    CLEANUP_BUF struct buf names = BUF_INIT;

    vec_foreach (const struct compose_container *, c, &p->request->state->containers) {
        if (!compose_state_owns(p->request->state, c) || compose_service(project, c->service) ||
            json_object_get(project->disabled, c->service))
            continue;
        if (p->request->remove_orphans)
            plan_removal(p, c);
        else
            buf_addf(&names, "%s%s", names.len ? ", " : "", c->name);
    }
    if (names.len)
        strvec_pushf(&p->plan->warnings,
                     "containers of services that are not in the file any more: %s; "
                     "--remove-orphans removes them",
                     names.data);
}

/* Numbers beyond the count, and doubles. */
static void plan_surplus(struct planner *p, const struct planned *s)
{
    const struct compose_state *state = p->request->state;

    vec_foreach (const struct compose_container *, c, &state->containers) {
        if (!compose_state_owns(state, c) || strcmp(c->service, s->name) != 0)
            continue;
        if (c->number < 1 || c->number > s->count ||
            compose_find_container(p->request->project, state, s->name, c->number) != c)
            plan_removal(p, c);
    }
}

/* --- containers --- */

/* The service that a namespace or volumes are shared with: "service:X". */
static bool shares_with_replaced(struct planner *p, const json_t *service)
{
    static const char *const members[] = {"network_mode", "ipc", "pid"};
    CLEANUP_STRVEC struct strvec from = {0};

    for (size_t i = 0; i < sizeof(members) / sizeof(*members); i++) {
        const char *mode = compose_string(service, members[i]);

        if (mode && strncmp(mode, "service:", 8) == 0)
            strvec_push(&from, mode + 8);
    }
    (void)compose_strings(service, "volumes_from", &from);
    for (size_t i = 0; i < from.len; i++) {
        CLEANUP_FREE char *name = xstrndup(from.items[i], strcspn(from.items[i], ":"));
        const struct planned *other = planned_of(p, name);

        if (other && other->changed)
            return true;
    }
    return false;
}

/* The reason to replace it, or NULL. */
static const char *network_difference(struct planner *p, const struct planned *s,
                                      const struct compose_container *c)
{
    const char *key;
    json_t *settings;

    json_object_foreach (json_object_get(s->service, "networks"), key, settings) {
        const char *name = compose_string(compose_network(p->request->project, key), "name");
        const struct compose_network_seen *seen = compose_state_network(p->request->state, name);
        const char *id = strmap_get(&c->networks, name);

        if (strmap_has(&p->changed_networks, name))
            return "its network changed";
        if (!id || !seen || (*id && strcmp(id, seen->id) != 0))
            return "it is not in its network";
    }
    return NULL;
}

static const char *difference(struct planner *p, const struct planned *s,
                              const struct compose_container *c)
{
    const struct compose_plan_request *request = p->request;
    const char *image_id = strmap_get(request->image_ids, s->name);
    const char *network = network_difference(p, s, c);
    char hash[COMPOSE_HASH_SIZE];

    if (request->force_recreate)
        return "it was asked for";
    if (strcmp(c->state, "dead") == 0 || strcmp(c->state, "removing") == 0)
        return "it is dead";
    if (network)
        return network;
    if (shares_with_replaced(p, s->service))
        return "what it shares with is new";
    if (request->no_recreate)
        return NULL;
    compose_recipe_hash(request->project, s->service, hash);
    if (*c->hash && strcmp(c->hash, hash) != 0)
        return "its service changed";
    if (!*c->hash && c->same == COMPOSE_SAME_NO)
        return *c->difference ? c->difference : "it differs from its service";
    if (image_id && *image_id && strcmp(c->image_id, image_id) != 0)
        return "its image changed";
    return NULL;
}

static size_t await(struct planner *p, struct planned *s, enum compose_condition condition,
                    bool required)
{
    struct compose_action *action;

    if (s->await[condition] == NONE) {
        s->await[condition] = add(p, COMPOSE_SERVICE_AWAIT, s->name);
        action = &p->plan->actions.items[s->await[condition]];
        action->service = s->name;
        action->condition = condition;
        action->optional = true;
        need_all(p, s->await[condition], &s->starts);
    }
    action = &p->plan->actions.items[s->await[condition]];
    action->optional = action->optional && !required;
    return s->await[condition];
}

/* Makes the action wait for what its service depends on. */
static void need_dependencies(struct planner *p, const struct planned *s, size_t action)
{
    const char *name;
    json_t *dependency;

    json_object_foreach (json_object_get(s->service, "depends_on"), name, dependency) {
        struct planned *other = planned_of(p, name);
        const char *condition = compose_string(dependency, "condition");
        bool required = compose_bool(dependency, "required", true);

        if (!other)
            continue;
        if (!condition || strcmp(condition, "service_started") == 0)
            need_all(p, action, &other->starts);
        else if (strcmp(condition, "service_healthy") == 0)
            need(p, action, await(p, other, COMPOSE_HEALTHY, required));
        else
            need(p, action, await(p, other, COMPOSE_COMPLETED, required));
    }
}

static void need_created(struct planner *p, const struct planned *s, size_t action)
{
    const char *name;
    json_t *dependency;

    need_all(p, action, &p->base);
    json_object_foreach (json_object_get(s->service, "depends_on"), name, dependency) {
        const struct planned *other = planned_of(p, name);

        if (other)
            need_all(p, action, &other->creates);
    }
}

static void plan_start(struct planner *p, struct planned *s, const char *name, int number,
                       const struct compose_container *c, size_t after)
{
    size_t start = add_container(p, COMPOSE_CONTAINER_START, name, s->name, number, c);

    need(p, start, after);
    need_dependencies(p, s, start);
    need_all(p, start, &p->stops);
    vec_push(&s->starts, start);
}

/* Whether another service is to have a port or an address that the container has. */
static bool must_yield(struct planner *p, const struct planned *s,
                       const struct compose_container *c)
{
    for (size_t i = 0; i < p->selected.len; i++) {
        if (&p->services[i] != s &&
            compose_holds_for(c, p->request->project, p->services[i].service))
            return true;
    }
    return false;
}

/* What gets a port or an address of another waits until that has been set aside. */
static void hand_over(struct planner *p)
{
    const size_t count = p->plan->actions.len;

    for (size_t i = 0; i < count; i++) {
        const struct compose_action *aside = &p->plan->actions.items[i];

        if (aside->kind != COMPOSE_CONTAINER_SET_ASIDE)
            continue;
        for (size_t k = 0; k < p->selected.len; k++) {
            const struct planned *s = &p->services[k];

            if (strcmp(s->name, aside->service) == 0 ||
                !compose_holds_for(aside->container, p->request->project, s->service))
                continue;
            vec_foreach (const size_t *, start, &s->starts)
                need(p, *start, i);
        }
    }
}

static void plan_replacement(struct planner *p, struct planned *s, const char *name, int number,
                             const struct compose_container *c, const char *reason)
{
    size_t aside = add_container(p, COMPOSE_CONTAINER_SET_ASIDE, c->name, s->name, number, c);
    bool network_goes = false;
    size_t creation;
    size_t removal;

    strmap_foreach (network, &c->networks) {
        const char *at = strmap_get(&p->changed_networks, network->key);

        if (at) {
            need(p, (size_t)strtoul(at, NULL, 10), aside);
            network_goes = true;
        }
    }
    /* Until then the old one stays; but a network can only go when all have left it, and what it
     * holds can only pass on when it has stopped. */
    if (!network_goes && !must_yield(p, s, c))
        need_dependencies(p, s, aside);
    vec_push(&s->leaves, aside);
    creation = add_container(p, COMPOSE_CONTAINER_CREATE, name, s->name, number, c);
    free(p->plan->actions.items[creation].reason);
    p->plan->actions.items[creation].reason = xstrdup(reason);
    need(p, creation, aside);
    need_created(p, s, creation);
    vec_push(&s->creates, creation);
    plan_start(p, s, name, number, NULL, creation);
    removal = add_container(p, COMPOSE_CONTAINER_REMOVE, c->name, s->name, number, c);
    p->plan->actions.items[removal].last = true;
    s->changed = s->replaced = true;
}

static void plan_kept(struct planner *p, struct planned *s, const char *name, int number,
                      const struct compose_container *c)
{
    size_t rename = NONE;

    if (strcmp(c->name, name) != 0)
        rename = add_container(p, COMPOSE_CONTAINER_RENAME, name, s->name, number, c);
    if (!runs(c))
        plan_start(p, s, name, number, c, rename);
    else if (strcmp(c->state, "running") != 0 || strstr(c->status, "(health: starting)") ||
             strstr(c->status, "(unhealthy)"))
        s->settled = false;
}

static int check_name(const struct planner *p, const struct planned *s, const char *name,
                      struct err *err)
{
    const struct compose_container *c = compose_state_container(p->request->state, name);

    if (!c || (compose_state_owns(p->request->state, c) && strcmp(c->service, s->name) == 0))
        return 0;
    return compose_error(p->request->project, s->service, err, ERR_CONFLICT,
                         "service \"%s\": there is a container %s that is not of this service%s%s; "
                         "it is left alone: remove or rename it, or choose another project name",
                         s->name, name, *c->project ? ", but of project " : "", c->project);
}

static int plan_container(struct planner *p, struct planned *s, int number, struct err *err)
{
    CLEANUP_FREE char *name = compose_container_name(p->request->project, s->name, number);
    const struct compose_container *c =
        compose_find_container(p->request->project, p->request->state, s->name, number);
    const char *reason;
    size_t creation;

    if (check_name(p, s, name, err) < 0)
        return -1;
    if (!c) {
        creation = add_container(p, COMPOSE_CONTAINER_CREATE, name, s->name, number, NULL);
        need_created(p, s, creation);
        vec_push(&s->creates, creation);
        plan_start(p, s, name, number, NULL, creation);
        s->changed = true;
        return 0;
    }
    reason = difference(p, s, c);
    if (reason)
        plan_replacement(p, s, name, number, c, reason);
    else
        plan_kept(p, s, name, number, c);
    return 0;
}

/* Those that ask for it start anew when what they depend on is replaced. */
static void plan_restarts(struct planner *p, struct planned *s)
{
    const struct compose_plan_request *request = p->request;
    bool restart = false;
    const char *name;
    json_t *dependency;

    json_object_foreach (json_object_get(s->service, "depends_on"), name, dependency) {
        const struct planned *other = planned_of(p, name);

        restart =
            restart || (other && other->replaced && compose_bool(dependency, "restart", false));
    }
    for (int number = 1; restart && !s->changed && number <= s->count; number++) {
        const struct compose_container *c =
            compose_find_container(request->project, request->state, s->name, number);
        size_t stop;

        if (!c || !runs(c))
            continue;
        stop = add_container(p, COMPOSE_CONTAINER_STOP, c->name, s->name, number, c);
        json_object_foreach (json_object_get(s->service, "depends_on"), name, dependency) {
            struct planned *other = planned_of(p, name);

            if (other && compose_bool(dependency, "restart", false)) {
                vec_foreach (const size_t *, leave, &other->leaves)
                    need(p, *leave, stop);
            }
        }
        plan_start(p, s, c->name, number, c, stop);
    }
}

static int plan_service(struct planner *p, struct planned *s, struct err *err)
{
    if (s->count > 1 && compose_string(s->service, "container_name"))
        return compose_error(p->request->project, s->service, err, ERR_INVALID,
                             "service \"%s\" has a container_name, so that there can be only one "
                             "container of it, not %d",
                             s->name, s->count);
    for (int number = 1; number <= s->count; number++) {
        if (plan_container(p, s, number, err) < 0)
            return -1;
    }
    plan_restarts(p, s);
    if (p->request->wait && (s->starts.len || !s->settled))
        (void)await(p, s, COMPOSE_UP, true);
    return 0;
}

static int make(struct planner *p, struct err *err)
{
    if (plan_objects(p, err) < 0)
        return -1;
    plan_orphans(p);
    for (size_t i = 0; i < p->selected.len; i++)
        plan_surplus(p, &p->services[i]);
    for (size_t i = 0; i < p->selected.len; i++) {
        if (plan_service(p, &p->services[i], err) < 0)
            return -1;
    }
    hand_over(p);
    return 0;
}

/* The project's own string: actions refer to it. */
static const char *lasting(const struct compose_project *project, const char *service)
{
    size_t i = 0;

    while (strcmp(project->order.items[i], service) != 0)
        i++;
    return project->order.items[i];
}

int compose_plan_make(const struct compose_plan_request *request, struct compose_plan *ret,
                      struct err *err)
{
    struct planner p = {.request = request, .plan = ret};
    int result;

    if (compose_select(request->project, request->services, &p.selected, err) < 0) {
        strvec_release(&p.selected);
        return -1;
    }
    p.services = xcalloc(p.selected.len + 1, sizeof(*p.services));
    for (size_t i = 0; i < p.selected.len; i++) {
        const json_t *service = compose_service(request->project, p.selected.items[i]);

        p.services[i] = (struct planned){.name = lasting(request->project, p.selected.items[i]),
                                         .service = service,
                                         .count = (int)compose_scale(service),
                                         .await = {NONE, NONE, NONE},
                                         .settled = true};
    }
    result = make(&p, err);
    for (size_t i = 0; i < p.selected.len; i++) {
        vec_release(&p.services[i].creates);
        vec_release(&p.services[i].starts);
        vec_release(&p.services[i].leaves);
    }
    free(p.services);
    vec_release(&p.base);
    vec_release(&p.stops);
    strmap_release(&p.changed_networks);
    strvec_release(&p.selected);
    return result;
}
