/* See rows.c. */
#pragma once

#include "engine/engine.h"
#include "spec/engine_names.h"
#include "spec/service_kinds.h"
#include "step/kind.h"

extern const struct engine *const added_engines[];
extern const struct step_kind *const added_step_kinds[];
extern const struct spec_engine_name added_engine_names[];
extern const struct spec_service_kind added_service_kinds[];
