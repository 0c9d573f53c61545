#include "helper/helper.h"

#include <stdint.h>
#include <string.h>

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
                           size_t max_bytes, bool live)
{
    size_t name_size = strlen(name) + 1;
    size_t variable_size = strlen(variable) + 1;
    char head[5] = {(char)live};

    put_u32(head + 1, max_bytes);
    add_record(out, HELPER_RETURN, sizeof(head) + name_size + variable_size);
    buf_add(out, head, sizeof(head));
    buf_add(out, name, name_size);
    buf_add(out, variable, variable_size);
}

static size_t clamp_u32(int64_t value)
{
    return value < 0 ? 0 : value > UINT32_MAX ? UINT32_MAX : (size_t)value;
}

void helper_request_deadline(struct buf *out, int64_t deadline_ms, int64_t grace_ms)
{
    char data[8];

    put_u32(data, clamp_u32(deadline_ms));
    put_u32(data + 4, clamp_u32(grace_ms));
    add_record(out, HELPER_DEADLINE, sizeof(data));
    buf_add(out, data, sizeof(data));
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
