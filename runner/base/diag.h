/* Diagnostics: what is wrong in a file, collected rather than stopping at the first. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"

/* A place in the pipeline file, or in one that belongs to it; line and column count from 1, in
 * bytes; line 0: unknown, or, with a column, in what is set over the file by the override of that
 * number (load/override.h). */
struct src_pos {
    uint32_t line;
    uint32_t column : 28;
    uint32_t file : 4; /* 0: the pipeline file; see struct load_source */
};

enum diag_severity { DIAG_WARNING, DIAG_ERROR };

struct diag {
    enum diag_severity severity;
    struct src_pos pos;
    char *path;    /* "stages[1].jobs[0].steps[2].image"; "" for the whole file */
    char *message; /* one line, without position */
};

/* A list that keeps at most DIAG_MAX entries and counts the rest. Not thread-safe. */
#define DIAG_MAX 50

struct diag_list {
    struct diag *items;
    size_t len;
    size_t cap;
    size_t error_count;   /* of all that were added, kept or not */
    size_t dropped_count; /* not kept */
};

#define CLEANUP_DIAG_LIST CLEANUP(diag_list_release)

void diag_add(struct diag_list *list, enum diag_severity severity, struct src_pos pos,
              const char *path, const char *fmt, ...) __attribute__((format(printf, 5, 6)));
/* By file and position; entries without one first, those of one position in the order of their
 * adding. */
void diag_sort(struct diag_list *list);
void diag_list_release(struct diag_list *list);
