/* What the process and the command line contribute to a plan. */
#pragma once

#include "base/map.h"
#include "base/vec.h"

/* The names of the runner's own environment that host steps see: PATH HOME USER LOGNAME LANG LC_*
 * TERM TMPDIR TZ SSH_AUTH_SOCK, and what is allowed beside them.
 * Source: pipeline file reference, section 4 (Environment of a step). */
void inputs_passthrough(const struct strvec *allowed, bool allow_all, struct strmap *out);
/* Those of the passed-through names that the user allowed, not those that always pass. */
bool inputs_allows(const struct strvec *allowed, bool allow_all, const char *name);
/* PIPELINE_RUNNER, PIPELINE_RUNNER_OS …: the same for all steps. */
void inputs_automatic(const char *current_dir, struct strmap *out);
