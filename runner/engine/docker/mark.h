/* Finds the mark that the helper writes behind a program's output (see helper/request.h) in one of
 * its streams, whatever pieces that comes in. Pure. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

/* The mark: this byte and 32 hexadecimal digits, so that it can begin nowhere inside itself. */
#define MARK_FIRST '\x1e'
#define MARK_SIZE  34

typedef int mark_output_fn(void *arg, const char *data, size_t len, struct err *err);

struct mark_scan {
    const char *mark; /* borrowed */
    size_t matched;   /* characters of it that were seen last, and held back */
    char code_text[8];
    size_t code_len;
    bool done;
    int code; /* valid when done */
};

void mark_make(char mark[MARK_SIZE]);
/* Gives everything before the mark to output(). ERR_PROTOCOL for anything behind it. */
int mark_scan_feed(struct mark_scan *scan, const char *data, size_t len, mark_output_fn *output,
                   void *arg, struct err *err) __attribute__((warn_unused_result));
