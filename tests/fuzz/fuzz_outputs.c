/* libFuzzer harness: any bytes as what a step has written to its output files, and as what comes
 * back from the helper in a container. The first byte chooses where the rest is cut in two: the
 * helper's reply must not notice.
 *
 *     build/fuzz/tests/fuzz_outputs -max_len=512 -timeout=5 corpus/ */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "exec/outputs.h"
#include "helper/reply.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

enum { FILES = 2, FILE_BYTES_MAX = 64 };

/* What was read must be read again from the block form of it. */
static void write_again(const struct strmap *map, struct buf *out)
{
    strmap_foreach (entry, map)
        buf_addf(out, "%s<<-END OF \x01VALUE-\n%s%s-END OF \x01VALUE-\n", entry->key, entry->value,
                 *entry->value ? "\n" : "");
}

static void parse(enum outputs_kind kind, const char *text, size_t len)
{
    CLEANUP_STRMAP struct strmap map = {0};
    CLEANUP_STRMAP struct strmap again = {0};
    CLEANUP_BUF struct buf written = BUF_INIT;
    struct err err = ERR_INIT;

    if (outputs_parse(kind, text, len, &map, &err) < 0) {
        if (!*err.message || strchr(err.message, '\n') || map.len)
            abort();
        return;
    }
    /* A carriage return at the end of a line does not survive, and our own end could be in it. */
    if (memchr(text, '\r', len) || memmem(text, len, "-END OF \x01VALUE-", 15))
        return;
    write_again(&map, &written);
    if (outputs_parse(kind, written.data, written.len, &again, &err) < 0 || again.len != map.len)
        abort();
    strmap_foreach (entry, &map) {
        const char *value = strmap_get(&again, entry->key);

        /* One empty line and none are the same. */
        if (!value || strcmp(value, entry->value) != 0)
            abort();
    }
}

static int collect(void *arg, const char *data, size_t len, struct err *err)
{
    (void)err;
    buf_add(arg, data, len);
    return 0;
}

static void on_changed(void *arg, size_t number, enum helper_returned state, const char *data,
                       size_t size)
{
    if (number >= FILES || size > FILE_BYTES_MAX)
        abort();
    buf_addf(arg, "%zu%c", number, (char)state);
    buf_add(arg, data, size);
}

static int feed(struct helper_reply *reply, const char *data, size_t len, size_t cut,
                struct buf *out)
{
    if (helper_reply_feed(reply, HELPER_STDOUT, data, cut, collect, out, NULL) < 0)
        return -1;
    return helper_reply_feed(reply, HELPER_STDOUT, data + cut, len - cut, collect, out, NULL);
}

static void init(struct helper_reply *reply, const struct helper_reply *like)
{
    helper_reply_init(reply);
    if (like)
        memcpy(reply->mark, like->mark, sizeof(reply->mark));
    for (int i = 0; i < FILES; i++)
        helper_reply_expect(reply, FILE_BYTES_MAX);
}

/* `$` in the text stands for the mark, `%` for its first half. */
static void reply(const char *text, size_t len, size_t cut)
{
    CLEANUP_BUF struct buf input = BUF_INIT;
    CLEANUP_BUF struct buf whole = BUF_INIT;
    CLEANUP_BUF struct buf parts = BUF_INIT;
    struct helper_reply a;
    struct helper_reply b;
    int result;

    init(&a, NULL);
    init(&b, &a);
    a.changed = b.changed = on_changed;
    a.changed_arg = &whole;
    b.changed_arg = &parts;
    for (size_t i = 0; i < len; i++) {
        if (text[i] == '$' || text[i] == '%')
            buf_add(&input, a.mark, text[i] == '$' ? HELPER_MARK_SIZE - 1 : HELPER_MARK_SIZE / 2);
        else
            buf_addch(&input, text[i]);
    }
    result = feed(&a, input.data, input.len, 0, &whole);
    if (feed(&b, input.data, input.len, cut < input.len ? cut : input.len, &parts) != result ||
        whole.len != parts.len || memcmp(whole.data, parts.data, whole.len) != 0)
        abort();
    for (int i = 0; result == 0 && i < FILES; i++) {
        const struct helper_file *one = &a.files.items[i];
        const struct helper_file *other = &b.files.items[i];

        if (one->data.len > FILE_BYTES_MAX || one->data.len != other->data.len ||
            one->state != other->state)
            abort();
    }
    helper_reply_release(&a);
    helper_reply_release(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    const char *text = (const char *)data;

    if (!len)
        return 0;
    parse(OUTPUTS_OUTPUT, text + 1, len - 1);
    parse(OUTPUTS_ENV, text + 1, len - 1);
    reply(text + 1, len - 1, data[0]);
    return 0;
}
