/* What the kinds share in lowering; see kind.h for the public part. */
#pragma once

#include "step/kind.h"

/* Expands ${…}; the result belongs to `lowered`. NULL text gives NULL in *ret. */
int lower_string(const struct step_context *context, struct step_lowered *lowered,
                 const struct spec_str *text, const char **ret, struct err *err)
    __attribute__((warn_unused_result));
/* Likewise for what is no part of the container: ahead of the step's time (inputs.ahead), what is
 * not known yet becomes an empty string. */
int lower_text(const struct step_context *context, struct step_lowered *lowered,
               const struct spec_str *text, const char **ret, struct err *err)
    __attribute__((warn_unused_result));
/* Lets `lowered` own a string. */
const char *lower_own(struct step_lowered *lowered, char *text);
/* The complete environment of a plain step. */
void lower_environment(const struct step_context *context, struct strmap *environment);
/* Only the names that the program itself sets (for foreign code such as plugins). */
void lower_identity(const struct step_context *context, struct strmap *environment);
/* A key and its value as a variable: PREFIX and the key in capitals, other than letters and digits
 * as "_". */
void lower_setting(struct strmap *environment, const char *prefix, const char *key,
                   const char *value);
/* A script, borrowed for the life of `lowered`, becomes what the shell is to run. The words behind
 * it, ended by NULL, are its parameters from $0 on; NULL: none. `strict`: it stops at the first
 * command that fails, in shells that can. */
void lower_script(struct step_lowered *lowered, const char *shell, bool strict, const char *script,
                  const char *const *parameters);
/* All that a plain step with a `command` is. */
void lower_command(const struct step_context *context, struct step_lowered *lowered);
