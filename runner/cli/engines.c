#include "cli/engines.h"

static const char *unless_empty(const char *text)
{
    return text && *text ? text : NULL;
}

void cli_engine_services(const struct cli_engine_args *args, struct engine_services *services)
{
    services->docker_host = unless_empty(args->docker_host);
    services->kubeconfig = unless_empty(args->kubeconfig);
    services->context = unless_empty(args->context);
    services->ns = unless_empty(args->ns);
}
