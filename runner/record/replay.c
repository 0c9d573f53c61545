#include <stdlib.h>
#include <string.h>

#include "record/events.h"

/* The objects of a tree by the levels of their nodes: event/json.c. */
static const char *const children_keys[] = {"stages", "jobs", "steps"};
static const char *const levels[] = {"pipeline", "stage", "job", "step"};

/* More children than that no pipeline has. */
enum { DEPTH_MAX = 3, CHILDREN_MAX = 1 << 16 };

static bool is_word(const json_t *event, const char *word)
{
    const char *name = json_string_value(json_object_get(event, "event"));

    return name && strcmp(name, word) == 0;
}

static bool ends_with(const json_t *event, const char *end)
{
    const char *name = json_string_value(json_object_get(event, "event"));
    size_t len = name ? strlen(name) : 0;

    return len > strlen(end) && strcmp(name + len - strlen(end), end) == 0;
}

static json_t *pending(const char *id, int level)
{
    json_t *node = json_object();

    json_object_set_new(node, "id", json_string(id));
    json_object_set_new(node, "level", json_string(levels[level]));
    json_object_set_new(node, "name", json_string(""));
    json_object_set_new(node, "status", json_string("pending"));
    if (level < DEPTH_MAX)
        json_object_set_new(node, children_keys[level], json_array());
    return node;
}

/* The child of that index; what is missing up to it is made. NULL: there can be no such child. */
static json_t *child_at(json_t *node, int level, unsigned long index)
{
    const char *id = json_string_value(json_object_get(node, "id"));
    json_t *children = json_object_get(node, children_keys[level]);

    if (!id || !json_is_array(children) || index >= CHILDREN_MAX)
        return NULL;
    while (json_array_size(children) <= index) {
        char *child_id = xasprintf("%s.%zu", id, json_array_size(children));

        json_array_append_new(children, pending(child_id, level + 1));
        free(child_id);
    }
    return json_array_get(children, index);
}

/* The node with that id, "RUN.0.1"; NULL: there is none, as for a service. */
static json_t *find(json_t *tree, const char *id, int *level)
{
    const char *root = json_string_value(json_object_get(tree, "id"));
    size_t len = root ? strlen(root) : 0;
    json_t *node = tree;

    if (!root || strncmp(id, root, len) != 0)
        return NULL;
    *level = 0;
    for (id += len; node && *id; (*level)++) {
        char *end;
        unsigned long index;

        if (*id != '.' || id[1] < '0' || id[1] > '9' || *level == DEPTH_MAX)
            return NULL;
        index = strtoul(id + 1, &end, 10);
        node = *end && *end != '.' ? NULL : child_at(node, *level, index);
        id = end;
    }
    return node;
}

static bool stays(const char *key, int level)
{
    return level < DEPTH_MAX && strcmp(key, children_keys[level]) == 0;
}

/* All that a node says of itself is in the event, and what is not there does not hold any more. */
static void apply_state(json_t *node, int level, const json_t *event)
{
    const char *key;
    json_t *value;
    void *next;

    json_object_foreach_safe(node, next, key, value)
    {
        if (!stays(key, level))
            json_object_del(node, key);
    }
    json_object_foreach ((json_t *)event, key, value) {
        if (!stays(key, level) && strcmp(key, "seq") != 0 && strcmp(key, "event") != 0 &&
            strcmp(key, "time") != 0)
            json_object_set(node, key, value);
    }
}

/* Makes it what it was before it started. */
static void reset(json_t *node, int level)
{
    static const char *const kept[] = {"id", "level", "name", "host"};
    const char *key;
    json_t *value;
    void *next;

    json_object_foreach_safe(node, next, key, value)
    {
        bool keep = stays(key, level);

        for (size_t i = 0; i < sizeof(kept) / sizeof(*kept); i++)
            keep = keep || strcmp(key, kept[i]) == 0;
        if (!keep)
            json_object_del(node, key);
    }
    json_object_set_new(node, "status", json_string("pending"));
}

static void reset_below(json_t *node, int level)
{
    json_t *children = level < DEPTH_MAX ? json_object_get(node, children_keys[level]) : NULL;
    json_t *child;
    size_t i;

    json_array_foreach (children, i, child) {
        reset(child, level + 1);
        reset_below(child, level + 1);
    }
}

static int take_tree(json_t **tree, const json_t *event)
{
    json_t *whole = json_object_get(event, "tree");

    if (!json_is_object(whole))
        return 0; /* there was none yet */
    json_decref(*tree);
    *tree = json_deep_copy(whole);
    return 0;
}

int record_replay(json_t **tree, const json_t *event, struct err *err)
{
    const char *id = json_string_value(json_object_get(event, "id"));
    json_t *node;
    int level;

    if (is_word(event, "RunBegan") || is_word(event, "RunEnded"))
        return take_tree(tree, event);
    if (ends_with(event, "Note"))
        return 0;
    if (!id || !*tree)
        return err_set(err, ERR_PROTOCOL, "an event of a run has no id, or comes before its tree");
    node = find(*tree, id, &level);
    if (!node)
        return err_set(err, ERR_PROTOCOL, "an event is of %s, which is not in the tree of the run",
                       id);
    if (ends_with(event, "Retrying")) {
        json_int_t attempt = json_integer_value(json_object_get(event, "attempt"));

        json_object_set_new(node, "attempt", json_integer(attempt + 1));
        reset_below(node, level);
        return 0;
    }
    apply_state(node, level, event);
    return 0;
}
