#include "prepare/prepare.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/fs.h"
#include "load/diag_print.h"
#include "load/engine_name.h"
#include "load/inventory.h"
#include "plan/select.h"
#include "prepare/inputs.h"
#include "prepare/nesting.h"
#include "prepare/source.h"

enum { HOSTS_FILE_MAX = 1024 * 1024 };

int prepare_where(const struct prepare_args *args, const struct strvec *operands, const char **ret,
                  struct err *err)
{
    if (operands->len + (args->config != NULL) > 1)
        return err_set(err, ERR_INVALID, "takes one pipeline file, but got several");
    *ret = operands->len ? operands->items[0] : args->config;
    if (*ret && !**ret)
        return err_set(err, ERR_INVALID, "the name of the pipeline file is empty");
    return 0;
}

static int decode(struct prepared *p, const struct prepare_args *args)
{
    for (size_t i = 0; i < args->overrides.len; i++)
        strvec_push(&p->source.overrides, args->overrides.items[i]);
    p->spec = load_pipeline(&p->source, NULL, &p->diags);
    return p->spec ? 0 : -1;
}

int prepared_read(struct prepared *p, const struct prepare_args *args, const char *where)
{
    return source_read(where, &p->source, &p->diags) < 0 ? -1 : decode(p, args);
}

int prepared_text(struct prepared *p, const struct prepare_args *args, const char *name,
                  const char *text, size_t size)
{
    load_source_init(&p->source, name, text, size);
    return decode(p, args);
}

/* An option that is empty is not set, like a key of the file. */
static const char *unless_empty(const char *text)
{
    return text && *text ? text : NULL;
}

/* Adds the hosts of `hosts_file` to those of the pipeline file. false after an error, which has
 * been added. */
static bool read_hosts_file(struct prepared *p, const struct variables_options *wanted)
{
    const struct spec_str *name = &p->spec->hosts_file;
    CLEANUP_FREE char *path = NULL;
    CLEANUP_BUF struct buf text = BUF_INIT;
    struct err err = ERR_INIT;
    size_t errors_before = p->diags.error_count;
    uint32_t number;

    if (!name->text)
        return true;
    path = variables_find_file(p->spec, wanted, &p->variables, name, &p->diags);
    if (!path)
        return false;
    if (fs_read_file(path, HOSTS_FILE_MAX, &text, &err) < 0) {
        diag_add(&p->diags, DIAG_ERROR, name->pos, "", "the hosts file cannot be read: %s",
                 err.message);
        return false;
    }
    number = load_source_add(&p->source, path, &text);
    if (number)
        inventory_read(p->source.beside[number - 1].text.data,
                       p->source.beside[number - 1].text.len, inventory_format_of(path), number,
                       &p->spec->hosts, &p->diags);
    return p->diags.error_count == errors_before;
}

/* Where relative paths are seen from. */
static int find_directory(struct prepared *p, const struct prepare_args *args, struct err *err)
{
    if (!args->directory)
        return getcwd(p->current_dir, sizeof(p->current_dir))
                   ? 0
                   : err_errno(err, "cannot find the current directory");
    if (strlen(args->directory) >= sizeof(p->current_dir))
        return err_set(err, ERR_INVALID, "the name of the directory is too long: %.100s...",
                       args->directory);
    memcpy(p->current_dir, args->directory, strlen(args->directory) + 1);
    return 0;
}

int prepared_plan(struct prepared *p, const struct prepare_args *args,
                  const struct step_kind *const *kinds, struct err *err)
{
    const struct variables_options wanted = {.env = &args->env,
                                             .files = &args->env_files,
                                             .directory = args->directory,
                                             .passthrough = &p->passthrough,
                                             .mask = p->mask};
    const struct plan_inputs inputs = {.overrides = &p->variables.above,
                                       .variables = &p->variables.below,
                                       .parameters = &args->inputs,
                                       .automatic = &p->automatic,
                                       .passthrough = &p->passthrough,
                                       .engine = unless_empty(args->engine),
                                       .image = unless_empty(args->image),
                                       .workdir = unless_empty(args->workdir),
                                       .current_dir = p->current_dir,
                                       .strict = args->strict,
                                       .incomplete = !p->mask};
    const struct plan_selection selection = {&args->only, &args->skip, &args->from};

    if (inputs.engine && engine_name_check(inputs.engine, err) < 0)
        return err_wrap(err, "--engine");
    if (find_directory(p, args, err) < 0)
        return -1;
    if (args->timeout_ms)
        p->spec->common.timeout_ms = args->timeout_ms;
    if (args->refuse_nested)
        nesting_check_file(p->spec, &p->diags);
    inputs_automatic(p->current_dir, &p->automatic);
    inputs_passthrough(&args->allow_env, args->allow_all_env, &p->passthrough);
    variables_collect(p->spec, &wanted, &p->variables, &p->diags);
    if (read_hosts_file(p, &wanted))
        p->plan = plan_build(p->spec, &inputs, &p->diags);
    if (!p->plan)
        return -1;
    step_check(kinds, p->plan, &p->diags);
    if (p->diags.error_count || plan_select(p->plan, &selection, err) < 0)
        return -1;
    return args->refuse_nested ? nesting_check(args, &p->variables, err) : 0;
}

void prepared_diagnostics(struct prepared *p, struct buf *out)
{
    CLEANUP_BUF struct buf text = BUF_INIT;
    CLEANUP_FREE char *masked = NULL;

    diag_sort(&p->diags);
    diag_print_text(&text, &p->source, &p->diags, false);
    masked = mask_text(p->mask, text.data);
    buf_addstr(out, masked ? masked : text.data);
}

void prepared_show_diagnostics(struct prepared *p)
{
    CLEANUP_BUF struct buf text = BUF_INIT;

    prepared_diagnostics(p, &text);
    fputs(text.data, stderr);
}

void prepared_release(struct prepared *p)
{
    plan_free(p->plan);
    spec_pipeline_free(p->spec);
    load_source_release(&p->source);
    diag_list_release(&p->diags);
    strmap_release(&p->automatic);
    strmap_release(&p->passthrough);
    variables_release(&p->variables);
    mask_free(p->mask);
    *p = (struct prepared)PREPARED_INIT;
}
