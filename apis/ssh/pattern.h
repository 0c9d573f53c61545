/* Patterns of names, as in ssh_config and known_hosts: `*` and `?`. Letters of either case are the
 * same. Pure. Source: ssh_config(5), "PATTERNS". */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* Whether the first `len` bytes of `pattern` stand for the name. */
bool ssh_pattern_match(const char *pattern, size_t len, const char *name);
/* Whether some pattern of a list does, and none behind a `!`. `separators` part the patterns. */
bool ssh_pattern_list_match(const char *patterns, const char *separators, const char *name);
