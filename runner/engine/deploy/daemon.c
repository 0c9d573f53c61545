#include "engine/deploy/daemon.h"

#include "base/alloc.h"
#include "engine/docker/address.h"

int daemon_find(const struct ctx *ctx, const struct engine_services *services, const char *address,
                void **ret, char **ret_noted, struct err *err)
{
    CLEANUP_FREE char *url = *address ? xasprintf(DOCKER_SCHEME "%s", address) : xstrdup("docker");
    struct daemon *daemon = xcalloc(1, sizeof(*daemon));
    struct docker_client *client = NULL;
    int result = docker_find_endpoint(services, url, &daemon->endpoint, err);

    if (result == 0)
        result = docker_client_new(&daemon->endpoint, 0, &client, err);
    if (result == 0)
        result = docker_client_ping(ctx, client, err);
    if (result == 0) {
        daemon->api_minor = docker_client_api_minor(client);
        *ret_noted = xstrdup(daemon->endpoint.url);
        *ret = daemon;
    } else {
        docker_endpoint_release(&daemon->endpoint);
        free(daemon);
    }
    docker_client_free(client);
    return result;
}

void daemon_leave(void *opaque)
{
    struct daemon *daemon = opaque;

    docker_endpoint_release(&daemon->endpoint);
    free(daemon);
}

int daemon_client(const struct daemon *daemon, struct docker_client **ret, struct err *err)
{
    return docker_client_new(&daemon->endpoint, daemon->api_minor, ret, err);
}

int deployed_load(struct deployed *deployed, const struct ctx *ctx, enum compose_target target,
                  struct compose_sources *sources, struct compose_project **ret, struct err *err)
{
    const struct deployment_shape *shape = deployed->runnable->deployment;
    CLEANUP_STRVEC struct strvec files = {0};
    CLEANUP_BUF struct buf said = BUF_INIT;
    struct compose_options options = {.project_name = shape->name,
                                      .environment = deployed->runnable->environment,
                                      .target = target};

    if (shape->file) {
        strvec_push(&files, shape->file);
        options.files = &files;
    } else {
        options.text = shape->text;
        options.text_name = DEPLOY_TEXT_NAME;
        options.project_directory = shape->directory;
    }
    *ret = compose_load(&options, sources);
    compose_sources_format(sources, &said);
    deployed_say_text(deployed, ctx, OUTPUT_STDERR, said.data);
    if (*ret)
        return 0;
    return err_set(err, ERR_INVALID, "%s is no Compose file that can be used",
                   shape->file ? shape->file : DEPLOY_TEXT_NAME);
}
