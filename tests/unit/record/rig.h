/* A directory of records, a run and a bus: for the tests of record/. */
#pragma once

#include "tests/unit/assert_err.h"

#include "base/fs.h"
#include "event/event.h"
#include "record/events.h"
#include "record/log.h"
#include "record/watch.h"
#include "record/writer.h"

#define RUN "01testrun"

struct rig {
    char dir[32];
    char *runs;
    struct event_bus bus;
    struct record_writer *writer;
    struct node root; /* two stages; the first has two jobs of two steps */
};

static inline struct node *rig_node(struct rig *r, int stage, int job, int step)
{
    struct node *node = &r->root.children[stage];

    node = job < 0 ? node : &node->children[job];
    return step < 0 ? node : &node->children[step];
}

static inline void rig_tree(struct rig *r)
{
    r->root = (struct node){.name = "demo"};
    r->bus = (struct event_bus)EVENT_BUS_INIT;
    node_add_children(&r->root, 2);
    for (uint32_t i = 0; i < 2; i++) {
        struct node *stage = &r->root.children[i];

        node_set_name(&r->bus, stage, i ? "deploy" : "build");
        node_add_children(stage, i ? 1 : 2);
        for (uint32_t j = 0; j < stage->child_count; j++) {
            node_set_name(&r->bus, &stage->children[j], "job");
            node_add_children(&stage->children[j], 2);
            node_set_name(&r->bus, &stage->children[j].children[0], "one");
            node_set_name(&r->bus, &stage->children[j].children[1], "two");
        }
    }
}

static inline int rig_setup(void **state)
{
    struct rig *r = calloc(1, sizeof(*r));

    snprintf(r->dir, sizeof(r->dir), "/tmp/runner-unit.XXXXXX");
    assert_non_null(mkdtemp(r->dir));
    r->runs = fs_join(r->dir, "runs");
    rig_tree(r);
    assert_ok(ctx_init_root(&test_ctx, NULL, &test_err));
    *state = r;
    return 0;
}

static inline int rig_teardown(void **state)
{
    struct rig *r = *state;

    if (r->writer)
        record_discard(r->writer);
    node_release(&r->root);
    ctx_release(&test_ctx);
    assert_ok(fs_remove_tree(r->dir, &test_err));
    free(r->runs);
    free(r);
    return 0;
}

static inline struct record_options rig_options(const struct rig *r)
{
    return (struct record_options){.runs_dir = r->runs,
                                   .run_id = RUN,
                                   .origin = "exec",
                                   .owner = "boot/1/2/3",
                                   .user = "ann",
                                   .directory = "/src",
                                   .source = "stages: []\n",
                                   .source_size = 11};
}

static inline void rig_create(struct rig *r, int64_t limit)
{
    struct record_options options = rig_options(r);

    options.log_limit_bytes = limit;
    assert_ok(record_create(&options, &r->writer, &test_err));
    event_bus_add(&r->bus, record_sink(r->writer));
}

static inline int rig_finish(struct rig *r)
{
    const struct record_end end = {.root = &r->root,
                                   .has_exit_code = true,
                                   .exit_code = 3,
                                   .text = "as it should"};
    int result = record_finish(r->writer, &end, &test_err);

    r->writer = NULL;
    r->bus.sink_count = 0;
    return result;
}

static inline void rig_print_sized(struct rig *r, const struct node *node, enum event_stream stream,
                                   const char *text, size_t size, bool continued)
{
    struct event event = {.type = EVENT_LOG,
                          .node = node,
                          .stream = stream,
                          .data = text,
                          .size = size,
                          .continued = continued};

    event_bus_emit(&r->bus, &event);
}

static inline void rig_print(struct rig *r, const struct node *node, const char *text)
{
    rig_print_sized(r, node, EVENT_STDOUT, text, strlen(text), false);
}

static inline struct record *rig_open(const struct rig *r)
{
    struct record *record;

    assert_ok(record_open(r->runs, RUN, &record, &test_err));
    return record;
}
