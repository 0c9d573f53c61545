/* Foreign text, and times, in JSON. */
#pragma once

#include <jansson.h>
#include <stdint.h>

#include "base/buf.h"

/* A string of foreign bytes: what is not UTF-8 in it is replaced (U+FFFD), because a name or an
 * error must not be able to make a document invalid. A new reference. */
json_t *json_safe_string(const char *text);
/* A member that is a time, as RFC 3339 has it; 0: not known, and left out. */
void json_set_time(json_t *object, const char *key, int64_t time_ms);
/* Appends the same as it is in a document, quotes included, without making an object of it: for
 * what is written by the megabyte. */
void json_write_string(struct buf *out, const void *text, size_t size);
