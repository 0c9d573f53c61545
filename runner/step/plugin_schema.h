/* What a plugin says about its settings: the image label `pipeline.plugin.schema`, in a subset of
 * JSON Schema that docs/plugins.md describes.
 *
 *     plugin_schema_parse(label, &schema, err)
 *     plugin_schema_check(schema, settings, defaults, on_problem, arg)
 *     plugin_schema_free(schema)
 *
 * Settings are text, as the plugin will get them: what the schema calls an integer must look like
 * one. Pure; a schema is not changed by its use. */
#pragma once

#include "base/err.h"
#include "base/map.h"

struct plugin_schema;

/* ERR_INVALID tells the author of the plugin what is wrong with the schema; what this version does
 * not know is never passed over. */
int plugin_schema_parse(const char *text, struct plugin_schema **ret, struct err *err)
    __attribute__((warn_unused_result));
/* NULL is fine. */
void plugin_schema_free(struct plugin_schema *schema);

/* Calls `problem` with one sentence for each thing that is wrong, and returns how many there are.
 * The defaults of settings that were not given go into `defaults`, by their names in the schema. */
size_t plugin_schema_check(const struct plugin_schema *schema, const struct strmap *settings,
                           struct strmap *defaults, void (*problem)(void *arg, const char *text),
                           void *arg);

#define CLEANUP_PLUGIN_SCHEMA CLEANUP(plugin_schema_cleanup)

static inline void plugin_schema_cleanup(struct plugin_schema **schema)
{
    plugin_schema_free(*schema);
}
