/* Nodes are constant and may be shared by aliases, so that everything from the root down to the
 * value is copied, and the document then begins at the copy. */
#include "load/override.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/nearest.h"
#include "base/parse.h"
#include "base/utf8.h"
#include "yaml/node_path.h"

/* As deep as a file can be, which the value then goes on from. */
#define SEGMENTS_MAX 64
#define VALUE_NODES  10000
#define VALUE_DEPTH  32

struct segment {
    char *text;
    bool is_index; /* a number in brackets, without quotes */
    int64_t index;
};

struct override {
    struct yaml_tree *tree;
    struct diag_list *diags;
    struct src_pos pos;
    struct segment segments[SEGMENTS_MAX];
    size_t count;
    const struct yaml_node *value;
};

/* The path as far as `depth` segments, for messages. */
static void format_path(const struct override *o, size_t depth, struct buf *out)
{
    for (size_t i = 0; i < depth && i < o->count; i++) {
        if (o->segments[i].is_index)
            buf_addf(out, "[%s]", o->segments[i].text);
        else
            node_path_add_key(out, o->segments[i].text);
    }
}

static void report(const struct override *o, size_t depth, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

static void report(const struct override *o, size_t depth, const char *fmt, ...)
{
    CLEANUP_BUF struct buf path = BUF_INIT;
    CLEANUP_BUF struct buf message = BUF_INIT;
    va_list args;

    va_start(args, fmt);
    buf_vaddf(&message, fmt, args);
    va_end(args);
    format_path(o, depth, &path);
    diag_add(o->diags, DIAG_ERROR, o->pos, path.data, "%s", message.data);
}

/* --- reading the path --- */

/* Behind a "[" at `s`: the end of what is in the brackets, on the "]"; NULL: there is none. */
static const char *bracket_end(const char *s)
{
    if (*s == '"' || *s == '\'') {
        const char *quote = strchr(s + 1, *s);

        return quote && quote[1] == ']' ? quote + 1 : NULL;
    }
    return strchr(s, ']');
}

size_t override_path_length(const char *override)
{
    const char *s = override;

    while (*s && *s != '=') {
        const char *end = *s == '[' ? bracket_end(s + 1) : NULL;

        s = end ? end : s + 1;
    }
    return (size_t)(s - override);
}

static const char *read_bracket(struct segment *segment, const char *s)
{
    const char *end = bracket_end(s);
    bool is_quoted = *s == '"' || *s == '\'';

    if (!end || end == s)
        return NULL;
    segment->text = xstrndup(s + is_quoted, (size_t)(end - s) - 2 * (size_t)is_quoted);
    segment->is_index = !is_quoted && parse_int64(segment->text, &segment->index, NULL) == 0;
    return end + 1;
}

static const char *read_name(struct segment *segment, const char *s)
{
    size_t len = strcspn(s, ".[=");

    if (!len)
        return NULL;
    segment->text = xstrndup(s, len);
    return s + len;
}

/* false: it is no path, which has been reported. */
static bool read_path(struct override *o, const char *text)
{
    const char *s = text;

    while (*s != '=') {
        struct segment *segment = &o->segments[o->count];
        bool is_bracket = *s == '[';

        if (o->count == SEGMENTS_MAX) {
            report(o, 0, "the path is longer than %d keys", SEGMENTS_MAX);
            return false;
        }
        s = is_bracket ? read_bracket(segment, s + 1) : read_name(segment, s);
        if (!s)
            break;
        o->count++;
        if (*s == '.' && s[1] && s[1] != '=')
            s++;
        else if (*s != '[' && *s != '=')
            s = "";
        if (!*s)
            break;
    }
    if (s && *s == '=' && o->count)
        return true;
    if (text[override_path_length(text)])
        report(o, 0, "this is no path; write it like stages[0].jobs.NAME.timeout");
    else
        report(o, 0, "there is no value; write PATH=VALUE");
    return false;
}

/* --- making nodes --- */

static struct yaml_node *new_node(const struct override *o, enum yaml_kind kind)
{
    struct yaml_node *node = arena_alloc(&o->tree->arena, sizeof(*node));

    node->kind = (uint8_t)kind;
    node->pos = o->pos;
    return node;
}

static const struct yaml_node *new_scalar(const struct override *o, const char *text)
{
    struct yaml_node *node = new_node(o, YAML_KIND_SCALAR);

    node->len = (uint32_t)strlen(text);
    node->text = arena_strndup(&o->tree->arena, text, node->len);
    return node;
}

/* A copy with everything below it. */
static const struct yaml_node *copy_node(const struct override *o, const struct yaml_node *from)
{
    struct yaml_node *node = new_node(o, (enum yaml_kind)from->kind);

    node->style = from->style;
    node->len = from->len;
    if (from->tag)
        node->tag = arena_strndup(&o->tree->arena, from->tag, strlen(from->tag));
    if (from->kind == YAML_KIND_SCALAR) {
        node->text = arena_strndup(&o->tree->arena, from->text, from->len);
    } else if (from->kind == YAML_KIND_SEQUENCE) {
        const struct yaml_node **items =
            arena_alloc(&o->tree->arena, (size_t)from->len * sizeof(*items));

        for (size_t i = 0; i < from->len; i++)
            items[i] = copy_node(o, from->items[i]);
        node->items = items;
    } else {
        struct yaml_pair *pairs = arena_alloc(&o->tree->arena, (size_t)from->len * sizeof(*pairs));

        for (size_t i = 0; i < from->len; i++)
            pairs[i] = (struct yaml_pair){copy_node(o, from->pairs[i].key),
                                          copy_node(o, from->pairs[i].value)};
        node->pairs = pairs;
    }
    return node;
}

/* NULL: it cannot be read, which has been reported. */
static const struct yaml_node *read_value(const struct override *o, const char *text)
{
    struct yaml_limits limits = YAML_LIMITS_INIT;
    CLEANUP_DIAG_LIST struct diag_list diags = {0};
    CLEANUP_YAML_TREE struct yaml_tree *tree = NULL;

    if (*text != '[' && (*text != '{' || text[1] == '{'))
        return new_scalar(o, text);
    limits.nodes = VALUE_NODES;
    limits.depth = VALUE_DEPTH;
    tree = yaml_tree_parse(text, strlen(text), &limits, &diags);
    if (tree && yaml_tree_root(tree) && !diags.error_count)
        return copy_node(o, yaml_tree_root(tree));
    report(o, o->count, "a value that begins with \"%c\" is read as YAML, but %s", *text,
           diags.len ? diags.items[0].message : "it is empty");
    return NULL;
}

/* --- setting --- */

static const struct yaml_node *set_below(const struct override *o, const struct yaml_node *node,
                                         size_t depth);

static bool is_called(const struct yaml_node *item, const char *name)
{
    static const char *const keys[] = {"name", "id"};

    for (size_t i = 0; i < sizeof(keys) / sizeof(*keys); i++) {
        const struct yaml_node *value = yaml_node_get(item, keys[i]);

        if (value && value->kind == YAML_KIND_SCALAR && strcmp(value->text, name) == 0)
            return true;
    }
    return false;
}

static void report_no_item(const struct override *o, size_t depth, const struct yaml_node *list)
{
    struct nearest nearest = {.text = o->segments[depth].text};
    CLEANUP_BUF struct buf hint = BUF_INIT;

    for (size_t i = 0; i < list->len; i++) {
        const struct yaml_node *name = yaml_node_get(list->items[i], "name");

        if (name && name->kind == YAML_KIND_SCALAR)
            nearest_offer(&nearest, name->text);
    }
    if (nearest.best)
        buf_addf(&hint, "; did you mean \"%s\"?", nearest.best);
    report(o, depth, "no item of this list is called \"%s\"%s", o->segments[depth].text, hint.data);
}

/* The item that a segment means; false: there is none, or several, which has been reported. */
static bool find_item(const struct override *o, size_t depth, const struct yaml_node *list,
                      size_t *ret)
{
    const struct segment *segment = &o->segments[depth];
    size_t found = 0;

    if (segment->is_index && segment->index >= 0 && segment->index < list->len) {
        *ret = (size_t)segment->index;
        return true;
    }
    if (segment->is_index) {
        report(o, depth, "this list has %u items, numbered from 0, and no [%s]", list->len,
               segment->text);
        return false;
    }
    for (size_t i = 0; i < list->len; i++) {
        if (is_called(list->items[i], segment->text) && !found++)
            *ret = i;
    }
    if (!found)
        report_no_item(o, depth, list);
    else if (found > 1)
        report(o, depth, "%zu items of this list are called \"%s\"; write a number, from 0", found,
               segment->text);
    return found == 1;
}

static const struct yaml_node *set_in_list(const struct override *o, const struct yaml_node *list,
                                           size_t depth)
{
    struct yaml_node *copy = new_node(o, YAML_KIND_SEQUENCE);
    const struct yaml_node **items;
    const struct yaml_node *value;
    size_t index = 0;

    if (!find_item(o, depth, list, &index))
        return NULL;
    value = set_below(o, list->items[index], depth + 1);
    if (!value)
        return NULL;
    items = arena_alloc(&o->tree->arena, (size_t)list->len * sizeof(*items));
    memcpy(items, list->items, (size_t)list->len * sizeof(*items));
    items[index] = value;
    *copy = *list;
    copy->items = items;
    return copy;
}

/* `map` NULL: there is none yet. */
static const struct yaml_node *set_in_map(const struct override *o, const struct yaml_node *map,
                                          size_t depth)
{
    const char *key = o->segments[depth].text;
    struct yaml_node *copy = new_node(o, YAML_KIND_MAPPING);
    size_t len = map ? map->len : 0;
    struct yaml_pair *pairs;
    const struct yaml_node *value;
    size_t at = 0;

    while (at < len && strcmp(map->pairs[at].key->text, key) != 0)
        at++;
    value = set_below(o, at < len ? map->pairs[at].value : NULL, depth + 1);
    if (!value)
        return NULL;
    pairs = arena_alloc(&o->tree->arena, (len + 1) * sizeof(*pairs));
    if (map) {
        *copy = *map;
        memcpy(pairs, map->pairs, len * sizeof(*pairs));
    }
    pairs[at] = (struct yaml_pair){at < len ? pairs[at].key : new_scalar(o, key), value};
    copy->len = (uint32_t)(at < len ? len : len + 1);
    copy->pairs = pairs;
    return copy;
}

/* What stands for the node when the value is set from segment `depth` on; NULL: reported. */
static const struct yaml_node *set_below(const struct override *o, const struct yaml_node *node,
                                         size_t depth)
{
    bool is_nothing = !node || yaml_node_is_null(node);

    if (depth == o->count)
        return o->value;
    if (!is_nothing && node->kind == YAML_KIND_SEQUENCE)
        return set_in_list(o, node, depth);
    if ((is_nothing || node->kind == YAML_KIND_MAPPING) && !o->segments[depth].is_index)
        return set_in_map(o, is_nothing ? NULL : node, depth);
    if (is_nothing)
        report(o, depth, "there is no list here that [%s] could be an item of",
               o->segments[depth].text);
    else
        report(o, depth, "this is %s, in which there is no \"%s\"",
               yaml_kind_name((enum yaml_kind)node->kind), o->segments[depth].text);
    return NULL;
}

void override_apply(struct yaml_tree *tree, const char *override, uint32_t number,
                    struct diag_list *diags)
{
    struct override o = {.tree = tree, .diags = diags, .pos = {0, number}};
    const struct yaml_node *root = NULL;

    if (!utf8_valid(override, strlen(override)))
        report(&o, 0, "this is not UTF-8 text");
    else if (tree->document_count && read_path(&o, override)) {
        o.value = read_value(&o, override + override_path_length(override) + 1);
        root = o.value ? set_below(&o, tree->documents[0], 0) : NULL;
    }
    if (root)
        tree->documents[0] = root;
    for (size_t i = 0; i < o.count; i++)
        free(o.segments[i].text);
}
