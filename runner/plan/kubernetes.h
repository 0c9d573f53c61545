/* What `kubernetes` of several levels says together. Private to plan/. */
#pragma once

#include <jansson.h>

#include "plan/expand.h"

/* A copy of the value with all its strings expanded. Strings that come to nothing count as not
 * given where they are the value of a key, or in the list of a key, of the outermost map: they are
 * left out. A new reference. */
int expand_json(const struct expansion *x, const struct spec_json *json, json_t **ret,
                struct err *err) __attribute__((warn_unused_result));
/* Whether there is anything to expand in it. */
bool json_has_template(const json_t *value);
/* Adds what a level says to *above (NULL: nothing yet). Each key of its own wins; maps of labels
 * and the like are merged. Takes `own` over; neither may be shared. */
void kubernetes_merge(json_t **above, json_t *own);
