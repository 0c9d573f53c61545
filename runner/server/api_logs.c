/* The log of a run: a page of its lines, or all of them as a file. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/fold.h"
#include "base/json_text.h"
#include "base/utf8.h"
#include "record/log.h"
#include "server/inside.h"

enum {
    PAGE_MAX = 10000,             /* lines */
    PAGE_BYTES = 8 * 1024 * 1024, /* of them */
    PART_BYTES = 64 * 1024,       /* of what is exported */
    LINES_AT_ONCE = 1000,         /* before somebody asks whether they are still wanted */
    PART_MS = 50,                 /* so long a worker looks for it before others have their turn */
};

/* What is asked for. */
struct wanted {
    struct record_log_filter
        filter;        /* `node` is borrowed from the request, or owned by an export */
    struct buf search; /* folded; "": all */
    int64_t from_ms;
    int64_t until_ms; /* 0: no end */
};

/* One line, or a part of one. */
struct entry {
    const char *type;
    const struct record_item *item;
    const char *text;
    size_t size;
    bool continued;
};

static const struct {
    const char *name;
    unsigned bit;
} types[] = {
    {"stdout", RECORD_STDOUT_BIT},
    {"stderr", RECORD_STDERR_BIT},
    {"status", RECORD_NOTE_BIT},
    {"note", RECORD_NOTE_BIT},
};

static int read_type(const struct web_request *request, unsigned *ret, struct err *err)
{
    const char *name = web_query(request, "type");

    if (!*name)
        return 0;
    for (size_t i = 0; i < sizeof(types) / sizeof(*types); i++) {
        if (strcmp(types[i].name, name) == 0) {
            *ret = types[i].bit;
            return 0;
        }
    }
    return err_set(err, ERR_INVALID, "type is stdout, stderr or status, not \"%s\"", name);
}

static int read_wanted(const struct web_request *request, struct wanted *ret, struct err *err)
{
    const char *search = web_query(request, "search");

    *ret = (struct wanted){.search = BUF_INIT, .filter.node = web_query(request, "node")};
    if (strspn(ret->filter.node,
               "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_.-") !=
        strlen(ret->filter.node))
        return err_set(err, ERR_INVALID, "node is a place such as 0.1.2, not \"%s\"",
                       ret->filter.node);
    if (read_type(request, &ret->filter.streams, err) < 0 ||
        web_query_time(request, "start_time", &ret->from_ms, err) < 0 ||
        web_query_time(request, "end_time", &ret->until_ms, err) < 0)
        return -1;
    fold_add(&ret->search, search, strlen(search));
    return 0;
}

static bool is_wanted(const struct wanted *wanted, const struct entry *entry)
{
    CLEANUP_BUF struct buf folded = BUF_INIT;

    if (entry->item->time_ms < wanted->from_ms ||
        (wanted->until_ms && entry->item->time_ms > wanted->until_ms))
        return false;
    if (!wanted->search.len)
        return true;
    fold_add(&folded, entry->text, entry->size);
    return memmem(folded.data, folded.len, wanted->search.data, wanted->search.len);
}

typedef void (*entry_fn)(void *arg, const struct entry *entry);

/* Gives the lines of an item that are wanted, from *at on, which begins with 0: some of them; true:
 * there may be more. */
static bool some_lines(const struct wanted *wanted, const struct record_item *item, size_t *at,
                       entry_fn fn, void *arg)
{
    static const char *const names[] = {
        [RECORD_STDOUT] = "stdout", [RECORD_STDERR] = "stderr", [RECORD_NOTE] = "status"};
    struct record_line line;

    if (item->stream == RECORD_MISSING)
        return false;
    for (int i = 0; i < LINES_AT_ONCE; i++) {
        if (!record_log_line(item, at, &line))
            return false;

        const struct entry entry = {names[item->stream], item, line.data, line.size,
                                    line.continued};

        if (is_wanted(wanted, &entry))
            fn(arg, &entry);
    }
    return true;
}

/* --- a page --- */

struct page {
    int64_t limit;
    int64_t offset;
    int64_t total;
    int64_t next; /* the first one that PAGE_BYTES leave out; -1: none */
    size_t bytes;
    json_t *data;
};

static json_t *entry_to_json(const struct entry *entry)
{
    CLEANUP_BUF struct buf text = BUF_INIT;
    json_t *object = json_object();

    utf8_add_valid(&text, entry->text, entry->size);
    json_object_set_new(object, "type", json_string(entry->type));
    /* NUL is a character as good as any. */
    json_object_set_new(object, "message", json_stringn(text.data, text.len));
    json_set_time(object, "timestamp", entry->item->time_ms);
    json_object_set_new(object, "node", json_safe_string(entry->item->node));
    json_object_set_new(object, "seq", json_integer((json_int_t)entry->item->seq));
    if (entry->continued)
        json_object_set_new(object, "continued", json_true());
    return object;
}

static void add_to_page(void *arg, const struct entry *entry)
{
    struct page *page = arg;
    int64_t number = page->total++;

    if (number < page->offset || number - page->offset >= page->limit || page->next >= 0)
        return;
    if (page->bytes > PAGE_BYTES) {
        page->next = number;
        return;
    }
    page->bytes += entry->size;
    json_array_append_new(page->data, entry_to_json(entry));
}

/* Damage has been told when the run was looked at; what is sound is shown. */
static int fill_page(const struct ctx *ctx, struct record_log *log, const struct wanted *wanted,
                     struct page *page, struct err *err)
{
    struct record_item item;
    enum record_got got;

    if (wanted->from_ms && record_log_seek_time(log, wanted->from_ms, err) < 0)
        return -1;
    while ((got = record_log_next(log, &item, NULL)) == RECORD_ITEM || got == RECORD_DAMAGED) {
        size_t at = 0;
        bool more = got == RECORD_ITEM;

        do {
            if (ctx_check(ctx, err) < 0)
                return -1;
            more = more && some_lines(wanted, &item, &at, add_to_page, page);
        } while (more);
    }
    return 0;
}

static int read_page(const struct ctx *ctx, struct server *server, const char *id,
                     const struct wanted *wanted, struct page *page, struct err *err)
{
    CLEANUP_RECORD struct record *record = NULL;
    CLEANUP_RECORD_LOG struct record_log *log = NULL;
    struct err why = ERR_INIT;

    if (record_open(server->history->runs, id, &record, &why) < 0) {
        /* One that waits, or was cancelled before it began, has said nothing. */
        return why.code == ERR_NOT_FOUND ? 0 : err_set(err, why.code, "%s", why.message);
    }
    record_log_open(record, &wanted->filter, &log);
    return fill_page(ctx, log, wanted, page, err);
}

/* Takes the data. */
static json_t *page_to_json(const struct page *page)
{
    json_t *object =
        json_pack("{s:o, s:I, s:I, s:I}", "data", page->data, "total", (json_int_t)page->total,
                  "limit", (json_int_t)page->limit, "offset", (json_int_t)page->offset);

    if (page->next >= 0)
        json_object_set_new(object, "next_offset", json_integer(page->next));
    return object;
}

static bool is_set(const char *text)
{
    return *text && strcmp(text, "0") != 0 && strcmp(text, "false") != 0;
}

SERVER_HANDLER(logs_get)
{
    CLEANUP_STORE_RUNS struct store_runs runs = {0};
    struct wanted wanted;
    struct page page = {.limit = PAGE_MAX, .next = -1};
    int result = -1;

    if (is_set(web_query(request, "follow")))
        return logs_follow(ctx, server, request, response, err);
    if (read_wanted(request, &wanted, err) < 0 ||
        web_query_int(request, "limit", PAGE_MAX, &page.limit, err) < 0 ||
        web_query_int(request, "offset", INT64_MAX / 2, &page.offset, err) < 0)
        goto out;
    page.limit = page.limit ? page.limit : PAGE_MAX;
    page.data = json_array();
    if (server_get_run(ctx, server, web_param(request, "id"), &runs, err) == 0)
        result = read_page(ctx, server, runs.items[0].id, &wanted, &page, err);
    if (result < 0)
        json_decref(page.data);
    else
        web_response_json(response, 200, page_to_json(&page));
out:
    buf_release(&wanted.search);
    return result;
}

/* --- a file --- */

struct export
{
    struct wanted wanted;
    char *node;
    bool json;
    bool begun;
    bool any; /* an entry has been written */
    char *id;
    char *name;
    struct record *record;
    struct record_log *log;
    struct record_item item;
    size_t at; /* in the item */
    bool in_item;
    struct buf *out;
};

static void release_export(void *arg)
{
    struct export *e = arg;

    record_log_close(e->log);
    record_close(e->record);
    buf_release(&e->wanted.search);
    free(e->node);
    free(e->id);
    free(e->name);
    free(e);
}

static void begin_text(struct export *e)
{
    char now[CLOCK_RFC3339_SIZE];

    clock_rfc3339(clock_wall_ms(), now);
    buf_addstr(e->out, "Pipeline: ");
    utf8_add_visible(e->out, e->name);
    buf_addf(e->out, " (ID: %s)\nExported at: %s\n", e->id, now);
    for (int i = 0; i < 80; i++)
        buf_addch(e->out, '=');
    buf_addstr(e->out, "\n\n");
}

static void add_text(void *arg, const struct entry *entry)
{
    struct export *e = arg;
    char time[CLOCK_RFC3339_SIZE];

    clock_rfc3339(entry->item->time_ms, time);
    time[10] = ' ';
    time[19] = '\0';
    buf_addf(e->out, "[%s] [%s] ", time, entry->type);
    utf8_add_valid(e->out, entry->text, entry->size);
    buf_addch(e->out, '\n');
}

static void begin_json(struct export *e)
{
    json_t *object =
        json_pack("{s:s, s:o}", "pipeline_id", e->id, "pipeline_name", json_safe_string(e->name));
    char *text;

    json_set_time(object, "exported_at", clock_wall_ms());
    text = json_dumps(object, JSON_COMPACT);
    if (text)
        buf_add(e->out, text, strlen(text) - 1);
    buf_addstr(e->out, ",\"logs\":[");
    free(text);
    json_decref(object);
}

static void add_json(void *arg, const struct entry *entry)
{
    struct export *e = arg;
    json_t *object = entry_to_json(entry);
    char *text = json_dumps(object, JSON_COMPACT);

    buf_addf(e->out, "%s\n%s", e->any ? "," : "", text ? text : "null");
    e->any = true;
    free(text);
    json_decref(object);
}

static int produce(void *arg, struct buf *out)
{
    struct export *e = arg;
    bool more = e->log;
    int64_t until_ms = clock_monotonic_ms() + PART_MS;

    e->out = out;
    if (!e->begun)
        (e->json ? begin_json : begin_text)(e);
    e->begun = true;
    while (more && out->len < PART_BYTES && clock_monotonic_ms() < until_ms) {
        enum record_got got;

        if (e->in_item) {
            e->in_item = some_lines(&e->wanted, &e->item, &e->at, e->json ? add_json : add_text, e);
            continue;
        }
        got = record_log_next(e->log, &e->item, NULL);
        e->in_item = got == RECORD_ITEM;
        e->at = 0;
        more = got == RECORD_ITEM || got == RECORD_DAMAGED;
    }
    if (more)
        return 1;
    if (e->json)
        buf_addstr(out, "\n]}\n");
    return 0;
}

static const struct produced_ops export_ops = {.produce = produce, .release = release_export};

static int read_format(const struct web_request *request, bool *ret_json, struct err *err)
{
    const char *format = web_query(request, "format");

    *ret_json = strcmp(format, "json") == 0;
    if (*ret_json || !*format || strcmp(format, "text") == 0)
        return 0;
    return err_set(err, ERR_INVALID, "format is text or json, not \"%s\"", format);
}

static int open_export(struct server *server, const struct web_request *request,
                       const struct store_run *run, struct export *e, struct err *err)
{
    struct err why = ERR_INIT;

    if (read_wanted(request, &e->wanted, err) < 0 || read_format(request, &e->json, err) < 0)
        return -1;
    e->node = xstrdup(e->wanted.filter.node);
    e->wanted.filter.node = e->node;
    e->id = xstrdup(run->id);
    e->name = xstrdup(run->name);
    if (record_open(server->history->runs, run->id, &e->record, &why) < 0)
        return why.code == ERR_NOT_FOUND ? 0 : err_set(err, why.code, "%s", why.message);
    record_log_open(e->record, &e->wanted.filter, &e->log);
    if (e->wanted.from_ms)
        return record_log_seek_time(e->log, e->wanted.from_ms, err);
    return 0;
}

SERVER_HANDLER(logs_export)
{
    CLEANUP_STORE_RUNS struct store_runs runs = {0};
    struct export *e;

    if (server_get_run(ctx, server, web_param(request, "id"), &runs, err) < 0)
        return -1;
    e = xcalloc(1, sizeof(*e));
    e->wanted.search = (struct buf)BUF_INIT;
    if (open_export(server, request, &runs.items[0], e, err) < 0) {
        release_export(e);
        return -1;
    }
    response->content_type = e->json ? "application/json" : "text/plain; charset=utf-8";
    strmap_setf(&response->headers, "content-disposition",
                "attachment; filename=\"pipeline-%s-logs.%s\"", e->id, e->json ? "json" : "txt");
    response->stream = produced_new(&server->workers, &export_ops, e);
    return 0;
}
