/* `extends`: a service that begins as another one, here or in another file. */
#include <string.h>

#include "base/alloc.h"
#include "base/nearest.h"
#include "compose/loader.h"
#include "compose/merge.h"

#define DEPTH_MAX 200

/* Services that are being extended, each by the one below it. */
struct chain {
    const struct chain *up;
    size_t depth;
    const struct compose_file *file;
    const char *name;
};

/* The services of one file, raw at first: extended one by one. */
struct scope {
    struct compose_file *file;
    json_t *services;
};

/* Files that were read for `extends`, by path. */
struct extender {
    struct compose_loader *l;
    const struct compose_unit *unit;
    VEC(struct scope)
    scopes;
};

static bool extend(struct extender *x, const struct scope *scope, const char *name,
                   const struct chain *up);

static void complain_missing(struct extender *x, const json_t *at, const char *path,
                             const struct scope *scope, const char *wanted)
{
    struct nearest nearest = {.text = wanted};
    const char *name;
    json_t *service;

    json_object_foreach (scope->services, name, service)
        nearest_offer(&nearest, name);
    if (nearest.best)
        compose_complain(x->l, at, path, "there is no service \"%s\" in %s; did you mean \"%s\"?",
                         wanted, scope->file->name, nearest.best);
    else
        compose_complain(x->l, at, path, "there is no service \"%s\" in %s", wanted,
                         scope->file->name);
}

static json_t *read_services(struct extender *x, struct compose_file *file, const char *path)
{
    const char *slash = strrchr(path, '/');
    CLEANUP_FREE char *directory = xstrndup(path, slash > path ? (size_t)(slash - path) : 1);
    const struct compose_unit unit = {.directory = directory, .environment = x->unit->environment};
    json_t *documents = compose_documents_read(x->l, &unit, file);
    json_t *services = json_object();
    json_t *document;
    size_t i;

    json_array_foreach (documents, i, document)
        json_object_update(services, json_object_get(document, "services"));
    json_decref(documents);
    return services;
}

static bool find_scope(struct extender *x, const json_t *at, const char *where, const char *path,
                       struct scope *ret)
{
    struct err err = ERR_INIT;

    vec_foreach (struct scope *, scope, &x->scopes) {
        if (scope->file->path && strcmp(scope->file->path, path) == 0) {
            *ret = *scope;
            return true;
        }
    }
    if (compose_source_read(x->l->sources, path, &ret->file, &err) < 0) {
        compose_complain(x->l, at, where, "%s", err.message);
        return false;
    }
    ret->services = read_services(x, ret->file, path);
    vec_push(&x->scopes, *ret);
    return true;
}

static bool is_cycle(struct extender *x, const struct scope *scope, const char *name,
                     const struct chain *up, const json_t *at, const char *path)
{
    CLEANUP_BUF struct buf names = BUF_INIT;
    const struct chain *found = up;

    while (found && !(found->file == scope->file && strcmp(found->name, name) == 0))
        found = found->up;
    if (!found)
        return false;
    buf_addstr(&names, name);
    for (const struct chain *c = up; c; c = c->up) {
        CLEANUP_FREE char *rest = buf_steal(&names);

        buf_addf(&names, "%s extends %s", c->name, rest);
        if (c == found)
            break;
    }
    compose_complain(x->l, at, path, "services extend each other: %s", names.data);
    return true;
}

static void merge_base(struct extender *x, const struct scope *scope, const char *name,
                       json_t *service, json_t *base)
{
    json_t *copy = compose_places_copy(x->l->places, base);
    json_t *merged;

    json_object_del(service, "extends");
    merged = compose_merge_object(x->l->places, &compose_service_table, copy, service);
    json_object_set_new(scope->services, name, merged);
    json_decref(copy);
}

/* Extends one service, after those that it extends itself; false: it cannot be. */
static bool extend(struct extender *x, const struct scope *scope, const char *name,
                   const struct chain *up)
{
    const struct chain chain = {.up = up,
                                .depth = up ? up->depth + 1 : 1,
                                .file = scope->file,
                                .name = name};
    json_t *service = json_object_get(scope->services, name);
    json_t *extends = json_object_get(service, "extends");
    const char *wanted = compose_string(extends, "service");
    const char *path = compose_string(extends, "file");
    struct scope other = *scope;
    CLEANUP_FREE char *where = xasprintf("services.%s.extends", name);
    json_t *base;

    if (!wanted)
        return true;
    if (chain.depth > DEPTH_MAX) {
        compose_complain(x->l, extends, where, "services extend each other more than %d deep",
                         DEPTH_MAX);
        return false;
    }
    if (path && !find_scope(x, extends, where, path, &other))
        return false;
    if (is_cycle(x, &other, wanted, &chain, extends, where))
        return false;
    if (!json_object_get(other.services, wanted)) {
        complain_missing(x, extends, where, &other, wanted);
        return false;
    }
    if (!extend(x, &other, wanted, &chain))
        return false;
    base = compose_merge_object(x->l->places, &compose_service_table, NULL,
                                json_object_get(other.services, wanted));
    merge_base(x, scope, name, service, base);
    json_decref(base);
    return true;
}

void compose_extend_services(struct compose_loader *l, const struct compose_unit *unit,
                             struct compose_file *file, json_t *services)
{
    struct extender x = {.l = l, .unit = unit};
    const struct scope scope = {.file = file, .services = services};
    const char *name;
    json_t *service;
    void *next;

    vec_push(&x.scopes, scope);
    json_object_foreach_safe(services, next, name, service)
    {
        if (json_object_get(service, "extends") && !extend(&x, &scope, name, NULL))
            json_object_del(service, "extends");
    }
    for (size_t i = 1; i < x.scopes.len; i++)
        json_decref(x.scopes.items[i].services);
    vec_release(&x.scopes);
}
