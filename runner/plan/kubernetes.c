#include "plan/kubernetes.h"

#include <stdlib.h>
#include <string.h>

/* On the way through a value: the positions of the strings to come. */
struct walk {
    struct expansion x;
    const struct src_pos *next;
    const struct src_pos *end;
};

static json_t *expand_value(struct walk *walk, const json_t *value, struct err *err);

static json_t *expand_string(struct walk *walk, const json_t *string, struct err *err)
{
    char *text;
    json_t *expanded;

    if (walk->next < walk->end)
        walk->x.pos = *walk->next++;
    if (expand(&walk->x, json_string_value(string), &text, err) < 0)
        return NULL;
    expanded = json_string(text);
    free(text);
    if (expanded)
        return expanded;
    if (walk->x.diags)
        diag_add(walk->x.diags, DIAG_ERROR, walk->x.pos, "", "the value is not UTF-8 text");
    if (err)
        err_set(err, ERR_INVALID, "a value of \"kubernetes\" is not UTF-8 text");
    return NULL;
}

static json_t *expand_list(struct walk *walk, const json_t *list, struct err *err)
{
    json_t *expanded = json_array();
    const json_t *item;
    size_t i;

    json_array_foreach (list, i, item) {
        json_t *value = expand_value(walk, item, err);

        if (!value) {
            json_decref(expanded);
            return NULL;
        }
        json_array_append_new(expanded, value);
    }
    return expanded;
}

static json_t *expand_map(struct walk *walk, const json_t *map, struct err *err)
{
    json_t *expanded = json_object();
    const char *key;
    json_t *item;

    json_object_foreach ((json_t *)map, key, item) {
        json_t *value = expand_value(walk, item, err);

        if (!value) {
            json_decref(expanded);
            return NULL;
        }
        json_object_set_new(expanded, key, value);
    }
    return expanded;
}

static json_t *expand_value(struct walk *walk, const json_t *value, struct err *err)
{
    if (json_is_string(value))
        return expand_string(walk, value, err);
    if (json_is_array(value))
        return expand_list(walk, value, err);
    if (json_is_object(value))
        return expand_map(walk, value, err);
    return json_deep_copy(value);
}

static bool is_empty_string(const json_t *value)
{
    return json_is_string(value) && !json_string_length(value);
}

static void drop_empty(json_t *map)
{
    const char *key;
    json_t *value;
    void *next;

    json_object_foreach_safe(map, next, key, value)
    {
        for (size_t i = json_array_size(value); i-- > 0;) {
            if (is_empty_string(json_array_get(value, i)))
                json_array_remove(value, i);
        }
        if (is_empty_string(value))
            json_object_del(map, key);
    }
}

int expand_json(const struct expansion *x, const struct spec_json *json, json_t **ret,
                struct err *err)
{
    struct walk walk = {.x = *x, .next = json->strings, .end = json->strings + json->string_count};
    json_t *expanded = expand_value(&walk, json->value, err);

    if (!expanded)
        return -1;
    drop_empty(expanded);
    *ret = expanded;
    return 0;
}

bool json_has_template(const json_t *value)
{
    const char *key;
    json_t *item;
    size_t i;

    if (json_is_string(value))
        return has_template(json_string_value(value));
    json_array_foreach (value, i, item) {
        if (json_has_template(item))
            return true;
    }
    json_object_foreach ((json_t *)value, key, item) {
        if (json_has_template(item))
            return true;
    }
    return false;
}

static bool is_merged(const char *key)
{
    static const char *const keys[] = {"labels", "annotations", "node_selector"};

    for (size_t i = 0; i < sizeof(keys) / sizeof(*keys); i++) {
        if (strcmp(keys[i], key) == 0)
            return true;
    }
    return false;
}

void kubernetes_merge(json_t **above, json_t *own)
{
    const char *key;
    json_t *value;

    if (!*above) {
        *above = own;
        return;
    }
    json_object_foreach (own, key, value) {
        json_t *inherited = is_merged(key) ? json_object_get(*above, key) : NULL;

        if (inherited)
            json_object_update(inherited, value);
        else
            json_object_set(*above, key, value);
    }
    json_decref(own);
}
