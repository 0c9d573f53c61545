/* Node tree to spec by decode tables. Private to load/. */
#pragma once

#include "load/table.h"
#include "spec/spec.h"
#include "yaml/node_path.h"

struct decoder {
    const struct yaml_tree *tree;
    struct diag_list *diags;
    bool unknown_here; /* the map being checked has a key that was refused as a whole */
};

/* Fills an object (zeroed, not yet initialised) from a node; all that is wrong goes to the diags,
 * and the object can be freed in any case. */
void decode_object(struct decoder *d, const struct node_path *path, const struct table *table,
                   void *object, const struct yaml_node *node);
/* Decodes the value of a key, of whatever kind. */
void decode_field(struct decoder *d, const struct node_path *path, const struct field *field,
                  void *owner, const struct yaml_node *node);
/* Likewise, for a row of a table with `json`: its value becomes a member of the JSON object. */
void decode_json_member(struct decoder *d, const struct node_path *path, const struct field *field,
                        struct spec_json *object, const struct yaml_node *node);
/* A value of any shape. */
void decode_json(struct decoder *d, const struct node_path *path, struct spec_json *ret,
                 const struct yaml_node *node);
/* What is interpolated when the run is planned must be well-formed now. */
void decode_check_template(struct decoder *d, const struct node_path *path,
                           const struct yaml_node *node);
/* Decodes the value of a scalar-like field (everything but FIELD_OBJECT…) into its member. */
void decode_value(struct decoder *d, const struct node_path *path, const struct field *field,
                  void *object, const struct yaml_node *node);
/* Adds one key and its value, a string or a list, to what a field of kind FIELD_MATCHES holds. */
void decode_match(struct decoder *d, const struct node_path *path, const struct field *field,
                  struct spec_matches *matches, const struct yaml_pair *pair);
/* Likewise one key and its value, a string, to what a field of kind FIELD_PAIRS holds. */
void decode_pair_of(struct decoder *d, const struct node_path *path, const struct field *field,
                    struct spec_pairs *pairs, const struct yaml_pair *pair);
/* Whether it holds ${…} or {{ … }}, so that only a run knows the value. */
bool decode_has_template(const char *text);
/* Letters, digits, "_" and "-", not beginning with a digit or "-". */
bool decode_is_name(const char *text);
/* Whether the value counts as not given: null, "", and 0 where no string is wanted. */
bool decode_is_unset(const struct field *field, const struct yaml_node *node);

/* Reports an error about a node. */
void decode_error(struct decoder *d, const struct node_path *path, struct src_pos pos,
                  const char *fmt, ...) __attribute__((format(printf, 4, 5)));
void decode_warning(struct decoder *d, const struct node_path *path, struct src_pos pos,
                    const char *fmt, ...) __attribute__((format(printf, 4, 5)));
/* Whether further errors are only counted, so that no work needs to go into their text. */
bool decode_is_full(const struct decoder *d);
/* "a duration", "a list of maps" …: what a field takes, for messages and the reference. */
const char *field_expects(const struct field *field);
