#include "compose/converge.h"

#include <string.h>

#include "base/alloc.h"
#include "base/parse.h"
#include "compose/session.h"
#include "compose/state.h"

static bool is_meant(const struct strvec *services, const char *service)
{
    for (size_t i = 0; services && i < services->len; i++) {
        if (strcmp(services->items[i], service) == 0)
            return true;
    }
    return !services || !services->len;
}

/* "Up 5 seconds (healthy)" */
static const char *health_of(const struct compose_container *c)
{
    if (strstr(c->status, "(healthy)"))
        return "healthy";
    if (strstr(c->status, "(unhealthy)"))
        return "unhealthy";
    return strstr(c->status, "(health: starting)") ? "starting" : "";
}

/* "Exited (3) 2 seconds ago" */
static int64_t exit_code_of(const struct compose_container *c)
{
    const char *open = strncmp(c->status, "Exited (", 8) == 0 ? c->status + 8 : "";
    CLEANUP_FREE char *number = xstrndup(open, strcspn(open, ")"));
    int64_t code = 0;

    return *number && parse_int64(number, &code, NULL) == 0 ? code : 0;
}

static json_t *publishers(const struct compose_container *c)
{
    json_t *list = json_array();

    for (size_t i = 0; i < c->port_count; i++) {
        const struct docker_port_binding *port = &c->ports[i];

        json_array_append_new(list,
                              json_pack("{s:s, s:i, s:i, s:s}", "URL", port->host_ip, "TargetPort",
                                        (int)port->container_port, "PublishedPort",
                                        (int)port->host_port, "Protocol", port->protocol));
    }
    return list;
}

static json_t *describe(const struct compose_container *c)
{
    return json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:I, s:I, s:o}", "ID", c->id,
                     "Name", c->name, "Image", c->image, "Command", c->command, "Project",
                     c->project, "Service", c->service, "State", c->state, "Status", c->status,
                     "Health", health_of(c), "ExitCode", (json_int_t)exit_code_of(c), "Created",
                     (json_int_t)c->created_s, "Publishers", publishers(c));
}

static int read_state(const struct ctx *ctx, struct compose_session *session,
                      struct compose_state *state, struct err *err)
{
    struct docker_client *docker = NULL;
    int result = compose_client_take(&session->clients, &docker, err);

    if (result == 0)
        result = compose_state_read_containers(ctx, docker, session->project_name, state, err);
    compose_client_give(&session->clients, docker);
    return result;
}

int compose_ps(const struct ctx *ctx, const struct compose_host *host, const char *project_name,
               const struct strvec *services, bool all, json_t **ret, struct err *err)
{
    CLEANUP_COMPOSE_STATE struct compose_state state = {0};
    struct compose_session session;
    int result = compose_session_init(ctx, &session, host, NULL, project_name, NULL, err);

    if (result == 0)
        result = read_state(ctx, &session, &state, err);
    compose_session_release(&session);
    if (result < 0)
        return -1;
    *ret = json_array();
    vec_foreach (const struct compose_container *, c, &state.containers) {
        if (compose_state_owns(&state, c) && is_meant(services, c->service) &&
            (all || (strcmp(c->state, "exited") != 0 && strcmp(c->state, "created") != 0 &&
                     strcmp(c->state, "dead") != 0)))
            json_array_append_new(*ret, describe(c));
    }
    return 0;
}
