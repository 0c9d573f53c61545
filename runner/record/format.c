#include "record/format.h"

#include <string.h>

/* Against bits that tip over and blocks that were not written, not against people. */
uint64_t format_sum(const void *data, size_t size)
{
    const uint64_t prime = 0x9e3779b97f4a7c15u;
    const unsigned char *at = data;
    uint64_t sum = size * prime;
    uint64_t word;

    for (; size >= sizeof(word); at += sizeof(word), size -= sizeof(word)) {
        memcpy(&word, at, sizeof(word));
        sum = (sum ^ word) * prime;
        sum ^= sum >> 32;
    }
    word = 0;
    memcpy(&word, at, size);
    sum = (sum ^ word) * prime;
    return sum ^ sum >> 29;
}

uint64_t format_entry_sum(const struct format_entry *entry)
{
    return format_sum(entry, offsetof(struct format_entry, sum));
}

unsigned format_node_bit(const char *node, size_t size)
{
    return (unsigned)(format_sum(node, size) >> 16) % (64 * FORMAT_NODE_WORDS);
}

void format_nodes_add(uint64_t nodes[FORMAT_NODE_WORDS], const char *node, size_t size)
{
    for (size_t len = 0; len <= size; len++) {
        unsigned bit;

        if (len < size && node[len] != '.')
            continue;
        bit = format_node_bit(node, len);
        nodes[bit / 64] |= UINT64_C(1) << bit % 64;
    }
}

typedef unsigned char lanes __attribute__((vector_size(16)));

/* 16 bytes at a time: every byte of the output comes through here. */
size_t format_count_lines(const char *data, size_t size)
{
    size_t count = 0;

    while (size >= sizeof(lanes)) {
        lanes found = {0};
        size_t rounds = size / sizeof(lanes) < 255 ? size / sizeof(lanes) : 255;

        size -= rounds * sizeof(lanes);
        for (; rounds; rounds--, data += sizeof(lanes)) {
            lanes bytes;

            memcpy(&bytes, data, sizeof(bytes));
            found -= (lanes)(bytes == '\n');
        }
        for (size_t i = 0; i < sizeof(lanes); i++)
            count += found[i];
    }
    for (; size; size--)
        count += *data++ == '\n';
    return count;
}
