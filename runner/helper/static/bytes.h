/* Integers of messages: little-endian, at any address. */
#pragma once

#include <stddef.h>

static inline unsigned long get_le(const char *at, size_t size)
{
    unsigned long value = 0;

    for (size_t i = size; i > 0; i--)
        value = value << 8 | (unsigned char)at[i - 1];
    return value;
}

static inline void put_le(char *at, size_t size, unsigned long value)
{
    for (size_t i = 0; i < size; i++)
        at[i] = (char)(value >> (8 * i));
}
