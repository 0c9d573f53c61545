/* `runner client`: runs a pipeline file on a server, and shows it as `exec` does. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/json_at.h"
#include "cli/commands.h"
#include "cli/display.h"
#include "client/client.h"
#include "control/signals.h"
#include "event/playback.h"
#include "load/diag_print.h"
#include "prepare/source.h"

struct client_args {
    char *config;
    char *server;
    char *username;
    char *password;
    char *path;
    char *follow;
    char *name;
    char *engine;
    char *image;
    char *timeout;
    struct strmap env;
    struct strmap inputs;
    int64_t priority;
    bool detach;
    struct display_options display;
};

#define AT(field) offsetof(struct client_args, field)
#define ENV(...)  ((const char *const[]){__VA_ARGS__, NULL})

/* The names without a prefix are those of deployments of the go-idp pipeline. */
static const struct cli_option options[] = {
    {"config", 'c', CLI_STRING, AT(config), "FILE", "pipeline file, URL, or - for standard input",
     NULL, ENV("PIPELINE_CONFIG", "CONFIG")},
    {"server", 's', CLI_STRING, AT(server), "URL", "ws://HOST:PORT/PATH, or wss:// with TLS", NULL,
     ENV("RUNNER_SERVER", "SERVER")},
    {"username", 'u', CLI_STRING, AT(username), "NAME", "who submits", NULL, ENV("USERNAME")},
    {"password", 'p', CLI_STRING, AT(password), "TEXT", "of that user", NULL, ENV("PASSWORD")},
    {"path", 0, CLI_STRING, AT(path), "PATH", "of the server's WebSocket, over the URL's (/)", NULL,
     ENV("SERVER_PATH")},
    {"follow", 0, CLI_STRING, AT(follow), "RUN", "show a run of the server, and submit nothing",
     NULL, NULL},
    {"detach", 'd', CLI_FLAG, AT(detach), NULL, "print the run's id, and do not wait for its end",
     NULL, NULL},
    {"env", 'e', CLI_PAIRS, AT(env), "KEY=VALUE", "set a variable, over the file's (repeatable)",
     NULL, NULL},
    {"input", 0, CLI_PAIRS, AT(inputs), "NAME=VALUE", "set an input of the pipeline (repeatable)",
     NULL, NULL},
    {"engine", 0, CLI_STRING, AT(engine), "ENGINE", "default engine", NULL, NULL},
    {"image", 'i', CLI_STRING, AT(image), "IMAGE", "default image: run in Docker", NULL, NULL},
    {"timeout", 0, CLI_STRING, AT(timeout), "DURATION", "limit of the whole pipeline", NULL, NULL},
    {"name", 0, CLI_STRING, AT(name), "NAME", "of the run, in place of the pipeline's", NULL, NULL},
    {"priority", 0, CLI_INT, AT(priority), "N", "runs with a higher one begin first (0)", NULL,
     NULL},
    DISPLAY_OPTIONS(struct client_args),
    {0},
};

struct show {
    const struct client_args *args;
    struct load_source source;
    struct client_target target;
    struct display_options display_options;
    struct event_bus bus;
    struct playback playback;
    struct display *display; /* NULL: nothing is shown with it */
    char *run_id;            /* of the display */
    struct ctx interrupt;    /* ended by the first signal */
    struct ctx patience;     /* by the second */
    struct ctx_signal hurry;
    struct signals *signals;
};

/* --- what is shown --- */

static void say(void *arg, const char *text)
{
    struct show *s = arg;

    if (s->display)
        display_say(s->display, text);
    else
        fprintf(stderr, "runner client: %s\n", text);
}

static int take_id(void *arg, const char *id, struct err *err)
{
    struct show *s = arg;

    s->run_id = xstrdup(id);
    return display_start(&s->display_options, &s->bus, s->run_id, &s->display, err);
}

static void take_event(void *arg, const json_t *event)
{
    struct show *s = arg;
    struct err err = ERR_INIT;

    if (playback_event(&s->playback, event, &err) < 0)
        say(s, err.message);
}

/* Of a server that tells no more, as it comes. */
static void write_raw(const struct client_output *output)
{
    FILE *to = output->kind == CLIENT_STDOUT ? stdout : stderr;

    fwrite(output->data, 1, output->size, to);
    if (output->size && output->data[output->size - 1] != '\n')
        fputc('\n', to);
    fflush(to);
}

static void take_output(void *arg, const struct client_output *output)
{
    struct show *s = arg;
    const struct playback_output told = {.node = output->node,
                                         .time_ms = output->time_ms,
                                         .is_note = output->kind == CLIENT_NOTE,
                                         .stream = output->kind == CLIENT_STDERR ? EVENT_STDERR
                                                                                 : EVENT_STDOUT,
                                         .data = output->data,
                                         .size = output->size,
                                         .continued = output->continued};

    if (output->node && s->display)
        playback_output(&s->playback, &told);
    else
        write_raw(output);
}

static void take_missing(void *arg, uint64_t bytes)
{
    CLEANUP_FREE char *text =
        xasprintf("%llu bytes of output are missing here", (unsigned long long)bytes);

    say(arg, text);
}

static void wait_for_room(void *arg)
{
    struct show *s = arg;

    event_bus_wait_for_room(&s->bus, ctx_done(&s->interrupt) ? &s->patience : &s->interrupt);
}

/* --- being interrupted --- */

/* Who has pressed ^C may only have wanted to stop looking. */
static int ask(void *arg)
{
    struct show *s = arg;

    if (signals_first(s->signals) != SIGINT || !isatty(STDIN_FILENO) || !isatty(STDERR_FILENO))
        return -1;
    say(s, "cancel the run? y and Enter, or ^C again, cancel it; any other line lets it go on");
    return STDIN_FILENO;
}

static int answer(void *arg)
{
    struct pollfd ready = {.fd = STDIN_FILENO, .events = POLLIN};
    char line[64];
    ssize_t got;

    if (poll(&ready, 1, 0) <= 0)
        return -1;
    got = read(STDIN_FILENO, line, sizeof(line));
    if (got > 0 && (*line == 'y' || *line == 'Y'))
        return 1;
    say(arg, "the run goes on; ^C cancels it");
    return 0;
}

/* --- the end --- */

static enum diag_severity severity_of(const json_t *object)
{
    return strcmp(json_at_string(object, "severity"), "warning") == 0 ? DIAG_WARNING : DIAG_ERROR;
}

/* As `exec` shows those that it finds itself. */
static void show_diagnostics(const struct show *s, const json_t *list)
{
    CLEANUP_DIAG_LIST struct diag_list diags = {0};
    CLEANUP_BUF struct buf text = BUF_INIT;

    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *object = json_array_get(list, i);
        int64_t line = json_at_int(object, "line");
        int64_t column = json_at_int(object, "column");
        struct src_pos pos = {.line = line > 0 ? (uint32_t)line : 0,
                              .column = line > 0 && column > 0 ? (uint32_t)column & 0xfffffff : 0};

        diag_add(&diags, severity_of(object), pos, json_at_string(object, "path"), "%s",
                 json_at_string(object, "message"));
    }
    diag_print_text(&text, &s->source, &diags, false);
    fputs(text.data, stderr);
}

static int status_of(const struct show *s, const struct client_end *end)
{
    int first = signals_first(s->signals);

    if (!end->status)
        return end->diagnostics ? CLI_EXIT_USAGE : CLI_EXIT_FAILED;
    if (strcmp(end->status, "succeeded") == 0)
        return end->has_exit_code ? end->exit_code : CLI_EXIT_OK;
    /* For the run it was somebody who asked; for whoever waits for this process, the signal. */
    if (end->cancelled_here && first && strcmp(end->status, "cancelled") == 0)
        return 128 + first;
    return end->has_exit_code && end->exit_code ? end->exit_code : CLI_EXIT_FAILED;
}

static void show_end(struct show *s, const struct client_end *end)
{
    if (end->diagnostics)
        show_diagnostics(s, end->diagnostics);
    else if (end->error && !(end->status && s->playback.planned))
        say(s, end->error);
    if (end->status && s->display && s->playback.planned)
        display_summary(s->display, &s->playback.root);
}

static int conclude(struct show *s, const struct client_end *end)
{
    if (end->submitted) {
        if (end->id)
            puts(end->id);
        else
            say(s, "the run is queued; the server does not tell its id");
        return CLI_EXIT_OK;
    }
    show_end(s, end);
    return status_of(s, end);
}

static int first_signal(const void *signals)
{
    return signals_first(signals);
}

static int finish(struct show *s, int status)
{
    const struct display_end end = {&s->interrupt, first_signal, s->signals, "runner client"};

    return display_finish(steal_ptr(&s->display), &end, status);
}

/* --- all of it --- */

static int begin(struct show *s, struct err *err)
{
    s->display_options = s->args->display;
    display_prepare(&s->display_options);
    signals_block();
    if (ctx_signal_init(&s->hurry, err) < 0 || ctx_init_root(&s->interrupt, &s->hurry, err) < 0)
        return -1;
    ctx_init_grace(&s->patience, &s->interrupt, INT64_MAX);
    playback_init(&s->playback, &s->bus);
    return signals_start(&s->interrupt, &s->hurry, NULL, &s->signals, err);
}

static int failed(struct show *s, const struct err *err)
{
    int first = signals_first(s->signals);

    if (!(err->code == ERR_CANCELLED && first))
        say(s, err->message);
    return first ? 128 + first : cli_exit_of(err);
}

static int submit(struct show *s)
{
    const struct client_args *args = s->args;
    const struct client_options wanted = {.target = &s->target,
                                          .follow = args->follow,
                                          .text = s->source.text.data,
                                          .name = args->name,
                                          .engine = args->engine,
                                          .image = args->image,
                                          .timeout = args->timeout,
                                          .priority = args->priority,
                                          .env = &args->env,
                                          .inputs = &args->inputs,
                                          .detach = args->detach,
                                          .interrupt = &s->interrupt,
                                          .hurry = &s->hurry};
    const struct client_handler handler = {.arg = s,
                                           .id = take_id,
                                           .event = take_event,
                                           .output = take_output,
                                           .missing = take_missing,
                                           .say = say,
                                           .ask = ask,
                                           .answer = answer,
                                           .wait_for_room = wait_for_room};
    struct client_end end;
    struct err err = ERR_INIT;
    int status =
        client_run(&wanted, &handler, &end, &err) < 0 ? failed(s, &err) : conclude(s, &end);

    client_end_release(&end);
    return finish(s, status);
}

static int usage(const char *text)
{
    fprintf(stderr, "runner client: %s\n", text);
    return CLI_EXIT_USAGE;
}

static bool read_file(struct show *s)
{
    CLEANUP_DIAG_LIST struct diag_list diags = {0};
    CLEANUP_BUF struct buf text = BUF_INIT;

    if (s->args->follow || source_read(s->args->config, &s->source, &diags) == 0)
        return true;
    diag_print_text(&text, &s->source, &diags, false);
    fputs(text.data, stderr);
    return false;
}

static void release(struct show *s)
{
    signals_stop(s->signals);
    playback_release(&s->playback);
    ctx_release(&s->patience);
    ctx_release(&s->interrupt);
    ctx_signal_release(&s->hurry);
    client_target_release(&s->target);
    load_source_release(&s->source);
    free(s->run_id);
}

static int run(void *arguments, const struct strvec *operands)
{
    struct client_args *args = arguments;
    struct show s = {.args = args,
                     .source = LOAD_SOURCE_INIT,
                     .bus = EVENT_BUS_INIT,
                     .interrupt = {.cancel = {.event_fd = -1}},
                     .hurry = {.event_fd = -1}};
    struct err err = ERR_INIT;
    int status = CLI_EXIT_USAGE;

    if (operands->len == 1 && !args->config)
        args->config = xstrdup(operands->items[0]);
    else if (operands->len)
        return usage("takes one pipeline file");
    if (args->follow && args->config)
        return usage("--follow shows a run that is there: it takes no pipeline file");
    if (!args->server)
        return usage("which server? -s ws://HOST:PORT names it");
    if (client_target_parse(args->server, args->path, args->username, args->password, &s.target,
                            &err) < 0)
        status = usage(err.message);
    else if (!read_file(&s))
        status = CLI_EXIT_USAGE;
    else if (begin(&s, &err) < 0)
        status = failed(&s, &err);
    else
        status = submit(&s);
    release(&s);
    return status;
}

const struct cli_command cmd_client = {
    .name = "client",
    .operands = "[FILE]",
    .operand_option = "config",
    .summary = "run a pipeline on a server",
    .description =
        "The file is run by the server, and shown here as exec shows a run of its own; the exit "
        "status is that of the run. The first signal cancels it (on a terminal, ^C asks before), "
        "the second one cuts its grace periods short. When the connection is lost, it is made "
        "again, and nothing is missed.",
    .options = options,
    .args_size = sizeof(struct client_args),
    .run = run,
};
