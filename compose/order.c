/* The order in which services start. */
#include <string.h>

#include "base/alloc.h"
#include "base/text_index.h"
#include "compose/loader.h"

enum state { STATE_NEW, STATE_OPEN, STATE_DONE };

/* A service on the way down; kept on the heap, as chains can be long. */
struct step {
    uint32_t node;
    void *next; /* iterator over its dependencies */
};

struct sorter {
    struct compose_loader *l;
    struct compose_project *project;
    VEC(const char *)
    names;
    struct text_index index;
    unsigned char *states;
    VEC(struct step)
    stack;
};

static json_t *dependencies_of(const struct sorter *s, uint32_t node)
{
    return json_object_get(compose_service(s->project, s->names.items[node]), "depends_on");
}

static void push(struct sorter *s, uint32_t node)
{
    vec_push(&s->stack, ((struct step){node, json_object_iter(dependencies_of(s, node))}));
    s->states[node] = STATE_OPEN;
}

/* "a → b → a", at what the last one says about the first. */
static void complain_cycle(struct sorter *s, uint32_t node)
{
    const char *name = s->names.items[node];
    const uint32_t last = s->stack.items[s->stack.len - 1].node;
    CLEANUP_BUF struct buf chain = BUF_INIT;
    CLEANUP_FREE char *where = xasprintf("services.%s.depends_on", s->names.items[last]);
    const json_t *at = json_object_get(dependencies_of(s, last), name);
    size_t i = 0;

    while (s->stack.items[i].node != node)
        i++;
    for (; i < s->stack.len; i++)
        buf_addf(&chain, "%s \xe2\x86\x92 ", s->names.items[s->stack.items[i].node]);
    compose_complain(s->l, at, where, "services depend on each other in a circle: %s%s", chain.data,
                     name);
}

/* One dependency further, or one service done. */
static void advance(struct sorter *s)
{
    struct step *top = &s->stack.items[s->stack.len - 1];
    const char *name;
    uint32_t node;

    if (!top->next) {
        s->states[top->node] = STATE_DONE;
        strvec_push(&s->project->order, s->names.items[top->node]);
        s->stack.len--;
        return;
    }
    name = json_object_iter_key(top->next);
    top->next = json_object_iter_next(dependencies_of(s, top->node), top->next);
    if (!text_index_find(&s->index, name, strlen(name), &node))
        return;
    if (s->states[node] == STATE_OPEN)
        complain_cycle(s, node);
    else if (s->states[node] == STATE_NEW)
        push(s, node);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void collect(struct sorter *s)
{
    const char *name;
    json_t *service;

    json_object_foreach (json_object_get(s->project->model, "services"), name, service)
        vec_push(&s->names, name);
    if (s->names.len)
        qsort(s->names.items, s->names.len, sizeof(*s->names.items), by_name);
    for (uint32_t i = 0; i < s->names.len; i++)
        text_index_set(&s->index, s->names.items[i], strlen(s->names.items[i]), i);
}

void compose_order(struct compose_loader *l, struct compose_project *project)
{
    struct sorter s = {.l = l, .project = project};

    collect(&s);
    s.states = xcalloc(s.names.len + 1, 1);
    for (uint32_t i = 0; i < s.names.len; i++) {
        if (s.states[i] == STATE_NEW)
            push(&s, i);
        while (s.stack.len)
            advance(&s);
    }
    free(s.states);
    vec_release(&s.names);
    vec_release(&s.stack);
    text_index_release(&s.index);
}
