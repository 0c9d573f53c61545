#include "helper/helper.h"

#include <inttypes.h>
#include <stdint.h>
#include <string.h>

#if defined(__x86_64__)
#define ARCHITECTURE "amd64"
#elif defined(__aarch64__)
#define ARCHITECTURE "arm64"
#else
#error "the helper has no system call table for this architecture"
#endif

const char *helper_architecture(void)
{
    return ARCHITECTURE;
}

void helper_program_hash(char out[HELPER_HASH_SIZE])
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325); /* FNV-1a */

    for (const unsigned char *p = helper_program; p < helper_program_end; p++)
        hash = (hash ^ *p) * UINT64_C(0x100000001b3);
    snprintf(out, HELPER_HASH_SIZE, "%016" PRIx64, hash);
}

static void put_u32(char *at, size_t value)
{
    for (int i = 0; i < 4; i++)
        at[i] = (char)(value >> (8 * i));
}

static void add_record(struct buf *out, enum helper_record type, size_t size)
{
    char head[HELPER_RECORD_SIZE];

    head[0] = (char)type;
    put_u32(head + 1, size);
    buf_add(out, head, sizeof(head));
}

void helper_request_begin(struct buf *out)
{
    buf_add(out, HELPER_REQUEST "\0\0\0\0", HELPER_HEADER_SIZE);
}

void helper_request_string(struct buf *out, enum helper_record type, const char *text)
{
    size_t size = strlen(text) + 1;

    add_record(out, type, size);
    buf_add(out, text, size);
}

void helper_request_env(struct buf *out, const struct strmap *environment)
{
    strmap_foreach (entry, environment) {
        size_t key = strlen(entry->key);
        size_t value = strlen(entry->value);

        add_record(out, HELPER_ENV, key + 1 + value + 1);
        buf_add(out, entry->key, key);
        buf_addch(out, '=');
        buf_add(out, entry->value, value + 1);
    }
}

void helper_request_file(struct buf *out, const char *name, const void *data, size_t size,
                         bool executable)
{
    size_t name_size = strlen(name) + 1;

    add_record(out, HELPER_FILE, 1 + name_size + size);
    buf_addch(out, (char)executable);
    buf_add(out, name, name_size);
    buf_add(out, data, size);
}

void helper_request_return(struct buf *out, const char *name, const char *variable,
                           size_t max_bytes)
{
    size_t name_size = strlen(name) + 1;
    size_t variable_size = strlen(variable) + 1;
    char max[4];

    put_u32(max, max_bytes);
    add_record(out, HELPER_RETURN, sizeof(max) + name_size + variable_size);
    buf_add(out, max, sizeof(max));
    buf_add(out, name, name_size);
    buf_add(out, variable, variable_size);
}

int helper_request_end(struct buf *out, struct err *err)
{
    if (out->len > HELPER_REQUEST_MAX)
        return err_set(err, ERR_LIMIT,
                       "environment and files of a step are limited to %u MiB in a container",
                       HELPER_REQUEST_MAX >> 20);
    put_u32(out->data + 4, out->len - HELPER_HEADER_SIZE);
    return 0;
}

void helper_signal(char out[HELPER_HEADER_SIZE], int signal)
{
    memcpy(out, HELPER_SIGNAL, 4);
    put_u32(out + 4, (size_t)signal);
}
