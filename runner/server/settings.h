/* What can be changed while a server runs, kept in HISTORY/settings.json.
 *
 * Threads: any. */
#pragma once

#include <jansson.h>
#include <pthread.h>
#include <stdint.h>

#include "base/ctx.h"
#include "base/err.h"

struct settings_values {
    int64_t max_concurrent;   /* runs at a time */
    int64_t max_records;      /* runs that are kept; 0: no limit */
    int64_t refresh_interval; /* seconds between two looks of the console */
};

struct settings {
    pthread_mutex_t mu;
    char *file;
    struct settings_values values;
};

/* Reads the file if it is there. A value that the command line gives (`given`, -1: not) wins until
 * it is changed. */
int settings_open(struct settings *settings, const char *dir, const struct settings_values *given,
                  struct err *err) __attribute__((warn_unused_result));
void settings_release(struct settings *settings);
struct settings_values settings_read(struct settings *settings);
json_t *settings_to_json(const struct settings_values *values);
/* Takes the members over that the object has, and writes the file. ERR_INVALID names what is
 * wrong, and nothing is changed. */
int settings_change(struct settings *settings, const json_t *object, struct err *err)
    __attribute__((warn_unused_result));
