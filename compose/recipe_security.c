/* What containers of a service may do, and whose namespaces they share. */
#include "compose/recipe.h"

#include <string.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/fs.h"
#include "compose/reader.h"

#define SECCOMP_PROFILE_MAX ((size_t)1024 * 1024)

/* The daemon takes the profile itself, not its path. */
static int add_seccomp(const struct compose_recipe_request *request, const json_t *service,
                       const char *profile, struct compose_recipe *r, struct err *err)
{
    CLEANUP_FREE char *path = compose_path(request->project->working_dir, profile);
    CLEANUP_BUF struct buf text = BUF_INIT;
    struct err why = ERR_INIT;
    json_t *parsed = NULL;
    char *compact;

    if (fs_read_file(path, SECCOMP_PROFILE_MAX, &text, &why) == 0) {
        json_error_t error;

        parsed = json_loadb(text.data, text.len, JSON_REJECT_DUPLICATES, &error);
        if (!parsed)
            err_set(&why, ERR_INVALID, "line %d: %s", error.line, error.text);
    }
    if (!parsed)
        return compose_error(request->project, json_object_get(service, "security_opt"), err,
                             ERR_INVALID, "service \"%s\": the seccomp profile %s: %s",
                             request->service, path, why.message);
    compact = json_dumps(parsed, JSON_COMPACT);
    strvec_pushf(&r->lists[RECIPE_SECURITY_OPT], "seccomp=%s", compact ? compact : "");
    free(compact);
    json_decref(parsed);
    return 0;
}

static int add_options(const struct compose_recipe_request *request, const json_t *service,
                       struct compose_recipe *r, struct err *err)
{
    CLEANUP_STRVEC struct strvec options = {0};
    struct strvec *out = &r->lists[RECIPE_SECURITY_OPT];

    (void)compose_strings(service, "security_opt", &options);
    for (size_t i = 0; i < options.len; i++) {
        const char *option = options.items[i];
        const char *profile = option + strcspn(option, "=:");
        bool seccomp = *profile && strncmp(option, "seccomp", 7) == 0 && profile == option + 7;

        if (strcmp(option, "systempaths=unconfined") == 0) {
            r->create.system_paths_unconfined = true;
        } else if (seccomp && strcmp(profile + 1, "unconfined") != 0 &&
                   strcmp(profile + 1, "builtin") != 0) {
            if (add_seccomp(request, service, profile + 1, r, err) < 0)
                return -1;
        } else {
            strvec_push(out, option);
        }
    }
    r->create.security_opt = (const char *const *)out->items;
    return 0;
}

int compose_recipe_security(const struct compose_recipe_request *request, const json_t *service,
                            struct compose_recipe *r, struct err *err)
{
    struct docker_create *c = &r->create;

    c->privileged = compose_bool(service, "privileged", false);
    c->read_only_rootfs = compose_bool(service, "read_only", false);
    c->cap_add = compose_recipe_list(r, RECIPE_CAP_ADD, service, "cap_add");
    c->cap_drop = compose_recipe_list(r, RECIPE_CAP_DROP, service, "cap_drop");
    c->group_add = compose_recipe_list(r, RECIPE_GROUP_ADD, service, "group_add");
    c->pid_mode = compose_recipe_namespace(request, r, compose_string(service, "pid"));
    c->ipc_mode = compose_recipe_namespace(request, r, compose_string(service, "ipc"));
    c->uts_mode = compose_string(service, "uts");
    c->userns_mode = compose_string(service, "userns_mode");
    c->cgroupns_mode = compose_string(service, "cgroup");
    c->cgroup_parent = compose_string(service, "cgroup_parent");
    c->sysctls = compose_recipe_pairs(r, RECIPE_SYSCTLS, service, "sysctls");
    c->storage_opt = compose_recipe_pairs(r, RECIPE_STORAGE_OPT, service, "storage_opt");
    return add_options(request, service, r, err);
}
