/* Names and checks of records on disk: internal to record/. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define EVENTS_NAME   "events"
#define LOG_NAME      "log"
#define INDEX_NAME    "log.index"
#define PIPELINE_NAME "pipeline.yaml"
/* Behind the id of a record that is being made, and of one that is being removed. */
#define NEW_SUFFIX  ".new"
#define GONE_SUFFIX ".gone"

struct record {
    char *run_id;
    char *path;
    int dir_fd;
    int events_fd;
    int log_fd;
    int index_fd;
};

/* Whether somebody holds the lock that this file is locked with by its writer. */
bool record_lock_is_held(int events_fd);
/* Removes what creations and removals have left whose process died. */
void record_sweep(int runs_fd);
/* pread() of all; ERR_PROTOCOL when the file ends before. */
int record_read_at(int fd, void *data, size_t size, int64_t offset, const char *name,
                   struct err *err) __attribute__((warn_unused_result));
