#include "engine/deploy/binds.h"

#include <string.h>

#include "base/alloc.h"

/* A member of an object of the model. */
struct path {
    json_t *object;
    const char *member;
};

struct paths {
    VEC(struct path)
    list;
};

static void find_in_service(json_t *service, struct paths *paths)
{
    json_t *mount;
    size_t i;

    json_array_foreach (json_object_get(service, "volumes"), i, mount) {
        const char *type = compose_string(mount, "type");

        if (type && strcmp(type, "bind") == 0 && compose_string(mount, "source"))
            vec_push(&paths->list, ((struct path){mount, "source"}));
    }
}

static void find_all(const struct compose_project *project, enum compose_target target,
                     struct paths *paths)
{
    static const char *const kinds[] = {"secrets", "configs"};
    const char *key;
    json_t *object;

    json_object_foreach (json_object_get(project->model, "services"), key, object)
        find_in_service(object, paths);
    for (size_t i = 0; target != COMPOSE_TARGET_SWARM && i < sizeof(kinds) / sizeof(*kinds); i++) {
        json_object_foreach (json_object_get(project->model, kinds[i]), key, object) {
            if (compose_string(object, "file"))
                vec_push(&paths->list, ((struct path){object, "file"}));
        }
    }
}

static bool is_of_project(const struct compose_project *project, const char *path)
{
    size_t len = strlen(project->working_dir);

    return strncmp(path, project->working_dir, len) == 0 && (path[len] == '/' || !path[len]);
}

static int translate(const struct self *self, const struct compose_project *project,
                     const struct path *path, struct err *err)
{
    const char *text = compose_string(path->object, path->member);
    CLEANUP_FREE char *on_host = self_host_path(self, text);

    if (on_host)
        json_object_set_new(path->object, path->member, json_string(on_host));
    else if (is_of_project(project, text))
        return compose_error(project, path->object, err, ERR_NOT_FOUND,
                             "%s is a path inside the runner's own container (%s), which the "
                             "Docker host cannot see; mount a host directory or volume there "
                             "(-v %s:%s)",
                             text, self->container.name, project->working_dir,
                             project->working_dir);
    return 0;
}

static int translate_all(const struct self *self, const struct compose_project *project,
                         const struct paths *paths, struct err *err)
{
    if (self->place != SELF_IN_CONTAINER)
        return 0;
    vec_foreach (const struct path *, path, &paths->list) {
        if (translate(self, project, path, err) < 0)
            return -1;
    }
    return 0;
}

int deploy_translate_for(const struct self *self, const struct compose_project *project,
                         enum compose_target target, struct err *err)
{
    struct paths paths = {0};
    int result;

    find_all(project, target, &paths);
    result = translate_all(self, project, &paths, err);
    vec_release(&paths.list);
    return result;
}

int deploy_translate_binds(const struct ctx *ctx, struct docker_client *docker,
                           const struct docker_endpoint *endpoint,
                           const struct compose_project *project, enum compose_target target,
                           struct err *err)
{
    struct paths paths = {0};
    struct self self = {0};
    int result = 0;

    find_all(project, target, &paths);
    if (paths.list.len)
        result = self_find(ctx, docker, endpoint, &self, err);
    if (result == 0)
        result = translate_all(&self, project, &paths, err);
    self_release(&self);
    vec_release(&paths.list);
    return result;
}
