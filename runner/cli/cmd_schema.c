/* `runner schema`: writes the JSON Schema of the pipeline file, for editors and other programs. */
#include <stdio.h>

#include "cli/commands.h"
#include "load/schema.h"

static int run(void *arguments, const struct strvec *operands)
{
    json_t *schema = schema_json();

    (void)arguments;
    (void)operands;
    json_dumpf(schema, stdout, JSON_INDENT(2));
    putchar('\n');
    json_decref(schema);
    return CLI_EXIT_OK;
}

const struct cli_command cmd_schema = {
    .name = "schema",
    .summary = "write the JSON Schema of the pipeline file",
    .run = run,
};
