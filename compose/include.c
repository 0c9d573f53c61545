/* `include`: other projects' resources. */
#include <string.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "base/fs.h"
#include "compose/env_file.h"
#include "compose/loader.h"
#include "compose/merge.h"

#define DEPTH_MAX 32

/* A unit above whose first file has that path; NULL: none. */
static const struct compose_unit *find_above(const struct compose_unit *unit, const char *path)
{
    for (; unit; unit = unit->up) {
        if (unit->first && unit->first->path && strcmp(unit->first->path, path) == 0)
            return unit;
    }
    return NULL;
}

static size_t depth_of(const struct compose_unit *unit)
{
    size_t depth = 0;

    for (; unit; unit = unit->up)
        depth++;
    return depth;
}

/* "a.yaml includes b.yaml includes a.yaml" */
static void add_chain(const struct compose_unit *unit, const struct compose_unit *end,
                      struct buf *out)
{
    if (unit != end)
        add_chain(unit->up, end, out);
    buf_addf(out, "%s includes ", unit->first->name);
}

static char *directory_of(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash == path ? xstrdup("/") : xstrndup(path, slash ? (size_t)(slash - path) : 0);
}

static bool is_regular(const char *path)
{
    struct stat st;

    return stat(path, &st) == 0 && S_ISREG(st.st_mode);
}

/* Variables of the including files go before those of the entry's files. */
static int read_environment(struct compose_loader *l, const struct compose_unit *up,
                            const json_t *entry, const char *directory, struct strmap *out)
{
    const struct compose_env_lookup lookup = {.first = up->environment};
    json_t *files = json_object_get(entry, "env_file");
    CLEANUP_STRMAP struct strmap found = {0};
    struct err err = ERR_INIT;
    json_t *file;
    size_t i;

    if (!json_array_size(files)) {
        CLEANUP_FREE char *path = fs_join(directory, ".env");

        if (is_regular(path) && compose_env_file_read(path, false, &lookup, &found, &err) < 0) {
            compose_complain(l, entry, "include", "%s", err.message);
            return -1;
        }
    }
    json_array_foreach (files, i, file) {
        const char *path = json_string_value(file);

        if (strcmp(path, "/dev/null") != 0 &&
            compose_env_file_read(path, false, &lookup, &found, &err) < 0) {
            compose_complain(l, file, "include", "%s", err.message);
            return -1;
        }
    }
    strmap_merge(out, &found);
    strmap_merge(out, up->environment);
    return 0;
}

struct files {
    VEC(struct compose_file *)
    list;
};

static int read_files(struct compose_loader *l, const struct compose_unit *up, const json_t *paths,
                      struct files *files)
{
    json_t *path;
    size_t i;

    json_array_foreach ((json_t *)paths, i, path) {
        const char *name = json_string_value(path);
        const struct compose_unit *above = i == 0 ? find_above(up, name) : NULL;
        struct compose_file *file;
        struct err err = ERR_INIT;

        if (above) {
            CLEANUP_BUF struct buf chain = BUF_INIT;

            add_chain(up, above, &chain);
            compose_complain(l, path, "include", "files include each other: %s%s", chain.data,
                             above->first->name);
            return -1;
        }
        if (compose_source_read(l->sources, name, &file, &err) < 0) {
            compose_complain(l, path, "include", "%s", err.message);
            return -1;
        }
        vec_push(&files->list, file);
    }
    return 0;
}

/* The entry's resources, as one model; NULL if they cannot be had. */
static json_t *load_entry(struct compose_loader *l, const struct compose_unit *up,
                          const json_t *entry)
{
    json_t *paths = json_object_get(entry, "path");
    const char *first = json_string_value(json_array_get(paths, 0));
    const char *given = compose_string(entry, "project_directory");
    CLEANUP_FREE char *directory = given ? xstrdup(given) : first ? directory_of(first) : NULL;
    CLEANUP_STRMAP struct strmap environment = {0};
    struct compose_unit unit = {.directory = directory, .environment = &environment, .up = up};
    struct files files = {0};
    json_t *model = NULL;

    if (!first)
        return NULL;
    if (depth_of(up) >= DEPTH_MAX) {
        compose_complain(l, entry, "include", "files are included %d deep", DEPTH_MAX);
    } else if (read_files(l, up, paths, &files) == 0 &&
               read_environment(l, up, entry, directory, &environment) == 0) {
        unit.first = files.list.items[0];
        model = compose_unit_load(l, &unit, files.list.items, files.list.len);
    }
    vec_release(&files.list);
    return model;
}

/* What the including file says goes over what it includes. */
static void import(struct compose_loader *l, json_t *imported, json_t *document)
{
    static const char *const sections[] = {"services", "volumes", "networks",
                                           "secrets",  "configs", "models"};

    for (size_t i = 0; i < sizeof(sections) / sizeof(*sections); i++) {
        const struct compose_attribute *row =
            compose_attribute_find(&compose_file_table, sections[i]);
        json_t *from = json_object_get(imported, sections[i]);
        json_t *to = json_object_get(document, sections[i]);

        if (from)
            json_object_set_new(document, sections[i],
                                to ? compose_merge(l->places, row, from, to) : json_incref(from));
    }
}

void compose_include(struct compose_loader *l, const struct compose_unit *unit, json_t *document)
{
    json_t *entries = json_object_get(document, "include");
    json_t *entry;
    size_t i;

    json_array_foreach (entries, i, entry) {
        json_t *imported = load_entry(l, unit, entry);

        if (imported)
            import(l, imported, document);
        json_decref(imported);
    }
    json_object_del(document, "include");
}
