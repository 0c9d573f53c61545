/* Every table that is reached from the pipeline becomes a definition; shared parts become
 * properties of each table that has them, because "additionalProperties" of one schema does not see
 * the properties of another. What is not a map is one of the basic definitions, or made of them.
 *
 * A key whose value counts as not set (null, "" and 0) may stand wherever the key may. */
#include "load/schema.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/parse.h"
#include "load/pipeline_tables.h"

#define SCHEMA_DIALECT "https://json-schema.org/draft/2020-12/schema"
#define SCALAR         "\"type\": [\"string\", \"number\", \"boolean\", \"null\"]"
#define NUMBER         "[0-9]+(\\\\.[0-9]*)?"
#define DURATION_UNIT                                                                              \
    "([Mm][Ss]|[Ss]([Ee][Cc]([Oo][Nn][Dd][Ss]?)?)?|[Mm]([Ii][Nn]([Uu][Tt][Ee][Ss]?)?)?|"           \
    "[Hh]([Oo][Uu][Rr][Ss]?)?|[Dd]([Aa][Yy][Ss]?)?|[Ww]([Ee][Ee][Kk][Ss]?)?)"
#define QUANTITY  "\\\\+?([0-9]+(\\\\.[0-9]*)?|\\\\.[0-9]+)([numkMGTPE]|[KMGTPE]i|[eE][+-]?[0-9]+)?"
#define TEMPLATE  "\\\\$\\\\{|\\\\{\\\\{"
#define EXIT_CODE "0*([1-9]|[1-9][0-9]|1[0-9][0-9]|2[0-4][0-9]|25[0-5])"

/* Patterns and bounds are those of base/parse.c, load/decode_value.c and load/kubernetes_check.c.
 */
static const char basics[] =
    "{\"unset\": {\"description\": \"As if the key were not there\","
    "             \"enum\": [null, \"\", 0, \"0\"]},"
    " \"text\": {\"type\": [\"string\", \"number\", \"boolean\"]},"
    " \"identifier\": {\"type\": [\"string\", \"boolean\"],"
    "                  \"pattern\": \"^[A-Za-z_][A-Za-z0-9_-]*$\"},"
    " \"expression\": {\"type\": [\"string\", \"number\", \"boolean\"]},"
    " \"values\": {\"anyOf\": [{" SCALAR "}, {\"type\": \"array\", \"items\": {" SCALAR "}}]},"
    " \"variables\": {\"type\": \"object\","
    "                 \"propertyNames\": {\"pattern\": \"^[^=]+$\"},"
    "                 \"additionalProperties\": {" SCALAR "}},"
    " \"settings\": {\"type\": \"object\","
    "                \"propertyNames\": {\"pattern\": \"^[^=]+$\"}},"
    " \"combinations\": {\"type\": \"array\", \"items\": {\"$ref\": \"#/$defs/variables\"}},"
    " \"alternatives\": {\"type\": \"object\","
    "                    \"additionalProperties\": {\"$ref\": \"#/$defs/values\"}},"
    " \"boolean\": {\"anyOf\": [{\"type\": \"boolean\"}, {\"type\": \"string\", \"pattern\":"
    "  "
    "\"^([Tt][Rr][Uu][Ee]|[Ff][Aa][Ll][Ss][Ee]|[Yy][Ee][Ss]|[Nn][Oo]|[Oo][Nn]|[Oo][Ff][Ff])$\"}]},"
    " \"exit-code\": {\"anyOf\": [{\"type\": \"integer\", \"minimum\": 1, \"maximum\": 255},"
    "  {\"type\": \"string\", \"pattern\": \"^\\\\+?" EXIT_CODE "$\"}]},"
    " \"failures\": {\"anyOf\": [{\"$ref\": \"#/$defs/boolean\"}, {\"$ref\": "
    "\"#/$defs/exit-code\"},"
    "  {\"type\": \"array\", \"items\": {\"$ref\": \"#/$defs/exit-code\"}}]},"
    " \"outcome\": {\"enum\": [\"success\", \"failure\"]},"
    " \"outcomes\": {\"anyOf\": [{\"$ref\": \"#/$defs/outcome\"},"
    "  {\"type\": \"array\", \"items\": {\"$ref\": \"#/$defs/outcome\"}}]},"
    " \"cause\": {\"anyOf\": [{\"$ref\": \"#/$defs/exit-code\"},"
    "  {\"enum\": [\"timeout\", \"lost\", \"oom\", \"image_pull\", \"engine\", \"evicted\", "
    "\"unschedulable\"]}]},"
    " \"causes\": {\"anyOf\": [{\"$ref\": \"#/$defs/cause\"},"
    "  {\"type\": \"array\", \"items\": {\"$ref\": \"#/$defs/cause\"}}]},"
    " \"count\": {\"anyOf\": [{\"type\": \"integer\", \"minimum\": 0},"
    "  {\"type\": \"string\", \"pattern\": \"^\\\\+?[0-9]+$\"}]},"
    " \"duration\": {\"description\": \"Seconds, or 500ms, 90s, 10m, 1h30m, 7d\","
    "  \"anyOf\": [{\"type\": \"number\", \"minimum\": 0},"
    "  {\"type\": \"string\", \"pattern\":"
    "   \"^(" NUMBER "|(" NUMBER " *" DURATION_UNIT " *)+)$\"}]},"
    " \"size\": {\"description\": \"Bytes, or 64k, 512m, 2g\","
    "  \"anyOf\": [{\"type\": \"number\", \"minimum\": 0},"
    "  {\"type\": \"string\", \"pattern\":"
    "   \"^" NUMBER " *([Bb]|[KkMmGgTt]([Ii]|[Ii]?[Bb])?)?$\"}]},"
    " \"decimal\": {\"anyOf\": [{\"type\": \"number\", \"minimum\": 0},"
    "  {\"type\": \"string\", \"pattern\": \"^" NUMBER "$\"}]},"
    " \"portion\": {\"description\": \"A number, or a percentage such as 30%\","
    "  \"anyOf\": [{\"type\": \"integer\", \"minimum\": 0},"
    "  {\"type\": \"string\", \"pattern\": \"^([0-9]+|0*([0-9]{1,2}|100)%)$|" TEMPLATE "\"}]},"
    " \"portions\": {\"anyOf\": [{\"$ref\": \"#/$defs/portion\"},"
    "  {\"type\": \"array\", \"items\": {\"$ref\": \"#/$defs/portion\"}}]},"
    " \"map\": {\"type\": \"object\"},"
    " \"list\": {\"type\": \"array\"},"
    " \"map-or-list\": {\"type\": [\"object\", \"array\"]},"
    " \"quantity\": {\"description\": \"A quantity of Kubernetes, such as 500m or 1Gi\","
    "  \"anyOf\": [{\"type\": \"number\", \"minimum\": 0},"
    "  {\"type\": \"string\", \"pattern\": \"^(" QUANTITY ")$|" TEMPLATE "\"}]},"
    " \"quantities\": {\"type\": \"object\","
    "                  \"propertyNames\": {\"pattern\": \"^[^=]+$\"},"
    "                  \"additionalProperties\": {\"$ref\": \"#/$defs/quantity\"}},"
    " \"mount-path\": {\"type\": \"string\", \"pattern\": \"^/+[^/:][^:]*$|" TEMPLATE "\"}}";

_Static_assert(FIELD_KIND_COUNT == 26, "every kind of field needs a schema here");

/* The definition that a kind of field is; the other kinds are made of several. */
static const char *const definitions[FIELD_KIND_COUNT] = {
    [FIELD_STRING] = "text",          [FIELD_TEXT] = "text",
    [FIELD_NAME] = "identifier",      [FIELD_EXPRESSION] = "expression",
    [FIELD_SCRIPT] = "values",        [FIELD_STRINGS] = "values",
    [FIELD_PAIRS] = "variables",      [FIELD_PAIRS_LIST] = "combinations",
    [FIELD_MATCHES] = "alternatives", [FIELD_FAILURES] = "failures",
    [FIELD_BOOL] = "boolean",         [FIELD_COUNT] = "count",
    [FIELD_DURATION] = "duration",    [FIELD_SIZE] = "size",
    [FIELD_MILLI] = "decimal",        [FIELD_JSON] = "map-or-list",
    [FIELD_JSON_MAP] = "map",         [FIELD_JSON_LIST] = "list",
};

/* A kind says less than the check of a row where that has its own definition. */
static const char *definition_of(const struct field *field)
{
    bool is_map = field->kind == FIELD_PAIRS;

    return field->check == check_status                 ? "outcomes"
           : field->check == check_retry_cause          ? "causes"
           : field->check == check_portion              ? "portion"
           : field->check == check_batch                ? "portions"
           : field->check == check_mount                ? "mount-path"
           : field->check == check_quantity && is_map   ? "quantities"
           : field->check == check_quantity             ? "quantity"
           : is_map && field->flags & FIELD_JSON_VALUES ? "settings"
                                                        : definitions[field->kind];
}

static void add_table(json_t *defs, const struct table *table);
static void add_value(json_t *alternatives, json_t *defs, const struct field *field);

static json_t *reference_to(const char *definition)
{
    return json_pack("{s: s+}", "$ref", "#/$defs/", definition);
}

/* The schema of several alternatives, which are taken over; of one it is that itself. */
static json_t *any_of(json_t *alternatives)
{
    json_t *only;

    if (json_array_size(alternatives) > 1)
        return json_pack("{s: o}", "anyOf", alternatives);
    only = json_incref(json_array_get(alternatives, 0));
    json_decref(alternatives);
    return only;
}

/* A map, or what may stand for it. */
static void add_object(json_t *alternatives, json_t *defs, const struct table *table)
{
    add_table(defs, table);
    json_array_append_new(alternatives, reference_to(table->name));
    if (table->short_form)
        add_value(alternatives, defs, table->short_form);
}

static void add_objects(json_t *alternatives, json_t *defs, const struct field *field)
{
    json_t *items = json_array();
    json_t *list;

    add_object(items, defs, field->table);
    if (field->flags & FIELD_ONE)
        json_array_extend(alternatives, items);
    list = json_pack("{s: s, s: o}", "type", "array", "items", any_of(items));
    if (!(field->flags & FIELD_EMPTY))
        json_object_set_new(list, "minItems", json_integer(1));
    json_array_append_new(alternatives, list);
}

static json_t *choice_of(const struct field *field)
{
    json_t *names = json_array();
    int64_t number;

    for (const struct enum_name *row = field->names; row->name && row->value != ENUM_PLANNED;
         row++) {
        json_array_append_new(names, json_string(row->name));
        if (parse_int64(row->name, &number, NULL) == 0)
            json_array_append_new(names, json_integer(number)); /* not in quotes */
    }
    return json_pack("{s: o}", "enum", names);
}

static json_t *choices_of(const struct field *field)
{
    return json_pack("{s: s, s: o, s: i, s: i}", "type", "array", "items", choice_of(field),
                     "minItems", 1, "maxItems", FIELD_ENUMS_MAX);
}

/* A map from names to objects, each of which may be left out. */
static void add_named(json_t *alternatives, json_t *defs, const struct field *field)
{
    json_t *values = json_array();

    add_object(values, defs, field->table);
    json_array_append_new(values, json_pack("{s: s}", "type", "null"));
    json_array_append_new(alternatives,
                          json_pack("{s: s, s: {s: s}, s: o}", "type", "object", "propertyNames",
                                    "pattern", "^[A-Za-z_][A-Za-z0-9_-]*$", "additionalProperties",
                                    any_of(values)));
}

/* What the key takes when it is set. */
static void add_value(json_t *alternatives, json_t *defs, const struct field *field)
{
    switch ((enum field_kind)field->kind) {
    case FIELD_OBJECT:
        add_object(alternatives, defs, field->table);
        break;
    case FIELD_OBJECTS:
        add_objects(alternatives, defs, field);
        break;
    case FIELD_NAMED:
        add_named(alternatives, defs, field);
        break;
    case FIELD_VARIANT:
        for (const struct enum_name *row = field->names; row->name; row++)
            add_object(alternatives, defs, field->variants[row->value]);
        break;
    case FIELD_ENUMS:
        json_array_append_new(alternatives, choice_of(field));
        json_array_append_new(alternatives, choices_of(field));
        break;
    case FIELD_ENUM:
        json_array_append_new(alternatives, choice_of(field));
        break;
    default:
        json_array_append_new(alternatives, reference_to(definition_of(field)));
    }
}

static json_t *describe(json_t *schema, const struct field *field)
{
    CLEANUP_BUF struct buf text = BUF_INIT;

    buf_addstr(&text, field->help);
    if (field->default_text)
        buf_addf(&text, ". Default: %s", field->default_text);
    json_object_set_new(schema, "description", json_string(text.data));
    if (field->alias_of)
        json_object_set_new(schema, "deprecated", json_true());
    return schema;
}

static json_t *property_of(json_t *defs, const struct field *field)
{
    json_t *alternatives = json_array();
    json_t *schema;

    if (field->kind == FIELD_IGNORED) {
        json_decref(alternatives);
        return describe(json_object(), field);
    }
    add_value(alternatives, defs, field);
    if (!(field->flags & FIELD_REQUIRED))
        json_array_append_new(alternatives, reference_to("unset"));
    schema = any_of(alternatives);
    if (field->flags & FIELD_REQUIRED && field->kind == FIELD_STRING)
        json_object_set_new(schema, "minLength", json_integer(1));
    return describe(schema, field);
}

static bool has_required(const struct table *table)
{
    for (size_t i = 0; i < table->field_count; i++) {
        if (table->fields[i].flags & FIELD_REQUIRED)
            return true;
    }
    return false;
}

/* What the key must be when the one that chooses has this value. */
static json_t *variant_rule(const struct field *field, const struct enum_name *row)
{
    const struct table *table = field->variants[row->value];
    json_t *takes = json_array();
    json_t *then;

    json_array_append_new(takes, reference_to(table->name));
    if (!has_required(table))
        json_array_append_new(takes, reference_to("unset"));
    then = json_pack("{s: {s: o}}", "properties", field->name, any_of(takes));
    if (has_required(table))
        json_object_set_new(then, "required", json_pack("[s]", field->name));
    return json_pack("{s: {s: {s: {s: s}}, s: [s]}, s: o}", "if", "properties", field->selector,
                     "const", row->name, "required", field->selector, "then", then);
}

static json_t *variant_rules(const struct field *field)
{
    json_t *rules = json_array();

    for (const struct enum_name *row = field->names; row->name; row++)
        json_array_append_new(rules, variant_rule(field, row));
    json_array_append_new(rules, json_pack("{s: {s: {s: {s: s}}, s: [s]}, s: {s: [s]}}", "if",
                                           "properties", field->name, "type", "object", "required",
                                           field->name, "then", "required", field->selector));
    return rules;
}

/* That exactly one of the keys is given. */
static json_t *one_of_rule(const char *const *keys)
{
    json_t *alternatives = json_array();

    for (; *keys; keys++)
        json_array_append_new(alternatives,
                              json_pack("{s: [s], s: {s: {s: o}}}", "required", *keys, "properties",
                                        *keys, "not", reference_to("unset")));
    return json_pack("{s: o}", "oneOf", alternatives);
}

/* The parts of a definition while it is made. */
struct definition {
    json_t *defs;
    json_t *properties;
    json_t *required;
    json_t *rules;      /* what holds beyond; NULL: nothing */
    struct buf planned; /* keys that may stand there as long as they are not set */
};

static void add_rows(struct definition *d, const struct table *table)
{
    for (const struct table_part *part = table->parts; part && part->table; part++)
        add_rows(d, part->table);
    for (size_t i = 0; i < table->field_count; i++) {
        const struct field *field = &table->fields[i];

        if (field->kind == FIELD_PLANNED) {
            buf_addf(&d->planned, "%s%s", d->planned.len ? "|" : "", field->name);
            continue;
        }
        json_object_set_new(d->properties, field->name, property_of(d->defs, field));
        if (field->kind == FIELD_VARIANT)
            d->rules = variant_rules(field);
        if (field->flags & FIELD_REQUIRED)
            json_array_append_new(d->required, json_string(field->name));
    }
}

static json_t *patterns_of(const struct definition *d)
{
    json_t *patterns =
        json_pack("{s: {s: s}}", "^x-", "description", "free for users, means nothing");

    if (d->planned.len) {
        CLEANUP_BUF struct buf pattern = BUF_INIT;

        buf_addf(&pattern, "^(%s)$", d->planned.data);
        json_object_set_new(patterns, pattern.data, reference_to("unset"));
    }
    return patterns;
}

static void add_table(json_t *defs, const struct table *table)
{
    struct definition d = {.defs = defs, .planned = BUF_INIT};
    json_t *schema;

    if (json_object_get(defs, table->name))
        return;
    d.properties = json_object();
    d.required = json_array();
    schema = json_pack("{s: s, s: s}", "type", "object", "description", table->help);
    json_object_set(defs, table->name, schema);
    add_rows(&d, table);
    if (table->one_of)
        d.rules = json_pack("[o]", one_of_rule(table->one_of));
    json_object_set_new(schema, "properties", d.properties);
    json_object_set_new(schema, "patternProperties", patterns_of(&d));
    json_object_set_new(schema, "additionalProperties",
                        !table->others                       ? json_false()
                        : table->others->kind == FIELD_PAIRS ? json_true()
                                                             : reference_to("values"));
    if (d.rules)
        json_object_set_new(schema, "allOf", d.rules);
    if (json_array_size(d.required))
        json_object_set(schema, "required", d.required);
    json_decref(d.required);
    json_decref(schema);
    buf_release(&d.planned);
}

json_t *schema_json(void)
{
    json_t *defs = json_object();
    json_t *more = json_loads(basics, 0, NULL);
    json_t *schema = json_pack("{s: s, s: s}", "$schema", SCHEMA_DIALECT, "title",
                               "Pipeline file of runner " RUNNER_VERSION);

    if (!schema || !more)
        abort();
    add_table(defs, &pipeline_table);
    json_object_update(defs, more);
    json_decref(more);
    json_object_set_new(schema, "$ref", json_string("#/$defs/pipeline"));
    json_object_set_new(schema, "$defs", defs);
    return schema;
}
