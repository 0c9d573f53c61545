#include "record/events.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/parse.h"
#include "record/files.h"

/* A line holds the tree at most, of a pipeline that was read from a file of limited size. */
enum { LINE_MAX_BYTES = 256 << 20, READ_SIZE = 64 * 1024 };

/* The shortest line that can be one: {"seq":1,} and its end. */
#define LINE_MIN_BYTES 11

struct record_events {
    const struct record *record;
    uint64_t after_seq;
    int64_t offset;   /* in the file, of bytes.data */
    struct buf bytes; /* read, and not given */
    size_t given;     /* of them, the line that was given last */
    size_t searched;  /* of them, without an end of a line */
    uint64_t seq;     /* of the last line that made sense, */
    int64_t seq_end;  /* which ended here in the file */
    bool final;       /* the writer was gone before the file was read for the last time */
    bool unreadable;  /* what is there cannot be read, which has been told */
};

/* {"seq":12,… */
static bool parse_seq(const char *line, uint64_t *seq)
{
    static const char prefix[] = "{\"seq\":";
    uint64_t value = 0;
    size_t digits = 0;

    if (strncmp(line, prefix, sizeof(prefix) - 1) != 0)
        return false;
    for (line += sizeof(prefix) - 1; *line >= '0' && *line <= '9' && digits < 19; line++, digits++)
        value = value * 10 + (uint64_t)(*line - '0');
    *seq = value;
    return digits > 0 && *line == ',';
}

/* The first line that begins behind `from`, and before `to`: its number and where it begins; false:
 * there is none, or it has no number. */
static bool line_behind(const struct record *record, int64_t from, int64_t to, int64_t *ret_at,
                        uint64_t *ret_seq)
{
    char bytes[4096 + 1];

    for (int64_t at = from; at < to;) {
        ssize_t got = pread(record->events_fd, bytes, sizeof(bytes) - 1, (off_t)at);
        const char *newline = got > 0 ? memchr(bytes, '\n', (size_t)got) : NULL;

        if (got <= 0)
            return false;
        if (!newline) {
            at += got;
            continue;
        }
        *ret_at = at + (newline - bytes) + 1;
        if (*ret_at >= to)
            return false;
        got = pread(record->events_fd, bytes, 64, (off_t)*ret_at);
        bytes[got > 0 ? got : 0] = '\0';
        return parse_seq(bytes, ret_seq);
    }
    return false;
}

/* Where to begin to read: not behind the line that is looked for. */
static int64_t find_offset(const struct record *record, uint64_t after_seq)
{
    struct stat st;
    int64_t low = 0;
    int64_t high;

    if (!after_seq || fstat(record->events_fd, &st) < 0)
        return 0;
    high = st.st_size;
    while (high - low > READ_SIZE) {
        int64_t middle = low + (high - low) / 2;
        int64_t at;
        uint64_t seq;

        if (line_behind(record, middle, high, &at, &seq) && seq <= after_seq)
            low = at;
        else
            high = middle;
    }
    return low;
}

void record_events_open(const struct record *record, uint64_t after_seq, struct record_events **ret)
{
    struct record_events *e = xmalloc(sizeof(*e));

    *e = (struct record_events){.record = record,
                                .after_seq = after_seq,
                                .offset = find_offset(record, after_seq),
                                .bytes = BUF_INIT};
    *ret = e;
}

void record_events_close(struct record_events *e)
{
    if (!e)
        return;
    buf_release(&e->bytes);
    free(e);
}

/* Drops what has been given. */
static void advance(struct record_events *e)
{
    buf_consume(&e->bytes, e->given);
    e->offset += (int64_t)e->given;
    e->searched -= e->given < e->searched ? e->given : e->searched;
    e->given = 0;
}

/* 1: there is more; 0: not now; -1: error. */
static int read_more(struct record_events *e, struct err *err)
{
    ssize_t got;

    if (e->bytes.len > LINE_MAX_BYTES)
        return err_set(err, ERR_LIMIT, "%s/" EVENTS_NAME ": the line at %lld is too long",
                       e->record->path, (long long)e->offset);
    buf_reserve(&e->bytes, READ_SIZE);
    do
        got = pread(e->record->events_fd, e->bytes.data + e->bytes.len, READ_SIZE,
                    (off_t)(e->offset + (int64_t)e->bytes.len));
    while (got < 0 && errno == EINTR);
    if (got < 0)
        return err_errno(err, "cannot read %s/" EVENTS_NAME, e->record->path);
    e->bytes.len += (size_t)got;
    e->bytes.data[e->bytes.len] = '\0';
    return got > 0;
}

/* 1: bytes begin with a whole line of *size bytes, newline included. */
static int find_line(struct record_events *e, size_t *size, struct err *err)
{
    for (;;) {
        const char *newline = memchr(e->bytes.data + e->searched, '\n', e->bytes.len - e->searched);
        int more;

        if (newline) {
            *size = (size_t)(newline - e->bytes.data) + 1;
            return 1;
        }
        e->searched = e->bytes.len;
        more = read_more(e, err);
        if (more <= 0)
            return more;
    }
}

/* What is missing before a line had its place in the file: a number that is larger is no number. */
static bool take_seq(struct record_events *e, uint64_t seq)
{
    uint64_t between = (uint64_t)(e->offset - e->seq_end) / LINE_MIN_BYTES;

    if (seq > e->seq + 1 + between)
        return false;
    if (seq > e->seq) {
        e->seq = seq;
        e->seq_end = e->offset + (int64_t)e->given;
    }
    return true;
}

/* What a line that was found is: ITEM, DAMAGED, or NONE_YET for one that was not asked for. */
static enum record_got take_line(struct record_events *e, size_t size, struct record_event *ret,
                                 struct err *err)
{
    e->given = size;
    e->bytes.data[size - 1] = '\0';
    if (!parse_seq(e->bytes.data, &ret->seq) || strlen(e->bytes.data) != size - 1 ||
        e->bytes.data[size - 2] != '}' || !take_seq(e, ret->seq)) {
        err_set(err, ERR_PROTOCOL, "%s/" EVENTS_NAME ": the line at %lld is no event",
                e->record->path, (long long)e->offset);
        return RECORD_DAMAGED;
    }
    if (ret->seq <= e->after_seq)
        return RECORD_NONE_YET;
    e->after_seq = ret->seq;
    ret->json = e->bytes.data;
    ret->size = size - 1;
    return RECORD_ITEM;
}

enum record_got record_events_next(struct record_events *e, struct record_event *ret,
                                   struct err *err)
{
    for (;;) {
        size_t size;
        int found;

        if (e->unreadable)
            return RECORD_END;
        advance(e);
        found = find_line(e, &size, err);
        if (found < 0) {
            e->unreadable = true;
            return RECORD_DAMAGED;
        }
        if (found) {
            enum record_got got = take_line(e, size, ret, err);

            if (got != RECORD_NONE_YET)
                return got;
        } else if (e->final) {
            return RECORD_END;
        } else if (record_is_written(e->record)) {
            return RECORD_NONE_YET;
        } else {
            e->final = true; /* what it wrote at last may have come after the look */
        }
    }
}

const char *record_event_node(const struct record_event *event, size_t *ret_size)
{
    static const char key[] = "\"id\":\"";
    /* Nothing that comes before it can hold that. */
    const char *id = strstr(event->json, key);
    const char *node;
    size_t size;

    *ret_size = 0;
    if (!id)
        return event->json;
    id += sizeof(key) - 1;
    size = strcspn(id, "\"");
    node = memchr(id, '.', size);
    if (!node)
        return id + size;
    node++;
    *ret_size = size - (size_t)(node - id);
    return node;
}

const char *record_event_name(const struct record_event *event, size_t *ret_size)
{
    static const char key[] = ",\"event\":\"";
    const char *at = event->json + strcspn(event->json, ",");

    *ret_size = 0;
    if (strncmp(at, key, sizeof(key) - 1) != 0)
        return at;
    at += sizeof(key) - 1;
    *ret_size = strcspn(at, "\"");
    return at;
}

bool record_event_is_of_run(const struct record_event *event)
{
    size_t size;
    const char *name = record_event_name(event, &size);

    return size >= 3 && memcmp(name, "Run", 3) == 0;
}

bool record_event_is_note(const struct record_event *event)
{
    size_t size;
    const char *name = record_event_name(event, &size);

    return size >= 4 && memcmp(name + size - 4, "Note", 4) == 0;
}

int record_events_read(const struct record *record, uint64_t after_seq,
                       int (*event)(void *arg, const struct record_event *event), void *arg,
                       struct err *err)
{
    CLEANUP_RECORD_EVENTS struct record_events *events = NULL;
    struct record_event item;

    record_events_open(record, after_seq, &events);
    for (;;) {
        enum record_got got = record_events_next(events, &item, err);
        int result;

        if (got != RECORD_ITEM)
            return got == RECORD_DAMAGED ? -1 : 0;
        result = event(arg, &item);
        if (result)
            return result;
    }
}
