#include "yaml/yaml_json.h"

#include <errno.h>
#include <math.h>

#define STR_TAG "tag:yaml.org,2002:str"

static json_t *integer(const char *text)
{
    const char *digits = text + (*text == '-' || *text == '+');
    bool is_octal = digits[0] == '0' && digits[1] == 'o';
    char *end;
    long long value;

    if (*digits < '0' || *digits > '9')
        return NULL;
    errno = 0;
    value = is_octal ? strtoll(digits + 2, &end, 8) : strtoll(text, &end, 0);
    if (end == digits + 2 * is_octal || *end || errno == ERANGE)
        return NULL;
    return json_integer(is_octal && *text == '-' ? -value : value);
}

static json_t *fraction(const char *text)
{
    char *end;
    double value;

    if (!strpbrk(text, "0123456789") || text[strspn(text, "+-0123456789.eE")])
        return NULL;
    value = strtod(text, &end);
    if (end == text || *end || !isfinite(value))
        return NULL;
    return json_real(value);
}

static json_t *scalar(const struct yaml_node *node)
{
    bool truth;
    json_t *number;

    if (node->style != YAML_STYLE_PLAIN || (node->tag && strcmp(node->tag, STR_TAG) == 0))
        return json_stringn(node->text, node->len);
    if (yaml_node_is_null(node))
        return json_null();
    if (yaml_node_bool(node, &truth))
        return json_boolean(truth);
    number = integer(node->text);
    if (!number)
        number = fraction(node->text);
    return number ? number : json_stringn(node->text, node->len);
}

json_t *yaml_node_to_json(const struct yaml_node *node)
{
    json_t *json;

    if (node->kind == YAML_KIND_SCALAR)
        return scalar(node);
    if (node->kind == YAML_KIND_SEQUENCE) {
        json = json_array();
        for (size_t i = 0; i < node->len; i++)
            json_array_append_new(json, yaml_node_to_json(node->items[i]));
        return json;
    }
    json = json_object();
    for (size_t i = 0; i < node->len; i++)
        json_object_set_new(json, node->pairs[i].key->text,
                            yaml_node_to_json(node->pairs[i].value));
    return json;
}
