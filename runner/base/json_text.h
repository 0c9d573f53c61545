/* Foreign text in JSON. */
#pragma once

#include <jansson.h>

/* A string of foreign bytes: what is not UTF-8 in it is replaced (U+FFFD), because a name or an
 * error must not be able to make a document invalid. A new reference. */
json_t *json_safe_string(const char *text);
