#include "yaml/yaml_tree.h"

#include <string.h>
#include <strings.h>

const struct yaml_node *yaml_tree_root(const struct yaml_tree *tree)
{
    return tree->document_count ? tree->documents[0] : NULL;
}

const struct yaml_node *yaml_node_get(const struct yaml_node *node, const char *key)
{
    if (!node || node->kind != YAML_KIND_MAPPING)
        return NULL;
    for (size_t i = 0; i < node->len; i++) {
        if (strcmp(node->pairs[i].key->text, key) == 0)
            return node->pairs[i].value;
    }
    return NULL;
}

bool yaml_node_is_null(const struct yaml_node *node)
{
    return node->kind == YAML_KIND_SCALAR && node->style == YAML_STYLE_PLAIN &&
           (!*node->text || strcmp(node->text, "~") == 0 || strcmp(node->text, "null") == 0 ||
            strcmp(node->text, "Null") == 0 || strcmp(node->text, "NULL") == 0);
}

bool yaml_node_bool(const struct yaml_node *node, bool *ret)
{
    static const char *const names[] = {"false", "true", "no", "yes", "off", "on"};

    if (node->kind != YAML_KIND_SCALAR)
        return false;
    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
        if (strcasecmp(node->text, names[i]) == 0) {
            *ret = i % 2;
            return true;
        }
    }
    return false;
}

const char *yaml_kind_name(enum yaml_kind kind)
{
    static const char *const names[] = {"a string", "a list", "a map"};

    return names[kind];
}

/* The text of a line (counted from 1), without its end; NULL if there are fewer lines. */
static const char *find_line(const struct yaml_tree *tree, uint32_t line, size_t *ret_len)
{
    size_t start;
    size_t end;

    if (line > tree->line_count)
        return NULL;
    start = tree->lines[line - 1];
    end = line < tree->line_count ? tree->lines[line] - 1 : tree->len;
    if (end > start && tree->text[end - 1] == '\r')
        end--;
    *ret_len = end - start;
    return tree->text + start;
}

/* A literal block: every line of the text is a line of the file behind some indentation. */
static bool locate_in_block(const struct yaml_tree *tree, const struct yaml_node *node,
                            size_t offset, struct src_pos *ret)
{
    size_t start = offset;
    uint32_t line = node->pos.line + 1;
    const char *found;
    const char *source;
    size_t source_len;
    size_t len;

    while (start > 0 && node->text[start - 1] != '\n')
        start--;
    for (size_t i = 0; i < start; i++)
        line += node->text[i] == '\n';
    len = strcspn(node->text + start, "\n");
    source = find_line(tree, line, &source_len);
    if (!source || source_len < len)
        return false;
    found = source + source_len - len;
    if (memcmp(found, node->text + start, len) != 0)
        return false;
    *ret = (struct src_pos){.line = line,
                            .column = (uint32_t)(found - source + (ptrdiff_t)(offset - start)) + 1};
    return true;
}

struct src_pos yaml_node_locate(const struct yaml_tree *tree, const struct yaml_node *node,
                                size_t offset)
{
    struct src_pos pos = node->pos;
    size_t before = pos.column - 1;
    const char *source;
    size_t len;

    if (!pos.line)
        return pos;
    if (node->style == YAML_STYLE_BLOCK)
        return locate_in_block(tree, node, offset, &pos) ? pos : node->pos;
    before += node->style == YAML_STYLE_SINGLE || node->style == YAML_STYLE_DOUBLE;
    source = find_line(tree, pos.line, &len);
    if (!source || before + offset >= len || memcmp(source + before, node->text, offset) != 0)
        return node->pos;
    pos.column = (uint32_t)(before + offset) + 1;
    return pos;
}
