/* Compression of output, as blocks of LZ4: fast enough to pay on a fast network, too. What is
 * written here is read by liblz4. Source: lz4_Block_format.md of the LZ4 project.
 *
 * Without system calls, so that tests run it inside of a program with sanitizers. */
#pragma once

#include <stddef.h>

/* Where something like it may have been before, for the next call as well: what is in here is
 * looked at before it is believed. Zeroed at first. */
struct lz4_places {
    unsigned short at[4096];
};

/* Writes a block for `len` bytes (> 0) to `to`. Returns its size, 0: it does not fit into `room`.
 */
size_t lz4_pack(struct lz4_places *places, const char *from, size_t len, char *to, size_t room);
