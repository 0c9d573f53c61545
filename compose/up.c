#include "compose/converge.h"

#include <string.h>

#include "apis/docker/proxies.h"
#include "base/alloc.h"
#include "compose/compare.h"
#include "compose/images.h"
#include "compose/precheck.h"
#include "compose/recipe.h"
#include "compose/run.h"

struct raising {
    struct compose_session *session;
    const struct compose_up *options;
    struct docker_client *docker; /* while it is planned */
    struct strvec services;
    struct strmap image_ids;
    struct compose_state state;
    struct compose_plan plan;
};

static void raising_release(struct raising *r)
{
    compose_client_give(&r->session->clients, r->docker);
    strvec_release(&r->services);
    strmap_release(&r->image_ids);
    compose_state_release(&r->state);
    compose_plan_release(&r->plan);
}

/* Containers that another tool made have no hash that tells us anything: they are compared with
 * what would be created now. */
static int compare_foreign(const struct ctx *ctx, struct raising *r, struct err *err)
{
    int result = 0;

    for (size_t i = 0; i < r->services.len; i++) {
        vec_foreach (struct compose_container *, c, &r->state.containers) {
            if (result < 0 || *c->hash || !compose_state_owns(&r->state, c) ||
                strcmp(c->service, r->services.items[i]) != 0)
                continue;
            result = compose_compare(ctx, r->docker, r->session->project,
                                     strmap_get(&r->image_ids, c->service), &r->session->proxies,
                                     &r->state, c, err);
        }
    }
    return result;
}

/* Without them as much as with them it may be what was meant: the docker command goes on, too. */
static void read_proxies(struct compose_session *session)
{
    struct err why = ERR_INIT;

    if (docker_proxies_find(session->host->environment, session->host->endpoint->url,
                            &session->proxies, &why) < 0)
        compose_warn(session, "the proxies for containers are not known: %s", why.message);
}

/* What is empty by mistake would take everything away where orphans go. */
static int check_any(const struct compose_project *project, const struct strvec *services,
                     struct err *err)
{
    if (services->len)
        return 0;
    return err_set(err, ERR_INVALID, "project %s has no service to bring up%s", project->name,
                   json_object_size(project->disabled) ? "; activate a profile of one" : "");
}

static int plan_for_state(const struct ctx *ctx, struct raising *r, struct err *err)
{
    const struct compose_plan_request request = {.project = r->session->project,
                                                 .state = &r->state,
                                                 .image_ids = &r->image_ids,
                                                 .services = r->options->services,
                                                 .force_recreate = r->options->force_recreate,
                                                 .no_recreate = r->options->no_recreate,
                                                 .remove_orphans = r->options->remove_orphans,
                                                 .wait = !r->options->no_wait};

    compose_plan_release(&r->plan);
    if (compare_foreign(ctx, r, err) < 0)
        return -1;
    return compose_plan_make(&request, &r->plan, err);
}

/* The project's own objects, which are read while its images are looked up, tell whether there is
 * anything to do. If so, or if time went by for a pull or a build, all is read again: what others
 * have counts then, and how it is now. */
static int plan(const struct ctx *ctx, struct raising *r, struct err *err)
{
    const char *project = r->session->project->name;
    CLEANUP_COMPOSE_STATE_CALL struct compose_state_call call = {0};
    bool changed = false;

    if (compose_state_begin(ctx, r->docker, project, &call, err) < 0 ||
        compose_images_prepare(ctx, r->session, &r->services, r->options, &r->image_ids, &changed,
                               err) < 0)
        return -1;
    if (!changed && (compose_state_end(ctx, &call, project, &r->state, err) < 0 ||
                     plan_for_state(ctx, r, err) < 0))
        return -1;
    if (!changed && !r->plan.actions.len)
        return 0;
    if (compose_state_read(ctx, r->docker, project, &r->state, err) < 0 ||
        compose_state_settle(ctx, r->docker, &r->state, err) < 0)
        return -1;
    return plan_for_state(ctx, r, err);
}

static int up(const struct ctx *ctx, struct raising *r, struct err *err)
{
    struct compose_session *session = r->session;

    read_proxies(session);
    if (compose_select(session->project, r->options->services, &r->services, err) < 0 ||
        check_any(session->project, &r->services, err) < 0 ||
        compose_precheck(session, &r->services, err) < 0 ||
        compose_client_take(&session->clients, &r->docker, err) < 0 || plan(ctx, r, err) < 0)
        return -1;
    compose_client_give(&session->clients, steal_ptr(&r->docker));
    for (size_t i = 0; i < r->plan.warnings.len; i++)
        compose_warn(session, "%s", r->plan.warnings.items[i]);
    return compose_execute(ctx, session, &r->plan, &r->state, r->options, &r->image_ids, err);
}

int compose_up(const struct ctx *ctx, const struct compose_host *host,
               const struct compose_project *project, const struct compose_up *options,
               const struct compose_sink *sink, struct err *err)
{
    struct compose_session session;
    struct raising raising = {.session = &session, .options = options};
    int result = compose_session_init(ctx, &session, host, project, NULL, sink, err);

    if (result == 0)
        result = up(ctx, &raising, err);
    raising_release(&raising);
    compose_session_release(&session);
    return result;
}
