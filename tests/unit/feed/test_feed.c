/* feed/: whoever follows a run gets all of it once and in order, wherever it begins, however slow
 * it is, and how it ended. */
#include "tests/unit/record/rig.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/inotify.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/json_at.h"
#include "feed/feed.h"
#include "feed/inside.h"

/* --- clients: all of them in one thread, as in a server --- */

struct client {
    struct feed_subscriber *subscriber;
    struct hub *hub;
    struct client *next_woken;
    bool woken;
    bool ended;
    bool paused;     /* takes nothing */
    int leave_after; /* so many chunks, and comes back then; 0: never */
    int chunks;
    unsigned next;   /* the line that is to come */
    uint64_t events; /* the last one */
    size_t notes;
    uint64_t missing;
    unsigned wrong;
    char done[200];
    struct feed_subscription subscription;
    struct buf text; /* of output, if keep_text */
    bool keep_text;
};

struct hub {
    struct feed *feed;
    pthread_mutex_t mu;
    pthread_cond_t changed;
    struct client *woken;
    size_t ended;
    /* What the last chunk held: many get the same. */
    struct feed_chunk *decoded;
    json_t *messages;
};

static void wake(void *arg)
{
    struct client *c = arg;

    pthread_mutex_lock(&c->hub->mu);
    if (!c->woken) {
        c->woken = true;
        c->next_woken = c->hub->woken;
        c->hub->woken = c;
    }
    pthread_cond_signal(&c->hub->changed);
    pthread_mutex_unlock(&c->hub->mu);
}

static void hub_init(struct hub *hub, const struct rig *r)
{
    const struct feed_options options = {.runs_dir = r->runs, .headroom = 16};

    *hub = (struct hub){0};
    pthread_mutex_init(&hub->mu, NULL);
    pthread_cond_init(&hub->changed, NULL);
    assert_ok(feed_new(&options, &hub->feed, &test_err));
}

static void hub_release(struct hub *hub)
{
    feed_free(hub->feed);
    feed_chunk_unref(hub->decoded);
    json_decref(hub->messages);
    pthread_cond_destroy(&hub->changed);
    pthread_mutex_destroy(&hub->mu);
}

static void subscribe(struct hub *hub, struct client *c)
{
    c->hub = hub;
    c->subscription.run_id = RUN;
    c->subscription.format = FEED_V2;
    c->subscription.wake = wake;
    c->subscription.wake_arg = c;
    if (!c->text.data)
        c->text = (struct buf)BUF_INIT;
    assert_ok(feed_subscribe(hub->feed, &c->subscription, &c->subscriber, &test_err));
}

static void leave(struct client *c)
{
    feed_unsubscribe(steal_ptr(&c->subscriber));
    buf_release(&c->text);
}

static void take_text(struct client *c, const char *text)
{
    if (c->keep_text)
        buf_addstr(&c->text, text);
    for (; *text; text = strchrnul(text, '\n') + 1) {
        if (strtoul(text, NULL, 10) != c->next)
            c->wrong++;
        c->next = (unsigned)strtoul(text, NULL, 10) + 1;
    }
}

static void take_message(struct client *c, const json_t *message)
{
    const char *type = json_at_string(message, "type");
    const char *payload = json_at_string(message, "payload");

    if (strcmp(type, "event") == 0) {
        uint64_t seq = strtoul(payload + strlen("{\"seq\":"), NULL, 10);

        c->wrong += !c->subscription.node && seq != c->events + 1 + c->notes;
        c->notes = 0;
        c->events = seq;
    } else if (strcmp(type, "note") == 0) {
        c->notes++;
        if (c->keep_text)
            buf_addf(&c->text, "(%s)", payload);
    } else if (strcmp(type, "missing") == 0) {
        c->missing += strtoul(payload, NULL, 10);
    } else if (strcmp(type, "done") == 0) {
        snprintf(c->done, sizeof(c->done), "%s %s %lld: %s", json_at_string(message, "status"),
                 json_at_string(message, "reason"),
                 json_at(message, "exit_code") ? (long long)json_at_int(message, "exit_code") : -1,
                 payload);
    } else {
        take_text(c, payload);
    }
}

static void decode(struct hub *hub, struct feed_chunk *chunk)
{
    if (hub->decoded == chunk)
        return;
    feed_chunk_unref(hub->decoded);
    json_decref(hub->messages);
    feed_chunk_ref(chunk);
    hub->decoded = chunk;
    hub->messages = json_array();
    for (size_t i = 0; i < feed_chunk_count(chunk); i++) {
        size_t size;
        const char *text = feed_chunk_message(chunk, i, &size);

        json_array_append_new(hub->messages, json_loadb(text, size, 0, NULL));
    }
}

static void take_chunk(struct client *c, struct feed_chunk *chunk)
{
    decode(c->hub, chunk);
    for (size_t i = 0; i < json_array_size(c->hub->messages); i++)
        take_message(c, json_array_get(c->hub->messages, i));
    feed_chunk_unref(chunk);
    c->chunks++;
}

/* Until there is no more at the moment. */
static void take(struct client *c)
{
    struct feed_chunk *chunk;
    enum feed_got got;

    while ((got = feed_next(c->subscriber, &chunk)) == FEED_CHUNK) {
        take_chunk(c, chunk);
        if (!c->leave_after || c->chunks % c->leave_after || *c->done)
            continue;
        c->subscription.position = feed_position(c->subscriber);
        feed_unsubscribe(c->subscriber);
        subscribe(c->hub, c);
    }
    if (got == FEED_END && !c->ended) {
        c->ended = true;
        c->hub->ended++;
    }
}

static struct client *next_woken(struct hub *hub)
{
    struct client *c;

    pthread_mutex_lock(&hub->mu);
    while (!hub->woken)
        pthread_cond_wait(&hub->changed, &hub->mu);
    c = hub->woken;
    hub->woken = c->next_woken;
    c->woken = false;
    pthread_mutex_unlock(&hub->mu);
    return c;
}

/* Until so many have got to the end. */
static void serve(struct hub *hub, size_t ended)
{
    while (hub->ended < ended) {
        struct client *c = next_woken(hub);

        if (!c->paused)
            take(c);
    }
}

static void serve_until_lines(struct hub *hub, const struct client *client, unsigned lines)
{
    while (client->next < lines) {
        struct client *c = next_woken(hub);

        if (!c->paused)
            take(c);
    }
}

static void assert_got_all(const struct client *c, unsigned lines, uint64_t events)
{
    assert_int_equal(c->wrong, 0);
    assert_int_equal(c->next, lines);
    assert_int_equal(c->events, events);
    assert_int_equal(c->missing, 0);
}

/* --- the run --- */

static void print_line(struct rig *r, unsigned number, size_t size)
{
    CLEANUP_FREE char *line = xmalloc(size + 1);

    memset(line, '.', size);
    snprintf(line, 12, "%010u:", number);
    line[11] = '.';
    line[size - 1] = '\n';
    event_bus_wait_for_room(&r->bus, &test_ctx);
    rig_print_sized(r, rig_node(r, 1, 0, 0), EVENT_STDOUT, line, size, false);
}

struct printer {
    struct rig *rig;
    unsigned lines;
    size_t size;
    int pause_ms; /* behind each */
};

/* Every fiftieth line a note, which is an event as well. */
static void *print(void *arg)
{
    struct printer *p = arg;

    for (unsigned i = 0; i < p->lines; i++) {
        print_line(p->rig, i, p->size);
        if (i % 50 == 7)
            event_bus_note(&p->rig->bus, rig_node(p->rig, 0, 0, 1), "note %u", i);
        if (p->pause_ms)
            ctx_sleep(&test_ctx, p->pause_ms, NULL);
    }
    assert_ok(rig_finish(p->rig));
    return NULL;
}

static pthread_t start_printing(struct printer *p)
{
    pthread_t thread;

    rig_create(p->rig, 0);
    assert_int_equal(pthread_create(&thread, NULL, print, p), 0);
    return thread;
}

static uint64_t events_of(unsigned lines)
{
    return 3 + (lines + 42) / 50;
}

/* --- tests --- */

enum { MANY = 1000 };

/* Some of them from the beginning, some later, some come and go; all get all. */
static void a_thousand_follow(void **state)
{
    struct rig *r = *state;
    struct printer printer = {.rig = r, .lines = 400, .size = 60, .pause_ms = 5};
    struct client *clients = calloc(MANY, sizeof(*clients));
    struct hub hub;
    pthread_t thread;

    hub_init(&hub, r);
    thread = start_printing(&printer);
    for (unsigned i = 0; i < MANY; i++) {
        clients[i].leave_after = i % 10 == 3 ? 1 + (int)(i / 10 % 5) : 0;
        subscribe(&hub, &clients[i]);
        if (i % 100 == 99)
            serve_until_lines(&hub, &clients[0], i / 3);
    }
    serve(&hub, MANY);
    pthread_join(thread, NULL);
    for (unsigned i = 0; i < MANY; i++) {
        assert_got_all(&clients[i], printer.lines, events_of(printer.lines));
        assert_string_equal(clients[i].done, "pending  3: as it should");
        leave(&clients[i]);
    }
    free(clients);
    hub_release(&hub);
}

/* Who takes nothing holds nobody up, is kept little for, and gets all in the end. */
static void the_slow_get_all(void **state)
{
    enum { SLOW = 2 };
    struct rig *r = *state;
    struct printer printer = {.rig = r, .lines = 5000, .size = 1000};
    struct client clients[2 * SLOW] = {0};
    struct hub hub;
    pthread_t thread;

    hub_init(&hub, r);
    thread = start_printing(&printer);
    for (unsigned i = 0; i < 2 * SLOW; i++) {
        clients[i].paused = i < SLOW;
        subscribe(&hub, &clients[i]);
    }
    serve(&hub, SLOW);
    pthread_join(thread, NULL);
    pthread_mutex_lock(&hub.feed->mu);
    for (unsigned i = 0; i < SLOW; i++) {
        assert_in_range(clients[i].subscriber->queued, 0, FEED_BACKLOG);
        assert_int_equal(clients[i].chunks, 0);
    }
    pthread_mutex_unlock(&hub.feed->mu);
    for (unsigned i = 0; i < SLOW; i++) {
        clients[i].paused = false;
        take(&clients[i]);
    }
    serve(&hub, 2 * SLOW);
    for (unsigned i = 0; i < 2 * SLOW; i++) {
        assert_got_all(&clients[i], printer.lines, events_of(printer.lines));
        leave(&clients[i]);
    }
    hub_release(&hub);
}

static void wait_for_head(const struct client *c)
{
    for (bool joined = false; !joined; ctx_sleep(&test_ctx, 2, NULL)) {
        pthread_mutex_lock(&c->hub->feed->mu);
        joined = c->subscriber->at_head;
        pthread_mutex_unlock(&c->hub->feed->mu);
    }
}

/* Those that are at the head, and then stop to take: with nothing that waits for them, and with
 * what was read for them before they got there. */
static void who_falls_behind_comes_back(void **state)
{
    struct rig *r = *state;
    struct client clients[3] = {{0}, {0}, {.paused = true}};
    struct hub hub;

    hub_init(&hub, r);
    rig_create(r, 0);
    for (int i = 0; i < 3; i++)
        subscribe(&hub, &clients[i]);
    wait_for_head(&clients[2]);
    print_line(r, 0, 100);
    serve_until_lines(&hub, &clients[0], 1);
    serve_until_lines(&hub, &clients[1], 1);
    wait_for_head(&clients[1]);
    clients[1].paused = true;
    for (unsigned i = 1; i < 4000; i++)
        print_line(r, i, 1000);
    serve_until_lines(&hub, &clients[0], 4000);
    pthread_mutex_lock(&hub.feed->mu);
    for (int i = 1; i < 3; i++) {
        assert_false(clients[i].subscriber->at_head);
        assert_int_equal(clients[i].subscriber->queued, 0);
        clients[i].paused = false;
    }
    pthread_mutex_unlock(&hub.feed->mu);
    for (int i = 1; i < 3; i++) {
        take(&clients[i]);
        serve_until_lines(&hub, &clients[i], 4000);
    }
    print_line(r, 4000, 100);
    assert_ok(rig_finish(r));
    serve(&hub, 3);
    for (int i = 0; i < 3; i++) {
        assert_got_all(&clients[i], 4001, 3);
        leave(&clients[i]);
    }
    hub_release(&hub);
}

/* What happens behind the next look into the record by the thread that looks, or by a reader. */
static struct {
    struct rig *rig;
    struct feed_run *_Atomic run;
    struct client *_Atomic joins;  /* while news are read for others */
    struct client *_Atomic misses; /* news, while it has been read for */
} meanwhile;

enum record_got __real_record_follow_next(struct record_follow *follow, struct record_followed *ret,
                                          struct err *err);
enum record_got __wrap_record_follow_next(struct record_follow *follow, struct record_followed *ret,
                                          struct err *err);

static uint64_t head_item(struct feed_run *run)
{
    uint64_t item;

    pthread_mutex_lock(&run->feed->mu);
    item = run->head.item;
    pthread_mutex_unlock(&run->feed->mu);
    return item;
}

enum record_got __wrap_record_follow_next(struct record_follow *follow, struct record_followed *ret,
                                          struct err *err)
{
    enum record_got got = __real_record_follow_next(follow, ret, err);
    bool looks = meanwhile.run && pthread_equal(pthread_self(), meanwhile.run->feed->looker);
    struct client *c = NULL;

    if (got == RECORD_ITEM && looks)
        c = atomic_exchange(&meanwhile.joins, NULL);
    else if (got != RECORD_ITEM && !looks)
        c = atomic_exchange(&meanwhile.misses, NULL);
    if (!c)
        return got;
    if (got == RECORD_ITEM) {
        subscribe(c->hub, c);
        wait_for_head(c);
    } else {
        uint64_t before = head_item(meanwhile.run);

        print_line(meanwhile.rig, 2, 20);
        while (head_item(meanwhile.run) == before)
            ctx_sleep(&test_ctx, 2, NULL);
    }
    return got;
}

static void nothing_is_missed_by_joining(void **state)
{
    struct rig *r = *state;
    struct client clients[3] = {{0}, {.subscription.node = "1.0", .paused = true}, {0}};
    struct hub hub;

    hub_init(&hub, r);
    rig_create(r, 0);
    subscribe(&hub, &clients[0]);
    print_line(r, 0, 20);
    serve_until_lines(&hub, &clients[0], 1);
    clients[1].hub = &hub;
    meanwhile.rig = r;
    meanwhile.run = clients[0].subscriber->channel->run;
    meanwhile.joins = &clients[1];
    print_line(r, 1, 20);
    serve_until_lines(&hub, &clients[0], 2);
    clients[1].paused = false;
    take(&clients[1]);
    serve_until_lines(&hub, &clients[1], 2);
    wait_for_head(&clients[1]);
    clients[2].hub = &hub;
    meanwhile.misses = &clients[2];
    subscribe(&hub, &clients[2]);
    serve_until_lines(&hub, &clients[0], 3);
    assert_ok(rig_finish(r));
    serve(&hub, 3);
    assert_null(meanwhile.joins);
    assert_null(meanwhile.misses);
    meanwhile.run = NULL;
    for (int i = 0; i < 3; i++) {
        assert_got_all(&clients[i], 3, 3);
        leave(&clients[i]);
    }
    hub_release(&hub);
}

static void assert_done(struct client *c, const char *expected)
{
    assert_int_equal(c->wrong, 0);
    assert_string_equal(c->done, expected);
}

static void it_is_told_how_it_ended(void **state)
{
    const struct node_result failed = {.reason = REASON_TIMEOUT, .error = "too slow"};
    const struct record_end end = {.root = &((struct rig *)*state)->root};
    struct rig *r = *state;
    struct client clients[2] = {0};
    struct hub hub;

    hub_init(&hub, r);
    rig_create(r, 0);
    subscribe(&hub, &clients[0]);
    node_set_state(&r->bus, &r->root, STATE_RUNNING, NULL);
    node_set_state(&r->bus, &r->root, STATE_FAILED, &failed);
    assert_ok(record_finish(steal_ptr(&r->writer), &end, &test_err));
    serve(&hub, 1);
    subscribe(&hub, &clients[1]); /* when it is over */
    serve(&hub, 2);
    for (int i = 0; i < 2; i++) {
        struct feed_chunk *chunk;

        assert_done(&clients[i], "failed timeout -1: too slow");
        assert_int_equal(clients[i].events, 5);
        assert_int_equal(feed_next(clients[i].subscriber, &chunk), FEED_END);
        leave(&clients[i]);
    }
    hub_release(&hub);
}

static void a_run_whose_process_died_was_lost(void **state)
{
    struct rig *r = *state;
    struct client client = {0};
    struct hub hub;
    int ready[2];
    char byte;
    pid_t child;

    assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
    child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        rig_create(r, 0);
        print_line(r, 0, 20);
        if (write(ready[1], "", 1) != 1)
            _exit(1);
        for (;;)
            pause();
    }
    close(ready[1]);
    assert_int_equal(read(ready[0], &byte, 1), 1);
    close(ready[0]);
    hub_init(&hub, r);
    subscribe(&hub, &client);
    serve_until_lines(&hub, &client, 1);
    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(waitpid(child, NULL, 0), child);
    serve(&hub, 1);
    assert_done(&client, "failed lost -1: the process that ran it is gone");
    leave(&client);
    hub_release(&hub);
}

/* It is queued: there is no record when somebody wants to follow it. */
static void what_has_not_begun_is_waited_for(void **state)
{
    static const int64_t tail = 1;
    struct rig *r = *state;
    struct client clients[2] = {{.subscription.tail = &tail}};
    struct hub hub;

    hub_init(&hub, r);
    for (int i = 0; i < 2; i++)
        subscribe(&hub, &clients[i]);
    ctx_sleep(&test_ctx, 30, NULL); /* so that it has looked, most of the time */
    rig_create(r, 0);
    for (unsigned i = 0; i < 3; i++)
        print_line(r, i, 20);
    assert_ok(rig_finish(r));
    serve(&hub, 2);
    assert_got_all(&clients[1], 3, 3);
    for (int i = 0; i < 2; i++)
        leave(&clients[i]);
    hub_release(&hub);
}

static void what_will_not_begin_is_concluded(void **state)
{
    const struct feed_done done = {.status = "cancelled", .error = "not needed any more"};
    struct rig *r = *state;
    struct client clients[2] = {0};
    struct hub hub;

    hub_init(&hub, r);
    subscribe(&hub, &clients[0]);
    feed_conclude(hub.feed, "another", &done);
    feed_conclude(hub.feed, RUN, &done);
    subscribe(&hub, &clients[1]);
    serve(&hub, 2);
    for (int i = 0; i < 2; i++) {
        assert_done(&clients[i], "cancelled  -1: not needed any more");
        leave(&clients[i]);
    }
    hub_release(&hub);
}

static void a_node_is_followed(void **state)
{
    struct rig *r = *state;
    struct client clients[2] = {{.subscription.node = "0.0", .keep_text = true},
                                {.subscription.node = "0.0", .keep_text = true}};
    struct hub hub;

    hub_init(&hub, r);
    rig_create(r, 0);
    rig_print(r, rig_node(r, 0, 0, 0), "0\n");
    rig_print(r, rig_node(r, 0, 1, 0), "7\n");
    event_bus_note(&r->bus, rig_node(r, 1, 0, 0), "not this");
    subscribe(&hub, &clients[0]);
    serve_until_lines(&hub, &clients[0], 1);
    rig_print(r, rig_node(r, 1, 0, 0), "7\n");
    rig_print(r, rig_node(r, 0, 0, 1), "1\n");
    event_bus_note(&r->bus, rig_node(r, 0, 0, 0), "note");
    assert_ok(rig_finish(r));
    subscribe(&hub, &clients[1]);
    serve(&hub, 2);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(clients[i].wrong, 0);
        assert_string_equal(clients[i].text.data, "0\n1\n(note)");
        assert_int_equal(clients[i].events, 5);
        leave(&clients[i]);
    }
    hub_release(&hub);
}

static void a_tail_is_followed(void **state)
{
    static const int64_t tails[] = {0, 3, 100};
    static const char *const expected[] = {"5\n", "2\n3\n4\n5\n", "0\n1\n2\n3\n4\n5\n"};
    struct rig *r = *state;
    struct client first = {0};
    struct client clients[3] = {0};
    struct hub hub;

    hub_init(&hub, r);
    rig_create(r, 0);
    subscribe(&hub, &first);
    rig_print(r, rig_node(r, 0, 0, 0), "0\n1\n2\n");
    rig_print(r, rig_node(r, 0, 0, 0), "3\n4\n");
    serve_until_lines(&hub, &first, 5);
    for (int i = 0; i < 3; i++) {
        clients[i] = (struct client){.subscription.tail = &tails[i], .keep_text = true};
        subscribe(&hub, &clients[i]);
    }
    serve_until_lines(&hub, &clients[1], 5);
    wait_for_head(&clients[0]);
    rig_print(r, rig_node(r, 0, 0, 0), "5\n");
    assert_ok(rig_finish(r));
    serve(&hub, 4);
    for (int i = 0; i < 3; i++) {
        assert_string_equal(clients[i].text.data, expected[i]);
        leave(&clients[i]);
    }
    assert_got_all(&first, 6, 3);
    leave(&first);
    hub_release(&hub);
}

/* From a server that knew more, or from nowhere: what comes from now on. */
static void a_position_beyond_the_end_is_the_end(void **state)
{
    struct rig *r = *state;
    struct client first = {0};
    struct client client = {.subscription.position = {900, 900}, .keep_text = true, .events = 2};
    struct hub hub;

    hub_init(&hub, r);
    rig_create(r, 0);
    subscribe(&hub, &first);
    rig_print(r, rig_node(r, 0, 0, 0), "0\n");
    serve_until_lines(&hub, &first, 1);
    subscribe(&hub, &client);
    wait_for_head(&client);
    rig_print(r, rig_node(r, 0, 0, 0), "1\n");
    assert_ok(rig_finish(r));
    serve(&hub, 2);
    assert_string_equal(client.text.data, "1\n");
    leave(&first);
    leave(&client);
    hub_release(&hub);
}

/* What the kernel does not tell is found all the same. */
static bool no_inotify;
int __real_inotify_init1(int flags);
int __wrap_inotify_init1(int flags);

int __wrap_inotify_init1(int flags)
{
    if (!no_inotify)
        return __real_inotify_init1(flags);
    errno = EMFILE;
    return -1;
}

static void without_anybody_who_tells(void **state)
{
    struct rig *r = *state;
    struct client client = {0};
    struct hub hub;

    no_inotify = true;
    hub_init(&hub, r);
    no_inotify = false;
    subscribe(&hub, &client);
    rig_create(r, 0);
    print_line(r, 0, 20);
    serve_until_lines(&hub, &client, 1);
    print_line(r, 1, 20);
    assert_ok(rig_finish(r));
    serve(&hub, 1);
    assert_got_all(&client, 2, 3);
    leave(&client);
    hub_release(&hub);
}

/* They leave while somebody reads for them, or has something for them. */
static void leaving_is_possible_at_any_moment(void **state)
{
    struct rig *r = *state;
    struct printer printer = {.rig = r, .lines = 2000, .size = 1000};
    struct client clients[200] = {0};
    struct client last = {0};
    struct hub hub;
    pthread_t thread;

    hub_init(&hub, r);
    thread = start_printing(&printer);
    for (unsigned i = 0; i < 200; i++) {
        clients[i].paused = true;
        subscribe(&hub, &clients[i]);
        if (i >= 10)
            leave(&clients[i - 10]);
    }
    for (unsigned i = 190; i < 200; i++)
        leave(&clients[i]);
    pthread_mutex_lock(&hub.mu);
    hub.woken = NULL;
    pthread_mutex_unlock(&hub.mu);
    subscribe(&hub, &last);
    serve(&hub, 1);
    pthread_join(thread, NULL);
    assert_got_all(&last, printer.lines, events_of(printer.lines));
    leave(&last);
    hub_release(&hub);
}

static void damage_is_told(void **state)
{
    struct rig *r = *state;
    CLEANUP_FREE char *path = xasprintf("%s/" RUN "/log", r->runs);
    struct client client = {.keep_text = true};
    struct hub hub;
    int fd;

    rig_create(r, 0);
    print_line(r, 0, 60);
    assert_ok(rig_finish(r));
    fd = open(path, O_WRONLY | O_CLOEXEC);
    assert_int_equal(pwrite(fd, "xxxx", 4, 4), 4);
    close(fd);
    hub_init(&hub, r);
    subscribe(&hub, &client);
    serve(&hub, 1);
    assert_string_equal(client.text.data,
                        "(a part of the record of this run is damaged, and left out here)");
    assert_string_equal(client.done, "pending  3: as it should");
    leave(&client);
    hub_release(&hub);
}

static void ids_are_checked(void **state)
{
    struct rig *r = *state;
    struct feed_subscriber *subscriber = NULL;
    const struct feed_subscription subscription = {.run_id = "../x"};
    struct hub hub;

    hub_init(&hub, r);
    assert_error(feed_subscribe(hub.feed, &subscription, &subscriber, &test_err), ERR_INVALID);
    assert_string_equal(test_err.message, "\"../x\" is not the id of a run");
    assert_null(subscriber);
    hub_release(&hub);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_thousand_follow, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(the_slow_get_all, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(who_falls_behind_comes_back, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(nothing_is_missed_by_joining, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(it_is_told_how_it_ended, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(a_run_whose_process_died_was_lost, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(what_has_not_begun_is_waited_for, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(what_will_not_begin_is_concluded, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(a_node_is_followed, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(a_tail_is_followed, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(a_position_beyond_the_end_is_the_end, rig_setup,
                                        rig_teardown),
        cmocka_unit_test_setup_teardown(without_anybody_who_tells, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(leaving_is_possible_at_any_moment, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(damage_is_told, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(ids_are_checked, rig_setup, rig_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
