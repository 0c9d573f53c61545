#include "engine/idp/instance.h"

#include <string.h>
#include <sys/random.h>

#include "apis/http/retry.h"
#include "base/alloc.h"
#include "base/clock.h"

#define SCHEME     "idp://"
#define SCHEME_TLS "idps://"

/* What agents listen on unless they are told otherwise, and proxies in front of them. */
enum { PORT = 8838, PORT_TLS = 443, PATIENCE_MS = 30000 };

/* About ten seconds, in which an agent may be restarted. */
static const struct retry_policy patient = {.attempts = 6, .base_ms = 300, .max_delay_ms = 4000};

/* --- the URL --- */

static int read_tls(struct idp_instance *instance, bool tls, struct err *err)
{
    static const char *const keys[] = {"ca", "insecure", NULL};
    struct http_tls *how = &instance->options.tls;

    if (remote_url_check_keys(&instance->url, tls ? keys : keys + 2, err) < 0 ||
        remote_url_flag(&instance->url, "insecure", &how->insecure, err) < 0)
        return -1;
    how->ca_file = strmap_get(&instance->url.query, "ca");
    return 0;
}

int idp_instance_init(struct idp_instance *instance, const char *url, struct err *err)
{
    bool tls = strncmp(url, SCHEME_TLS, strlen(SCHEME_TLS)) == 0;
    const char *address = strstr(url, "://");
    const struct remote_url *parts = &instance->url;
    bool brackets;
    unsigned port;

    instance->engine = &idp_engine;
    instance->patience_ms = PATIENCE_MS;
    if (!address)
        return err_set(err, ERR_NOT_FOUND, "no agent is named: %sCLIENT_ID:CLIENT_SECRET@HOST:PORT",
                       SCHEME);
    if (remote_url_parse(address + 3, &instance->url, err) < 0 || read_tls(instance, tls, err) < 0)
        return err_wrap(err, "the engine \"%s\"", tls ? "idps" : "idp");
    port = parts->port ? parts->port : tls ? PORT_TLS : PORT;
    brackets = strchr(parts->host, ':') != NULL;
    instance->base_url = xasprintf("%s://%s%s%s:%u", tls ? "https" : "http", brackets ? "[" : "",
                                   parts->host, brackets ? "]" : "", port);
    instance->peer = xasprintf("the IDP agent at %s%s%s:%u", brackets ? "[" : "", parts->host,
                               brackets ? "]" : "", port);
    instance->options.base_url = instance->base_url;
    instance->options.path = parts->path;
    instance->options.peer = instance->peer;
    instance->options.client_id = parts->user;
    instance->options.client_secret = parts->password;
    return 0;
}

void idp_instance_release(struct idp_instance *instance)
{
    remote_url_release(&instance->url);
    free(instance->base_url);
    free(instance->peer);
}

/* --- small scripts --- */

int idp_instance_open(const struct ctx *ctx, const struct idp_instance *instance, struct idp **ret,
                      struct err *err)
{
    int64_t until_ms = clock_monotonic_ms() + instance->patience_ms;
    struct retry retry;
    struct err own = ERR_INIT;

    retry_init(&retry, &patient);
    for (;;) {
        if (idp_open(ctx, &instance->options, ret, &own) == 0)
            return 0;
        if (!instance->patient || own.code != ERR_UNAVAILABLE || clock_monotonic_ms() >= until_ms ||
            retry_wait(ctx, &retry, -1, &own) < 0) {
            if (err)
                *err = own;
            return -1;
        }
    }
}

void idp_unique(struct buf *out)
{
    uint64_t random[2] = {(uint64_t)clock_monotonic_ms(), (uintptr_t)out};

    (void)!getrandom(random, sizeof(random), 0);
    buf_addf(out, "%016llx%016llx", (unsigned long long)random[0], (unsigned long long)random[1]);
}

static void add_some(struct buf *out, const struct idp_message *message)
{
    size_t room = IDP_ANSWER_MAX - out->len;

    buf_add(out, message->data, message->len < room ? message->len : room);
}

/* 1 when it has ended. */
static int take_answer(struct idp *idp, struct idp_answer *answer, struct err *err)
{
    struct idp_message message;

    for (;;) {
        switch (idp_read(idp, &message, err)) {
        case IDP_READ_ERROR:
            return -1;
        case IDP_READ_AGAIN:
            return 0;
        case IDP_READ_MESSAGE:
            if (message.type == IDP_STDOUT)
                add_some(&answer->out, &message);
            else if (message.type == IDP_STDERR)
                add_some(&answer->error, &message);
            if (message.type != IDP_EXIT)
                break;
            answer->exit_code = message.exit_code;
            return 1;
        }
    }
}

int idp_instance_ask(const struct ctx *ctx, const struct idp_instance *instance, const char *script,
                     const char *user, struct idp_answer *answer, struct err *err)
{
    CLEANUP_IDP struct idp *idp = NULL;
    CLEANUP_BUF struct buf id = BUF_INIT;
    struct idp_command command = {.script = script,
                                  .shell = "/bin/sh",
                                  .user = user,
                                  .timeout_ms = ctx_remaining_ms(ctx, IDP_AUTH_WAIT_MS),
                                  .clean_workdir = true};
    int ended;

    idp_unique(&id);
    command.id = id.data;
    if (idp_instance_open(ctx, instance, &idp, err) < 0 || idp_run(idp, &command, err) < 0)
        return -1;
    while ((ended = take_answer(idp, answer, err)) == 0) {
        if (idp_wait(ctx, idp, NULL, 0, true, -1, err) < 0)
            return -1;
    }
    return ended < 0 ? -1 : 0;
}

void idp_answer_release(struct idp_answer *answer)
{
    buf_release(&answer->out);
    buf_release(&answer->error);
}

/* --- the machine --- */

static const struct {
    const char *machine; /* of uname */
    const char *architecture;
} machines[] = {
    {"Linux x86_64", "amd64"},
    {"Linux amd64", "amd64"},
    {"Linux aarch64", "arm64"},
    {"Linux arm64", "arm64"},
};

static int find_helper(struct idp_instance *instance, struct err *err)
{
    for (size_t i = 0; i < sizeof(machines) / sizeof(*machines); i++) {
        if (strcmp(machines[i].machine, instance->machine) == 0 &&
            helper_program_find(machines[i].architecture, &instance->helper) == 0)
            return 0;
    }
    return err_set(err, ERR_UNSUPPORTED,
                   "%s runs on \"%s\", and this runner has a helper for Linux on %s%s only",
                   instance->peer, instance->machine, helper_architecture(),
                   strcmp(helper_architecture(), "amd64") == 0 ? " (and perhaps arm64)" : "");
}

static int look_at_machine(const struct ctx *ctx, struct idp_instance *instance, struct err *err)
{
    CLEANUP_IDP_ANSWER struct idp_answer answer = IDP_ANSWER_INIT;
    const char *words;

    if (idp_instance_ask(ctx, instance, "uname -sm", NULL, &answer, err) < 0)
        return -1;
    words = answer.exit_code && answer.error.len ? answer.error.data : answer.out.data;
    snprintf(instance->machine, sizeof(instance->machine), "%.*s", (int)strcspn(words, "\r\n"),
             words);
    if (answer.exit_code)
        return err_set(err, ERR_UNSUPPORTED, "%s cannot run a shell script: exit code %d: %s",
                       instance->peer, answer.exit_code, instance->machine);
    return find_helper(instance, err);
}

int idp_instance_connect(const struct ctx *ctx, const struct engine_services *services,
                         const char *url, struct engine_instance **ret, struct err *err)
{
    struct idp_instance *instance = xcalloc(1, sizeof(*instance));

    /* Who only looks wants to know now. */
    instance->patient = services->run != NULL;
    if (idp_instance_init(instance, url, err) < 0 || look_at_machine(ctx, instance, err) < 0) {
        idp_instance_disconnect((struct engine_instance *)instance);
        return -1;
    }
    *ret = (struct engine_instance *)instance;
    return 0;
}

void idp_instance_disconnect(struct engine_instance *given)
{
    struct idp_instance *instance = (struct idp_instance *)given;

    if (!instance)
        return;
    idp_instance_release(instance);
    free(instance);
}

/* What the script of a step needs, beside a shell. */
#define PROBE                                                                                      \
    "for p in base64 chmod mkdir mkfifo readlink rm; do\n"                                         \
    "    command -v $p >/dev/null || echo \"$p\"\n"                                                \
    "done\n"                                                                                       \
    "[ -d /proc/$$/fd ] || echo /proc\n"

int idp_instance_probe(const struct ctx *ctx, struct engine_instance *given, struct buf *report,
                       struct err *err)
{
    struct idp_instance *instance = (struct idp_instance *)given;
    CLEANUP_IDP_ANSWER struct idp_answer answer = IDP_ANSWER_INIT;

    if (idp_instance_ask(ctx, instance, PROBE, NULL, &answer, err) < 0)
        return -1;
    if (answer.out.len) {
        for (char *c = answer.out.data; *c; c++) {
            if (*c == '\n')
                *c = c[1] ? ' ' : '\0';
        }
        return err_set(err, ERR_UNSUPPORTED, "on the machine of %s this is missing: %s",
                       instance->peer, answer.out.data);
    }
    buf_addf(report, "%s, on %s", instance->peer, instance->machine);
    return 0;
}

const char *idp_instance_mend(const struct err *err)
{
    switch (err->code) {
    case ERR_DENIED:
        return "give the URL the client_id and client_secret that the agent was started with";
    case ERR_UNAVAILABLE:
        return "see whether the agent runs (agent server --port PORT) and is reached from here";
    case ERR_PROTOCOL:
        return "idp:// is for plain connections, idps:// for TLS";
    default:
        return NULL;
    }
}
