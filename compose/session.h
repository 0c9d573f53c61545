/* What the parts of one call on a project share. */
#pragma once

#include "compose/clients.h"
#include "compose/converge.h"

struct compose_session {
    const struct compose_host *host;
    const struct compose_project *project; /* may be NULL */
    const char *project_name;
    const struct compose_sink *sink;
    struct compose_clients clients;
    struct strmap proxies;   /* of containers and builds */
    pthread_mutex_t sink_mu; /* held while calling out: events come one at a time */
};

int compose_session_init(const struct ctx *ctx, struct compose_session *session,
                         const struct compose_host *host, const struct compose_project *project,
                         const char *project_name, const struct compose_sink *sink, struct err *err)
    __attribute__((warn_unused_result));
/* Also of one whose init failed. */
void compose_session_release(struct compose_session *session);

void compose_tell(struct compose_session *session, enum compose_object object, const char *name,
                  const char *state);
void compose_warn(struct compose_session *session, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
void compose_output(struct compose_session *session, enum compose_object object, const char *name,
                    const char *line);
void compose_progress(struct compose_session *session, const char *image, int64_t bytes,
                      int64_t bytes_total);
int compose_own(struct compose_session *session, enum compose_object object, const char *name,
                const struct compose_before *before, struct err *err)
    __attribute__((warn_unused_result));
int compose_detach(struct compose_session *session, const char *network, const char *container_id,
                   const char *how, struct err *err) __attribute__((warn_unused_result));
int compose_unmake(struct compose_session *session, const char *network, const char *how,
                   struct err *err) __attribute__((warn_unused_result));
void compose_refused(struct compose_session *session, enum compose_object object, const char *name);

/* Lines out of pieces: each whole one goes to `line`. */
struct compose_lines {
    struct buf partial;
    void (*line)(void *arg, const char *text, size_t len);
    void *arg;
};
void compose_lines_add(struct compose_lines *lines, const char *data, size_t len);
/* What stands there without a line end; then releases. */
void compose_lines_end(struct compose_lines *lines);
