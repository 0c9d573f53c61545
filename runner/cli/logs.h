/* `runner logs`, of the history here (cmd_logs.c) and of a server (logs_there.c). */
#pragma once

#include "cli/option.h"
#include "event/node.h"
#include "event/output_queue.h"
#include "event/sink_plain.h"
#include "record/log.h"
#include "store/store.h"

struct logs_args {
    char *history;
    char *server; /* NULL: the history here */
    bool follow;
    bool timestamps;
    int64_t *tail; /* NULL: all */
    const char *run;
    const char *step; /* NULL: all */
};

struct logs {
    const struct logs_args *args;
    const struct store_run *run;
    struct node root;
    struct output_queue *queue;
    struct sink_plain plain;
    uint64_t skip;    /* lines of the next item */
    uint64_t missing; /* bytes, to be told */
    bool raw;         /* of one step: its bytes, and nothing else */
};

/* Begins to show; `node` NULL: all steps. */
int logs_begin(struct logs *logs, const char *node, struct err *err)
    __attribute__((warn_unused_result));
/* Shows an item; changes it. */
void logs_show(struct logs *logs, struct record_item *item);
/* Adds the ids of the nodes that are called so. */
void logs_find_named(const struct logs *logs, const char *name, struct strvec *ids);
/* There is no step of that name; -1, and which there are if there is more than one. */
int logs_not_one(const struct logs *logs, const struct strvec *ids, struct err *err);
/* Until there is room for more output. */
int logs_wait_for_room(const struct ctx *ctx, struct logs *logs, struct err *err)
    __attribute__((warn_unused_result));

/* logs_there.c */
int logs_of_server(const struct ctx *ctx, const struct logs_args *args, struct err *err)
    __attribute__((warn_unused_result));
