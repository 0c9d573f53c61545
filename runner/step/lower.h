/* What the kinds share in lowering; see kind.h for the public part. */
#pragma once

#include "step/kind.h"

/* Expands ${…}; the result belongs to `lowered`. NULL text gives NULL in *ret. */
int lower_string(const struct step_context *context, struct step_lowered *lowered,
                 const struct spec_str *text, const char **ret, struct err *err)
    __attribute__((warn_unused_result));
/* Lets `lowered` own a string. */
const char *lower_own(struct step_lowered *lowered, char *text);
/* The complete environment of a plain step. */
void lower_environment(const struct step_context *context, struct strmap *environment);
/* Only the names that the program itself sets (for foreign code such as plugins). */
void lower_identity(const struct step_context *context, struct strmap *environment);
