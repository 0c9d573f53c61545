/* Command line options as tables.
 *
 * A command lists its options as rows that point into its own argument struct; the parser, the
 * help, the man page and the shell completion read the same rows. GNU conventions: `--opt=value`,
 * `--opt value`, `-o value`, `-ovalue`, clusters of short flags, `--` ends options, operands may
 * stand between options. What the command line does not give, the environment may:
 * RUNNER_<COMMAND>_<OPTION>, then a row's own names.
 * Source: command line reference. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/map.h"
#include "base/vec.h"

enum cli_type {
    CLI_FLAG,      /* bool */
    CLI_STRING,    /* char *, owned */
    CLI_INT,       /* int64_t, not negative */
    CLI_MAYBE_INT, /* likewise, but an int64_t *, owned: NULL if it is not given */
    CLI_DURATION,  /* int64_t, milliseconds */
    CLI_LIST,      /* struct strvec, repeatable */
    CLI_PAIRS,     /* struct strmap of KEY=VALUE, repeatable */
    CLI_CHOICE,    /* int, index into choices */
};

struct cli_option {
    const char *name; /* without dashes; NULL ends the table */
    char letter;      /* 0: none */
    enum cli_type type;
    size_t offset; /* in the argument struct */
    const char *metavar;
    const char *help;           /* NULL: for the program itself, and shown nowhere */
    const char *const *choices; /* CLI_CHOICE: NULL-terminated */
    const char *const *env;     /* more environment names, NULL-terminated, or NULL */
};

struct cli_command {
    const char *name;
    const char *alias;
    const char *operands;       /* as in "[FILE]"; NULL: none are taken */
    const char *const *words;   /* what operands can be, NULL-terminated; NULL: not to be listed */
    const char *operand_option; /* its environment does not count beside operands; NULL: none */
    const char *summary;
    const char *description; /* for help and man page, may be NULL */
    const struct cli_option *options;
    size_t args_size;
    bool hidden;
    /* Gets the zeroed and then parsed argument struct; returns the exit status. */
    int (*run)(void *args, const struct strvec *operands);
};

enum { CLI_EXIT_OK = 0, CLI_EXIT_FAILED = 1, CLI_EXIT_USAGE = 2, CLI_EXIT_UNAVAILABLE = 3 };

/* The first row from this one on that is shown; NULL: there is none. */
static inline const struct cli_option *cli_option_shown(const struct cli_option *option)
{
    while (option && option->name && !option->help)
        option++;
    return option && option->name ? option : NULL;
}

/* For what commands ask of a daemon or a cluster: CLI_EXIT_UNAVAILABLE where that is not there, or
 * not any more, else CLI_EXIT_FAILED. */
static inline int cli_exit_of(const struct err *err)
{
    return err_is_away(err) ? CLI_EXIT_UNAVAILABLE : CLI_EXIT_FAILED;
}

/* Fills args and operands from argv (without the command's name) and the environment. *ret_help:
 * --help was given, and nothing else counts. */
int cli_parse(const struct cli_command *command, char *const *argv, void *args,
              struct strvec *operands, bool *ret_help, struct err *err)
    __attribute__((warn_unused_result));
void cli_args_release(const struct cli_command *command, void *args);
/* By name or alias; NULL and a suggestion in err when there is none. Tables are NULL-terminated. */
const struct cli_command *cli_find_command(const struct cli_command *const *commands,
                                           const char *name, struct err *err);

/* help.c */
/* Of one command, or NULL: the list of commands. */
void cli_help(const struct cli_command *const *commands, const struct cli_command *command,
              struct buf *out);
/* The manual page runner(1) in man(7) macros. */
void cli_man_page(const struct cli_command *const *commands, struct buf *out);
