/* Runs of a server that does not speak runner.v2: it says no id, and "done" when the run is queued.
 * Its REST interface has the text of each run, so a mark in the text finds it; and its output and
 * state, which are asked for until that is final. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "apis/http/retry.h"
#include "base/alloc.h"
#include "base/clock.h"
#include "base/json_at.h"
#include "client/inside.h"
#include "client/rest.h"

enum {
    POLL_MS = 1000,
    /* Of its last runs. */
    LIST_MAX = 200,
    FIND_TRIES = 3,
    TRIES = 12,
    /* So many entries are kept of a log there. */
    LOG_MAX = 10000,
};

char *client_marked(const char *text)
{
    size_t size = strlen(text);
    unsigned char bytes[12];
    struct buf out = BUF_INIT;

    buf_addstr(&out, text);
    if (size && text[size - 1] != '\n')
        buf_addch(&out, '\n');
    buf_addstr(&out, "# submission ");
    if (getentropy(bytes, sizeof(bytes)) < 0)
        abort();
    for (size_t i = 0; i < sizeof(bytes); i++)
        buf_addf(&out, "%02x", bytes[i]);
    buf_addch(&out, '\n');
    return buf_steal(&out);
}

/* Asks until there is an answer, or it will not come by itself. */
static int ask(struct client *c, const char *method, const char *path, json_t **ret,
               struct err *err)
{
    struct retry retry;

    retry_init(&retry, &(struct retry_policy){.attempts = TRIES});
    for (;;) {
        struct ctx ctx;
        int result;

        ctx_init(&ctx, &c->work);
        ctx.also = c->options->hurry;
        result = client_rest(&ctx, c->options->target, c->http, method, path, NULL, ret, err);
        ctx_release(&ctx);
        if (result == 0 || !retry_is_transient(err) || !retry_left(&retry) || c->hurrying)
            return result;
        if (client_wait(c, false, (int)retry_next_delay_ms(&retry, -1), NULL) < 0)
            return -1;
        retry.attempt++;
    }
}

/* --- finding it --- */

static const char *find_id(const json_t *list, const char *text)
{
    const json_t *runs = json_at(list, "data");

    for (size_t i = 0; i < json_array_size(runs); i++) {
        const json_t *run = json_array_get(runs, i);

        if (strcmp(json_at_string(run, "yaml"), text) == 0)
            return json_at_string(run, "id");
    }
    return NULL;
}

static int find(struct client *c, const char *text, struct err *err)
{
    CLEANUP_FREE char *path = xasprintf("/pipelines?limit=%d", LIST_MAX);

    for (int i = 0; i < FIND_TRIES; i++) {
        json_t *list = NULL;
        const char *id;

        if (ask(c, "GET", path, &list, err) < 0)
            return -1;
        id = find_id(list, text);
        c->end->id = xstrdup_null(id);
        json_decref(list);
        if (c->end->id)
            return 0;
        if (client_wait(c, false, POLL_MS, err) < 0)
            return -1;
    }
    return err_set(err, ERR_LOST,
                   "%s has queued the run, and does not tell which of its runs that is",
                   c->options->target->name);
}

/* --- following it --- */

static void show(struct client *c, const json_t *entry)
{
    const char *type = json_at_string(entry, "type");
    const json_t *message = json_at(entry, "message");
    struct client_output output = {.kind = strcmp(type, "stderr") == 0   ? CLIENT_STDERR
                                           : strcmp(type, "stdout") == 0 ? CLIENT_STDOUT
                                                                         : CLIENT_NOTE,
                                   .data = json_string_value(message),
                                   .size = json_string_length(message)};

    (void)!clock_parse_rfc3339(json_at_string(entry, "timestamp"), &output.time_ms);
    if (output.data)
        c->handler->output(c->handler->arg, &output);
}

/* What is behind the first *seen entries. A server that has no more than these gives all. */
static int show_new(struct client *c, int64_t *seen, struct err *err)
{
    CLEANUP_FREE char *path =
        xasprintf("/pipelines/%s/logs?limit=%d&offset=%lld", c->end->id, LOG_MAX, (long long)*seen);
    json_t *answer = NULL;
    const json_t *entries;
    int64_t total;

    if (ask(c, "GET", path, &answer, err) < 0)
        return -1;
    entries = json_at(answer, "data");
    total = json_at_int(answer, "total");
    for (size_t i = 0; total > *seen && i < json_array_size(entries); i++)
        show(c, json_array_get(entries, i));
    if (total >= LOG_MAX && *seen < LOG_MAX)
        c->handler->say(c->handler->arg,
                        "the server keeps no more output than this: what is missing is not shown");
    if (total > *seen)
        *seen = total;
    json_decref(answer);
    return 0;
}

/* It knows no more than "cancel". */
static void pass_on(struct client *c, bool *cancelled)
{
    CLEANUP_FREE char *path = xasprintf("/pipelines/%s/cancel", c->end->id);
    struct err why = ERR_INIT;

    if (!c->cancelling || *cancelled)
        return;
    *cancelled = true;
    if (ask(c, "POST", path, NULL, &why) < 0)
        c->handler->say(c->handler->arg, why.message);
}

static bool is_final(const char *status)
{
    return strcmp(status, "succeeded") == 0 || strcmp(status, "failed") == 0 ||
           strcmp(status, "cancelled") == 0;
}

static int follow(struct client *c, struct err *err)
{
    CLEANUP_FREE char *path = xasprintf("/pipelines/%s", c->end->id);
    bool cancelled = false;
    int64_t seen = 0;

    for (;;) {
        json_t *run = NULL;
        const char *status;
        bool final;

        client_attend(c);
        pass_on(c, &cancelled);
        if (ask(c, "GET", path, &run, err) < 0)
            return -1;
        status = json_at_string(run, "status");
        final = is_final(status);
        if (final)
            client_set_end(c, status, json_at_string(run, "error"));
        json_decref(run);
        if (show_new(c, &seen, err) < 0)
            return -1;
        if (final)
            return 0;
        c->handler->wait_for_room(c->handler->arg);
        if (client_wait(c, false, POLL_MS, err) < 0)
            return -1;
    }
}

/* What goes wrong from now on leaves the end unknown. */
static int unknown(const struct client *c, struct err *err)
{
    if (err && err->code != ERR_UNAVAILABLE)
        err->code = ERR_LOST;
    return err_wrap(err, "the run is queued, and how it ends is not known%s%s",
                    c->end->id ? ": it is " : "", c->end->id ? c->end->id : "");
}

int client_follow_classic(struct client *c, const char *text, struct err *err)
{
    client_set_end(c, NULL, NULL);
    if (c->options->detach) {
        c->end->submitted = true;
        (void)!find(c, text, NULL);
        return 0;
    }
    if (find(c, text, err) < 0 || follow(c, err) < 0)
        return unknown(c, err);
    return 0;
}
