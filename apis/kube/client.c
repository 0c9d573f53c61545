#include "apis/kube/client.h"

#include <string.h>

#include "apis/http/retry.h"
#include "apis/kube/internal.h"
#include "base/alloc.h"
#include "base/json_at.h"

struct kube_client {
    struct kube_cluster *cluster;
    struct http_client *http; /* NULL until the first request */
    unsigned cert_generation; /* of the credentials that http has */
    struct kube_status status;
    json_t *refusal;    /* a Status, or NULL */
    json_t *discovered; /* by discovery.c */
};

struct kube_client *kube_client_new(struct kube_cluster *cluster)
{
    struct kube_client *client = xcalloc(1, sizeof(*client));

    client->cluster = cluster;
    client->status.retry_after_ms = -1;
    client->discovered = json_object();
    return client;
}

void kube_client_free(struct kube_client *client)
{
    if (!client)
        return;
    http_client_free(client->http);
    json_decref(client->discovered);
    json_decref(client->refusal);
    free(client);
}

struct kube_cluster *kube_client_cluster(const struct kube_client *client)
{
    return client->cluster;
}

const struct kube_status *kube_client_status(const struct kube_client *client)
{
    return &client->status;
}

const json_t *kube_client_refusal(const struct kube_client *client)
{
    return client->refusal;
}

json_t *kube_client_discovered(struct kube_client *client)
{
    return client->discovered;
}

int kube_http_new(const struct kube_cluster *cluster, const struct kube_auth *auth,
                  int stall_timeout_s, struct http_client **ret, struct err *err)
{
    /* Kubelets refuse to run commands for a client that takes nothing but JSON. */
    static const char *const headers[] = {"User-Agent: runner/" RUNNER_VERSION,
                                          "Accept: application/json, */*", NULL};
    struct http_client_options options = {
        .base_url = cluster->server,
        .proxy = cluster->proxy,
        .peer = cluster->peer,
        .tls = auth->tls,
        .headers = headers,
        .stall_timeout_s = stall_timeout_s,
    };

    options.tls.ca_file = cluster->ca_file;
    options.tls.ca_pem = cluster->ca_pem;
    options.tls.insecure = cluster->insecure;
    options.tls.server_name = cluster->tls_server_name;
    return http_client_new(&options, ret, err);
}

/* The client's connections have the certificate of the auth. */
static int ensure_http(struct kube_client *client, const struct kube_auth *auth, struct err *err)
{
    if (client->http && client->cert_generation == auth->cert_generation)
        return 0;
    http_client_free(steal_ptr(&client->http));
    client->cert_generation = auth->cert_generation;
    return kube_http_new(client->cluster, auth, 0, &client->http, err);
}

static bool success(int status)
{
    return status >= 200 && status <= 299;
}

static void keep_refusal(struct kube_client *client, const struct http_response *response)
{
    json_t *body = json_loadb(response->body.data, response->body.len, JSON_ALLOW_NUL, NULL);

    if (strcmp(json_at_string(body, "kind"), "Status") == 0)
        client->refusal = json_incref(body);
    json_decref(body);
}

static void forget_refusal(struct kube_client *client)
{
    json_decref(steal_ptr(&client->refusal));
    client->status = (struct kube_status){.retry_after_ms = -1};
}

static int take_answer(struct kube_client *client, const struct kube_request *request,
                       const struct http_response *response, json_t **ret, struct err *err)
{
    json_error_t where;

    if (!success(response->status)) {
        keep_refusal(client, response);
        return kube_response_error(client->cluster, response, &client->status, err);
    }
    if (!ret)
        return 0;
    *ret = json_loadb(response->body.data, response->body.len, JSON_ALLOW_NUL | JSON_DECODE_ANY,
                      &where);
    if (!*ret)
        return err_set(err, ERR_PROTOCOL, "%s: the answer to %s %s is not JSON: %s",
                       client->cluster->peer, request->method, request->path, where.text);
    return 0;
}

/* One attempt. *ret_generation is that of the credentials it had, 0 when it had none. */
static int attempt(const struct ctx *ctx, struct kube_client *client,
                   const struct kube_request *request, const char *body, unsigned *ret_generation,
                   json_t **ret, struct err *err)
{
    static const char *const keep[] = {"retry-after", NULL};
    CLEANUP_KUBE_AUTH struct kube_auth auth = {0};
    CLEANUP_STRVEC struct strvec headers = {0};
    CLEANUP_HTTP_RESPONSE struct http_response response = HTTP_RESPONSE_INIT;
    struct http_request http = {
        .method = request->method,
        .path = request->path,
        .body = body,
        .body_len = body ? strlen(body) : 0,
        .write = request->write,
        .write_arg = request->write_arg,
        .max_body = request->max_body ? request->max_body : KUBE_ANSWER_MAX,
        .keep = keep,
        .once = request->repeat != KUBE_REPEAT_SAFE,
        .settle_ms = request->settle_ms,
    };

    *ret_generation = 0;
    if (kube_credentials_get(ctx, client->cluster->credentials, &auth, err) < 0 ||
        ensure_http(client, &auth, err) < 0)
        return -1;
    *ret_generation = auth.generation;
    strvec_extend(&headers, auth.headers.items);
    if (body)
        strvec_pushf(&headers, "Content-Type: %s",
                     request->content_type ? request->content_type : "application/json");
    http.headers = (const char *const *)headers.items;
    if (http_perform(ctx, client->http, &http, &response, err) < 0)
        return -1;
    return take_answer(client, request, &response, ret, err);
}

static bool may_repeat(const struct kube_client *client, const struct kube_request *request,
                       unsigned generation, const struct err *err)
{
    if (!generation) /* credentials could not be had: nothing was asked */
        return false;
    if (client->status.code)
        return kube_status_is_transient(&client->status) ||
               (request->repeat == KUBE_REPEAT_SAFE && retry_is_transient(err));
    return err->code == ERR_UNAVAILABLE ||
           (err->code == ERR_LOST && request->repeat == KUBE_REPEAT_SAFE);
}

/* Repeats the request as client.h says. */
static int repeat(const struct ctx *ctx, struct kube_client *client,
                  const struct kube_request *request, const char *body, json_t **ret,
                  struct err *err)
{
    struct retry retry;
    bool renewed = false;

    retry_init(&retry, &(struct retry_policy){0});
    for (;;) {
        unsigned generation;
        bool changed = false;

        forget_refusal(client);
        if (attempt(ctx, client, request, body, &generation, ret, err) == 0)
            return 0;
        if (client->status.code == 401 && !renewed) {
            struct err renewal = ERR_INIT;

            renewed = true;
            if (kube_credentials_renew(ctx, client->cluster->credentials, generation, &changed,
                                       &renewal) < 0) {
                *err = renewal;
                return -1;
            }
            if (changed)
                continue;
        }
        if (!may_repeat(client, request, generation, err) ||
            retry_wait(ctx, &retry, client->status.retry_after_ms, err) < 0)
            return -1;
    }
}

static void free_string(char **text)
{
    free(*text);
}

int kube_call(const struct ctx *ctx, struct kube_client *client, const struct kube_request *request,
              json_t **ret, struct err *err)
{
    CLEANUP(free_string)
    char *body = request->body ? json_dumps(request->body, JSON_COMPACT) : NULL;
    struct err own = ERR_INIT;

    if (request->body && !body)
        return err_set(err, ERR_INVALID, "what is to be sent to Kubernetes is not valid UTF-8");
    if (repeat(ctx, client, request, body, ret, &own) == 0)
        return 0;
    if (err)
        *err = own;
    return -1;
}

int kube_version(const struct ctx *ctx, struct kube_client *client, json_t **ret, struct err *err)
{
    const struct kube_request request = {.method = "GET",
                                         .path = "/version",
                                         .repeat = KUBE_REPEAT_SAFE};

    return kube_call(ctx, client, &request, ret, err);
}

/* Digits at *at, behind which *at is left; false: there are none, or too many for a version. */
static bool read_number(const char **at, int *ret)
{
    size_t len = strspn(*at, "0123456789");

    *ret = 0;
    for (size_t i = 0; i < len && len <= 3; i++)
        *ret = *ret * 10 + (*at)[i] - '0';
    *at += len;
    return len > 0 && len <= 3;
}

int kube_version_number(const json_t *version)
{
    const char *major_text = json_at_string(version, "major");
    const char *minor_text = json_at_string(version, "minor");
    const char *at = json_at_string(version, "gitVersion");
    int major, minor;

    if (read_number(&major_text, &major) && read_number(&minor_text, &minor))
        return major * 1000 + minor;
    at += *at == 'v';
    return read_number(&at, &major) && *at++ == '.' && read_number(&at, &minor)
               ? major * 1000 + minor
               : 0;
}

static void set_string(json_t *object, const char *key, const char *value)
{
    if (value)
        json_object_set_new(object, key, json_string(value));
}

int kube_access_check(const struct ctx *ctx, struct kube_client *client,
                      const struct kube_access *access, bool *ret_allowed, struct err *err)
{
    json_t *attributes = json_object();
    json_t *review =
        json_pack("{s:s, s:s, s:{s:o}}", "apiVersion", "authorization.k8s.io/v1", "kind",
                  "SelfSubjectAccessReview", "spec", "resourceAttributes", attributes);
    const struct kube_request request = {
        .method = "POST",
        .path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews",
        .body = review,
        .repeat = KUBE_REPEAT_SAFE,
    };
    json_t *answer = NULL;
    int result;

    set_string(attributes, "namespace", access->ns);
    set_string(attributes, "verb", access->verb);
    set_string(attributes, "group", access->group);
    set_string(attributes, "resource", access->resource);
    set_string(attributes, "subresource", access->subresource);
    set_string(attributes, "name", access->name);
    result = kube_call(ctx, client, &request, &answer, err);
    if (result == 0)
        *ret_allowed = json_is_true(json_at(answer, "status.allowed"));
    json_decref(answer);
    json_decref(review);
    return result;
}
