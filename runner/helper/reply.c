#include "helper/reply.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "base/clock.h"
#include "base/parse.h"

#define MARK_LEN ((size_t)HELPER_MARK_SIZE - 1)

void helper_reply_init(struct helper_reply *reply)
{
    uint64_t random[2] = {(uint64_t)clock_monotonic_ms(), (uintptr_t)reply};
    ssize_t got = getrandom(random, sizeof(random), 0);

    (void)got; /* in a container without it the clock will do: this is no secret */
    *reply = (struct helper_reply){0};
    for (int i = 0; i < 2; i++)
        reply->scans[i].content.data = (struct buf)BUF_INIT;
    snprintf(reply->mark, sizeof(reply->mark), "%c%016llx%016llx", HELPER_MARK_FIRST,
             (unsigned long long)random[0], (unsigned long long)random[1]);
}

void helper_reply_expect(struct helper_reply *reply, size_t max_bytes)
{
    vec_push(&reply->files, ((struct helper_file){.max_bytes = max_bytes, .data = BUF_INIT}));
}

void helper_reply_release(struct helper_reply *reply)
{
    vec_foreach (struct helper_file *, file, &reply->files)
        buf_release(&file->data);
    vec_release(&reply->files);
    for (int i = 0; i < 2; i++)
        buf_release(&reply->scans[i].content.data);
}

static size_t min_size(size_t a, size_t b)
{
    return a < b ? a : b;
}

static size_t get_u32(const char *at)
{
    const unsigned char *u = (const unsigned char *)at;

    return u[0] | (size_t)u[1] << 8 | (size_t)u[2] << 16 | (size_t)u[3] << 24;
}

/* The file whose content comes; NULL: there should be none. */
static struct helper_file *present_file(struct helper_reply *reply, struct helper_scan *scan)
{
    if (scan->changed)
        return &scan->content;
    if (scan != &reply->scans[HELPER_STDOUT] || scan->file_count == reply->files.len)
        return NULL;
    return &reply->files.items[scan->file_count];
}

static bool take_data_head(struct helper_reply *reply, struct helper_scan *scan)
{
    const struct helper_file *file = present_file(reply, scan);

    if (scan->head_len < HELPER_RECORD_SIZE)
        return file != NULL;
    scan->data_left = get_u32(scan->head + 1);
    scan->head_len = 0;
    return file && scan->data_left <= file->max_bytes - file->data.len;
}

/* Behind which the output goes on. */
static bool take_changed(struct helper_reply *reply, struct helper_scan *scan)
{
    if (scan->head_len < 2)
        return true;
    scan->number = (unsigned char)scan->head[1];
    if (scan->number >= reply->files.len)
        return false;
    scan->changed = true;
    scan->content.max_bytes = reply->files.items[scan->number].max_bytes;
    buf_reset(&scan->content.data);
    scan->head_len = 0;
    return true;
}

static void give_changed(struct helper_reply *reply, struct helper_scan *scan)
{
    const struct helper_file *file = &scan->content;

    if (reply->changed)
        reply->changed(reply->changed_arg, scan->number, file->state, file->data.data,
                       file->data.len);
    scan->changed = false;
    scan->matched = 0;
}

static bool take_data_end(struct helper_reply *reply, struct helper_scan *scan)
{
    struct helper_file *file = present_file(reply, scan);
    char state = scan->head[1];

    if (scan->head_len < 2)
        return file != NULL;
    if (!file || (state != HELPER_WHOLE && state != HELPER_TRUNCATED && state != HELPER_UNREADABLE))
        return false;
    file->state = (enum helper_returned)state;
    scan->head_len = 0;
    if (scan->changed)
        give_changed(reply, scan);
    else
        scan->file_count++;
    return true;
}

static bool take_code(struct helper_reply *reply, struct helper_scan *scan)
{
    size_t files = scan == &reply->scans[HELPER_STDOUT] ? reply->files.len : 0;
    int64_t code;
    char *end;

    if (scan->head[scan->head_len - 1] != '\n')
        return scan->head_len < sizeof(scan->head);
    end = scan->head + scan->head_len - 1;
    scan->out_of_memory = end[-1] == HELPER_OUT_OF_MEMORY;
    end -= scan->out_of_memory;
    scan->timed_out = end[-1] == HELPER_TIMED_OUT;
    end -= scan->timed_out;
    *end = '\0';
    if (parse_int64(scan->head + 1, &code, NULL) < 0 || scan->file_count != files)
        return false;
    scan->code = (int)code;
    scan->done = true;
    return true;
}

/* One more character of a head; false: it does not belong there. */
static bool take_head(struct helper_reply *reply, struct helper_scan *scan, char c)
{
    scan->head[scan->head_len++] = c;
    if (scan->head[0] == HELPER_CHANGED)
        return !scan->ending && !scan->changed && take_changed(reply, scan);
    if (!scan->changed)
        scan->ending = true;
    switch (scan->head[0]) {
    case HELPER_DATA:
        return take_data_head(reply, scan);
    case HELPER_DATA_END:
        return take_data_end(reply, scan);
    case ' ':
        return !scan->changed && take_code(reply, scan);
    default:
        return false;
    }
}

/* Behind the mark. Returns how much of the data was used before there is output again, or -1. */
static ssize_t feed_files(struct helper_reply *reply, struct helper_scan *scan, const char *data,
                          size_t len, struct err *err)
{
    size_t used = 0;

    while (used < len && scan->matched) {
        size_t size = 1;

        if (scan->data_left > 0) {
            size = min_size(scan->data_left, len - used);
            buf_add(&present_file(reply, scan)->data, data + used, size);
            scan->data_left -= size;
        } else if (scan->done || !take_head(reply, scan, data[used])) {
            return err_set(err, ERR_PROTOCOL, "the helper in the container is confused");
        }
        used += size;
    }
    return (ssize_t)used;
}

static size_t common_length(const char *a, const char *b, size_t max)
{
    size_t len = 0;

    while (len < max && a[len] == b[len])
        len++;
    return len;
}

/* Goes on where the last piece ended inside of what may be the mark. Returns how much of the data
 * was used, or -1. */
static ssize_t resume_match(struct helper_reply *reply, struct helper_scan *scan, const char *data,
                            size_t len, helper_output_fn *output, void *arg, struct err *err)
{
    size_t wanted = min_size(len, MARK_LEN - scan->matched);
    size_t same = common_length(data, reply->mark + scan->matched, wanted);
    size_t held = scan->matched + same;

    scan->matched = held;
    if (same == wanted)
        return (ssize_t)same;
    scan->matched = 0;
    return output(arg, reply->mark, held, err) < 0 ? -1 : (ssize_t)same;
}

/* The length of the output in front of the mark, or of what may become it: scan->matched is how
 * much of that there is. */
static size_t find_mark(const struct helper_reply *reply, struct helper_scan *scan,
                        const char *data, size_t len)
{
    size_t at = 0;

    while (at < len) {
        const char *first = memchr(data + at, HELPER_MARK_FIRST, len - at);
        size_t wanted, same;

        if (!first)
            return len;
        at = (size_t)(first - data);
        wanted = min_size(len - at, MARK_LEN);
        same = common_length(first, reply->mark, wanted);
        if (same == wanted) {
            scan->matched = same;
            return at;
        }
        at += same;
    }
    return len;
}

/* Up to a mark, or into what may become one. Returns how much of the data was used, or -1. */
static ssize_t feed_output(struct helper_reply *reply, struct helper_scan *scan, const char *data,
                           size_t len, helper_output_fn *output, void *arg, struct err *err)
{
    size_t plain;

    if (scan->matched > 0)
        return resume_match(reply, scan, data, len, output, arg, err);
    plain = find_mark(reply, scan, data, len);
    if (plain > 0 && output(arg, data, plain, err) < 0)
        return -1;
    return (ssize_t)(plain + scan->matched);
}

int helper_reply_feed(struct helper_reply *reply, enum helper_stream stream, const char *data,
                      size_t len, helper_output_fn *output, void *arg, struct err *err)
{
    struct helper_scan *scan = &reply->scans[stream];

    while (len > 0) {
        ssize_t used = scan->matched == MARK_LEN
                           ? feed_files(reply, scan, data, len, err)
                           : feed_output(reply, scan, data, len, output, arg, err);

        if (used < 0)
            return -1;
        data += used;
        len -= (size_t)used;
    }
    return 0;
}

int helper_reply_flush(struct helper_reply *reply, enum helper_stream stream,
                       helper_output_fn *output, void *arg, struct err *err)
{
    struct helper_scan *scan = &reply->scans[stream];

    /* More than its first byte is a mark that was cut off. */
    if (scan->matched != 1)
        return 0;
    scan->matched = 0;
    return output(arg, reply->mark, 1, err);
}
