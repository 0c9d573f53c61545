#include "cli/prepare.h"

#include <stdio.h>
#include <unistd.h>

#include "cli/commands.h"
#include "cli/inputs.h"
#include "cli/source.h"
#include "load/diag_print.h"
#include "plan/select.h"

int prepare_where(const struct prepare_args *args, const struct strvec *operands, const char **ret,
                  struct err *err)
{
    if (operands->len + (args->config != NULL) > 1)
        return err_set(err, ERR_INVALID, "takes one pipeline file, but got several");
    *ret = operands->len ? operands->items[0] : args->config;
    return 0;
}

int prepared_read(struct prepared *p, const struct prepare_args *args, const char *where)
{
    if (source_read(where, &p->source, &p->diags) < 0)
        return -1;
    for (size_t i = 0; i < args->overrides.len; i++)
        strvec_push(&p->source.overrides, args->overrides.items[i]);
    p->spec = load_pipeline(&p->source, NULL, &p->diags);
    return p->spec ? 0 : -1;
}

int prepared_plan(struct prepared *p, const struct prepare_args *args, struct err *err)
{
    const struct variables_options wanted = {.env = &args->env,
                                             .files = &args->env_files,
                                             .passthrough = &p->passthrough,
                                             .mask = p->mask};
    const struct plan_inputs inputs = {.overrides = &p->variables.above,
                                       .variables = &p->variables.below,
                                       .parameters = &args->inputs,
                                       .automatic = &p->automatic,
                                       .passthrough = &p->passthrough,
                                       .engine = args->engine,
                                       .image = args->image,
                                       .workdir = args->workdir,
                                       .current_dir = p->current_dir,
                                       .strict = args->strict,
                                       .incomplete = !p->mask};
    const struct plan_selection selection = {&args->only, &args->skip, &args->from};

    if (!getcwd(p->current_dir, sizeof(p->current_dir)))
        return err_errno(err, "cannot find the current directory");
    inputs_automatic(p->current_dir, &p->automatic);
    inputs_passthrough(&args->allow_env, args->allow_all_env, &p->passthrough);
    variables_collect(p->spec, &wanted, &p->variables, &p->diags);
    p->plan = plan_build(p->spec, &inputs, &p->diags);
    if (!p->plan)
        return -1;
    step_check(runner_step_kinds, p->plan, &p->diags);
    return p->diags.error_count ? -1 : plan_select(p->plan, &selection, err);
}

void prepared_show_diagnostics(struct prepared *p)
{
    CLEANUP_BUF struct buf text = BUF_INIT;
    CLEANUP_FREE char *masked = NULL;

    diag_sort(&p->diags);
    diag_print_text(&text, &p->source, &p->diags, false);
    masked = mask_text(p->mask, text.data);
    fputs(masked ? masked : text.data, stderr);
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
