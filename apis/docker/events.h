/* The daemon's event stream. See client.h for lifecycle, threads, errors.
 *
 *     docker_events_start(ctx, docker, filters, n, 0, on_event, arg, &events, err);
 *     while (docker_client_poll(ctx, docker, NULL, 0, -1, err) >= 0) ...   // calls on_event
 *     docker_events_free(events);
 */
#pragma once

#include "apis/docker/client.h"

struct docker_event {
    const char *type;   /* "container", "network", … */
    const char *action; /* "start", "die", "oom", "destroy", … */
    const char *id;
    int64_t time_ns;    /* epoch */
    bool has_exit_code; /* of "die" */
    int64_t exit_code;
    const json_t *attributes; /* labels, "name", "image", "signal", …: strings */
};

/* Called from whatever drives the client; the event lives only during the call. */
typedef void docker_event_fn(void *arg, const struct docker_event *event);

struct docker_events;

/* Returns when the daemon has begun: nothing from then on is missed. since_s: epoch, events from
 * then on come first; 0: only new ones. */
int docker_events_start(const struct ctx *ctx, struct docker_client *docker,
                        const struct docker_filter *filters, size_t filter_count, int64_t since_s,
                        docker_event_fn *event, void *arg, struct docker_events **ret,
                        struct err *err) __attribute__((warn_unused_result));
/* 0 while it runs; -1 once it broke (ERR_LOST also for an orderly end). */
int docker_events_check(const struct docker_events *events, struct err *err)
    __attribute__((warn_unused_result));
/* Before docker_client_free(). */
void docker_events_free(struct docker_events *events);
