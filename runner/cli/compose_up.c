/* `runner compose up|down|ps|logs`. */
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "cli/compose_command.h"
#include "cli/option.h"
#include "compose/converge.h"
#include "control/signals.h"
#include "engine/deploy/binds.h"

enum { EXIT_TIMEOUT = 124, EXIT_SIGNAL = 128, MEGABYTE = 1000000, PROGRESS_MS = 2000 };

/* One action on a project, from its options to its exit status. */
struct command {
    const struct compose_args *args;
    struct strvec services;                /* operands */
    const struct compose_project *project; /* NULL: the name alone */
    const char *project_name;
    struct docker_endpoint endpoint;
    struct compose_host host;
    int64_t shown_ms; /* when the progress of a pull was last shown */
    int (*run)(const struct ctx *ctx, struct command *command, struct err *err);
};

/* Lines that stay are no place for every step of a pull. */
static void on_progress(const struct compose_event *event, int64_t *shown_ms)
{
    int64_t now_ms = clock_monotonic_ms();

    if (!event->bytes_total || now_ms - *shown_ms < PROGRESS_MS)
        return;
    *shown_ms = now_ms;
    fprintf(stderr, "Image %s %s: %jd of %jd MB\n", event->name, event->text,
            (intmax_t)(event->bytes / MEGABYTE), (intmax_t)(event->bytes_total / MEGABYTE));
}

static void on_event(void *arg, const struct compose_event *event)
{
    const char *object = compose_object_name(event->object);

    switch (event->type) {
    case COMPOSE_EVENT_STATE:
        fprintf(stderr, "%s %s %s\n", object, event->name, event->text);
        break;
    case COMPOSE_EVENT_PROGRESS:
        on_progress(event, arg);
        break;
    case COMPOSE_EVENT_OUTPUT:
        fprintf(stderr, "%s | %s\n", event->name, event->text);
        break;
    case COMPOSE_EVENT_WARNING:
        fprintf(stderr, "runner compose: warning: %s\n", event->text);
        break;
    }
}

static struct compose_sink sink_of(struct command *command)
{
    return (struct compose_sink){.event = on_event, .arg = &command->shown_ms};
}

/* A runner in a container names paths of that. */
static int translate_binds(const struct ctx *ctx, const struct command *command, struct err *err)
{
    CLEANUP_DOCKER_CLIENT struct docker_client *docker = NULL;

    if (docker_client_new(&command->endpoint, 0, &docker, err) < 0)
        return -1;
    return deploy_translate_binds(ctx, docker, &command->endpoint, command->project,
                                  COMPOSE_TARGET_DOCKER, err);
}

static int run_up(const struct ctx *ctx, struct command *command, struct err *err)
{
    static const char *const policies[] = {NULL, "always", "missing", "never"};
    const struct compose_args *args = command->args;
    const struct compose_up options = {.services = &command->services,
                                       .no_wait = args->no_wait,
                                       .force_recreate = args->force_recreate,
                                       .no_recreate = args->no_recreate,
                                       .remove_orphans = args->remove_orphans,
                                       .build = args->build,
                                       .pull = policies[args->pull],
                                       .stop_timeout_s = args->stop_timeout_s};
    const struct compose_sink sink = sink_of(command);
    struct ctx limited;
    int result;

    ctx_init(&limited, ctx);
    ctx_set_timeout(&limited, args->wait_timeout_ms, "compose up");
    result = translate_binds(&limited, command, err);
    if (result == 0)
        result = compose_up(&limited, &command->host, command->project, &options, &sink, err);
    ctx_release(&limited);
    return result;
}

static int run_down(const struct ctx *ctx, struct command *command, struct err *err)
{
    const struct compose_args *args = command->args;
    const struct compose_down options = {.project_name = command->project_name,
                                         .project = command->project,
                                         .volumes = args->volumes,
                                         .images = (enum compose_images)args->remove_images,
                                         .remove_orphans = args->remove_orphans,
                                         .stop_timeout_s = args->stop_timeout_s};
    const struct compose_sink sink = sink_of(command);

    return compose_down(ctx, &command->host, &options, &sink, err);
}

static void print_ports(const json_t *publishers, struct buf *out)
{
    size_t i;
    json_t *port;

    json_array_foreach (publishers, i, port) {
        const char *address = json_string_value(json_object_get(port, "URL"));
        intmax_t published = json_integer_value(json_object_get(port, "PublishedPort"));

        buf_addstr(out, out->len ? ", " : "");
        if (published)
            buf_addf(out, strchr(address, ':') ? "[%s]:%jd->" : "%s:%jd->", address, published);
        buf_addf(out, "%jd/%s", (intmax_t)json_integer_value(json_object_get(port, "TargetPort")),
                 json_string_value(json_object_get(port, "Protocol")));
    }
}

static const char *text_of(const json_t *object, const char *name)
{
    return json_string_value(json_object_get(object, name));
}

static void print_table(const json_t *list)
{
    static const char *const columns[] = {"Name", "Image", "Service", "Status"};
    int widths[] = {4, 5, 7, 6};
    size_t i;
    json_t *container;

    json_array_foreach (list, i, container) {
        for (size_t c = 0; c < 4; c++) {
            int len = (int)strlen(text_of(container, columns[c]));

            widths[c] = len > widths[c] ? len : widths[c];
        }
    }
    printf("%-*s  %-*s  %-*s  %-*s  PORTS\n", widths[0], "NAME", widths[1], "IMAGE", widths[2],
           "SERVICE", widths[3], "STATUS");
    json_array_foreach (list, i, container) {
        CLEANUP_BUF struct buf ports = BUF_INIT;

        print_ports(json_object_get(container, "Publishers"), &ports);
        printf("%-*s  %-*s  %-*s  %-*s  %s\n", widths[0], text_of(container, "Name"), widths[1],
               text_of(container, "Image"), widths[2], text_of(container, "Service"), widths[3],
               text_of(container, "Status"), ports.data);
    }
}

/* As Docker Compose does, an object a line. */
static int run_ps(const struct ctx *ctx, struct command *command, struct err *err)
{
    json_t *list;
    size_t i;
    json_t *container;

    if (compose_ps(ctx, &command->host, command->project_name, &command->services,
                   command->args->all, &list, err) < 0)
        return -1;
    if (command->args->format == COMPOSE_FORMAT_JSON) {
        json_array_foreach (list, i, container) {
            json_dumpf(container, stdout, JSON_COMPACT);
            putchar('\n');
        }
    } else {
        print_table(list);
    }
    json_decref(list);
    return 0;
}

static void on_line(void *arg, const char *container, bool is_stderr, const char *text, size_t len)
{
    (void)arg;
    (void)is_stderr;
    printf("%s  | %.*s\n", container, (int)len, text);
    fflush(stdout);
}

static int run_logs(const struct ctx *ctx, struct command *command, struct err *err)
{
    const struct compose_args *args = command->args;
    const struct compose_logs options = {.project_name = command->project_name,
                                         .services = &command->services,
                                         .follow = args->follow,
                                         .timestamps = args->timestamps,
                                         .tail = args->tail,
                                         .line = on_line};

    return compose_logs(ctx, &command->host, &options, err);
}

static int run_in_context(const struct ctx *ctx, void *arg, struct err *err)
{
    struct command *command = arg;

    return command->run(ctx, command, err);
}

static int exit_status(const struct err *err)
{
    return err->code == ERR_TIMEOUT ? EXIT_TIMEOUT : cli_exit_of(err);
}

static int perform(struct command *command, const char *name)
{
    struct err err = ERR_INIT;
    int signal = 0;
    int result = docker_endpoint_find(command->args->docker_host, (const char *const *)environ,
                                      &command->endpoint, &err);

    if (result < 0) {
        fprintf(stderr, "runner compose %s: %s\n", name, err.message);
        return CLI_EXIT_UNAVAILABLE;
    }
    command->host = (struct compose_host){&command->endpoint, (const char *const *)environ};
    result = signals_run(run_in_context, command, &signal, &err);
    docker_endpoint_release(&command->endpoint);
    if (result < 0)
        fprintf(stderr, "runner compose %s: %s\n", name, err.message);
    if (signal)
        return EXIT_SIGNAL + signal;
    return result < 0 ? exit_status(&err) : CLI_EXIT_OK;
}

/* Without a file, a name is enough where labels tell the rest. */
static int command_run(const struct compose_args *args, char *const *operands, size_t count,
                       const char *name, bool needs_file,
                       int (*run)(const struct ctx *, struct command *, struct err *))
{
    CLEANUP_COMPOSE_SOURCES struct compose_sources sources = {0};
    CLEANUP_COMPOSE_PROJECT struct compose_project *project = NULL;
    struct command command = {.args = args, .run = run, .project_name = args->project_name};
    int status;

    if (needs_file || !args->project_name || args->files.len) {
        project = compose_command_load(args, NULL, COMPOSE_TARGET_DOCKER, &sources);
        if (!project)
            return CLI_EXIT_USAGE;
        command.project = project;
        command.project_name = project->name;
    }
    for (size_t i = 0; i < count; i++) {
        strvec_push(&command.services, operands[i]);
        if (!project || compose_service(project, operands[i]))
            continue;
        fprintf(stderr, "runner compose %s: there is no service \"%s\"\n", name, operands[i]);
        strvec_release(&command.services);
        return CLI_EXIT_USAGE;
    }
    status = perform(&command, name);
    strvec_release(&command.services);
    return status;
}

int compose_command_up(const struct compose_args *args, char *const *operands, size_t count)
{
    if (args->force_recreate && args->no_recreate) {
        fputs("runner compose up: --force-recreate and --no-recreate exclude each other\n", stderr);
        return CLI_EXIT_USAGE;
    }
    return command_run(args, operands, count, "up", true, run_up);
}

int compose_command_down(const struct compose_args *args, char *const *operands, size_t count)
{
    if (count) {
        fputs("runner compose down: takes no services: it is for the whole project\n", stderr);
        return CLI_EXIT_USAGE;
    }
    return command_run(args, operands, count, "down", false, run_down);
}

int compose_command_ps(const struct compose_args *args, char *const *operands, size_t count)
{
    return command_run(args, operands, count, "ps", false, run_ps);
}

int compose_command_logs(const struct compose_args *args, char *const *operands, size_t count)
{
    return command_run(args, operands, count, "logs", false, run_logs);
}
