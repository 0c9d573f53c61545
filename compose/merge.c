#include "compose/merge.h"

#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/text_index.h"

/* How the members of such a map are merged. */
static struct compose_attribute member_of(const struct compose_attribute *a, const char *name)
{
    const struct compose_attribute *row;

    switch ((enum compose_form)a->form) {
    case FORM_OBJECT:
        row = compose_attribute_find(a->table, name);
        return row ? *row : (struct compose_attribute){.form = FORM_ANY};
    case FORM_NAMED:
    case FORM_NAMES:
    case FORM_ULIMITS:
        return (struct compose_attribute){.form = FORM_OBJECT, .table = a->table};
    default:
        return (struct compose_attribute){.form = FORM_ANY};
    }
}

static bool is_other_driver(const json_t *base, const json_t *over)
{
    const char *one = json_string_value(json_object_get(base, "driver"));
    const char *other = json_string_value(json_object_get(over, "driver"));

    return one && other && strcmp(one, other) != 0;
}

static json_t *merge_maps(struct compose_places *places, const struct compose_attribute *a,
                          json_t *base, json_t *over)
{
    json_t *result;
    const char *name;
    json_t *value;

    if (json_is_object(base) && !(a->merge == MERGE_LOGGING && is_other_driver(base, over))) {
        result = json_incref(base);
    } else {
        result = json_object();
        compose_places_like(places, result, over);
    }
    json_object_foreach (over, name, value) {
        const struct compose_attribute member = member_of(a, name);
        enum compose_tag tag = compose_places_tag(places, value);

        if (tag == COMPOSE_TAG_RESET) {
            json_object_del(result, name);
        } else {
            json_t *old = tag == COMPOSE_TAG_OVERRIDE ? NULL : json_object_get(result, name);

            json_object_set_new(result, name, compose_merge(places, &member, old, value));
        }
    }
    return result;
}

struct list_merge {
    struct compose_places *places;
    const struct compose_attribute *attribute;
    struct compose_attribute item;
    struct arena keys;
    struct text_index index; /* key → position in the result */
    size_t base_len;         /* how many of these are of the base */
    json_t *result;
};

static void add_key(const struct list_merge *m, const json_t *item, struct buf *out)
{
    char *text;

    if (m->attribute->merge == MERGE_KEY) {
        m->attribute->key(item, out);
    } else if (m->attribute->merge == MERGE_SUBNET) {
        const char *subnet = json_string_value(json_object_get(item, "subnet"));

        buf_addstr(out, subnet ? subnet : "");
    } else if (json_is_string(item)) {
        buf_addstr(out, json_string_value(item));
    } else {
        text = json_dumps(item, JSON_ENCODE_ANY | JSON_SORT_KEYS);
        buf_addstr(out, text ? text : "");
        free(text);
    }
}

static void merge_item(struct list_merge *m, json_t *item)
{
    CLEANUP_BUF struct buf key = BUF_INIT;
    uint32_t at;

    add_key(m, item, &key);
    if (!text_index_find(&m->index, key.data, key.len, &at) ||
        (m->attribute->merge == MERGE_USUAL && at >= m->base_len)) {
        text_index_set(&m->index, arena_strndup(&m->keys, key.data, key.len), key.len,
                       (uint32_t)json_array_size(m->result));
        json_array_append_new(m->result, compose_merge(m->places, &m->item, NULL, item));
    } else if (m->attribute->merge == MERGE_KEY) {
        json_array_set_new(m->result, at, compose_merge(m->places, &m->item, NULL, item));
    } else if (m->attribute->merge == MERGE_SUBNET) {
        json_t *old = json_array_get(m->result, at);

        json_array_set_new(m->result, at, compose_merge(m->places, &m->item, old, item));
    }
}

static json_t *merge_lists(struct compose_places *places, const struct compose_attribute *a,
                           json_t *base, json_t *over)
{
    struct list_merge m = {.places = places,
                           .attribute = a,
                           .item = {.form = a->table ? FORM_OBJECT : FORM_ANY, .table = a->table},
                           .result = json_array()};
    size_t i;
    json_t *item;

    compose_places_like(places, m.result, over);
    if (json_is_array(base)) {
        json_array_foreach (base, i, item)
            merge_item(&m, item);
        m.base_len = json_array_size(m.result);
    }
    json_array_foreach (over, i, item)
        merge_item(&m, item);
    text_index_release(&m.index);
    arena_release(&m.keys);
    return m.result;
}

json_t *compose_merge(struct compose_places *places, const struct compose_attribute *a,
                      json_t *base, json_t *over)
{
    if (a->form == FORM_COMMAND || a->merge == MERGE_REPLACE)
        return json_incref(over);
    if (json_is_null(over) && base && a->form != FORM_ANY)
        return json_incref(base);
    if (json_is_object(over))
        return merge_maps(places, a, base, over);
    if (json_is_array(over))
        return merge_lists(places, a, base, over);
    return json_incref(over);
}

json_t *compose_merge_object(struct compose_places *places, const struct compose_table *table,
                             json_t *base, json_t *over)
{
    const struct compose_attribute object = {.form = FORM_OBJECT, .table = table};

    return compose_merge(places, &object, base, over);
}

void compose_apply_tags(const struct compose_places *places, json_t *base, const json_t *over)
{
    const char *name;
    json_t *value;

    if (!json_is_object(base) || !json_is_object(over))
        return;
    json_object_foreach ((json_t *)over, name, value) {
        if (compose_places_tag(places, value) != COMPOSE_TAG_NONE)
            json_object_del(base, name);
        else
            compose_apply_tags(places, json_object_get(base, name), value);
    }
}
