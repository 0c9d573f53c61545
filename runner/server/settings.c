#include "server/settings.h"

#include <inttypes.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/fs.h"

enum { FILE_MAX = 64 * 1024 };

static const struct row {
    const char *name;
    size_t offset;
    int64_t value;
    int64_t min;
    int64_t max;
} rows[] = {
    {"max_concurrent", offsetof(struct settings_values, max_concurrent), 2, 1, 10000},
    {"max_records", offsetof(struct settings_values, max_records), 1000, 0, 100000000},
    {"refresh_interval", offsetof(struct settings_values, refresh_interval), 5, 1, 3600},
};

enum { ROWS = sizeof(rows) / sizeof(*rows) };

static int64_t *field(const struct row *row, struct settings_values *values)
{
    return (int64_t *)(void *)((char *)values + row->offset);
}

static const struct row *find(const char *name)
{
    for (size_t i = 0; i < ROWS; i++) {
        if (strcmp(rows[i].name, name) == 0)
            return &rows[i];
    }
    return NULL;
}

static int take(struct settings_values *values, const json_t *object, struct err *err)
{
    const char *name;
    json_t *value;

    json_object_foreach ((json_t *)(uintptr_t)object, name, value) {
        const struct row *row = find(name);

        if (!row)
            return err_set(err, ERR_INVALID,
                           "there is no setting \"%s\"; there are max_concurrent, max_records and "
                           "refresh_interval",
                           name);
        if (!json_is_integer(value) || json_integer_value(value) < row->min ||
            json_integer_value(value) > row->max)
            return err_set(err, ERR_INVALID, "%s is a number from %" PRId64 " to %" PRId64, name,
                           row->min, row->max);
        *field(row, values) = json_integer_value(value);
    }
    return 0;
}

static int read_file(struct settings *settings, struct err *err)
{
    CLEANUP_BUF struct buf text = BUF_INIT;
    json_error_t why;
    json_t *object;
    int result;

    if (!fs_exists(settings->file))
        return 0;
    if (fs_read_file(settings->file, FILE_MAX, &text, err) < 0)
        return -1;
    object = json_loadb(text.data, text.len, JSON_REJECT_DUPLICATES, &why);
    if (!json_is_object(object)) {
        json_decref(object);
        return err_set(err, ERR_INVALID, "%s is no JSON object: mend or remove it", settings->file);
    }
    result = take(&settings->values, object, err);
    json_decref(object);
    return result < 0 ? err_wrap(err, "%s", settings->file) : 0;
}

int settings_open(struct settings *settings, const char *dir, const struct settings_values *given,
                  struct err *err)
{
    pthread_mutex_init(&settings->mu, NULL);
    settings->file = fs_join(dir, "settings.json");
    for (size_t i = 0; i < ROWS; i++)
        *field(&rows[i], &settings->values) = rows[i].value;
    if (read_file(settings, err) < 0) {
        settings_release(settings);
        return -1;
    }
    for (size_t i = 0; i < ROWS; i++) {
        int64_t value = *field(&rows[i], (struct settings_values *)(uintptr_t)given);

        if (value >= 0)
            *field(&rows[i], &settings->values) = value;
    }
    return 0;
}

void settings_release(struct settings *settings)
{
    if (!settings->file)
        return;
    pthread_mutex_destroy(&settings->mu);
    free(settings->file);
    settings->file = NULL;
}

struct settings_values settings_read(struct settings *settings)
{
    struct settings_values values;

    pthread_mutex_lock(&settings->mu);
    values = settings->values;
    pthread_mutex_unlock(&settings->mu);
    return values;
}

json_t *settings_to_json(const struct settings_values *values)
{
    json_t *object = json_object();

    for (size_t i = 0; i < ROWS; i++) {
        int64_t value = *field(&rows[i], (struct settings_values *)(uintptr_t)values);

        json_object_set_new(object, rows[i].name, json_integer(value));
    }
    return object;
}

/* Written under the lock, so that of two changes at a time the later is what the file has. */
int settings_change(struct settings *settings, const json_t *object, struct err *err)
{
    struct settings_values values;
    json_t *all;
    char *text;
    int result;

    pthread_mutex_lock(&settings->mu);
    values = settings->values;
    result = take(&values, object, err);
    if (result == 0) {
        all = settings_to_json(&values);
        text = json_dumps(all, JSON_INDENT(2));
        result = fs_write_file(settings->file, text, strlen(text), 0600, err);
        free(text);
        json_decref(all);
    }
    if (result == 0)
        settings->values = values;
    pthread_mutex_unlock(&settings->mu);
    return result;
}
