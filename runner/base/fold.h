/* Text for searching, where capitals and small letters are the same. */
#pragma once

#include "base/buf.h"

/* Appends the text with Latin, Greek and Cyrillic letters in lower case, and U+FFFD for each byte
 * that is not UTF-8. */
void fold_add(struct buf *out, const char *text, size_t len);
