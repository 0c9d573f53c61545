#include "step/plugin_schema.h"

#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/nearest.h"
#include "base/parse.h"

#define VALUE_SHOWN 60

struct plugin_schema {
    json_t *root;       /* owns all below */
    json_t *properties; /* NULL: none */
    json_t *required;   /* NULL: none */
    bool additional;    /* settings that are not among the properties are taken */
};

/* --- what a schema may hold --- */

/* A word of a schema; `is_valid` NULL: any value, as it means nothing here. */
struct keyword {
    const char *name;
    bool (*is_valid)(const json_t *value);
    const char *expected;
};

enum type {
    TYPE_STRING = 1 << 0,
    TYPE_INTEGER = 1 << 1,
    TYPE_NUMBER = 1 << 2,
    TYPE_BOOLEAN = 1 << 3,
    TYPE_ARRAY = 1 << 4,
    TYPE_OBJECT = 1 << 5,
};

static const struct {
    const char *name;
    const char *with_article;
    enum type type;
} types[] = {
    {"string", "a string", TYPE_STRING}, {"integer", "an integer", TYPE_INTEGER},
    {"number", "a number", TYPE_NUMBER}, {"boolean", "true or false", TYPE_BOOLEAN},
    {"array", "a list", TYPE_ARRAY},     {"object", "a map", TYPE_OBJECT},
};

enum { TYPE_COUNT = sizeof(types) / sizeof(*types) };

static int type_of_name(const json_t *name)
{
    for (size_t i = 0; json_is_string(name) && i < TYPE_COUNT; i++) {
        if (strcmp(json_string_value(name), types[i].name) == 0)
            return (int)types[i].type;
    }
    return 0;
}

/* The types that a property may have, as a set; 0: not a valid `type`. */
static int types_of(const json_t *value)
{
    int set = 0;
    size_t i;
    json_t *item;

    if (!json_is_array(value))
        return type_of_name(value);
    json_array_foreach (value, i, item) {
        if (!type_of_name(item))
            return 0;
        set |= type_of_name(item);
    }
    return set;
}

static bool is_type(const json_t *value)
{
    return types_of(value) != 0;
}

static bool is_object_type(const json_t *value)
{
    return types_of(value) == TYPE_OBJECT;
}

static bool is_scalar(const json_t *value)
{
    return json_is_string(value) || json_is_number(value) || json_is_boolean(value);
}

static bool is_enum(const json_t *value)
{
    size_t i;
    json_t *item;

    json_array_foreach (value, i, item) {
        if (!is_scalar(item))
            return false;
    }
    return json_array_size(value) > 0;
}

static bool is_names(const json_t *value)
{
    size_t i;
    json_t *item;

    json_array_foreach (value, i, item) {
        if (!json_is_string(item))
            return false;
    }
    return json_is_array(value);
}

static bool is_map(const json_t *value)
{
    return json_is_object(value);
}

static bool is_number(const json_t *value)
{
    return json_is_number(value);
}

static bool is_length(const json_t *value)
{
    return json_is_integer(value) && json_integer_value(value) >= 0;
}

static bool is_boolean(const json_t *value)
{
    return json_is_boolean(value);
}

static const struct keyword schema_keywords[] = {
    {"type", is_object_type, "\"object\""},
    {"properties", is_map, "a map"},
    {"required", is_names, "a list of names"},
    {"additionalProperties", is_boolean, "true or false"},
    {"$schema", NULL, NULL},
    {"$id", NULL, NULL},
    {"$comment", NULL, NULL},
    {"title", NULL, NULL},
    {"description", NULL, NULL},
    {0},
};

static const struct keyword property_keywords[] = {
    {"type", is_type, "string, integer, number, boolean, array, object, or a list of these"},
    {"enum", is_enum, "a list of strings, numbers or booleans"},
    {"default", NULL, NULL},
    {"minimum", is_number, "a number"},
    {"maximum", is_number, "a number"},
    {"minLength", is_length, "a length"},
    {"maxLength", is_length, "a length"},
    {"writeOnly", is_boolean, "true or false"},
    {"$comment", NULL, NULL},
    {"title", NULL, NULL},
    {"description", NULL, NULL},
    {"examples", NULL, NULL},
    {0},
};

static int check_keywords(const json_t *map, const struct keyword *keywords, const char *where,
                          struct err *err)
{
    const char *key;
    json_t *value;

    json_object_foreach ((json_t *)map, key, value) {
        const struct keyword *keyword = keywords;

        while (keyword->name && strcmp(keyword->name, key) != 0)
            keyword++;
        if (!keyword->name)
            return err_set(err, ERR_INVALID, "%s: \"%s\" is not supported", where, key);
        if (keyword->is_valid && !keyword->is_valid(value))
            return err_set(err, ERR_INVALID, "%s: \"%s\" must be %s", where, key,
                           keyword->expected);
    }
    return 0;
}

static int check_properties(const struct plugin_schema *schema, struct err *err)
{
    const char *name;
    json_t *property;

    json_object_foreach (schema->properties, name, property) {
        CLEANUP_FREE char *where = xasprintf("setting \"%.100s\"", name);

        if (!json_is_object(property))
            return err_set(err, ERR_INVALID, "%s must be a map", where);
        if (check_keywords(property, property_keywords, where, err) < 0)
            return -1;
    }
    return 0;
}

static int check_required(const struct plugin_schema *schema, struct err *err)
{
    size_t i;
    json_t *name;

    json_array_foreach (schema->required, i, name) {
        if (!json_object_get(schema->properties, json_string_value(name)))
            return err_set(err, ERR_INVALID, "\"required\" names \"%.100s\", which is no setting",
                           json_string_value(name));
    }
    return 0;
}

int plugin_schema_parse(const char *text, struct plugin_schema **ret, struct err *err)
{
    CLEANUP_PLUGIN_SCHEMA struct plugin_schema *schema = xcalloc(1, sizeof(*schema));
    json_error_t where;

    schema->root = json_loads(text, JSON_REJECT_DUPLICATES, &where);
    if (!schema->root)
        return err_set(err, ERR_INVALID, "it is not JSON: %s (line %d, column %d)", where.text,
                       where.line, where.column);
    if (!json_is_object(schema->root))
        return err_set(err, ERR_INVALID, "it must be a map");
    if (check_keywords(schema->root, schema_keywords, "the schema", err) < 0)
        return -1;
    schema->properties = json_object_get(schema->root, "properties");
    schema->required = json_object_get(schema->root, "required");
    schema->additional = json_is_true(json_object_get(schema->root, "additionalProperties"));
    if (check_properties(schema, err) < 0 || check_required(schema, err) < 0)
        return -1;
    *ret = steal_ptr(&schema);
    return 0;
}

void plugin_schema_free(struct plugin_schema *schema)
{
    if (!schema)
        return;
    json_decref(schema->root);
    free(schema);
}

/* --- checking settings --- */

struct check {
    const struct plugin_schema *schema;
    void (*problem)(void *arg, const char *text);
    void *arg;
    size_t count;
};

static void report(struct check *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void report(struct check *c, const char *fmt, ...)
{
    CLEANUP_BUF struct buf text = BUF_INIT;
    va_list args;

    va_start(args, fmt);
    buf_vaddf(&text, fmt, args);
    va_end(args);
    c->count++;
    c->problem(c->arg, text.data);
}

/* The whole of the text as a number that is one. */
static bool to_number(const char *text, double *ret)
{
    char *end;

    if (!*text || strspn(text, "0123456789+-.eE") != strlen(text))
        return false;
    *ret = strtod(text, &end);
    return !*end && isfinite(*ret);
}

static bool is_json(const char *text, enum type type)
{
    json_t *value = json_loads(text, 0, NULL);
    bool matches = type == TYPE_ARRAY ? json_is_array(value) : json_is_object(value);

    json_decref(value);
    return matches;
}

static bool has_type(const char *text, enum type type)
{
    int64_t integer;
    double number;

    switch (type) {
    case TYPE_STRING:
        return true;
    case TYPE_INTEGER:
        return parse_int64(text, &integer, NULL) == 0;
    case TYPE_NUMBER:
        return to_number(text, &number);
    case TYPE_BOOLEAN:
        return strcmp(text, "true") == 0 || strcmp(text, "false") == 0;
    case TYPE_ARRAY:
    case TYPE_OBJECT:
        return is_json(text, type);
    }
    return false;
}

static bool has_one_of(const char *text, int set)
{
    for (size_t i = 0; i < TYPE_COUNT; i++) {
        if ((set & (int)types[i].type) && has_type(text, types[i].type))
            return true;
    }
    return false;
}

/* How a value of JSON looks as a setting; the caller frees. */
static char *as_text(const json_t *value)
{
    if (json_is_string(value))
        return xstrdup(json_string_value(value));
    return json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY | JSON_REAL_PRECISION(15));
}

static bool is_among(const json_t *choices, const char *text)
{
    size_t i;
    json_t *choice;

    json_array_foreach (choices, i, choice) {
        CLEANUP_FREE char *known = as_text(choice);

        if (known && strcmp(known, text) == 0)
            return true;
    }
    return false;
}

/* ", not \"VALUE\"", unless it is secret. */
static void add_found(struct buf *out, const json_t *property, const char *text)
{
    bool cut = strlen(text) > VALUE_SHOWN;

    if (!json_is_true(json_object_get(property, "writeOnly")))
        buf_addf(out, ", not \"%.*s%s\"", VALUE_SHOWN, text, cut ? "…" : "");
}

static void report_value(struct check *c, const char *name, const json_t *property,
                         const char *text, struct buf *expected)
{
    add_found(expected, property, text);
    report(c, "the setting \"%s\" must be %s", name, expected->data);
}

static void add_types(struct buf *out, int set)
{
    for (size_t i = 0; i < TYPE_COUNT; i++) {
        if (set & (int)types[i].type)
            buf_addf(out, "%s%s", out->len ? " or " : "", types[i].with_article);
    }
}

static void add_choices(struct buf *out, const json_t *choices)
{
    size_t i;
    json_t *choice;

    buf_addstr(out, json_array_size(choices) > 1 ? "one of " : "");
    json_array_foreach (choices, i, choice) {
        CLEANUP_FREE char *known = as_text(choice);

        buf_addf(out, "%s%s", i ? ", " : "", known ? known : "");
    }
}

/* Whether a limit of the property is crossed; says what is expected then. */
static bool crosses_limit(const json_t *property, const char *text, struct buf *expected)
{
    const json_t *minimum = json_object_get(property, "minimum");
    const json_t *maximum = json_object_get(property, "maximum");
    const json_t *shortest = json_object_get(property, "minLength");
    const json_t *longest = json_object_get(property, "maxLength");
    size_t len = 0;
    double number;

    for (const char *c = text; *c; c++)
        len += ((unsigned char)*c & 0xc0) != 0x80; /* characters, not bytes */
    if ((minimum || maximum) && to_number(text, &number)) {
        if (minimum && number < json_number_value(minimum))
            buf_addf(expected, "at least %.15g", json_number_value(minimum));
        else if (maximum && number > json_number_value(maximum))
            buf_addf(expected, "at most %.15g", json_number_value(maximum));
    }
    if (!expected->len && shortest && len < (size_t)json_integer_value(shortest))
        buf_addf(expected, "at least %" JSON_INTEGER_FORMAT " characters long",
                 json_integer_value(shortest));
    if (!expected->len && longest && len > (size_t)json_integer_value(longest))
        buf_addf(expected, "at most %" JSON_INTEGER_FORMAT " characters long",
                 json_integer_value(longest));
    return expected->len > 0;
}

static void check_value(struct check *c, const char *name, const json_t *property, const char *text)
{
    const json_t *type = json_object_get(property, "type");
    const json_t *choices = json_object_get(property, "enum");
    CLEANUP_BUF struct buf expected = BUF_INIT;

    if (type && !has_one_of(text, types_of(type)))
        add_types(&expected, types_of(type));
    else if (choices && !is_among(choices, text))
        add_choices(&expected, choices);
    else if (!crosses_limit(property, text, &expected))
        return;
    report_value(c, name, property, text, &expected);
}

static void check_unknown(struct check *c, const char *name)
{
    struct nearest nearest = {.text = name};
    CLEANUP_BUF struct buf known = BUF_INIT;
    const char *property;
    json_t *value;

    json_object_foreach (c->schema->properties, property, value) {
        nearest_offer(&nearest, property);
        buf_addf(&known, "%s%s", known.len ? ", " : "", property);
    }
    if (nearest.best)
        report(c, "the plugin has no setting \"%s\"; did you mean \"%s\"?", name, nearest.best);
    else if (known.len)
        report(c, "the plugin has no setting \"%s\"; it has %s", name, known.data);
    else
        report(c, "the plugin has no setting \"%s\", nor any other", name);
}

static bool is_required(const struct plugin_schema *schema, const char *name)
{
    size_t i;
    json_t *required;

    json_array_foreach (schema->required, i, required) {
        if (strcmp(json_string_value(required), name) == 0)
            return true;
    }
    return false;
}

/* An empty one counts as not given, as everywhere in the file, unless it may be an empty string. */
static bool is_given(const char *text, const json_t *property, bool required)
{
    const json_t *type = json_object_get(property, "type");

    if (!text || *text)
        return text != NULL;
    return !required && (!type || (types_of(type) & TYPE_STRING));
}

static void report_missing(struct check *c, const char *name, const json_t *property)
{
    const char *meaning = json_string_value(json_object_get(property, "description"));

    if (meaning)
        report(c, "the setting \"%s\" is missing: %s", name, meaning);
    else
        report(c, "the setting \"%s\" is missing", name);
}

size_t plugin_schema_check(const struct plugin_schema *schema, const struct strmap *settings,
                           struct strmap *defaults, void (*problem)(void *arg, const char *text),
                           void *arg)
{
    struct check c = {.schema = schema, .problem = problem, .arg = arg};
    const char *name;
    json_t *property;

    json_object_foreach (schema->properties, name, property) {
        const char *text = strmap_get(settings, name);
        const json_t *value = json_object_get(property, "default");
        bool required = is_required(schema, name) && !value;
        CLEANUP_FREE char *standard = NULL;

        if (is_given(text, property, required)) {
            check_value(&c, name, property, text);
        } else if (value) {
            standard = as_text(value);
            strmap_set(defaults, name, standard ? standard : "");
        } else if (required) {
            report_missing(&c, name, property);
        }
    }
    strmap_foreach (setting, settings) {
        if (!schema->additional && !json_object_get(schema->properties, setting->key))
            check_unknown(&c, setting->key);
    }
    return c.count;
}
