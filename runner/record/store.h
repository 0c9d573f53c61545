/* Names and checks of records on disk: internal to record/. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define RECORD_EVENTS   "events"
#define RECORD_LOG      "log"
#define RECORD_INDEX    "log.index"
#define RECORD_PIPELINE "pipeline.yaml"
/* Behind the id of a record that is being made, and of one that is being removed. */
#define RECORD_NEW  ".new"
#define RECORD_GONE ".gone"

struct record {
    char *run_id;
    char *path;
    int dir_fd;
    int events_fd;
    int log_fd;
    int index_fd;
};

/* Whether somebody holds the lock that this file is locked with by its writer. */
bool store_is_locked(int events_fd);
/* Removes what creations and removals have left whose process died. */
void store_sweep(int runs_fd);
/* pread() of all; ERR_PROTOCOL when the file ends before. */
int store_read_at(int fd, void *data, size_t size, int64_t offset, const char *name,
                  struct err *err) __attribute__((warn_unused_result));
