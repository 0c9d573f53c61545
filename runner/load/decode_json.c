/* Values of the file that stay JSON. A row of a table with `json` is decoded as any other, into a
 * member of its own kind on the stack, and that becomes a member of the JSON object: so it is
 * checked, and its mistakes are told, as everywhere. */
#include <stdlib.h>

#include "base/alloc.h"
#include "load/decode.h"
#include "yaml/yaml_json.h"

/* A new string value; its position goes to the object that it will be in. */
static json_t *string_in(struct spec_json *object, const char *text, size_t len, struct src_pos pos)
{
    json_t *string = json_stringn(text, len);

    if (string) {
        object->strings = xreallocarray(object->strings, object->string_count + 1, sizeof(pos));
        object->strings[object->string_count++] = pos;
    }
    return string;
}

static json_t *value_in(struct decoder *d, const struct node_path *path, struct spec_json *object,
                        const struct yaml_node *node)
{
    json_t *value;

    if (node->kind == YAML_KIND_SEQUENCE) {
        value = json_array();
        for (size_t i = 0; i < node->len; i++)
            json_array_append_new(value, value_in(d, &(struct node_path){.up = path, .index = i},
                                                  object, node->items[i]));
        return value;
    }
    if (node->kind == YAML_KIND_MAPPING) {
        value = json_object();
        for (size_t i = 0; i < node->len; i++) {
            const char *key = node->pairs[i].key->text;

            json_object_set_new(value, key,
                                value_in(d, &(struct node_path){.up = path, .key = key}, object,
                                         node->pairs[i].value));
        }
        return value;
    }
    value = yaml_node_to_json(node);
    if (!json_is_string(value))
        return value;
    json_decref(value);
    decode_check_template(d, path, node);
    return string_in(object, node->text, node->len, node->pos);
}

void decode_json(struct decoder *d, const struct node_path *path, struct spec_json *ret,
                 const struct yaml_node *node)
{
    ret->pos = node->pos;
    ret->value = value_in(d, path, ret, node);
}

/* The struct members that the rows of tables with `json` can have. */
union member {
    struct spec_str string;
    struct spec_strs strings;
    struct spec_pairs pairs;
    enum spec_bool truth;
    struct spec_json json;
    struct spec_json *object;
    struct {
        struct spec_json *items;
        size_t count;
    } objects;
};

static json_t *take_string(struct spec_json *object, struct spec_str *string)
{
    json_t *value =
        string->text ? string_in(object, string->text, strlen(string->text), string->pos) : NULL;

    free(string->text);
    return value;
}

static json_t *take_strings(struct spec_json *object, struct spec_strs *strings)
{
    json_t *list = json_array();

    for (size_t i = 0; i < strings->len; i++)
        json_array_append_new(list, take_string(object, &strings->items[i]));
    free(strings->items);
    return list;
}

static json_t *take_pairs(struct spec_json *object, struct spec_pairs *pairs)
{
    json_t *map = json_object();

    for (size_t i = 0; i < pairs->len; i++) {
        json_object_set_new(map, pairs->items[i].key, take_string(object, &pairs->items[i].value));
        free(pairs->items[i].key);
    }
    free(pairs->items);
    return map;
}

static json_t *take_json(struct spec_json *object, struct spec_json *json)
{
    json_t *value = json_incref(json->value);

    object->strings = xreallocarray(object->strings, object->string_count + json->string_count + 1,
                                    sizeof(*object->strings));
    for (size_t i = 0; i < json->string_count; i++)
        object->strings[object->string_count++] = json->strings[i];
    spec_json_release(json);
    return value;
}

static json_t *take_objects(struct spec_json *object, struct spec_json *items, size_t count)
{
    json_t *list = json_array();

    for (size_t i = 0; i < count; i++)
        json_array_append_new(list, take_json(object, &items[i]));
    free(items);
    return list;
}

static json_t *take_object(struct spec_json *object, struct spec_json *taken)
{
    json_t *value = take_json(object, taken);

    free(taken);
    return value;
}

/* The value that was decoded, which is freed; NULL: none. */
static json_t *take(enum field_kind kind, struct spec_json *object, union member *member)
{
    switch (kind) {
    case FIELD_STRING:
        return take_string(object, &member->string);
    case FIELD_STRINGS:
        return take_strings(object, &member->strings);
    case FIELD_PAIRS:
        return take_pairs(object, &member->pairs);
    case FIELD_BOOL:
        return member->truth ? json_boolean(member->truth == SPEC_TRUE) : NULL;
    case FIELD_JSON:
    case FIELD_JSON_MAP:
    case FIELD_JSON_LIST:
        return take_json(object, &member->json);
    case FIELD_OBJECT:
        return take_object(object, member->object);
    case FIELD_OBJECTS:
        return take_objects(object, member->objects.items, member->objects.count);
    default:
        abort(); /* no table with `json` has such a row */
    }
}

void decode_json_member(struct decoder *d, const struct node_path *path, const struct field *field,
                        struct spec_json *object, const struct yaml_node *node)
{
    struct field row = *field;
    union member member = {0};
    json_t *value;

    row.offset = 0;
    row.count_offset = offsetof(union member, objects.count);
    decode_field(d, path, &row, &member, node);
    value = take(field->kind, object, &member);
    if (value)
        json_object_set_new(object->value, field->name, value);
}
