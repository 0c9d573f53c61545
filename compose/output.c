#include "compose/output.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"

static char *doubled(const char *text)
{
    struct buf out = BUF_INIT;

    for (; *text; text++)
        buf_addstr(&out, *text == '$' ? "$$" : (char[]){*text, '\0'});
    return buf_steal(&out);
}

/* Values that stay as they are, are shared. */
static json_t *copy_doubled(const json_t *value)
{
    json_t *copy;
    const char *name;
    json_t *member;
    size_t i;

    if (json_is_string(value) && strchr(json_string_value(value), '$')) {
        CLEANUP_FREE char *text = doubled(json_string_value(value));

        return json_string(text);
    }
    if (json_is_object(value)) {
        copy = json_object();
        json_object_foreach ((json_t *)value, name, member)
            json_object_set_new(copy, name, copy_doubled(member));
        return copy;
    }
    if (json_is_array(value)) {
        copy = json_array();
        json_array_foreach ((json_t *)value, i, member)
            json_array_append_new(copy, copy_doubled(member));
        return copy;
    }
    return json_incref((json_t *)value);
}

static void hide_contents(json_t *resources)
{
    const char *key;
    json_t *resource;

    json_object_foreach (resources, key, resource) {
        if (json_object_get(resource, "environment"))
            json_object_del(resource, "content");
    }
}

json_t *compose_config_json(const struct compose_project *project)
{
    json_t *model = copy_doubled(project->model);

    hide_contents(json_object_get(model, "secrets"));
    hide_contents(json_object_get(model, "configs"));
    return model;
}

/* Whether a string can stand without quotes: nothing that could be read as something else. */
static bool is_plain(const char *text)
{
    static const char *const words[] = {"true", "false", "null", "yes", "no", "on",
                                        "off",  "y",     "n",    "~",   NULL};
    static const char inner[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                "_-./+=@$,;%()^ ";
    size_t len = strlen(text);

    for (const char *const *word = words; *word; word++) {
        if (strcasecmp(*word, text) == 0)
            return false;
    }
    return len && ((*text | 0x20) >= 'a') && ((*text | 0x20) <= 'z') && text[len - 1] != ' ' &&
           text[strspn(text, inner)] == '\0';
}

/* A path is plain, too. */
static bool is_path(const char *text)
{
    return *text == '/' && (!text[1] || is_plain(text + 1));
}

/* What JSON may have as it is, and YAML may not. */
static void add_escaped(const char *text, struct buf *out)
{
    for (const unsigned char *s = (const unsigned char *)text; *s; s++) {
        if (*s == 0x7f)
            buf_addstr(out, "\\x7f");
        else if (*s == 0xc2 && s[1] >= 0x80 && s[1] < 0xa0)
            buf_addf(out, "\\x%02x", *++s);
        else if (s[0] == 0xef && s[1] == 0xbb && s[2] == 0xbf) {
            buf_addstr(out, "\\ufeff");
            s += 2;
        } else
            buf_addch(out, (char)*s);
    }
}

/* Of a number that is not whole, as few digits as mean the same one when they are read. */
static char *dump_scalar(const json_t *value)
{
    enum { DIGITS_MIN = 15, DIGITS_MAX = 17 };

    for (size_t digits = DIGITS_MIN;; digits++) {
        char *text = json_dumps(value, JSON_ENCODE_ANY | JSON_REAL_PRECISION(digits));

        if (!text || !json_is_real(value) || digits == DIGITS_MAX ||
            strtod(text, NULL) == json_real_value(value))
            return text;
        free(text);
    }
}

static void add_scalar(const json_t *value, struct buf *out)
{
    char *text;

    if (json_is_string(value) &&
        (is_plain(json_string_value(value)) || is_path(json_string_value(value)))) {
        buf_addstr(out, json_string_value(value));
        return;
    }
    text = dump_scalar(value);
    add_escaped(text ? text : "null", out);
    free(text);
}

static bool is_block(const json_t *value)
{
    return json_object_size(value) || json_array_size(value);
}

static void add_value(const json_t *value, size_t indent, struct buf *out);

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void add_indent(size_t indent, struct buf *out)
{
    buf_addf(out, "%*s", (int)indent, "");
}

/* With the ":" behind it. A long one says that it is one: up to 1024 characters are looked through
 * for the ":" that makes them a key (YAML 1.2, 7.4). */
static void add_key(const char *name, size_t indent, struct buf *out)
{
    enum { IMPLICIT_KEY_MAX = 1024 };
    CLEANUP_BUF struct buf shown = BUF_INIT;
    json_t *key = json_string(name);

    add_scalar(key, &shown);
    json_decref(key);
    if (shown.len > IMPLICIT_KEY_MAX) {
        buf_addf(out, "? %s\n", shown.data);
        add_indent(indent, out);
    } else {
        buf_add(out, shown.data, shown.len);
    }
    buf_addch(out, ':');
}

/* started: the indentation of the first line is there already. */
static void add_map(const json_t *map, size_t indent, bool started, struct buf *out)
{
    size_t count = json_object_size(map);
    const char **names = xcalloc(count, sizeof(*names));
    const char *name;
    json_t *member;
    size_t i = 0;

    json_object_foreach ((json_t *)map, name, member)
        names[i++] = name;
    qsort(names, count, sizeof(*names), by_text);
    for (i = 0; i < count; i++) {
        if (i || !started)
            add_indent(indent, out);
        add_key(names[i], indent, out);
        add_value(json_object_get(map, names[i]), indent + 2, out);
    }
    free(names);
}

static void add_list(const json_t *list, size_t indent, struct buf *out)
{
    json_t *item;
    size_t i;

    json_array_foreach ((json_t *)list, i, item) {
        add_indent(indent, out);
        buf_addch(out, '-');
        if (json_object_size(item)) {
            buf_addch(out, ' ');
            add_map(item, indent + 2, true, out);
        } else {
            add_value(item, indent + 2, out);
        }
    }
}

/* Behind "KEY:" or "-". */
static void add_value(const json_t *value, size_t indent, struct buf *out)
{
    if (!is_block(value)) {
        buf_addch(out, ' ');
        if (json_is_object(value) || json_is_array(value))
            buf_addstr(out, json_is_object(value) ? "{}" : "[]");
        else
            add_scalar(value, out);
        buf_addch(out, '\n');
        return;
    }
    buf_addch(out, '\n');
    if (json_is_object(value))
        add_map(value, indent, false, out);
    else
        add_list(value, indent, out);
}

void compose_add_yaml(const json_t *value, struct buf *out)
{
    if (json_object_size(value))
        add_map(value, 0, false, out);
    else if (json_array_size(value))
        add_list(value, 0, out);
    else
        add_value(value, 0, out);
}
