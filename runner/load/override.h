/* Values set over those of a file, by path, before it is decoded:
 *
 *     stages[0].jobs[1].timeout=5m
 *     stages.build.jobs["unit tests"].image=golang:1.22
 *     environment.LEVEL=debug
 *
 * An item of a list is named by its number, from 0, or by its `name` or `id`; a name that holds a
 * dot or a bracket stands in brackets, in quotes if it looks like a number. What is not there is
 * made, except items of lists. The value is a string unless it begins with "[" or "{" (not "{{"):
 * then it is YAML. An alias is changed where the path goes through it, not elsewhere.
 *
 * Positions of what comes from override number N, counted from 1, are {0, N}. Private to load/. */
#pragma once

#include "yaml/yaml_tree.h"

/* Sets one value in the first document of the tree. What is wrong is added to diags, and the tree
 * stays as it is. */
void override_apply(struct yaml_tree *tree, const char *override, uint32_t number,
                    struct diag_list *diags);
/* How long the path in front of the "=" is; the whole text if there is none. */
size_t override_path_length(const char *override);
