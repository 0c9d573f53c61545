/* Which engines and step kinds there are: the only place that names them. */
#pragma once

#include "engine/engine.h"
#include "step/kind.h"

/* NULL-terminated. */
extern const struct engine *const runner_engines[];
extern const struct step_kind *const runner_step_kinds[];
