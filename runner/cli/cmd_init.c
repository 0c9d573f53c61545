/* `runner init`: writes a pipeline file to start from. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/nearest.h"
#include "cli/commands.h"
#include "cli/templates.h"

#define DEFAULT_OUTPUT ".pipeline.yaml"

struct init_args {
    char *output;
    bool force;
    bool list;
};

#define AT(field) offsetof(struct init_args, field)

static const struct cli_option options[] = {
    {"output", 'o', CLI_STRING, AT(output), "FILE",
     "file to write, - for standard output (" DEFAULT_OUTPUT ")", NULL, NULL},
    {"force", 0, CLI_FLAG, AT(force), NULL, "replace a file that is there", NULL, NULL},
    {"list", 0, CLI_FLAG, AT(list), NULL, "list the templates", NULL, NULL},
    {0},
};

static int fail(const struct err *err, int status)
{
    fprintf(stderr, "runner init: %s\n", err->message);
    return status;
}

static int list_templates(void)
{
    for (size_t i = 0; template_names[i]; i++) {
        size_t len;
        const char *summary = template_summary(i, &len);

        printf("%-10s %.*s\n", template_names[i], (int)len, summary);
    }
    return CLI_EXIT_OK;
}

static int find_template(const char *name, size_t *ret, struct err *err)
{
    struct nearest nearest = {.text = name};

    for (*ret = 0; template_names[*ret]; (*ret)++) {
        if (strcmp(template_names[*ret], name) == 0)
            return 0;
        nearest_offer(&nearest, template_names[*ret]);
    }
    if (nearest.best)
        return err_set(err, ERR_INVALID, "there is no template \"%s\"; did you mean \"%s\"?", name,
                       nearest.best);
    return err_set(err, ERR_INVALID, "there is no template \"%s\"; see \"runner init --list\"",
                   name);
}

/* Never over a file that is there. */
static int write_new(const char *path, struct template_text text, struct err *err)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    int result;

    if (fd < 0 && errno == EEXIST)
        return err_set(err, ERR_CONFLICT,
                       "%s is there already; --force replaces it, -o FILE writes another", path);
    if (fd < 0)
        return err_errno(err, "cannot create %s", path);
    result = fs_write_all(fd, text.data, text.len, err);
    if (close(fd) < 0 && result == 0)
        result = err_errno(err, "cannot write %s", path);
    return result;
}

static int run(void *arguments, const struct strvec *operands)
{
    const struct init_args *args = arguments;
    const char *path = args->output ? args->output : DEFAULT_OUTPUT;
    struct err err = ERR_INIT;
    struct template_text text;
    size_t number;
    int result;

    if (args->list)
        return list_templates();
    if (operands->len > 1)
        err_set(&err, ERR_INVALID, "takes one template, but got several");
    if (err.code ||
        find_template(operands->len ? operands->items[0] : template_names[0], &number, &err) < 0)
        return fail(&err, CLI_EXIT_USAGE);
    text = template_get(number);
    if (strcmp(path, "-") == 0) {
        fwrite(text.data, 1, text.len, stdout);
        return CLI_EXIT_OK;
    }
    result = args->force ? fs_write_file(path, text.data, text.len, 0666, &err)
                         : write_new(path, text, &err);
    if (result < 0)
        return fail(&err, err.code == ERR_CONFLICT ? CLI_EXIT_USAGE : CLI_EXIT_FAILED);
    fprintf(stderr, "wrote %s; now edit it, then \"runner plan\" and \"runner exec\"\n", path);
    return CLI_EXIT_OK;
}

const struct cli_command cmd_init = {
    .name = "init",
    .operands = "[TEMPLATE]",
    .words = template_names,
    .summary = "write a pipeline file to start from",
    .options = options,
    .args_size = sizeof(struct init_args),
    .run = run,
};
