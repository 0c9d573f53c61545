/* From a pipeline file to a plan that can be run or shown: what exec, plan and validate share.
 *
 *     struct prepared p = PREPARED_INIT;
 *     if (prepared_read(&p, &args->file, where) == 0 && prepared_plan(&p, &args->file, &err) == 0)
 *         ... p.plan ...
 *     prepared_show_diagnostics(&p);
 *     prepared_release(&p); */
#pragma once

#include <limits.h>

#include "base/diag.h"
#include "cli/option.h"
#include "cli/variables.h"
#include "load/load.h"
#include "plan/plan.h"

/* The arguments; a command may have rows for some of them only. */
struct prepare_args {
    char *config;
    char *workdir;
    char *image;
    char *engine;
    struct strmap env;
    struct strvec env_files;
    struct strmap inputs;
    struct strvec allow_env;
    bool allow_all_env;
    bool strict;
    struct strvec overrides;
    struct strvec only;
    struct strvec skip;
    struct strvec from;
};

#define PREPARE_ENV(...)      ((const char *const[]){__VA_ARGS__, NULL})
#define PREPARE_AT(of, field) offsetof(of, file.field)

/* Rows of an option table, for an argument struct `of` with a member struct prepare_args `file`. */
#define PREPARE_OPTION_ENV(of)                                                                     \
    {                                                                                              \
        "env", 'e', CLI_PAIRS, PREPARE_AT(of, env), "KEY=VALUE",                                   \
            "set a variable, over the file's (repeatable)", NULL, PREPARE_ENV("ENV")               \
    }
#define PREPARE_OPTION_ENV_FILE(of)                                                                \
    {                                                                                              \
        "env-file", 0, CLI_LIST, PREPARE_AT(of, env_files), "FILE",                                \
            "set the variables of a dotenv file, over the pipeline file's (repeatable)", NULL,     \
            NULL                                                                                   \
    }
#define PREPARE_OPTION_INPUT(of)                                                                   \
    {                                                                                              \
        "input", 0, CLI_PAIRS, PREPARE_AT(of, inputs), "NAME=VALUE",                               \
            "set an input of the pipeline (repeatable)", NULL, NULL                                \
    }
#define PREPARE_OPTION_SET(of)                                                                     \
    {                                                                                              \
        "set", 0, CLI_LIST, PREPARE_AT(of, overrides), "PATH=VALUE",                               \
            "set a key over the file's, such as stages[0].timeout=5m (repeatable)", NULL, NULL     \
    }
#define PREPARE_OPTION_STRICT(of)                                                                  \
    {                                                                                              \
        "strict", 0, CLI_FLAG, PREPARE_AT(of, strict), NULL, "unset names in ${NAME} are errors",  \
            NULL, NULL                                                                             \
    }
/* clang-format off */
#define PREPARE_OPTIONS(of)                                                                        \
    {"config", 'c', CLI_STRING, PREPARE_AT(of, config), "FILE",                                    \
     "pipeline file, URL, or - for standard input", NULL, PREPARE_ENV("PIPELINE_CONFIG")},         \
    {"workdir", 'w', CLI_STRING, PREPARE_AT(of, workdir), "DIR",                                   \
     "working directory of the pipeline", NULL, PREPARE_ENV("PIPELINE_WORKDIR")},                  \
    {"image", 'i', CLI_STRING, PREPARE_AT(of, image), "IMAGE", "default image: run in Docker",     \
     NULL, PREPARE_ENV("PIPELINE_IMAGE")},                                                         \
    {"engine", 0, CLI_STRING, PREPARE_AT(of, engine), "ENGINE", "default engine", NULL, NULL},     \
    PREPARE_OPTION_ENV(of),                                                                        \
    PREPARE_OPTION_ENV_FILE(of),                                                                   \
    PREPARE_OPTION_INPUT(of),                                                                      \
    {"allow-env", 0, CLI_LIST, PREPARE_AT(of, allow_env), "NAME",                                  \
     "let host steps see a variable of this environment (repeatable)", NULL, NULL},                \
    {"allow-all-env", 0, CLI_FLAG, PREPARE_AT(of, allow_all_env), NULL,                            \
     "let host steps see all of it", NULL, NULL},                                                  \
    PREPARE_OPTION_SET(of),                                                                        \
    {"only", 0, CLI_LIST, PREPARE_AT(of, only), "JOB",                                             \
     "run only this job: a name, STAGE/NAME, or a glob of them (repeatable)", NULL, NULL},         \
    {"skip", 0, CLI_LIST, PREPARE_AT(of, skip), "JOB", "do not run this job (repeatable)", NULL,   \
     NULL},                                                                                        \
    {"from", 0, CLI_LIST, PREPARE_AT(of, from), "STAGE",                                           \
     "run only this stage and what comes after it (repeatable)", NULL, NULL},                      \
    PREPARE_OPTION_STRICT(of)
/* clang-format on */

struct prepared {
    struct load_source source;
    struct spec_pipeline *spec;
    struct plan *plan; /* borrows from here and from the arguments */
    struct diag_list diags;
    struct strmap automatic;
    struct strmap passthrough;
    struct variables variables;
    /* Owned. Made by who will run the plan, before prepared_plan(): gets the secrets, which must
     * then be there. */
    struct mask *mask;
    char current_dir[PATH_MAX];
};

#define PREPARED_INIT                                                                              \
    {                                                                                              \
        .source = LOAD_SOURCE_INIT                                                                 \
    }

/* The file that an operand or --config names; NULL: none does. ERR_INVALID: both do. */
int prepare_where(const struct prepare_args *args, const struct strvec *operands, const char **ret,
                  struct err *err) __attribute__((warn_unused_result));
/* Reads and decodes the file (NULL: one of the default names) into p->spec. -1 when it has errors,
 * which are in p->diags. */
int prepared_read(struct prepared *p, const struct prepare_args *args, const char *where)
    __attribute__((warn_unused_result));
/* Makes p->plan of p->spec, with everything looked at that can be wrong. -1: errors are in
 * p->diags, or, with *err set, it is not the file that is wrong. */
int prepared_plan(struct prepared *p, const struct prepare_args *args, struct err *err)
    __attribute__((warn_unused_result));
/* Writes what is in p->diags to standard error, without secrets. */
void prepared_show_diagnostics(struct prepared *p);
void prepared_release(struct prepared *p);
