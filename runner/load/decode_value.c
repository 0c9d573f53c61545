#include <inttypes.h>

#include "base/alloc.h"
#include "base/interpolate.h"
#include "base/nearest.h"
#include "base/parse.h"
#include "expr/expr.h"
#include "load/decode.h"
#include "spec/spec.h"
#include "yaml/yaml_json.h"

typedef void decode_fn(struct decoder *d, const struct node_path *path, const struct field *field,
                       void *object, const struct yaml_node *node);

static const char *const expectations[FIELD_KIND_COUNT] = {
    [FIELD_STRING] = "a string",
    [FIELD_TEXT] = "a string",
    [FIELD_NAME] = "a name",
    [FIELD_EXPRESSION] = "an expression",
    [FIELD_SCRIPT] = "a string or a list of strings",
    [FIELD_STRINGS] = "a string or a list of strings",
    [FIELD_PAIRS] = "a map",
    [FIELD_PAIRS_LIST] = "a list of maps",
    [FIELD_MATCHES] = "a map",
    [FIELD_FAILURES] = "true, false or a list of exit codes",
    [FIELD_BOOL] = "true or false",
    [FIELD_ENUM] = "a choice",
    [FIELD_ENUMS] = "a choice or a list of choices",
    [FIELD_COUNT] = "a whole number",
    [FIELD_DURATION] = "a duration",
    [FIELD_SIZE] = "a size",
    [FIELD_MILLI] = "a number",
    [FIELD_OBJECT] = "a map",
    [FIELD_OBJECTS] = "a list",
    [FIELD_NAMED] = "a map",
    [FIELD_JSON] = "a map or a list",
    [FIELD_JSON_MAP] = "a map",
    [FIELD_JSON_LIST] = "a list",
    [FIELD_VARIANT] = "a map",
    [FIELD_IGNORED] = "anything",
    [FIELD_PLANNED] = "anything",
};

const char *field_expects(const struct field *field)
{
    return expectations[field->kind];
}

static bool wants_string(const struct field *field)
{
    return field->kind == FIELD_STRING || field->kind == FIELD_TEXT || field->kind == FIELD_NAME ||
           field->kind == FIELD_EXPRESSION || field->kind == FIELD_SCRIPT ||
           field->kind == FIELD_STRINGS;
}

bool decode_is_unset(const struct field *field, const struct yaml_node *node)
{
    if (node->kind != YAML_KIND_SCALAR)
        return false;
    return yaml_node_is_null(node) || !node->len ||
           (!wants_string(field) && strcmp(node->text, "0") == 0);
}

static void list_choices(const struct field *field, struct buf *out)
{
    for (const struct enum_name *row = field->names; row->name && row->value != ENUM_PLANNED; row++)
        buf_addf(out, "%s%s",
                 row == field->names                           ? ""
                 : row[1].name && row[1].value != ENUM_PLANNED ? ", "
                                                               : " or ",
                 row->name);
}

static void report_type(struct decoder *d, const struct node_path *path, const struct field *field,
                        const struct yaml_node *node)
{
    CLEANUP_BUF struct buf choices = BUF_INIT;

    if (field->kind == FIELD_ENUM)
        list_choices(field, &choices);
    decode_error(d, path, node->pos, "\"%s\" must be %s, not %s", field->name,
                 choices.len ? choices.data : field_expects(field), yaml_kind_name(node->kind));
}

static void report_choice(struct decoder *d, const struct node_path *path,
                          const struct field *field, const struct yaml_node *node)
{
    struct nearest nearest = {.text = node->text};
    CLEANUP_BUF struct buf choices = BUF_INIT;
    CLEANUP_BUF struct buf hint = BUF_INIT;

    list_choices(field, &choices);
    for (const struct enum_name *row = field->names; row->name; row++)
        nearest_offer(&nearest, row->name);
    if (nearest.best)
        buf_addf(&hint, "; did you mean \"%s\"?", nearest.best);
    decode_error(d, path, node->pos, "\"%s\" must be %s, not \"%s\"%s", field->name, choices.data,
                 node->text, hint.data);
}

static int check_syntax(const char *text, size_t len, size_t *offset, struct err *err)
{
    CLEANUP_EXPR struct expr *expr = NULL;
    size_t at = 0;

    if (expr_parse(text, len, &expr, &at, err) == 0)
        return 0;
    *offset += at;
    return -1;
}

static int check_expression(void *arg, const char *text, size_t len, size_t *offset,
                            struct buf *out, struct err *err)
{
    (void)arg;
    (void)out;
    return check_syntax(text, len, offset, err);
}

bool decode_has_template(const char *text)
{
    return strstr(text, "${") || strstr(text, "{{");
}

void decode_check_template(struct decoder *d, const struct node_path *path,
                           const struct yaml_node *node)
{
    static const struct interpolate_scope scope = {.expression = check_expression};
    struct err err = ERR_INIT;
    size_t offset = 0;

    if (decode_is_full(d))
        return;
    if (interpolate_check(node->text, &scope, &offset, &err) < 0)
        decode_error(d, path, yaml_node_locate(d->tree, node, offset), "%s", err.message);
}

static struct spec_str copy_scalar(const struct yaml_node *node)
{
    return (struct spec_str){xstrndup(node->text, node->len), node->pos};
}

static void store_string(struct decoder *d, const struct node_path *path, const struct field *field,
                         struct spec_str *ret, const struct yaml_node *node)
{
    decode_check_template(d, path, node);
    if (field->check)
        field->check(d, path, field, node);
    *ret = copy_scalar(node);
}

static void decode_string(struct decoder *d, const struct node_path *path,
                          const struct field *field, void *member, const struct yaml_node *node)
{
    if (node->kind != YAML_KIND_SCALAR)
        report_type(d, path, field, node);
    else
        store_string(d, path, field, member, node);
}

static void decode_text(struct decoder *d, const struct node_path *path, const struct field *field,
                        void *member, const struct yaml_node *node)
{
    if (node->kind != YAML_KIND_SCALAR)
        report_type(d, path, field, node);
    else
        *(struct spec_str *)member = copy_scalar(node);
}

bool decode_is_name(const char *text)
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_";
    static const char others[] = "-0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_";

    return *text && strchr(letters, *text) && !text[strspn(text, others)];
}

static void decode_name(struct decoder *d, const struct node_path *path, const struct field *field,
                        void *member, const struct yaml_node *node)
{
    if (node->kind != YAML_KIND_SCALAR) {
        report_type(d, path, field, node);
        return;
    }
    if (!decode_is_name(node->text))
        decode_error(d, path, node->pos,
                     "\"%s\" may hold letters, digits, \"_\" and \"-\", and starts with a letter "
                     "or \"_\"",
                     field->name);
    *(struct spec_str *)member = copy_scalar(node);
}

/* Reports the first item of a list that is no scalar. */
static bool all_scalars(struct decoder *d, const struct node_path *path, const struct field *field,
                        const struct yaml_node *list)
{
    for (size_t i = 0; i < list->len; i++) {
        if (list->items[i]->kind != YAML_KIND_SCALAR) {
            decode_error(d, &(struct node_path){.up = path, .index = i}, list->items[i]->pos,
                         "\"%s\" must be %s; this item is %s", field->name, field_expects(field),
                         yaml_kind_name(list->items[i]->kind));
            return false;
        }
    }
    return true;
}

static void decode_script(struct decoder *d, const struct node_path *path,
                          const struct field *field, void *member, const struct yaml_node *node)
{
    struct buf script = BUF_INIT;

    if (node->kind == YAML_KIND_SCALAR) {
        *(struct spec_str *)member = copy_scalar(node);
        return;
    }
    if (node->kind != YAML_KIND_SEQUENCE) {
        report_type(d, path, field, node);
        return;
    }
    if (!all_scalars(d, path, field, node) || !node->len)
        return;
    for (size_t i = 0; i < node->len; i++) {
        if (i)
            buf_addch(&script, '\n');
        buf_add(&script, node->items[i]->text, node->items[i]->len);
    }
    *(struct spec_str *)member = (struct spec_str){buf_steal(&script), node->pos};
}

static void decode_strings(struct decoder *d, const struct node_path *path,
                           const struct field *field, void *member, const struct yaml_node *node)
{
    struct spec_strs *strs = member;
    const struct yaml_node *const *items = node->kind == YAML_KIND_SCALAR ? &node : node->items;
    size_t count = node->kind == YAML_KIND_SCALAR ? 1 : node->len;

    if (node->kind == YAML_KIND_MAPPING) {
        report_type(d, path, field, node);
        return;
    }
    if (!count || (node->kind == YAML_KIND_SEQUENCE && !all_scalars(d, path, field, node)))
        return;
    strs->items = xcalloc(count, sizeof(*strs->items));
    for (strs->len = 0; strs->len < count; strs->len++) {
        struct node_path item = {.up = path, .index = strs->len};

        store_string(d, node->kind == YAML_KIND_SCALAR ? path : &item, field,
                     &strs->items[strs->len], items[strs->len]);
    }
}

static void check_templates_below(struct decoder *d, const struct node_path *path,
                                  const struct yaml_node *node)
{
    for (size_t i = 0; node->kind == YAML_KIND_SEQUENCE && i < node->len; i++)
        check_templates_below(d, &(struct node_path){.up = path, .index = i}, node->items[i]);
    for (size_t i = 0; node->kind == YAML_KIND_MAPPING && i < node->len; i++)
        check_templates_below(d, &(struct node_path){.up = path, .key = node->pairs[i].key->text},
                              node->pairs[i].value);
    if (node->kind == YAML_KIND_SCALAR)
        decode_check_template(d, path, node);
}

/* The text of a value of a map of strings; NULL when it has none, which has been reported. */
static char *pair_text(struct decoder *d, const struct node_path *path, const struct field *field,
                       const struct yaml_node *node)
{
    json_t *json;
    char *dumped;
    char *text;

    if (node->kind == YAML_KIND_SCALAR) {
        decode_check_template(d, path, node);
        return yaml_node_is_null(node) ? xstrdup("") : xstrndup(node->text, node->len);
    }
    if (!(field->flags & FIELD_JSON_VALUES)) {
        decode_error(d, path, node->pos, "the value of \"%s\" must be a string, not %s", path->key,
                     yaml_kind_name(node->kind));
        return NULL;
    }
    check_templates_below(d, path, node);
    json = yaml_node_to_json(node);
    dumped = json_dumps(json, JSON_COMPACT);
    json_decref(json);
    text = xstrdup(dumped ? dumped : "null");
    free(dumped);
    return text;
}

void decode_pair_of(struct decoder *d, const struct node_path *path, const struct field *field,
                    struct spec_pairs *pairs, const struct yaml_pair *pair)
{
    struct node_path here = {.up = path, .key = pair->key->text};
    char *text;

    if (!pair->key->len || strchr(pair->key->text, '=')) {
        decode_error(d, path, pair->key->pos, "\"%s\" cannot be a name in \"%s\"", pair->key->text,
                     field->name);
        return;
    }
    text = pair_text(d, &here, field, pair->value);
    if (!text)
        return;
    if (field->check)
        field->check(d, &here, field, pair->value);
    pairs->items = xreallocarray(pairs->items, pairs->len + 1, sizeof(*pairs->items));
    pairs->items[pairs->len++] =
        (struct spec_pair){xstrndup(pair->key->text, pair->key->len), {text, pair->value->pos}};
}

static void decode_pairs(struct decoder *d, const struct node_path *path, const struct field *field,
                         void *member, const struct yaml_node *node)
{
    if (node->kind != YAML_KIND_MAPPING) {
        report_type(d, path, field, node);
        return;
    }
    for (size_t i = 0; i < node->len; i++)
        decode_pair_of(d, path, field, member, &node->pairs[i]);
}

/* The position is that of the text itself, behind a quote, so that one within it can be found. */
static void decode_expression(struct decoder *d, const struct node_path *path,
                              const struct field *field, void *member, const struct yaml_node *node)
{
    if (node->kind != YAML_KIND_SCALAR)
        report_type(d, path, field, node);
    else
        *(struct spec_str *)member =
            (struct spec_str){xstrndup(node->text, node->len), yaml_node_locate(d->tree, node, 0)};
}

static void decode_pairs_list(struct decoder *d, const struct node_path *path,
                              const struct field *field, void *object, const struct yaml_node *node)
{
    struct spec_pairs *items;
    size_t count = node->len;

    if (node->kind != YAML_KIND_SEQUENCE) {
        report_type(d, path, field, node);
        return;
    }
    if (!count)
        return;
    items = xcalloc(count, sizeof(*items));
    memcpy((char *)object + field->offset, &items, sizeof(items));
    memcpy((char *)object + field->count_offset, &count, sizeof(count));
    for (size_t i = 0; i < count; i++)
        decode_pairs(d, &(struct node_path){.up = path, .index = i}, field, &items[i],
                     node->items[i]);
}

void decode_match(struct decoder *d, const struct node_path *path, const struct field *field,
                  struct spec_matches *matches, const struct yaml_pair *pair)
{
    struct node_path here = {.up = path, .key = pair->key->text};
    struct spec_match *match;

    matches->items = xreallocarray(matches->items, matches->len + 1, sizeof(*matches->items));
    match = &matches->items[matches->len++];
    *match = (struct spec_match){.key = xstrndup(pair->key->text, pair->key->len),
                                 .pos = pair->key->pos};
    if (pair->value->kind == YAML_KIND_MAPPING)
        decode_error(d, &here, pair->value->pos,
                     "the value of \"%s\" must be a string or a list of strings, not a map",
                     pair->key->text);
    else
        decode_strings(d, &here, field, &match->values, pair->value);
}

static void decode_matches(struct decoder *d, const struct node_path *path,
                           const struct field *field, void *member, const struct yaml_node *node)
{
    if (node->kind != YAML_KIND_MAPPING) {
        report_type(d, path, field, node);
        return;
    }
    for (size_t i = 0; i < node->len; i++)
        decode_match(d, path, field, member, &node->pairs[i]);
}

/* true, false, an exit code, or a list of them. */
static void decode_failures(struct decoder *d, const struct node_path *path,
                            const struct field *field, void *member, const struct yaml_node *node)
{
    struct spec_allow_failure *allow = member;
    const struct yaml_node *const *items = node->kind == YAML_KIND_SCALAR ? &node : node->items;
    size_t count = node->kind == YAML_KIND_SCALAR ? 1 : node->len;
    bool any;

    if (node->kind == YAML_KIND_MAPPING) {
        report_type(d, path, field, node);
        return;
    }
    if (node->kind == YAML_KIND_SCALAR && yaml_node_bool(node, &any)) {
        allow->any = any ? SPEC_TRUE : SPEC_FALSE;
        return;
    }
    if (node->kind == YAML_KIND_SEQUENCE && !all_scalars(d, path, field, node))
        return;
    allow->codes = xcalloc(count, sizeof(*allow->codes));
    for (size_t i = 0; i < count; i++) {
        int64_t code;

        if (parse_int64(items[i]->text, &code, NULL) < 0 || code < 1 || code > 255)
            decode_error(d, path, items[i]->pos, "\"%s\" must be %s between 1 and 255, not \"%s\"",
                         field->name, field_expects(field), items[i]->text);
        else
            allow->codes[allow->code_count++] = (int)code;
    }
}

/* Values other than strings are needed before anything is interpolated. */
static bool is_plain_value(struct decoder *d, const struct node_path *path,
                           const struct field *field, const struct yaml_node *node)
{
    if (node->kind != YAML_KIND_SCALAR) {
        report_type(d, path, field, node);
        return false;
    }
    if (strstr(node->text, "${")) {
        decode_error(d, path, node->pos, "\"%s\" cannot hold ${…}: it must be %s", field->name,
                     field_expects(field));
        return false;
    }
    return true;
}

static void decode_bool(struct decoder *d, const struct node_path *path, const struct field *field,
                        void *member, const struct yaml_node *node)
{
    bool value;

    if (!is_plain_value(d, path, field, node))
        return;
    if (yaml_node_bool(node, &value))
        *(enum spec_bool *)member = value ? SPEC_TRUE : SPEC_FALSE;
    else
        decode_error(d, path, node->pos, "\"%s\" must be true or false, not \"%s\"", field->name,
                     node->text);
}

static bool read_choice(struct decoder *d, const struct node_path *path, const struct field *field,
                        const struct yaml_node *node, int *ret)
{
    if (!is_plain_value(d, path, field, node))
        return false;
    for (const struct enum_name *row = field->names; row->name; row++) {
        if (strcmp(row->name, node->text) != 0)
            continue;
        if (row->value == ENUM_PLANNED) {
            d->unknown_here = true;
            decode_error(d, path, node->pos, "\"%s: %s\" is not supported yet by this version",
                         field->name, row->name);
            return false;
        }
        *ret = row->value;
        return true;
    }
    report_choice(d, path, field, node);
    return false;
}

static void decode_enum(struct decoder *d, const struct node_path *path, const struct field *field,
                        void *member, const struct yaml_node *node)
{
    int value;

    if (!read_choice(d, path, field, node, &value))
        return;
    if (field->size == sizeof(uint8_t))
        *(uint8_t *)member = (uint8_t)value;
    else
        memcpy(member, &value, sizeof(value));
}

static void decode_enums(struct decoder *d, const struct node_path *path, const struct field *field,
                         void *object, const struct yaml_node *node)
{
    const struct yaml_node *const *items = node->kind == YAML_KIND_SCALAR ? &node : node->items;
    size_t count = node->kind == YAML_KIND_SCALAR ? 1 : node->len;
    uint8_t used = 0;
    int *values;

    if (node->kind == YAML_KIND_MAPPING) {
        report_type(d, path, field, node);
        return;
    }
    if (!count || count > FIELD_ENUMS_MAX) {
        decode_error(d, path, node->pos, "\"%s\" must have between 1 and %d items", field->name,
                     FIELD_ENUMS_MAX);
        return;
    }
    values = xcalloc(count, sizeof(*values));
    for (size_t i = 0; i < count; i++) {
        struct node_path item = {.up = path, .index = i};

        used += read_choice(d, node->kind == YAML_KIND_SCALAR ? path : &item, field, items[i],
                            &values[used]);
    }
    memcpy((char *)object + field->offset, &values, sizeof(values));
    memcpy((char *)object + field->count_offset, &used, sizeof(used));
}

/* Durations, sizes and numbers: text to int64_t. */
static void decode_number(struct decoder *d, const struct node_path *path,
                          const struct field *field, void *member, const struct yaml_node *node)
{
    static int (*const parsers[FIELD_KIND_COUNT])(const char *, int64_t *, struct err *) = {
        [FIELD_COUNT] = parse_int64,
        [FIELD_DURATION] = parse_duration_ms,
        [FIELD_SIZE] = parse_size_bytes,
        [FIELD_MILLI] = parse_milli,
    };
    struct err err = ERR_INIT;
    int64_t value;

    if (!is_plain_value(d, path, field, node))
        return;
    if (parsers[field->kind](node->text, &value, &err) < 0)
        decode_error(d, path, node->pos, "\"%s\": %s", field->name, err.message);
    else if (value < 0)
        decode_error(d, path, node->pos, "\"%s\" must be at least 1", field->name);
    else if (value > 0 || field->flags & FIELD_ZERO)
        *(int64_t *)member = value;
}

static void decode_tree(struct decoder *d, const struct node_path *path, const struct field *field,
                        void *member, const struct yaml_node *node)
{
    bool fits = node->kind == YAML_KIND_MAPPING
                    ? field->kind != FIELD_JSON_LIST
                    : node->kind == YAML_KIND_SEQUENCE && field->kind != FIELD_JSON_MAP;

    if (fits)
        decode_json(d, path, member, node);
    else
        report_type(d, path, field, node);
}

void decode_value(struct decoder *d, const struct node_path *path, const struct field *field,
                  void *object, const struct yaml_node *node)
{
    static decode_fn *const decoders[FIELD_KIND_COUNT] = {
        [FIELD_STRING] = decode_string,
        [FIELD_NAME] = decode_name,
        [FIELD_SCRIPT] = decode_script,
        [FIELD_STRINGS] = decode_strings,
        [FIELD_PAIRS] = decode_pairs,
        [FIELD_BOOL] = decode_bool,
        [FIELD_EXPRESSION] = decode_expression,
        [FIELD_MATCHES] = decode_matches,
        [FIELD_FAILURES] = decode_failures,
        [FIELD_ENUM] = decode_enum,
        [FIELD_COUNT] = decode_number,
        [FIELD_DURATION] = decode_number,
        [FIELD_SIZE] = decode_number,
        [FIELD_MILLI] = decode_number,
        [FIELD_TEXT] = decode_text,
        [FIELD_JSON] = decode_tree,
        [FIELD_JSON_MAP] = decode_tree,
        [FIELD_JSON_LIST] = decode_tree,
    };

    if (field->kind == FIELD_ENUMS)
        decode_enums(d, path, field, object, node);
    else if (field->kind == FIELD_PAIRS_LIST)
        decode_pairs_list(d, path, field, object, node);
    else
        decoders[field->kind](d, path, field, (char *)object + field->offset, node);
}
