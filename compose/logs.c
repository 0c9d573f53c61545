/* All containers at once, in one thread: their streams are calls of one client. */
#include "compose/converge.h"

#include <string.h>

#include "base/alloc.h"
#include "compose/session.h"
#include "compose/state.h"

struct source;

struct stream {
    struct source *source;
    bool is_stderr;
    struct compose_lines lines;
};

struct source {
    const struct compose_logs *options;
    char *name; /* "web-1" */
    struct stream streams[2];
    struct docker_frames frames;
    struct http_call *call;
};

static void on_line(void *arg, const char *text, size_t len)
{
    const struct stream *stream = arg;
    const struct compose_logs *options = stream->source->options;

    options->line(options->arg, stream->source->name, stream->is_stderr, text, len);
}

static int on_output(void *arg, enum docker_output output, const char *data, size_t len,
                     struct err *err)
{
    struct source *source = arg;

    (void)err;
    compose_lines_add(&source->streams[output == DOCKER_OUTPUT_STDERR].lines, data, len);
    return 0;
}

static int open_source(const struct ctx *ctx, struct docker_client *docker,
                       const struct compose_logs *options, const struct compose_container *c,
                       struct source *source, struct err *err)
{
    const struct docker_logs logs = {.flags = DOCKER_ATTACH_OUTPUT,
                                     .follow = options->follow,
                                     .timestamps = options->timestamps,
                                     .tail = options->tail};
    CLEANUP_DOCKER_CONTAINER struct docker_container inspected = {0};

    source->options = options;
    source->name = xasprintf("%s-%d", c->service, c->number);
    for (int i = 0; i < 2; i++)
        source->streams[i] = (struct stream){.source = source,
                                             .is_stderr = i == 1,
                                             .lines = {.partial = BUF_INIT,
                                                       .line = on_line,
                                                       .arg = &source->streams[i]}};
    if (docker_container_inspect(ctx, docker, c->id, &inspected, err) < 0)
        return -1;
    docker_frames_init(&source->frames, inspected.tty, on_output, source);
    return docker_container_logs_start(ctx, docker, c->id, &logs, &source->frames, &source->call,
                                       err);
}

/* Keeps the first failure. A container that has gone since it was listed is none. */
static void note_failure(struct err *first, const struct err *why)
{
    if (first->code == ERR_NONE && why->code != ERR_NOT_FOUND)
        *first = *why;
}

static int read_all(const struct ctx *ctx, struct docker_client *docker, struct source *sources,
                    size_t count, struct err *first)
{
    for (;;) {
        bool over = true;

        for (size_t i = 0; i < count; i++)
            over = over && (!sources[i].call || http_call_done(sources[i].call));
        if (over)
            break;
        if (docker_client_poll(ctx, docker, NULL, 0, -1, first) < 0)
            return -1;
    }
    for (size_t i = 0; i < count; i++) {
        struct err why = ERR_INIT;

        if (sources[i].call && http_call_result(sources[i].call, &why) < 0)
            note_failure(first, &why);
    }
    return first->code == ERR_NONE ? 0 : -1;
}

static bool is_meant(const struct strvec *services, const char *service)
{
    for (size_t i = 0; services && i < services->len; i++) {
        if (strcmp(services->items[i], service) == 0)
            return true;
    }
    return !services || !services->len;
}

static int logs(const struct ctx *ctx, struct docker_client *docker,
                const struct compose_logs *options, struct err *err)
{
    CLEANUP_COMPOSE_STATE struct compose_state state = {0};
    struct err first = ERR_INIT;
    struct source *sources;
    size_t count = 0;
    int result;

    if (compose_state_read_containers(ctx, docker, options->project_name, &state, err) < 0)
        return -1;
    sources = xcalloc(state.containers.len + 1, sizeof(*sources));
    vec_foreach (const struct compose_container *, c, &state.containers) {
        struct err why = ERR_INIT;

        if (!compose_state_owns(&state, c) || !is_meant(options->services, c->service))
            continue;
        if (open_source(ctx, docker, options, c, &sources[count], &why) < 0)
            note_failure(&first, &why);
        count++;
    }
    result = read_all(ctx, docker, sources, count, &first);
    if (result < 0 && err)
        *err = first;
    for (size_t i = 0; i < count; i++) {
        http_call_free(sources[i].call);
        compose_lines_end(&sources[i].streams[0].lines);
        compose_lines_end(&sources[i].streams[1].lines);
        free(sources[i].name);
    }
    free(sources);
    return result;
}

int compose_logs(const struct ctx *ctx, const struct compose_host *host,
                 const struct compose_logs *options, struct err *err)
{
    struct compose_session session;
    struct docker_client *docker = NULL;
    int result = compose_session_init(ctx, &session, host, NULL, options->project_name, NULL, err);

    if (result == 0)
        result = compose_client_take(&session.clients, &docker, err);
    if (result == 0)
        result = logs(ctx, docker, options, err);
    compose_client_give(&session.clients, docker);
    compose_session_release(&session);
    return result;
}
