/* YAML text as a tree of nodes that know where they were written.
 *
 *     CLEANUP_YAML_TREE struct yaml_tree *tree = yaml_tree_parse(text, len, NULL, &diags);
 *     if (!tree)
 *         ...                             // diags holds exactly one new error
 *     const struct yaml_node *name = yaml_node_get(yaml_tree_root(tree), "name");
 *
 * YAML 1.1 as libyaml reads it, with anchors, aliases and `<<` merge keys (a map or a list of maps;
 * own keys win, earlier maps win over later ones). Scalars keep their source spelling and whether
 * they were quoted; what they mean is the reader's business (yaml_node_is_null, yaml_node_to_json).
 *
 * An alias shares the node of its anchor, so memory follows the size of the text; what the tree
 * would be with every alias written out is counted and limited, because readers walk that. The
 * nodes are const and belong to the tree; the text belongs to the caller and must outlive it.
 *
 * A key that is written twice in one map is reported to diags, and the tree is still returned (the
 * first one counts), so that the reader can find more: a caller that must not accept such a file
 * looks at diags->error_count. Trees may be read from several threads.
 * Source: pipeline file reference, section 1. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/diag.h"

struct yaml_limits {
    size_t text_bytes;
    size_t depth;          /* of nesting, aliases written out; at most YAML_DEPTH_MAX */
    size_t nodes;          /* with aliases written out */
    size_t expanded_bytes; /* of all scalars, with aliases written out */
    size_t documents;
    bool local_tags; /* accept tags such as !reset, found in node->tag; else they are errors */
};

#define YAML_DEPTH_MAX 256
#define YAML_LIMITS_INIT                                                                           \
    {                                                                                              \
        .text_bytes = (size_t)16 * 1024 * 1024, .depth = 64, .nodes = 1000000,                     \
        .expanded_bytes = (size_t)64 * 1024 * 1024, .documents = 1                                 \
    }

enum yaml_kind { YAML_KIND_SCALAR, YAML_KIND_SEQUENCE, YAML_KIND_MAPPING };
enum yaml_style { YAML_STYLE_PLAIN, YAML_STYLE_SINGLE, YAML_STYLE_DOUBLE, YAML_STYLE_BLOCK };

struct yaml_pair {
    const struct yaml_node *key; /* always a scalar */
    const struct yaml_node *value;
};

struct yaml_node {
    uint8_t kind;  /* enum yaml_kind */
    uint8_t style; /* enum yaml_style, of scalars */
    uint32_t len;  /* bytes of text, number of items or of pairs */
    struct src_pos pos;
    const char *tag; /* "!name" or a full tag; NULL: none was written */
    union {
        const char *text; /* NUL-terminated, without NUL inside */
        const struct yaml_node *const *items;
        const struct yaml_pair *pairs; /* no key twice; merged ones stand where `<<` stood */
    };
};

struct yaml_tree {
    const char *text; /* borrowed; a byte order mark is left out */
    size_t len;
    const size_t *lines; /* where each begins, in bytes */
    size_t line_count;
    const struct yaml_node **documents; /* an empty document is a null scalar */
    size_t document_count;
    struct arena arena;
};

#define CLEANUP_YAML_TREE CLEANUP(yaml_tree_cleanup)

/* The text is followed by a NUL that len does not count. Limits may be NULL for the defaults. */
struct yaml_tree *yaml_tree_parse(const char *text, size_t len, const struct yaml_limits *limits,
                                  struct diag_list *diags);
void yaml_tree_free(struct yaml_tree *tree);
/* The first document, NULL if the text holds none (nothing but white space and comments). */
const struct yaml_node *yaml_tree_root(const struct yaml_tree *tree);

/* The value of a key; NULL if it is not there or the node is no mapping. NULL as node is allowed.
 */
const struct yaml_node *yaml_node_get(const struct yaml_node *node, const char *key);
/* An unquoted empty value, ~ or null. */
bool yaml_node_is_null(const struct yaml_node *node);
/* true/false, yes/no, on/off in the spellings of YAML 1.1; false if the scalar is none of them. */
bool yaml_node_bool(const struct yaml_node *node, bool *ret);
/* "a string", "a list" or "a map", for messages. */
const char *yaml_kind_name(enum yaml_kind kind);
/* Where byte `offset` of a scalar's text was written; the start of the scalar where that cannot be
 * told (escapes, folded lines). */
struct src_pos yaml_node_locate(const struct yaml_tree *tree, const struct yaml_node *node,
                                size_t offset);

static inline void yaml_tree_cleanup(struct yaml_tree **tree)
{
    yaml_tree_free(*tree);
}
