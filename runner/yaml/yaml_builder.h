/* Shared between the two halves of the tree builder: yaml_tree.c (events to nodes) and yaml_map.c
 * (a finished mapping: repeated keys, `<<`). Private to this folder. */
#pragma once

#include "base/text_index.h"
#include "base/vec.h"
#include "yaml/yaml_tree.h"

/* A collection that has been started and not ended. */
struct yaml_frame {
    struct yaml_node *node;
    size_t first_child;  /* in builder->children */
    const char *anchor;  /* in the arena, NULL: none */
    size_t nodes_before; /* the counters when it started */
    size_t bytes_before;
    size_t height; /* of the tallest child */
};

struct yaml_anchor {
    const struct yaml_node *node;
    size_t nodes; /* with aliases written out */
    size_t bytes;
    size_t height; /* 1 for a scalar */
};

struct yaml_builder {
    struct yaml_tree *tree;
    const struct yaml_limits *limits;
    struct diag_list *diags;
    /* Open collections, and the children that they have so far: keys and values alternate. */
    struct yaml_frame frames[YAML_DEPTH_MAX];
    size_t depth;
    VEC(const struct yaml_node *)
    children;
    size_t nodes;
    size_t bytes;
    VEC(struct yaml_anchor)
    anchors;
    struct text_index anchor_index;
    VEC(const struct yaml_node *)
    documents;
    struct text_index keys; /* scratch of yaml_map_finish() */
    VEC(struct yaml_pair)
    pairs;
};

/* Reports an error at a position, with the path of the open collections. */
void yaml_builder_error(struct yaml_builder *builder, struct src_pos pos, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* Turns the children of the innermost frame into the pairs of its mapping; -1 when the mapping
 * cannot be read, which has been reported. */
int yaml_map_finish(struct yaml_builder *builder, struct yaml_frame *frame)
    __attribute__((warn_unused_result));
