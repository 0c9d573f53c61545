#include "record/log_writer.h"

#include <errno.h>
#include <lz4.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "record/log.h"

/* Log lines repeat themselves: a coarser search costs little of what they shrink by, and takes much
 * less time. */
enum { ACCELERATION = 2 };

static void begin_entry(struct log_writer *w)
{
    w->entry = (struct format_entry){.magic = FORMAT_MAGIC};
    w->last_node_size = SIZE_MAX;
}

static void begin_block(struct log_writer *w)
{
    buf_reset(&w->block);
    begin_entry(w);
}

void log_writer_init(struct log_writer *w, int log_fd, int index_fd, int64_t limit)
{
    *w = (struct log_writer){.log_fd = log_fd,
                             .index_fd = index_fd,
                             .limit = limit,
                             .next_seq = 1,
                             .block = BUF_INIT,
                             .stored = xmalloc((size_t)LZ4_compressBound(FORMAT_BLOCK_MAX)),
                             .last_ms = INT64_MIN};
    begin_block(w);
}

void log_writer_release(struct log_writer *w)
{
    buf_release(&w->block);
    free(w->stored);
}

/* Where an earlier attempt got to is written over: nothing points there. */
static int write_at(int fd, const void *data, size_t size, uint64_t offset, const char *name,
                    struct err *err)
{
    const char *at = data;

    while (size > 0) {
        ssize_t put = pwrite(fd, at, size, (off_t)offset);

        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0)
            return err_errno(err, "cannot write the %s of the run", name);
        at += put;
        offset += (uint64_t)put;
        size -= (size_t)put;
    }
    return 0;
}

/* Everything but where the block lies, and its sums. */
static void complete_entry(struct log_writer *w, size_t size)
{
    struct format_entry *e = &w->entry;

    e->size = (uint32_t)size;
    e->offset = w->offset;
    e->first_seq = w->next_seq;
    e->lines_before = w->lines;
    e->bytes_before = w->bytes;
    if (e->last_ms < w->last_ms)
        e->last_ms = w->last_ms;
}

static int store(struct log_writer *w, const char *records, size_t size, bool beyond_limit,
                 struct err *err)
{
    struct format_entry *e = &w->entry;
    const char *stored = w->stored;
    /* With room for the worst it looks at no bound. */
    int packed = LZ4_compress_fast(records, w->stored, (int)size,
                                   LZ4_COMPRESSBOUND(FORMAT_BLOCK_MAX), ACCELERATION);

    if (packed <= 0 || (size_t)packed >= size) {
        stored = records;
        packed = (int)size;
    }
    complete_entry(w, size);
    if (!beyond_limit && w->offset + (uint64_t)packed > (uint64_t)w->limit) {
        w->full = true;
        return err_set(err, ERR_LIMIT, "the log of the run has reached its limit of %lld bytes",
                       (long long)w->limit);
    }
    e->stored = (uint32_t)packed;
    e->block_sum = format_sum(stored, (size_t)packed);
    e->sum = format_entry_sum(e);
    if (write_at(w->log_fd, stored, (size_t)packed, w->offset, "log", err) < 0 ||
        write_at(w->index_fd, e, sizeof(*e), w->index_offset, "log's index", err) < 0)
        return -1;
    w->offset += (uint64_t)packed;
    w->index_offset += sizeof(*e);
    w->next_seq += e->record_count;
    w->lines += e->lines;
    w->bytes += e->bytes;
    w->last_ms = e->last_ms;
    return 0;
}

/* Says in a block of its own how much is missing behind that event and before what comes next. */
static int tell_missing(struct log_writer *w, uint32_t last_event, struct err *err)
{
    const struct format_entry entry = w->entry;
    struct format_record header = {.size = sizeof(uint64_t),
                                   .time_ms = w->untold_ms,
                                   .stream = RECORD_MISSING,
                                   .last_event = last_event};
    char record[sizeof(header) + sizeof(uint64_t)];
    int result;

    memcpy(record, &header, sizeof(header));
    memcpy(record + sizeof(header), &w->untold_bytes, sizeof(uint64_t));
    w->entry = (struct format_entry){.magic = FORMAT_MAGIC,
                                     .record_count = 1,
                                     .streams = 1u << RECORD_MISSING,
                                     .first_ms = w->untold_ms,
                                     .last_ms = w->untold_ms};
    memset(w->entry.nodes, 0xff, sizeof(w->entry.nodes));
    result = store(w, record, sizeof(record), w->full, err);
    if (result == 0)
        w->untold_bytes = 0;
    w->entry = entry;
    return result;
}

/* Adds one record to what the entry says; returns its size. */
static size_t account(struct log_writer *w, const char *record)
{
    struct format_entry *e = &w->entry;
    struct format_record header;
    const char *node = record + sizeof(header);

    memcpy(&header, record, sizeof(header));
    if (header.node_size != w->last_node_size || memcmp(node, w->last_node, header.node_size)) {
        format_nodes_add(e->nodes, node, header.node_size);
        w->last_node_size = SIZE_MAX;
        if (header.node_size < sizeof(w->last_node)) {
            memcpy(w->last_node, node, header.node_size);
            w->last_node_size = header.node_size;
        }
    }
    if (header.stream != RECORD_NOTE)
        e->lines += (uint32_t)format_count_lines(node + header.node_size, header.size);
    if (!e->record_count || header.time_ms > e->last_ms)
        e->last_ms = header.time_ms;
    if (!e->record_count || header.time_ms < e->first_ms)
        e->first_ms = header.time_ms;
    e->streams |= 1u << header.stream;
    e->bytes += header.size;
    e->record_count++;
    return sizeof(header) + header.node_size + header.size;
}

static uint32_t last_event_before(const char *record)
{
    struct format_record header;

    memcpy(&header, record, sizeof(header));
    return header.last_event;
}

/* The limit is reached with this block: half of its records may have room, or half of those. Leaves
 * the entry as that of what was stored; returns the size of that. */
static size_t store_some(struct log_writer *w, const char *records)
{
    uint32_t count = w->entry.record_count;

    while (count > 1) {
        size_t size = 0;

        count /= 2;
        begin_entry(w);
        for (uint32_t i = 0; i < count; i++)
            size += account(w, records + size);
        if (store(w, records, size, false, NULL) == 0)
            return size;
    }
    return 0;
}

/* What is lost is told when something can be written again; at the limit that is now, and once more
 * when the log ends: whoever is killed before that leaves no log that looks whole. */
static void lose(struct log_writer *w, uint64_t bytes, int64_t last_ms)
{
    if (!w->untold_bytes)
        w->untold_ms = last_ms;
    w->untold_bytes += bytes;
    w->missing_bytes += bytes;
}

static int end_block(struct log_writer *w, const char *records, size_t size, struct err *err)
{
    bool was_full = w->full;
    int64_t last_ms = w->entry.last_ms;
    uint64_t bytes = w->entry.bytes;
    int result = 0;

    if (was_full) {
        lose(w, bytes, last_ms); /* behind the limit there is nothing new to say */
        begin_block(w);
        return 0;
    }
    if (w->untold_bytes)
        result = tell_missing(w, last_event_before(records), err);
    if (result == 0)
        result = store(w, records, size, false, err);
    if (result < 0 && w->full) {
        size_t stored = w->untold_bytes ? 0 : store_some(w, records);

        lose(w, stored ? bytes - w->entry.bytes : bytes, last_ms);
        (void)!tell_missing(w, last_event_before(records + stored), NULL);
    } else if (result < 0) {
        lose(w, bytes, last_ms);
    }
    begin_block(w);
    return result;
}

int log_writer_add(struct log_writer *w, char *records, size_t size, uint64_t last_event,
                   struct err *err)
{
    const char *end = records + size;
    const char *from = records;
    int result = 0;

    w->last_event = last_event < UINT32_MAX ? (uint32_t)last_event : UINT32_MAX;
    for (char *at = records; at < end;) {
        memcpy(at + offsetof(struct format_record, last_event), &w->last_event,
               sizeof(w->last_event));
        at += account(w, at);
        if (w->block.len + (size_t)(at - from) < FORMAT_BLOCK_SIZE)
            continue;
        /* Most of the time nothing waits, and the block need not be copied. */
        if (w->block.len) {
            buf_add(&w->block, from, (size_t)(at - from));
            if (end_block(w, w->block.data, w->block.len, result == 0 ? err : NULL) < 0)
                result = -1;
        } else if (end_block(w, from, (size_t)(at - from), result == 0 ? err : NULL) < 0) {
            result = -1;
        }
        from = at;
    }
    buf_add(&w->block, from, (size_t)(end - from));
    return result;
}

int log_writer_flush(struct log_writer *w, struct err *err)
{
    return w->block.len ? end_block(w, w->block.data, w->block.len, err) : 0;
}

void log_writer_skip(struct log_writer *w, uint64_t bytes)
{
    w->untold_bytes += bytes;
    w->missing_bytes += bytes;
}

int log_writer_finish(struct log_writer *w, struct err *err)
{
    int result = log_writer_flush(w, err);

    if (w->untold_bytes && tell_missing(w, w->last_event, result == 0 ? err : NULL) < 0)
        result = -1;
    return result;
}
