#include "compose/run.h"

#include <string.h>

#include "base/alloc.h"
#include "base/parse.h"
#include "base/tar.h"
#include "compose/recipe.h"

enum { MODE_DEFAULT = 0444 };

static mode_t mode_of(const json_t *use)
{
    const char *text = compose_string(use, "mode");

    return text ? (mode_t)strtoul(text, NULL, 8) & 07777 : MODE_DEFAULT;
}

static unsigned owner_of(const json_t *use, const char *member)
{
    const char *text = compose_string(use, member);
    int64_t number = 0;

    return text && parse_int64(text, &number, NULL) == 0 && number >= 0 ? (unsigned)number : 0;
}

/* With the directories above it, which a tar has to bring if the image has none. */
static void add_file(struct buf *tar, const char *path, const json_t *use, const char *content)
{
    CLEANUP_FREE char *name = xstrdup(path + strspn(path, "/"));

    tar_add_file_owned(tar, name, mode_of(use), owner_of(use, "uid"), owner_of(use, "gid"), content,
                       strlen(content));
}

static void add_uses(struct compose_session *session, const char *service_name, const char *member,
                     json_t *(*find)(const struct compose_project *, const char *), struct buf *tar)
{
    const struct compose_project *project = session->project;
    const json_t *service = compose_service(project, service_name);
    struct compose_recipe names = {0};
    size_t i;
    json_t *use;

    json_array_foreach (json_object_get(service, member), i, use) {
        const char *source = compose_string(use, "source");
        const json_t *definition = find(project, source);
        const char *content = compose_string(definition, "content");

        if (compose_string(definition, "file") || !content)
            continue;
        add_file(tar,
                 compose_file_target(&names, strcmp(member, "secrets") == 0, source,
                                     compose_string(use, "target")),
                 use, content);
    }
    compose_recipe_release(&names);
}

int compose_files_put(const struct ctx *ctx, struct compose_session *session,
                      struct docker_client *docker, const char *service, const char *id,
                      struct err *err)
{
    CLEANUP_BUF struct buf tar = BUF_INIT;
    struct err why = ERR_INIT;
    int result;

    add_uses(session, service, "secrets", compose_secret, &tar);
    add_uses(session, service, "configs", compose_config, &tar);
    if (!tar.len)
        return 0;
    tar_add_end(&tar);
    result =
        docker_container_archive_put(ctx, docker, id, "/",
                                     &(struct docker_tar){.data = tar.data, .len = tar.len}, &why);
    explicit_bzero(tar.data, tar.cap);
    if (result < 0)
        return compose_error(session->project, compose_service(session->project, service), err,
                             why.code,
                             "service \"%s\": secrets and configs that are no files cannot be "
                             "copied into its container: %s",
                             service, why.message);
    return 0;
}
