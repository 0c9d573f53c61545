/* What a server tells of itself, its description, and the files of the console. */
#include <string.h>

#include "base/clock.h"
#include "base/json_text.h"
#include "console/console.h"
#include "server/inside.h"
#include "server/openapi.h"

/* So long the store may take to show that it is there. */
enum { CHECK_MS = 2000 };

SERVER_HANDLER(about_root)
{
    json_t *object = json_pack("{s:s}", "version", RUNNER_VERSION);

    (void)ctx;
    (void)request;
    (void)err;
    json_set_time(object, "running_at", server->started_ms);
    web_response_json(response, 200, object);
    return 0;
}

SERVER_HANDLER(about_health)
{
    (void)ctx;
    (void)server;
    (void)request;
    (void)err;
    web_response_json(response, 200, json_pack("{s:s}", "status", "ok"));
    return 0;
}

static bool check_store(const struct ctx *ctx, struct server *server, json_t *checks)
{
    CLEANUP_STORE_RUNS struct store_runs runs = {0};
    struct err why = ERR_INIT;
    struct ctx limited;
    bool ok;

    ctx_init(&limited, ctx);
    ctx_set_timeout(&limited, CHECK_MS, "the store");
    ok = store_list(&limited, server->history->store, &(struct store_query){.limit = 1}, &runs,
                    &why) == 0;
    ctx_release(&limited);
    /* Who may ask need have no credentials: where the store is is not theirs to know. */
    json_object_set_new(checks, "store", json_string(ok ? "ok" : err_code_name(why.code)));
    return ok;
}

SERVER_HANDLER(about_ready)
{
    json_t *checks = json_object();
    bool launcher = !atomic_load(&server->launcher_gone);
    bool ok = check_store(ctx, server, checks) && launcher;
    const char *status = atomic_load(&server->draining) ? "draining" : ok ? "ok" : "unavailable";

    (void)request;
    (void)err;
    json_object_set_new(checks, "launcher", json_string(launcher ? "ok" : "gone"));
    web_response_json(response, strcmp(status, "ok") == 0 ? 200 : 503,
                      json_pack("{s:s, s:o}", "status", status, "checks", checks));
    return 0;
}

/* A body that does not change as long as the program does. */
static void answer_constant(const struct web_request *request, struct web_response *response,
                            const char *data, size_t size, const char *content_type,
                            const char *etag)
{
    strmap_set(&response->headers, "etag", etag);
    strmap_set(&response->headers, "cache-control", "no-cache");
    if (strstr(web_header(request, "if-none-match"), etag)) {
        response->status = 304;
        return;
    }
    response->content_type = content_type;
    response->constant = data;
    response->constant_size = size;
}

SERVER_HANDLER(about_openapi)
{
    size_t size;
    const char *text = openapi_text(&size);

    (void)ctx;
    (void)server;
    (void)err;
    answer_constant(request, response, text, size, "application/json", openapi_etag());
    return 0;
}

SERVER_HANDLER(about_console)
{
    const char *name = web_param(request, "file");
    const struct console_file *file = console_find(*name ? name : "index.html");

    (void)ctx;
    (void)server;
    if (!file)
        return err_set(err, ERR_NOT_FOUND, "there is nothing at %s", request->path);
    strmap_set(&response->headers, "content-security-policy",
               "default-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'");
    strmap_set(&response->headers, "referrer-policy", "no-referrer");
    answer_constant(request, response, file->data, file->size, file->content_type, file->etag);
    return 0;
}
