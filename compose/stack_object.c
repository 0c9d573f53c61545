/* Secrets and configs of a stack, and what happens when their contents change.
 *
 * An object of a swarm cannot change. So one whose content is another than before gets a new
 * object, NAME_HASH, to which the services are then pointed, and the old one goes once neither a
 * service nor what it would be rolled back to refers to it. Which object has the content is found
 * without having to keep a hash of a secret where others can read it: the swarm compares the data
 * itself when asked to update the labels, and refuses if it is not the same. Only the name of a
 * rotated object holds a part of a hash, of the object's name and content. Source: Docker Engine
 * API, /secrets and /configs; docs/adr/0033-secrets-of-stacks-rotate.md. */
#include <string.h>

#include "base/alloc.h"
#include "base/fs.h"
#include "base/sha256.h"
#include "compose/stack_internal.h"

enum { HASH_DIGITS = 12 };

struct object {
    const struct stack_run *run;
    enum docker_swarm_kind kind;
    const char *key;
    const json_t *from;
    const char *name;
    struct strmap labels;
    struct strmap driver_options;
    struct buf data;
    char rotated[DOCKER_SWARM_NAME_MAX + 1]; /* its name if it is not the first of its name */
};

#define CLEANUP_OBJECT CLEANUP(object_release)
static void object_release(struct object *o)
{
    strmap_release(&o->labels);
    strmap_release(&o->driver_options);
    if (o->data.cap)
        explicit_bzero(o->data.data, o->data.cap);
    buf_release(&o->data);
}

static enum stack_kind kind_of(enum docker_swarm_kind kind)
{
    return kind == DOCKER_SECRET ? STACK_SECRET : STACK_CONFIG;
}

static const char *kind_name(enum docker_swarm_kind kind)
{
    return stack_kind_name(kind_of(kind));
}

static const json_t *section(const struct stack_run *run, enum docker_swarm_kind kind)
{
    return json_object_get(run->project->model, kind == DOCKER_SECRET ? "secrets" : "configs");
}

static int read_data(struct object *o, struct err *err)
{
    const struct compose_project *project = o->run->project;
    const char *file = compose_string(o->from, "file");
    const char *content = compose_string(o->from, "content");
    const char *variable = compose_string(o->from, "environment");
    size_t limit = o->kind == DOCKER_SECRET ? DOCKER_SECRET_MAX_BYTES : DOCKER_CONFIG_MAX_BYTES;
    struct err why = ERR_INIT;

    if (compose_string(o->from, "driver"))
        return 0;
    if (content)
        buf_addstr(&o->data, content);
    else if (variable)
        return compose_error(project, o->from, err, ERR_INVALID,
                             "%s %s: the variable %s is not set", kind_name(o->kind), o->key,
                             variable);
    else if (!file)
        return compose_error(
            project, o->from, err, ERR_INVALID,
            "%s %s has no content: it takes file, environment, content or external",
            kind_name(o->kind), o->key);
    else if (fs_read_file(file, limit + 1, &o->data, &why) < 0 && why.code != ERR_LIMIT)
        return compose_error(project, o->from, err, ERR_INVALID, "%s %s: %s", kind_name(o->kind),
                             o->key, why.message);
    if (!o->data.len)
        return compose_error(project, o->from, err, ERR_INVALID,
                             "%s %s is empty; a swarm takes no empty ones", kind_name(o->kind),
                             o->key);
    if (why.code == ERR_LIMIT || o->data.len > limit)
        return compose_error(project, o->from, err, ERR_INVALID,
                             "%s %s has more than %zu bytes, which is what a swarm takes",
                             kind_name(o->kind), o->key, limit);
    return 0;
}

/* NAME_HASH; a name that would be too long for it is cut, and the hash is of the whole name. */
static void name_rotated(struct object *o)
{
    size_t room = DOCKER_SWARM_NAME_MAX - HASH_DIGITS - 1;
    size_t len = strlen(o->name);
    char hex[SHA256_HEX_SIZE];
    struct sha256 hash;

    sha256_begin(&hash);
    sha256_add(&hash, o->name, len + 1);
    sha256_add(&hash, o->data.data, o->data.len);
    sha256_hex(&hash, hex);
    snprintf(o->rotated, sizeof(o->rotated), "%.*s_%.*s", (int)(len < room ? len : room), o->name,
             HASH_DIGITS, hex);
}

static int object_read(struct stack_run *run, enum docker_swarm_kind kind, const char *key,
                       struct object *ret, struct err *err)
{
    struct object *o = ret;

    *o = (struct object){.run = run,
                         .kind = kind,
                         .key = key,
                         .from = json_object_get(section(run, kind), key),
                         .data = BUF_INIT};
    o->name = compose_string(o->from, "name");
    if (read_data(o, err) < 0)
        return -1;
    if (strlen(o->name) > DOCKER_SWARM_NAME_MAX)
        return compose_error(run->project, o->from, err, ERR_INVALID,
                             "the name \"%s\" has more than the %d characters that a swarm takes",
                             o->name, DOCKER_SWARM_NAME_MAX);
    compose_pairs(o->from, "labels", &o->labels);
    compose_pairs(o->from, "driver_opts", &o->driver_options);
    strmap_set(&o->labels, STACK_LABEL_NAMESPACE, run->options->name);
    name_rotated(o);
    return 0;
}

static struct docker_swarm_object_spec spec_of(const struct object *o, const char *name)
{
    return (struct docker_swarm_object_spec){
        .name = name,
        .labels = &o->labels,
        .data = o->data.data,
        .data_len = o->data.len,
        .driver = compose_string(o->from, "driver"),
        .driver_options = &o->driver_options,
        .template_driver = compose_string(o->from, "template_driver"),
    };
}

/* The one of that name, as the name filter of the API takes prefixes; NULL: none. */
static const struct docker_swarm_object *find(const struct docker_swarm_object_list *list,
                                              const char *name)
{
    for (size_t i = 0; i < list->len; i++) {
        if (strcmp(list->items[i].name, name) == 0)
            return &list->items[i];
    }
    return NULL;
}

static void use(struct stack_run *run, enum docker_swarm_kind kind, const char *key,
                const char *name, const char *id)
{
    strmap_set(kind == DOCKER_SECRET ? &run->secrets : &run->configs, key, name);
    strmap_set(kind == DOCKER_SECRET ? &run->secret_ids : &run->config_ids, key, id);
}

static bool same_labels(const struct strmap *a, const struct strmap *b)
{
    if (a->len != b->len)
        return false;
    strmap_foreach (entry, a) {
        const char *other = strmap_get(b, entry->key);

        if (!other || strcmp(other, entry->value) != 0)
            return false;
    }
    return true;
}

/* Whether this object has the content; its labels are brought up to date then. 0: no; -1: error. A
 * config tells its data, so that one that is as it should be is not written. */
static int adopt(struct object *o, const struct docker_swarm_object *have, struct err *err)
{
    struct docker_swarm_object_spec spec = spec_of(o, have->name);
    const char *rotated = strmap_get(&have->labels, STACK_LABEL_ROTATED);
    struct err why = ERR_INIT;
    int result;

    if (rotated)
        strmap_set(&o->labels, STACK_LABEL_ROTATED, rotated);
    if (have->data &&
        (have->data_len != o->data.len || memcmp(have->data, o->data.data, o->data.len) != 0))
        result = 0;
    else if (have->data && same_labels(&have->labels, &o->labels))
        result = 1;
    else if (docker_swarm_object_update(o->run->ctx, o->run->docker, o->kind, have->id,
                                        have->version, &spec, &why) == 0)
        result = 1;
    else if (why.code == ERR_INVALID && strstr(why.message, "only updates to Labels"))
        result = 0;
    else
        result = err_set(err, why.code, "%s %s: %s", kind_name(o->kind), have->name, why.message);
    strmap_remove(&o->labels, STACK_LABEL_ROTATED);
    return result;
}

static int create(struct stack_run *run, struct object *o, const char *name, struct err *err)
{
    struct docker_swarm_object_spec spec = spec_of(o, name);
    CLEANUP_FREE char *id = NULL;

    if (strcmp(name, o->name) != 0)
        strmap_set(&o->labels, STACK_LABEL_ROTATED, o->name);
    if (stack_announce(run, kind_of(o->kind), name, err) < 0)
        return -1;
    if (docker_swarm_object_create(run->ctx, run->docker, o->kind, &spec, &id, err) < 0) {
        if (err && err->code == ERR_CONFLICT) {
            stack_refused(run, kind_of(o->kind), name);
            return err_set(err, ERR_CONFLICT,
                           "a %s \"%s\" exists that is not of the stack %s; remove it, or give the "
                           "%s another name, or say that it is external",
                           kind_name(o->kind), name, run->options->name, kind_name(o->kind));
        }
        return err_wrap(err, "%s %s", kind_name(o->kind), name);
    }
    stack_record_created(run->record, kind_of(o->kind), id, name);
    use(run, o->kind, o->key, name, id);
    return 0;
}

static int ensure(struct stack_run *run, struct object *o,
                  const struct docker_swarm_object_list *have, struct err *err)
{
    const struct docker_swarm_object *candidates[] = {find(have, o->rotated), find(have, o->name)};

    for (size_t i = 0; i < 2; i++) {
        int fits = candidates[i] ? adopt(o, candidates[i], err) : 0;

        if (fits < 0)
            return -1;
        if (fits) {
            use(run, o->kind, o->key, candidates[i]->name, candidates[i]->id);
            return 0;
        }
    }
    return create(run, o, candidates[1] ? o->rotated : o->name, err);
}

static int list_ours(const struct stack_run *run, enum docker_swarm_kind kind,
                     struct docker_swarm_object_list *ret, struct err *err)
{
    CLEANUP_BUF struct buf text = BUF_INIT;
    struct docker_filter filter = stack_filter(run->options->name, &text);

    return docker_swarm_object_list(run->ctx, run->docker, kind, &filter, 1, ret, err);
}

static int find_external(struct stack_run *run, enum docker_swarm_kind kind, const char *key,
                         const json_t *from, struct err *err)
{
    const char *name = compose_string(from, "name");
    struct docker_filter filter = {"name", name ? name : key};
    CLEANUP_DOCKER_SWARM_OBJECT_LIST struct docker_swarm_object_list list = {0};
    const struct docker_swarm_object *found;

    if (docker_swarm_object_list(run->ctx, run->docker, kind, &filter, 1, &list, err) < 0)
        return -1;
    found = find(&list, filter.value);
    if (!found)
        return compose_error(run->project, from, err, ERR_NOT_FOUND,
                             "there is no %s \"%s\", but \"%s\" is external; make it with "
                             "\"docker %s create\"",
                             kind_name(kind), filter.value, key, kind_name(kind));
    use(run, kind, key, found->name, found->id);
    return 0;
}

int stack_objects_check(struct stack_run *run, enum docker_swarm_kind kind, struct err *err)
{
    const char *key;
    json_t *from;

    json_object_foreach ((json_t *)section(run, kind), key, from) {
        CLEANUP_OBJECT struct object o = {.data = BUF_INIT};

        if (compose_bool(from, "external", false) ? find_external(run, kind, key, from, err) < 0
                                                  : object_read(run, kind, key, &o, err) < 0)
            return -1;
    }
    return 0;
}

int stack_objects_create(struct stack_run *run, enum docker_swarm_kind kind, struct err *err)
{
    CLEANUP_DOCKER_SWARM_OBJECT_LIST struct docker_swarm_object_list have = {0};
    const char *key;
    json_t *from;

    if (!json_object_size(section(run, kind)))
        return 0;
    if (list_ours(run, kind, &have, err) < 0)
        return -1;
    json_object_foreach ((json_t *)section(run, kind), key, from) {
        CLEANUP_OBJECT struct object o = {.data = BUF_INIT};

        if (compose_bool(from, "external", false))
            continue;
        if (object_read(run, kind, key, &o, err) < 0 || ensure(run, &o, &have, err) < 0)
            return -1;
    }
    return 0;
}

static void add_references(const json_t *spec, enum docker_swarm_kind kind, struct strmap *out)
{
    const json_t *container =
        json_object_get(json_object_get(spec, "TaskTemplate"), "ContainerSpec");
    const json_t *list = json_object_get(container, kind == DOCKER_SECRET ? "Secrets" : "Configs");
    size_t i;
    json_t *value;

    json_array_foreach (list, i, value) {
        strmap_set(out,
                   json_string_value(
                       json_object_get(value, kind == DOCKER_SECRET ? "SecretID" : "ConfigID")),
                   "");
    }
}

/* Whether the object stands for a key of the project, but another one is in force now. */
static bool is_old(const struct stack_run *run, enum docker_swarm_kind kind,
                   const struct docker_swarm_object *object)
{
    const struct strmap *names = kind == DOCKER_SECRET ? &run->secrets : &run->configs;
    const char *of = strmap_get(&object->labels, STACK_LABEL_ROTATED);
    const char *key;
    json_t *from;

    json_object_foreach ((json_t *)section(run, kind), key, from) {
        const char *name = compose_string(from, "name");
        const char *in_force = strmap_get(names, key);

        if (name && in_force && strcmp(name, of ? of : object->name) == 0)
            return strcmp(in_force, object->name) != 0;
    }
    return false;
}

int stack_objects_tidy(struct stack_run *run, enum docker_swarm_kind kind, struct err *err)
{
    CLEANUP_DOCKER_SWARM_OBJECT_LIST struct docker_swarm_object_list have = {0};
    CLEANUP_DOCKER_SERVICE_LIST struct docker_service_list services = {0};
    CLEANUP_STRMAP struct strmap used = {0};

    if (!json_object_size(section(run, kind)))
        return 0;
    /* Of all stacks: others may use ours. */
    if (list_ours(run, kind, &have, err) < 0 ||
        docker_service_list(run->ctx, run->docker, NULL, 0, &services, err) < 0)
        return -1;
    for (size_t i = 0; i < services.len; i++) {
        add_references(services.items[i].spec, kind, &used);
        add_references(services.items[i].previous_spec, kind, &used);
    }
    for (size_t i = 0; i < have.len; i++) {
        const struct docker_swarm_object *object = &have.items[i];

        if (strmap_has(&used, object->id) || !is_old(run, kind, object))
            continue;
        stack_say(&run->options->sink, STACK_NOTE_STEP,
                  "removing %s %s, which is not used any more", kind_name(kind), object->name);
        if (docker_swarm_object_remove(run->ctx, run->docker, kind, object->id, err) < 0 &&
            err->code != ERR_NOT_FOUND)
            return err_wrap(err, "%s %s", kind_name(kind), object->name);
    }
    return 0;
}
