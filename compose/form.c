/* The forms of attributes: what is written becomes what the model has. */
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/fs.h"
#include "base/nearest.h"
#include "compose/reader.h"

static bool is_tag(const struct yaml_node *node, const char *tag)
{
    return node->tag && strcmp(node->tag, tag) == 0;
}

json_t *compose_placed(struct compose_reader *r, const struct yaml_node *node, json_t *value)
{
    compose_places_set(r->places, value, r->file, node->pos,
                       is_tag(node, "!override") ? COMPOSE_TAG_OVERRIDE : COMPOSE_TAG_NONE);
    return value;
}

char *compose_path(const char *directory, const char *path)
{
    CLEANUP_FREE char *joined = NULL;
    const char *home = getenv("HOME");

    if (path[0] == '/')
        return xstrdup(path);
    if (path[0] == '~' && (path[1] == '/' || !path[1]) && home)
        joined = fs_join(home, path[1] ? path + 2 : "");
    else
        joined = fs_join(directory, path);
    return fs_absolute(joined);
}

const struct compose_attribute *compose_attribute_find(const struct compose_table *table,
                                                       const char *name)
{
    for (size_t i = 0; i < table->count; i++) {
        if (strcmp(table->rows[i].name, name) == 0)
            return &table->rows[i];
    }
    return NULL;
}

static bool expect(struct compose_reader *r, const struct node_path *path,
                   const struct yaml_node *node, enum yaml_kind kind)
{
    if (node->kind == kind)
        return true;
    compose_reader_error(r, path, node, "must be %s, not %s", yaml_kind_name(kind),
                         yaml_kind_name(node->kind));
    return false;
}

static bool is_remote(const char *text)
{
    static const char *const prefixes[] = {"git@", "github.com/", "service:", NULL};

    for (const char *const *prefix = prefixes; *prefix; prefix++) {
        if (strncmp(text, *prefix, strlen(*prefix)) == 0)
            return true;
    }
    return strstr(text, "://") != NULL;
}

static json_t *text_or_path(const struct compose_reader *r, const struct compose_attribute *a,
                            const char *text)
{
    CLEANUP_FREE char *absolute = NULL;

    if (!(a->flags & ATTRIBUTE_PATH) || !*text || (a->flags & ATTRIBUTE_URL && is_remote(text)))
        return json_string(text);
    absolute = compose_path(r->directory, text);
    return json_string(absolute);
}

/* Any scalar, as its text. */
static json_t *read_scalar_text(struct compose_reader *r, const struct node_path *path,
                                const struct yaml_node *node)
{
    CLEANUP_COMPOSE_SCALAR struct compose_scalar scalar = COMPOSE_SCALAR_INIT;

    if (compose_scalar_read(r, path, node, &scalar) < 0)
        return NULL;
    return json_stringn(scalar.text.data, scalar.text.len);
}

static json_t *read_string(struct compose_reader *r, const struct node_path *path,
                           const struct compose_attribute *a, const struct yaml_node *node)
{
    CLEANUP_FREE char *text = compose_read_string(r, path, node, a->form == FORM_TEXT);
    CLEANUP_BUF struct buf list = BUF_INIT;
    struct nearest nearest = {.text = text};

    if (!text)
        return NULL;
    for (const char *const *choice = a->choices; choice && *choice; choice++) {
        if (strcmp(*choice, text) == 0)
            return json_string(text);
        nearest_offer(&nearest, *choice);
        buf_addf(&list, "%s%s", list.len ? ", " : "", *choice);
    }
    if (a->choices) {
        if (nearest.best)
            compose_reader_error(r, path, node, "cannot be \"%s\"; did you mean \"%s\"?", text,
                                 nearest.best);
        else
            compose_reader_error(r, path, node, "cannot be \"%s\"; it is one of %s", text,
                                 list.data);
        return NULL;
    }
    return text_or_path(r, a, text);
}

static json_t *read_bool(struct compose_reader *r, const struct node_path *path,
                         const struct yaml_node *node)
{
    CLEANUP_COMPOSE_SCALAR struct compose_scalar scalar = COMPOSE_SCALAR_INIT;

    if (compose_scalar_read(r, path, node, &scalar) < 0)
        return NULL;
    if (scalar.kind == SCALAR_BOOL ||
        (scalar.kind == SCALAR_STRING && compose_parse_bool(scalar.text.data, &scalar.boolean)))
        return json_boolean(scalar.boolean);
    compose_reader_error(r, path, node, "must be true or false, not \"%s\"", scalar.text.data);
    return NULL;
}

/* A string is read as the number that it spells. */
static bool to_number(struct compose_scalar *scalar)
{
    char *end;

    if (scalar->kind == SCALAR_INTEGER || scalar->kind == SCALAR_NUMBER)
        return true;
    if (scalar->kind != SCALAR_STRING || !*scalar->text.data)
        return false;
    scalar->integer = strtoll(scalar->text.data, &end, 10);
    scalar->number = (double)scalar->integer;
    scalar->kind = SCALAR_INTEGER;
    if (!*end)
        return true;
    scalar->number = strtod(scalar->text.data, &end);
    scalar->kind = SCALAR_NUMBER;
    return !*end;
}

static json_t *read_number(struct compose_reader *r, const struct node_path *path,
                           const struct compose_attribute *a, const struct yaml_node *node)
{
    CLEANUP_COMPOSE_SCALAR struct compose_scalar scalar = COMPOSE_SCALAR_INIT;

    if (compose_scalar_read(r, path, node, &scalar) < 0)
        return NULL;
    if (a->form == FORM_COUNT && strcmp(scalar.text.data, "all") == 0)
        return json_integer(-1);
    if (!to_number(&scalar)) {
        compose_reader_error(r, path, node, "must be a number, not \"%s\"", scalar.text.data);
        return NULL;
    }
    if (scalar.kind == SCALAR_NUMBER && scalar.number == (double)(int64_t)scalar.number) {
        scalar.kind = SCALAR_INTEGER;
        scalar.integer = (int64_t)scalar.number;
    }
    if (scalar.kind == SCALAR_INTEGER)
        return json_integer(scalar.integer);
    if (a->form == FORM_NUMBER)
        return json_real(scalar.number);
    compose_reader_error(r, path, node, "must be a whole number, not \"%s\"", scalar.text.data);
    return NULL;
}

/* Of bytes, and of permissions. */
static json_t *read_quantity(struct compose_reader *r, const struct node_path *path,
                             const struct compose_attribute *a, const struct yaml_node *node)
{
    CLEANUP_COMPOSE_SCALAR struct compose_scalar scalar = COMPOSE_SCALAR_INIT;
    struct err err = ERR_INIT;
    int64_t value = 0;
    char *end;

    if (compose_scalar_read(r, path, node, &scalar) < 0)
        return NULL;
    if (scalar.kind == SCALAR_INTEGER) {
        value = scalar.integer;
    } else if (scalar.kind != SCALAR_STRING && scalar.kind != SCALAR_NUMBER) {
        compose_reader_error(r, path, node, "must be a number or a string");
        return NULL;
    } else if (a->form != FORM_BYTES) {
        value = strtoll(scalar.text.data, &end, 8);
        if (*end || !*scalar.text.data || value < 0) {
            compose_reader_error(r, path, node, "must be octal digits such as \"0440\", not \"%s\"",
                                 scalar.text.data);
            return NULL;
        }
    } else if (compose_parse_bytes(scalar.text.data, &value, &err) < 0) {
        compose_reader_error(r, path, node, "%s", err.message);
        return NULL;
    }
    if (a->form == FORM_MODE_INTEGER)
        return json_integer(value);
    return json_sprintf(a->form == FORM_MODE ? "0%llo" : "%lld", (long long)value);
}

static json_t *read_duration(struct compose_reader *r, const struct node_path *path,
                             const struct yaml_node *node)
{
    CLEANUP_FREE char *text = compose_read_string(r, path, node, false);
    CLEANUP_BUF struct buf shown = BUF_INIT;
    struct err err = ERR_INIT;
    int64_t ns;

    if (!text)
        return NULL;
    if (compose_parse_duration(text, &ns, &err) < 0) {
        compose_reader_error(r, path, node, "%s", err.message);
        return NULL;
    }
    compose_add_duration(&shown, ns);
    return json_string(shown.data);
}

static json_t *read_list(struct compose_reader *r, const struct node_path *path,
                         const struct compose_attribute *item, const struct yaml_node *node)
{
    json_t *list = json_array();

    for (uint32_t i = 0; i < node->len; i++) {
        const struct node_path at = {.up = path, .index = i};
        json_t *value;

        if (is_tag(node->items[i], "!reset"))
            continue;
        value = compose_read_value(r, &at, item, node->items[i]);
        if (value)
            json_array_append_new(list, value);
    }
    return list;
}

static json_t *read_strings(struct compose_reader *r, const struct node_path *path,
                            const struct compose_attribute *a, const struct yaml_node *node)
{
    const struct compose_attribute item = {.form = a->form == FORM_TEXTS ? FORM_TEXT : FORM_STRING,
                                           .flags = a->flags};

    if (a->form == FORM_STRING_OR_LIST && node->kind == YAML_KIND_SCALAR) {
        json_t *one = compose_read_value(r, path, &item, node);

        return one ? json_pack("[o]", one) : NULL;
    }
    return expect(r, path, node, YAML_KIND_SEQUENCE) ? read_list(r, path, &item, node) : NULL;
}

static json_t *read_command(struct compose_reader *r, const struct node_path *path,
                            const struct compose_attribute *a, const struct yaml_node *node)
{
    static const struct compose_attribute word = {.form = FORM_STRING};
    CLEANUP_FREE char *text = NULL;
    struct err err = ERR_INIT;
    const char *rest;
    json_t *words;

    if (yaml_node_is_null(node) && a->form == FORM_COMMAND)
        return json_null();
    if (node->kind == YAML_KIND_SEQUENCE)
        return read_list(r, path, &word, node);
    text = compose_read_string(r, path, node, false);
    if (!text)
        return NULL;
    if (a->form == FORM_TEST)
        return json_pack("[s, s]", "CMD-SHELL", text);
    words = json_array();
    if (compose_split_command(text, words, &rest, &err) < 0) {
        compose_reader_error(r, path, node, "%s", err.message);
    } else if (rest) {
        compose_reader_warn(r, path, node,
                            "no shell reads this: \"%c\" and what is behind it is left out; write "
                            "[\"sh\", \"-c\", \"…\"] or quote it",
                            *rest);
    }
    return words;
}

/* NAME=VALUE or NAME, as a member of a map. */
static void set_variable(struct compose_reader *r, const struct node_path *path,
                         const struct compose_attribute *a, const struct yaml_node *node,
                         json_t *map)
{
    CLEANUP_FREE char *text = compose_read_string(r, path, node, true);
    char *equals = text ? strchr(text, '=') : NULL;
    json_t *value;

    if (!text)
        return;
    if (equals)
        *equals = '\0';
    if (*text && strchr(" \t", text[strlen(text) - 1])) {
        compose_reader_error(r, path, node, "the name \"%s\" ends with a space", text);
        return;
    }
    if (!equals && a->form == FORM_VARIABLES)
        value = json_null();
    else
        value = compose_placed(r, node, text_or_path(r, a, equals ? equals + 1 : ""));
    json_object_set_new(map, text, value);
}

static json_t *read_map_value(struct compose_reader *r, const struct node_path *path,
                              const struct compose_attribute *a, const struct yaml_node *node)
{
    CLEANUP_COMPOSE_SCALAR struct compose_scalar scalar = COMPOSE_SCALAR_INIT;

    if (compose_scalar_read(r, path, node, &scalar) < 0)
        return NULL;
    if (scalar.kind == SCALAR_NULL && a->form == FORM_VARIABLES)
        return json_null();
    if (scalar.kind == SCALAR_NULL)
        return compose_placed(r, node, json_string(""));
    return compose_placed(r, node, text_or_path(r, a, scalar.text.data));
}

static json_t *reset_marker(struct compose_reader *r, const struct yaml_node *node)
{
    json_t *marker = json_object();

    compose_places_set(r->places, marker, r->file, node->pos, COMPOSE_TAG_RESET);
    return marker;
}

static json_t *read_variables(struct compose_reader *r, const struct node_path *path,
                              const struct compose_attribute *a, const struct yaml_node *node)
{
    json_t *map;

    if (node->kind == YAML_KIND_SEQUENCE && a->form != FORM_OPTIONS) {
        map = json_object();
        for (uint32_t i = 0; i < node->len; i++) {
            const struct node_path at = {.up = path, .index = i};

            set_variable(r, &at, a, node->items[i], map);
        }
        return map;
    }
    if (!expect(r, path, node, YAML_KIND_MAPPING))
        return NULL;
    map = json_object();
    for (uint32_t i = 0; i < node->len; i++) {
        const struct yaml_pair *pair = &node->pairs[i];
        const struct node_path at = {.up = path, .key = pair->key->text};
        json_t *value = is_tag(pair->value, "!reset") ? reset_marker(r, pair->value)
                                                      : read_map_value(r, &at, a, pair->value);

        if (value)
            json_object_set_new(map, pair->key->text, value);
    }
    return map;
}

static void add_host(struct compose_reader *r, const struct node_path *path,
                     const struct yaml_node *node, json_t *list, const char *host,
                     const char *address)
{
    size_t len = strlen(address);

    if (!*host || strpbrk(host, ":=")) {
        compose_reader_error(r, path, node, "\"%s\" is not the name of a host", host);
        return;
    }
    if (len > 2 && address[0] == '[' && address[len - 1] == ']') {
        address++;
        len -= 2;
    }
    json_array_append_new(list, compose_placed(r, node,
                                               json_sprintf("%s=%.*s", host, (int)len, address)));
}

static void add_addresses(struct compose_reader *r, const struct node_path *path,
                          const struct yaml_node *node, json_t *list, const char *host)
{
    if (node->kind == YAML_KIND_SEQUENCE) {
        for (uint32_t i = 0; i < node->len; i++) {
            const struct node_path at = {.up = path, .index = i};

            add_addresses(r, &at, node->items[i], list, host);
        }
    } else {
        CLEANUP_FREE char *address = compose_read_string(r, path, node, true);

        if (address)
            add_host(r, path, node, list, host, address);
    }
}

static json_t *read_hosts(struct compose_reader *r, const struct node_path *path,
                          const struct yaml_node *node)
{
    json_t *list = json_array();

    if (node->kind == YAML_KIND_MAPPING) {
        for (uint32_t i = 0; i < node->len; i++) {
            const struct node_path at = {.up = path, .key = node->pairs[i].key->text};

            add_addresses(r, &at, node->pairs[i].value, list, node->pairs[i].key->text);
        }
        return list;
    }
    if (!expect(r, path, node, YAML_KIND_SEQUENCE))
        return json_decref(list), NULL;
    for (uint32_t i = 0; i < node->len; i++) {
        const struct node_path at = {.up = path, .index = i};
        CLEANUP_FREE char *text = compose_read_string(r, &at, node->items[i], false);
        char *separator = text ? strchr(text, '=') : NULL;

        if (text && !separator)
            separator = strchr(text, ':');
        if (separator) {
            *separator = '\0';
            for (char *one = separator + 1; one;) {
                char *comma = strchr(one, ',');

                if (comma)
                    *comma = '\0';
                add_host(r, &at, node->items[i], list, text, one);
                one = comma ? comma + 1 : NULL;
            }
        } else if (text) {
            compose_reader_error(r, &at, node->items[i],
                                 "must be HOST=ADDRESS; \"%s\" has no address", text);
        }
    }
    return list;
}

json_t *compose_read_any(struct compose_reader *r, const struct node_path *path,
                         const struct yaml_node *node)
{
    CLEANUP_COMPOSE_SCALAR struct compose_scalar scalar = COMPOSE_SCALAR_INIT;
    json_t *value;

    if (is_tag(node, "!reset"))
        return reset_marker(r, node);
    if (node->kind == YAML_KIND_SCALAR) {
        if (compose_scalar_read(r, path, node, &scalar) < 0)
            return NULL;
        return compose_placed(r, node, compose_scalar_json(&scalar));
    }
    value = node->kind == YAML_KIND_MAPPING ? json_object() : json_array();
    for (uint32_t i = 0; i < node->len; i++) {
        const bool map = node->kind == YAML_KIND_MAPPING;
        const struct node_path at = {.up = path,
                                     .key = map ? node->pairs[i].key->text : NULL,
                                     .index = i};
        json_t *member = compose_read_any(r, &at, map ? node->pairs[i].value : node->items[i]);

        if (member && map)
            json_object_set_new(value, at.key, member);
        else if (member)
            json_array_append_new(value, member);
    }
    return compose_placed(r, node, value);
}

/* By the short form or the table. */
static json_t *read_entry(struct compose_reader *r, const struct node_path *path,
                          const struct compose_table *table, const struct yaml_node *node)
{
    if (node->kind != YAML_KIND_SCALAR || yaml_node_is_null(node))
        return compose_read_object(r, path, table, node);
    if (table->short_form)
        return table->short_form(r, path, node);
    compose_reader_error(r, path, node, "%s must be a map", table->name);
    return NULL;
}

static void append_entries(struct compose_reader *r, const struct node_path *path,
                           const struct compose_table *table, const struct yaml_node *node,
                           json_t *list)
{
    json_t *entry = read_entry(r, path, table, node);

    if (json_is_array(entry)) {
        json_array_extend(list, entry);
        json_decref(entry);
    } else if (entry) {
        json_array_append_new(list, entry);
    }
}

static json_t *read_objects(struct compose_reader *r, const struct node_path *path,
                            const struct compose_attribute *a, const struct yaml_node *node)
{
    json_t *list;

    if (node->kind == YAML_KIND_SCALAR && a->flags & ATTRIBUTE_ONE) {
        list = json_array();
        append_entries(r, path, a->table, node, list);
        return list;
    }
    if (!expect(r, path, node, YAML_KIND_SEQUENCE))
        return NULL;
    list = json_array();
    for (uint32_t i = 0; i < node->len; i++) {
        const struct node_path at = {.up = path, .index = i};

        if (!is_tag(node->items[i], "!reset"))
            append_entries(r, &at, a->table, node->items[i], list);
    }
    return list;
}

static json_t *read_names(struct compose_reader *r, const struct node_path *path,
                          const struct compose_attribute *a, const struct yaml_node *node)
{
    json_t *map = json_object();

    for (uint32_t i = 0; i < node->len; i++) {
        const struct node_path at = {.up = path, .index = i};
        CLEANUP_FREE char *name = compose_read_string(r, &at, node->items[i], false);
        json_t *value;

        if (!name)
            continue;
        value = a->table->short_form ? a->table->short_form(r, &at, node->items[i]) : json_null();
        json_object_set_new(map, name, value);
    }
    return map;
}

static bool is_extension(const char *name)
{
    return strncmp(name, "x-", 2) == 0;
}

static bool is_valid_name(const char *name)
{
    return *name && !name[strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                       "0123456789._-")];
}

static json_t *read_named(struct compose_reader *r, const struct node_path *path,
                          const struct compose_attribute *a, const struct yaml_node *node)
{
    json_t *map;

    if (node->kind == YAML_KIND_SEQUENCE && a->form == FORM_NAMES)
        return read_names(r, path, a, node);
    if (!expect(r, path, node, YAML_KIND_MAPPING))
        return NULL;
    map = json_object();
    for (uint32_t i = 0; i < node->len; i++) {
        const char *name = node->pairs[i].key->text;
        const struct yaml_node *value = node->pairs[i].value;
        const struct node_path at = {.up = path, .key = name};
        json_t *entry;

        if (!is_valid_name(name)) {
            compose_reader_error(r, &at, node->pairs[i].key,
                                 "\"%s\" is not a name of letters, digits, \".\", \"_\" and \"-\"",
                                 name);
            continue;
        }
        if (is_tag(value, "!reset"))
            entry = reset_marker(r, value);
        else if (yaml_node_is_null(value) && a->flags & ATTRIBUTE_NULL)
            entry = json_null();
        else
            entry = read_entry(r, &at, a->table, value);
        if (entry)
            json_object_set_new(map, name, entry);
    }
    return map;
}

static json_t *read_external(struct compose_reader *r, const struct node_path *path,
                             const struct yaml_node *node)
{
    const struct node_path at = {.up = path, .key = "name"};
    const struct yaml_node *name;
    CLEANUP_FREE char *text = NULL;

    if (node->kind != YAML_KIND_MAPPING)
        return read_bool(r, path, node);
    name = yaml_node_get(node, "name");
    if (!name)
        return json_true();
    compose_reader_warn(r, &at, name, "is deprecated; write external: true and name: beside it");
    text = compose_read_string(r, &at, name, false);
    return text ? json_string(text) : NULL;
}

static json_t *read_ulimits(struct compose_reader *r, const struct node_path *path,
                            const struct compose_attribute *a, const struct yaml_node *node)
{
    static const struct compose_attribute single = {.form = FORM_INTEGER};
    json_t *map;

    if (!expect(r, path, node, YAML_KIND_MAPPING))
        return NULL;
    map = json_object();
    for (uint32_t i = 0; i < node->len; i++) {
        const struct yaml_node *value = node->pairs[i].value;
        const struct node_path at = {.up = path, .key = node->pairs[i].key->text};
        json_t *limit = is_tag(value, "!reset") ? reset_marker(r, value)
                        : value->kind == YAML_KIND_MAPPING
                            ? compose_read_object(r, &at, a->table, value)
                            : compose_read_value(r, &at, &single, value);

        /* As Docker Compose writes it; any other number stays one. */
        if (json_is_integer(limit) && json_integer_value(limit) == 0) {
            json_decref(limit);
            limit = json_pack("{s:i, s:i}", "soft", 0, "hard", 0);
        }
        if (limit)
            json_object_set_new(map, at.key, limit);
    }
    return map;
}

static json_t *read_gpus(struct compose_reader *r, const struct node_path *path,
                         const struct compose_attribute *a, const struct yaml_node *node)
{
    CLEANUP_FREE char *text = NULL;

    if (node->kind != YAML_KIND_SCALAR)
        return read_objects(r, path, a, node);
    text = compose_read_string(r, path, node, false);
    if (text && strcmp(text, "all") == 0)
        return json_pack("[{s:i}]", "count", -1);
    if (text)
        compose_reader_error(r, path, node, "must be \"all\" or a list");
    return NULL;
}

static json_t *read_form(struct compose_reader *r, const struct node_path *path,
                         const struct compose_attribute *a, const struct yaml_node *node)
{
    switch ((enum compose_form)a->form) {
    case FORM_STRING:
    case FORM_TEXT:
        return read_string(r, path, a, node);
    case FORM_SCALAR:
        return read_scalar_text(r, path, node);
    case FORM_BOOL:
        return read_bool(r, path, node);
    case FORM_INTEGER:
    case FORM_NUMBER:
    case FORM_COUNT:
        return read_number(r, path, a, node);
    case FORM_BYTES:
    case FORM_MODE:
    case FORM_MODE_INTEGER:
        return read_quantity(r, path, a, node);
    case FORM_DURATION:
        return read_duration(r, path, node);
    case FORM_COMMAND:
    case FORM_TEST:
        return read_command(r, path, a, node);
    case FORM_STRINGS:
    case FORM_TEXTS:
    case FORM_STRING_OR_LIST:
        return read_strings(r, path, a, node);
    case FORM_HOSTS:
        return read_hosts(r, path, node);
    case FORM_VARIABLES:
    case FORM_LABELS:
    case FORM_OPTIONS:
        return read_variables(r, path, a, node);
    case FORM_OBJECT:
        return read_entry(r, path, a->table, node);
    case FORM_OBJECTS:
        return read_objects(r, path, a, node);
    case FORM_NAMED:
    case FORM_NAMES:
        return read_named(r, path, a, node);
    case FORM_EXTERNAL:
        return read_external(r, path, node);
    case FORM_GPUS:
        return read_gpus(r, path, a, node);
    case FORM_ULIMITS:
        return read_ulimits(r, path, a, node);
    case FORM_ANY:
        return compose_read_any(r, path, node);
    case FORM_COUNT_OF_FORMS:
        break;
    }
    return NULL;
}

json_t *compose_read_value(struct compose_reader *r, const struct node_path *path,
                           const struct compose_attribute *attribute, const struct yaml_node *node)
{
    json_t *value;

    if (is_tag(node, "!reset") || (is_tag(node, "!override") && yaml_node_is_null(node)))
        return reset_marker(r, node);
    if (node->tag && *node->tag == '!' && node->tag[1] && !is_tag(node, "!override")) {
        compose_reader_error(r, path, node, "the tag \"%s\" is not known", node->tag);
        return NULL;
    }
    value = read_form(r, path, attribute, node);
    return value ? compose_placed(r, node, value) : NULL;
}

static void complain_unknown(struct compose_reader *r, const struct node_path *path,
                             const struct compose_table *table, const struct yaml_node *key)
{
    struct nearest nearest = {.text = key->text};

    for (size_t i = 0; i < table->count; i++)
        nearest_offer(&nearest, table->rows[i].name);
    if (nearest.best)
        compose_reader_error(r, path, key, "unknown attribute \"%s\" in %s; did you mean \"%s\"?",
                             key->text, table->name, nearest.best);
    else
        compose_reader_error(r, path, key, "unknown attribute \"%s\" in %s", key->text,
                             table->name);
}

/* What the target makes of an attribute; false: it refuses it. */
static bool is_supported(struct compose_reader *r, const struct node_path *path,
                         const struct compose_attribute *a, const struct yaml_node *key)
{
    static const struct {
        unsigned ignored;
        unsigned refused;
        unsigned shown; /* refused, but that is only a warning */
    } targets[] = {
        [COMPOSE_TARGET_DOCKER] = {IGNORED_BY_DOCKER, REFUSED_BY_DOCKER, 0},
        [COMPOSE_TARGET_SWARM] = {IGNORED_BY_SWARM, REFUSED_BY_SWARM, 0},
        [COMPOSE_TARGET_ANY] = {IGNORED_BY_DOCKER, 0, REFUSED_BY_DOCKER},
    };

    if (a->flags & targets[r->target].refused) {
        compose_reader_error(r, path, key, "\"%s\" is not supported: %s", a->name, a->why);
        return false;
    }
    if (a->flags & targets[r->target].shown)
        compose_reader_warn(r, path, key, "\"%s\" is not supported: %s", a->name, a->why);
    else if (a->flags & targets[r->target].ignored)
        compose_reader_warn(r, path, key, "\"%s\" is ignored: %s", a->name, a->why);
    return true;
}

static void read_member(struct compose_reader *r, const struct node_path *path,
                        const struct compose_table *table, const struct yaml_pair *pair,
                        json_t *object)
{
    const char *name = pair->key->text;
    const struct compose_attribute *a = compose_attribute_find(table, name);
    json_t *value = NULL;

    if (!a && is_extension(name)) {
        value = compose_read_any(r, path, pair->value);
    } else if (!a) {
        complain_unknown(r, path->up, table, pair->key);
    } else if (yaml_node_is_null(pair->value) && !pair->value->tag && a->form != FORM_COMMAND) {
        return; /* as if it were not there */
    } else if (is_supported(r, path, a, pair->key)) {
        value = compose_read_value(r, path, a, pair->value);
    }
    if (value)
        json_object_set_new(object, name, value);
}

json_t *compose_read_object(struct compose_reader *r, const struct node_path *path,
                            const struct compose_table *table, const struct yaml_node *node)
{
    json_t *object;

    if (!yaml_node_is_null(node) && node->kind != YAML_KIND_MAPPING) {
        compose_reader_error(r, path, node, "%s must be a map, not %s", table->name,
                             yaml_kind_name((enum yaml_kind)node->kind));
        return NULL;
    }
    object = compose_placed(r, node, json_object());
    for (uint32_t i = 0; node->kind == YAML_KIND_MAPPING && i < node->len; i++) {
        const struct node_path at = {.up = path, .key = node->pairs[i].key->text};

        read_member(r, &at, table, &node->pairs[i], object);
    }
    for (size_t i = 0; i < table->count; i++) {
        const struct compose_attribute *a = &table->rows[i];
        const struct yaml_node *written = yaml_node_get(node, a->name);

        /* What could not be read has been complained about. */
        if (a->flags & ATTRIBUTE_REQUIRED && !json_object_get(object, a->name) &&
            (!written || yaml_node_is_null(written)))
            compose_reader_error(r, path, node, "%s needs \"%s\"", table->name, a->name);
    }
    if (table->check)
        table->check(r, path, node, object);
    return object;
}
