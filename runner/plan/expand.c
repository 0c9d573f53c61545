#include "plan/expand.h"

#include <string.h>

#include "base/alloc.h"
#include "base/interpolate.h"
#include "plan/names.h"

bool has_template(const char *text)
{
    return text && (strstr(text, "${") || strstr(text, "{{"));
}

static const char *get(const struct strmap *map, const char *name)
{
    return map ? strmap_get(map, name) : NULL;
}

const char *expand_lookup(const struct expansion *x, const char *name)
{
    const struct plan_inputs *inputs = &x->plan->inputs;
    const char *value = get(x->first, name);

    if (!value)
        value = get(x->second, name);
    if (!value)
        value = get(&x->plan->automatic, name);
    if (!value && x->local)
        value = get(inputs->passthrough, name);
    return value;
}

static const char *lookup(void *arg, const char *name)
{
    return expand_lookup(arg, name);
}

static int unset(void *arg, const char *name, size_t offset, struct err *err)
{
    const struct expansion *x = arg;
    bool strict = x->plan->inputs.strict;

    (void)offset;
    if (x->ahead)
        return 0;
    if (x->diags && !strict)
        diag_add(x->diags, DIAG_WARNING, x->pos, "",
                 "${%s} is not set and becomes empty; write ${%s:-} if that is meant", name, name);
    if (strict)
        return err_set(err, ERR_INVALID, "${%s} is not set", name);
    return 0;
}

/* --- expressions --- */

/* What needs a run is null as long as there is none. */
static int not_yet(const struct expansion *x, const char *what, struct err *err)
{
    if (!x->late)
        return err_set(err, ERR_INVALID, "%s is not known before the run", what);
    *x->late = true;
    return 0;
}

static int name_value(void *arg, const char *const *path, size_t len, struct expr_value *ret,
                      struct err *err)
{
    const struct expansion *x = arg;

    if (len == 2 && strcmp(path[0], "env") == 0) {
        *ret = expr_string(expand_lookup(x, path[1]));
        return 0;
    }
    if (names_value(x->plan, x->scope, path, len, ret))
        return 0;
    if (!x->runtime)
        return not_yet(x, path[0], err);
    return x->runtime->value(x->runtime->arg, path, len, ret, err);
}

static int call_value(void *arg, const char *function, const struct expr_value *args, size_t count,
                      struct expr_value *ret, struct err *err)
{
    const struct expansion *x = arg;

    if (!x->runtime)
        return not_yet(x, function, err);
    return x->runtime->call(x->runtime->arg, function, args, count, ret, err);
}

int expand_evaluate(const struct expansion *x, const struct expr *expr, struct expr_value *ret,
                    size_t *ret_offset, struct err *err)
{
    struct expr_scope scope = {.name = name_value, .call = call_value, .arg = (void *)x};

    return expr_eval(expr, &scope, ret, ret_offset, err);
}

/* Appends the value of an expression within a string. Values that stand for what is not known yet
 * can be of any type, so that an error about them says nothing. */
static int expression(void *arg, const char *text, size_t len, size_t *offset, struct buf *out,
                      struct err *err)
{
    const struct expansion *x = arg;
    CLEANUP_EXPR struct expr *expr = NULL;
    CLEANUP_EXPR_VALUE struct expr_value value = EXPR_VALUE_NULL;
    struct err local = ERR_INIT;
    size_t at = 0;
    bool late_before = x->late && *x->late;
    bool failed;

    if (expr_parse(text, len, &expr, &at, err) < 0 ||
        names_check(x->plan, x->scope, expr, &at, err) < 0) {
        *offset += at;
        return -1;
    }
    if (!out)
        return 0;
    if (x->late)
        *x->late = false;
    failed = expand_evaluate(x, expr, &value, &at, &local) < 0;
    if (failed && !(x->late && *x->late)) {
        *offset += at;
        return err_set(err, local.code, "%s", local.message);
    }
    if (!failed)
        expr_value_add_text(&value, out);
    if (x->late)
        *x->late = *x->late || late_before;
    return 0;
}

int expand(const struct expansion *x, const char *text, char **ret, struct err *err)
{
    CLEANUP_BUF struct buf out = BUF_INIT;
    struct interpolate_scope scope = {.lookup = lookup,
                                      .unset = unset,
                                      .expression = expression,
                                      .arg = (void *)x};
    struct err local = ERR_INIT;

    if (!has_template(text)) {
        *ret = xstrdup(text);
        return 0;
    }
    if (interpolate(text, &scope, &out, NULL, &local) < 0) {
        if (x->diags)
            diag_add(x->diags, DIAG_ERROR, x->pos, "", "%s", local.message);
        if (err)
            *err = local;
        return -1;
    }
    *ret = buf_steal(&out);
    return 0;
}
