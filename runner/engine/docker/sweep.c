#include "engine/docker/sweep.h"

#include <string.h>

#include "apis/docker/container.h"
#include "apis/docker/network.h"
#include "apis/docker/timestamp.h"
#include "apis/docker/volume.h"
#include "base/alloc.h"

#define NS_PER_S     INT64_C(1000000000)
#define YOUNG_S      60
#define IDLE_S       86400 /* of a run without containers, as it is between two jobs */
#define ROUND_MS     100   /* between listings: a create call may be under way */
#define ROUNDS_MAX   50
#define EMPTY_ROUNDS 2

enum kind { KIND_CONTAINER, KIND_VOLUME, KIND_NETWORK };

static const char *const kind_names[] = {"container", "volume", "network"};

struct object {
    enum kind kind;
    char *id; /* what the API calls take */
    char *name;
    char *run;
    char *owner;
    char *role;
    char *label_id;
    int64_t created_s;
    bool running;
};

/* Everything of runners on a daemon at one moment. */
struct listing {
    VEC(struct object)
    objects;
    int64_t now_s; /* by the daemon's clock */
};

static void listing_release(struct listing *listing)
{
    vec_foreach (struct object *, object, &listing->objects) {
        free(object->id);
        free(object->name);
        free(object->run);
        free(object->owner);
        free(object->role);
        free(object->label_id);
    }
    vec_release(&listing->objects);
}

#define CLEANUP_LISTING CLEANUP(listing_release)

static void add(struct listing *listing, enum kind kind, const char *id, const char *name,
                const struct strmap *labels, int64_t created_s, bool running)
{
    const char *owner = strmap_get(labels, OWN_LABEL_OWNER);
    const char *role = strmap_get(labels, OWN_LABEL_ROLE);
    const char *label_id = strmap_get(labels, OWN_LABEL_ID);

    vec_push(&listing->objects, ((struct object){.kind = kind,
                                                 .id = xstrdup(id),
                                                 .name = xstrdup(name),
                                                 .run = xstrdup(strmap_get(labels, OWN_LABEL_RUN)),
                                                 .owner = xstrdup(owner ? owner : ""),
                                                 .role = xstrdup(role ? role : ""),
                                                 .label_id = xstrdup(label_id ? label_id : ""),
                                                 .created_s = created_s,
                                                 .running = running}));
}

static int list_containers(const struct ctx *ctx, struct docker_client *client,
                           const struct docker_filter *filter, struct listing *listing,
                           struct err *err)
{
    CLEANUP_DOCKER_CONTAINER_LIST struct docker_container_list list = {0};

    if (docker_container_list(ctx, client, true, filter, 1, &list, err) < 0)
        return -1;
    for (size_t i = 0; i < list.len; i++)
        add(listing, KIND_CONTAINER, list.items[i].id, list.items[i].name, &list.items[i].labels,
            list.items[i].created_s, sweep_is_running(list.items[i].state));
    return 0;
}

static int list_volumes(const struct ctx *ctx, struct docker_client *client,
                        const struct docker_filter *filter, struct listing *listing,
                        struct err *err)
{
    CLEANUP_DOCKER_VOLUME_LIST struct docker_volume_list list = {0};

    if (docker_volume_list(ctx, client, filter, 1, &list, err) < 0)
        return -1;
    for (size_t i = 0; i < list.len; i++)
        add(listing, KIND_VOLUME, list.items[i].name, list.items[i].name, &list.items[i].labels,
            timestamp_ns(list.items[i].created) / NS_PER_S, false);
    return 0;
}

static int list_networks(const struct ctx *ctx, struct docker_client *client,
                         const struct docker_filter *filter, struct listing *listing,
                         struct err *err)
{
    CLEANUP_DOCKER_NETWORK_LIST struct docker_network_list list = {0};

    if (docker_network_list(ctx, client, filter, 1, &list, err) < 0)
        return -1;
    for (size_t i = 0; i < list.len; i++)
        add(listing, KIND_NETWORK, list.items[i].id, list.items[i].name, &list.items[i].labels,
            timestamp_ns(list.items[i].created) / NS_PER_S, false);
    return 0;
}

/* In the order in which they can be removed. run_id: NULL: of all runs. */
static int list_all(const struct ctx *ctx, struct docker_client *client, const char *run_id,
                    struct listing *ret, struct err *err)
{
    CLEANUP_FREE char *label =
        run_id ? xasprintf("%s=%s", OWN_LABEL_RUN, run_id) : xstrdup(OWN_LABEL_RUN);
    const struct docker_filter filter = {"label", label};

    if (list_containers(ctx, client, &filter, ret, err) < 0 ||
        list_volumes(ctx, client, &filter, ret, err) < 0 ||
        list_networks(ctx, client, &filter, ret, err) < 0)
        return -1;
    return 0;
}

bool sweep_is_running(const char *state)
{
    return strcmp(state, "running") == 0 || strcmp(state, "paused") == 0 ||
           strcmp(state, "restarting") == 0;
}

bool sweep_is_lease(const char *role)
{
    return strcmp(role, "holder") == 0 || strcmp(role, "watchdog") == 0 ||
           strcmp(role, "launcher") == 0;
}

bool sweep_signs_of_life(const struct sweep_signs *signs)
{
    return signs->lease || signs->age_s < (signs->containers ? YOUNG_S : IDLE_S);
}

/* Whether the run of an object whose owner cannot be seen from here lives. */
static bool lease_holds(const struct listing *listing, const struct object *object)
{
    struct sweep_signs signs = {.age_s = INT64_MAX};

    vec_foreach (const struct object *, other, &listing->objects) {
        int64_t age_s = listing->now_s - other->created_s;

        if (strcmp(other->run, object->run) != 0)
            continue;
        signs.containers |= other->kind == KIND_CONTAINER;
        signs.lease |= other->running && sweep_is_lease(other->role);
        if (age_s < signs.age_s)
            signs.age_s = age_s;
    }
    return sweep_signs_of_life(&signs);
}

static bool is_abandoned(const struct listing *listing, const struct object *object)
{
    struct own_owner owner;

    if (own_owner_parse(object->owner, &owner, NULL) < 0)
        return !lease_holds(listing, object);
    switch (own_owner_liveness(&owner)) {
    case OWN_ALIVE:
        return false;
    case OWN_DEAD:
        return true;
    case OWN_FOREIGN:
        break;
    }
    return !lease_holds(listing, object);
}

static int remove_object(const struct ctx *ctx, struct docker_instance *instance,
                         struct docker_client *client, const struct object *object, struct err *err)
{
    switch (object->kind) {
    case KIND_CONTAINER:
        return instance_remove_container(ctx, instance, client, object->id, err);
    case KIND_VOLUME:
        return instance_remove_volume(ctx, instance, client, object->id, err);
    case KIND_NETWORK:
        return instance_remove_network(ctx, instance, client, object->id, err);
    }
    return 0;
}

/* The state of one sweep over its rounds. */
struct sweep {
    struct docker_instance *instance;
    struct docker_client *client;
    const struct sweep_request *request;
    const char *self; /* id of the container that this program runs in, or "" */
    struct strmap seen;
    struct err failure; /* of the last round */
};

static bool is_wanted(const struct sweep *sweep, const struct listing *listing,
                      const struct object *object)
{
    if (object->kind == KIND_CONTAINER && strcmp(object->id, sweep->self) == 0)
        return false;
    return sweep->request->run_id || is_abandoned(listing, object);
}

static void tell(struct sweep *sweep, const struct object *object)
{
    CLEANUP_FREE char *key = xasprintf("%d %s", (int)object->kind, object->id);

    if (strmap_has(&sweep->seen, key))
        return;
    strmap_set(&sweep->seen, key, "");
    if (sweep->request->found)
        sweep->request->found(sweep->request->found_arg, kind_names[object->kind], object->name,
                              object->run);
}

/* How many objects were there to be removed; -1 when they could not be listed. */
static int sweep_round(const struct ctx *ctx, struct sweep *sweep, struct err *err)
{
    CLEANUP_LISTING struct listing listing = {0};
    int count = 0;

    err_clear(&sweep->failure);
    listing.now_s = instance_daemon_ms(ctx, sweep->client) / 1000;
    if (list_all(ctx, sweep->client, sweep->request->run_id, &listing, err) < 0)
        return -1;
    vec_foreach (struct object *, object, &listing.objects) {
        if (!is_wanted(sweep, &listing, object))
            continue;
        count++;
        tell(sweep, object);
        if (!sweep->request->dry_run &&
            remove_object(ctx, sweep->instance, sweep->client, object, &sweep->failure) < 0)
            err_wrap(&sweep->failure, "cannot remove the %s %s", kind_names[object->kind],
                     object->name);
    }
    return count;
}

static int sweep_rounds(const struct ctx *ctx, struct sweep *sweep, struct err *err)
{
    int empty = 0;

    for (int round = 0; empty < EMPTY_ROUNDS && round < ROUNDS_MAX; round++) {
        int count;

        if (round > 0 && ctx_sleep(ctx, ROUND_MS, err) < 0)
            return -1;
        count = sweep_round(ctx, sweep, err);
        if (count < 0)
            return -1;
        if (sweep->request->dry_run)
            return 0;
        empty = count == 0 ? empty + 1 : 0;
    }
    if (empty < EMPTY_ROUNDS && sweep->failure.code != ERR_NONE) {
        if (err)
            *err = sweep->failure;
        return -1;
    }
    return 0;
}

int docker_instance_sweep(const struct ctx *ctx, struct engine_instance *opaque,
                          const struct sweep_request *request, size_t *ret_count, struct err *err)
{
    struct docker_instance *instance = (struct docker_instance *)opaque;
    struct sweep sweep = {.request = request, .instance = instance, .self = ""};
    int result;

    if (instance->self.place == SELF_IN_CONTAINER)
        sweep.self = instance->self.container.id;
    if (instance_client_take(instance, &sweep.client, err) < 0)
        return -1;
    result = sweep_rounds(ctx, &sweep, err);
    *ret_count = sweep.seen.len;
    strmap_release(&sweep.seen);
    instance_client_give(instance, sweep.client);
    return result;
}

/* Whether id is place_id or something below it. */
static bool is_of_place(const char *id, const char *place_id)
{
    size_t len = strlen(place_id);

    return strncmp(id, place_id, len) == 0 && (id[len] == '\0' || id[len] == '.');
}

int sweep_place(const struct ctx *ctx, struct docker_instance *instance,
                struct docker_client *client, const char *run_id, const char *place_id,
                struct err *err)
{
    int empty = 0;

    for (int round = 0; empty < EMPTY_ROUNDS && round < ROUNDS_MAX; round++) {
        CLEANUP_LISTING struct listing listing = {0};
        bool found = false;

        if ((round > 0 && ctx_sleep(ctx, ROUND_MS, err) < 0) ||
            list_all(ctx, client, run_id, &listing, err) < 0)
            return -1;
        vec_foreach (struct object *, object, &listing.objects) {
            if (!is_of_place(object->label_id, place_id))
                continue;
            found = true;
            if (remove_object(ctx, instance, client, object, err) < 0)
                return -1;
        }
        empty = found ? 0 : empty + 1;
    }
    return 0;
}
