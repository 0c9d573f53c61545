/* What the handlers share; internal to server/. */
#pragma once

#include <jansson.h>
#include <pthread.h>
#include <stdatomic.h>

#include "base/workers.h"
#include "feed/feed.h"
#include "queue/launching.h"
#include "queue/queue.h"
#include "server/auth.h"
#include "server/clients.h"
#include "server/limits.h"
#include "server/produced.h"
#include "server/route.h"
#include "server/server.h"
#include "server/settings.h"

struct server {
    struct server_options options;
    struct history *history;
    struct feed *feed;
    struct queue *queue;
    struct queue_launcher launcher;
    struct clients clients;
    char name[OWN_RUN_ID_SIZE]; /* that no other has */
    struct transport *transport;
    struct workers workers;
    atomic_int tasks; /* requests that wait for them, or are worked on */
    struct ctx ctx;   /* of all requests: ends when the server does */
    struct auth auth;
    struct limits *requests;
    struct limits *failures; /* of credentials */
    struct settings settings;
    int64_t started_ms; /* wall time */
    atomic_bool draining;
    atomic_int followers;
    pthread_mutex_t refresh_mu;
    atomic_llong refreshed_ms;
    pthread_mutex_t again_mu;
    struct strvec again; /* runs to look behind once more; guarded by again_mu */
    atomic_bool pruning;
    /* Of the loop: */
    int64_t pruned_ms;
    int64_t clocks_apart_ms; /* the wall clock from the monotonic one */
    atomic_bool launcher_gone;
    int fatal_fd; /* readable when the server cannot go on */
    pthread_mutex_t fatal_mu;
    struct err fatal;
};

extern const struct web_route server_routes[];

/* So long a request may take. */
#define SERVER_REQUEST_MS 30000
/* Of what is said why a run is cancelled. */
#define SERVER_REASON_BYTES 1000

/* Has the store know what others have written; not more often than each second. */
void server_refresh(const struct ctx *ctx, struct server *server);
/* The run of the whole id that the path names, as ret->items[0]. */
int server_get_run(const struct ctx *ctx, struct server *server, const char *id,
                   struct store_runs *ret, struct err *err) __attribute__((warn_unused_result));
/* The same, to be followed here: ERR_NOT_FOUND also for one that has begun at a server with a
 * history of its own, of which nothing would ever be heard. */
int server_get_followed(const struct ctx *ctx, struct server *server, const char *id,
                        struct store_runs *ret, struct err *err)
    __attribute__((warn_unused_result));
/* The row as JSON: a record without "stages", "yaml" and "config". A new reference. */
json_t *server_run_to_json(struct server *server, const struct store_run *run);
/* The file of a run, as it was given. */
int server_read_file(const struct ctx *ctx, struct server *server, const char *id, struct buf *out,
                     struct err *err) __attribute__((warn_unused_result));

/* Followers of a run that will never begin are told how it ended: to be called behind
 * feed_subscribe(), from any thread. */
void server_look_behind(struct server *server, const char *id);
/* Hooks: of the transport, each second; of the queue, by its thread. */
void server_tick(void *arg);
void server_run_changed(void *arg, const char *id, enum state state);
void server_run_left(void *arg, const char *id);
void server_queue_failed(void *arg, const struct err *err);
/* The ids of a batch; belongs to the body. NULL: ERR_INVALID. */
json_t *server_read_ids(const json_t *body, struct err *err);

/* Handlers, by the file that has them. */
#define SERVER_HANDLER(name)                                                                       \
    int name(const struct ctx *ctx, struct server *server, const struct web_request *request,      \
             struct web_response *response, struct err *err)

/* api_about.c */
SERVER_HANDLER(about_root);
SERVER_HANDLER(about_health);
SERVER_HANDLER(about_ready);
SERVER_HANDLER(about_openapi);
SERVER_HANDLER(about_console);
/* api_runs.c */
SERVER_HANDLER(runs_list);
SERVER_HANDLER(runs_get);
SERVER_HANDLER(runs_delete);
SERVER_HANDLER(runs_batch_delete);
/* api_logs.c */
SERVER_HANDLER(logs_get);
SERVER_HANDLER(logs_export);
/* api_follow.c: logs_get() with follow=1. */
SERVER_HANDLER(logs_follow);
/* api_queue.c */
SERVER_HANDLER(queue_run);
SERVER_HANDLER(queue_run_again);
SERVER_HANDLER(queue_cancel_run);
SERVER_HANDLER(queue_batch_cancel);
SERVER_HANDLER(queue_show);
SERVER_HANDLER(queue_show_stats);
SERVER_HANDLER(queue_remove);
/* api_files.c */
SERVER_HANDLER(files_validate);
SERVER_HANDLER(files_to_visual);
SERVER_HANDLER(files_to_yaml);
/* api_settings.c */
SERVER_HANDLER(settings_get);
SERVER_HANDLER(settings_post);
