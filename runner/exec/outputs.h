/* What a step tells others, in files whose paths are in its environment:
 *
 *     $PIPELINE_OUTPUT   its outputs: steps.ID.outputs.KEY, jobs.NAME.outputs.KEY
 *     $PIPELINE_ENV      variables of the job's later steps
 *     $PIPELINE_MASK     values that must not be seen from then on, one in a line; see run.h
 *
 * The first two hold lines; a later one of the same key wins:
 *
 *     KEY=VALUE          up to the end of the line, may be empty
 *     KEY<<END           the lines up to one that is END, without the newline of the last
 *     …
 *     END
 *
 * Keys are letters, digits, "_" and "-", and do not begin with a digit or "-"; names of variables
 * have no "-", and do not begin with PIPELINE_. Lines end with LF or CRLF, the last need not end;
 * empty ones mean nothing. A file with anything else in it counts for nothing and fails the step.
 *
 * Source: pipeline file reference, section 4 (Outputs); docs/outputs.md. */
#pragma once

#include "base/map.h"
#include "engine/engine.h"

enum outputs_kind {
    OUTPUTS_OUTPUT,
    OUTPUTS_ENV,
    OUTPUTS_KINDS, /* that set something; behind them is one that does not */
    OUTPUTS_MASK = OUTPUTS_KINDS,
    OUTPUTS_FILES,
};

enum {
    OUTPUTS_FILE_MAX = 4 * 1024 * 1024,
    OUTPUTS_VALUE_MAX = 1024 * 1024,
    /* Of NAME=VALUE: more in one variable the kernel gives to no program (MAX_ARG_STRLEN). */
    OUTPUTS_VARIABLE_MAX = 128 * 1024 - 1,
    OUTPUTS_KEYS_MAX = 10000, /* lines that set something, in one file */
};

/* The files, by kind, as a runnable wants them back. */
extern const struct runnable_return outputs_files[OUTPUTS_FILES];

/* What one attempt of a step has told. */
struct outputs {
    struct strmap maps[OUTPUTS_KINDS];
    struct err err; /* of the first file that was wrong; code ERR_NONE: none was */
};

void outputs_release(struct outputs *outputs);
/* Takes what an engine has given back: of `file`, which is one of outputs_files. */
void outputs_take(struct outputs *outputs, const struct runnable_return *file,
                  enum returned_state state, const void *data, size_t size);
/* Reads the content of a file of that kind. Nothing is set unless all of it can be read:
 * ERR_INVALID or ERR_LIMIT, with the number of the line and nothing of what that holds, which may
 * be secret. */
int outputs_parse(enum outputs_kind kind, const char *data, size_t size, struct strmap *ret,
                  struct err *err) __attribute__((warn_unused_result));
