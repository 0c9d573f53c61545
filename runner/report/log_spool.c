#include "report/log_spool.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/fs.h"
#include "base/vec.h"
#include "event/output_queue.h"

/* In the files a record is its tag, its bytes, and a newline. */
enum { NAME_SIZE = 16, READ_SIZE = 256 * 1024 };

static const char tags[] = {
    [LOG_RECORD_STDOUT] = 'o', [LOG_RECORD_STDERR] = 'e', [LOG_RECORD_NOTE] = 'n'};
static const char continued_tags[] = {[LOG_RECORD_STDOUT] = 'O', [LOG_RECORD_STDERR] = 'E'};

struct log_spool {
    struct event_sink sink;
    struct output_writer writer;
    struct output_queue *queue; /* NULL when finished */
    int dir_fd;
    VEC(uint64_t)
    sizes; /* by the number of the node: what has come; the writer's until it has finished */
};

static int open_log(const struct log_spool *spool, uint32_t number, int flags)
{
    char name[NAME_SIZE];

    snprintf(name, sizeof(name), "%u", number);
    return openat(spool->dir_fd, name, flags | O_CLOEXEC, 0600);
}

static off_t place_of(uint64_t position)
{
    if (position < LOG_SPOOL_HEAD)
        return (off_t)position;
    return (off_t)(LOG_SPOOL_HEAD + (position - LOG_SPOOL_HEAD) % LOG_SPOOL_TAIL);
}

/* How many bytes from there on lie side by side. */
static size_t room_at(uint64_t position)
{
    if (position < LOG_SPOOL_HEAD)
        return (size_t)(LOG_SPOOL_HEAD - position);
    return (size_t)(LOG_SPOOL_TAIL - (position - LOG_SPOOL_HEAD) % LOG_SPOOL_TAIL);
}

static int write_all_at(int fd, const char *data, size_t size, off_t at, struct err *err)
{
    while (size > 0) {
        ssize_t put = pwrite(fd, data, size, at);

        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0)
            return err_errno(err, "cannot keep output for the report");
        data += put;
        size -= (size_t)put;
        at += put;
    }
    return 0;
}

/* A file that is open only now needs no descriptor while its step waits. */
static int write_log(struct output_writer *writer, int number, char *data, size_t size,
                     struct err *err)
{
    struct log_spool *spool =
        (struct log_spool *)((char *)writer - offsetof(struct log_spool, writer));
    CLEANUP_FD int fd = open_log(spool, (uint32_t)number, O_WRONLY | O_CREAT);
    uint64_t *position;

    if (fd < 0)
        return err_errno(err, "cannot keep output for the report");
    while (spool->sizes.len <= (size_t)number)
        vec_push(&spool->sizes, 0);
    position = &spool->sizes.items[number];
    while (size > 0) {
        size_t part = room_at(*position) < size ? room_at(*position) : size;

        if (write_all_at(fd, data, part, place_of(*position), err) < 0)
            return -1;
        *position += part;
        data += part;
        size -= part;
    }
    return 0;
}

/* What services say is in the log of their level, behind their names. */
static void add_lines(struct buf *out, const struct node *node, char tag, char first_tag,
                      const char *data, size_t size)
{
    const char *end = data + size;

    while (data < end) {
        const char *newline = memchr(data, '\n', (size_t)(end - data));
        const char *stop = newline ? newline : end;

        buf_reserve(out, (size_t)(stop - data) + 2);
        buf_addch(out, first_tag);
        if (node->level == NODE_SERVICE)
            buf_addf(out, "%s | ", node->name);
        buf_add(out, data, (size_t)(stop - data));
        buf_addch(out, '\n');
        first_tag = tag;
        data = stop + 1;
    }
}

static void add_retry(struct buf *out, const struct event *event)
{
    const struct node_attempt *attempt = event->attempt;
    char delay[CLOCK_DURATION_SIZE];

    clock_format_duration(event->delay_ms, delay, sizeof(delay));
    buf_addf(out, "%cattempt %u failed: ", tags[LOG_RECORD_NOTE], event->node->attempt);
    buf_addstr(out, attempt->error ? attempt->error : "");
    buf_addf(out, "; trying again%s%s\n", event->delay_ms ? " in " : "",
             event->delay_ms ? delay : "");
}

static void handle(struct event_sink *sink, const struct event *event)
{
    struct log_spool *spool = (struct log_spool *)sink;
    struct buf *out;

    if (event->type == EVENT_STATE || event->type == EVENT_PROGRESS)
        return;
    out = output_queue_begin(spool->queue);
    if (event->type == EVENT_LOG) {
        enum log_record_kind kind =
            event->stream == EVENT_STDOUT ? LOG_RECORD_STDOUT : LOG_RECORD_STDERR;

        add_lines(out, event->node, tags[kind],
                  event->continued ? continued_tags[kind] : tags[kind], event->data, event->size);
    } else if (event->type == EVENT_NOTE) {
        add_lines(out, event->node, tags[LOG_RECORD_NOTE], tags[LOG_RECORD_NOTE], event->text,
                  strlen(event->text));
    } else if (event->type == EVENT_RETRY) {
        add_retry(out, event);
    }
    output_queue_commit(spool->queue, (int)event->node->number);
}

static int room_fd(struct event_sink *sink)
{
    return output_queue_room_fd(((struct log_spool *)sink)->queue);
}

int log_spool_new(const char *dir, struct log_spool **ret, struct err *err)
{
    struct log_spool *spool = xcalloc(1, sizeof(*spool));

    spool->sink = (struct event_sink){.handle = handle, .room_fd = room_fd};
    spool->writer.write = write_log;
    spool->dir_fd = -1;
    if (fs_mkdir_p(dir, 0700, err) < 0) {
        log_spool_free(spool);
        return -1;
    }
    spool->dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (spool->dir_fd < 0 || output_queue_new_for(&spool->writer, &spool->queue, err) < 0) {
        if (spool->dir_fd < 0)
            err_errno(err, "cannot open %s", dir);
        log_spool_free(spool);
        return -1;
    }
    *ret = spool;
    return 0;
}

struct event_sink *log_spool_sink(struct log_spool *spool)
{
    return &spool->sink;
}

int log_spool_finish(struct log_spool *spool, struct err *err)
{
    return output_queue_finish(steal_ptr(&spool->queue), err);
}

void log_spool_free(struct log_spool *spool)
{
    if (!spool)
        return;
    output_queue_finish(spool->queue, NULL);
    cleanup_fd(&spool->dir_fd);
    vec_release(&spool->sizes);
    free(spool);
}

/* --- reading --- */

struct reader {
    int fd;
    void (*record)(void *arg, const struct log_record *record);
    void *arg;
    struct buf bytes; /* read, but not given yet */
};

static struct log_record parse_record(const char *line, size_t size)
{
    struct log_record record = {.data = line + 1, .size = size - 1};

    switch (line[0]) {
    case 'O':
        record.continued = true;
        break;
    case 'E':
        record.continued = true;
        record.kind = LOG_RECORD_STDERR;
        break;
    case 'e':
        record.kind = LOG_RECORD_STDERR;
        break;
    case 'n':
        record.kind = LOG_RECORD_NOTE;
        break;
    default:
        break;
    }
    return record;
}

/* Gives whole records; with `all` also a last one that was cut off. */
static void give(struct reader *r, bool all)
{
    const char *at = r->bytes.data;
    const char *end = at + r->bytes.len;
    const char *newline;

    while (at < end && (newline = memchr(at, '\n', (size_t)(end - at)))) {
        struct log_record record = parse_record(at, (size_t)(newline - at));

        if (newline > at)
            r->record(r->arg, &record);
        at = newline + 1;
    }
    if (all && at < end) {
        struct log_record record = parse_record(at, (size_t)(end - at));

        r->record(r->arg, &record);
        at = end;
    }
    buf_consume(&r->bytes, (size_t)(at - r->bytes.data));
}

static int read_range(struct reader *r, uint64_t from, uint64_t to, bool skip_line, struct err *err)
{
    while (from < to) {
        size_t want = room_at(from) < READ_SIZE ? room_at(from) : READ_SIZE;
        ssize_t got;

        want = to - from < want ? (size_t)(to - from) : want;
        buf_reserve(&r->bytes, want);
        got = pread(r->fd, r->bytes.data + r->bytes.len, want, place_of(from));
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return err_errno(err, "cannot read the output that was kept for the report");
        r->bytes.len += (size_t)got;
        from += (uint64_t)got;
        if (skip_line) {
            const char *newline = memchr(r->bytes.data, '\n', r->bytes.len);

            buf_consume(&r->bytes, newline ? (size_t)(newline - r->bytes.data) + 1 : r->bytes.len);
            skip_line = !newline;
        }
        give(r, false);
    }
    give(r, true);
    return 0;
}

int log_spool_read(const struct log_spool *spool, const struct node *node,
                   void (*record)(void *arg, const struct log_record *record), void *arg,
                   struct err *err)
{
    uint64_t size = node->number < spool->sizes.len ? spool->sizes.items[node->number] : 0;
    CLEANUP_FD int fd = size ? open_log(spool, node->number, O_RDONLY) : -1;
    struct reader r = {.fd = fd, .record = record, .arg = arg, .bytes = BUF_INIT};
    uint64_t kept_from = LOG_SPOOL_HEAD;
    int result;

    if (!size)
        return 0;
    if (fd < 0)
        return err_errno(err, "cannot read the output that was kept for the report");
    if (size > LOG_SPOOL_HEAD + (uint64_t)LOG_SPOOL_TAIL)
        kept_from = size - LOG_SPOOL_TAIL;
    if (kept_from == LOG_SPOOL_HEAD) {
        result = read_range(&r, 0, size, false, err);
    } else {
        const struct log_record cut = {.kind = LOG_RECORD_CUT, .lost = kept_from - LOG_SPOOL_HEAD};

        result = read_range(&r, 0, LOG_SPOOL_HEAD, false, err);
        if (result == 0) {
            record(arg, &cut);
            result = read_range(&r, kept_from, size, true, err);
        }
    }
    buf_release(&r.bytes);
    return result;
}
