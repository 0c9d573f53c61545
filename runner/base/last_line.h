/* The last line of something that comes in pieces: what programs say when they fail. */
#pragma once

#include <stddef.h>

#define LAST_LINE_SIZE 256

struct last_line {
    char text[LAST_LINE_SIZE]; /* NUL-terminated; cut when it is longer; without the newline */
    size_t len;
    size_t line_len; /* of the line that is being added, cut or not */
};

/* `line` is zeroed before the first call. Lines that are empty do not count. */
void last_line_add(struct last_line *line, const char *data, size_t size);
