/* Showing diagnostics to people and to programs.
 *
 *     ci.yaml:7:13: error: unknown key "comand" in a step; did you mean "command"? (at stages[0]…)
 *         7 |             comand: make
 *           |             ^
 *
 * Of a long line only the surroundings of the caret are shown, and of a URL with a password no
 * password. */
#pragma once

#include <jansson.h>
#include <stdbool.h>

#include "base/buf.h"
#include "base/diag.h"
#include "load/load.h"

void diag_print_text(struct buf *out, const struct load_source *source,
                     const struct diag_list *diags, bool colour);
/* Appends objects {file, line, column, severity, path, message} to an array; line and column are
 * null for what concerns the whole file, or what is set over it: then there is the path of that as
 * "override", too. */
void diag_print_json(json_t *array, const struct load_source *source,
                     const struct diag_list *diags);
/* The path of the override that it is about, as a new string; NULL: it is about the file. */
char *diag_override(const struct load_source *source, const struct diag *diag);
