/* Rows of an option table for what a pipeline file is prepared with. */
#pragma once

#include "cli/option.h"
#include "prepare/prepare.h"

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
