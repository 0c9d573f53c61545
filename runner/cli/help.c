/* Help and manual page, both from the tables of commands and options. */
#include <ctype.h>
#include <string.h>

#include "cli/option.h"

enum { HELP_COLUMN = 30 };

static void add_option_words(const struct cli_option *o, struct buf *out)
{
    if (o->letter)
        buf_addf(out, "-%c, ", o->letter);
    else
        buf_addstr(out, "    ");
    buf_addf(out, "--%s", o->name);
    if (o->type == CLI_CHOICE) {
        buf_addch(out, ' ');
        for (size_t i = 0; o->choices[i]; i++) {
            /* A default that is none has no name. */
            if (*o->choices[i])
                buf_addf(out, "%s%s", i && *o->choices[i - 1] ? "/" : "", o->choices[i]);
        }
    } else if (o->type != CLI_FLAG) {
        buf_addf(out, " %s", o->metavar);
    }
}

static void add_row(struct buf *out, const char *words, const char *text)
{
    size_t width = strlen(words);

    buf_addf(out, "  %s", words);
    if (width + 2 > HELP_COLUMN - 2) {
        buf_addch(out, '\n');
        width = 0;
        buf_addstr(out, "  ");
    }
    buf_addf(out, "%*s%s\n", (int)(HELP_COLUMN - width - 2), "", text);
}

static void add_environment(const struct cli_option *o, struct buf *text)
{
    for (size_t i = 0; o->env && o->env[i]; i++)
        buf_addf(text, "%s%s", i ? ", " : " [", o->env[i]);
    if (o->env && o->env[0])
        buf_addch(text, ']');
}

static void command_help(const struct cli_command *c, struct buf *out)
{
    buf_addf(out, "Usage: runner %s [OPTIONS]%s%s\n\n%c%s.\n", c->name, c->operands ? " " : "",
             c->operands ? c->operands : "", toupper((unsigned char)c->summary[0]), c->summary + 1);
    if (c->description)
        buf_addf(out, "\n%s\n", c->description);
    buf_addstr(out, "\nOptions:\n");
    for (const struct cli_option *o = cli_option_shown(c->options); o;
         o = cli_option_shown(o + 1)) {
        CLEANUP_BUF struct buf words = BUF_INIT;
        CLEANUP_BUF struct buf text = BUF_INIT;

        add_option_words(o, &words);
        buf_addstr(&text, o->help);
        add_environment(o, &text);
        add_row(out, words.data, text.data);
    }
    add_row(out, "-h, --help", "show this help");
    buf_addstr(out,
               "\nEvery option can also be set in the environment, as RUNNER_COMMAND_OPTION.\n");
}

void cli_help(const struct cli_command *const *commands, const struct cli_command *command,
              struct buf *out)
{
    if (command) {
        command_help(command, out);
        return;
    }
    buf_addstr(out, "Usage: runner COMMAND [OPTIONS]\n\n"
                    "Runs pipelines on the host and in containers.\n\nCommands:\n");
    for (; *commands; commands++) {
        const struct cli_command *c = *commands;
        CLEANUP_BUF struct buf words = BUF_INIT;

        if (c->hidden)
            continue;
        buf_addf(&words, "%s%s%s", c->name, c->operands ? " " : "", c->operands ? c->operands : "");
        add_row(out, words.data, c->summary);
    }
    buf_addstr(out, "\n\"runner COMMAND --help\" shows the options of a command.\n");
}

/* roff reads a leading dot or quote as a macro, a backslash as an escape and "-" as a hyphen. */
static void add_roff(struct buf *out, const char *text)
{
    for (bool start = true; *text; start = *text == '\n', text++) {
        if (start && (*text == '.' || *text == '\''))
            buf_addstr(out, "\\&");
        if (*text == '\\')
            buf_addstr(out, "\\e");
        else if (*text == '-')
            buf_addstr(out, "\\-");
        else
            buf_addch(out, *text);
    }
}

static void man_command(const struct cli_command *c, struct buf *out)
{
    buf_addf(out, ".SS \"runner %s\"\n", c->name);
    buf_addf(out, ".B runner %s\n[\\fIOPTIONS\\fR] ", c->name);
    add_roff(out, c->operands ? c->operands : "");
    buf_addf(out, "\n.PP\n%c", toupper((unsigned char)c->summary[0]));
    add_roff(out, c->summary + 1);
    buf_addstr(out, ".\n");
    if (c->description) {
        buf_addstr(out, ".PP\n");
        add_roff(out, c->description);
        buf_addch(out, '\n');
    }
    for (const struct cli_option *o = cli_option_shown(c->options); o;
         o = cli_option_shown(o + 1)) {
        CLEANUP_BUF struct buf words = BUF_INIT;
        CLEANUP_BUF struct buf text = BUF_INIT;

        add_option_words(o, &words);
        buf_addstr(&text, o->help);
        add_environment(o, &text);
        buf_addstr(out, ".TP\n.B ");
        add_roff(out, words.data + strspn(words.data, " "));
        buf_addch(out, '\n');
        add_roff(out, text.data);
        buf_addch(out, '\n');
    }
}

void cli_man_page(const struct cli_command *const *commands, struct buf *out)
{
    buf_addf(out, ".TH RUNNER 1 \"\" \"runner %s\" \"User Commands\"\n", RUNNER_VERSION);
    buf_addstr(out, ".SH NAME\nrunner \\- run pipelines on the host and in containers\n"
                    ".SH SYNOPSIS\n.B runner\n\\fICOMMAND\\fR [\\fIOPTIONS\\fR]\n"
                    ".SH COMMANDS\n");
    for (; *commands; commands++) {
        if (!(*commands)->hidden)
            man_command(*commands, out);
    }
    buf_addstr(out, ".SH ENVIRONMENT\nEvery option can be given as\n"
                    "\\fBRUNNER_\\fICOMMAND\\fB_\\fIOPTION\\fR,\n"
                    "upper\\-case and with underscores. The command line wins.\n");
    buf_addstr(out, ".SH \"EXIT STATUS\"\n"
                    ".TP\n.B 0\nsucceeded\n"
                    ".TP\n.B 1\nthe pipeline failed\n"
                    ".TP\n.B 2\nwrong usage or an invalid file\n"
                    ".TP\n.B 3\nnothing could be started because an engine is not available\n"
                    ".TP\n.B 124\nthe deadline of the pipeline passed\n"
                    ".TP\n.B 130\ncancelled by SIGINT\n"
                    ".TP\n.B 143\ncancelled by SIGTERM\n");
}
