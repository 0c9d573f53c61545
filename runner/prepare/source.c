#include "prepare/source.h"

#include <string.h>

#include "apis/http/http.h"
#include "base/alloc.h"
#include "base/logger.h"

enum { FETCH_TIMEOUT_MS = 60000 };

static bool is_url(const char *where)
{
    return strncmp(where, "http://", 7) == 0 || strncmp(where, "https://", 8) == 0;
}

/* "http://user:password@host/path" becomes "http://host/path", for messages. */
static char *without_credentials(const char *url)
{
    const char *authority = strstr(url, "://") + 3;
    const char *at = memrchr(authority, '@', strcspn(authority, "/?#"));

    return at ? xasprintf("%.*s%s", (int)(authority - url), url, at + 1) : xstrdup(url);
}

static int fetch(const char *url, struct load_source *source, struct err *err)
{
    const char *slash = strchr(strstr(url, "://") + 3, '/');
    CLEANUP_FREE char *base = slash ? xstrndup(url, (size_t)(slash - url)) : xstrdup(url);
    CLEANUP_FREE char *peer = without_credentials(base);
    CLEANUP_FREE char *name = without_credentials(url);
    const struct yaml_limits limits = YAML_LIMITS_INIT;
    struct http_client_options options = {.base_url = base, .peer = peer};
    struct http_request request = {.method = "GET",
                                   .path = slash ? slash : "/",
                                   .max_body = limits.text_bytes};
    CLEANUP_HTTP_RESPONSE struct http_response response = HTTP_RESPONSE_INIT;
    CLEANUP_HTTP_CLIENT struct http_client *client = NULL;
    struct ctx ctx;

    ctx_init_cleanup(&ctx, FETCH_TIMEOUT_MS);
    ctx.label = "fetching the pipeline file:";
    if (http_client_new(&options, &client, err) < 0 ||
        http_perform(&ctx, client, &request, &response, err) < 0)
        return -1;
    if (response.status != 200)
        return err_set(err, ERR_NOT_FOUND, "the server answered with status %d", response.status);
    load_source_init(source, name, response.body.data, response.body.len);
    return 0;
}

int source_read(const char *where, struct load_source *source, struct diag_list *diags)
{
    CLEANUP_FREE char *found = NULL;
    CLEANUP_FREE char *name = NULL;
    struct err err = ERR_INIT;

    if (!where)
        where = found = load_find_default(".");
    if (!where) {
        load_source_init(source, ".", "", 0);
        diag_add(diags, DIAG_ERROR, (struct src_pos){0}, "",
                 "no pipeline file is given and none of %s is here", load_default_names);
        return -1;
    }
    if (!is_url(where))
        return load_read(where, NULL, source, diags);
    if (fetch(where, source, &err) == 0)
        return 0;
    name = without_credentials(where);
    load_source_init(source, name, "", 0);
    diag_add(diags, DIAG_ERROR, (struct src_pos){0}, "", "cannot be fetched: %s", err.message);
    return -1;
}
