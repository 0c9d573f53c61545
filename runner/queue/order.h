/* The order in which runs that wait are started: by priority; among clients of the same priority in
 * turns; for each client by time. Internal to queue/.
 *
 * A client that has just been served, or that has nothing else waiting, comes behind all others of
 * that priority. No locks: the queue has one around it. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "own/own.h"

struct order_client;

struct order_item {
    char id[OWN_RUN_ID_SIZE];
    int64_t priority;
    int64_t submitted_ms;
    /* Of the order. */
    struct order_client *of;
    struct order_item *before;
    struct order_item *behind;
    size_t position;
};

struct order {
    struct order_level *first; /* the highest priority */
    void *by_id;               /* a tree of tsearch() */
    size_t count;
    bool numbered; /* positions are right */
};

/* All that is left in it goes. */
void order_release(struct order *order);

/* False: it is there already. */
bool order_add(struct order *order, const char *id, const char *client, int64_t priority,
               int64_t submitted_ms);
/* When the newest of what that client has waiting at that priority was submitted; INT64_MIN: it has
 * nothing there. */
int64_t order_newest_ms(const struct order *order, const char *client, int64_t priority);
/* The next one whose client `may` start one now (NULL: all may); NULL: none. It stays. */
const struct order_item *order_next(const struct order *order,
                                    bool (*may)(void *arg, const char *client), void *arg);
const char *order_client(const struct order_item *item);
/* Takes one out, the caller's to free(); `served`: it is started, so that its client has had its
 * turn. NULL: it is not there. */
struct order_item *order_take(struct order *order, const char *id, bool served, char **ret_client);
/* From 1; 0: it is not there. */
size_t order_position(struct order *order, const char *id);
/* All of them, as they would be started one after the other; items[i] has position i + 1. The
 * array is the caller's, what it points to is not. */
const struct order_item **order_list(struct order *order);
