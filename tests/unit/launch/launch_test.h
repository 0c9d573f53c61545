/* Launchers of a process of the test, with the history and the directories of their runs in a
 * directory of its own. */
#pragma once

#include "tests/unit/assert_err.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/fs.h"
#include "base/json_at.h"
#include "engine/host/host.h"
#include "launch/launch.h"
#include "record/events.h"
#include "record/log.h"
#include "record/watch.h"

static const struct engine *const engines[] = {&host_engine, NULL};
static const struct step_kind *const kinds[] = {&step_kind_plugin,  &step_kind_language,
                                                &step_kind_type,    &step_kind_deployment,
                                                &step_kind_command, NULL};

struct test {
    char dir[64];
    char *history;
    char *runs;
    struct launcher *launcher;
    struct ctx ctx;
};

static inline int setup(void **state)
{
    struct test *t = xcalloc(1, sizeof(*t));
    struct launcher_options options = {.run = {.engines = engines, .kinds = kinds}};

    alarm(100);
    err_clear(&test_err);
    snprintf(t->dir, sizeof(t->dir), "/tmp/runner-test-XXXXXX");
    assert_non_null(mkdtemp(t->dir));
    assert_int_equal(0, setenv("XDG_RUNTIME_DIR", t->dir, 1));
    assert_int_equal(0, setenv("HOME", t->dir, 1));
    assert_int_equal(0, setenv("TMPDIR", t->dir, 1));
    assert_int_equal(0, unsetenv("XDG_STATE_HOME"));
    options.history = t->history = fs_join(t->dir, "history");
    t->runs = fs_join(t->history, "runs");
    assert_ok(ctx_init_root(&t->ctx, NULL, &test_err));
    ctx_set_timeout(&t->ctx, 90000, "the test:");
    assert_ok(launcher_start(&options, &t->launcher, &test_err));
    *state = t;
    return 0;
}

static inline int teardown(void **state)
{
    struct test *t = *state;

    launcher_stop(t->launcher);
    ctx_release(&t->ctx);
    assert_int_equal(0, fs_remove_tree(t->dir, NULL));
    free(t->history);
    free(t->runs);
    free(t);
    return 0;
}

/* --- requests and events --- */

#define STEPS(steps)        "name: demo\nstages:\n- name: s\n  jobs:\n  - name: j\n    steps:\n" steps
#define STEP(name, command) "    - {name: " name ", command: \"" command "\"}\n"

static inline void make_id(char id[OWN_RUN_ID_SIZE])
{
    assert_ok(own_run_make_id(id, &test_err));
}

static inline char *directory_of(const struct test *t, const char *id)
{
    return xasprintf("%s/work/%s", t->dir, id);
}

static inline int send_request(struct test *t, const char *id, const char *text,
                               const struct prepare_args *args)
{
    CLEANUP_FREE char *directory = directory_of(t, id);
    const struct launch_request request = {.run_id = id,
                                           .text = text,
                                           .size = strlen(text),
                                           .name = "submission",
                                           .origin = "server",
                                           .user = "alice",
                                           .directory = directory,
                                           .args = args};

    return launcher_run(&t->ctx, t->launcher, &request, &test_err);
}

static inline void launch(struct test *t, char id[OWN_RUN_ID_SIZE], const char *text)
{
    make_id(id);
    assert_ok(send_request(t, id, text, NULL));
}

static inline struct launch_event next(struct test *t)
{
    struct launch_event event;
    struct pollfd ready = {.fd = launcher_fd(t->launcher), .events = POLLIN};
    int got;

    while ((got = launcher_next(t->launcher, &event, &test_err)) == 0)
        assert_true(ctx_poll(&t->ctx, &ready, 1, -1, &test_err) > 0);
    if (got < 0)
        fail_msg("%s", test_err.message);
    return event;
}

static inline pid_t assert_began(struct test *t, const char *id)
{
    struct launch_event event = next(t);

    if (event.kind != LAUNCH_BEGAN)
        fail_msg("%d: %s", event.kind, event.text);
    assert_string_equal(id, event.run_id);
    assert_true(event.pid > 0);
    return event.pid;
}

static inline void assert_refused(struct test *t, const char *id, enum err_code code,
                                  const char *text)
{
    struct launch_event event = next(t);

    assert_int_equal(LAUNCH_REFUSED, event.kind);
    assert_string_equal(id, event.run_id);
    if (event.code != code || !strstr(event.text, text))
        fail_msg("%s: %s", err_code_name(event.code), event.text);
}

static inline void assert_ended(struct test *t, const char *id, int status)
{
    struct launch_event event = next(t);

    assert_int_equal(LAUNCH_ENDED, event.kind);
    assert_string_equal(id, event.run_id);
    assert_int_equal(status, event.status);
}

#define EXITED(code) ((code) << 8)

/* --- records --- */

static inline bool has_record(const struct test *t, const char *id)
{
    CLEANUP_RECORD struct record *record = NULL;

    return record_open(t->runs, id, &record, NULL) == 0;
}

static inline int add_event(void *arg, const struct record_event *event)
{
    buf_addf(arg, "%s\n", event->json);
    return 0;
}

static inline void read_events(const struct test *t, const char *id, struct buf *out)
{
    CLEANUP_RECORD struct record *record = NULL;

    assert_ok(record_open(t->runs, id, &record, &test_err));
    assert_ok(record_events_read(record, 0, add_event, out, &test_err));
}

static inline void read_log(const struct test *t, const char *id, struct buf *out)
{
    CLEANUP_RECORD struct record *record = NULL;
    CLEANUP_RECORD_LOG struct record_log *log = NULL;
    const struct record_log_filter output = {.streams = RECORD_STDOUT_BIT | RECORD_STDERR_BIT};
    struct record_item item;

    assert_ok(record_open(t->runs, id, &record, &test_err));
    record_log_open(record, &output, &log);
    while (record_log_next(log, &item, &test_err) == RECORD_ITEM)
        buf_add(out, item.data, item.size);
}

/* Until a run has come so far that this is in its log. */
static inline void await_log(const struct test *t, const char *id, const char *text)
{
    CLEANUP_RECORD struct record *record = NULL;
    CLEANUP_RECORD_WATCH struct record_watch *watch = NULL;

    assert_ok(record_open(t->runs, id, &record, &test_err));
    record_watch_open(record, &watch);
    for (;;) {
        CLEANUP_BUF struct buf log = BUF_INIT;

        read_log(t, id, &log);
        if (strstr(log.data, text))
            return;
        assert_ok(record_watch_wait(watch, &t->ctx, -1, &test_err));
    }
}

static inline void await_end(const struct test *t, const char *id)
{
    CLEANUP_RECORD struct record *record = NULL;
    CLEANUP_RECORD_WATCH struct record_watch *watch = NULL;

    assert_ok(record_open(t->runs, id, &record, &test_err));
    record_watch_open(record, &watch);
    while (record_is_written(record))
        assert_ok(record_watch_wait(watch, &t->ctx, -1, &test_err));
}

static inline void assert_in(const char *text, const char *part)
{
    if (!strstr(text, part))
        fail_msg("no \"%s\" in: …%s", part, strlen(text) > 800 ? text + strlen(text) - 800 : text);
}

static inline size_t count_files(const char *path)
{
    DIR *stream = opendir(path);
    size_t count = 0;
    struct dirent *entry;

    assert_non_null(stream);
    while ((entry = readdir(stream)))
        count += *entry->d_name != '.';
    closedir(stream);
    return count;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
