/* Groups as maps with the keys hosts, vars and children. */
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/nearest.h"
#include "load/inventory_model.h"
#include "yaml/yaml_json.h"
#include "yaml/yaml_tree.h"

/* Of a group, deeper than which no inventory is. */
enum { DEPTH_MAX = 32 };

static bool is_map(struct inventory *inv, const struct yaml_node *node, const char *what)
{
    if (node->kind == YAML_KIND_MAPPING)
        return true;
    if (!yaml_node_is_null(node))
        inventory_error(inv, node->pos, "%s must be a map, not %s", what,
                        yaml_kind_name((enum yaml_kind)node->kind));
    return false;
}

static void read_vars(struct inventory *inv, const struct yaml_node *node, struct spec_pairs *vars)
{
    if (!is_map(inv, node, "the variables"))
        return;
    for (uint32_t i = 0; i < node->len; i++) {
        const struct yaml_pair *pair = &node->pairs[i];
        json_t *json;
        char *text;

        if (pair->value->kind == YAML_KIND_SCALAR) {
            inventory_set(inv, vars, pair->key->text,
                          yaml_node_is_null(pair->value) ? "" : pair->value->text,
                          pair->value->pos);
            continue;
        }
        json = yaml_node_to_json(pair->value);
        text = json_dumps(json, JSON_COMPACT);
        inventory_set(inv, vars, pair->key->text, text ? text : "null", pair->value->pos);
        free(text);
        json_decref(json);
    }
}

static void read_hosts(struct inventory *inv, uint32_t group, const struct yaml_node *node)
{
    const struct spec_pairs none = {0};

    if (node->kind == YAML_KIND_SCALAR && !yaml_node_is_null(node)) {
        inventory_add_hosts(inv, group, node->text, node->pos, &none);
        return;
    }
    if (!is_map(inv, node, "\"hosts\""))
        return;
    for (uint32_t i = 0; i < node->len && !inv->is_full; i++) {
        struct spec_pairs vars = {0};

        read_vars(inv, node->pairs[i].value, &vars);
        inventory_add_hosts(inv, group, node->pairs[i].key->text, node->pairs[i].key->pos, &vars);
        inventory_release_pairs(&vars);
    }
}

static void report_unknown(struct inventory *inv, const struct yaml_node *key)
{
    static const char *const keys[] = {"hosts", "vars", "children"};
    struct nearest nearest = {.text = key->text};

    for (size_t i = 0; i < sizeof(keys) / sizeof(*keys); i++)
        nearest_offer(&nearest, keys[i]);
    if (nearest.best)
        inventory_error(inv, key->pos, "unknown key \"%s\" in a group; did you mean \"%s\"?",
                        key->text, nearest.best);
    else
        inventory_error(inv, key->pos,
                        "unknown key \"%s\" in a group; there are hosts, vars and children",
                        key->text);
}

/* `parent` is "all" for groups at the top. */
static void read_group(struct inventory *inv, uint32_t parent, const struct yaml_pair *pair,
                       unsigned depth)
{
    uint32_t group = inventory_group(inv, pair->key->text, pair->key->pos);
    const struct yaml_node *node = pair->value;

    if (depth == DEPTH_MAX) {
        inventory_error(inv, pair->key->pos, "groups are nested in more than %d levels", DEPTH_MAX);
        return;
    }
    inventory_nest(inv, parent, group);
    if (inv->is_full || !is_map(inv, node, "a group"))
        return;
    for (uint32_t i = 0; i < node->len; i++) {
        const struct yaml_pair *member = &node->pairs[i];

        if (strcmp(member->key->text, "hosts") == 0)
            read_hosts(inv, group, member->value);
        else if (strcmp(member->key->text, "vars") == 0)
            read_vars(inv, member->value, &inv->groups.items[group].vars);
        else if (strcmp(member->key->text, "children") != 0)
            report_unknown(inv, member->key);
        else if (is_map(inv, member->value, "\"children\""))
            for (uint32_t j = 0; j < member->value->len && !inv->is_full; j++)
                read_group(inv, group, &member->value->pairs[j], depth + 1);
    }
}

void inventory_read_yaml(struct inventory *inv, const char *text, size_t len)
{
    size_t said_before = inv->diags->len;
    CLEANUP_YAML_TREE struct yaml_tree *tree = yaml_tree_parse(text, len, NULL, inv->diags);
    const struct yaml_node *root = tree ? yaml_tree_root(tree) : NULL;

    for (size_t i = said_before; i < inv->diags->len; i++)
        inv->diags->items[i].pos.file = inv->file & 15;
    if (!root || !is_map(inv, root, "the inventory"))
        return;
    for (uint32_t i = 0; i < root->len && !inv->is_full; i++)
        read_group(inv, 0, &root->pairs[i], 0);
}
