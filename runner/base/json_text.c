#include "base/json_text.h"

#include <string.h>

#include "base/clock.h"
#include "base/utf8.h"

json_t *json_safe_string(const char *text)
{
    CLEANUP_BUF struct buf clean = BUF_INIT;
    size_t len = strlen(text);

    if (utf8_valid(text, len))
        return json_string(text);
    utf8_add_valid(&clean, text, len);
    return json_string(clean.data);
}

void json_set_time(json_t *object, const char *key, int64_t time_ms)
{
    char text[CLOCK_RFC3339_SIZE];

    if (!time_ms)
        return;
    clock_rfc3339(time_ms, text);
    json_object_set_new(object, key, json_string(text));
}

/* Of bytes below 128: 0: as they are; else what comes behind a backslash. */
static const char escapes[128] = {
    [0 ... 7] = 'u', ['\b'] = 'b',      ['\t'] = 't', ['\n'] = 'n',  [11] = 'u',  ['\f'] = 'f',
    ['\r'] = 'r',    [14 ... 31] = 'u', ['"'] = '"',  ['\\'] = '\\', [127] = 'u',
};

/* Valid UTF-8. */
static void write_valid(struct buf *out, const char *text, size_t size)
{
    size_t from = 0;

    for (size_t i = 0; i < size; i++) {
        unsigned char c = (unsigned char)text[i];

        if (c >= 128 || !escapes[c])
            continue;
        buf_add(out, text + from, i - from);
        from = i + 1;
        if (escapes[c] == 'u')
            buf_addf(out, "\\u%04x", c);
        else
            buf_add(out, (char[]){'\\', escapes[c]}, 2);
    }
    buf_add(out, text + from, size - from);
}

void json_write_string(struct buf *out, const void *text, size_t size)
{
    CLEANUP_BUF struct buf clean = BUF_INIT;

    buf_addch(out, '"');
    if (utf8_valid(text, size)) {
        write_valid(out, text, size);
    } else {
        utf8_add_valid(&clean, text, size);
        write_valid(out, clean.data, clean.len);
    }
    buf_addch(out, '"');
}
