/* UTF-8 (RFC 3629): no overlong forms, no surrogates, nothing above U+10FFFF. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"

/* Length of the longest valid prefix of data; equal to len when all of it is valid. */
size_t utf8_valid_prefix(const void *data, size_t len);
bool utf8_valid(const void *data, size_t len);
/* Appends the text, with U+FFFD for each byte that is not valid. */
void utf8_add_valid(struct buf *out, const char *text, size_t len);
/* Appends text for one line of a terminal: control characters and invalid bytes as \n, \x1b. */
void utf8_add_visible(struct buf *out, const char *text);
