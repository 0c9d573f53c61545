#include "k8s/yaml_text.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"

static void add_value(struct buf *out, const json_t *value, size_t indent);

static void add_indent(struct buf *out, size_t indent)
{
    buf_addf(out, "%*s", (int)indent, "");
}

/* Whether YAML would take it for something else than this string. */
static bool needs_quotes(const char *text)
{
    static const char *const words[] = {"null", "true", "false", "yes", "no", "on", "off",
                                        "y",    "n",    "~",     "<<",  "=",  "-",  ""};

    for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++) {
        if (strcasecmp(text, words[i]) == 0)
            return true;
    }
    if (strchr("!&*-?:[]{},#|>@`\"'%. +0123456789", *text) && *text != '.' && *text != ':')
        return true;
    for (const char *c = text; *c; c++) {
        if ((unsigned char)*c < ' ' || *c == 127 || (*c == ':' && (!c[1] || c[1] == ' ')) ||
            (*c == '#' && c > text && c[-1] == ' '))
            return true;
    }
    return *text == '.' || *text == ':' || text[strlen(text) - 1] == ' ';
}

static void add_quoted(struct buf *out, const json_t *string)
{
    char *text = json_dumps(string, JSON_ENCODE_ANY);

    buf_addstr(out, text ? text : "\"\"");
    free(text);
}

/* Blocks have no escapes. */
static bool suits_block(const char *text)
{
    if (!strchr(text, '\n') || isspace((unsigned char)*text))
        return false;
    for (const char *c = text; *c; c++) {
        if ((unsigned char)*c < ' ' && *c != '\n' && *c != '\t')
            return false;
    }
    return true;
}

static void add_block(struct buf *out, const char *text, size_t indent)
{
    const size_t len = strlen(text);
    const bool ends = text[len - 1] == '\n';

    buf_addstr(out, !ends ? "|-" : len > 1 && text[len - 2] == '\n' ? "|+" : "|");
    while (*text) {
        const size_t line = strcspn(text, "\n");

        buf_addch(out, '\n');
        if (line) {
            add_indent(out, indent);
            buf_add(out, text, line);
        }
        text += line + (text[line] == '\n');
    }
    buf_addch(out, '\n');
}

static void add_string(struct buf *out, const json_t *string, size_t indent)
{
    const char *text = json_string_value(string);

    if (strlen(text) == json_string_length(string) && suits_block(text)) {
        add_block(out, text, indent);
        return;
    }
    if (strlen(text) != json_string_length(string) || needs_quotes(text))
        add_quoted(out, string);
    else
        buf_addstr(out, text);
    buf_addch(out, '\n');
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The first key stands where the output is, the others below it. */
static void add_members(struct buf *out, const json_t *object, size_t indent)
{
    CLEANUP_FREE const char **keys = xcalloc(json_object_size(object) + 1, sizeof(*keys));
    size_t count = 0;
    const char *key;
    json_t *value;

    json_object_foreach ((json_t *)object, key, value)
        keys[count++] = key;
    qsort(keys, count, sizeof(*keys), by_text);
    for (size_t i = 0; i < count; i++) {
        if (i)
            add_indent(out, indent);
        if (needs_quotes(keys[i]) && strcmp(keys[i], "y") != 0 && strcmp(keys[i], "n") != 0)
            buf_addf(out, "\"%s\":", keys[i]);
        else
            buf_addf(out, "%s:", keys[i]);
        value = json_object_get(object, keys[i]);
        if (json_is_object(value) && json_object_size(value)) {
            buf_addch(out, '\n');
            add_indent(out, indent + 2);
            add_members(out, value, indent + 2);
        } else if (json_is_array(value) && json_array_size(value)) {
            buf_addch(out, '\n');
            add_value(out, value, indent);
        } else {
            buf_addch(out, ' ');
            add_value(out, value, indent + 2);
        }
    }
}

static void add_items(struct buf *out, const json_t *array, size_t indent)
{
    const json_t *item;
    size_t i;

    json_array_foreach (array, i, item) {
        add_indent(out, indent);
        buf_addstr(out, "- ");
        if (json_is_array(item) && json_array_size(item)) {
            char *text = json_dumps(item, JSON_COMPACT | JSON_SORT_KEYS);

            buf_addf(out, "%s\n", text ? text : "[]");
            free(text);
        } else {
            add_value(out, item, indent + 2);
        }
    }
}

static void add_value(struct buf *out, const json_t *value, size_t indent)
{
    char *text;

    if (json_is_object(value) && json_object_size(value)) {
        add_members(out, value, indent);
    } else if (json_is_array(value) && json_array_size(value)) {
        add_items(out, value, indent);
    } else if (json_is_string(value)) {
        add_string(out, value, indent);
    } else {
        text = json_dumps(value, JSON_ENCODE_ANY);
        buf_addf(out, "%s\n", text ? text : "null");
        free(text);
    }
}

void yaml_text_add(struct buf *out, const json_t *value)
{
    add_value(out, value, 0);
}
