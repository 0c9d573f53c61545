#include "apis/docker/body.h"

#include "base/buf.h"

void body_init(struct body *body)
{
    *body = (struct body){.root = json_object()};
}

static json_t *text(struct body *body, const char *key, const char *value)
{
    json_t *string = json_string(value);

    if (!string && !body->bad_key)
        body->bad_key = key;
    return string ? string : json_null();
}

json_t *body_object(struct body *body, json_t *parent, const char *key)
{
    json_t *object;

    if (!parent)
        parent = body->root;
    object = json_object_get(parent, key);
    if (!object) {
        object = json_object();
        json_object_set_new(parent, key, object);
    }
    return object;
}

void body_str(struct body *body, json_t *parent, const char *key, const char *value)
{
    if (value)
        json_object_set_new(parent, key, text(body, key, value));
}

void body_int(json_t *parent, const char *key, int64_t value)
{
    if (value)
        json_object_set_new(parent, key, json_integer(value));
}

void body_true(json_t *parent, const char *key, bool value)
{
    if (value)
        json_object_set_new(parent, key, json_true());
}

void body_number(json_t *parent, const char *key, const int64_t *value)
{
    if (value)
        json_object_set_new(parent, key, json_integer(*value));
}

void body_bool(json_t *parent, const char *key, const bool *value)
{
    if (value)
        json_object_set_new(parent, key, json_boolean(*value));
}

void body_list(struct body *body, json_t *parent, const char *key, const char *const *values)
{
    json_t *list;

    if (!values)
        return;
    list = json_array();
    for (; *values; values++)
        json_array_append_new(list, text(body, key, *values));
    json_object_set_new(parent, key, list);
}

void body_map(struct body *body, json_t *parent, const char *key, const struct strmap *map)
{
    json_t *object;

    if (!map || !map->len)
        return;
    object = body_object(body, parent, key);
    strmap_foreach (entry, map) {
        if (json_object_set_new(object, entry->key, text(body, key, entry->value)) < 0 &&
            !body->bad_key)
            body->bad_key = key;
    }
}

void body_env(struct body *body, json_t *parent, const char *key, const struct strmap *map,
              const char *const *unset)
{
    static const struct strmap none;
    CLEANUP_BUF struct buf pair = BUF_INIT;
    json_t *list;

    if (!map)
        map = &none;
    if (!map->len && !(unset && *unset))
        return;
    list = json_array();
    strmap_foreach (entry, map) {
        buf_reset(&pair);
        buf_addf(&pair, "%s=%s", entry->key, entry->value);
        json_array_append_new(list, text(body, entry->key, pair.data));
    }
    for (; unset && *unset; unset++)
        json_array_append_new(list, text(body, key, *unset));
    json_object_set_new(parent, key, list);
}

json_t *body_done(struct body *body, struct err *err)
{
    json_t *root = body->root;

    body->root = NULL;
    if (!body->bad_key)
        return root;
    err_set(err, ERR_INVALID, "%s: the text is not valid UTF-8, which Docker cannot take",
            body->bad_key);
    json_decref(root);
    return NULL;
}
