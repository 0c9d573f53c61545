/* libFuzzer harness: values and a text, all any bytes, cut anywhere, against a naive search; and
 * the same bytes as a dotenv file. The first byte says how many values there are, each of which
 * begins with a byte for its length; the next says where the text is cut.
 *
 *     build/fuzz/tests/fuzz_mask -max_len=1024 -timeout=5 corpus/ */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/dotenv.h"
#include "base/vec.h"
#include "mask/forms.h"
#include "mask/mask.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

enum { VALUES_MAX = 8, TEXT_MAX = 512 };

/* What is looked through, and which bytes of it are covered. */
struct text {
    const char *data;
    size_t len;
    bool covered[TEXT_MAX];
};

static void mark(void *arg, const char *form, size_t len)
{
    struct text *text = arg;

    for (size_t at = 0; at + len <= text->len; at++) {
        if (memcmp(text->data + at, form, len) == 0)
            memset(text->covered + at, true, len);
    }
}

static void collect(void *arg, const char *data, size_t size)
{
    if (!size)
        abort();
    buf_add(arg, data, size);
}

static void check(struct mask *mask, const struct text *text, size_t cut)
{
    CLEANUP_BUF struct buf expected = BUF_INIT;
    CLEANUP_BUF struct buf got = BUF_INIT;
    struct mask_stream stream;

    for (size_t i = 0; i < text->len; i++) {
        if (!text->covered[i])
            buf_addch(&expected, text->data[i]);
        else if (i == 0 || !text->covered[i - 1])
            buf_addstr(&expected, MASK_TEXT);
    }
    mask_stream_init(&stream, mask);
    for (size_t at = 0; at < text->len; at += cut) {
        size_t size = cut < text->len - at ? cut : text->len - at;

        mask_stream_write(&stream, text->data + at, size, collect, &got);
    }
    mask_stream_finish(&stream, collect, &got);
    mask_stream_release(&stream);
    if (got.len != expected.len || memcmp(got.data, expected.data, got.len) != 0)
        abort();
}

static void fuzz_mask(const uint8_t *data, size_t len)
{
    const char *at = (const char *)data;
    const char *end = at + len;
    CLEANUP_MASK struct mask *mask = mask_new();
    struct text text = {0};
    struct {
        const char *bytes;
        size_t len;
    } values[VALUES_MAX];
    size_t count = 0;
    size_t wanted;
    size_t cut;

    if (len < 2)
        return;
    wanted = (unsigned char)*at++ % VALUES_MAX;
    cut = (unsigned char)*at++ % 64 + 1;
    while (count < wanted && at < end) {
        size_t size = (unsigned char)*at++ % 48;

        values[count].bytes = at;
        values[count].len = size < (size_t)(end - at) ? size : (size_t)(end - at);
        at += values[count++].len;
    }
    text.data = at;
    text.len = (size_t)(end - at) < TEXT_MAX ? (size_t)(end - at) : TEXT_MAX;
    for (size_t i = 0; i < count; i++) {
        if (mask_add(mask, values[i].bytes, values[i].len) == MASK_ADDED)
            mask_forms(values[i].bytes, values[i].len, MASK_VALUE_MIN, mark, &text);
    }
    check(mask, &text, cut);
}

static int entry(void *arg, const char *name, const char *value, struct err *err)
{
    (void)err;
    if (!*name || strlen(name) > *(size_t *)arg || strlen(value) > 2 * *(size_t *)arg)
        abort();
    return 0;
}

static void fuzz_dotenv(const uint8_t *data, size_t len)
{
    CLEANUP_BUF struct buf text = BUF_INIT;
    struct err err = ERR_INIT;
    size_t line = 0;

    buf_add(&text, data, len);
    if (dotenv_read(text.data, text.len, entry, &len, &line, &err) < 0 &&
        (line < 1 || line > len + 1 || !err.message[0]))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    fuzz_mask(data, len);
    fuzz_dotenv(data, len);
    return 0;
}
