#include "event/playback.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/json_at.h"
#include "event/read.h"

void playback_init(struct playback *playback, struct event_bus *bus)
{
    *playback = (struct playback){.bus = bus};
}

void playback_release(struct playback *playback)
{
    node_release(&playback->root);
    free(playback->run_id);
    json_decref(playback->ended);
    *playback = (struct playback){0};
}

/* --- events --- */

static int begin(struct playback *playback, const json_t *event, struct err *err)
{
    if (playback->run_id)
        return err_set(err, ERR_PROTOCOL, "a run begins twice");
    playback->run_id = json_at_dup(event, "id");
    return 0;
}

/* Displays that are live show for how long something runs, by the clock of this machine. */
static void set_monotonic(struct node *node)
{
    int64_t ran_ms = clock_wall_ms() - node->started_at_ms;

    if (node->started_at_ms)
        node->started_mono_ms = clock_monotonic_ms() - (ran_ms > 0 ? ran_ms : 0);
}

static void set_monotonic_below(struct node *node)
{
    set_monotonic(node);
    for (uint32_t i = 0; i < node->child_count; i++)
        set_monotonic_below(&node->children[i]);
}

static int plan(struct playback *playback, const json_t *event, struct err *err)
{
    struct node root = {0};

    if (playback->planned)
        return err_set(err, ERR_PROTOCOL, "a run is planned twice");
    if (node_tree_from_json(json_at(event, "tree"), &root, err) < 0) {
        node_release(&root);
        return -1;
    }
    set_monotonic_below(&root);
    pthread_mutex_lock(&playback->bus->mu);
    node_move(&playback->root, &root);
    playback->planned = true;
    pthread_mutex_unlock(&playback->bus->mu);
    return 0;
}

static int64_t time_of(const json_t *event)
{
    int64_t time_ms;

    return clock_parse_rfc3339(json_at_string(event, "time"), &time_ms) < 0 ? clock_wall_ms()
                                                                            : time_ms;
}

/* An attempt is over: displays see the node as it was in it. */
static int retry(struct playback *playback, const json_t *object, struct node *node,
                 struct err *err)
{
    uint32_t attempt = node->attempt;
    struct event event = {.type = EVENT_RETRY,
                          .node = node,
                          .time_ms = time_of(object),
                          .delay_ms = json_at_int(object, "delay_ms")};

    if (event_apply(object, &playback->root, err) < 0)
        return -1;
    event.attempt = &node->attempts[attempt - 1];
    node->attempt = attempt;
    event_bus_deliver(playback->bus, &event);
    node->attempt = attempt + 1;
    return 0;
}

static int change(struct playback *playback, const json_t *object, struct err *err)
{
    struct node *node = node_find(&playback->root, json_at_string(object, "id"));
    struct event event = {.type = EVENT_STATE, .node = node, .time_ms = time_of(object)};

    if (!node)
        return err_set(err, ERR_PROTOCOL, "there is no node %s", json_at_string(object, "id"));
    if (json_at(object, "delay_ms"))
        return retry(playback, object, node, err);
    if (!json_at(object, "status"))
        return 0;
    if (event_apply(object, &playback->root, err) < 0)
        return -1;
    set_monotonic(node);
    event_bus_deliver(playback->bus, &event);
    return 0;
}

int playback_event(struct playback *playback, const json_t *event, struct err *err)
{
    const char *name = json_at_string(event, "event");
    int result;

    if (strcmp(name, "RunBegan") == 0)
        return begin(playback, event, err);
    if (strcmp(name, "RunPlanned") == 0)
        return plan(playback, event, err);
    if (strcmp(name, "RunEnded") == 0) {
        json_decref(playback->ended);
        playback->ended = json_deep_copy(event);
        return 0;
    }
    if (!playback->planned)
        return err_set(err, ERR_PROTOCOL, "%s comes before the run is planned", name);
    pthread_mutex_lock(&playback->bus->mu);
    result = change(playback, event, err);
    pthread_mutex_unlock(&playback->bus->mu);
    return result;
}

/* --- output --- */

void playback_output(struct playback *playback, const struct playback_output *output)
{
    CLEANUP_FREE char *id =
        xasprintf("%s.%s", playback->run_id ? playback->run_id : "", output->node);
    struct node service = {.level = NODE_SERVICE};
    struct node *node = &playback->root;
    struct event event = {.type = output->is_note ? EVENT_NOTE : EVENT_LOG,
                          .time_ms = output->time_ms,
                          .stream = output->stream,
                          .data = output->data,
                          .size = output->size,
                          .continued = output->continued,
                          .text = output->is_note ? output->data : NULL};

    if (!playback->planned || !output->size)
        return;
    if (*output->node)
        node = node_find_service(&playback->root, id, &service.name);
    if (!node)
        return;
    service.parent = node;
    service.number = node->number;
    event.node = service.name ? &service : node;
    pthread_mutex_lock(&playback->bus->mu);
    event_bus_deliver(playback->bus, &event);
    pthread_mutex_unlock(&playback->bus->mu);
}
