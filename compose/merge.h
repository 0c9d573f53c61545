/* One file over another. Private to this folder. */
#pragma once

#include <jansson.h>

#include "compose/attribute.h"
#include "compose/places.h"

/* What `over` makes of `base`, which may be NULL and is changed; a new reference. By tags, `over`
 * takes away or replaces; the marks of what is taken away are not in the result. */
json_t *compose_merge(struct compose_places *places, const struct compose_attribute *attribute,
                      json_t *base, json_t *over) __attribute__((warn_unused_result));
/* The same for maps with a table. */
json_t *compose_merge_object(struct compose_places *places, const struct compose_table *table,
                             json_t *base, json_t *over) __attribute__((warn_unused_result));
/* Takes out of `base` what `over` has tagged. */
void compose_apply_tags(const struct compose_places *places, json_t *base, const json_t *over);
