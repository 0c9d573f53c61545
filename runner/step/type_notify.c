/* `type: notify`. The whole request is a configuration file of curl that comes with the step: the
 * URL of a web hook is a secret, and arguments can be seen by everybody on the machine. */
#include <string.h>

#include <jansson.h>

#include "base/alloc.h"
#include "base/json_text.h"
#include "step/type.h"

#define IMAGE "curlimages/curl:latest"

/* Lines of such files had a limit of 100 KiB. */
enum { BODY_MAX = 64 * 1024 };

static const char *const methods[SPEC_METHOD_COUNT] = {
    [SPEC_METHOD_UNSET] = "POST", [SPEC_METHOD_GET] = "GET",     [SPEC_METHOD_POST] = "POST",
    [SPEC_METHOD_PUT] = "PUT",    [SPEC_METHOD_PATCH] = "PATCH", [SPEC_METHOD_DELETE] = "DELETE",
};

/* {KEY: MESSAGE}, or with an inner key {"msgtype": KEY, KEY: {INNER: MESSAGE}}; no key: the message
 * is the body. */
static const struct {
    const char *key;
    const char *inner;
} formats[SPEC_MESSAGE_COUNT] = {
    [SPEC_MESSAGE_UNSET] = {"text", NULL},      [SPEC_MESSAGE_JSON] = {"text", NULL},
    [SPEC_MESSAGE_DISCORD] = {"content", NULL}, [SPEC_MESSAGE_DINGTALK] = {"text", "content"},
    [SPEC_MESSAGE_WECOM] = {"text", "content"}, [SPEC_MESSAGE_PLAIN] = {NULL, NULL},
};

/* A line NAME = "VALUE". */
static void add_option(struct buf *file, const char *name, const char *value)
{
    static const char special[] = "\\\"\n\r\t\v";
    static const char letters[] = "\\\"nrtv";

    buf_addf(file, "%s = \"", name);
    for (; *value; value++) {
        const char *at = strchr(special, *value);

        if (at)
            buf_addch(file, '\\');
        buf_addch(file, at ? letters[at - special] : *value);
    }
    buf_addstr(file, "\"\n");
}

/* The body of a message; the caller frees. */
static char *format_message(enum spec_message_format format, const char *message)
{
    const char *key = formats[format].key;
    const char *inner = formats[format].inner;
    json_t *json;
    char *dumped;
    char *body;

    if (!key)
        return xstrdup(message);
    json = inner ? json_pack("{s: s, s: {s: o}}", "msgtype", key, key, inner,
                             json_safe_string(message))
                 : json_pack("{s: o}", key, json_safe_string(message));
    dumped = json_dumps(json, JSON_COMPACT);
    json_decref(json);
    body = xstrdup(dumped ? dumped : "");
    free(dumped);
    return body;
}

static int add_body(const struct step_context *context, struct step_lowered *lowered,
                    struct buf *file, const char **type, struct err *err)
{
    const struct spec_config *config = context->step->spec->config;
    CLEANUP_FREE char *formatted = NULL;
    const char *message;
    const char *body;

    if (lower_text(context, lowered, &config->message, &message, err) < 0 ||
        lower_text(context, lowered, &config->body, &body, err) < 0)
        return -1;
    if (message)
        body = formatted = format_message(config->format, message);
    if (!body)
        return 0;
    *type = config->format == SPEC_MESSAGE_PLAIN ? "text/plain; charset=utf-8" : "application/json";
    if (strlen(body) > BODY_MAX)
        return err_set(err, ERR_LIMIT, "a \"message\" or \"body\" may have %d KiB",
                       BODY_MAX / 1024);
    add_option(file, "data-raw", body);
    return 0;
}

/* `type` is the body's, which a header of the step can replace. */
static int add_headers(const struct step_context *context, struct step_lowered *lowered,
                       struct buf *file, const char *type, struct err *err)
{
    const struct spec_pairs *headers = &context->step->spec->config->headers;

    for (size_t i = 0; i < headers->len; i++) {
        const struct spec_pair *pair = &headers->items[i];
        CLEANUP_BUF struct buf line = BUF_INIT;
        const char *value;

        if (plan_is_unset_name(context->plan, context->settings, &pair->value))
            continue;
        if (lower_text(context, lowered, &pair->value, &value, err) < 0)
            return -1;
        if (strpbrk(value, "\r\n") || strpbrk(pair->key, "\r\n:"))
            return err_set(err, ERR_INVALID,
                           "the header \"%s\" must be of one line; check what it is made of",
                           pair->key);
        if (strcasecmp(pair->key, "content-type") == 0)
            type = NULL;
        /* Without a value curl would leave the header out. */
        buf_addf(&line, *value ? "%s: %s" : "%s;", pair->key, value);
        add_option(file, "header", line.data);
    }
    if (type) {
        CLEANUP_FREE char *line = xasprintf("Content-Type: %s", type);

        add_option(file, "header", line);
    }
    return 0;
}

static int add_url(const struct step_context *context, struct step_lowered *lowered,
                   struct buf *file, struct err *err)
{
    const char *url;

    if (lower_text(context, lowered, &context->step->spec->config->url, &url, err) < 0)
        return -1;
    /* While nothing is to run, a secret need not be there. */
    if (!context->plan->inputs.incomplete && strncmp(url, "http://", 7) != 0 &&
        strncmp(url, "https://", 8) != 0)
        return err_set(err, ERR_INVALID,
                       *url ? "\"url\" must begin with http:// or https://" : "\"url\" is empty");
    add_option(file, "url", url);
    return 0;
}

int type_lower_notify(const struct step_context *context, struct step_lowered *lowered,
                      struct err *err)
{
    const struct spec_config *config = context->step->spec->config;
    CLEANUP_BUF struct buf file = BUF_INIT;
    CLEANUP_BUF struct buf script = BUF_INIT;
    const char *type = NULL;

    buf_addstr(&file, "silent\nshow-error\nfail-with-body\ngloboff\nconnect-timeout = 30\n");
    add_option(&file, "request", methods[config->method]);
    if (add_url(context, lowered, &file, err) < 0 ||
        add_body(context, lowered, &file, &type, err) < 0 ||
        add_headers(context, lowered, &file, type, err) < 0)
        return -1;
    type_set_image(lowered, IMAGE);
    type_add_need(context, lowered, "curl", "curl", IMAGE, &script);
    buf_addstr(&script, "exec curl --disable --config \"$1\"");
    lower_environment(context, &lowered->environment);
    lower_script(lowered, "sh", true, lower_own(lowered, buf_steal(&script)),
                 (const char *const[]){"notify", RUNNABLE_FILES "request", NULL});
    lowered->file = (struct runnable_file){.name = "request", .size = file.len};
    lowered->file.data = lower_own(lowered, buf_steal(&file));
    return 0;
}
