#include "compose/session.h"

#include <stdarg.h>
#include <string.h>

#include "base/buf.h"

#define LINE_MAX_BYTES ((size_t)64 << 10)

static const char *const object_names[] = {
    [COMPOSE_OBJECT_PROJECT] = "Project", [COMPOSE_OBJECT_SERVICE] = "Service",
    [COMPOSE_OBJECT_IMAGE] = "Image",     [COMPOSE_OBJECT_NETWORK] = "Network",
    [COMPOSE_OBJECT_VOLUME] = "Volume",   [COMPOSE_OBJECT_CONTAINER] = "Container",
};

const char *compose_object_name(enum compose_object object)
{
    return object_names[object];
}

int compose_session_init(const struct ctx *ctx, struct compose_session *session,
                         const struct compose_host *host, const struct compose_project *project,
                         const char *project_name, const struct compose_sink *sink, struct err *err)
{
    static const struct compose_sink none;

    *session = (struct compose_session){.host = host,
                                        .project = project,
                                        .project_name = project ? project->name : project_name,
                                        .sink = sink ? sink : &none};
    pthread_mutex_init(&session->sink_mu, NULL);
    return compose_clients_init(ctx, &session->clients, host->endpoint, err);
}

void compose_session_release(struct compose_session *session)
{
    compose_clients_release(&session->clients);
    strmap_release(&session->proxies);
    pthread_mutex_destroy(&session->sink_mu);
}

static void send_event(struct compose_session *session, const struct compose_event *event)
{
    if (!session->sink->event)
        return;
    pthread_mutex_lock(&session->sink_mu);
    session->sink->event(session->sink->arg, event);
    pthread_mutex_unlock(&session->sink_mu);
}

void compose_tell(struct compose_session *session, enum compose_object object, const char *name,
                  const char *state)
{
    send_event(session, &(struct compose_event){.type = COMPOSE_EVENT_STATE,
                                                .object = object,
                                                .name = name,
                                                .text = state});
}

void compose_warn(struct compose_session *session, const char *fmt, ...)
{
    CLEANUP_BUF struct buf text = BUF_INIT;
    va_list args;

    va_start(args, fmt);
    buf_vaddf(&text, fmt, args);
    va_end(args);
    send_event(session, &(struct compose_event){.type = COMPOSE_EVENT_WARNING,
                                                .object = COMPOSE_OBJECT_PROJECT,
                                                .name = session->project_name,
                                                .text = text.data});
}

void compose_output(struct compose_session *session, enum compose_object object, const char *name,
                    const char *line)
{
    send_event(session, &(struct compose_event){.type = COMPOSE_EVENT_OUTPUT,
                                                .object = object,
                                                .name = name,
                                                .text = line});
}

void compose_progress(struct compose_session *session, const char *image, int64_t bytes,
                      int64_t bytes_total)
{
    send_event(session, &(struct compose_event){.type = COMPOSE_EVENT_PROGRESS,
                                                .object = COMPOSE_OBJECT_IMAGE,
                                                .name = image,
                                                .text = "Pulling",
                                                .bytes = bytes,
                                                .bytes_total = bytes_total});
}

int compose_own(struct compose_session *session, enum compose_object object, const char *name,
                const struct compose_before *before, struct err *err)
{
    int result;

    if (!session->sink->own)
        return 0;
    pthread_mutex_lock(&session->sink_mu);
    result = session->sink->own(session->sink->arg, object, name, before, err);
    pthread_mutex_unlock(&session->sink_mu);
    return result;
}

int compose_detach(struct compose_session *session, const char *network, const char *container_id,
                   const char *how, struct err *err)
{
    int result;

    if (!session->sink->detach)
        return 0;
    pthread_mutex_lock(&session->sink_mu);
    result = session->sink->detach(session->sink->arg, network, container_id, how, err);
    pthread_mutex_unlock(&session->sink_mu);
    return result;
}

int compose_unmake(struct compose_session *session, const char *network, const char *how,
                   struct err *err)
{
    int result;

    if (!session->sink->unmake)
        return 0;
    pthread_mutex_lock(&session->sink_mu);
    result = session->sink->unmake(session->sink->arg, network, how, err);
    pthread_mutex_unlock(&session->sink_mu);
    return result;
}

void compose_refused(struct compose_session *session, enum compose_object object, const char *name)
{
    if (!session->sink->refused)
        return;
    pthread_mutex_lock(&session->sink_mu);
    session->sink->refused(session->sink->arg, object, name);
    pthread_mutex_unlock(&session->sink_mu);
}

static void give_line(struct compose_lines *lines, size_t len)
{
    size_t text_len = len;

    while (text_len &&
           (lines->partial.data[text_len - 1] == '\n' || lines->partial.data[text_len - 1] == '\r'))
        lines->partial.data[--text_len] = '\0';
    lines->line(lines->arg, lines->partial.data, text_len);
    buf_consume(&lines->partial, len);
}

void compose_lines_add(struct compose_lines *lines, const char *data, size_t len)
{
    while (len) {
        const char *end = memchr(data, '\n', len);
        size_t take = end ? (size_t)(end - data) + 1 : len;

        buf_add(&lines->partial, data, take);
        if (end || lines->partial.len > LINE_MAX_BYTES)
            give_line(lines, lines->partial.len);
        data += take;
        len -= take;
    }
}

void compose_lines_end(struct compose_lines *lines)
{
    if (lines->partial.len)
        give_line(lines, lines->partial.len);
    buf_release(&lines->partial);
}
