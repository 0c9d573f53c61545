#include "yaml/yaml_builder.h"

/* Maps up to this size are compared key by key, without the index. */
#define SMALL 8

struct map_parts {
    const struct yaml_node *const *children; /* keys and values alternate */
    size_t count;                            /* of children */
    const struct yaml_node *merge;           /* the value of `<<`, NULL: none */
    size_t size_max;                         /* pairs, if no key comes twice */
};

static bool is_merge_key(const struct yaml_node *key)
{
    return key->style == YAML_STYLE_PLAIN && key->len == 2 && memcmp(key->text, "<<", 2) == 0;
}

/* The maps that a `<<` value merges: itself, or its items. */
static const struct yaml_node *const *merge_sources(const struct yaml_node *const *merge,
                                                    size_t *ret_count)
{
    if ((*merge)->kind == YAML_KIND_MAPPING) {
        *ret_count = 1;
        return merge;
    }
    *ret_count = (*merge)->len;
    return (*merge)->items;
}

static int check_merge(struct yaml_builder *b, struct map_parts *parts)
{
    const struct yaml_node *const *sources;
    size_t count;

    if (parts->merge->kind == YAML_KIND_SCALAR) {
        yaml_builder_error(b, parts->merge->pos,
                           "\"<<\" needs a map or a list of maps, this is a string");
        return -1;
    }
    sources = merge_sources(&parts->merge, &count);
    for (size_t i = 0; i < count; i++) {
        if (sources[i]->kind != YAML_KIND_MAPPING) {
            yaml_builder_error(b, sources[i]->pos, "\"<<\" merges maps, this is %s",
                               yaml_kind_name(sources[i]->kind));
            return -1;
        }
        parts->size_max += sources[i]->len;
    }
    return 0;
}

static int examine(struct yaml_builder *b, struct map_parts *parts)
{
    for (size_t i = 0; i < parts->count; i += 2) {
        const struct yaml_node *key = parts->children[i];

        if (key->kind != YAML_KIND_SCALAR) {
            yaml_builder_error(b, key->pos, "a key must be a string, this is %s",
                               yaml_kind_name(key->kind));
            return -1;
        }
        if (!is_merge_key(key)) {
            parts->size_max++;
            continue;
        }
        if (parts->merge) {
            yaml_builder_error(b, key->pos, "\"<<\" is given twice; merge a list of maps instead");
            return -1;
        }
        parts->merge = parts->children[i + 1];
        if (check_merge(b, parts) < 0)
            return -1;
    }
    return 0;
}

/* The earlier pair with this key, NULL if there is none: the key is then remembered. */
static const struct yaml_pair *note_key(struct yaml_builder *b, const struct map_parts *parts,
                                        const struct yaml_node *key)
{
    uint32_t earlier;

    if (parts->size_max > SMALL) {
        if (text_index_find(&b->keys, key->text, key->len, &earlier))
            return &b->pairs.items[earlier];
        text_index_set(&b->keys, key->text, key->len, (uint32_t)b->pairs.len);
        return NULL;
    }
    for (size_t i = 0; i < b->pairs.len; i++) {
        const struct yaml_node *other = b->pairs.items[i].key;

        if (other->len == key->len && memcmp(other->text, key->text, key->len) == 0)
            return &b->pairs.items[i];
    }
    return NULL;
}

/* Fills b->pairs with the map's own pairs; returns how many of them stand before the `<<`. */
static size_t add_own(struct yaml_builder *b, const struct map_parts *parts)
{
    size_t merge_at = 0;

    for (size_t i = 0; i < parts->count; i += 2) {
        const struct yaml_node *key = parts->children[i];
        const struct yaml_pair *earlier;

        if (is_merge_key(key)) {
            merge_at = b->pairs.len;
            continue;
        }
        earlier = note_key(b, parts, key);
        if (earlier)
            yaml_builder_error(b, key->pos, "the key \"%s\" is given twice, first on line %u",
                               key->text, earlier->key->pos.line);
        else
            vec_push(&b->pairs, ((struct yaml_pair){key, parts->children[i + 1]}));
    }
    return merge_at;
}

static void add_merged(struct yaml_builder *b, const struct map_parts *parts)
{
    size_t count;
    const struct yaml_node *const *sources = merge_sources(&parts->merge, &count);

    for (size_t i = 0; i < count; i++) {
        for (size_t j = 0; j < sources[i]->len; j++) {
            if (!note_key(b, parts, sources[i]->pairs[j].key))
                vec_push(&b->pairs, sources[i]->pairs[j]);
        }
    }
}

int yaml_map_finish(struct yaml_builder *b, struct yaml_frame *frame)
{
    struct map_parts parts = {.count = b->children.len - frame->first_child};
    struct yaml_pair *pairs;
    size_t before;
    size_t own;
    size_t merged;

    if (!parts.count)
        return 0;
    parts.children = b->children.items + frame->first_child;
    if (examine(b, &parts) < 0)
        return -1;
    b->pairs.len = 0;
    text_index_clear(&b->keys);
    before = add_own(b, &parts);
    own = b->pairs.len;
    if (parts.merge)
        add_merged(b, &parts);
    if (!b->pairs.len)
        return 0;
    merged = b->pairs.len - own;
    /* Own keys were added first, because they win; what `<<` adds belongs where it stood. */
    pairs = arena_alloc(&b->tree->arena, b->pairs.len * sizeof(*pairs));
    memcpy(pairs, b->pairs.items, before * sizeof(*pairs));
    memcpy(pairs + before, b->pairs.items + own, merged * sizeof(*pairs));
    memcpy(pairs + before + merged, b->pairs.items + before, (own - before) * sizeof(*pairs));
    frame->node->len = (uint32_t)b->pairs.len;
    frame->node->pairs = pairs;
    return 0;
}
