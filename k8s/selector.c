#include "k8s/selector.h"

#include <string.h>

#include "base/json_at.h"

static void add_requirement(const json_t *expression, struct buf *out)
{
    const char *key = json_at_string(expression, "key");
    const char *operator= json_at_string(expression, "operator");
    const json_t *value;
    size_t i;

    buf_addstr(out, out->len ? "," : "");
    if (strcmp(operator, "Exists") == 0 || strcmp(operator, "DoesNotExist") == 0) {
        buf_addf(out, "%s%s", *operator== 'E' ? "" : "!", key);
        return;
    }
    buf_addf(out, "%s %s (", key, strcmp(operator, "In") == 0 ? "in" : "notin");
    json_array_foreach (json_object_get(expression, "values"), i, value)
        buf_addf(out, "%s%s", i ? "," : "", json_string_value(value));
    buf_addch(out, ')');
}

void selector_add_text(const json_t *object, struct buf *out)
{
    const json_t *selector = json_at(object, "spec.selector");
    const json_t *labels = json_object_get(selector, "matchLabels");
    const json_t *expressions = json_object_get(selector, "matchExpressions");
    const json_t *value;
    const char *key;
    size_t i;

    if (!labels && !expressions)
        labels = selector;
    json_object_foreach ((json_t *)labels, key, value)
        buf_addf(out, "%s%s=%s", out->len ? "," : "", key, json_string_value(value));
    json_array_foreach (expressions, i, value)
        add_requirement(value, out);
}
