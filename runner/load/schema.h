/* The JSON Schema (draft 2020-12) of the pipeline file, written from the decode tables.
 *
 * It says what the tables say: keys, types, spellings, choices, what is required; and not what is
 * checked beyond them, such as names that must exist. Whatever loads without an error is valid
 * against it. Keys that this version does not support yet are not offered. */
#pragma once

#include <jansson.h>

/* A new reference. */
json_t *schema_json(void) __attribute__((returns_nonnull, warn_unused_result));
