/* libFuzzer harness: any bytes as the files of a record. The first byte chooses between events, a
 * log with its index as they are, a log whose index has its magic number and sums set right, so
 * that what is behind them is reached, and that with events as one stream; the second says how many
 * entries the index has, and in a stream the third, by four, how large the events are.
 *
 * Reading ends, numbers rise, and what is damaged is told in one line.
 *
 *     build/fuzz/tests/fuzz_record -max_len=4096 -timeout=5 corpus/ */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "event/read.h"
#include "record/events.h"
#include "record/files.h"
#include "record/follow.h"
#include "record/format.h"
#include "record/log.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void check_err(const struct err *err)
{
    if (!err->code || !err->message[0] || strchr(err->message, '\n'))
        abort();
}

static void fill(int fd, const void *data, size_t size)
{
    if (ftruncate(fd, 0) < 0 || pwrite(fd, data, size, 0) != (ssize_t)size)
        abort();
}

static void read_events(const struct record *record)
{
    CLEANUP_RECORD_EVENTS struct record_events *events = NULL;
    struct record_event item;
    struct err err = ERR_INIT;
    enum record_got got;
    struct node tree = {0};
    bool grown = false;
    uint64_t last = 0;

    record_events_open(record, 0, &events);
    while ((got = record_events_next(events, &item, &err)) != RECORD_END) {
        json_t *event;
        int result = 0;

        if (got == RECORD_DAMAGED) {
            check_err(&err);
            continue;
        }
        if (got != RECORD_ITEM || item.seq <= last || strlen(item.json) != item.size)
            abort();
        last = item.seq;
        event = json_loadb(item.json, item.size, 0, NULL);
        if (event && !grown && json_object_get(event, "tree")) {
            grown = true;
            result = node_tree_from_json(json_object_get(event, "tree"), &tree, &err);
        } else if (event && grown) {
            result = event_apply(event, &tree, &err);
        }
        if (event && result < 0)
            check_err(&err);
        json_decref(event);
    }
    node_release(&tree);
}

static void read_items(struct record_log *log)
{
    struct record_item item;
    struct err err = ERR_INIT;
    enum record_got got;
    size_t lines = 0;

    while ((got = record_log_next(log, &item, &err)) != RECORD_END) {
        struct record_line line;
        size_t at = 0;

        if (got == RECORD_DAMAGED) {
            check_err(&err);
            continue;
        }
        if (got != RECORD_ITEM || item.stream > RECORD_MISSING)
            abort();
        while (record_log_line(&item, &at, &line))
            lines += strnlen(line.data, line.size);
    }
}

static void read_log(const struct record *record)
{
    static const struct record_log_filter filter = {.node = "0.1", .streams = RECORD_STDOUT_BIT};
    struct record_log_totals totals;
    struct record_log *log;
    uint64_t skip;
    struct err err = ERR_INIT;

    for (int filtered = 0; filtered < 2; filtered++) {
        record_log_open(record, filtered ? &filter : NULL, &log);
        read_items(log);
        if (record_log_seek_seq(log, 3, &err) < 0 || record_log_seek_time(log, 3, &err) < 0)
            abort();
        read_items(log);
        if (record_log_seek_tail(log, 2, &skip, &err) < 0)
            abort();
        read_items(log);
        if (record_log_totals(log, &totals, &err) < 0)
            check_err(&err);
        record_log_close(log);
    }
}

static void read_stream(struct record_follow *follow)
{
    struct record_followed item;
    struct err err = ERR_INIT;
    enum record_got got;
    uint64_t last = record_follow_position(follow).event;

    while ((got = record_follow_next(follow, &item, &err)) != RECORD_END) {
        size_t size;

        if (got == RECORD_DAMAGED) {
            check_err(&err);
            continue;
        }
        if (got != RECORD_ITEM || item.position.event < last)
            abort();
        last = item.position.event;
        if (item.is_event &&
            record_event_node(&item.event, &size) + size > item.event.json + item.event.size)
            abort();
    }
}

static void follow(const struct record *record)
{
    static const struct record_log_filter filter = {.node = "0.1"};
    struct record_follow *stream;
    uint64_t skip;

    for (int filtered = 0; filtered < 2; filtered++) {
        record_follow_open(record, (struct record_position){(uint64_t)filtered, 2},
                           filtered ? &filter : NULL, &stream);
        read_stream(stream);
        if (record_follow_tail(stream, 2, &skip, NULL) == 0)
            read_stream(stream);
        record_follow_end(stream);
        read_stream(stream);
        record_follow_close(stream);
    }
}

/* Makes entries that are taken for sound, whatever they say. */
static void set_right(struct format_entry *entries, size_t count, const uint8_t *log, size_t size)
{
    for (size_t i = 0; i < count; i++) {
        struct format_entry *e = &entries[i];

        e->magic = FORMAT_MAGIC;
        if (size) {
            e->offset %= size;
            e->stored = (uint32_t)(1 + e->stored % (size - e->offset));
            e->size = e->stored + e->size % 4096;
            e->block_sum = format_sum(log + e->offset, e->stored);
        }
        e->sum = format_entry_sum(e);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    static struct record record = {.run_id = "r", .path = "/runs/r", .dir_fd = -1};
    struct format_entry entries[8];
    size_t count;
    size_t events = 0;
    int mode;

    if (len < 3)
        return 0;
    if (!record.events_fd) {
        record.events_fd = memfd_create("events", 0);
        record.log_fd = memfd_create("log", 0);
        record.index_fd = memfd_create("index", 0);
    }
    mode = data[0] % 4;
    if (mode == 0) {
        fill(record.events_fd, data + 1, len - 1);
        read_events(&record);
        return 0;
    }
    count = data[1] % 8;
    if (mode == 3)
        events = (size_t)data[2] * 4;
    if (len - 3 < count * sizeof(*entries) + events)
        return 0;
    memcpy(entries, data + 3, count * sizeof(*entries));
    data += 3 + count * sizeof(*entries);
    len -= 3 + count * sizeof(*entries);
    fill(record.events_fd, data, events);
    data += events;
    len -= events;
    if (mode != 2)
        set_right(entries, count, data, len);
    fill(record.index_fd, entries, count * sizeof(*entries));
    fill(record.log_fd, data, len);
    if (mode == 3)
        follow(&record);
    else
        read_log(&record);
    return 0;
}
