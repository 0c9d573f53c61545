#include "queue/order.h"

#include <search.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"

/* A client that has something waiting at a level. All of them make a ring: its first is the next to
 * be served. */
struct order_client {
    char *name;
    struct order_level *level;
    struct order_client *before;
    struct order_client *behind;
    struct order_item *first; /* the oldest */
    struct order_item *last;
    const struct order_item *numbering; /* of order_list(): the next to be numbered */
};

struct order_level {
    int64_t priority;
    struct order_level *lower;
    struct order_client *turn; /* never NULL: a level that has nobody goes */
};

static int compare(const void *a, const void *b)
{
    return strcmp(((const struct order_item *)a)->id, ((const struct order_item *)b)->id);
}

static struct order_item *find(const struct order *order, const char *id)
{
    struct order_item key;
    void *found;

    if (strlen(id) >= sizeof(key.id))
        return NULL;
    memcpy(key.id, id, strlen(id) + 1);
    found = tfind(&key, (void *const *)&order->by_id, compare);
    return found ? *(struct order_item **)found : NULL;
}

/* --- adding --- */

static struct order_level *get_level(struct order *order, int64_t priority)
{
    struct order_level **at = &order->first;
    struct order_level *level;

    while (*at && (*at)->priority > priority)
        at = &(*at)->lower;
    if (*at && (*at)->priority == priority)
        return *at;
    level = xcalloc(1, sizeof(*level));
    level->priority = priority;
    level->lower = *at;
    *at = level;
    return level;
}

/* Before the next to be served, which is behind all others. */
static void join_ring(struct order_client *client)
{
    struct order_client *turn = client->level->turn;

    if (!turn) {
        client->level->turn = client->before = client->behind = client;
        return;
    }
    client->behind = turn;
    client->before = turn->before;
    turn->before->behind = client;
    turn->before = client;
}

/* NULL: it has nothing at that level. */
static struct order_client *find_client(const struct order_level *level, const char *name)
{
    struct order_client *client = level->turn;

    if (!client)
        return NULL;
    do {
        if (strcmp(client->name, name) == 0)
            return client;
        client = client->behind;
    } while (client != level->turn);
    return NULL;
}

static struct order_client *get_client(struct order_level *level, const char *name)
{
    struct order_client *client = find_client(level, name);

    if (client)
        return client;
    client = xcalloc(1, sizeof(*client));
    client->name = xstrdup(name);
    client->level = level;
    join_ring(client);
    return client;
}

/* Nearly always it is the newest; behind those of the same moment. */
static void line_up(struct order_client *client, struct order_item *item)
{
    struct order_item *before = client->last;

    while (before && item->submitted_ms < before->submitted_ms)
        before = before->before;
    item->of = client;
    item->before = before;
    item->behind = before ? before->behind : client->first;
    *(before ? &before->behind : &client->first) = item;
    *(item->behind ? &item->behind->before : &client->last) = item;
}

bool order_add(struct order *order, const char *id, const char *client, int64_t priority,
               int64_t submitted_ms)
{
    struct order_item *item;

    if (strlen(id) >= sizeof(item->id) || find(order, id))
        return false;
    item = xcalloc(1, sizeof(*item));
    memcpy(item->id, id, strlen(id) + 1);
    item->priority = priority;
    item->submitted_ms = submitted_ms;
    line_up(get_client(get_level(order, priority), client), item);
    if (!tsearch(item, &order->by_id, compare))
        abort(); /* as all that allocates does */
    order->count++;
    order->numbered = false;
    return true;
}

int64_t order_newest_ms(const struct order *order, const char *client, int64_t priority)
{
    const struct order_level *level = order->first;
    const struct order_client *found;

    while (level && level->priority > priority)
        level = level->lower;
    found = level && level->priority == priority ? find_client(level, client) : NULL;
    return found ? found->last->submitted_ms : INT64_MIN;
}

/* --- taking --- */

const struct order_item *order_next(const struct order *order,
                                    bool (*may)(void *arg, const char *client), void *arg)
{
    for (const struct order_level *level = order->first; level; level = level->lower) {
        const struct order_client *client = level->turn;

        do {
            if (!may || may(arg, client->name))
                return client->first;
            client = client->behind;
        } while (client != level->turn);
    }
    return NULL;
}

const char *order_client(const struct order_item *item)
{
    return item->of->name;
}

static void leave_ring(struct order_client *client)
{
    struct order_level *level = client->level;

    if (client->behind == client) {
        level->turn = NULL;
        return;
    }
    client->before->behind = client->behind;
    client->behind->before = client->before;
    if (level->turn == client)
        level->turn = client->behind;
}

static void remove_level(struct order *order, struct order_level *level)
{
    struct order_level **at = &order->first;

    while (*at != level)
        at = &(*at)->lower;
    *at = level->lower;
    free(level);
}

static void remove_client(struct order *order, struct order_client *client)
{
    struct order_level *level = client->level;

    leave_ring(client);
    free(client->name);
    free(client);
    if (!level->turn)
        remove_level(order, level);
}

struct order_item *order_take(struct order *order, const char *id, bool served, char **ret_client)
{
    struct order_item *item = find(order, id);
    struct order_client *client;

    if (!item)
        return NULL;
    client = item->of;
    if (ret_client)
        *ret_client = xstrdup(client->name);
    *(item->before ? &item->before->behind : &client->first) = item->behind;
    *(item->behind ? &item->behind->before : &client->last) = item->before;
    tdelete(item, &order->by_id, compare);
    if (!client->first) {
        remove_client(order, client);
    } else if (served) {
        leave_ring(client);
        join_ring(client);
    }
    item->of = NULL;
    order->count--;
    order->numbered = false;
    return item;
}

void order_release(struct order *order)
{
    while (order->first)
        free(order_take(order, order->first->turn->first->id, false, NULL));
}

/* --- looking --- */

/* Gives each client of the level its turns, until nothing is left. */
static size_t list_level(const struct order_level *level, const struct order_item **items,
                         size_t count)
{
    struct order_client *client = level->turn;
    size_t before;

    do {
        client->numbering = client->first;
        client = client->behind;
    } while (client != level->turn);
    do {
        before = count;
        do {
            if (client->numbering) {
                items[count++] = client->numbering;
                client->numbering = client->numbering->behind;
            }
            client = client->behind;
        } while (client != level->turn);
    } while (count > before);
    return count;
}

const struct order_item **order_list(struct order *order)
{
    const struct order_item **items = xcalloc(order->count + 1, sizeof(const struct order_item *));
    size_t count = 0;

    for (const struct order_level *level = order->first; level; level = level->lower)
        count = list_level(level, items, count);
    for (size_t i = 0; i < count; i++)
        ((struct order_item *)items[i])->position = i + 1;
    order->numbered = true;
    return items;
}

size_t order_position(struct order *order, const char *id)
{
    const struct order_item *item = find(order, id);

    if (item && !order->numbered)
        free(order_list(order));
    return item ? item->position : 0;
}
