/* `runner exec`: runs a pipeline file here. */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/fs.h"
#include "base/logger.h"
#include "cli/commands.h"
#include "cli/inputs.h"
#include "cli/session.h"
#include "cli/source.h"
#include "load/diag_print.h"
#include "load/load.h"

struct exec_args {
    char *config;
    char *workdir;
    char *image;
    char *engine;
    struct strmap env;
    struct strvec allow_env;
    bool allow_all_env;
    bool allow_nested;
    int64_t jobs;
    int64_t timeout_ms;
    int progress;
    int log_level;
    int log_format;
    char *log_file;
    bool no_color;
    bool timestamps;
    bool keep;
    bool force_clean;
    bool strict;
    char *docker_host;
    struct strvec reports;
};

static const char *const progress_choices[] = {"auto", "plain", "json", NULL};
static const char *const level_choices[] = {"warn", "debug", "info", "error", NULL};
static const char *const format_choices[] = {"text", "json", NULL};

#define ENV(...)  ((const char *const[]){__VA_ARGS__, NULL})
#define AT(field) offsetof(struct exec_args, field)

static const struct cli_option options[] = {
    {"config", 'c', CLI_STRING, AT(config), "FILE", "pipeline file, URL, or - for standard input",
     NULL, ENV("PIPELINE_CONFIG")},
    {"workdir", 'w', CLI_STRING, AT(workdir), "DIR", "working directory of the pipeline", NULL,
     ENV("PIPELINE_WORKDIR")},
    {"image", 'i', CLI_STRING, AT(image), "IMAGE", "default image: run in Docker", NULL,
     ENV("PIPELINE_IMAGE")},
    {"engine", 0, CLI_STRING, AT(engine), "ENGINE", "default engine", NULL, NULL},
    {"env", 'e', CLI_PAIRS, AT(env), "KEY=VALUE", "set a variable, over the file's (repeatable)",
     NULL, ENV("ENV")},
    {"allow-env", 0, CLI_LIST, AT(allow_env), "NAME",
     "let host steps see a variable of this environment (repeatable)", NULL, NULL},
    {"allow-all-env", 0, CLI_FLAG, AT(allow_all_env), NULL, "let host steps see all of it", NULL,
     NULL},
    {"allow-nested", 0, CLI_FLAG, AT(allow_nested), NULL, "run although inside of a pipeline", NULL,
     NULL},
    {"jobs", 'j', CLI_INT, AT(jobs), "N", "most jobs at a time (256)", NULL, NULL},
    {"timeout", 0, CLI_DURATION, AT(timeout_ms), "DURATION", "limit of the whole pipeline", NULL,
     NULL},
    {"progress", 0, CLI_CHOICE, AT(progress), NULL, "how to show the run", progress_choices, NULL},
    {"timestamps", 0, CLI_FLAG, AT(timestamps), NULL, "put the time before each line", NULL, NULL},
    {"no-color", 0, CLI_FLAG, AT(no_color), NULL, "no colours", NULL, NULL},
    {"log-level", 0, CLI_CHOICE, AT(log_level), NULL, "diagnostic messages", level_choices, NULL},
    {"log-format", 0, CLI_CHOICE, AT(log_format), NULL, "their form", format_choices, NULL},
    {"log-file", 0, CLI_STRING, AT(log_file), "FILE", "write them to a file", NULL, NULL},
    {"keep", 0, CLI_FLAG, AT(keep), NULL, "remove nothing at the end", NULL, NULL},
    {"force-clean", 0, CLI_FLAG, AT(force_clean), NULL,
     "remove the workdir after success even if it was there before", NULL, NULL},
    {"strict", 0, CLI_FLAG, AT(strict), NULL, "unset names in ${NAME} are errors", NULL, NULL},
    {"docker-host", 0, CLI_STRING, AT(docker_host), "URL", "Docker daemon to use", NULL, NULL},
    {"report", 0, CLI_LIST, AT(reports), "json=FILE", "write the final states to a file", NULL,
     NULL},
    {0},
};

static int usage_error(const struct err *err)
{
    fprintf(stderr, "runner exec: %s\n", err->message);
    return CLI_EXIT_USAGE;
}

static int configure_logger(const struct exec_args *args, struct err *err)
{
    static const enum logger_level levels[] = {LOGGER_WARN, LOGGER_DEBUG, LOGGER_INFO,
                                               LOGGER_ERROR};

    return logger_configure(&(struct logger_options){.level = levels[args->log_level],
                                                     .json = args->log_format == 1,
                                                     .file = args->log_file},
                            err);
}

/* Looks now whether it can be written: after an hour's run it is too late. */
static int find_report(const struct exec_args *args, const char **ret, struct err *err)
{
    for (size_t i = 0; i < args->reports.len; i++) {
        const char *report = args->reports.items[i];

        if (strncmp(report, "json=", 5) != 0 || !report[5])
            return err_set(err, ERR_INVALID, "--report takes json=FILE, not \"%s\"", report);
        if (*ret)
            return err_set(err, ERR_INVALID, "--report json=FILE is given twice");
        *ret = report + 5;
    }
    if (*ret && fs_check_writable(*ret, err) < 0)
        return err_wrap(err, "the report has no place");
    return 0;
}

#define NESTED                                                                                     \
    "you are already in a pipeline (PIPELINE_RUNNER is set in its environment); a nested run "     \
    "needs --allow-nested"

/* Nested runs are refused when the pipeline's own environment says so; that of this process does
 * not count, because a step may well call runner on purpose for another file. */
static int check_nesting(const struct exec_args *args, struct err *err)
{
    bool nested = strmap_has(&args->env, "PIPELINE_RUNNER") ||
                  (getenv("PIPELINE_RUNNER") &&
                   inputs_allows(&args->allow_env, args->allow_all_env, "PIPELINE_RUNNER"));

    return nested && !args->allow_nested ? err_set(err, ERR_CONFLICT, NESTED) : 0;
}

static void refuse_nested(const struct spec_common *common, struct diag_list *diags)
{
    const struct spec_pairs *environment = &common->environment;

    for (size_t i = 0; i < environment->len; i++) {
        if (strcmp(environment->items[i].key, "PIPELINE_RUNNER") == 0)
            diag_add(diags, DIAG_ERROR, environment->items[i].value.pos, "", NESTED);
    }
}

/* The same for the file, at each of its levels. */
static void check_nesting_of_file(const struct spec_pipeline *spec, struct diag_list *diags)
{
    refuse_nested(&spec->common, diags);
    for (size_t i = 0; i < spec->stage_count; i++) {
        const struct spec_stage *stage = &spec->stages[i];

        refuse_nested(&stage->common, diags);
        for (size_t j = 0; j < stage->job_count; j++) {
            const struct spec_job *job = &stage->jobs[j];

            refuse_nested(&job->common, diags);
            for (size_t k = 0; k < job->step_count; k++)
                refuse_nested(&job->steps[k].common, diags);
        }
    }
}

static void show_diagnostics(const struct load_source *source, struct diag_list *diags)
{
    CLEANUP_BUF struct buf text = BUF_INIT;

    diag_sort(diags);
    diag_print_text(&text, source, diags, false);
    fputs(text.data, stderr);
}

struct inputs {
    struct strmap automatic;
    struct strmap passthrough;
    char current_dir[PATH_MAX];
};

static struct plan *make_plan(const struct exec_args *args, const struct spec_pipeline *spec,
                              struct inputs *in, struct diag_list *diags)
{
    struct plan_inputs inputs = {.overrides = &args->env,
                                 .automatic = &in->automatic,
                                 .passthrough = &in->passthrough,
                                 .engine = args->engine,
                                 .image = args->image,
                                 .workdir = args->workdir,
                                 .current_dir = in->current_dir,
                                 .strict = args->strict};

    inputs_automatic(in->current_dir, &in->automatic);
    inputs_passthrough(&args->allow_env, args->allow_all_env, &in->passthrough);
    return plan_build(spec, &inputs, diags);
}

static int run_spec(const struct exec_args *args, struct spec_pipeline *spec,
                    const struct load_source *source, struct diag_list *diags)
{
    struct inputs in = {0};
    struct cli_session_options session = {.progress = (enum cli_progress)args->progress,
                                          .no_color = args->no_color,
                                          .timestamps = args->timestamps,
                                          .jobs = args->jobs < UINT32_MAX ? (uint32_t)args->jobs
                                                                          : UINT32_MAX,
                                          .force_clean = args->force_clean,
                                          .keep = args->keep,
                                          .docker_host = args->docker_host};
    CLEANUP_PLAN struct plan *plan = NULL;
    struct err err = ERR_INIT;
    int status = CLI_EXIT_USAGE;

    if (!getcwd(in.current_dir, sizeof(in.current_dir))) {
        err_errno(&err, "cannot find the current directory");
        return usage_error(&err);
    }
    if (args->timeout_ms)
        spec->common.timeout_ms = args->timeout_ms;
    if (find_report(args, &session.report_json, &err) < 0 || check_nesting(args, &err) < 0)
        return usage_error(&err);
    if (!args->allow_nested)
        check_nesting_of_file(spec, diags);
    plan = make_plan(args, spec, &in, diags);
    if (plan)
        step_check(runner_step_kinds, plan, diags);
    show_diagnostics(source, diags);
    if (plan && !diags->error_count)
        status = cli_session_run(plan, &session);
    strmap_release(&in.automatic);
    strmap_release(&in.passthrough);
    return status;
}

static int run(void *arguments, const struct strvec *operands)
{
    const struct exec_args *args = arguments;
    CLEANUP_DIAG_LIST struct diag_list diags = {0};
    CLEANUP_LOAD_SOURCE struct load_source source = LOAD_SOURCE_INIT;
    CLEANUP_SPEC_PIPELINE struct spec_pipeline *spec = NULL;
    struct err err = ERR_INIT;

    if (configure_logger(args, &err) < 0)
        return usage_error(&err);
    if (operands->len + (args->config != NULL) > 1) {
        err_set(&err, ERR_INVALID, "takes one pipeline file, but got several");
        return usage_error(&err);
    }
    if (source_read(operands->len ? operands->items[0] : args->config, &source, &diags) == 0)
        spec = load_pipeline(&source, NULL, &diags);
    if (!spec) {
        show_diagnostics(&source, &diags);
        return CLI_EXIT_USAGE;
    }
    return run_spec(args, spec, &source, &diags);
}

const struct cli_command cmd_exec = {
    .name = "exec",
    .alias = "run",
    .operands = "[FILE]",
    .summary = "run a pipeline here",
    .options = options,
    .args_size = sizeof(struct exec_args),
    .run = run,
};
