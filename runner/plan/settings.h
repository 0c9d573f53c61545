/* What holds for one step (or job): inheritance resolved, names expanded. */
#pragma once

#include "base/buf.h"
#include "base/err.h"
#include "plan/plan.h"

/* What only a run knows. */
struct plan_runtime {
    /* As the callbacks of struct expr_scope, for names that the plan does not know. */
    int (*value)(void *arg, const char *const *path, size_t len, struct expr_value *ret,
                 struct err *err);
    int (*call)(void *arg, const char *function, const struct expr_value *args, size_t count,
                struct expr_value *ret, struct err *err);
    void *arg;
    const struct strmap *environment; /* what steps have set for those behind them; may be NULL */
};

struct plan_settings {
    const struct plan_scope *scope;     /* borrowed */
    const struct plan_runtime *runtime; /* borrowed; NULL while nothing runs */
    /* The user's environment: secrets and `env_files`, file levels merged, -e on top. Without
     * passed-through and automatic names. */
    struct strmap environment;
    char *engine;  /* never NULL: "host", "docker", "ssh://…" */
    char *image;   /* NULL: none */
    char *workdir; /* absolute; never NULL. Of an engine on a machine of its own relative to where
                      steps run there, if that is how it is written */
    bool workdir_given; /* it is written, and not the run's own */
    char *shell;        /* NULL: default */
    char *user;
    char *image_registry;
    char *image_registry_username;
    char *image_registry_password;
    char *data_dir_outer;
    char *data_dir_inner;
    const struct spec_resources *resources; /* borrowed */
    const enum spec_pull *pull;             /* borrowed */
    uint8_t pull_count;
    enum spec_isolation isolation;
    enum spec_checkout checkout;
    int64_t grace_ms;
    /* Of the pod, from the pipeline down to the job; NULL: nothing is given. In it namespace,
     * service_account, runtime_class and priority_class are strings; node_selector, labels and
     * annotations maps of strings; image_pull_secrets a list of strings; tolerations and volumes
     * lists of maps; the rest as in the file. */
    json_t *kubernetes;
    int64_t schedule_timeout_ms; /* 0: not given */
    /* The engine shares the runner's environment, so ${NAME} may mean that. */
    bool local;
};

#define CLEANUP_PLAN_SETTINGS CLEANUP(plan_settings_release)
#define PLAN_GRACE_DEFAULT_MS 10000

/* Whether an engine, as `engine:` says it, is the machine of a login (ENGINE_REMOTE). */
bool plan_engine_is_remote(const char *engine);
/* Resolves what holds in `scope`. Warnings and errors go to diags (may be NULL); -1 with the first
 * error in err. *ret is to be released by the caller. Without a run (runtime NULL) expressions that
 * need one become empty; then *ret_late (may be NULL) is set. */
int plan_settings_resolve(const struct plan *plan, const struct plan_scope *scope,
                          const struct plan_runtime *runtime, struct plan_settings *ret,
                          bool *ret_late, struct diag_list *diags, struct err *err)
    __attribute__((warn_unused_result));
void plan_settings_release(struct plan_settings *settings);

/* Whether the scope's own words and those above it choose engine `host` for certain. Cheap: nothing
 * is expanded, so that ${…} may come to `host` all the same. */
bool plan_scope_is_local(const struct plan *plan, const struct plan_scope *scope);

/* Expands a string of the scope whose settings are given; NULL text gives NULL. The result is the
 * caller's. *ret_late, and -1, as above. */
int plan_expand(const struct plan *plan, const struct plan_settings *settings,
                const struct spec_str *text, char **ret, bool *ret_late, struct diag_list *diags,
                struct err *err) __attribute__((warn_unused_result));
/* Likewise a value of any shape, whose strings are expanded one by one, without the runner's own
 * environment. NULL value, or a map in which nothing is left, gives NULL; else *ret is a new
 * reference. */
int plan_expand_json(const struct plan *plan, const struct plan_settings *settings,
                     const struct spec_json *json, json_t **ret, bool *ret_late,
                     struct diag_list *diags, struct err *err) __attribute__((warn_unused_result));
/* Expands a string by what holds in `scope` and is known before the run; NULL after an error, which
 * has been added to diags. The result is the caller's. */
char *plan_expand_at(const struct plan *plan, const struct plan_scope *scope,
                     const struct spec_str *text, struct diag_list *diags)
    __attribute__((warn_unused_result));
/* Whether a condition of that scope holds; `text` is where it came from, for messages. */
int plan_condition(const struct plan *plan, const struct plan_settings *settings,
                   const struct expr *condition, const struct spec_str *text, bool *ret,
                   struct err *err) __attribute__((warn_unused_result));
/* The value of a variable as ${NAME} has it there; NULL: not set. */
const char *plan_variable(const struct plan *plan, const struct plan_settings *settings,
                          const char *name);
/* Whether the variables match what `when.env` says; if not, `why` gets a line for people. */
bool plan_env_matches(const struct plan *plan, const struct plan_settings *settings,
                      const struct spec_matches *env, struct buf *why);
/* Whether the text is exactly one ${NAME} of something that is not set. */
bool plan_is_unset_name(const struct plan *plan, const struct plan_settings *settings,
                        const struct spec_str *text);
