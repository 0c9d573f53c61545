/* What the values of `kubernetes` must be like. Those with ${…} are looked at by who makes the pod.
 */
#include <string.h>

#include "load/decode.h"
#include "load/pipeline_tables.h"

#define DIGITS "0123456789"

/* Source: Kubernetes API reference, Quantity. */
static bool is_quantity(const char *text)
{
    static const char *const suffixes[] = {"",  "n", "u",  "m",  "k",  "M",  "G",  "T",
                                           "P", "E", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"};
    size_t whole;
    size_t fraction = 0;

    text += *text == '+';
    whole = strspn(text, DIGITS);
    text += whole;
    if (*text == '.') {
        fraction = strspn(++text, DIGITS);
        text += fraction;
    }
    if (!whole && !fraction)
        return false;
    for (size_t i = 0; i < sizeof(suffixes) / sizeof(*suffixes); i++) {
        if (strcmp(text, suffixes[i]) == 0)
            return true;
    }
    if (*text != 'e' && *text != 'E')
        return false;
    text++;
    text += *text == '+' || *text == '-';
    return *text && !text[strspn(text, DIGITS)];
}

void check_quantity(struct decoder *d, const struct node_path *path, const struct field *field,
                    const struct yaml_node *node)
{
    (void)field;
    if (!decode_has_template(node->text) && !is_quantity(node->text))
        decode_error(d, path, node->pos,
                     "\"%s\" must be a quantity of Kubernetes, such as 500m or 1Gi, not \"%s\"",
                     path->key, node->text);
}

void check_mount(struct decoder *d, const struct node_path *path, const struct field *field,
                 const struct yaml_node *node)
{
    const char *text = node->text;

    if (decode_has_template(text))
        return;
    if (text[0] != '/' || !text[strspn(text, "/")] || strchr(text, ':'))
        decode_error(d, path, node->pos,
                     "\"%s\" must be an absolute path below /, without \":\", not \"%s\"",
                     field->name, text);
}

static bool leads_up(const char *path)
{
    for (size_t len; *path; path += len + (path[len] == '/')) {
        len = strcspn(path, "/");
        if (len == 2 && path[0] == '.' && path[1] == '.')
            return true;
    }
    return false;
}

void check_sub_path(struct decoder *d, const struct node_path *path, const struct field *field,
                    const struct yaml_node *node)
{
    if (!decode_has_template(node->text) && (node->text[0] == '/' || leads_up(node->text)))
        decode_error(d, path, node->pos,
                     "\"%s\" must be a relative path, without \"..\", not \"%s\"", field->name,
                     node->text);
}

void check_pod_volume(struct decoder *d, const struct node_path *path, const void *object,
                      const struct yaml_node *node)
{
    const json_t *volume = ((const struct spec_json *)object)->value;

    if (json_object_get(volume, "items") && !d->unknown_here &&
        !json_object_get(volume, "config_map") && !json_object_get(volume, "secret"))
        decode_error(d, path, yaml_node_get(node, "items")->pos,
                     "\"items\" goes with \"config_map\" or \"secret\"");
}

void check_workspace(struct decoder *d, const struct node_path *path, const void *object,
                     const struct yaml_node *node)
{
    const json_t *workspace = ((const struct spec_json *)object)->value;

    if (json_object_get(workspace, "storage_class") && json_object_get(workspace, "pvc"))
        decode_error(d, path, yaml_node_get(node, "storage_class")->pos,
                     "\"storage_class\" goes with \"size\"");
}
