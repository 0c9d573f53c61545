/* Reading numbers, durations and sizes from text. Whole strings only: trailing text is an error.
 * Messages say what was expected and quote what was found. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

int parse_int64(const char *text, int64_t *ret, struct err *err)
    __attribute__((warn_unused_result));
/* Seconds as an integer, or 500ms, 5s, 10m, 2h, 1d, 1h30m, "7 days"; the result is milliseconds.
 * Source: pipeline file reference, section 1. */
int parse_duration_ms(const char *text, int64_t *ret, struct err *err)
    __attribute__((warn_unused_result));
/* Bytes as an integer, or with k, m, g, t (also kb, Ki, KiB …): powers of 1024, as Docker does. */
int parse_size_bytes(const char *text, int64_t *ret, struct err *err)
    __attribute__((warn_unused_result));
/* A number, or a percentage such as 30%. */
struct portion {
    int64_t value; /* not negative; of a percentage at most 100 */
    bool is_percent;
};

int parse_portion(const char *text, struct portion *ret, struct err *err)
    __attribute__((warn_unused_result));
/* A decimal fraction such as "1.5", in thousandths (CPUs are milli-CPUs everywhere below). */
int parse_milli(const char *text, int64_t *ret, struct err *err)
    __attribute__((warn_unused_result));
