#include "event/read.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/json_at.h"

static const char *const children_keys[] = {"stages", "jobs", "steps"};
static const char *const end_keys[] = {"succeed_at", "failed_at", "cancelled_at", "skipped_at"};

static int64_t time_at(const json_t *object, const char *key)
{
    int64_t ms;

    return clock_parse_rfc3339(json_at_string(object, key), &ms) < 0 ? 0 : ms;
}

static char *text_at(const json_t *object, const char *key)
{
    return json_at(object, key) ? json_at_dup(object, key) : NULL;
}

static enum reason reason_at(const json_t *object)
{
    int reason = reason_find(json_at_string(object, "reason"));

    return reason < 0 ? REASON_NONE : (enum reason)reason;
}

static struct node_attempt read_attempt(const json_t *object)
{
    return (struct node_attempt){.reason = reason_at(object),
                                 .has_exit_code = json_at(object, "exit_code") != NULL,
                                 .exit_code = (int)json_at_int(object, "exit_code"),
                                 .duration_ms = json_at_int(object, "duration_ms"),
                                 .error = text_at(object, "error")};
}

/* Those before the current one, which only a final state tells. */
struct earlier {
    struct node_attempt *items;
    size_t len;
};

static struct earlier steal_attempts(struct node *node)
{
    size_t len = node->attempt > 1 ? node->attempt - 1 : 0;

    node->attempt = 0;
    return (struct earlier){steal_ptr(&node->attempts), len};
}

static void read_attempts(const json_t *object, struct earlier earlier, struct node *node)
{
    const json_t *list = json_at(object, "attempts");
    size_t told = json_array_size(list);
    size_t len;

    node->attempt = (uint32_t)json_at_int(object, "attempt");
    len = node->attempt > 1 ? node->attempt - 1 : 0;
    if (len)
        node->attempts = xcalloc(len, sizeof(*node->attempts));
    for (size_t i = 0; i < len; i++) {
        if (i < told)
            node->attempts[i] = read_attempt(json_array_get(list, i));
        else if (!list && i < earlier.len)
            node->attempts[i] = earlier.items[i];
    }
    for (size_t i = list ? 0 : len; i < earlier.len; i++)
        free(earlier.items[i].error);
    free(earlier.items);
}

/* More of them than anybody makes would be memory for nothing. */
enum { ATTEMPTS_MAX = 100000 };

int node_from_json(const json_t *object, struct node *node, struct err *err)
{
    int state = state_find(json_at_string(object, "status"));
    int64_t attempt = json_at_int(object, "attempt");
    struct earlier earlier;

    if (state < 0 || attempt < 0 || attempt > ATTEMPTS_MAX)
        return err_set(err, ERR_PROTOCOL, "the state of %s \"%s\" makes no sense",
                       node_level_name((enum node_level)node->level), node->name);
    earlier = steal_attempts(node);
    node_clear(node);
    node->state = (uint8_t)state;
    node->reason = (uint8_t)reason_at(object);
    node->has_exit_code = json_at(object, "exit_code") != NULL;
    node->exit_code = (int)json_at_int(object, "exit_code");
    node->allowed = json_at_bool(object, "allowed_failure");
    node->by_engine = json_at_bool(object, "by_engine");
    read_attempts(object, earlier, node);
    node->started_at_ms = time_at(object, "started_at");
    for (size_t i = 0; i < sizeof(end_keys) / sizeof(*end_keys) && !node->ended_at_ms; i++)
        node->ended_at_ms = time_at(object, end_keys[i]);
    node->duration_ms = json_at_int(object, "duration_ms");
    node->error = text_at(object, "error");
    node->message = text_at(object, "message");
    node->tail = text_at(object, "tail");
    json_at_strmap(object, "outputs", &node->outputs);
    return 0;
}

static int read_node(const json_t *object, struct node *node, struct err *err)
{
    const json_t *children =
        node->level < NODE_STEP ? json_at(object, children_keys[node->level]) : NULL;

    node->name = node->own_name = json_at_dup(object, "name");
    node->host = node->own_host = text_at(object, "host");
    if (node_from_json(object, node, err) < 0)
        return -1;
    if (json_array_size(children))
        node_add_children(node, (uint32_t)json_array_size(children));
    for (uint32_t i = 0; i < node->child_count; i++) {
        if (read_node(json_array_get(children, i), &node->children[i], err) < 0)
            return -1;
    }
    return 0;
}

int node_tree_from_json(const json_t *tree, struct node *ret, struct err *err)
{
    return read_node(tree, ret, err);
}

/* The names that load/ lets a service have: those of hosts, which are no numbers. */
static bool is_service_name(const char *name)
{
    return strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-_.") == strlen(name) &&
           !strchr("-_.", *name) && strspn(name, "0123456789.") < strlen(name);
}

/* Goes one index down; NULL: there is none in the text, or no such child. */
static struct node *find_child(const struct node *node, const char *text, const char **ret_behind)
{
    unsigned long index = 0;
    char *end = NULL;

    if (*text < '0' || *text > '9' || (*text == '0' && text[1] >= '0' && text[1] <= '9'))
        return NULL;
    index = strtoul(text, &end, 10);
    *ret_behind = end;
    return (*end && *end != '.') || index >= node->child_count ? NULL : &node->children[index];
}

struct node *node_find_service(struct node *root, const char *id, const char **ret_service)
{
    const char *at = strchrnul(id, '.');
    struct node *node = root;

    *ret_service = NULL;
    while (*at) {
        const char *behind = NULL;
        struct node *child = find_child(node, at + 1, &behind);

        if (!child) {
            bool may_have = node->level == NODE_PIPELINE || node->level == NODE_JOB;

            *ret_service = at + 1;
            return may_have && is_service_name(at + 1) ? node : NULL;
        }
        node = child;
        at = behind;
    }
    return node;
}

struct node *node_find(struct node *root, const char *id)
{
    const char *service = NULL;

    return node_find_service(root, id, &service);
}

static int apply_retry(const json_t *event, struct node *node, struct err *err)
{
    if (!node->attempt)
        return err_set(err, ERR_PROTOCOL, "%s \"%s\" is tried again and was never tried",
                       node_level_name((enum node_level)node->level), node->name);
    node->attempts = xreallocarray(node->attempts, node->attempt, sizeof(*node->attempts));
    node->attempts[node->attempt - 1] = read_attempt(event);
    node->attempt++;
    node_clear_children(node);
    return 0;
}

int event_apply(const json_t *event, struct node *root, struct err *err)
{
    const char *id = json_at_string(event, "id");
    struct node *node = node_find(root, id);

    if (!node)
        return err_set(err, ERR_PROTOCOL, "there is no node %s", id);
    if (json_at(event, "delay_ms"))
        return apply_retry(event, node, err);
    return json_at(event, "status") ? node_from_json(event, node, err) : 0;
}
