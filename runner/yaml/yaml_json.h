/* A YAML node as a JSON value. Needs jansson; apart from yaml_tree.h so that not everybody does. */
#pragma once

#include <jansson.h>

#include "yaml/yaml_tree.h"

/* A new reference. Unquoted scalars are typed by the rules of YAML 1.1 that programs agree on:
 * null, true/false (and yes/no, on/off), integers (decimal, 0x, 0o, leading 0 as octal), decimal
 * fractions; everything else, also .inf and .nan, is a string. */
json_t *yaml_node_to_json(const struct yaml_node *node) __attribute__((warn_unused_result));
