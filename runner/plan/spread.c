#include "plan/spread.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "plan/settings.h"

struct spreading {
    const struct plan *plan;
    const struct plan_stage *stage;
    const struct spec_job *spec;
    struct plan_spread *spread;
    struct diag_list *diags;
};

static char *expand(void *arg, const struct spec_str *text)
{
    const struct spreading *s = arg;

    return plan_expand_at(s->plan, &s->stage->scope, text, s->diags);
}

/* --- batches --- */

/* false after an error, which has been added. */
static bool read_portion(struct spreading *s, const struct spec_str *text, const char *key,
                         struct portion *ret)
{
    CLEANUP_FREE char *expanded = expand(s, text);
    struct err err = ERR_INIT;

    if (!expanded)
        return false;
    if (parse_portion(expanded, ret, &err) == 0)
        return true;
    diag_add(s->diags, DIAG_ERROR, text->pos, "", "\"%s\": %s", key, err.message);
    return false;
}

static bool make_batches(struct spreading *s)
{
    const struct spec_strs *serial = &s->spec->fan_out->serial;
    struct plan_spread *spread = s->spread;
    CLEANUP_FREE struct portion *sizes = xcalloc(serial->len, sizeof(*sizes));

    for (size_t i = 0; i < serial->len; i++) {
        if (!read_portion(s, &serial->items[i], "serial", &sizes[i]))
            return false;
    }
    spread->batches = xcalloc(spread->hosts.len, sizeof(*spread->batches));
    for (size_t i = 0; i < spread->hosts.len; i++)
        spread->batches[i] = plan_hosts_batch(sizes, serial->len, i, spread->hosts.len);
    spread->group.batch_count = spread->batches[spread->hosts.len - 1];
    return true;
}

/* --- hosts --- */

static bool choose_hosts(struct spreading *s)
{
    const struct spec_strs *run_on = &s->spec->fan_out->run_on;
    struct spec_strs patterns = {.items = xcalloc(run_on->len, sizeof(*patterns.items))};
    bool done = true;

    for (size_t i = 0; done && i < run_on->len; i++) {
        char *text = expand(s, &run_on->items[i]);

        done = text != NULL;
        if (text)
            patterns.items[patterns.len++] = (struct spec_str){text, run_on->items[i].pos};
    }
    done = done && plan_hosts_choose(s->plan, &patterns, &s->spread->hosts, s->diags) == 0;
    for (size_t i = 0; i < patterns.len; i++)
        free(patterns.items[i].text);
    free(patterns.items);
    return done;
}

/* --- groups --- */

static void limit(struct plan_group *group, int64_t max_parallel)
{
    if (max_parallel > 0 && (!group->max_parallel || max_parallel < group->max_parallel))
        group->max_parallel = (uint32_t)max_parallel;
}

/* A host that fails does not end the others unless somebody says so. */
static bool make_group(struct spreading *s)
{
    const struct spec_matrix *matrix = s->spec->matrix;
    const struct spec_fan_out *fan_out = s->spread->hosts.len ? s->spec->fan_out : NULL;
    struct plan_group *group = &s->spread->group;

    group->fail_fast = fan_out ? s->stage->spec->fail_fast == SPEC_TRUE : s->stage->fail_fast;
    if (matrix)
        limit(group, matrix->max_parallel);
    if (matrix && matrix->fail_fast)
        group->fail_fast = matrix->fail_fast == SPEC_TRUE;
    if (!fan_out)
        return true;
    limit(group, fan_out->max_parallel);
    group->ignore_errors = fan_out->ignore_errors == SPEC_TRUE;
    group->has_max_failures = fan_out->max_failures.text != NULL;
    if (!group->has_max_failures)
        return true;
    group->fail_fast = false;
    return read_portion(s, &fan_out->max_failures, "max_failures", &group->max_failures);
}

void plan_spread_init(const struct plan *plan, const struct plan_stage *stage,
                      const struct spec_job *spec, struct plan_spread *ret, struct diag_list *diags)
{
    struct spreading s = {plan, stage, spec, ret, diags};
    bool has_hosts = spec->fan_out && spec->fan_out->run_on.len;
    size_t count = 1;

    *ret = (struct plan_spread){.is_group = spec->matrix || has_hosts};
    if ((spec->matrix &&
         plan_matrix_expand(spec->matrix, expand, &s, &ret->combinations, diags) < 0) ||
        (has_hosts && (!choose_hosts(&s) || !make_batches(&s))) || !make_group(&s))
        return;
    if (spec->matrix)
        count = ret->combinations.len;
    if (has_hosts)
        count *= ret->hosts.len;
    if (count > PLAN_MATRIX_MAX)
        diag_add(diags, DIAG_ERROR, has_hosts ? spec->fan_out->run_on.items[0].pos : spec->pos, "",
                 "the job would run %zu times; at most %d are allowed", count, PLAN_MATRIX_MAX);
    else
        ret->count = count;
}

void plan_spread_release(struct plan_spread *spread)
{
    plan_combinations_release(&spread->combinations);
    vec_release(&spread->hosts);
    free(spread->batches);
}
