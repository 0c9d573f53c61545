#include "load/decode.h"

#include <stdarg.h>

#include "base/alloc.h"
#include "base/nearest.h"
#include "load/pipeline_tables.h"

/* A table has at most three shared parts and its own rows. */
#define PART_MAX  4
#define FIELD_MAX 64

/* Where a row was found. */
struct match {
    const struct field *field;
    const struct table_part *part; /* NULL: the table's own */
    size_t part_number;            /* 0: its own */
    size_t number;                 /* of the row in its table */
};

/* What is known about one map while it is decoded. */
struct map_state {
    const struct table *table;
    const struct yaml_node *node;
    uint64_t given[PART_MAX]; /* rows with a value, or that a misspelt key must have meant */
};

bool decode_is_full(const struct decoder *d)
{
    return d->diags->len >= DIAG_MAX;
}

static void report(struct decoder *d, enum diag_severity severity, const struct node_path *path,
                   struct src_pos pos, const char *fmt, va_list args)
{
    CLEANUP_BUF struct buf where = BUF_INIT;
    CLEANUP_BUF struct buf message = BUF_INIT;

    if (!decode_is_full(d)) {
        node_path_format(&where, path);
        buf_vaddf(&message, fmt, args);
    }
    diag_add(d->diags, severity, pos, where.data, "%s", message.data);
}

void decode_error(struct decoder *d, const struct node_path *path, struct src_pos pos,
                  const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    report(d, DIAG_ERROR, path, pos, fmt, args);
    va_end(args);
}

void decode_warning(struct decoder *d, const struct node_path *path, struct src_pos pos,
                    const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    report(d, DIAG_WARNING, path, pos, fmt, args);
    va_end(args);
}

static bool find_row(const struct table *table, const char *name, struct match *ret)
{
    for (size_t i = 0; i < table->field_count; i++) {
        if (strcmp(table->fields[i].name, name) == 0) {
            ret->field = &table->fields[i];
            ret->number = i;
            return true;
        }
    }
    return false;
}

static bool find_field(const struct table *table, const char *name, struct match *ret)
{
    *ret = (struct match){0};
    if (find_row(table, name, ret))
        return true;
    for (const struct table_part *part = table->parts; part && part->table; part++) {
        ret->part = part;
        ret->part_number++;
        if (find_row(part->table, name, ret))
            return true;
    }
    return false;
}

static void offer_rows(struct nearest *nearest, const struct table *table)
{
    for (size_t i = 0; i < table->field_count; i++) {
        const struct field *field = &table->fields[i];

        if (field->kind != FIELD_IGNORED && !field->alias_of)
            nearest_offer(nearest, field->name);
    }
    for (const struct table_part *part = table->parts; part && part->table; part++)
        offer_rows(nearest, part->table);
}

/* The level of the hierarchy that knows a key, for one that was written a level too high or low. */
static const struct table *level_with_key(const char *name)
{
    static const struct table *const levels[] = {&pipeline_table, &stage_table, &job_table,
                                                 &step_table};
    struct match match;

    for (size_t i = 0; i < sizeof(levels) / sizeof(*levels); i++) {
        if (find_field(levels[i], name, &match) && match.field->kind != FIELD_IGNORED)
            return levels[i];
    }
    return NULL;
}

/* How messages call a map: "the pipeline", "\"plugin\"" where a key leads to it, "a step". */
static void name_map(struct buf *out, const struct node_path *path, const struct table *table)
{
    if (!path)
        buf_addf(out, "the %s", table->name);
    else
        buf_addf(out, path->key ? "\"%s\"" : "a %s", path->key ? path->key : table->name);
}

static void report_unknown(struct decoder *d, const struct node_path *path, struct map_state *state,
                           const struct yaml_node *key)
{
    struct nearest nearest = {.text = key->text};
    CLEANUP_BUF struct buf map = BUF_INIT;
    const struct table *level;
    struct match match;

    d->unknown_here = true;
    if (decode_is_full(d)) {
        decode_error(d, path, key->pos, "unknown key");
        return;
    }
    name_map(&map, path, state->table);
    if (state->table->elsewhere && find_field(state->table->elsewhere, key->text, &match)) {
        decode_error(d, path, key->pos, "\"%s\" cannot be in %s here: it %s", key->text, map.data,
                     state->table->elsewhere_hint);
        return;
    }
    level = level_with_key(key->text);
    if (level && level != state->table) {
        decode_error(d, path, key->pos, "unknown key \"%s\" in %s; it is a key of a %s", key->text,
                     map.data, level->name);
        return;
    }
    offer_rows(&nearest, state->table);
    if (!nearest.best) {
        decode_error(d, path, key->pos, "unknown key \"%s\" in %s", key->text, map.data);
        return;
    }
    decode_error(d, path, key->pos, "unknown key \"%s\" in %s; did you mean \"%s\"?", key->text,
                 map.data, nearest.best);
    if (find_field(state->table, nearest.best, &match))
        state->given[match.part_number] |= UINT64_C(1) << match.number;
}

static void init_object(const struct table *table, void *object, struct src_pos pos)
{
    if (table->init)
        table->init(object);
    for (const struct table_part *part = table->parts; part && part->table; part++) {
        if (!part->allocated)
            init_object(part->table, (char *)object + part->offset, pos);
    }
    if (table->pos_offset >= 0)
        memcpy((char *)object + table->pos_offset, &pos, sizeof(pos));
}

/* The struct that holds the member of a row. */
static void *owner_of(const struct match *match, void *object, struct src_pos pos)
{
    char *at;
    void *owned;

    if (!match->part)
        return object;
    at = (char *)object + match->part->offset;
    if (!match->part->allocated)
        return at;
    memcpy(&owned, at, sizeof(owned));
    if (!owned) {
        owned = xcalloc(1, match->part->table->size);
        init_object(match->part->table, owned, pos);
        memcpy(at, &owned, sizeof(owned));
    }
    return owned;
}

static void decode_objects(struct decoder *d, const struct node_path *path,
                           const struct field *field, void *object, const struct yaml_node *node)
{
    const struct table *table = field->table;
    bool one = node->kind != YAML_KIND_SEQUENCE && field->flags & FIELD_ONE;
    size_t count = one ? 1 : node->len;
    char *items;

    if (node->kind != YAML_KIND_SEQUENCE && !one) {
        decode_error(d, path, node->pos, "\"%s\" must be %s, not %s", field->name,
                     field_expects(field), yaml_kind_name(node->kind));
        return;
    }
    if (!count && field->flags & FIELD_EMPTY)
        return;
    if (!count) {
        decode_error(d, path, node->pos, "\"%s\" is empty; at least one %s is needed", field->name,
                     table->name);
        return;
    }
    items = xcalloc(count, table->size);
    memcpy((char *)object + field->offset, &items, sizeof(items));
    memcpy((char *)object + field->count_offset, &count, sizeof(count));
    for (size_t i = 0; i < count; i++)
        decode_object(d, &(struct node_path){.up = path, .index = i}, table,
                      items + i * table->size, one ? node : node->items[i]);
}

/* What stands for an object may be left out altogether: all is as by default. */
static void decode_named_one(struct decoder *d, const struct node_path *path,
                             const struct table *table, void *object, const struct yaml_node *node)
{
    if (yaml_node_is_null(node))
        init_object(table, object, node->pos);
    else
        decode_object(d, path, table, object, node);
    if (node->kind != YAML_KIND_MAPPING && table->check)
        table->check(d, path, object, node);
}

static void decode_named(struct decoder *d, const struct node_path *path, const struct field *field,
                         void *object, const struct yaml_node *node)
{
    const struct table *table = field->table;
    size_t count = node->len;
    char *items;

    if (node->kind != YAML_KIND_MAPPING) {
        decode_error(d, path, node->pos, "\"%s\" must be %s, not %s", field->name,
                     field_expects(field), yaml_kind_name(node->kind));
        return;
    }
    if (!count)
        return;
    items = xcalloc(count, table->size);
    memcpy((char *)object + field->offset, &items, sizeof(items));
    memcpy((char *)object + field->count_offset, &count, sizeof(count));
    for (size_t i = 0; i < count; i++) {
        const struct yaml_pair *pair = &node->pairs[i];
        struct node_path here = {.up = path, .key = pair->key->text};
        char *item = items + i * table->size;
        struct spec_str name = {xstrdup(pair->key->text), pair->key->pos};

        if (field->check)
            field->check(d, &here, field, pair->key);
        else if (!decode_is_name(pair->key->text))
            decode_error(d, path, pair->key->pos, "\"%s\" cannot be a name in \"%s\"",
                         pair->key->text, field->name);
        memcpy(item + table->name_offset, &name, sizeof(name));
        decode_named_one(d, &here, table, item, pair->value);
    }
}

void decode_field(struct decoder *d, const struct node_path *path, const struct field *field,
                  void *owner, const struct yaml_node *node)
{
    char *member = (char *)owner + field->offset;
    void *allocated;

    if (field->given_offset)
        *((bool *)owner + field->given_offset) = true;
    if (field->kind == FIELD_OBJECTS) {
        decode_objects(d, path, field, owner, node);
    } else if (field->kind == FIELD_NAMED) {
        decode_named(d, path, field, owner, node);
    } else if (field->kind == FIELD_OBJECT && field->flags & FIELD_EMBEDDED) {
        decode_object(d, path, field->table, member, node);
    } else if (field->kind == FIELD_OBJECT) {
        allocated = xcalloc(1, field->table->size);
        memcpy(member, &allocated, sizeof(allocated));
        decode_object(d, path, field->table, allocated, node);
    } else {
        decode_value(d, path, field, owner, node);
    }
}

/* A selector that is wrong has been reported where it stands, and so has a misspelt one. */
static void decode_variant(struct decoder *d, const struct node_path *path,
                           const struct field *field, void *owner, const struct yaml_node *map,
                           const struct yaml_node *node)
{
    const struct yaml_node *selector = yaml_node_get(map, field->selector);
    struct field chosen = *field;

    if (!selector || yaml_node_is_null(selector) || !selector->len) {
        if (!d->unknown_here)
            decode_error(d, path, node->pos, "\"%s\" goes with \"%s\"; say which", field->name,
                         field->selector);
        return;
    }
    for (const struct enum_name *row = field->names;
         selector->kind == YAML_KIND_SCALAR && row->name; row++) {
        if (strcmp(row->name, selector->text) != 0)
            continue;
        chosen.kind = FIELD_OBJECT;
        chosen.table = field->variants[row->value];
        decode_field(d, path, &chosen, owner, node);
    }
}

static void decode_other(struct decoder *d, const struct node_path *path,
                         const struct field *others, void *object, const struct yaml_pair *pair)
{
    void *member = (char *)object + others->offset;

    if (others->kind == FIELD_PAIRS)
        decode_pair_of(d, path, others, member, pair);
    else
        decode_match(d, path, others, member, pair);
}

/* Whether the key that a deprecated one stands for is given as well; both must then say the same.
 */
static bool is_superseded(struct decoder *d, const struct node_path *path,
                          const struct field *field, const struct yaml_node *map,
                          const struct yaml_node *value)
{
    const struct yaml_node *other = field->alias_of ? yaml_node_get(map, field->alias_of) : NULL;

    if (!other || decode_is_unset(field, other))
        return false;
    if (value->text && other->text && strcmp(value->text, other->text) != 0)
        decode_error(d, path, value->pos,
                     "\"%s\" says \"%s\", but \"%s\" says \"%s\"; keep \"%s\" only", field->name,
                     value->text, field->alias_of, other->text, field->alias_of);
    return true;
}

static void decode_pair(struct decoder *d, const struct node_path *path, struct map_state *state,
                        void *object, const struct yaml_pair *pair)
{
    struct node_path here = {.up = path, .key = pair->key->text};
    struct match match;

    if (strncmp(pair->key->text, "x-", 2) == 0)
        return;
    if (!find_field(state->table, pair->key->text, &match)) {
        if (state->table->others)
            decode_other(d, path, state->table->others, object, pair);
        else
            report_unknown(d, path, state, pair->key);
        return;
    }
    if (match.field->kind == FIELD_IGNORED || decode_is_unset(match.field, pair->value))
        return;
    state->given[match.part_number] |= UINT64_C(1) << match.number;
    if (match.field->kind == FIELD_PLANNED) {
        d->unknown_here = true;
        decode_error(d, path, pair->key->pos, "\"%s\" is not supported yet by this version",
                     pair->key->text);
        return;
    }
    if (match.field->alias_of)
        decode_warning(d, path, pair->key->pos, "\"%s\" is deprecated; write \"%s\"",
                       pair->key->text, match.field->alias_of);
    if (match.field->kind == FIELD_VARIANT)
        decode_variant(d, &here, match.field, owner_of(&match, object, state->node->pos),
                       state->node, pair->value);
    else if (state->table->json)
        decode_json_member(d, &here, match.field, object, pair->value);
    else if (!is_superseded(d, path, match.field, state->node, pair->value))
        decode_field(d, &here, match.field, owner_of(&match, object, state->node->pos),
                     pair->value);
}

static void report_missing(struct decoder *d, const struct node_path *path,
                           const struct map_state *state)
{
    for (size_t i = 0; i < state->table->field_count; i++) {
        if (state->table->fields[i].flags & FIELD_REQUIRED && !(state->given[0] >> i & 1))
            decode_error(d, path, state->node->pos, "the %s has no \"%s\"", state->table->name,
                         state->table->fields[i].name);
    }
}

static bool is_given(const struct map_state *state, const char *key)
{
    struct match match;

    return find_row(state->table, key, &match) && state->given[0] >> match.number & 1;
}

/* Of keys of which there must be exactly one. */
static void check_one_of(struct decoder *d, const struct node_path *path,
                         const struct map_state *state)
{
    CLEANUP_BUF struct buf keys = BUF_INIT;
    const char *first = NULL;

    for (const char *const *key = state->table->one_of; key && *key; key++) {
        const struct yaml_node *node = yaml_node_get(state->node, *key);

        buf_addf(&keys, "%s\"%s\"", !keys.len ? "" : key[1] ? ", " : " or ", *key);
        if (is_given(state, *key) && first && node)
            decode_error(d, path, node->pos, "\"%s\" and \"%s\" exclude each other; keep one",
                         first, *key);
        else if (is_given(state, *key))
            first = *key;
    }
    if (keys.len && !first && !d->unknown_here)
        decode_error(d, path, state->node->pos, "the %s needs %s", state->table->name, keys.data);
}

static void decode_map(struct decoder *d, const struct node_path *path, const struct table *table,
                       void *object, const struct yaml_node *node)
{
    struct map_state state = {.table = table, .node = node};
    bool unknown_above = d->unknown_here;

    d->unknown_here = false;
    for (size_t i = 0; i < node->len; i++)
        decode_pair(d, path, &state, object, &node->pairs[i]);
    report_missing(d, path, &state);
    check_one_of(d, path, &state);
    if (table->check)
        table->check(d, path, object, node);
    d->unknown_here = unknown_above;
}

static void report_no_map(struct decoder *d, const struct node_path *path,
                          const struct table *table, const struct yaml_node *node)
{
    CLEANUP_BUF struct buf map = BUF_INIT;

    name_map(&map, path, table);
    decode_error(d, path, node->pos, "%s must be a map, not %s", map.data,
                 yaml_node_is_null(node) ? "empty" : yaml_kind_name(node->kind));
}

void decode_object(struct decoder *d, const struct node_path *path, const struct table *table,
                   void *object, const struct yaml_node *node)
{
    init_object(table, object, node->pos);
    if (node->kind == YAML_KIND_MAPPING)
        decode_map(d, path, table, object, node);
    else if (table->short_form)
        decode_field(d, path, table->short_form, object, node);
    else
        report_no_map(d, path, table, node);
}
