#include "exec/deployments.h"

#include <pthread.h>
#include <string.h>

#include "base/alloc.h"
#include "base/gate.h"

struct scoped_place {
    const struct node *scope;
    struct open_place open;
};

struct deployments {
    struct run *run;
    struct gate opening; /* of one slot: who comes meanwhile may need the same */
    pthread_mutex_t mu;  /* guards `places` */
    VEC(struct scoped_place)
    places;
};

struct deployments *deployments_new(struct run *run, struct err *err)
{
    struct deployments *deployments = xcalloc(1, sizeof(*deployments));

    deployments->run = run;
    if (gate_init(&deployments->opening, 1, err) < 0) {
        free(deployments);
        return NULL;
    }
    pthread_mutex_init(&deployments->mu, NULL);
    return deployments;
}

const struct node *deployments_scope(const struct plan_step *step, const struct node *node)
{
    const struct spec_deployment *spec = step->spec->deployment;

    if (!spec)
        return NULL;
    if (spec->lifetime == SPEC_LIFETIME_STAGE)
        return node->parent->parent;
    if (spec->lifetime == SPEC_LIFETIME_PIPELINE)
        return node->parent->parent->parent;
    return NULL;
}

static int open_place(struct deployments *deployments, const struct ctx *ctx,
                      const struct node *scope, struct open_place *place, struct err *err)
{
    CLEANUP_BUF struct buf id = BUF_INIT;
    struct place_options options = {.name = scope->name,
                                    .workspace = deployments->run->plan->workdir};

    node_id(scope, deployments->run->id, &id);
    options.id = id.data;
    if (place->engine->open(ctx, place->instance, &options, &place->place, err) < 0)
        return -1;
    pthread_mutex_lock(&deployments->mu);
    vec_push(&deployments->places, ((struct scoped_place){scope, *place}));
    pthread_mutex_unlock(&deployments->mu);
    return 0;
}

static bool find_place(struct deployments *deployments, const struct node *scope,
                       struct open_place *place)
{
    bool found = false;

    pthread_mutex_lock(&deployments->mu);
    vec_foreach (const struct scoped_place *, p, &deployments->places) {
        if (p->scope == scope && p->open.instance == place->instance) {
            *place = p->open;
            found = true;
            break;
        }
    }
    pthread_mutex_unlock(&deployments->mu);
    return found;
}

int deployments_get(struct deployments *deployments, const struct ctx *ctx,
                    const struct node *scope, const struct lowering *step, struct open_place *ret,
                    struct err *err)
{
    int result = 0;

    *ret = (struct open_place){0};
    if (instances_get(deployments->run->instances, ctx, step->url, &ret->instance, &ret->engine,
                      err) < 0) {
        if (!ctx_done(ctx))
            atomic_store(&deployments->run->unavailable, true);
        return -1;
    }
    if (gate_enter(ctx, &deployments->opening, err) < 0)
        return -1;
    if (!find_place(deployments, scope, ret))
        result = open_place(deployments, ctx, scope, ret, err);
    gate_leave(&deployments->opening);
    return result;
}

static bool take_last(struct deployments *deployments, const struct node *scope,
                      struct open_place *ret)
{
    bool found = false;

    pthread_mutex_lock(&deployments->mu);
    for (size_t i = deployments->places.len; i-- > 0 && !found;) {
        struct scoped_place *items = deployments->places.items;

        if (items[i].scope != scope)
            continue;
        *ret = items[i].open;
        memmove(&items[i], &items[i + 1], (--deployments->places.len - i) * sizeof(*items));
        found = true;
    }
    pthread_mutex_unlock(&deployments->mu);
    return found;
}

void deployments_close(struct deployments *deployments, const struct node *scope)
{
    struct open_place open;

    while (take_last(deployments, scope, &open))
        open.engine->close(open.place);
}

void deployments_free(struct deployments *deployments)
{
    if (!deployments)
        return;
    vec_release(&deployments->places);
    gate_release(&deployments->opening);
    pthread_mutex_destroy(&deployments->mu);
    free(deployments);
}
