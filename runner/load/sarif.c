#include "load/sarif.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/json_text.h"
#include "load/diag_print.h"

#define SARIF_SCHEMA "https://json.schemastore.org/sarif-2.1.0.json"
#define RULE         "pipeline-file"

json_t *sarif_new(void)
{
    json_t *rule = json_pack("{s: s, s: {s: s}, s: {s: s}}", "id", RULE, "shortDescription", "text",
                             "The pipeline file cannot be run as it is, or not as it is meant",
                             "defaultConfiguration", "level", "error");
    json_t *driver = json_pack("{s: s, s: s, s: [o]}", "name", "runner", "version", RUNNER_VERSION,
                               "rules", rule);
    json_t *run = json_pack("{s: {s: o}, s: s, s: [{s: b, s: []}], s: []}", "tool", "driver",
                            driver, "columnKind", "utf16CodeUnits", "invocations",
                            "executionSuccessful", 1, "toolExecutionNotifications", "results");
    json_t *log =
        json_pack("{s: s, s: s, s: [o]}", "$schema", SARIF_SCHEMA, "version", "2.1.0", "runs", run);

    if (!log)
        abort();
    return log;
}

/* A relative path stays relative: whoever reads it takes it from the root of the sources. */
static json_t *uri_of(const char *name)
{
    CLEANUP_BUF struct buf uri = BUF_INIT;
    bool is_url = strncmp(name, "http://", 7) == 0 || strncmp(name, "https://", 8) == 0;

    if (*name == '/')
        buf_addstr(&uri, "file://");
    for (const char *c = name; *c; c++) {
        if (is_url || isalnum((unsigned char)*c) || strchr("-._~/", *c))
            buf_addch(&uri, *c);
        else
            buf_addf(&uri, "%%%02X", (unsigned char)*c);
    }
    return json_string(uri.data);
}

/* Where a line begins, and in *ret_len how long it is; NULL: there are fewer lines. */
static const char *find_line(const struct buf *text, uint32_t number, size_t *ret_len)
{
    const char *end = text->data + text->len;
    const char *line = text->data;

    if (text->len >= 3 && memcmp(line, "\xef\xbb\xbf", 3) == 0)
        line += 3;
    for (; number > 1; number--) {
        line = memchr(line, '\n', (size_t)(end - line));
        if (!line)
            return NULL;
        line++;
    }
    *ret_len = strcspn(line, "\r\n");
    return line;
}

/* The column in UTF-16 code units of one that counts bytes; both from 1. */
static uint32_t utf16_column(const struct load_source *source, struct src_pos pos)
{
    size_t len = 0;
    const char *line = find_line(&source->text, pos.line, &len);
    uint32_t column = 1;

    for (size_t i = 0; line && i < len && i + 1 < pos.column; i++) {
        unsigned char c = (unsigned char)line[i];

        column += (c & 0xc0) != 0x80;
        column += c >= 0xf0; /* beyond the basic plane: a surrogate pair */
    }
    return line ? column : pos.column;
}

static json_t *location_of(const struct load_source *main, const struct diag *diag)
{
    const struct load_source *source = load_source_at(main, diag->pos);
    json_t *physical = json_pack("{s: {s: o}}", "artifactLocation", "uri", uri_of(source->name));
    json_t *location = json_pack("{s: O}", "physicalLocation", physical);

    if (diag->pos.line)
        json_object_set_new(physical, "region",
                            json_pack("{s: i, s: i}", "startLine", (int)diag->pos.line,
                                      "startColumn", (int)utf16_column(source, diag->pos)));
    if (*diag->path)
        json_object_set_new(location, "logicalLocations",
                            json_pack("[{s: o}]", "fullyQualifiedName",
                                      json_safe_string(diag->path)));
    json_decref(physical);
    return location;
}

static json_t *result_of(const struct load_source *source, const struct diag *diag)
{
    CLEANUP_FREE char *override = diag_override(source, diag);
    CLEANUP_FREE char *text =
        override ? xasprintf("--set %s: %s", override, diag->message) : xstrdup(diag->message);

    return json_pack("{s: s, s: i, s: s, s: {s: o}, s: [o]}", "ruleId", RULE, "ruleIndex", 0,
                     "level", diag->severity == DIAG_ERROR ? "error" : "warning", "message", "text",
                     json_safe_string(text), "locations", location_of(source, diag));
}

void sarif_add(json_t *log, const struct load_source *source, const struct diag_list *diags)
{
    json_t *run = json_array_get(json_object_get(log, "runs"), 0);
    json_t *invocation = json_array_get(json_object_get(run, "invocations"), 0);

    for (size_t i = 0; i < diags->len; i++)
        json_array_append_new(json_object_get(run, "results"), result_of(source, &diags->items[i]));
    if (diags->dropped_count) {
        CLEANUP_FREE char *text = xasprintf("%s: and %zu more", source->name, diags->dropped_count);

        json_array_append_new(json_object_get(invocation, "toolExecutionNotifications"),
                              json_pack("{s: s, s: {s: o}}", "level", "note", "message", "text",
                                        json_safe_string(text)));
    }
}
