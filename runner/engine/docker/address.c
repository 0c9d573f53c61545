#include "engine/docker/address.h"

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/interpolate.h"
#include "spec/engine_names.h"

static const char *look_up(void *arg, const char *name)
{
    return docker_env(arg, name);
}

/* A socket must be there; other daemons are asked when they are wanted. */
static bool may_be_there(const char *address)
{
    static const char scheme[] = "unix://";
    struct stat st;

    if (strncmp(address, scheme, strlen(scheme)) != 0)
        return *address != '\0';
    return stat(address + strlen(scheme), &st) == 0 && S_ISSOCK(st.st_mode);
}

static int find_of_name(const struct spec_engine_name *row, const char *const *environment,
                        struct docker_endpoint *ret, struct err *err)
{
    const struct interpolate_scope scope = {.lookup = look_up, .arg = (void *)environment};
    CLEANUP_BUF struct buf tried = BUF_INIT;

    for (const char *const *at = row->addresses; *at; at++) {
        CLEANUP_BUF struct buf address = BUF_INIT;

        if (interpolate(*at, &scope, &address, NULL, err) < 0)
            return -1;
        if (may_be_there(address.data))
            return docker_endpoint_find(address.data, environment, ret, err);
        buf_addf(&tried, "%s%s", tried.len ? ", " : "", *at);
    }
    return err_set(
        err, ERR_NOT_FOUND,
        "no %s was found: nothing is at %s; start its service (systemctl start %s.socket) "
        "or write %s://URL",
        row->name, tried.data, row->name, row->name);
}

int docker_find_endpoint(const struct engine_services *services, const char *url,
                         struct docker_endpoint *ret, struct err *err)
{
    const char *const *environment = (const char *const *)environ;
    const struct spec_engine_name *row = spec_engine_name_find(url);
    const char *address = strstr(url, "://");
    struct docker_endpoint own = {0};

    if (!address && row && row->addresses)
        return find_of_name(row, environment, ret, err);
    if (!address)
        return docker_endpoint_find(services->docker_host, environment, ret, err);
    address += strlen("://");
    if (docker_endpoint_find(services->docker_host, environment, &own, NULL) == 0) {
        if (strcmp(own.url, address) == 0) {
            *ret = own;
            return 0;
        }
        docker_endpoint_release(&own);
    }
    return docker_endpoint_find(address, environment, ret, err);
}
