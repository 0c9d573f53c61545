/* The bytes of `log` and `log.index`: internal to record/.
 *
 * `log` is nothing but blocks, one behind the other, each LZ4 (the plain block format) or, if that
 * would not be smaller, as it is. Taken off, a block is a row of records: a header, the id of the
 * node, the data. Numbers have the byte order of the machine, which the magic number tells.
 *
 * `log.index` is nothing but entries of one size, one for each block, in their order. An entry is
 * written when its block is: what no entry points to is not there, and an entry that is not
 * complete is none. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define FORMAT_MAGIC 0x31676f6cu /* "log1" */

enum {
    FORMAT_BLOCK_SIZE = 256 * 1024, /* a block is ended by the record that reaches this */
    FORMAT_DATA_MAX = 256 * 1024,   /* of one record */
    FORMAT_BLOCK_MAX = 2 * 256 * 1024 + 64 * 1024 + 512,
    FORMAT_NODE_WORDS = 4,
};

struct format_record {
    uint32_t size; /* of the data */
    uint32_t node_number;
    int64_t time_ms;
    uint16_t node_size;
    uint8_t stream; /* enum record_stream; the data of RECORD_MISSING is a uint64_t */
    uint8_t continued;
    uint32_t last_event; /* the number of the one that came before it (record/events.h) */
};

struct format_entry {
    uint32_t magic;
    uint32_t size;   /* of the records */
    uint32_t stored; /* of the block in the file; equal to size: not compressed */
    uint32_t record_count;
    uint64_t offset;
    uint64_t first_seq;
    uint64_t lines_before; /* in all blocks before */
    uint64_t bytes_before; /* of data, likewise */
    uint64_t bytes;        /* of data */
    uint32_t lines;
    uint32_t streams; /* a bit for each enum record_stream that occurs */
    int64_t first_ms; /* the earliest time in it */
    int64_t last_ms;  /* the latest time in it and before: never falls from entry to entry */
    /* For every node that occurs and each of those above it a bit by the hash of its id: a filter
     * that finds its bit clear need not look at the block. */
    uint64_t nodes[FORMAT_NODE_WORDS];
    uint64_t block_sum; /* of the block as it is in the file */
    uint64_t sum;       /* of the entry up to here */
};

_Static_assert(sizeof(struct format_record) == 24, "written to disk");
_Static_assert(sizeof(struct format_entry) == 128, "written to disk");

uint64_t format_sum(const void *data, size_t size);
uint64_t format_entry_sum(const struct format_entry *entry);
/* Sets the bits of a node and of those above it. */
void format_nodes_add(uint64_t nodes[FORMAT_NODE_WORDS], const char *node, size_t size);
/* The bit of a node itself: 0 to 64 * FORMAT_NODE_WORDS - 1. */
unsigned format_node_bit(const char *node, size_t size);
size_t format_count_lines(const char *data, size_t size);
