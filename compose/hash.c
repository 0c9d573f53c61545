/* The text that is hashed is JSON as Go writes it: members of objects in the order of the rows of
 * their table, members of maps by name, no spaces. */
#include "compose/hash.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "compose/attribute.h"

static void add_string(const char *text, struct buf *out)
{
    static const char escapes[] = "\"\\\b\f\n\r\t";
    static const char letters[] = "\"\\bfnrt";

    buf_addch(out, '"');
    for (const char *s = text; *s; s++) {
        const char *escape = strchr(escapes, *s);

        if (escape)
            buf_addf(out, "\\%c", letters[escape - escapes]);
        else if ((unsigned char)*s < 0x20 || strchr("<>&", *s))
            buf_addf(out, "\\u%04x", (unsigned)*s);
        else if (strncmp(s, "\xe2\x80\xa8", 3) == 0 || strncmp(s, "\xe2\x80\xa9", 3) == 0) {
            buf_addf(out, "\\u20%02x", (unsigned char)s[2] - 0x80u);
            s += 2;
        } else
            buf_addch(out, *s);
    }
    buf_addch(out, '"');
}

/* The shortest text that is this number in single precision, the one that Compose keeps. */
static void add_number(double number, struct buf *out)
{
    char text[64];

    for (int digits = 1; digits <= 9; digits++) {
        snprintf(text, sizeof(text), "%.*g", digits, number);
        if (strtof(text, NULL) == (float)number)
            break;
    }
    if (strchr(text, 'e'))
        snprintf(text, sizeof(text), "%.0f", number);
    buf_addstr(out, text);
}

static void add_value(const struct compose_attribute *a, const json_t *value, struct buf *out);

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void add_map(const struct compose_attribute *a, const json_t *map, struct buf *out)
{
    const struct compose_attribute member = {.form = a->table ? FORM_OBJECT : FORM_ANY,
                                             .table = a->table};
    size_t count = json_object_size(map);
    const char **names = xcalloc(count + 1, sizeof(*names));
    const char *name;
    json_t *value;
    size_t i = 0;

    json_object_foreach ((json_t *)map, name, value)
        names[i++] = name;
    qsort(names, count, sizeof(*names), by_text);
    buf_addch(out, '{');
    for (i = 0; i < count; i++) {
        if (i)
            buf_addch(out, ',');
        add_string(names[i], out);
        buf_addch(out, ':');
        value = json_object_get(map, names[i]);
        if (a->form == FORM_ULIMITS && json_is_integer(value) && !json_integer_value(value))
            buf_addstr(out, "{}");
        else
            add_value(&member, value, out);
    }
    buf_addch(out, '}');
    free(names);
}

static void add_name(const struct compose_attribute *row, struct buf *out)
{
    CLEANUP_FREE char *name = xstrdup(row->name);

    if (row->flags & ATTRIBUTE_CAPITAL)
        *name ^= 0x20;
    add_string(name, out);
    buf_addch(out, ':');
}

static void add_object(const struct compose_table *table, const json_t *object, struct buf *out)
{
    bool first = true;

    buf_addch(out, '{');
    for (size_t i = 0; i < table->count; i++) {
        const json_t *value = json_object_get(object, table->rows[i].name);

        if (!value)
            continue;
        if (!first)
            buf_addch(out, ',');
        first = false;
        add_name(&table->rows[i], out);
        add_value(&table->rows[i], value, out);
    }
    buf_addch(out, '}');
}

static void add_list(const struct compose_attribute *a, const json_t *list, struct buf *out)
{
    const struct compose_attribute item = {.form = a->table ? FORM_OBJECT : FORM_ANY,
                                           .table = a->table};
    json_t *value;
    size_t i;

    buf_addch(out, '[');
    json_array_foreach ((json_t *)list, i, value) {
        if (i)
            buf_addch(out, ',');
        add_value(&item, value, out);
    }
    buf_addch(out, ']');
}

static void add_value(const struct compose_attribute *a, const json_t *value, struct buf *out)
{
    if (json_is_object(value) && a->form == FORM_OBJECT && a->table)
        add_object(a->table, value, out);
    else if (json_is_object(value))
        add_map(a, value, out);
    else if (json_is_array(value))
        add_list(a, value, out);
    else if (json_is_string(value))
        add_string(json_string_value(value), out);
    else if (json_is_integer(value))
        buf_addf(out, "%lld", (long long)json_integer_value(value));
    else if (json_is_real(value))
        add_number(json_real_value(value), out);
    else
        buf_addstr(out, json_is_null(value) ? "null" : json_is_true(value) ? "true" : "false");
}

static void hash_object(const struct compose_table *table, const json_t *object,
                        char ret[SHA256_HEX_SIZE])
{
    CLEANUP_BUF struct buf text = BUF_INIT;
    struct sha256 hash;

    add_object(table, object, &text);
    sha256_begin(&hash);
    sha256_add(&hash, text.data, text.len);
    sha256_hex(&hash, ret);
}

/* A copy in which limits of 0 are left out, as Docker Compose hashes them. */
static json_t *short_ulimits(const json_t *ulimits)
{
    json_t *copy = json_deep_copy(ulimits);
    const char *name;
    json_t *limit;

    json_object_foreach (copy, name, limit) {
        static const char *const keys[] = {"soft", "hard"};

        for (size_t i = 0; i < sizeof(keys) / sizeof(*keys); i++) {
            const json_t *value = json_object_get(limit, keys[i]);

            if (json_is_integer(value) && json_integer_value(value) == 0)
                json_object_del(limit, keys[i]);
        }
    }
    return copy;
}

/* What a container is not made from is left out. */
void compose_service_hash(const json_t *service, char ret[SHA256_HEX_SIZE])
{
    static const char *const others[] = {"build", "pull_policy", "scale", "depends_on", "profiles"};
    json_t *copy = json_copy((json_t *)service);
    json_t *deploy = json_object_get(copy, "deploy");
    const json_t *ulimits = json_object_get(copy, "ulimits");

    if (ulimits)
        json_object_set_new(copy, "ulimits", short_ulimits(ulimits));
    for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++)
        json_object_del(copy, others[i]);
    if (deploy) {
        deploy = json_copy(deploy);
        json_object_del(deploy, "replicas");
        json_object_set_new(copy, "deploy", deploy);
    }
    hash_object(&compose_service_table, copy, ret);
    json_decref(copy);
}

static void hash_resource(const char *section, const json_t *resource, char ret[SHA256_HEX_SIZE])
{
    hash_object(compose_attribute_find(&compose_file_table, section)->table, resource, ret);
}

void compose_network_hash(const json_t *network, char ret[SHA256_HEX_SIZE])
{
    hash_resource("networks", network, ret);
}

void compose_volume_hash(const json_t *volume, char ret[SHA256_HEX_SIZE])
{
    json_t *copy = json_copy((json_t *)volume);

    if (!json_object_get(copy, "driver"))
        json_object_set_new(copy, "driver", json_string("local"));
    hash_resource("volumes", copy, ret);
    json_decref(copy);
}
