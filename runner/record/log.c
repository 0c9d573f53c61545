#include "record/log.h"

#include <lz4.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "record/files.h"
#include "record/format.h"

enum { ENTRIES_AT_ONCE = 64 };

struct record_log {
    const struct record *record;
    char *node; /* of the filter; NULL: all */
    size_t node_size;
    unsigned streams;
    uint64_t from_seq; /* what is before is not given */
    int64_t from_ms;   /* likewise, up to the first that is not older */

    uint64_t next_block;
    uint64_t block_count; /* that were there when the index was looked at last */
    bool final;           /* and the writer was gone before that */
    struct format_entry entries[ENTRIES_AT_ONCE];
    uint64_t entries_from;
    size_t entries_len;

    char *stored; /* of a block as it is in the file; grows */
    size_t stored_cap;
    char *block; /* FORMAT_BLOCK_MAX bytes: the current one */
    size_t at;   /* the next record in it */
    size_t size;
    uint64_t seq; /* of the record there */
    uint64_t block_number;
    struct buf item_node; /* of the item that was given last, NUL-terminated */
};

void record_log_open(const struct record *record, const struct record_log_filter *filter,
                     struct record_log **ret)
{
    struct record_log *log = xcalloc(1, sizeof(*log));

    log->record = record;
    log->from_ms = INT64_MIN;
    log->item_node = (struct buf)BUF_INIT;
    log->streams = filter && filter->streams ? filter->streams : ~0u;
    log->streams |= 1u << RECORD_MISSING;
    if (filter && filter->node && *filter->node) {
        log->node = xstrdup(filter->node);
        log->node_size = strlen(log->node);
    }
    *ret = log;
}

void record_log_close(struct record_log *log)
{
    if (!log)
        return;
    buf_release(&log->item_node);
    free(log->stored);
    free(log->block);
    free(log->node);
    free(log);
}

/* --- the index --- */

/* Looks how many blocks there are. */
static int count_blocks(struct record_log *log, struct err *err)
{
    struct stat st;

    if (fstat(log->record->index_fd, &st) < 0)
        return err_errno(err, "cannot examine %s/" INDEX_NAME, log->record->path);
    log->block_count = (uint64_t)st.st_size / sizeof(struct format_entry);
    return 0;
}

static bool entry_is_sound(const struct format_entry *e)
{
    return e->magic == FORMAT_MAGIC && e->sum == format_entry_sum(e) && e->size > 0 &&
           e->size <= FORMAT_BLOCK_MAX && e->stored > 0 && e->stored <= e->size &&
           e->offset <= INT64_MAX - FORMAT_BLOCK_MAX && e->record_count > 0;
}

/* The entry of a block that is there: 0, or -1. */
static int read_entry(struct record_log *log, uint64_t number, const struct format_entry **ret,
                      struct err *err)
{
    const struct format_entry *entry = NULL;

    if (number < log->entries_from || number >= log->entries_from + log->entries_len) {
        uint64_t count = log->block_count - number;

        count = count < ENTRIES_AT_ONCE ? count : ENTRIES_AT_ONCE;
        log->entries_len = 0;
        if (record_read_at(log->record->index_fd, log->entries, count * sizeof(*log->entries),
                           (int64_t)(number * sizeof(*log->entries)), INDEX_NAME, err) < 0)
            return err_wrap(err, "%s", log->record->path);
        log->entries_from = number;
        log->entries_len = count;
    }
    entry = &log->entries[number - log->entries_from];
    if (!entry_is_sound(entry))
        return err_set(err, ERR_PROTOCOL,
                       "%s/" INDEX_NAME ": entry %llu is damaged: what it points to is missing",
                       log->record->path, (unsigned long long)number);
    *ret = entry;
    return 0;
}

/* --- blocks --- */

static bool has_node(const struct format_entry *e, unsigned bit)
{
    return e->nodes[bit / 64] >> bit % 64 & 1;
}

/* Whether the block may hold something that is asked for. */
static bool entry_matches(const struct record_log *log, const struct format_entry *e)
{
    if (!(e->streams & log->streams) || e->first_seq + e->record_count <= log->from_seq)
        return false;
    return !log->node || has_node(e, format_node_bit(log->node, log->node_size));
}

static int damaged_block(const struct record_log *log, const struct format_entry *e,
                         struct err *err)
{
    return err_set(err, ERR_PROTOCOL,
                   "%s/" LOG_NAME ": the block at %llu is damaged: items %llu to %llu are missing",
                   log->record->path, (unsigned long long)e->offset,
                   (unsigned long long)e->first_seq,
                   (unsigned long long)(e->first_seq + e->record_count - 1));
}

/* Whether the block is a row of as many whole records as the entry says. */
static bool records_are_sound(const char *block, const struct format_entry *e)
{
    size_t at = 0;
    uint32_t count = 0;

    while (at < e->size) {
        struct format_record r;
        size_t left = e->size - at;

        if (left < sizeof(r))
            return false;
        memcpy(&r, block + at, sizeof(r));
        if (left - sizeof(r) < (size_t)r.node_size + r.size || r.stream > RECORD_MISSING ||
            (r.stream == RECORD_MISSING && r.size != sizeof(uint64_t)))
            return false;
        at += sizeof(r) + r.node_size + r.size;
        count++;
    }
    return count == e->record_count;
}

static int load_block(struct record_log *log, const struct format_entry *e, struct err *err)
{
    struct err why = ERR_INIT;

    if (!log->block)
        log->block = xmalloc(FORMAT_BLOCK_MAX);
    if (log->stored_cap < e->stored) {
        free(log->stored);
        log->stored = xmalloc(e->stored);
        log->stored_cap = e->stored;
    }
    if (record_read_at(log->record->log_fd, log->stored, e->stored, (int64_t)e->offset, LOG_NAME,
                       &why) < 0) {
        damaged_block(log, e, err);
        return err_wrap(err, "%s", why.message);
    }
    if (format_sum(log->stored, e->stored) != e->block_sum)
        return damaged_block(log, e, err);
    if (e->stored == e->size)
        memcpy(log->block, log->stored, e->size);
    else if (LZ4_decompress_safe(log->stored, log->block, (int)e->stored, (int)e->size) !=
             (int)e->size)
        return damaged_block(log, e, err);
    if (!records_are_sound(log->block, e))
        return damaged_block(log, e, err);
    log->at = 0;
    log->size = e->size;
    log->seq = e->first_seq;
    return 0;
}

/* --- items --- */

static bool is_below(const struct record_log *log, const char *node, size_t size)
{
    if (!log->node)
        return true;
    return size >= log->node_size && memcmp(node, log->node, log->node_size) == 0 &&
           (size == log->node_size || node[log->node_size] == '.');
}

/* The header of the record at `at`, and the id behind it. */
static const char *header_at(const struct record_log *log, size_t at, struct format_record *ret)
{
    memcpy(ret, log->block + at, sizeof(*ret));
    return log->block + at + sizeof(*ret);
}

static size_t record_size(const struct format_record *r)
{
    return sizeof(*r) + r->node_size + r->size;
}

static bool is_asked_for(const struct record_log *log, const struct format_record *r,
                         const char *node)
{
    return (log->streams >> r->stream & 1) &&
           (r->stream == RECORD_MISSING || is_below(log, node, r->node_size));
}

/* Takes the record at log->at; false: it is not asked for. */
static bool take_record(struct record_log *log, struct record_item *ret)
{
    struct format_record r;
    const char *node = header_at(log, log->at, &r);
    uint64_t seq = log->seq++;

    log->at += record_size(&r);
    if (seq < log->from_seq || r.time_ms < log->from_ms || !is_asked_for(log, &r, node))
        return false;
    log->from_ms = INT64_MIN;
    buf_reset(&log->item_node);
    buf_add(&log->item_node, node, r.node_size);
    *ret = (struct record_item){.seq = seq,
                                .time_ms = r.time_ms,
                                .last_event = r.last_event,
                                .stream = (enum record_stream)r.stream,
                                .continued = r.continued,
                                .node_number = r.node_number,
                                .node = log->item_node.data,
                                .data = node + r.node_size,
                                .size = r.size};
    if (r.stream == RECORD_MISSING) {
        memcpy(&ret->missing_bytes, ret->data, sizeof(ret->missing_bytes));
        ret->size = 0;
    }
    return true;
}

/* Goes to the next block: 1 if there is one, loaded or left out; 0: not now; -1: it is damaged. */
static int next_block(struct record_log *log, struct err *err)
{
    const struct format_entry *entry = NULL;
    uint64_t number = log->next_block;

    if (number >= log->block_count) {
        if (count_blocks(log, err) < 0)
            return -1;
        if (number >= log->block_count)
            return 0;
    }
    log->next_block++;
    if (read_entry(log, number, &entry, err) < 0)
        return -1;
    if (entry_matches(log, entry) && load_block(log, entry, err) < 0)
        return -1;
    return 1;
}

enum record_got record_log_next(struct record_log *log, struct record_item *ret, struct err *err)
{
    for (;;) {
        int more;

        while (log->at < log->size) {
            if (take_record(log, ret))
                return RECORD_ITEM;
        }
        more = next_block(log, err);
        if (more < 0)
            return RECORD_DAMAGED;
        if (more)
            continue;
        if (log->final)
            return RECORD_END;
        if (record_is_written(log->record))
            return RECORD_NONE_YET;
        log->final = true; /* what it wrote at last may have come after the look */
    }
}

/* --- seeking --- */

/* The first block in [from, to) whose entry is sound, else `to`. */
static uint64_t first_sound(struct record_log *log, uint64_t from, uint64_t to,
                            const struct format_entry **entry)
{
    while (from < to && read_entry(log, from, entry, NULL) < 0)
        from++;
    return from;
}

/* Goes to the first block that `is_before` does not hold for: it holds for none behind one for
 * which it does not hold. */
static int seek_block(struct record_log *log,
                      bool (*is_before)(const struct format_entry *entry, int64_t what),
                      int64_t what, struct err *err)
{
    uint64_t low = 0;
    uint64_t high;

    if (count_blocks(log, err) < 0)
        return -1;
    high = log->block_count;
    while (low < high) {
        uint64_t middle = low + (high - low) / 2;
        const struct format_entry *entry = NULL;
        uint64_t sound = first_sound(log, middle, high, &entry);

        if (sound < high && is_before(entry, what))
            low = sound + 1;
        else
            high = middle;
    }
    log->next_block = low;
    log->at = log->size = 0;
    log->from_seq = 0;
    log->from_ms = INT64_MIN;
    return 0;
}

static bool is_before_seq(const struct format_entry *entry, int64_t seq)
{
    return entry->first_seq + entry->record_count <= (uint64_t)seq;
}

static bool is_before_time(const struct format_entry *entry, int64_t time_ms)
{
    return entry->last_ms < time_ms;
}

int record_log_seek_seq(struct record_log *log, uint64_t seq, struct err *err)
{
    if (seq > INT64_MAX)
        seq = INT64_MAX;
    if (seek_block(log, is_before_seq, (int64_t)seq, err) < 0)
        return -1;
    log->from_seq = seq;
    return 0;
}

int record_log_seek_time(struct record_log *log, int64_t time_ms, struct err *err)
{
    if (seek_block(log, is_before_time, time_ms, err) < 0)
        return -1;
    log->from_ms = time_ms;
    return 0;
}

/* Lines that end in the record at log->at and are asked for; moves on. */
static uint64_t pass_record(struct record_log *log)
{
    struct format_record r;
    const char *node = header_at(log, log->at, &r);

    log->at += record_size(&r);
    log->seq++;
    if (r.stream == RECORD_MISSING || !is_asked_for(log, &r, node))
        return 0;
    return r.stream == RECORD_NOTE ? 1 : format_count_lines(node + r.node_size, r.size);
}

/* Loads the block and counts its lines that are asked for; one that is damaged has none. */
static uint64_t lines_of_block(struct record_log *log, uint64_t number)
{
    const struct format_entry *entry = NULL;
    uint64_t lines = 0;

    if (read_entry(log, number, &entry, NULL) < 0 || !entry_matches(log, entry) ||
        load_block(log, entry, NULL) < 0)
        return 0;
    while (log->at < log->size)
        lines += pass_record(log);
    log->at = 0;
    log->seq = entry->first_seq;
    return lines;
}

/* Goes in the current block behind as many lines as can be passed by whole records. */
static uint64_t pass_lines(struct record_log *log, uint64_t lines)
{
    while (log->at < log->size) {
        size_t at = log->at;
        uint64_t seq = log->seq;
        uint64_t passed = pass_record(log);

        if (passed > lines || !lines) {
            log->at = at;
            log->seq = seq;
            break;
        }
        lines -= passed;
    }
    return lines;
}

int record_log_seek_tail(struct record_log *log, uint64_t lines, uint64_t *ret_skip,
                         struct err *err)
{
    uint64_t found = 0;
    uint64_t number;

    log->from_seq = 0;
    log->from_ms = INT64_MIN;
    if (count_blocks(log, err) < 0)
        return -1;
    *ret_skip = 0;
    for (number = log->block_count; number > 0; number--) {
        found += lines_of_block(log, number - 1);
        if (found >= lines)
            break;
    }
    log->next_block = number;
    if (number > 0 && lines > 0)
        *ret_skip = pass_lines(log, found - lines);
    else
        log->at = log->size = 0;
    return 0;
}

int record_log_totals(struct record_log *log, struct record_log_totals *ret, struct err *err)
{
    const struct format_entry *entry = NULL;

    if (count_blocks(log, err) < 0)
        return -1;
    *ret = (struct record_log_totals){0};
    if (!log->block_count)
        return 0;
    if (read_entry(log, log->block_count - 1, &entry, err) < 0)
        return -1;
    *ret = (struct record_log_totals){
        .records = entry->first_seq + entry->record_count - 1,
        .lines = entry->lines_before + entry->lines,
        .bytes = entry->bytes_before + entry->bytes,
        .stored_bytes = entry->offset + entry->stored,
    };
    return 0;
}

bool record_log_line(const struct record_item *item, size_t *at, struct record_line *ret)
{
    const char *from = item->data + *at;
    size_t left = item->size - *at;
    const char *newline;

    if (!left)
        return false;
    newline = item->stream == RECORD_NOTE ? NULL : memchr(from, '\n', left);
    *ret = (struct record_line){.data = from,
                                .size = newline ? (size_t)(newline - from) : left,
                                .continued = item->continued && !*at,
                                .complete = newline || item->stream == RECORD_NOTE};
    *at += newline ? ret->size + 1 : left;
    return true;
}
