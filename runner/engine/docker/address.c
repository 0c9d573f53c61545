#include "engine/docker/address.h"

#include <string.h>
#include <unistd.h>

int docker_find_endpoint(const struct engine_services *services, const char *url,
                         struct docker_endpoint *ret, struct err *err)
{
    const char *const *environment = (const char *const *)environ;
    const char *address = strncmp(url, DOCKER_SCHEME, strlen(DOCKER_SCHEME)) == 0
                              ? url + strlen(DOCKER_SCHEME)
                              : NULL;
    struct docker_endpoint own = {0};

    if (!address)
        return docker_endpoint_find(services->docker_host, environment, ret, err);
    if (docker_endpoint_find(services->docker_host, environment, &own, NULL) == 0) {
        if (strcmp(own.url, address) == 0) {
            *ret = own;
            return 0;
        }
        docker_endpoint_release(&own);
    }
    return docker_endpoint_find(address, environment, ret, err);
}
