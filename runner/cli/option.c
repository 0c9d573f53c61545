#include "cli/option.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/nearest.h"
#include "base/parse.h"

static void *field(const struct cli_option *option, void *args)
{
    return (char *)args + option->offset;
}

static int set_pair(struct strmap *map, const char *name, const char *value, struct err *err)
{
    const char *equals = strchr(value, '=');
    CLEANUP_FREE char *key = NULL;

    if (!equals || equals == value)
        return err_set(err, ERR_INVALID, "%s takes KEY=VALUE, not \"%s\"", name, value);
    key = xstrndup(value, (size_t)(equals - value));
    strmap_set(map, key, equals + 1);
    return 0;
}

static int set_choice(const struct cli_option *option, const char *name, const char *value,
                      int *ret, struct err *err)
{
    CLEANUP_BUF struct buf known = BUF_INIT;

    for (int i = 0; option->choices[i]; i++) {
        if (strcmp(option->choices[i], value) == 0) {
            *ret = i;
            return 0;
        }
        buf_addf(&known, "%s%s", i ? ", " : "", option->choices[i]);
    }
    return err_set(err, ERR_INVALID, "%s takes one of %s, not \"%s\"", name, known.data, value);
}

static int set_flag(const char *name, const char *value, bool *ret, struct err *err)
{
    static const char *const words[] = {"0", "1", "false", "true", "no", "yes", "off", "on", ""};

    for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++) {
        if (strcasecmp(words[i], value) == 0) {
            *ret = i % 2 == 1;
            return 0;
        }
    }
    return err_set(err, ERR_INVALID, "%s takes true or false, not \"%s\"", name, value);
}

static int set_int(const char *name, const char *value, int64_t *to, struct err *err)
{
    int64_t number;

    if (parse_int64(value, &number, err) < 0)
        return err_wrap(err, "%s", name);
    if (number < 0)
        return err_set(err, ERR_INVALID, "%s must not be negative", name);
    *to = number;
    return 0;
}

/* `name` is how the user wrote it, for messages. */
static int set_value(const struct cli_option *option, void *args, const char *name,
                     const char *value, struct err *err)
{
    void *to = field(option, args);

    switch (option->type) {
    case CLI_FLAG:
        return set_flag(name, value, to, err);
    case CLI_STRING:
        free(*(char **)to);
        *(char **)to = xstrdup(value);
        return 0;
    case CLI_INT:
        return set_int(name, value, to, err);
    case CLI_MAYBE_INT:
        if (!*(int64_t **)to)
            *(int64_t **)to = xcalloc(1, sizeof(int64_t));
        return set_int(name, value, *(int64_t **)to, err);
    case CLI_DURATION:
        return parse_duration_ms(value, to, err) < 0 ? err_wrap(err, "%s", name) : 0;
    case CLI_LIST:
        strvec_push(to, value);
        return 0;
    case CLI_PAIRS:
        return set_pair(to, name, value, err);
    case CLI_CHOICE:
        return set_choice(option, name, value, to, err);
    }
    return 0;
}

struct parser {
    const struct cli_command *command;
    char *const *argv; /* the next argument */
    void *args;
    struct strvec *operands;
    bool seen[64]; /* by row: given on the command line */
    bool help;
};

static const struct cli_option *by_letter(const struct cli_command *command, char letter)
{
    for (const struct cli_option *o = command->options; o && o->name; o++) {
        if (o->letter == letter)
            return o;
    }
    return NULL;
}

static int unknown_option(const struct cli_command *command, const char *name, struct err *err)
{
    struct nearest nearest = {.text = name};

    for (const struct cli_option *o = cli_option_shown(command->options); o;
         o = cli_option_shown(o + 1))
        nearest_offer(&nearest, o->name);
    if (nearest.best)
        return err_set(err, ERR_INVALID, "unknown option --%s of \"%s\"; did you mean --%s?", name,
                       command->name, nearest.best);
    return err_set(err, ERR_INVALID, "unknown option --%s; see \"runner %s --help\"", name,
                   command->name);
}

static int take(struct parser *p, const struct cli_option *option, const char *name,
                const char *value, struct err *err)
{
    p->seen[option - p->command->options] = true;
    if (!value && option->type == CLI_FLAG)
        value = "true";
    else if (!value)
        value = *p->argv;
    if (!value)
        return err_set(err, ERR_INVALID, "%s needs a value (%s)", name, option->metavar);
    if (value == *p->argv)
        p->argv++;
    return set_value(option, p->args, name, value, err);
}

static int parse_long(struct parser *p, const char *argument, struct err *err)
{
    size_t len = strcspn(argument + 2, "=");
    const char *value = argument[2 + len] ? argument + 2 + len + 1 : NULL;
    CLEANUP_FREE char *name = xstrndup(argument, len + 2);

    if (strcmp(name, "--help") == 0) {
        p->help = true;
        return 0;
    }
    for (const struct cli_option *o = p->command->options; o && o->name; o++) {
        if (strcmp(o->name, name + 2) == 0)
            return take(p, o, name, value, err);
    }
    return unknown_option(p->command, name + 2, err);
}

static int parse_short(struct parser *p, const char *argument, struct err *err)
{
    for (const char *c = argument + 1; *c; c++) {
        const struct cli_option *option = by_letter(p->command, *c);
        const char name[] = {'-', *c, '\0'};

        if (!option && *c == 'h') {
            p->help = true;
            continue;
        }
        if (!option)
            return err_set(err, ERR_INVALID, "unknown option %s; see \"runner %s --help\"", name,
                           p->command->name);
        if (option->type != CLI_FLAG)
            return take(p, option, name, c[1] ? c + 1 : NULL, err);
        if (take(p, option, name, NULL, err) < 0)
            return -1;
    }
    return 0;
}

/* RUNNER_EXEC_FORCE_CLEAN for --force-clean of exec. */
static char *environment_name(const struct cli_command *command, const struct cli_option *option)
{
    char *name = xasprintf("RUNNER_%s_%s", command->name, option->name);

    for (char *c = name; *c; c++)
        *c = *c == '-' ? '_' : (char)toupper((unsigned char)*c);
    return name;
}

/* Names that are not the runner's own may be those of others: ENV is also the file that a shell
 * reads when it starts, and often says "production". */
static bool is_meant(const struct cli_option *option, const char *value)
{
    return option->type != CLI_PAIRS || strchr(value, '=') > value;
}

static int from_environment(struct parser *p, const struct cli_option *option, struct err *err)
{
    CLEANUP_FREE char *own = environment_name(p->command, option);
    const char *name = own;
    const char *value = getenv(own);

    for (size_t i = 0; !value && option->env && option->env[i]; i++) {
        name = option->env[i];
        value = getenv(name);
        if (value && !is_meant(option, value))
            value = NULL;
    }
    return value && *value ? set_value(option, p->args, name, value, err) : 0;
}

/* Whether the operands stand for the option. */
static bool is_replaced(const struct parser *p, const struct cli_option *option)
{
    const char *name = p->command->operand_option;

    return name && p->operands->len && strcmp(name, option->name) == 0;
}

int cli_parse(const struct cli_command *command, char *const *argv, void *args,
              struct strvec *operands, bool *ret_help, struct err *err)
{
    struct parser p = {.command = command, .argv = argv, .args = args, .operands = operands};
    bool options_end = false;

    while (*p.argv) {
        const char *argument = *p.argv++;

        if (options_end || argument[0] != '-' || !argument[1]) {
            if (!command->operands)
                return err_set(err, ERR_INVALID, "\"%s\" takes no argument, but got \"%s\"",
                               command->name, argument);
            strvec_push(operands, argument);
        } else if (strcmp(argument, "--") == 0) {
            options_end = true;
        } else if ((argument[1] == '-' ? parse_long(&p, argument, err)
                                       : parse_short(&p, argument, err)) < 0) {
            return -1;
        }
    }
    *ret_help = p.help;
    for (const struct cli_option *o = command->options; !p.help && o && o->name; o++) {
        if (!p.seen[o - command->options] && !is_replaced(&p, o) &&
            from_environment(&p, o, err) < 0)
            return -1;
    }
    return 0;
}

void cli_args_release(const struct cli_command *command, void *args)
{
    for (const struct cli_option *o = command->options; o && o->name; o++) {
        if (o->type == CLI_STRING || o->type == CLI_MAYBE_INT)
            free(*(void **)field(o, args));
        else if (o->type == CLI_LIST)
            strvec_release(field(o, args));
        else if (o->type == CLI_PAIRS)
            strmap_release(field(o, args));
    }
}

const struct cli_command *cli_find_command(const struct cli_command *const *commands,
                                           const char *name, struct err *err)
{
    struct nearest nearest = {.text = name};

    for (; *commands; commands++) {
        const struct cli_command *c = *commands;

        if (strcmp(c->name, name) == 0 || (c->alias && strcmp(c->alias, name) == 0))
            return c;
        if (!c->hidden)
            nearest_offer(&nearest, c->name);
    }
    if (nearest.best)
        err_set(err, ERR_INVALID, "unknown command \"%s\"; did you mean \"%s\"?", name,
                nearest.best);
    else
        err_set(err, ERR_INVALID, "unknown command \"%s\"; see \"runner help\"", name);
    return NULL;
}
