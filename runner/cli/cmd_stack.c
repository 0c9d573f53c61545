/* `runner stack`: Compose files as stacks of a swarm. */
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "apis/docker/endpoint.h"
#include "base/json_text.h"
#include "cli/commands.h"
#include "compose/stack.h"
#include "control/signals.h"
#include "engine/deploy/binds.h"

enum { TIMEOUT_MS_DEFAULT = 5 * 60 * 1000 };

struct stack_args {
    struct strvec files;
    struct strvec env_files;
    char *docker_host;
    bool prune;
    bool with_registry_auth;
    int resolve_image;
    bool no_wait;
    int64_t timeout_ms;
    int format;
};

static const char *const formats[] = {"text", "json", NULL};
/* In the order of enum stack_resolve. */
static const char *const resolves[] = {"always", "changed", "never", NULL};

#define AT(field) offsetof(struct stack_args, field)

static const struct cli_option options[] = {
    {"compose-file", 'c', CLI_LIST, AT(files), "FILE",
     "deploy: Compose file, - for standard input; a later one goes over an earlier one", NULL,
     NULL},
    {"env-file", 0, CLI_LIST, AT(env_files), "FILE",
     "deploy: variables of the Compose file (default: .env beside it)", NULL, NULL},
    {"prune", 0, CLI_FLAG, AT(prune), NULL,
     "deploy: remove services that are not in the files any more", NULL, NULL},
    {"with-registry-auth", 0, CLI_FLAG, AT(with_registry_auth), NULL,
     "deploy: nodes pull images with your credentials", NULL, NULL},
    {"resolve-image", 0, CLI_CHOICE, AT(resolve_image), NULL,
     "deploy: when to ask the registry for the digest of an image", resolves, NULL},
    {"no-wait", 0, CLI_FLAG, AT(no_wait), NULL, "deploy: do not wait until the services run", NULL,
     NULL},
    {"timeout", 0, CLI_DURATION, AT(timeout_ms), "DURATION", "longest wait (default 5m)", NULL,
     NULL},
    {"docker-host", 0, CLI_STRING, AT(docker_host), "URL", "a manager of the swarm", NULL, NULL},
    {"format", 0, CLI_CHOICE, AT(format), NULL, "of ps", formats, NULL},
    {0},
};

struct call {
    const struct stack_args *args;
    const struct strvec *names;
    const struct docker_endpoint *endpoint;
    struct docker_client *docker;
    struct compose_project *project;
};

static void show_note(void *arg, enum stack_note note, const char *text)
{
    static const char *const prefixes[] = {
        [STACK_NOTE_STEP] = "",
        [STACK_NOTE_STATE] = "",
        [STACK_NOTE_WARNING] = "warning: ",
        [STACK_NOTE_FAILURE] = "error: ",
        [STACK_NOTE_LOG] = "  | ",
    };

    (void)arg;
    fprintf(stderr, "%s%s\n", prefixes[note], text);
}

static const struct stack_sink sink = {.note = show_note};

static void limit(struct ctx *ctx, const struct ctx *parent, const struct call *call,
                  const char *label)
{
    ctx_init(ctx, parent);
    ctx_set_timeout(ctx, call->args->timeout_ms ? call->args->timeout_ms : TIMEOUT_MS_DEFAULT,
                    label);
}

/* --- deploy --- */

static void sum_up(const struct stack_record *record)
{
    size_t created = 0;

    for (size_t i = 0; i < record->created.len; i++)
        created += record->created.items[i].kind == STACK_SERVICE;
    fprintf(stderr, "%zu created, %zu updated, %zu unchanged, %zu removed\n", created,
            record->updated.len, record->unchanged.len, record->removed.len);
}

static void add_names(struct buf *text, const char *what, const char *kind, const char *name)
{
    buf_addf(text, "%s%s%s%s %s", text->len ? ", " : "", what, *kind ? " " : "", kind, name);
}

/* As docker stack leaves it, but said: what a deploy that failed has done by then. */
static void tell_what_stays(const struct stack_record *record, const char *name)
{
    CLEANUP_BUF struct buf text = BUF_INIT;

    vec_foreach (const struct stack_thing *, thing, &record->created)
        add_names(&text, "created", stack_kind_name(thing->kind), thing->name);
    for (size_t i = 0; i < record->updated.len; i++)
        add_names(&text, "updated", "service", record->updated.items[i]);
    for (size_t i = 0; i < record->removed.len; i++)
        add_names(&text, "removed", "service", record->removed.items[i]);
    if (text.len)
        fprintf(stderr,
                "what was done stays: %s; the next deploy goes on from there, and "
                "\"runner stack rm %s\" removes the whole stack\n",
                text.data, name);
}

static int deploy(const struct ctx *parent, struct call *call, struct err *err)
{
    const struct stack_args *args = call->args;
    const struct stack_options o = {
        .name = call->names->items[1],
        .resolve = (enum stack_resolve)args->resolve_image,
        .with_registry_auth = args->with_registry_auth,
        .prune = args->prune,
        .wait = !args->no_wait,
        .sink = sink,
    };
    CLEANUP_STACK_RECORD struct stack_record record = {0};
    CLEANUP_CTX struct ctx ctx;
    int result;

    limit(&ctx, parent, call, "stack deploy");
    result = deploy_translate_binds(&ctx, call->docker, call->endpoint, call->project,
                                    COMPOSE_TARGET_SWARM, err);
    if (result == 0)
        result = stack_deploy(&ctx, call->docker, call->project, &o, &record, err);
    if (result == 0)
        sum_up(&record);
    else
        tell_what_stays(&record, o.name);
    return result;
}

/* --- rm --- */

static int remove_stacks(const struct ctx *parent, struct call *call, struct err *err)
{
    CLEANUP_CTX struct ctx ctx;

    limit(&ctx, parent, call, "stack rm");
    for (size_t i = 1; i < call->names->len; i++) {
        if (stack_remove(&ctx, call->docker, call->names->items[i], &sink, err) < 0)
            return -1;
    }
    return 0;
}

/* --- ps --- */

static json_t *to_json(const struct stack_task *t)
{
    return json_pack("{s:s, s:o, s:o, s:o, s:o, s:s, s:s, s:s, s:s, s:o, s:I}", "id", t->id, "name",
                     json_safe_string(t->name), "service", json_safe_string(t->service), "image",
                     json_safe_string(t->image), "node", json_safe_string(t->node), "desired_state",
                     t->desired_state, "state", t->state, "created", t->created, "since", t->since,
                     "error", json_safe_string(t->error), "exit_code", (json_int_t)t->exit_code);
}

static void show_json(const struct stack_task_list *tasks)
{
    json_t *list = json_array();

    for (size_t i = 0; i < tasks->len; i++)
        json_array_append_new(list, to_json(&tasks->items[i]));
    json_dumpf(list, stdout, JSON_INDENT(2));
    putchar('\n');
    json_decref(list);
}

/* An image without its digest, as people write it. */
static int image_width(const char *image)
{
    return (int)strcspn(image, "@");
}

static void show_text(const struct stack_task_list *tasks)
{
    int name = 4;
    int image = 5;

    for (size_t i = 0; i < tasks->len; i++) {
        int len = (int)strlen(tasks->items[i].name);

        name = len > name ? len : name;
        len = image_width(tasks->items[i].image);
        image = len > image ? len : image;
    }
    printf("%-12s  %-*s  %-*s  %-12s  %-9s  %-9s  %-20s  %s\n", "ID", name, "NAME", image, "IMAGE",
           "NODE", "WANTED", "STATE", "SINCE", "ERROR");
    for (size_t i = 0; i < tasks->len; i++) {
        const struct stack_task *t = &tasks->items[i];

        printf("%-12.12s  %-*s  %-*.*s  %-12s  %-9s  %-9s  %.19sZ  %s\n", t->id, name, t->name,
               image, image_width(t->image), t->image, t->node, t->desired_state, t->state,
               t->since, t->error);
    }
}

static int ps(const struct ctx *parent, struct call *call, struct err *err)
{
    CLEANUP_STACK_TASK_LIST struct stack_task_list tasks = {0};
    CLEANUP_CTX struct ctx ctx;

    limit(&ctx, parent, call, "stack ps");
    if (stack_ps(&ctx, call->docker, call->names->items[1], &tasks, err) < 0)
        return -1;
    if (call->args->format == 1)
        show_json(&tasks);
    else
        show_text(&tasks);
    return 0;
}

/* --- all --- */

static const struct action {
    const char *name;
    const char *usage;
    int (*run)(const struct ctx *ctx, struct call *call, struct err *err);
    bool many;  /* takes several names */
    bool files; /* needs a project */
} actions[] = {
    {"deploy", "takes the name of one stack: runner stack deploy -c FILE NAME", deploy, false,
     true},
    {"rm", "takes the names of stacks: runner stack rm NAME...", remove_stacks, true, false},
    {"ps", "takes the name of one stack: runner stack ps NAME", ps, false, false},
};

/* Errors and warnings of the files are printed; NULL if there are errors. */
static struct compose_project *load(const struct stack_args *args, const char *name,
                                    struct compose_sources *sources)
{
    CLEANUP_BUF struct buf text = BUF_INIT;
    const struct compose_options o = {.files = &args->files,
                                      .project_name = name,
                                      .env_files = &args->env_files,
                                      .target = COMPOSE_TARGET_SWARM};
    struct compose_project *project = compose_load(&o, sources);

    compose_sources_format(sources, &text);
    fputs(text.data, stderr);
    return project;
}

struct act {
    const struct action *action;
    struct call *call;
};

static int act(const struct ctx *ctx, void *arg, struct err *err)
{
    struct act *a = arg;
    CLEANUP_DOCKER_ENDPOINT struct docker_endpoint endpoint = {0};
    CLEANUP_DOCKER_CLIENT struct docker_client *docker = NULL;
    const char *host = a->call->args->docker_host;

    if (docker_endpoint_find(host && *host ? host : NULL, (const char *const *)environ, &endpoint,
                             err) < 0 ||
        docker_client_new(&endpoint, 0, &docker, err) < 0 ||
        docker_client_ping(ctx, docker, err) < 0)
        return -1;
    a->call->docker = docker;
    a->call->endpoint = &endpoint;
    return a->action->run(ctx, a->call, err);
}

static int exit_status(int result, int signal, const struct err *err)
{
    if (signal)
        return 128 + signal;
    if (result == 0)
        return CLI_EXIT_OK;
    if (err->code == ERR_INVALID || err->code == ERR_UNSUPPORTED)
        return CLI_EXIT_USAGE;
    return cli_exit_of(err);
}

static int run_action(const struct action *action, const struct stack_args *args,
                      const struct strvec *names)
{
    CLEANUP_COMPOSE_SOURCES struct compose_sources sources = {0};
    CLEANUP_COMPOSE_PROJECT struct compose_project *project = NULL;
    struct call call = {.args = args, .names = names};
    struct act a = {action, &call};
    struct err err = ERR_INIT;
    int signal;
    int result;

    if (names->len < 2 || (names->len > 2 && !action->many)) {
        fprintf(stderr, "runner stack %s: %s\n", action->name, action->usage);
        return CLI_EXIT_USAGE;
    }
    if (action->files) {
        if (stack_check_name(names->items[1], &err) < 0) {
            fprintf(stderr, "runner stack %s: %s\n", action->name, err.message);
            return CLI_EXIT_USAGE;
        }
        call.project = project = load(args, names->items[1], &sources);
        if (!project)
            return CLI_EXIT_USAGE;
    }
    result = signals_run(act, &a, &signal, &err);
    if (result < 0)
        fprintf(stderr, "runner stack %s: %s\n", action->name, err.message);
    return exit_status(result, signal, &err);
}

static int run(void *args, const struct strvec *operands)
{
    for (size_t i = 0; operands->len && i < sizeof(actions) / sizeof(*actions); i++) {
        if (strcmp(actions[i].name, operands->items[0]) == 0)
            return run_action(&actions[i], args, operands);
    }
    if (operands->len)
        fprintf(stderr, "runner stack: there is no \"%s\"; it is deploy, rm or ps\n",
                operands->items[0]);
    else
        fputs("runner stack: what to do? deploy, rm or ps\n", stderr);
    return CLI_EXIT_USAGE;
}

const struct cli_command cmd_stack = {
    .name = "stack",
    .operands = "deploy|rm|ps NAME...",
    .summary = "deploy Compose files to a swarm",
    .description = "deploy creates or updates the services of a stack and waits until they run; "
                   "rm removes stacks, and waits until their tasks are gone; ps lists the tasks "
                   "of one. The stacks are those of \"docker stack\".",
    .options = options,
    .args_size = sizeof(struct stack_args),
    .run = run,
};
