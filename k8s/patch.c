#include "k8s/patch.h"

#include <string.h>

#include "base/vec.h"

/* An operation that is being applied. */
struct operation {
    const struct setting *setting;
    json_t **document;
    size_t *copied; /* values that all operations have copied */
    struct err *err;
};

/* Fails with a pointer of the operation: "path" or "from". */
static int pointer_error(const struct operation *o, const char *member, const char *what)
{
    const json_t *value = json_object_get(o->setting->value, member);
    const struct setting setting = setting_member(o->setting, member, value);
    const char *text = json_string_value(value);

    return setting_error(&setting, o->err, "%s: \"%.200s\"", what, text ? text : "");
}

/* Reads one token of a pointer: -1 when a "~" in it is none of "~0" and "~1". */
static int unescape(const char *text, size_t len, struct buf *out)
{
    for (size_t i = 0; i < len; i++) {
        if (text[i] != '~') {
            buf_addch(out, text[i]);
            continue;
        }
        if (++i == len || (text[i] != '0' && text[i] != '1'))
            return -1;
        buf_addch(out, text[i] == '0' ? '~' : '/');
    }
    return 0;
}

/* The tokens of the pointer that a member of the operation is; none: the whole document. */
static int read_pointer(const struct operation *o, const char *member, struct strvec *ret)
{
    const json_t *value = json_object_get(o->setting->value, member);
    const char *p = json_string_value(value);

    if (!p)
        return setting_error(o->setting, o->err, "must have a string \"%s\"", member);
    if (*p && *p != '/')
        return pointer_error(o, member, "must begin with \"/\"");
    while (*p) {
        size_t len = strcspn(++p, "/");
        struct buf token = BUF_INIT;

        if (unescape(p, len, &token) < 0) {
            buf_release(&token);
            return pointer_error(o, member, "must have \"~0\" for \"~\" and \"~1\" for \"/\"");
        }
        strvec_push_owned(ret, buf_steal(&token));
        p += len;
    }
    return 0;
}

/* -1: it is no index of an array. */
static int read_index(const char *token, size_t *ret)
{
    size_t len = strspn(token, "0123456789");

    if (!len || len > 9 || token[len] || (token[0] == '0' && len > 1))
        return -1;
    *ret = (size_t)strtoul(token, NULL, 10);
    return 0;
}

/* The value that a token names in another one, or NULL. */
static json_t *member_of(json_t *value, const char *token)
{
    size_t index;

    if (json_is_array(value))
        return read_index(token, &index) < 0 ? NULL : json_array_get(value, index);
    return json_object_get(value, token);
}

/* The value that the first `count` tokens name, or NULL. */
static json_t *find(json_t *document, const struct strvec *tokens, size_t count)
{
    for (size_t i = 0; i < count && document; i++)
        document = member_of(document, tokens->items[i]);
    return document;
}

static size_t larger(size_t a, size_t b)
{
    return a > b ? a : b;
}

/* How many values a value has, itself counted, and how deep they are. */
static size_t measure(const json_t *value, size_t *ret_depth)
{
    size_t count = 1;
    size_t depth = 0;
    size_t below = 0;
    size_t i;
    const char *name;
    json_t *item;

    json_object_foreach ((json_t *)value, name, item) {
        count += measure(item, &below);
        depth = larger(depth, below);
    }
    json_array_foreach (value, i, item) {
        count += measure(item, &below);
        depth = larger(depth, below);
    }
    *ret_depth = depth + 1;
    return count;
}

static int set_member(const struct operation *o, json_t *parent, const char *token, json_t *value)
{
    size_t index = json_array_size(parent);

    if (json_is_object(parent)) {
        json_object_set(parent, token, value);
        return 0;
    }
    if (!json_is_array(parent))
        return pointer_error(o, "path", "is not in a map or a list");
    if (strcmp(token, "-") != 0 &&
        (read_index(token, &index) < 0 || index > json_array_size(parent)))
        return pointer_error(o, "path", "has no index of that list, nor \"-\" for its end");
    json_array_insert(parent, index, value);
    return 0;
}

/* Puts a new reference at the operation's path. */
static int add_value(const struct operation *o, const struct strvec *path, json_t *value)
{
    json_t *parent;
    size_t depth;
    int result;

    measure(value, &depth);
    if (path->len + depth > PATCH_DEPTH_MAX) {
        json_decref(value);
        return setting_error(o->setting, o->err, "makes the pod deeper than %d", PATCH_DEPTH_MAX);
    }
    if (!path->len) {
        json_decref(*o->document);
        *o->document = value;
        return 0;
    }
    parent = find(*o->document, path, path->len - 1);
    result = parent ? set_member(o, parent, path->items[path->len - 1], value)
                    : pointer_error(o, "path", "is in nothing that the pod has");
    json_decref(value);
    return result;
}

/* Takes the value out of the document: a new reference, or NULL. */
static json_t *take_value(const struct operation *o, const char *member,
                          const struct strvec *pointer)
{
    json_t *value = find(*o->document, pointer, pointer->len);
    json_t *parent;
    size_t index;

    if (!value || !pointer->len) {
        pointer_error(o, member,
                      value ? "must not be the whole pod" : "names nothing that the pod has");
        return NULL;
    }
    json_incref(value);
    parent = find(*o->document, pointer, pointer->len - 1);
    if (json_is_object(parent))
        json_object_del(parent, pointer->items[pointer->len - 1]);
    else if (read_index(pointer->items[pointer->len - 1], &index) == 0)
        json_array_remove(parent, index);
    return value;
}

/* Equal as RFC 6902 says: numbers by their value. */
static bool same_value(const json_t *a, const json_t *b)
{
    const char *name;
    json_t *item;
    size_t i;

    if (json_is_number(a) && json_is_number(b) && json_typeof(a) != json_typeof(b))
        return json_number_value(a) == json_number_value(b);
    if (json_is_object(a) && json_is_object(b)) {
        json_object_foreach ((json_t *)a, name, item) {
            const json_t *other = json_object_get(b, name);

            if (!other || !same_value(item, other))
                return false;
        }
        return json_object_size(a) == json_object_size(b);
    }
    if (json_is_array(a) && json_is_array(b)) {
        json_array_foreach (a, i, item) {
            if (i >= json_array_size(b) || !same_value(item, json_array_get(b, i)))
                return false;
        }
        return json_array_size(a) == json_array_size(b);
    }
    return json_equal(a, b);
}

static json_t *value_of(const struct operation *o)
{
    json_t *value = json_object_get(o->setting->value, "value");

    if (!value)
        setting_error(o->setting, o->err, "must have a \"value\"");
    return value;
}

static int op_add(const struct operation *o, const struct strvec *path)
{
    const json_t *value = value_of(o);

    return value ? add_value(o, path, json_deep_copy(value)) : -1;
}

static int op_remove(const struct operation *o, const struct strvec *path)
{
    json_t *value = take_value(o, "path", path);

    json_decref(value);
    return value ? 0 : -1;
}

static int op_replace(const struct operation *o, const struct strvec *path)
{
    const json_t *value = value_of(o);

    if (!value || (path->len && op_remove(o, path) < 0))
        return -1;
    return add_value(o, path, json_deep_copy(value));
}

static int op_move(const struct operation *o, const struct strvec *path)
{
    CLEANUP_STRVEC struct strvec from = {0};
    size_t same = 0;
    json_t *value;

    if (read_pointer(o, "from", &from) < 0)
        return -1;
    while (same < from.len && same < path->len && strcmp(from.items[same], path->items[same]) == 0)
        same++;
    if (same == from.len && path->len > from.len)
        return pointer_error(o, "path", "is in what is to be moved there");
    value = take_value(o, "from", &from);
    return value ? add_value(o, path, value) : -1;
}

static int op_copy(const struct operation *o, const struct strvec *path)
{
    CLEANUP_STRVEC struct strvec from = {0};
    const json_t *value;
    size_t depth;

    if (read_pointer(o, "from", &from) < 0)
        return -1;
    value = find(*o->document, &from, from.len);
    if (!value)
        return pointer_error(o, "from", "names nothing that the pod has");
    *o->copied += measure(value, &depth);
    if (*o->copied > PATCH_VALUES_MAX)
        return setting_error(o->setting, o->err,
                             "is too much: no more than %d values can be copied", PATCH_VALUES_MAX);
    return add_value(o, path, json_deep_copy(value));
}

static int op_test(const struct operation *o, const struct strvec *path)
{
    const json_t *value = value_of(o);
    const json_t *found = find(*o->document, path, path->len);

    if (!value)
        return -1;
    if (!found)
        return pointer_error(o, "path", "names nothing that the pod has");
    return same_value(found, value) ? 0 : pointer_error(o, "path", "is not what the test expects");
}

static const struct {
    const char *name;
    int (*apply)(const struct operation *o, const struct strvec *path);
} operation_types[] = {
    {"add", op_add},   {"remove", op_remove}, {"replace", op_replace},
    {"move", op_move}, {"copy", op_copy},     {"test", op_test},
};

static int apply(const struct operation *o)
{
    const char *name = json_string_value(json_object_get(o->setting->value, "op"));
    CLEANUP_STRVEC struct strvec path = {0};

    if (!setting_is_object(o->setting, o->err))
        return -1;
    for (size_t i = 0; name && i < sizeof(operation_types) / sizeof(operation_types[0]); i++) {
        if (strcmp(name, operation_types[i].name) != 0)
            continue;
        if (read_pointer(o, "path", &path) < 0)
            return -1;
        return operation_types[i].apply(o, &path);
    }
    return setting_error(o->setting, o->err,
                         "must have an \"op\" of add, remove, replace, move, copy and test");
}

int patch_json(json_t **document, const struct setting *operations, struct err *err)
{
    size_t copied = 0;

    if (!setting_is_array(operations, err))
        return -1;
    for (size_t i = 0; i < json_array_size(operations->value); i++) {
        const struct setting setting = setting_item(operations, i);
        const struct operation operation = {&setting, document, &copied, err};

        if (apply(&operation) < 0)
            return -1;
    }
    return 0;
}
