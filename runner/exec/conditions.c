/* `if` and everything in `when`. */
#include "exec/conditions.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/glob.h"
#include "base/vec.h"
#include "exec/files.h"
#include "exec/values.h"

static int condition(const struct admission_question *q, const struct plan_settings *settings,
                     const struct expr *expr, const struct spec_str *text, bool *ret,
                     struct buf *why, struct err *err)
{
    if (!expr)
        return 0;
    if (plan_condition(q->run->plan, settings, expr, text, ret, err) < 0)
        return -1;
    if (!*ret)
        buf_addf(why, "the condition \"%s\" does not hold", text->text);
    return 0;
}

static bool status_holds(const struct admission_question *q, struct buf *why)
{
    const struct spec_strs *status = &q->flow->spec->when->status;
    bool failed;

    if (!status->len)
        return true;
    failed = siblings_before(q->siblings, q->index).failed;
    for (size_t i = 0; i < status->len; i++) {
        if (strcmp(status->items[i].text, failed ? "failure" : "success") == 0)
            return true;
    }
    buf_addf(why, "\"when.status\" does not hold: it is %s", failed ? "failure" : "success");
    return false;
}

/* --- files and where the run comes from --- */

/* Variables that say it, of the pipeline or else of the process: CI systems set them. */
static const char *const branch_names[] = {"PIPELINE_BRANCH",
                                           "CI_COMMIT_BRANCH", /* GitLab, Woodpecker */
                                           "GITHUB_HEAD_REF",
                                           "GITHUB_REF_NAME",
                                           "BUILDKITE_BRANCH",
                                           "CIRCLE_BRANCH",
                                           "BITBUCKET_BRANCH",
                                           "DRONE_BRANCH",
                                           "BRANCH_NAME", /* Jenkins */
                                           NULL};
static const char *const event_names[] = {"PIPELINE_EVENT",    "CI_PIPELINE_SOURCE",
                                          "CI_PIPELINE_EVENT", "GITHUB_EVENT_NAME",
                                          "DRONE_BUILD_EVENT", NULL};

static const char *first_variable(const struct admission_question *q,
                                  const struct plan_settings *settings, const char *const *names)
{
    for (; *names; names++) {
        const char *value = plan_variable(q->run->plan, settings, *names);

        if (!value)
            value = getenv(*names);
        if (value && *value)
            return value;
    }
    return NULL;
}

static int expand_globs(const struct admission_question *q, const struct plan_settings *settings,
                        const struct spec_strs *globs, struct strvec *ret, struct err *err)
{
    for (size_t i = 0; i < globs->len; i++) {
        char *expanded = NULL;

        if (plan_expand(q->run->plan, settings, &globs->items[i], &expanded, NULL, NULL, err) < 0)
            return -1;
        strvec_push_owned(ret, expanded);
    }
    return 0;
}

/* `value` NULL: it is not known, and matches nothing. */
static int text_holds(const struct admission_question *q, const struct plan_settings *settings,
                      const char *key, const struct spec_strs *globs, const char *value, bool *ret,
                      struct buf *why, struct err *err)
{
    CLEANUP_STRVEC struct strvec list = {0};
    CLEANUP_GLOB struct glob *glob = NULL;

    if (expand_globs(q, settings, globs, &list, err) < 0 ||
        glob_parse((const char *const *)list.items, list.len, GLOB_EXACT, &glob, err) < 0)
        return -1;
    *ret = value && glob_match(glob, value);
    if (*ret)
        return 0;
    if (value)
        buf_addf(why, "\"when.%s\" does not hold: it is \"%s\"", key, value);
    else
        buf_addf(why, "\"when.%s\" does not hold: it is not known; say -e PIPELINE_BRANCH=NAME",
                 key);
    return 0;
}

static int origin_holds(const struct admission_question *q, const struct plan_settings *settings,
                        bool *ret, struct buf *why, struct err *err)
{
    const struct spec_when *when = q->flow->spec->when;

    if (when->branch.len) {
        CLEANUP_BUF struct buf head = BUF_INIT;
        const char *branch = first_variable(q, settings, branch_names);

        if (!branch) {
            files_branch(q->run->plan->workdir, &head);
            branch = head.len ? head.data : NULL;
        }
        if (text_holds(q, settings, "branch", &when->branch, branch, ret, why, err) < 0)
            return -1;
    }
    if (*ret && when->event.len) {
        const char *event = first_variable(q, settings, event_names);

        return text_holds(q, settings, "event", &when->event, event ? event : "manual", ret, why,
                          err);
    }
    return 0;
}

typedef int (*files_fn)(const struct ctx *ctx, const char *root, const char *const *globs,
                        size_t count, bool *ret, struct err *err);

static int files_hold(const struct admission_question *q, const struct plan_settings *settings,
                      const char *key, const struct spec_strs *globs, files_fn ask,
                      const char *otherwise, bool *ret, struct buf *why, struct err *err)
{
    CLEANUP_STRVEC struct strvec list = {0};

    if (!*ret || !globs->len)
        return 0;
    if (expand_globs(q, settings, globs, &list, err) < 0)
        return -1;
    if (ask(q->ctx, q->run->plan->workdir, (const char *const *)list.items, list.len, ret, err) < 0)
        return err_wrap(err, "\"when.%s\" cannot be told", key);
    if (!*ret)
        buf_addf(why, "\"when.%s\" does not hold: %s", key, otherwise);
    return 0;
}

int conditions_hold(const struct admission_question *q, bool *ret, struct buf *why, struct err *err)
{
    CLEANUP_PLAN_SETTINGS struct plan_settings settings = {0};
    const struct plan_flow *flow = q->flow;
    const struct spec_when *when = flow->spec->when;
    struct values values = {.run = q->run,
                            .ctx = q->ctx,
                            .job = q->job,
                            .job_node = q->job_node,
                            .siblings = q->siblings,
                            .index = q->index};
    struct plan_runtime runtime;

    values_init(&runtime, &values, q->environment);
    if (plan_settings_resolve(q->run->plan, q->scope, &runtime, &settings, NULL, NULL, err) < 0 ||
        condition(q, &settings, flow->condition, &flow->spec->condition, ret, why, err) < 0)
        return -1;
    if (!*ret || !when)
        return 0;
    *ret = plan_env_matches(q->run->plan, &settings, &when->env, why) && status_holds(q, why);
    if (!*ret)
        return 0;
    if (origin_holds(q, &settings, ret, why, err) < 0 ||
        files_hold(q, &settings, "exists", &when->exists, files_exist, "no file matches", ret, why,
                   err) < 0 ||
        files_hold(q, &settings, "changed", &when->changed, files_changed,
                   "no file that matches has changed", ret, why, err) < 0)
        return -1;
    if (!*ret)
        return 0;
    return condition(q, &settings, flow->when_expr, &when->expr, ret, why, err);
}
