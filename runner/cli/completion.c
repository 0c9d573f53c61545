/* What follows an option, or is an operand, is one of: words of a list, files, directories, or
 * something that cannot be completed. The tables say which by their type and by the word that
 * stands for the value in the help. */
#include "cli/completion.h"

#include <string.h>

enum value_kind { VALUE_NONE, VALUE_TEXT, VALUE_FILE, VALUE_DIRECTORY, VALUE_WORDS };

struct value {
    enum value_kind kind;
    const char *const *words; /* VALUE_WORDS; NULL: the names of the commands */
};

static bool is_called(const char *metavar, const char *word)
{
    return metavar && strcmp(metavar, word) == 0;
}

static struct value value_of(const struct cli_option *o)
{
    if (o->type == CLI_CHOICE)
        return (struct value){VALUE_WORDS, o->choices};
    if (o->type == CLI_FLAG)
        return (struct value){VALUE_NONE, NULL};
    return (struct value){is_called(o->metavar, "FILE")  ? VALUE_FILE
                          : is_called(o->metavar, "DIR") ? VALUE_DIRECTORY
                                                         : VALUE_TEXT,
                          NULL};
}

static struct value operand_of(const struct cli_command *c)
{
    if (!c->operands)
        return (struct value){VALUE_NONE, NULL};
    if (c->words)
        return (struct value){VALUE_WORDS, c->words};
    if (strstr(c->operands, "COMMAND"))
        return (struct value){VALUE_WORDS, NULL};
    return (struct value){strstr(c->operands, "FILE") ? VALUE_FILE : VALUE_TEXT, NULL};
}

static bool is_repeatable(const struct cli_option *o)
{
    return o->type == CLI_LIST || o->type == CLI_PAIRS;
}

static void add_words(const struct value *value, const struct cli_command *const *commands,
                      struct buf *out)
{
    for (size_t i = 0; value->words && value->words[i]; i++)
        buf_addf(out, "%s%s", i ? " " : "", value->words[i]);
    for (size_t i = 0, shown = 0; !value->words && commands[i]; i++) {
        if (!commands[i]->hidden)
            buf_addf(out, "%s%s", shown++ ? " " : "", commands[i]->name);
    }
}

/* Within single quotes: `escaped` characters get a backslash, and a quote ends and begins anew, if
 * the shell has no other way. */
static void add_quoted(struct buf *out, const char *text, const char *escaped)
{
    for (; *text; text++) {
        if (strchr(escaped, *text))
            buf_addch(out, '\\');
        if (*text == '\'' && !strchr(escaped, '\''))
            buf_addstr(out, "'\\''");
        else
            buf_addch(out, *text);
    }
}

/* --- bash --- */

static void bash_case(const struct cli_option *o, const struct cli_command *const *commands,
                      struct buf *out)
{
    const struct value value = value_of(o);

    if (value.kind == VALUE_NONE)
        return;
    buf_addf(out, "        --%s", o->name);
    if (o->letter)
        buf_addf(out, " | -%c", o->letter);
    buf_addstr(out, ") ");
    if (value.kind == VALUE_WORDS) {
        buf_addstr(out, "words='");
        add_words(&value, commands, out);
        buf_addstr(out, "' ;;\n");
    } else {
        buf_addf(out, "kind=%s ;;\n",
                 value.kind == VALUE_FILE        ? "file"
                 : value.kind == VALUE_DIRECTORY ? "directory"
                                                 : "text");
    }
}

static void bash_command(const struct cli_command *c, const struct cli_command *const *commands,
                         struct buf *out)
{
    const struct value operand = operand_of(c);

    buf_addf(out, "    %s%s%s)\n        case $prev in\n", c->name, c->alias ? " | " : "",
             c->alias ? c->alias : "");
    for (const struct cli_option *o = cli_option_shown(c->options); o; o = cli_option_shown(o + 1))
        bash_case(o, commands, out);
    buf_addstr(out, "        *)\n            options='--help");
    for (const struct cli_option *o = cli_option_shown(c->options); o; o = cli_option_shown(o + 1))
        buf_addf(out, " --%s", o->name);
    buf_addstr(out, "'\n");
    if (operand.kind == VALUE_WORDS) {
        buf_addstr(out, "            words='");
        add_words(&operand, commands, out);
        buf_addstr(out, "'\n");
    } else if (operand.kind == VALUE_FILE) {
        buf_addstr(out, "            kind=file\n");
    }
    buf_addstr(out, "            ;;\n        esac\n        ;;\n");
}

static void write_bash(const struct cli_command *const *commands, struct buf *out)
{
    const struct value all = {VALUE_WORDS, NULL};

    buf_addstr(out, "# Completion of runner in bash: source <(runner completion bash)\n"
                    "_runner() {\n"
                    "    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]}\n"
                    "    local command='' options='' words='' kind=''\n"
                    "    # --option=value are three words here.\n"
                    "    if [[ $cur == = ]]; then\n"
                    "        cur=''\n"
                    "    elif [[ $prev == = ]] && ((COMP_CWORD > 2)); then\n"
                    "        prev=${COMP_WORDS[COMP_CWORD - 2]}\n"
                    "    fi\n"
                    "    ((COMP_CWORD < 2)) || command=${COMP_WORDS[1]}\n"
                    "    case $command in\n"
                    "    '')\n        options='--help --version'\n        words='");
    add_words(&all, commands, out);
    buf_addstr(out, "'\n        ;;\n");
    for (size_t i = 0; commands[i]; i++) {
        if (!commands[i]->hidden)
            bash_command(commands[i], commands, out);
    }
    buf_addstr(out, "    esac\n"
                    "    COMPREPLY=()\n"
                    "    if [[ $cur == -* && -n $options ]]; then\n"
                    "        mapfile -t COMPREPLY < <(compgen -W \"$options\" -- \"$cur\")\n"
                    "    elif [[ -n $words ]]; then\n"
                    "        mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$cur\")\n"
                    "    elif [[ $kind == file ]]; then\n"
                    "        compopt -o filenames 2>/dev/null\n"
                    "        mapfile -t COMPREPLY < <(compgen -f -- \"$cur\")\n"
                    "    elif [[ $kind == directory ]]; then\n"
                    "        compopt -o filenames 2>/dev/null\n"
                    "        mapfile -t COMPREPLY < <(compgen -d -- \"$cur\")\n"
                    "    fi\n"
                    "}\n"
                    "complete -F _runner runner\n");
}

/* --- zsh --- */

/* These end a part of a specification of _arguments. */
#define ZSH_SPECIAL "[]:\\"

static void zsh_value(const struct value *value, const char *name,
                      const struct cli_command *const *commands, struct buf *out)
{
    if (value->kind == VALUE_NONE)
        return;
    buf_addch(out, ':');
    add_quoted(out, name ? name : "value", ZSH_SPECIAL);
    buf_addch(out, ':');
    if (value->kind == VALUE_FILE)
        buf_addstr(out, "_files");
    if (value->kind == VALUE_DIRECTORY)
        buf_addstr(out, "_files -/");
    if (value->kind == VALUE_WORDS) {
        buf_addch(out, '(');
        add_words(value, commands, out);
        buf_addch(out, ')');
    }
}

static void zsh_option(const struct cli_option *o, const struct cli_command *const *commands,
                       struct buf *out)
{
    const struct value value = value_of(o);
    const char *equals = value.kind == VALUE_NONE ? "" : "=";

    buf_addstr(out, "            '");
    if (is_repeatable(o))
        buf_addch(out, '*');
    else if (o->letter)
        buf_addf(out, "(-%c --%s)", o->letter, o->name);
    if (o->letter)
        buf_addf(out, "'{-%c%s,--%s%s}'", o->letter, *equals ? "+" : "", o->name, equals);
    else
        buf_addf(out, "--%s%s", o->name, equals);
    buf_addch(out, '[');
    add_quoted(out, o->help, ZSH_SPECIAL);
    buf_addch(out, ']');
    zsh_value(&value, o->metavar, commands, out);
    buf_addstr(out, "' \\\n");
}

static void zsh_command(const struct cli_command *c, const struct cli_command *const *commands,
                        struct buf *out)
{
    const struct value operand = operand_of(c);

    buf_addf(out, "        %s%s%s)\n        _arguments -s \\\n", c->name, c->alias ? "|" : "",
             c->alias ? c->alias : "");
    for (const struct cli_option *o = cli_option_shown(c->options); o; o = cli_option_shown(o + 1))
        zsh_option(o, commands, out);
    buf_addstr(out, "            '(-h --help)'{-h,--help}'[show this help]'");
    if (operand.kind != VALUE_NONE) {
        buf_addstr(out, " \\\n            '*");
        zsh_value(&operand, c->operands, commands, out);
        buf_addch(out, '\'');
    }
    buf_addstr(out, "\n        ;;\n");
}

static void write_zsh(const struct cli_command *const *commands, struct buf *out)
{
    buf_addstr(out, "#compdef runner\n"
                    "# Completion of runner in zsh: as _runner in a directory of $fpath, or\n"
                    "# source <(runner completion zsh)\n"
                    "_runner() {\n"
                    "    local curcontext=$curcontext state line\n"
                    "    local -a commands\n"
                    "    _arguments -C '1:command:->command' '*::argument:->argument' && return\n"
                    "    case $state in\n"
                    "    command)\n"
                    "        commands=(\n");
    for (size_t i = 0; commands[i]; i++) {
        if (commands[i]->hidden)
            continue;
        buf_addf(out, "            '%s:", commands[i]->name);
        add_quoted(out, commands[i]->summary, ":\\");
        buf_addstr(out, "'\n");
    }
    buf_addstr(out, "        )\n"
                    "        _describe command commands\n"
                    "        ;;\n"
                    "    argument)\n"
                    "        case $words[1] in\n");
    for (size_t i = 0; commands[i]; i++) {
        if (!commands[i]->hidden)
            zsh_command(commands[i], commands, out);
    }
    buf_addstr(out, "        esac\n"
                    "        ;;\n"
                    "    esac\n"
                    "}\n"
                    "if [[ $funcstack[1] == _runner ]]; then\n"
                    "    _runner \"$@\"\n"
                    "else\n"
                    "    compdef _runner runner\n"
                    "fi\n");
}

/* --- fish --- */

#define FISH_SPECIAL "'\\"

/* `only`: no files beside it. */
static void fish_value(const struct value *value, const struct cli_command *const *commands,
                       struct buf *out)
{
    if (value->kind == VALUE_FILE)
        buf_addstr(out, " -r -F");
    if (value->kind == VALUE_TEXT)
        buf_addstr(out, " -x");
    if (value->kind == VALUE_DIRECTORY)
        buf_addstr(out, " -x -a '(__fish_complete_directories)'");
    if (value->kind == VALUE_WORDS) {
        buf_addstr(out, " -x -a '");
        add_words(value, commands, out);
        buf_addch(out, '\'');
    }
}

static void fish_begin(const struct cli_command *c, struct buf *out)
{
    buf_addf(out, "complete -c runner -n '__runner_command %s%s%s'", c->name, c->alias ? " " : "",
             c->alias ? c->alias : "");
}

static void fish_describe(const char *text, struct buf *out)
{
    buf_addstr(out, " -d '");
    add_quoted(out, text, FISH_SPECIAL);
    buf_addstr(out, "'\n");
}

static void fish_command(const struct cli_command *c, const struct cli_command *const *commands,
                         struct buf *out)
{
    const struct value operand = operand_of(c);

    for (const struct cli_option *o = cli_option_shown(c->options); o;
         o = cli_option_shown(o + 1)) {
        const struct value value = value_of(o);

        fish_begin(c, out);
        if (o->letter)
            buf_addf(out, " -s %c", o->letter);
        buf_addf(out, " -l %s", o->name);
        fish_value(&value, commands, out);
        fish_describe(o->help, out);
    }
    fish_begin(c, out);
    buf_addstr(out, " -s h -l help");
    fish_describe("show this help", out);
    if (operand.kind == VALUE_FILE) {
        fish_begin(c, out);
        buf_addstr(out, " -F\n");
    } else if (operand.kind == VALUE_WORDS) {
        fish_begin(c, out);
        buf_addstr(out, " -a '");
        add_words(&operand, commands, out);
        buf_addstr(out, "'\n");
    }
}

static void write_fish(const struct cli_command *const *commands, struct buf *out)
{
    buf_addstr(out, "# Completion of runner in fish: runner completion fish | source\n"
                    "function __runner_no_command\n"
                    "    set -l words (commandline -opc)\n"
                    "    test (count $words) -eq 1\n"
                    "end\n"
                    "function __runner_command\n"
                    "    set -l words (commandline -opc)\n"
                    "    test (count $words) -ge 2; and contains -- $words[2] $argv\n"
                    "end\n"
                    "complete -c runner -f\n"
                    "complete -c runner -n __runner_no_command -l help -d 'show help'\n"
                    "complete -c runner -n __runner_no_command -l version -d 'show the version'\n");
    for (size_t i = 0; commands[i]; i++) {
        if (commands[i]->hidden)
            continue;
        buf_addf(out, "complete -c runner -n __runner_no_command -a %s", commands[i]->name);
        fish_describe(commands[i]->summary, out);
    }
    for (size_t i = 0; commands[i]; i++) {
        if (!commands[i]->hidden)
            fish_command(commands[i], commands, out);
    }
}

/* --- all --- */

const char *const completion_shells[] = {"bash", "zsh", "fish", NULL};

void completion_write(const struct cli_command *const *commands, size_t shell, struct buf *out)
{
    static void (*const writers[])(const struct cli_command *const *,
                                   struct buf *) = {write_bash, write_zsh, write_fish};

    writers[shell](commands, out);
}
