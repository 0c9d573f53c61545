/* How long steps took in an earlier run, from the file that `--report json=FILE` has written. */
#pragma once

#include <jansson.h>

#include "plan/outline.h"

/* A new reference to the report; NULL: the file cannot be read or is none. */
json_t *durations_read(const char *path, struct err *err) __attribute__((warn_unused_result));
/* In milliseconds; -1: the step has not succeeded there. For outline_estimate(): `report` is a
 * json_t *. Stages, jobs and steps are found by their names. */
int64_t durations_of(void *report, const struct outline *step);
