/* Steps with a `type`: what each of them becomes. Private to step/.
 *
 * A type becomes a script of the shell, so that every engine can run it. What the user wrote goes
 * into it as quoted words or as parameters, never as a part of its text; what is secret goes
 * neither there nor into arguments, but into variables or files that come with the script. */
#pragma once

#include "base/buf.h"
#include "step/lower.h"

/* Each lowers a step of its type. Its `config` may be NULL where no key of it is required. */
int type_lower_fetch_code(const struct step_context *context, struct step_lowered *lowered,
                          struct err *err) __attribute__((warn_unused_result));
int type_lower_tool(const struct step_context *context, struct step_lowered *lowered,
                    struct err *err) __attribute__((warn_unused_result));
int type_lower_notify(const struct step_context *context, struct step_lowered *lowered,
                      struct err *err) __attribute__((warn_unused_result));

/* Adds text as one word of the shell, whatever is in it. */
void type_add_word(struct buf *script, const char *text);
/* Adds a line that ends the script, with code 127 and a message, when the program (a name, or a
 * variable of the script such as "$tool") is not there. `name` is what the message calls it;
 * `image` one that has it, NULL: none comes to mind. */
void type_add_need(const struct step_context *context, const struct step_lowered *lowered,
                   const char *program, const char *name, const char *image, struct buf *script);
/* The image that is taken if no level names one. */
void type_set_image(struct step_lowered *lowered, const char *image);
