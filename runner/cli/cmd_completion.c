/* `runner completion`: writes a script that lets a shell complete the command line. */
#include <stdio.h>
#include <string.h>

#include "base/nearest.h"
#include "cli/commands.h"
#include "cli/completion.h"

static int run(void *arguments, const struct strvec *operands)
{
    const char *name = operands->len == 1 ? operands->items[0] : "";
    struct nearest nearest = {.text = name};
    CLEANUP_BUF struct buf script = BUF_INIT;

    (void)arguments;
    for (size_t i = 0; completion_shells[i]; i++) {
        nearest_offer(&nearest, completion_shells[i]);
        if (strcmp(completion_shells[i], name) != 0)
            continue;
        completion_write(runner_commands, i, &script);
        fputs(script.data, stdout);
        return CLI_EXIT_OK;
    }
    if (operands->len != 1)
        fputs("runner completion: takes one shell: bash, zsh or fish\n", stderr);
    else if (nearest.best)
        fprintf(stderr, "runner completion: there is no \"%s\"; did you mean \"%s\"?\n", name,
                nearest.best);
    else
        fprintf(stderr, "runner completion: there is no \"%s\"; there are bash, zsh and fish\n",
                name);
    return CLI_EXIT_USAGE;
}

const struct cli_command cmd_completion = {
    .name = "completion",
    .operands = "bash|zsh|fish",
    .words = completion_shells,
    .summary = "write a script for the completion of commands and options",
    .description = "bash: source <(runner completion bash)\n"
                   "zsh: source <(runner completion zsh)\n"
                   "fish: runner completion fish | source",
    .run = run,
};
