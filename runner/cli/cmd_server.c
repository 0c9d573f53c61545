/* `runner server`: takes submissions, runs them, and shows them to whoever may look.
 *
 * The process has one thread until the launcher has been forked; it may be in another container
 * instead, where this command is the launcher (cli/server_launcher.h). Then there are those of the
 * signals, of the server (its loop and its workers), and this one, which waits for the end. */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/fs.h"
#include "base/logger.h"
#include "base/parse.h"
#include "cli/commands.h"
#include "cli/engines.h"
#include "cli/logging.h"
#include "cli/prepare_options.h"
#include "cli/recorded.h"
#include "cli/server_launcher.h"
#include "cli/stores.h"
#include "control/signals.h"
#include "server/server.h"

enum {
    PORT_DEFAULT = 8080,
    CONNECTIONS_DEFAULT = 12000,
    RATE_DEFAULT = 2000,
    BODY_DEFAULT = 4 * 1024 * 1024,
    CLIENT_GRACE_MS = 30000,
    LAST_ANSWERS_MS = 5000, /* for requests that are being answered at the end */
    PASSWORD_FILE_MAX = 4096,
};

struct server_args {
    char *host;
    int64_t *port;
    char *listen;
    char *path;
    char *workdir;
    char *username;
    char *password;
    char *password_file;
    char *tls_cert;
    char *tls_key;
    char *max_body;
    int64_t *max_connections;
    int64_t *max_strangers;
    int64_t *rate_limit;
    int64_t max_concurrent;
    char *store;
    int64_t drain_ms;
    bool stop_runs;
    struct server_launcher_args launcher;
    char *client_grace;
    struct prepare_args file;
    struct cli_engine_args engines;
    char *cache_dir;
    char *cache_size;
    struct cli_history_args history;
    struct cli_logging_args logging;
    /* What comes of them. */
    struct server_options server;
    char *secret; /* the password, from wherever it came */
    struct object_store_places stores;
    char *history_dir;
    char *runs_dir;
    char *work_dir;
    struct server_launcher runs;
    struct queue_launching launching;
    bool left_idle; /* there were no runs when the server ended */
};

#define AT(field)  offsetof(struct server_args, field)
#define NAMES(...) ((const char *const[]){__VA_ARGS__, NULL})

static const struct cli_option options[] = {
    {"port", 'p', CLI_MAYBE_INT, AT(port), "PORT", "where to listen (8080; 0: any that is free)",
     NULL, NAMES("PORT")},
    {"host", 0, CLI_STRING, AT(host), "ADDRESS",
     "on which address to listen (0.0.0.0: all of IPv4)", NULL, NULL},
    {"listen", 0, CLI_STRING, AT(listen), "URL",
     "listen on a socket, unix:///PATH, for this user alone; with --port as well if that is given",
     NULL, NULL},
    {"path", 0, CLI_STRING, AT(path), "PATH", "of WebSocket connections (/)", NULL,
     NAMES("ENDPOINT", "SERVER_PATH")},
    {"workdir", 'w', CLI_STRING, AT(workdir), "DIR",
     "where runs have their directories (work, where they are recorded)", NULL, NAMES("WORKDIR")},
    {"username", 'u', CLI_STRING, AT(username), "NAME", "ask for this name", NULL,
     NAMES("USERNAME")},
    {"password", 0, CLI_STRING, AT(password), "TEXT",
     "and this password; other users of the machine see it here, unlike in the environment", NULL,
     NAMES("PASSWORD")},
    {"password-file", 0, CLI_STRING, AT(password_file), "FILE", "or the one that a file holds",
     NULL, NULL},
    {"tls-cert", 0, CLI_STRING, AT(tls_cert), "FILE", "serve TLS with this certificate (PEM)", NULL,
     NULL},
    {"tls-key", 0, CLI_STRING, AT(tls_key), "FILE", "and its key", NULL, NULL},
    {"max-concurrent", 0, CLI_INT, AT(max_concurrent), "N", "runs at a time (2)", NULL,
     NAMES("MAX_CONCURRENT")},
    {"max-body", 0, CLI_STRING, AT(max_body), "SIZE", "of a request (4m)", NULL, NULL},
    {"max-connections", 0, CLI_MAYBE_INT, AT(max_connections), "N", "at a time (12000)", NULL,
     NULL},
    {"max-strangers", 0, CLI_MAYBE_INT, AT(max_strangers), "N",
     "of them of one address that have not been let in (a quarter; 0: no limit)", NULL, NULL},
    {"rate-limit", 0, CLI_MAYBE_INT, AT(rate_limit), "N",
     "requests a second of one address (2000; 0: no limit)", NULL, NULL},
    {"drain", 0, CLI_DURATION, AT(drain_ms), "DURATION",
     "at the end, wait so long for runs, which otherwise go on by themselves", NULL, NULL},
    {"stop-runs", 0, CLI_FLAG, AT(stop_runs), NULL,
     "and then cancel them, for a container, with which they would be killed", NULL, NULL},
    SERVER_LAUNCHER_OPTIONS(struct server_args),
    {"client-grace", 0, CLI_STRING, AT(client_grace), "DURATION",
     "so long runs go on when their clients have gone, unless detached (30s)", NULL, NULL},
    {"store", 0, CLI_STRING, AT(store), "URL",
     "postgresql://… in place of a file, for several servers", NULL, NULL},
    {"allow-env", 0, CLI_LIST, AT(file.allow_env), "NAME",
     "let host steps see a variable of this environment (repeatable)", NULL, NAMES("ALLOW_ENV")},
    {"allow-all-env", 0, CLI_FLAG, AT(file.allow_all_env), NULL, "let host steps see all of it",
     NULL, NAMES("ALLOW_ALL_ENV")},
    {"engine", 0, CLI_STRING, AT(file.engine), "ENGINE", "default engine", NULL, NULL},
    {"image", 'i', CLI_STRING, AT(file.image), "IMAGE", "default image: run in Docker", NULL, NULL},
    PREPARE_OPTION_STRICT(struct server_args),
    CLI_LOGGING_OPTIONS(struct server_args),
    CLI_ENGINE_OPTIONS(struct server_args),
    CLI_STORE_OPTIONS(AT(cache_dir), AT(cache_size)),
    CLI_HISTORY_KEEP_OPTIONS(struct server_args),
    {0},
};

/* --- arguments --- */

static int read_password(struct server_args *args, struct err *err)
{
    CLEANUP_BUF struct buf text = BUF_INIT;

    if (!args->password_file) {
        args->secret = args->password;
        args->password = NULL;
        return 0;
    }
    if (args->password)
        return err_set(err, ERR_INVALID, "--password and --password-file are both given");
    if (fs_read_file(args->password_file, PASSWORD_FILE_MAX, &text, err) < 0)
        return err_wrap(err, "--password-file");
    args->secret = xstrndup(text.data, strcspn(text.data, "\r\n"));
    explicit_bzero(text.data, text.len);
    if (!*args->secret)
        return err_set(err, ERR_INVALID, "--password-file %s: its first line is empty",
                       args->password_file);
    return 0;
}

/* Steps that may see the environment must not see that. */
static void hide_password(const struct server_args *args)
{
    static const char *const names[] = {"PASSWORD", "RUNNER_SERVER_PASSWORD"};

    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
        if (!strvec_has(&args->file.allow_env, names[i]))
            unsetenv(names[i]);
    }
}

static int read_listen(struct server_args *args, struct err *err)
{
    static const char scheme[] = "unix://";

    if (!args->listen)
        return 0;
    if (strncmp(args->listen, scheme, sizeof(scheme) - 1) != 0 ||
        args->listen[sizeof(scheme) - 1] != '/')
        return err_set(
            err, ERR_INVALID,
            "--listen takes unix:///PATH, not \"%s\"; for TCP there are --host and --port",
            args->listen);
    args->server.unix_path = args->listen + sizeof(scheme) - 1;
    args->server.no_tcp = !args->port && !args->host;
    return 0;
}

static int read_limits(struct server_args *args, struct err *err)
{
    int64_t body = BODY_DEFAULT;

    if (args->max_body && parse_size_bytes(args->max_body, &body, err) < 0)
        return err_wrap(err, "--max-body");
    if (body < 1024 || body > INT64_C(1) << 30)
        return err_set(err, ERR_INVALID, "--max-body is from 1k to 1g");
    if (args->max_connections && (*args->max_connections < 1 || *args->max_connections > 60000))
        return err_set(err, ERR_INVALID, "--max-connections is from 1 to 60000");
    if (args->max_strangers && *args->max_strangers > 60000)
        return err_set(err, ERR_INVALID, "--max-strangers is at most 60000");
    if (args->rate_limit && *args->rate_limit > 1000000)
        return err_set(err, ERR_INVALID, "--rate-limit is at most 1000000");
    if (args->max_concurrent > 10000)
        return err_set(err, ERR_INVALID, "--max-concurrent is at most 10000");
    args->server.client_grace_ms = CLIENT_GRACE_MS;
    if (args->client_grace &&
        parse_duration_ms(args->client_grace, &args->server.client_grace_ms, err) < 0)
        return err_wrap(err, "--client-grace");
    args->server.body_max = (size_t)body;
    args->server.connection_max =
        (unsigned)(args->max_connections ? *args->max_connections : CONNECTIONS_DEFAULT);
    args->server.stranger_max = args->max_strangers ? (unsigned)*args->max_strangers
                                                    : (args->server.connection_max + 3) / 4;
    args->server.rate = (unsigned)(args->rate_limit ? *args->rate_limit : RATE_DEFAULT);
    args->server.max_concurrent = (unsigned)args->max_concurrent;
    return 0;
}

static int read_address(struct server_args *args, struct err *err)
{
    if (args->port && *args->port > 65535)
        return err_set(err, ERR_INVALID, "--port is at most 65535");
    if (args->path && *args->path != '/')
        return err_set(err, ERR_INVALID, "--path begins with /, unlike \"%s\"", args->path);
    if (!args->tls_cert != !args->tls_key)
        return err_set(err, ERR_INVALID, "--tls-cert and --tls-key go together");
    args->server.port = args->port ? (unsigned)*args->port : PORT_DEFAULT;
    args->server.host = args->host;
    args->server.path = args->path ? args->path : "/";
    args->server.tls_cert = args->tls_cert;
    args->server.tls_key = args->tls_key;
    return read_listen(args, err);
}

/* What is kept, and where. */
static int read_places(struct server_args *args, struct cli_history_options *history,
                       struct err *err)
{
    CLEANUP_FREE char *made = NULL;

    if (cli_store_options(args->cache_dir, args->cache_size, &args->stores, err) < 0 ||
        cli_history_options(&args->history, history, err) < 0)
        return -1;
    args->server.keep_age_ms = history->age_ms;
    args->server.keep_log_bytes = history->keep.max_log_bytes;
    args->server.max_records = args->history.runs ? *args->history.runs : -1;
    made = history_dir(args->history.dir, err);
    if (!made)
        return err_wrap(err, "there is no place for the history of runs");
    args->history_dir = fs_absolute(made);
    args->runs_dir = fs_join(args->history_dir, "runs");
    args->work_dir =
        args->workdir ? fs_absolute(args->workdir) : fs_join(args->history_dir, "work");
    return fs_mkdir_p(args->work_dir, 0700, err) < 0 ? err_wrap(err, "--workdir") : 0;
}

static int read_args(struct server_args *args, struct cli_history_options *history, struct err *err)
{
    if (cli_logging_configure(&args->logging, err) < 0 ||
        server_launcher_check(&args->launcher, err) < 0)
        return -1;
    /* The launcher serves nobody. */
    if (server_launcher_is(&args->launcher))
        return read_places(args, history, err);
    if (read_password(args, err) < 0 || read_address(args, err) < 0 || read_limits(args, err) < 0 ||
        read_places(args, history, err) < 0)
        return -1;
    args->server.user = args->username;
    args->server.password = args->secret;
    args->server.kinds = runner_step_kinds;
    return 0;
}

/* --- the server --- */

static bool is_loopback(const char *host)
{
    struct in_addr four;
    struct in6_addr six;

    if (!host)
        return false;
    if (strcmp(host, "localhost") == 0)
        return true;
    if (inet_pton(AF_INET, host, &four) == 1)
        return ntohl(four.s_addr) >> 24 == 127;
    return inet_pton(AF_INET6, host, &six) == 1 && IN6_IS_ADDR_LOOPBACK(&six);
}

static void warn_if_open(const struct server_args *args)
{
    const struct server_options *o = &args->server;

    if (o->no_tcp || is_loopback(o->host))
        return;
    if (!o->user && !o->password)
        log_warn("server",
                 "whoever reaches port %u may run commands here: set --username and a password "
                 "(PASSWORD, --password-file), or --host 127.0.0.1",
                 o->port);
    else if (!o->tls_cert)
        log_info("server", "the password travels as it is: use --tls-cert and --tls-key, or a "
                           "proxy that does TLS");
}

static void tell_where(const struct server_args *args, const struct server *server)
{
    const struct server_options *o = &args->server;
    const char *host = o->host ? o->host : "0.0.0.0";
    bool six = strchr(host, ':') != NULL;

    if (!o->no_tcp)
        fprintf(stderr, "runner server: listening on %s://%s%s%s:%u\n",
                o->tls_cert ? "https" : "http", six ? "[" : "", host, six ? "]" : "",
                server_port(server));
    if (o->unix_path)
        fprintf(stderr, "runner server: listening on unix://%s\n", o->unix_path);
}

/* Runs go on without the server, unless it is to wait for them, or then to cancel them. A second
 * signal ends what is waited for. */
static void leave_runs(const struct ctx *ctx, const struct server_args *args, struct server *server)
{
    struct err err = ERR_INIT;
    struct ctx grace;
    int result = 0;

    ctx_init_grace(&grace, ctx, args->drain_ms);
    if (args->drain_ms || args->stop_runs)
        result = server_wait_runs(&grace, server, &err);
    ctx_release(&grace);
    if (result < 0 && args->stop_runs) {
        ctx_init_grace(&grace, ctx, INT64_MAX);
        if (server_cancel_runs(&grace, server, &err) < 0)
            log_warn("server", "not all runs can be cancelled: %s", err.message);
        result = server_wait_runs(&grace, server, &err);
        ctx_release(&grace);
    }
    if (result < 0)
        log_info("server", "runs go on without this server: %s", err.message);
}

static bool is_idle(const struct ctx *ctx, struct server *server)
{
    struct ctx now;
    int result;

    ctx_init_grace(&now, ctx, 0);
    result = server_wait_runs(&now, server, NULL);
    ctx_release(&now);
    return result == 0;
}

static void drain(const struct ctx *ctx, struct server_args *args, struct server *server)
{
    struct ctx grace;

    server_begin_drain(server);
    leave_runs(ctx, args, server);
    args->left_idle = is_idle(ctx, server);
    ctx_init_grace(&grace, ctx, LAST_ANSWERS_MS);
    server_drain(&grace, server);
    ctx_release(&grace);
}

static int serve(const struct ctx *ctx, void *arg, struct err *err)
{
    struct server_args *args = arg;
    CLEANUP_HISTORY struct history *history = NULL;
    struct server *server = NULL;
    int result;

    if (history_open_at(ctx, args->history_dir, args->store, NULL, &history, err) < 0 ||
        server_launcher_join(ctx, &args->runs, err) < 0)
        return -1;
    history->work = xstrdup(args->work_dir);
    args->launching = (struct queue_launching){
        .launcher = args->runs.launcher,
        .runs_dir = args->runs_dir,
        .workdir = args->work_dir,
        .defaults = &args->file,
    };
    args->server.history = history;
    args->server.launching = &args->launching;
    if (server_new(ctx, &args->server, &server, err) < 0)
        return -1;
    result = server_start(server, err);
    if (result == 0) {
        warn_if_open(args);
        tell_where(args, server);
        result = server_wait(ctx, server, err);
        if (result < 0 && (args->drain_ms || args->stop_runs))
            log_warn("server", "%s; it is waited for", err->message);
        drain(ctx, args, server);
    }
    server_free(server);
    return result < 0 ? -1 : CLI_EXIT_OK;
}

static struct server_launcher launcher_of(struct server_args *args,
                                          const struct cli_history_options *history)
{
    return (struct server_launcher){
        .args = &args->launcher,
        .engines = &args->engines,
        .stores = &args->stores,
        .history = args->history_dir,
        .work = args->work_dir,
        /* All that is known of a run is there, unlike that of `exec`, which was shown. */
        .log_bytes = args->history.log ? history->log_bytes : 0,
        .drain_ms = args->drain_ms,
    };
}

/* In a process of one thread. */
static int start_and_serve(struct server_args *args, const struct cli_history_options *history,
                           struct err *err)
{
    int signal;
    int status;

    hide_password(args);
    args->runs = launcher_of(args, history);
    if (server_launcher_is(&args->launcher))
        return server_launcher_be(&args->runs, err) < 0 ? -1 : CLI_EXIT_OK;
    if (server_launcher_fork(&args->runs, err) < 0)
        return -1;
    status = signals_run(serve, args, &signal, err);
    /* Told to end while it waited for what it needs to begin. */
    if (status < 0 && signal && err->code == ERR_CANCELLED) {
        err_clear(err);
        status = CLI_EXIT_OK;
    }
    server_launcher_leave(&args->runs, args->left_idle);
    return status;
}

static void release_args(struct server_args *args)
{
    if (args->secret)
        explicit_bzero(args->secret, strlen(args->secret));
    free(args->secret);
    free(args->history_dir);
    free(args->runs_dir);
    free(args->work_dir);
}

static int run(void *arguments, const struct strvec *operands)
{
    struct server_args *args = arguments;
    struct cli_history_options history;
    struct err err = ERR_INIT;
    int status = CLI_EXIT_USAGE;

    (void)operands;
    if (read_args(args, &history, &err) == 0) {
        status = start_and_serve(args, &history, &err);
        if (status < 0)
            status = cli_exit_of(&err);
    }
    if (err.code)
        fprintf(stderr, "runner server: %s\n", err.message);
    release_args(args);
    return status;
}

const struct cli_command cmd_server = {
    .name = "server",
    .summary = "run pipelines for others, with a REST interface and WebSocket",
    .description = "SIGTERM and SIGINT end it once what has been asked is answered. Runs go on by "
                   "themselves, and what waits is run by the server that begins next.",
    .options = options,
    .args_size = sizeof(struct server_args),
    .run = run,
};
