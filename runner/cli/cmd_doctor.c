/* `runner doctor`: what works here, and how to mend what does not. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <jansson.h>

#include "archive/archive.h"
#include "artifact/artifact.h"
#include "base/alloc.h"
#include "base/clock.h"
#include "base/nearest.h"
#include "cli/commands.h"
#include "cli/engines.h"
#include "cli/plan_engines.h"
#include "cli/prepare_options.h"
#include "cli/stores.h"
#include "control/signals.h"
#include "history/history.h"
#include "objstore/open.h"
#include "own/own.h"

enum { CHECK_MS = 30000, FORMAT_TEXT = 0, FORMAT_JSON };

struct doctor_args {
    struct cli_engine_args engines;
    struct prepare_args file;
    char *store;
    char *cache_dir;
    char *cache_size;
    int format;
};

static const char *const formats[] = {"text", "json", NULL};

#define AT(field) offsetof(struct doctor_args, field)

static const struct cli_option options[] = {
    CLI_ENGINE_OPTIONS(struct doctor_args),
    {"store", 0, CLI_STRING, AT(store), "URL", "look at s3://BUCKET/PREFIX, too", NULL, NULL},
    CLI_STORE_OPTIONS(AT(cache_dir), AT(cache_size)),
    {"config", 'c', CLI_STRING, AT(file.config), "FILE",
     "look at the engines of the hosts and steps of a pipeline file", NULL, NULL},
    PREPARE_OPTION_ENV(struct doctor_args),
    PREPARE_OPTION_ENV_FILE(struct doctor_args),
    PREPARE_OPTION_INPUT(struct doctor_args),
    PREPARE_OPTION_SET(struct doctor_args),
    {"format", 0, CLI_CHOICE, AT(format), NULL, "of the list", formats, NULL},
    {0},
};

enum level { LEVEL_OK, LEVEL_WARN, LEVEL_FAIL, LEVEL_ABSENT };

static const char *const level_names[] = {"ok", "warn", "fail", "n/a"};

struct finding {
    enum level level;
    struct buf text; /* one line */
    struct buf mend; /* lines */
};

struct doctor {
    const struct doctor_args *args;
    struct strvec names; /* the operands, then the engines of a pipeline file */
    struct engine_services services;
    struct object_store_places stores;
    json_t *list; /* of --format json; NULL: text */
    bool failed;
};

/* `mend` may be NULL. */
static void not_well(struct finding *finding, enum level level, const struct err *err,
                     const char *mend)
{
    finding->level = level;
    buf_addf(&finding->text, "%s%s", level == LEVEL_ABSENT ? "not available: " : "", err->message);
    if (mend && level != LEVEL_ABSENT)
        buf_addstr(&finding->mend, mend);
}

/* --- what is on this machine --- */

static void check_state(const struct ctx *ctx, const struct doctor *doctor, struct finding *finding)
{
    struct own_run *run = NULL;
    CLEANUP_FREE char *dir = NULL;
    const char *temp;
    struct err err = ERR_INIT;

    (void)ctx;
    (void)doctor;
    if (own_run_begin(NULL, &run, &err) < 0) {
        not_well(finding, LEVEL_FAIL, &err,
                 "give XDG_STATE_HOME a directory that belongs to this user, who can write there");
        return;
    }
    dir = own_run_state_dir(run);
    temp = own_run_temp_dir(run, &err);
    if (temp)
        buf_addf(&finding->text, "journals in %s, temporary files in %.*s", dir,
                 (int)(strrchr(temp, '/') - temp), temp);
    else
        not_well(finding, LEVEL_FAIL, &err,
                 "give TMPDIR a directory in which this user can write and run programs");
    own_run_end(run);
}

static void check_archives(const struct ctx *ctx, const struct doctor *doctor,
                           struct finding *finding)
{
    struct err err = ERR_INIT;

    (void)ctx;
    (void)doctor;
    if (archive_check(&err) < 0)
        not_well(finding, LEVEL_WARN, &err,
                 "without it nothing else fails than caches and artifacts");
    else
        buf_addstr(&finding->text, "files can be packed for caches and artifacts");
}

/* --- stores --- */

static int produce(void *arg, const struct ctx *ctx, struct object_sink *sink, struct err *err)
{
    (void)arg;
    (void)ctx;
    return sink->write(sink, "well\n", 5, err);
}

/* Writes an object, reads it, and removes it. */
static int use_store(const struct ctx *ctx, struct object_store *store, struct err *err)
{
    const struct object_source source = {.produce = produce};
    CLEANUP_FREE char *key =
        xasprintf("doctor/%lld-%ld", (long long)clock_wall_ms(), (long)getpid());
    int fd;
    int result;

    if (store->ops->put(ctx, store, key, &source, NULL, err) < 0)
        return -1;
    result = store->ops->get(ctx, store, key, &fd, NULL, err);
    if (result == 0)
        close(fd);
    return store->ops->remove(ctx, store, key, result == 0 ? err : NULL) < 0 ? -1 : result;
}

/* Closes the store. `opened`: of the call that opened it; `where`: NULL if it failed. */
static void check_store(const struct ctx *ctx, int opened, struct object_store *store,
                        const char *where, struct finding *finding, enum level level,
                        const char *mend, struct err *err)
{
    if (opened < 0 || !where || use_store(ctx, store, err) < 0)
        not_well(finding, level, err, mend);
    else
        buf_addf(&finding->text, "%s can be written and read", where);
    object_store_close(store);
}

static void check_cache(const struct ctx *ctx, const struct doctor *doctor, struct finding *finding)
{
    struct object_store *store = NULL;
    struct err err = ERR_INIT;
    CLEANUP_FREE char *dir = object_store_local_dir(&doctor->stores, &err);
    int opened = object_store_open_at((void *)&doctor->stores, "local", &store, &err);

    check_store(ctx, opened, store, dir, finding, LEVEL_WARN,
                "pipelines run without caches until this user can write there; --cache-dir or "
                "XDG_CACHE_HOME choose another directory",
                &err);
}

static void check_artifacts(const struct ctx *ctx, const struct doctor *doctor,
                            struct finding *finding)
{
    struct object_store *store = NULL;
    struct err err = ERR_INIT;
    CLEANUP_FREE char *dir = artifact_local_dir(&err);
    int opened = artifact_store_open(NULL, &store, &err);

    (void)doctor;
    check_store(ctx, opened, store, dir, finding, LEVEL_FAIL,
                "let this user write there, or choose another directory with XDG_STATE_HOME", &err);
}

static void check_given_store(const struct ctx *ctx, const struct doctor *doctor,
                              struct finding *finding)
{
    struct object_store *store = NULL;
    struct err err = ERR_INIT;
    int opened = object_store_open_at((void *)&doctor->stores, doctor->args->store, &store, &err);

    check_store(
        ctx, opened, store, doctor->args->store, finding, LEVEL_FAIL,
        "?endpoint=URL or AWS_ENDPOINT_URL, AWS_REGION, AWS_ACCESS_KEY_ID and "
        "AWS_SECRET_ACCESS_KEY say where and as whom; to put, get and delete objects must be "
        "allowed",
        &err);
}

/* Runs go on without one: a warning. */
static void check_history(const struct ctx *ctx, const struct doctor *doctor,
                          struct finding *finding)
{
    CLEANUP_HISTORY struct history *history = NULL;
    CLEANUP_STORE_RUNS struct store_runs runs = {0};
    struct err err = ERR_INIT;

    (void)doctor;
    if (history_open(ctx, getenv("RUNNER_HISTORY"), NULL, &history, &err) < 0 ||
        history_update(ctx, history, &err) < 0 ||
        store_list(ctx, history->store, &(struct store_query){.limit = 1}, &runs, &err) < 0) {
        not_well(finding, LEVEL_WARN, &err,
                 "without it runs are not recorded, or not found again: choose another directory "
                 "with RUNNER_HISTORY, or record nothing with RUNNER_NO_HISTORY=1");
        return;
    }
    buf_addf(&finding->text, "%lld run%s recorded in %s", (long long)runs.total,
             runs.total == 1 ? " is" : "s are", history->dir);
}

static const struct check {
    const char *name;
    void (*run)(const struct ctx *ctx, const struct doctor *doctor, struct finding *finding);
} checks[] = {
    {"state", check_state},         {"archives", check_archives}, {"cache", check_cache},
    {"artifacts", check_artifacts}, {"history", check_history},   {"store", check_given_store},
};

enum { CHECK_COUNT = sizeof(checks) / sizeof(*checks) };

/* --- engines --- */

/* The first line is what works, the others are on what would with something more. */
static void take_report(const struct buf *report, struct finding *finding)
{
    size_t len = strcspn(report->data, "\n");

    buf_add(&finding->text, report->data, len);
    if (len < report->len)
        buf_addstr(&finding->mend, report->data + len + 1);
    if (finding->mend.len)
        finding->level = LEVEL_WARN;
}

static const char *mend_of(const struct engine *engine, const struct err *err)
{
    return engine->mend ? engine->mend(err) : NULL;
}

/* `named`: somebody wants just this one. */
static void check_engine(const struct ctx *ctx, const struct doctor *doctor,
                         const struct engine *engine, const char *url, bool named,
                         struct finding *finding)
{
    struct engine_instance *instance = NULL;
    CLEANUP_BUF struct buf report = BUF_INIT;
    struct err err = ERR_INIT;

    if (engine->connect(ctx, &doctor->services, url, &instance, &err) < 0) {
        not_well(finding, err.code == ERR_NOT_FOUND && !named ? LEVEL_ABSENT : LEVEL_FAIL, &err,
                 mend_of(engine, &err));
        return;
    }
    if (engine->probe(ctx, instance, &report, &err) < 0)
        not_well(finding, LEVEL_FAIL, &err, report.len ? report.data : mend_of(engine, &err));
    else
        take_report(&report, finding);
    engine->disconnect(instance);
}

/* --- telling --- */

/* The next line of *text without control characters, which are of others; *text is moved behind it.
 * The caller's. */
static char *next_line(const char **text)
{
    size_t len = strcspn(*text, "\n");
    char *line = xstrndup(*text, len);

    for (char *c = line; *c; c++) {
        if (iscntrl((unsigned char)*c))
            *c = '?';
    }
    *text += len + ((*text)[len] == '\n');
    return line;
}

static void tell_text(const char *name, const struct finding *finding)
{
    const char *rest = finding->text.data;
    CLEANUP_FREE char *text = next_line(&rest);

    printf("%-4s  %-10s  %s\n", level_names[finding->level], name, text);
    for (rest = finding->mend.data; *rest;) {
        CLEANUP_FREE char *line = next_line(&rest);

        printf("      %s\n", line);
    }
    fflush(stdout);
}

static void tell_json(json_t *list, const char *name, const struct finding *finding)
{
    const char *rest = finding->text.data;
    CLEANUP_FREE char *text = next_line(&rest);
    json_t *mend = json_array();

    for (rest = finding->mend.data; *rest;) {
        CLEANUP_FREE char *line = next_line(&rest);

        json_array_append_new(mend, json_string(line));
    }
    json_array_append_new(list, json_pack("{s:s, s:s, s:s?, s:o}", "check", name, "state",
                                          level_names[finding->level], "text", text, "mend", mend));
}

static void tell(struct doctor *doctor, const char *name, const struct finding *finding)
{
    doctor->failed = doctor->failed || finding->level == LEVEL_FAIL;
    if (doctor->list)
        tell_json(doctor->list, name, finding);
    else
        tell_text(name, finding);
}

/* --- all --- */

static const struct check *find_check(const char *name)
{
    for (size_t i = 0; i < CHECK_COUNT; i++) {
        if (strcmp(checks[i].name, name) == 0)
            return &checks[i];
    }
    return NULL;
}

static int find_operand(const struct doctor *doctor, const char *name, struct err *err)
{
    CLEANUP_FREE char *shown = plan_engine_shown(name);
    struct nearest nearest = {.text = shown};

    if (strcmp(name, "store") == 0 && !doctor->args->store)
        return err_set(err, ERR_INVALID, "which store? --store s3://BUCKET/PREFIX says");
    if (find_check(name) || engine_find(runner_engines, name))
        return 0;
    for (size_t i = 0; i < CHECK_COUNT; i++)
        nearest_offer(&nearest, checks[i].name);
    for (size_t i = 0; runner_engines[i]; i++)
        nearest_offer(&nearest, runner_engines[i]->name);
    if (nearest.best)
        return err_set(err, ERR_INVALID, "there is no \"%s\" to look at; did you mean \"%s\"?",
                       shown, nearest.best);
    return err_set(err, ERR_INVALID, "there is no \"%s\" to look at; see \"runner doctor --help\"",
                   shown);
}

/* What a finding is called: an address is part of it, without user and password. */
static char *name_of(const struct check *check, const char *url)
{
    if (check)
        return xstrdup(check->name);
    return strstr(url, "://") ? plan_engine_shown(url) : xstrdup(url);
}

/* One of them is NULL. */
static int look_at(const struct ctx *above, struct doctor *doctor, const struct check *check,
                   const char *url, bool named, struct err *err)
{
    const struct engine *engine = check ? NULL : engine_find(runner_engines, url);
    CLEANUP_FREE char *shown = name_of(check, url);
    struct finding finding = {.text = BUF_INIT, .mend = BUF_INIT};
    struct ctx ctx;
    int result;

    ctx_init(&ctx, above);
    ctx_set_timeout(&ctx, CHECK_MS, "this check");
    if (check)
        check->run(&ctx, doctor, &finding);
    else
        check_engine(&ctx, doctor, engine, url, named, &finding);
    ctx_release(&ctx);
    /* What was broken off has found nothing. */
    result = ctx_check(above, err);
    if (result == 0)
        tell(doctor, shown, &finding);
    buf_release(&finding.text);
    buf_release(&finding.mend);
    return result;
}

static int look_at_all(const struct ctx *ctx, struct doctor *doctor, struct err *err)
{
    for (size_t i = 0; i < CHECK_COUNT; i++) {
        if ((checks[i].run != check_given_store || doctor->args->store) &&
            look_at(ctx, doctor, &checks[i], NULL, false, err) < 0)
            return -1;
    }
    for (size_t i = 0; runner_engines[i]; i++) {
        if (!(runner_engines[i]->capabilities & ENGINE_DEPLOYS) &&
            look_at(ctx, doctor, NULL, runner_engines[i]->name, false, err) < 0)
            return -1;
    }
    return 0;
}

static int look(const struct ctx *ctx, void *arg, struct err *err)
{
    struct doctor *doctor = arg;
    const struct strvec *names = &doctor->names;

    if (!names->len)
        return look_at_all(ctx, doctor, err);
    for (size_t i = 0; i < names->len; i++) {
        if (look_at(ctx, doctor, find_check(names->items[i]), names->items[i], true, err) < 0)
            return -1;
    }
    return 0;
}

static int prepare(struct doctor *doctor, struct err *err)
{
    const struct doctor_args *args = doctor->args;

    cli_engine_services(&args->engines, &doctor->services);
    if (cli_store_options(args->cache_dir, args->cache_size, &doctor->stores, err) < 0)
        return -1;
    if (args->store && object_store_check(args->store, err) < 0)
        return err_wrap(err, "--store");
    for (size_t i = 0; i < doctor->names.len; i++) {
        if (find_operand(doctor, doctor->names.items[i], err) < 0)
            return -1;
    }
    return 0;
}

/* -1: the file cannot be read or is wrong, which has been said, or *err says it. */
static int add_engines_of_file(struct doctor *doctor, struct err *err)
{
    const struct prepare_args *args = &doctor->args->file;
    struct prepared p = PREPARED_INIT;
    int result;

    if (!args->config)
        return 0;
    p.mask = mask_new(); /* secrets are wanted: URLs may be made of them */
    result = prepared_read(&p, args, args->config) == 0 &&
                     prepared_plan(&p, args, runner_step_kinds, err) == 0
                 ? 0
                 : -1;
    if (result < 0)
        prepared_show_diagnostics(&p);
    else
        engines_of_plan(p.plan, &doctor->names);
    prepared_release(&p);
    return result;
}

static int run(void *args, const struct strvec *operands)
{
    struct doctor doctor = {.args = args};
    struct err err = ERR_INIT;
    int signal;
    int result;

    for (size_t i = 0; i < operands->len; i++)
        strvec_push(&doctor.names, operands->items[i]);
    if (add_engines_of_file(&doctor, &err) < 0 || prepare(&doctor, &err) < 0) {
        if (err.code)
            fprintf(stderr, "runner doctor: %s\n", err.message);
        strvec_release(&doctor.names);
        return CLI_EXIT_USAGE;
    }
    if (doctor.args->format == FORMAT_JSON)
        doctor.list = json_array();
    result = signals_run(look, &doctor, &signal, &err);
    if (doctor.list) {
        json_dumpf(doctor.list, stdout, JSON_INDENT(2));
        putchar('\n');
    }
    json_decref(doctor.list);
    strvec_release(&doctor.names);
    if (result < 0)
        fprintf(stderr, "runner doctor: %s\n", err.message);
    if (signal)
        return 128 + signal;
    if (result < 0)
        return CLI_EXIT_FAILED;
    return doctor.failed ? CLI_EXIT_UNAVAILABLE : CLI_EXIT_OK;
}

const struct cli_command cmd_doctor = {
    .name = "doctor",
    .operands = "[ENGINE|state|archives|cache|artifacts|history|store]...",
    .summary = "show what works here, and how to mend what does not",
    .description =
        "Looks at everything, or at what is named: an engine as a pipeline file has it, or "
        "what it stores on this machine, or at the engines of a pipeline file. An engine that is "
        "not set up is no failure "
        "unless it is named.",
    .options = options,
    .args_size = sizeof(struct doctor_args),
    .run = run,
};
