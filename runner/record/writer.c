#include "record/writer.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/json_text.h"
#include "base/state_dir.h"
#include "event/json.h"
#include "record/events.h"
#include "record/files.h"
#include "record/log.h"
#include "record/log_writer.h"

enum {
    /* What the queue carries, in place of descriptors. */
    TO_EVENTS,
    TO_LOG,
    TO_END,
    DELAY_MS = 100,
    /* Kept on the disk for the events of a run that fills it. */
    EVENTS_RESERVE = 64 * 1024,
    /* In the tree of the last line. */
    END_NODES_MAX = 1000,
    /* Of events that wait for a disk that is full. */
    EVENTS_WAIT_MAX = 8 << 20,
    NEW_TRIES_MAX = 100,
};

struct record_writer {
    struct event_sink sink;
    struct output_writer output;
    struct output_queue *queue;
    char *run_id;
    char *path;
    char *runs_dir;
    int runs_fd;
    int events_fd;
    int log_fd;
    int index_fd;
    /* Of the sink, which the bus calls under its lock. */
    bool planned;                 /* the tree has been queued */
    const struct node *last_node; /* that `node` is the id of */
    struct buf node;
    /* Once the log has reached its limit, output is counted and not queued: to copy it costs, too.
     */
    atomic_bool log_is_full;
    atomic_uint_fast64_t uncopied;
    /* Of the queue's thread. */
    struct log_writer log;
    uint64_t next_seq;
    struct buf events; /* lines that are not in the file, the first of them maybe in part */
    bool reserved;
    bool said; /* a note says that output is missing */
};

/* --- the sink --- */

static void add_number(struct buf *out, uint32_t number)
{
    char digits[12];
    size_t at = sizeof(digits);

    do
        digits[--at] = (char)('0' + number % 10);
    while (number /= 10);
    buf_add(out, digits + at, sizeof(digits) - at);
}

/* node_id() without the id of the run. */
static void add_node(const struct node *node, struct buf *out)
{
    if (!node->parent)
        return;
    add_node(node->parent, out);
    if (out->len)
        buf_addch(out, '.');
    if (node->level == NODE_SERVICE)
        buf_addstr(out, node->name);
    else
        add_number(out, node->index);
}

/* A service comes and goes, and another may be where it was. */
static const struct buf *node_of(struct record_writer *w, const struct node *node)
{
    if (node == w->last_node)
        return &w->node;
    w->last_node = node->level == NODE_SERVICE ? NULL : node;
    buf_reset(&w->node);
    add_node(node, &w->node);
    if (w->node.len > UINT16_MAX)
        buf_truncate(&w->node, UINT16_MAX);
    return &w->node;
}

static void queue_record(struct record_writer *w, const struct event *event,
                         enum record_stream stream, const char *data, size_t size, bool continued)
{
    const struct buf *node = node_of(w, event->node);
    const struct format_record header = {.size = (uint32_t)size,
                                         .node_number = event->node->number,
                                         .time_ms = event->time_ms,
                                         .node_size = (uint16_t)node->len,
                                         .stream = (uint8_t)stream,
                                         .continued = continued};
    struct buf *out = output_queue_begin(w->queue);

    buf_add(out, &header, sizeof(header));
    buf_add(out, node->data, node->len);
    buf_add(out, data, size);
    output_queue_commit(w->queue, TO_LOG);
}

/* Where to end a record of output that goes on behind it: behind a line if there is an end of one.
 */
static size_t cut_at(const char *data, size_t size)
{
    const char *newline;

    if (size <= FORMAT_DATA_MAX)
        return size;
    newline = memrchr(data, '\n', FORMAT_DATA_MAX);
    return newline ? (size_t)(newline - data) + 1 : FORMAT_DATA_MAX;
}

static void queue_output(struct record_writer *w, const struct event *event)
{
    const char *at = event->data;
    size_t left = event->size;
    bool continued = event->continued;

    if (atomic_load_explicit(&w->log_is_full, memory_order_relaxed)) {
        atomic_fetch_add_explicit(&w->uncopied, event->size, memory_order_relaxed);
        return;
    }
    while (left > 0) {
        size_t size = cut_at(at, left);

        queue_record(w, event, event->stream == EVENT_STDOUT ? RECORD_STDOUT : RECORD_STDERR, at,
                     size, continued);
        continued = at[size - 1] != '\n';
        at += size;
        left -= size;
    }
}

/* Takes the object over; the number comes when it is written. With the tree of `root` as its last
 * member; NULL: none. */
static void queue_line(struct record_writer *w, json_t *object, const struct node *root, int where)
{
    struct buf *out = output_queue_begin(w->queue);

    json_write_open(object, out);
    if (root) {
        buf_addstr(out, ",\"tree\":");
        node_tree_write(root, w->run_id, out);
    }
    buf_addstr(out, "}\n");
    output_queue_commit(w->queue, where);
}

static void queue_plan(struct record_writer *w, const struct node *root)
{
    json_t *plan = json_object();

    json_object_set_new(plan, "event", json_string("RunPlanned"));
    json_set_time(plan, "time", clock_wall_ms());
    json_object_set_new(plan, "id", json_string(w->run_id));
    json_object_set_new(plan, "name", json_safe_string(root->name));
    queue_line(w, plan, root, TO_EVENTS);
    w->planned = true;
}

static void handle(struct event_sink *sink, const struct event *event)
{
    struct record_writer *w = (struct record_writer *)sink;

    if (!w->planned) {
        const struct node *root = event->node;

        while (root->parent)
            root = root->parent;
        queue_plan(w, root);
    }
    if (event->type == EVENT_LOG) {
        queue_output(w, event);
        return;
    }
    if (event->type == EVENT_PROGRESS)
        return;
    if (event->type == EVENT_NOTE) {
        size_t size = strlen(event->text);

        queue_record(w, event, RECORD_NOTE, event->text,
                     size < FORMAT_DATA_MAX ? size : FORMAT_DATA_MAX, false);
    }
    queue_line(w, event_to_json(event, w->run_id), NULL, TO_EVENTS);
}

static int room_fd(struct event_sink *sink)
{
    return output_queue_room_fd(((struct record_writer *)sink)->queue);
}

/* --- the queue's thread --- */

/* A line as it was queued, an object, gets its number. */
static void add_line(struct record_writer *w, const char *line, size_t size)
{
    buf_addf(&w->events, "{\"seq\":%llu,", (unsigned long long)w->next_seq++);
    buf_add(&w->events, line + 1, size - 1);
}

/* What too much waits before is lost; but for the last line, without which the run would be. */
static void add_lines(struct record_writer *w, const char *data, size_t size)
{
    const char *end = data + size;

    while (data < end) {
        size_t len = (size_t)((const char *)memchr(data, '\n', (size_t)(end - data)) - data) + 1;

        if (w->events.len <= EVENTS_WAIT_MAX)
            add_line(w, data, len);
        data += len;
    }
}

/* Said once, where people see it who do not look into the log. */
static void say_missing(struct record_writer *w, const struct err *why)
{
    json_t *note = json_object();
    CLEANUP_FREE char *text =
        xasprintf("%s; output is missing in the record from here", why->message);
    CLEANUP_BUF struct buf line = BUF_INIT;

    w->said = true;
    json_object_set_new(note, "event", json_string("PipelineNote"));
    json_set_time(note, "time", clock_wall_ms());
    json_object_set_new(note, "id", json_string(w->run_id));
    json_object_set_new(note, "text", json_safe_string(text));
    json_write_open(note, &line);
    buf_addstr(&line, "}\n");
    add_line(w, line.data, line.len);
}

/* What a full disk does not take waits for the next time. */
static int write_events(struct record_writer *w, struct err *err)
{
    size_t done = 0;

    if (!w->reserved && w->events.len) {
        w->reserved = true;
        (void)!fallocate(w->events_fd, FALLOC_FL_KEEP_SIZE, 0,
                         (off_t)(2 * w->events.len + EVENTS_RESERVE));
    }
    while (done < w->events.len) {
        ssize_t put = write(w->events_fd, w->events.data + done, w->events.len - done);

        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0) {
            err_errno(err, "cannot write the events of the run");
            buf_consume(&w->events, done);
            return -1;
        }
        done += (size_t)put;
    }
    if (w->events.cap > (1 << 20))
        buf_release(&w->events);
    else
        buf_reset(&w->events);
    return 0;
}

/* A failure of the log is told among the events, once. */
static int log_result(struct record_writer *w, int result, const struct err *why, struct err *err)
{
    if (result == 0)
        return 0;
    if (!w->said)
        say_missing(w, why);
    /* A limit that was asked for is no failure. */
    if (why->code == ERR_LIMIT)
        return 0;
    *err = *why;
    return -1;
}

static json_t *log_totals(const struct record_writer *w)
{
    json_t *totals = json_object();

    json_object_set_new(totals, "records", json_integer((json_int_t)w->log.next_seq - 1));
    json_object_set_new(totals, "lines", json_integer((json_int_t)w->log.lines));
    json_object_set_new(totals, "bytes", json_integer((json_int_t)w->log.bytes));
    json_object_set_new(totals, "stored_bytes", json_integer((json_int_t)w->log.offset));
    json_object_set_new(totals, "missing_bytes", json_integer((json_int_t)w->log.missing_bytes));
    return totals;
}

/* The last line, an object as well, gets what only this thread knows. */
static int end(struct record_writer *w, const char *line, size_t size, struct err *err)
{
    struct err why = ERR_INIT;
    int result;
    CLEANUP_BUF struct buf whole = BUF_INIT;

    log_writer_skip(&w->log, atomic_load(&w->uncopied));
    result = log_result(w, log_writer_finish(&w->log, &why), &why, err);
    buf_add(&whole, line, size - strlen("}\n"));
    buf_addstr(&whole, ",\"log\":");
    json_write_open(log_totals(w), &whole);
    buf_addstr(&whole, "}}\n");
    add_line(w, whole.data, whole.len);
    return result;
}

/* A file that may not grow (ulimit) would end the process otherwise. */
static void block_file_size_signal(void)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGXFSZ);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
}

static struct record_writer *of_output(struct output_writer *output)
{
    return (struct record_writer *)((char *)output - offsetof(struct record_writer, output));
}

static int write_some(struct output_writer *output, int where, char *data, size_t size,
                      struct err *err)
{
    struct record_writer *w = of_output(output);
    struct err why = ERR_INIT;

    block_file_size_signal();
    if (where == TO_LOG) {
        int result =
            log_result(w, log_writer_add(&w->log, data, size, w->next_seq - 1, &why), &why, err);

        atomic_store_explicit(&w->log_is_full, w->log.full, memory_order_relaxed);
        return result;
    }
    if (where == TO_END)
        return end(w, data, size, err);
    add_lines(w, data, size);
    return 0;
}

/* Output first: whoever sees an event finds what came before it. */
static int flush(struct output_writer *output, struct err *err)
{
    struct record_writer *w = of_output(output);
    struct err why = ERR_INIT;
    int result = log_result(w, log_writer_flush(&w->log, &why), &why, err);

    if (write_events(w, result == 0 ? err : NULL) < 0)
        result = -1;
    return result;
}

/* --- making and ending one --- */

static int create_file(int dir_fd, const struct record_writer *w, const char *name, struct err *err)
{
    int fd = openat(dir_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);

    return fd < 0 ? err_errno(err, "cannot create %s/%s", w->path, name) : fd;
}

static int write_source(int dir_fd, const struct record_writer *w,
                        const struct record_options *options, struct err *err)
{
    CLEANUP_FD int fd = -1;

    if (!options->source)
        return 0;
    fd = create_file(dir_fd, w, PIPELINE_NAME, err);
    if (fd < 0)
        return -1;
    if (fs_write_all(fd, options->source, options->source_size, err) < 0)
        return err_wrap(err, "%s/" PIPELINE_NAME, w->path);
    return 0;
}

static void set_text(json_t *object, const char *key, const char *text)
{
    if (text)
        json_object_set_new(object, key, json_safe_string(text));
}

static json_t *begin_object(const struct record_options *options)
{
    json_t *begin = json_object();

    json_object_set_new(begin, "event", json_string("RunBegan"));
    json_object_set_new(begin, "format", json_integer(RECORD_FORMAT));
    json_set_time(begin, "time", clock_wall_ms());
    set_text(begin, "id", options->run_id);
    set_text(begin, "origin", options->origin);
    set_text(begin, "owner", options->owner);
    set_text(begin, "user", options->user);
    set_text(begin, "directory", options->directory);
    return begin;
}

/* At once: whoever finds the record knows whose it is. */
static int write_begin(const struct record_writer *w, const struct record_options *options,
                       struct err *err)
{
    CLEANUP_BUF struct buf object = BUF_INIT;
    CLEANUP_BUF struct buf line = BUF_INIT;

    json_write_open(begin_object(options), &object);
    buf_addf(&line, "{\"seq\":1,%s}\n", object.data + strlen("{"));
    if (fs_write_all(w->events_fd, line.data, line.len, err) < 0)
        return err_wrap(err, "%s/" EVENTS_NAME, w->path);
    return 0;
}

static int fill(const char *name, struct record_writer *w, const struct record_options *options,
                struct err *err)
{
    CLEANUP_FD int dir_fd =
        openat(w->runs_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

    if (dir_fd < 0)
        return err_errno(err, "cannot open %s", w->path);
    w->events_fd = create_file(dir_fd, w, EVENTS_NAME, err);
    if (w->events_fd < 0)
        return -1;
    if (flock(w->events_fd, LOCK_EX | LOCK_NB) < 0)
        return err_errno(err, "cannot lock %s/" EVENTS_NAME, w->path);
    if (write_begin(w, options, err) < 0)
        return -1;
    w->log_fd = create_file(dir_fd, w, LOG_NAME, err);
    if (w->log_fd < 0)
        return -1;
    w->index_fd = create_file(dir_fd, w, INDEX_NAME, err);
    if (w->index_fd < 0)
        return -1;
    if (write_source(dir_fd, w, options, err) < 0)
        return -1;
    return options->furnish ? options->furnish(options->furnish_arg, dir_fd, err) : 0;
}

/* What a process has left that was killed at this point is in nobody's way: another name is as
 * good.
 */
static char *make_directory(const struct record_writer *w, struct err *err)
{
    for (int attempt = 0;; attempt++) {
        CLEANUP_FREE char *name = attempt ? xasprintf("%s.%d" NEW_SUFFIX, w->run_id, attempt)
                                          : xasprintf("%s" NEW_SUFFIX, w->run_id);

        if (mkdirat(w->runs_fd, name, 0700) == 0)
            return steal_ptr(&name);
        if (errno != EEXIST || attempt == NEW_TRIES_MAX) {
            err_errno(err, "cannot create %s", w->path);
            return NULL;
        }
    }
}

/* It gets its name when it is locked: whoever finds it and no lock knows that it is over. */
static int create_in(const char *runs_dir, struct record_writer *w,
                     const struct record_options *options, struct err *err)
{
    CLEANUP_FREE char *name = NULL;

    free(w->path);
    w->path = fs_join(runs_dir, w->run_id);
    w->runs_fd = state_dir_open(runs_dir, err);
    if (w->runs_fd < 0)
        return -1;
    name = make_directory(w, err);
    if (!name)
        return -1;
    /* That takes time where there are many records: one in about 32 does it. */
    if (w->run_id[strlen(w->run_id) - 1] == '0')
        record_sweep(w->runs_fd);
    if (fill(name, w, options, err) == 0) {
        if (renameat(w->runs_fd, name, w->runs_fd, w->run_id) == 0)
            return 0;
        if (errno == EEXIST || errno == ENOTEMPTY || errno == ENOTDIR)
            err_set(err, ERR_CONFLICT, "there is a record %s already", w->path);
        else
            err_errno(err, "cannot create %s", w->path);
    }
    fs_remove_tree_at(w->runs_fd, name, NULL);
    return -1;
}

static void close_files(struct record_writer *w)
{
    cleanup_fd(&w->index_fd);
    cleanup_fd(&w->log_fd);
    cleanup_fd(&w->events_fd);
    cleanup_fd(&w->runs_fd);
    w->index_fd = w->log_fd = w->events_fd = w->runs_fd = -1;
}

static int create_somewhere(const char *runs_dir, struct record_writer *w,
                            const struct record_options *options, struct err *err)
{
    CLEANUP_STRVEC struct strvec dirs = {0};
    struct err first = ERR_INIT; /* it says best what is wrong */
    struct err why = ERR_INIT;

    record_dirs(runs_dir, &dirs);
    for (size_t i = 0; i < dirs.len && why.code != ERR_CONFLICT; i++) {
        if (create_in(dirs.items[i], w, options, &why) == 0)
            return 0;
        close_files(w);
        if (!first.code)
            first = why;
    }
    if (err)
        *err = why.code == ERR_CONFLICT ? why : first;
    return -1;
}

static void free_writer(struct record_writer *w)
{
    close_files(w);
    log_writer_release(&w->log);
    buf_release(&w->events);
    buf_release(&w->node);
    free(w->run_id);
    free(w->path);
    free(w);
}

int record_create(const struct record_options *options, struct record_writer **ret, struct err *err)
{
    int64_t limit = options->log_limit_bytes ? options->log_limit_bytes : RECORD_LOG_LIMIT;
    struct record_writer *w;

    if (!record_id_is_valid(options->run_id))
        return err_set(err, ERR_INVALID, "\"%s\" is not the id of a run", options->run_id);
    w = xmalloc(sizeof(*w));
    *w = (struct record_writer){.sink = {.handle = handle, .room_fd = room_fd},
                                .output = {.write = write_some,
                                           .flush = flush,
                                           .enough = FORMAT_BLOCK_SIZE,
                                           .delay_ms = DELAY_MS},
                                .run_id = xstrdup(options->run_id),
                                .runs_fd = -1,
                                .events_fd = -1,
                                .log_fd = -1,
                                .index_fd = -1,
                                .node = BUF_INIT,
                                .next_seq = 2,
                                .events = BUF_INIT};
    if (create_somewhere(options->runs_dir, w, options, err) < 0) {
        free_writer(w);
        return -1;
    }
    log_writer_init(&w->log, w->log_fd, w->index_fd, limit);
    if (output_queue_new_for(&w->output, &w->queue, err) < 0) {
        record_discard(w);
        return -1;
    }
    *ret = w;
    return 0;
}

struct event_sink *record_sink(struct record_writer *w)
{
    return &w->sink;
}

const char *record_writer_path(const struct record_writer *w)
{
    return w->path;
}

int record_fd(const struct record_writer *w)
{
    return w->events_fd;
}

static void set_outcome(json_t *object, const struct node *root)
{
    json_object_set_new(object, "status", json_string(state_name((enum state)root->state)));
    if (root->reason != REASON_NONE)
        json_object_set_new(object, "reason", json_string(reason_name((enum reason)root->reason)));
    set_text(object, "error", root->error);
}

static json_t *end_object(const struct record_writer *w, const struct record_end *end)
{
    json_t *object = json_object();

    json_object_set_new(object, "event", json_string("RunEnded"));
    json_set_time(object, "time", clock_wall_ms());
    json_object_set_new(object, "id", json_string(w->run_id));
    if (end->root)
        set_outcome(object, end->root);
    if (end->has_exit_code)
        json_object_set_new(object, "exit_code", json_integer(end->exit_code));
    set_text(object, "text", end->text);
    return object;
}

int record_finish(struct record_writer *w, const struct record_end *end, struct err *err)
{
    const struct node *root = end->root;
    struct stat st;
    int result;

    if (!w->planned && root)
        queue_plan(w, root);
    queue_line(w, end_object(w, end), root && root->last_number <= END_NODES_MAX ? root : NULL,
               TO_END);
    result = output_queue_finish(w->queue, err);
    /* Gives back what was reserved. */
    if (fstat(w->events_fd, &st) == 0)
        (void)!ftruncate(w->events_fd, st.st_size);
    free_writer(w);
    return result;
}

void record_discard(struct record_writer *w)
{
    CLEANUP_FREE char *gone = NULL;

    if (!w)
        return;
    (void)!output_queue_finish(w->queue, NULL);
    gone = xasprintf("%s" GONE_SUFFIX, w->run_id);
    if (renameat(w->runs_fd, w->run_id, w->runs_fd, gone) == 0)
        fs_remove_tree_at(w->runs_fd, gone, NULL);
    free_writer(w);
}
