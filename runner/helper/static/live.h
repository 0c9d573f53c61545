/* The live HELPER_RETURN files of a request, and what has been sent of them. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "program.h"

struct live_file;

struct live {
    const char *mark;
    struct live_file *files;
    size_t count;
};

/* None, if the request has none, or no mark. Memory that is never given back; the message must
 * stay. */
void live_init(struct live *live, const struct message *message);
/* Writes to standard output (1) or standard error (2), as request.h says, what has changed since
 * it was written there last. What a program did to a file before it wrote something is seen once
 * that has been read. */
void live_send(struct live *live, int to);
