/* Diagnostics in the form that code scanning reads: SARIF 2.1.0.
 *
 *     json_t *log = sarif_new();
 *     sarif_add(log, &source, &diags);         for each file
 *     json_dumpf(log, stdout, JSON_INDENT(2));
 *     json_decref(log);
 *
 * Source: OASIS, Static Analysis Results Interchange Format (SARIF) Version 2.1.0. */
#pragma once

#include <jansson.h>

#include "base/diag.h"
#include "load/load.h"

/* A log of one run without results; a new reference. */
json_t *sarif_new(void) __attribute__((returns_nonnull, warn_unused_result));
void sarif_add(json_t *log, const struct load_source *source, const struct diag_list *diags);
