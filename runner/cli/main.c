/* Which commands there are. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "cli/commands.h"

static int show_version(void *args, const struct strvec *operands)
{
    (void)args;
    (void)operands;
    puts("runner " RUNNER_VERSION);
    return CLI_EXIT_OK;
}

struct help_args {
    bool man;
};

static const struct cli_option help_options[] = {
    {"man", 0, CLI_FLAG, offsetof(struct help_args, man), NULL, "write the manual page", NULL,
     NULL},
    {0},
};

static int show_help(void *args, const struct strvec *operands)
{
    const struct help_args *help = args;
    const struct cli_command *command = NULL;
    CLEANUP_BUF struct buf text = BUF_INIT;
    struct err err = ERR_INIT;

    if (operands->len > 1) {
        fputs("runner help: takes one command, but got several\n", stderr);
        return CLI_EXIT_USAGE;
    }
    if (operands->len) {
        command = cli_find_command(runner_commands, operands->items[0], &err);
        if (!command) {
            fprintf(stderr, "runner: %s\n", err.message);
            return CLI_EXIT_USAGE;
        }
    }
    if (help->man)
        cli_man_page(runner_commands, &text);
    else
        cli_help(runner_commands, command, &text);
    fputs(text.data, stdout);
    return CLI_EXIT_OK;
}

const struct cli_command cmd_version = {.name = "version",
                                        .summary = "show the version",
                                        .run = show_version};

const struct cli_command cmd_help = {.name = "help",
                                     .operands = "[COMMAND]",
                                     .summary = "show help",
                                     .options = help_options,
                                     .args_size = sizeof(struct help_args),
                                     .run = show_help};

const struct cli_command *const runner_commands[] = {
    &cmd_exec,     &cmd_plan,       &cmd_validate,  &cmd_init,    &cmd_schema,
    &cmd_list,     &cmd_show,       &cmd_logs,      &cmd_cancel,  &cmd_server,
    &cmd_client,   &cmd_cache,      &cmd_artifacts, &cmd_compose, &cmd_stack,
    &cmd_apply,    &cmd_delete,     &cmd_diff,      &cmd_reap,    &cmd_doctor,
    &cmd_watchdog, &cmd_completion, &cmd_version,   &cmd_help,    NULL,
};

/* Says so if not. What is larger than the buffer is written before, and the flush that follows has
 * nothing to write and succeeds. */
static bool stdout_is_written(void)
{
    bool failed_before = ferror(stdout);

    if (fflush(stdout) == 0 && !failed_before)
        return true;
    if (failed_before)
        fputs("runner: cannot write to standard output\n", stderr);
    else
        perror("runner: cannot write to standard output");
    return false;
}

static int run_command(const struct cli_command *command, char *const *argv)
{
    CLEANUP_FREE void *args = xcalloc(1, command->args_size);
    CLEANUP_STRVEC struct strvec operands = {0};
    CLEANUP_BUF struct buf text = BUF_INIT;
    struct err err = ERR_INIT;
    bool help = false;
    int status = CLI_EXIT_OK;

    if (cli_parse(command, argv, args, &operands, &help, &err) < 0) {
        fprintf(stderr, "runner %s: %s\n", command->name, err.message);
        status = CLI_EXIT_USAGE;
    } else if (help) {
        cli_help(runner_commands, command, &text);
        fputs(text.data, stdout);
    } else {
        status = command->run(args, &operands);
    }
    cli_args_release(command, args);
    if (!stdout_is_written() && status == CLI_EXIT_OK)
        status = CLI_EXIT_FAILED;
    return status;
}

static const char *first_word(const char *argument)
{
    if (!argument || strcmp(argument, "--help") == 0 || strcmp(argument, "-h") == 0)
        return "help";
    return strcmp(argument, "--version") == 0 ? "version" : argument;
}

/* A standard descriptor that is closed would be the next one to be opened, and output would go into
 * a journal. Standard output stays an error to write to; there is nobody to tell about the others.
 */
static void open_standard_descriptors(void)
{
    for (int fd = 0; fd < 3; fd++) {
        if (fcntl(fd, F_GETFD) < 0 && errno == EBADF &&
            open("/dev/null", fd == STDOUT_FILENO ? O_RDONLY : O_RDWR) != fd)
            abort();
    }
}

int main(int argc, char **argv)
{
    const struct cli_command *command;
    struct err err = ERR_INIT;

    open_standard_descriptors();
    signal(SIGPIPE, SIG_IGN);
    command = cli_find_command(runner_commands, first_word(argc > 1 ? argv[1] : NULL), &err);
    if (!command) {
        fprintf(stderr, "runner: %s\n", err.message);
        return CLI_EXIT_USAGE;
    }
    return run_command(command, argc > 1 ? argv + 2 : argv + 1);
}
