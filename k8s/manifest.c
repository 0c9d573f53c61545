#include "k8s/manifest.h"

#include <ctype.h>
#include <dirent.h>
#include <stdarg.h>
#include <string.h>

#include "base/fs.h"
#include "k8s/compat.h"
#include "yaml/yaml_json.h"

static const struct yaml_limits limits = {
    .text_bytes = MANIFEST_BYTES_MAX,
    .depth = YAML_DEPTH_MAX,
    .nodes = 2000000,
    .expanded_bytes = (size_t)64 * 1024 * 1024,
    .documents = MANIFEST_OBJECTS_MAX,
};

/* Where an object is being read, for messages. */
struct place {
    const char *source;
    struct src_pos pos;
};

static int place_error(const struct place *place, struct err *err, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

static int place_error(const struct place *place, struct err *err, const char *fmt, ...)
{
    CLEANUP_BUF struct buf text = BUF_INIT;
    va_list args;

    va_start(args, fmt);
    buf_vaddf(&text, fmt, args);
    va_end(args);
    return err_set(err, ERR_INVALID, "%s:%u: %s", place->source, place->pos.line, text.data);
}

/* --- names --- */

const char *manifest_group(const char *api_version, size_t *ret_len)
{
    const char *slash = strchr(api_version, '/');

    *ret_len = slash ? (size_t)(slash - api_version) : 0;
    return api_version;
}

bool manifest_is(const struct manifest *m, const char *group, const char *kind)
{
    size_t len;
    const char *own = manifest_group(m->api_version, &len);

    return strcmp(m->kind, kind) == 0 && strlen(group) == len && memcmp(own, group, len) == 0;
}

bool manifest_is_builtin(const struct manifest *m)
{
    static const char *const groups[] = {"",
                                         "admissionregistration.k8s.io",
                                         "apiextensions.k8s.io",
                                         "apiregistration.k8s.io",
                                         "apps",
                                         "authentication.k8s.io",
                                         "authorization.k8s.io",
                                         "autoscaling",
                                         "batch",
                                         "certificates.k8s.io",
                                         "coordination.k8s.io",
                                         "discovery.k8s.io",
                                         "events.k8s.io",
                                         "extensions",
                                         "flowcontrol.apiserver.k8s.io",
                                         "networking.k8s.io",
                                         "node.k8s.io",
                                         "policy",
                                         "rbac.authorization.k8s.io",
                                         "resource.k8s.io",
                                         "scheduling.k8s.io",
                                         "storage.k8s.io"};

    for (size_t i = 0; i < sizeof(groups) / sizeof(*groups); i++) {
        if (manifest_is(m, groups[i], m->kind))
            return true;
    }
    return false;
}

void manifest_add_title(struct buf *out, const char *api_version, const char *kind,
                        const char *name)
{
    size_t len;
    const char *group = manifest_group(api_version, &len);

    for (; *kind; kind++)
        buf_addch(out, (char)tolower((unsigned char)*kind));
    if (len)
        buf_addf(out, ".%.*s", (int)len, group);
    buf_addf(out, "/%s", name);
}

int manifest_error(const struct manifest *m, struct err *err, enum err_code code, const char *fmt,
                   ...)
{
    CLEANUP_BUF struct buf title = BUF_INIT;
    CLEANUP_BUF struct buf text = BUF_INIT;
    va_list args;

    manifest_add_title(&title, m->api_version, m->kind, m->name);
    va_start(args, fmt);
    buf_vaddf(&text, fmt, args);
    va_end(args);
    return err_set(err, code, "%s:%u: %s: %s", m->source, m->pos.line, title.data, text.data);
}

/* --- one object --- */

static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));

    return text && *text ? text : NULL;
}

static bool is_api_version(const char *text)
{
    const char *slash = strchr(text, '/');

    return !slash || (slash > text && slash[1] && !strchr(slash + 1, '/'));
}

/* Names are parts of paths: what would lead elsewhere is none. */
static bool is_name(const char *text)
{
    return strcmp(text, ".") != 0 && strcmp(text, "..") != 0 && !strpbrk(text, "/%");
}

static int check_head(const struct place *place, const json_t *object, struct err *err)
{
    const char *version = text_of(object, "apiVersion");
    const char *kind = text_of(object, "kind");

    if (!version)
        return place_error(place, err, "an object needs an apiVersion, such as \"apps/v1\"");
    if (!is_api_version(version))
        return place_error(place, err,
                           "\"%s\" is no apiVersion; it is VERSION or GROUP/VERSION, such as "
                           "\"apps/v1\"",
                           version);
    if (!kind)
        return place_error(place, err, "an object needs a kind, such as \"Deployment\"");
    if (strncmp(version, "kustomize.config.k8s.io/", 24) == 0)
        return place_error(place, err,
                           "this file is for kustomize; give what \"kubectl kustomize DIR\" "
                           "prints, e.g. with -f -");
    return 0;
}

static int check_metadata(const struct place *place, const json_t *object, struct err *err)
{
    const json_t *metadata = json_object_get(object, "metadata");
    const char *kind = text_of(object, "kind");
    const char *name = text_of(metadata, "name");
    const json_t *ns = json_object_get(metadata, "namespace");

    if (!json_is_object(metadata))
        return place_error(place, err, "%s needs metadata with a name", kind);
    if (!name && text_of(metadata, "generateName"))
        return place_error(place, err,
                           "%s has a generateName: each time it would be another object; give it "
                           "a name, or create it with \"kubectl create\"",
                           kind);
    if (!name)
        return place_error(place, err, "%s needs metadata.name, a string", kind);
    if (!is_name(name))
        return place_error(place, err, "\"%s\" is no name for an object", name);
    if (ns && !json_is_null(ns) && (!json_is_string(ns) || !is_name(json_string_value(ns))))
        return place_error(place, err, "metadata.namespace of %s \"%s\" must be a name", kind,
                           name);
    return 0;
}

/* Files that were read from a server, or written by generators, have what apply refuses, or what
 * would be a conflict the next time. Other kinds may have a status of their own making. */
static void drop_set_by_server(json_t *object)
{
    static const char *const fields[] = {"managedFields", "creationTimestamp",
                                         "generation",    "selfLink",
                                         "uid",           "resourceVersion"};
    const struct manifest m = {.api_version = text_of(object, "apiVersion"),
                               .kind = text_of(object, "kind")};
    json_t *metadata = json_object_get(object, "metadata");

    for (size_t i = 0; i < sizeof(fields) / sizeof(*fields); i++)
        json_object_del(metadata, fields[i]);
    if (manifest_is_builtin(&m))
        json_object_del(object, "status");
}

static void add_identity(struct buf *out, const json_t *object)
{
    const json_t *metadata = json_object_get(object, "metadata");
    const char *version = text_of(object, "apiVersion");
    const char *ns = text_of(metadata, "namespace");
    size_t len;
    const char *group = manifest_group(version, &len);

    buf_addf(out, "%.*s %s %s/%s", (int)len, group, text_of(object, "kind"), ns ? ns : "",
             text_of(metadata, "name"));
}

/* 1 if the same object is there already. */
static int find_twin(const struct manifest_list *list, const struct place *place,
                     const char *identity, const json_t *object, struct err *err)
{
    const struct manifest *twin;
    uint32_t number;

    if (!text_index_find(&list->index, identity, strlen(identity), &number))
        return 0;
    twin = &list->items.items[number];
    if (json_equal(twin->object, object))
        return 1;
    return place_error(
        place, err, "%s \"%s\" is written here and, otherwise, in %s:%u; which of them is meant?",
        twin->kind, twin->name, twin->source, twin->pos.line);
}

/* Takes the object over. */
static int add_object(struct manifest_list *list, const struct place *place, json_t *object,
                      struct err *err)
{
    CLEANUP_BUF struct buf identity = BUF_INIT;
    struct manifest m = {.object = object, .source = place->source, .pos = place->pos};
    const char *ns;
    int twin = -1;

    if (check_head(place, object, err) == 0 && check_metadata(place, object, err) == 0) {
        drop_set_by_server(object);
        compat_write_out(object);
        add_identity(&identity, object);
        twin = find_twin(list, place, identity.data, object, err);
    }
    if (twin == 0 && list->items.len >= MANIFEST_OBJECTS_MAX)
        twin = err_set(err, ERR_LIMIT, "%s:%u: more than %d objects; apply them in parts",
                       place->source, place->pos.line, MANIFEST_OBJECTS_MAX);
    if (twin != 0) {
        json_decref(object);
        return twin < 0 ? -1 : 0;
    }
    m.api_version = text_of(object, "apiVersion");
    m.kind = text_of(object, "kind");
    m.name = text_of(json_object_get(object, "metadata"), "name");
    ns = text_of(json_object_get(object, "metadata"), "namespace");
    m.ns = xstrdup_null(ns);
    strvec_push(&list->identities, identity.data);
    text_index_set(&list->index, list->identities.items[list->identities.len - 1], identity.len,
                   (uint32_t)list->items.len);
    vec_push(&list->items, m);
    return 0;
}

/* --- lists --- */

static bool is_list_kind(const char *kind)
{
    const size_t len = kind ? strlen(kind) : 0;

    return len >= 4 && strcmp(kind + len - 4, "List") == 0;
}

/* Items of a ConfigMapList need not say what they are. */
static void inherit_kind(json_t *item, const char *kind, const char *version)
{
    if (!json_is_object(item) || strcmp(kind, "List") == 0)
        return;
    if (!json_object_get(item, "kind"))
        json_object_set_new(item, "kind", json_stringn(kind, strlen(kind) - 4));
    if (!json_object_get(item, "apiVersion"))
        json_object_set_new(item, "apiVersion", json_string(version));
}

/* Takes the value over. `node` is where it was written, if that is known. */
static int add_value(struct manifest_list *list, const struct place *place, json_t *value,
                     const struct yaml_node *node, struct err *err)
{
    const char *kind = text_of(value, "kind");
    const char *version = text_of(value, "apiVersion");
    const struct yaml_node *items = yaml_node_get(node, "items");
    json_t *item;
    size_t i;
    int result = 0;

    if (!json_is_object(value)) {
        json_decref(value);
        return place_error(place, err,
                           "a document must be a map with apiVersion, kind and metadata");
    }
    if (!is_list_kind(kind) || !version || !json_is_array(json_object_get(value, "items")))
        return add_object(list, place, value, err);
    json_array_foreach (json_object_get(value, "items"), i, item) {
        struct place inner = *place;
        const struct yaml_node *at = items ? items->items[i] : NULL;

        if (at)
            inner.pos = at->pos;
        inherit_kind(item, kind, version);
        result = add_value(list, &inner, json_incref(item), at, err);
        if (result < 0)
            break;
    }
    json_decref(value);
    return result;
}

/* --- texts --- */

/* JSON values one after the other; -1 if the text is anything else. */
static int add_json(struct manifest_list *list, const char *source, const char *text, size_t len,
                    bool *ret_is_json, struct err *err)
{
    VEC(struct {
        json_t *value;
        struct src_pos pos;
    })
    values = {0};
    struct src_pos pos = {.line = 1, .column = 1};
    size_t at = 0;
    int result = 0;

    for (*ret_is_json = true; *ret_is_json;) {
        json_error_t where;
        json_t *value;
        size_t end;

        for (; at < len && isspace((unsigned char)text[at]); at++)
            pos.line += text[at] == '\n';
        if (at == len)
            break;
        value = json_loadb(text + at, len - at, JSON_DISABLE_EOF_CHECK | JSON_REJECT_DUPLICATES,
                           &where);
        if (!value) {
            *ret_is_json = false;
            break;
        }
        vec_push(&values, ((typeof(*values.items)){value, pos}));
        for (end = at + (size_t)where.position; at < end; at++)
            pos.line += text[at] == '\n';
    }
    for (size_t i = 0; i < values.len; i++) {
        const struct place place = {.source = source, .pos = values.items[i].pos};

        if (*ret_is_json && result == 0)
            result = add_value(list, &place, values.items[i].value, NULL, err);
        else
            json_decref(values.items[i].value);
    }
    vec_release(&values);
    return result;
}

static int report_diags(const char *source, struct diag_list *diags, struct err *err)
{
    const struct diag *first = NULL;

    diag_sort(diags);
    for (size_t i = 0; i < diags->len && !first; i++) {
        if (diags->items[i].severity == DIAG_ERROR)
            first = &diags->items[i];
    }
    if (!first)
        return err_set(err, ERR_INVALID, "%s cannot be read", source);
    if (!first->pos.line)
        return err_set(err, ERR_INVALID, "%s: %s", source, first->message);
    return err_set(err, ERR_INVALID, "%s:%u:%u: %s", source, first->pos.line, first->pos.column,
                   first->message);
}

static int add_yaml(struct manifest_list *list, const char *source, const char *text, size_t len,
                    struct err *err)
{
    CLEANUP_DIAG_LIST struct diag_list diags = {0};
    CLEANUP_YAML_TREE struct yaml_tree *tree = yaml_tree_parse(text, len, &limits, &diags);

    if (!tree || diags.error_count)
        return report_diags(source, &diags, err);
    for (size_t i = 0; i < tree->document_count; i++) {
        const struct yaml_node *node = tree->documents[i];
        const struct place place = {.source = source, .pos = node->pos};

        if (!yaml_node_is_null(node) &&
            add_value(list, &place, yaml_node_to_json(node), node, err) < 0)
            return -1;
    }
    return 0;
}

static bool begins_with_brace(const char *text)
{
    return text[strspn(text, " \t\r\n")] == '{';
}

int manifest_list_add_text(struct manifest_list *list, const char *source, const char *text,
                           size_t len, struct err *err)
{
    bool is_json = false;
    int result = 0;

    strvec_push(&list->sources, source);
    source = list->sources.items[list->sources.len - 1];
    if (len > MANIFEST_BYTES_MAX)
        return err_set(err, ERR_LIMIT, "%s is larger than %zu MiB", source,
                       MANIFEST_BYTES_MAX >> 20);
    /* Most of JSON is YAML, but neither tabs nor several values in a row are. */
    if (begins_with_brace(text))
        result = add_json(list, source, text, len, &is_json, err);
    return is_json ? result : add_yaml(list, source, text, len, err);
}

/* --- files --- */

static bool is_manifest_name(const char *name)
{
    static const char *const endings[] = {".yaml", ".yml", ".json"};
    const char *dot = strrchr(name, '.');

    for (size_t i = 0; dot && dot > name && i < sizeof(endings) / sizeof(*endings); i++) {
        if (strcmp(dot, endings[i]) == 0)
            return true;
    }
    return false;
}

static int add_file(struct manifest_list *list, const char *path, struct err *err)
{
    CLEANUP_BUF struct buf text = BUF_INIT;

    if (strcmp(path, "-") == 0) {
        if (fs_read_fd(0, "standard input", MANIFEST_BYTES_MAX, &text, err) < 0)
            return -1;
        path = "standard input";
    } else if (fs_read_file(path, MANIFEST_BYTES_MAX, &text, err) < 0) {
        return -1;
    }
    return manifest_list_add_text(list, path, text.data, text.len, err);
}

static int add_directory(struct manifest_list *list, const char *path, bool recursive,
                         struct err *err)
{
    struct dirent **entries;
    int count = scandir(path, &entries, NULL, alphasort);
    int result = 0;

    if (count < 0)
        return err_errno(err, "cannot read the directory %s", path);
    for (int i = 0; i < count; i++) {
        const char *name = entries[i]->d_name;
        CLEANUP_FREE char *inner = fs_join(path, name);

        if (result < 0 || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
            ;
        else if (entries[i]->d_type == DT_DIR)
            result = recursive ? add_directory(list, inner, true, err) : 0;
        else if (is_manifest_name(name) && !fs_is_directory(inner))
            result = add_file(list, inner, err);
        free(entries[i]);
    }
    free(entries);
    return result;
}

int manifest_list_add_path(struct manifest_list *list, const char *path, bool recursive,
                           struct err *err)
{
    const size_t before = list->sources.len;

    if (strcmp(path, "-") == 0 || !fs_is_directory(path))
        return add_file(list, path, err);
    if (add_directory(list, path, recursive, err) < 0)
        return -1;
    if (list->sources.len == before)
        return err_set(err, ERR_INVALID, "%s has no *.yaml, *.yml or *.json in it%s", path,
                       recursive ? "" : "; --recursive looks into the directories in it, too");
    return 0;
}

void manifest_list_release(struct manifest_list *list)
{
    vec_foreach (struct manifest *, m, &list->items) {
        json_decref(m->object);
        json_decref(m->live);
        free(m->ns);
        free(m->resource);
    }
    vec_release(&list->items);
    strvec_release(&list->sources);
    strvec_release(&list->identities);
    text_index_release(&list->index);
}
