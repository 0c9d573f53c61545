#include "server/server.h"

#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/logger.h"
#include "server/inside.h"
#include "server/socket.h"

enum {
    WORKERS = 8,
    TASKS_MAX = 512, /* more requests than that do not wait for them */
    LAST_WORDS_MS = 2000,
    MESSAGE_MAX_EXTRA = 64 * 1024, /* a message holds a file, and what JSON makes of it */
    FAILURES_PER_SECOND = 5,
    FAILURES_AT_ONCE = 50,
};

#define SUBPROTOCOL "runner.v2"

const struct web_route server_routes[] = {
    {"GET", "/", about_root, WEB_QUICK},
    {"GET", "/healthz", about_health, WEB_OPEN | WEB_QUICK},
    {"GET", "/readyz", about_ready, WEB_OPEN},
    {"GET", "/openapi.json", about_openapi, WEB_QUICK},
    {"GET", "/console/*file", about_console, WEB_QUICK},
    {"GET", "/api/v1/pipelines", runs_list, 0},
    {"POST", "/api/v1/pipelines/run", queue_run, WEB_UNDRAINED},
    {"POST", "/api/v1/pipelines/validate", files_validate, 0},
    {"POST", "/api/v1/pipelines/batch/cancel", queue_batch_cancel, 0},
    {"POST", "/api/v1/pipelines/batch/delete", runs_batch_delete, 0},
    {"GET", "/api/v1/pipelines/:id", runs_get, 0},
    {"DELETE", "/api/v1/pipelines/:id", runs_delete, 0},
    {"POST", "/api/v1/pipelines/:id/cancel", queue_cancel_run, 0},
    {"POST", "/api/v1/pipelines/:id/rerun", queue_run_again, WEB_UNDRAINED},
    {"GET", "/api/v1/pipelines/:id/logs", logs_get, 0},
    {"GET", "/api/v1/pipelines/:id/logs/export", logs_export, 0},
    {"GET", "/api/v1/queue", queue_show, 0},
    {"GET", "/api/v1/queue/stats", queue_show_stats, 0},
    {"DELETE", "/api/v1/queue/:id", queue_remove, 0},
    {"GET", "/api/v1/settings", settings_get, 0},
    {"POST", "/api/v1/settings", settings_post, 0},
    {"POST", "/api/v1/configs/convert/yaml-to-visual", files_to_visual, 0},
    {"POST", "/api/v1/configs/convert/visual-to-yaml", files_to_yaml, 0},
    {0},
};

/* --- who may ask --- */

static void refuse_often(struct web_response *response, unsigned seconds, const char *why)
{
    web_response_error(response, 429, "%s: try again in %u s", why, seconds);
    strmap_setf(&response->headers, "retry-after", "%u", seconds);
}

static int refuse_credentials(struct server *server, struct web_peer *peer, enum auth_result result,
                              struct web_response *response)
{
    const struct sockaddr *address = (const struct sockaddr *)&peer->address;
    unsigned seconds;

    if (result == AUTH_WRONG)
        (void)limits_take(server->failures, address, clock_monotonic_ms(), &seconds);
    web_response_error(response, 401, "%s",
                       result == AUTH_WRONG ? "the name or the password is wrong"
                                            : "this server needs a name and a password");
    strmap_set(&response->headers, "www-authenticate", "Basic realm=\"runner\", charset=\"UTF-8\"");
    return -1;
}

/* Whose wrong passwords are too many is not told whether this one is right, unless the connection
 * has shown before that it knows it. */
static int authenticate(struct server *server, struct web_request *request, struct web_peer *peer,
                        struct web_response *response)
{
    const char *header = web_header(request, "authorization");
    const struct sockaddr *address = (const struct sockaddr *)&peer->address;
    enum auth_result result;
    const char *user;
    unsigned seconds = 1;

    if (!server->auth.required)
        return 0;
    if (*header && !peer->known &&
        !limits_has(server->failures, address, clock_monotonic_ms(), &seconds)) {
        refuse_often(response, seconds, "too many wrong passwords have come from this address");
        return -1;
    }
    result = auth_check(&server->auth, header, &user);
    if (result != AUTH_OK)
        return refuse_credentials(server, peer, result, response);
    peer->known = true;
    request->user = xstrdup_null(user);
    strmap_remove(&request->headers, "authorization");
    return 0;
}

static bool changes_something(const struct web_request *request)
{
    return strcmp(request->method, "GET") != 0 && strcmp(request->method, "HEAD") != 0;
}

static int check_origin(const struct web_request *request, struct web_response *response)
{
    if (auth_origin_is_own(web_header(request, "origin"), web_header(request, "host")))
        return 0;
    web_response_error(response, 403, "a page of another site may not do that");
    return -1;
}

static int refuse_route(const struct web_request *request, const char *allow,
                        struct web_response *response)
{
    if (!allow) {
        web_response_error(response, 404, "there is nothing at %s", request->path);
    } else {
        web_response_error(response, 405, "%s cannot be used with %s; it has %s", request->method,
                           request->path, allow);
        strmap_set(&response->headers, "allow", allow);
    }
    return -1;
}

static int find_upgrade(const struct server *server, const struct web_request *request,
                        struct web_response *response)
{
    if (strcmp(request->method, "GET") != 0 || strcmp(request->path, server->options.path) != 0)
        return refuse_route(request, NULL, response);
    return check_origin(request, response);
}

static int find_route(const struct server *server, struct web_request *request,
                      struct web_response *response, const struct web_route **ret)
{
    CLEANUP_FREE char *allow = NULL;

    *ret = web_route_find(server_routes, request->method, request->path, &request->params, &allow);
    if (!*ret)
        return refuse_route(request, allow, response);
    if (((*ret)->flags & WEB_UNDRAINED) && atomic_load(&server->draining)) {
        web_response_error(response, 503, "the server is about to end, and begins nothing new");
        strmap_set(&response->headers, "retry-after", "5");
        return -1;
    }
    return changes_something(request) ? check_origin(request, response) : 0;
}

static int check_host(const struct server *server, const struct web_request *request,
                      const struct web_peer *peer, struct web_response *response)
{
    if (server->auth.required || peer->address.ss_family == AF_UNIX ||
        auth_host_is_safe(web_header(request, "host"), server->options.host))
        return 0;
    web_response_error(
        response, 403,
        "without a password this server is asked by its address, as localhost, or by "
        "the name that --host has");
    return -1;
}

/* Whether a path that does not exist exists is not told to who may not look. */
static int admit(void *arg, struct web_request *request, struct web_peer *peer, bool upgrade,
                 struct web_response *response)
{
    struct server *server = arg;
    const struct web_route *route = NULL;
    struct web_response refusal = WEB_RESPONSE_INIT;
    unsigned seconds = 1;
    int found;

    if (!limits_take(server->requests, (const struct sockaddr *)&peer->address,
                     clock_monotonic_ms(), &seconds)) {
        refuse_often(response, seconds, "too many requests come from this address");
        return -1;
    }
    found = upgrade ? find_upgrade(server, request, &refusal)
                    : find_route(server, request, &refusal, &route);
    if (!(route && (route->flags & WEB_OPEN)) &&
        (check_host(server, request, peer, response) < 0 ||
         authenticate(server, request, peer, response) < 0))
        found = -1;
    else if (found < 0) {
        *response = refusal;
        refusal = (struct web_response)WEB_RESPONSE_INIT;
    }
    if (found == 0 && !server->auth.required)
        peer->known = true;
    web_response_release(&refusal);
    return found;
}

/* --- what is asked --- */

struct task {
    struct server *server;
    const struct web_route *route;
    struct web_request request;
    struct web_call *call;
};

/* What is asked of a history that is not there is 503, and of what may not be done 403 or so. */
static void handle(struct server *server, const struct web_route *route,
                   const struct web_request *request, const struct ctx_signal *gone,
                   struct web_response *response)
{
    struct err err = ERR_INIT;
    struct ctx ctx;

    ctx_init(&ctx, &server->ctx);
    ctx_set_timeout(&ctx, SERVER_REQUEST_MS, "the request");
    /* What changes something goes on to its end. */
    if (!changes_something(request))
        ctx.also = gone;
    if (ctx_check(&ctx, &err) < 0 || route->handler(&ctx, server, request, response, &err) < 0)
        web_response_err(response, &err);
    ctx_release(&ctx);
}

static void work(void *arg)
{
    struct task *task = arg;
    struct web_response response = WEB_RESPONSE_INIT;

    handle(task->server, task->route, &task->request, web_call_gone(task->call), &response);
    atomic_fetch_sub(&task->server->tasks, 1);
    web_request_release(&task->request);
    web_answer(task->call, &response);
    free(task);
}

/* It has one: admit() has seen to that. */
static const struct web_route *route_of(const struct web_request *request)
{
    CLEANUP_FREE char *allow = NULL;

    return web_route_find(server_routes, request->method, request->path, NULL, &allow);
}

static void take_request(void *arg, struct web_request *request, struct web_call *call)
{
    struct server *server = arg;
    const struct web_route *route = route_of(request);
    struct web_response response = WEB_RESPONSE_INIT;
    struct task *task;

    if (route->flags & WEB_QUICK) {
        handle(server, route, request, NULL, &response);
    } else if (atomic_fetch_add(&server->tasks, 1) >= TASKS_MAX) {
        atomic_fetch_sub(&server->tasks, 1);
        web_response_error(&response, 503, "the server has too much to do: try again");
        strmap_set(&response.headers, "retry-after", "1");
    } else {
        task = xcalloc(1, sizeof(*task));
        *task = (struct task){server, route, *request, call};
        workers_submit(&server->workers, work, task);
        return;
    }
    web_request_release(request);
    web_answer(call, &response);
}

static struct web_stream *take_connection(void *arg, struct web_request *request,
                                          const char *subprotocol)
{
    return socket_new(arg, request, strcmp(subprotocol, SUBPROTOCOL) == 0);
}

/* --- its life --- */

static int make_transport(struct server *server, const struct server_options *o, struct err *err)
{
    const struct transport_options options = {
        .host = o->host,
        .port = o->port,
        .no_tcp = o->no_tcp,
        .unix_path = o->unix_path,
        .tls_cert = o->tls_cert,
        .tls_key = o->tls_key,
        .body_max = o->body_max,
        .message_max = o->body_max * 2 + MESSAGE_MAX_EXTRA,
        .connection_max = o->connection_max,
        .stranger_max = o->stranger_max,
        .subprotocol = SUBPROTOCOL,
        .hooks = {admit, take_request, take_connection, server_tick, server},
    };

    return transport_new(&options, &server->transport, err);
}

static int make_queue(const struct ctx *ctx, struct server *server, struct err *err)
{
    const struct queue_options options = {
        .max_concurrent = (unsigned)settings_read(&server->settings).max_concurrent,
        .changed = server_run_changed,
        .left = server_run_left,
        .fatal = server_queue_failed,
        .arg = server,
    };

    server->launcher = queue_launching_ops(server->options.launching);
    if (feed_new(&(struct feed_options){.runs_dir = server->history->runs}, &server->feed, err) < 0)
        return -1;
    return queue_open(ctx, server->history, &server->launcher, &options, &server->queue, err);
}

int server_new(const struct ctx *ctx, const struct server_options *options, struct server **ret,
               struct err *err)
{
    struct server *server = xcalloc(1, sizeof(*server));
    const struct settings_values given = {
        .max_concurrent = options->max_concurrent ? (int64_t)options->max_concurrent : -1,
        .max_records = options->max_records,
        .refresh_interval = -1,
    };

    server->options = *options;
    server->history = options->history;
    server->started_ms = clock_wall_ms();
    server->refreshed_ms = INT64_MIN / 2;
    server->ctx.cancel.event_fd = -1;
    workers_init(&server->workers, WORKERS);
    pthread_mutex_init(&server->refresh_mu, NULL);
    pthread_mutex_init(&server->fatal_mu, NULL);
    pthread_mutex_init(&server->again_mu, NULL);
    server->pruned_ms = clock_monotonic_ms();
    server->clocks_apart_ms = server->started_ms - server->pruned_ms;
    server->fatal_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    history_followers_clean(server->history);
    clients_init(&server->clients, options->client_grace_ms, server->history, server->name);
    auth_init(&server->auth, options->user, options->password);
    server->requests = limits_new(options->rate, options->rate * 2);
    server->failures = limits_new(FAILURES_PER_SECOND, FAILURES_AT_ONCE);
    if (own_run_make_id(server->name, err) < 0 || ctx_init_root(&server->ctx, NULL, err) < 0 ||
        settings_open(&server->settings, server->history->dir, &given, err) < 0 ||
        make_queue(ctx, server, err) < 0 || make_transport(server, options, err) < 0) {
        server_free(server);
        return -1;
    }
    *ret = server;
    return 0;
}

unsigned server_port(const struct server *server)
{
    return transport_port(server->transport);
}

int server_start(struct server *server, struct err *err)
{
    return transport_start(server->transport, err);
}

int server_wait(const struct ctx *ctx, struct server *server, struct err *err)
{
    struct pollfd fatal = {.fd = server->fatal_fd, .events = POLLIN};

    if (ctx_poll(ctx, &fatal, 1, -1, NULL) < 0)
        return 0;
    pthread_mutex_lock(&server->fatal_mu);
    *err = server->fatal;
    pthread_mutex_unlock(&server->fatal_mu);
    return -1;
}

int server_wait_runs(const struct ctx *ctx, struct server *server, struct err *err)
{
    struct ctx last;
    int result = queue_wait_idle(ctx, server->queue, err);

    if (result < 0)
        return -1;
    /* Those who follow a run hear of its end some moments later. */
    ctx_init(&last, ctx);
    ctx_set_timeout(&last, LAST_WORDS_MS, "the last words");
    while (atomic_load(&server->followers) > 0 && ctx_sleep(&last, 20, NULL) == 0)
        ;
    ctx_release(&last);
    return 0;
}

int server_cancel_runs(const struct ctx *ctx, struct server *server, struct err *err)
{
    static const struct queue_cancel cancel = {.reason = "the server ends", .by = "server"};
    CLEANUP_QUEUE_ITEMS struct queue_items items = {0};
    int result = 0;

    queue_list(server->queue, 0, SIZE_MAX, &items);
    vec_foreach (const struct queue_item *, item, &items) {
        struct err why = ERR_INIT;

        /* What waits stays for the next server, and what has ended meanwhile needs nothing. */
        if (item->position || queue_cancel(ctx, server->queue, item->id, &cancel, &why) == 0 ||
            why.code == ERR_CONFLICT)
            continue;
        if (result == 0)
            err_set(err, why.code, "run %s: %s", item->id, why.message);
        result = -1;
    }
    return result;
}

void server_begin_drain(struct server *server)
{
    atomic_store(&server->draining, true);
    queue_drain(server->queue);
}

void server_drain(const struct ctx *ctx, struct server *server)
{
    struct err err = ERR_INIT;

    server_begin_drain(server);
    transport_refuse(server->transport);
    if (transport_quiesce(ctx, server->transport, &err) < 0)
        log_debug("server", "requests are left: %s", err.message);
}

/* Workers answer to a transport and ask a queue that have stopped, and that are freed when they
 * have ended; streams that the transport closes then leave the feed. */
void server_free(struct server *server)
{
    if (!server)
        return;
    ctx_cancel(&server->ctx, CTX_CAUSE_USER);
    transport_stop(server->transport);
    queue_stop(server->queue);
    workers_release(&server->workers);
    queue_close(server->queue);
    transport_free(server->transport);
    feed_free(server->feed);
    clients_release(&server->clients);
    settings_release(&server->settings);
    limits_free(server->requests);
    limits_free(server->failures);
    auth_release(&server->auth);
    close(server->fatal_fd);
    pthread_mutex_destroy(&server->refresh_mu);
    pthread_mutex_destroy(&server->fatal_mu);
    pthread_mutex_destroy(&server->again_mu);
    strvec_release(&server->again);
    ctx_release(&server->ctx);
    free(server);
}
