#include "mask/matcher.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/vec.h"

enum {
    PIECE = MATCHER_MIN, /* bytes that the filter looks at */
    WINDOW_MAX = 16,     /* of each string that it knows */
    FILTER_BITS = 18,
};

struct node {
    uint32_t child;   /* the first; 0: none, as the root is nobody's child */
    uint32_t sibling; /* the next child of the same node */
    uint32_t fail;    /* the node of the longest proper ending that is a beginning, too */
    uint32_t depth;
    uint32_t match; /* the longest string that ends here */
    unsigned char byte;
};

struct matcher {
    atomic_uint references;
    struct node *nodes;                        /* the first is the root */
    uint32_t first[256];                       /* the root's children */
    size_t window;                             /* the shortest string, at most WINDOW_MAX */
    uint8_t filter[2][1 << (FILTER_BITS - 3)]; /* a bit for each piece, by two hashes */
};

struct matcher_builder {
    struct matcher *matcher;
    VEC(struct node)
    nodes;
    size_t shortest;
    struct buf windows; /* the first WINDOW_MAX bytes of each string, zeroes behind shorter ones */
};

static uint32_t read_piece(const char *data)
{
    uint32_t piece;

    memcpy(&piece, data, sizeof(piece));
    return piece;
}

static uint32_t hash_piece(uint32_t piece, int which)
{
    static const uint32_t factors[2] = {0x9e3779b1, 0x85ebca6b};

    return piece * factors[which] >> (32 - FILTER_BITS);
}

static bool filter_has(const struct matcher *m, uint32_t piece, int which)
{
    uint32_t hash = hash_piece(piece, which);

    return m->filter[which][hash >> 3] >> (hash & 7) & 1;
}

struct matcher_builder *matcher_builder_new(void)
{
    struct matcher_builder *b = xcalloc(1, sizeof(*b));

    b->matcher = xcalloc(1, sizeof(*b->matcher));
    b->matcher->references = 1;
    b->shortest = SIZE_MAX;
    b->windows = (struct buf)BUF_INIT;
    vec_push(&b->nodes, (struct node){0});
    return b;
}

static uint32_t child_of(const struct matcher *m, const struct node *nodes, uint32_t node,
                         unsigned char byte)
{
    uint32_t at;

    if (!node)
        return m->first[byte];
    for (at = nodes[node].child; at && nodes[at].byte != byte;)
        at = nodes[at].sibling;
    return at;
}

void matcher_builder_add(struct matcher_builder *b, const char *string, size_t len)
{
    static const char zeroes[WINDOW_MAX];
    uint32_t node = 0;

    for (size_t i = 0; i < len; i++) {
        unsigned char byte = (unsigned char)string[i];
        uint32_t next = child_of(b->matcher, b->nodes.items, node, byte);

        if (!next) {
            struct node child = {.byte = byte, .depth = (uint32_t)i + 1};

            next = (uint32_t)b->nodes.len;
            child.sibling = b->nodes.items[node].child;
            vec_push(&b->nodes, child);
            b->nodes.items[node].child = next;
            if (!node)
                b->matcher->first[byte] = next;
        }
        node = next;
    }
    if (b->nodes.items[node].match)
        return;
    b->nodes.items[node].match = (uint32_t)len;
    if (len < b->shortest)
        b->shortest = len;
    buf_add(&b->windows, string, len < WINDOW_MAX ? len : WINDOW_MAX);
    buf_add(&b->windows, zeroes, len < WINDOW_MAX ? WINDOW_MAX - len : 0);
}

/* Breadth first, as a node's is nearer to the root than the node. */
static void link_nodes(struct matcher *m, size_t count)
{
    uint32_t *queue = xreallocarray(NULL, count, sizeof(*queue));
    size_t len = 1;

    queue[0] = 0;
    for (size_t i = 0; i < len; i++) {
        const struct node *parent = &m->nodes[queue[i]];

        for (uint32_t at = parent->child; at; at = m->nodes[at].sibling) {
            struct node *child = &m->nodes[at];

            child->fail = queue[i] ? matcher_step(m, parent->fail, child->byte) : 0;
            if (m->nodes[child->fail].match > child->match)
                child->match = m->nodes[child->fail].match;
            queue[len++] = at;
        }
    }
    free(queue);
}

static void fill_filter(struct matcher *m, const struct buf *windows)
{
    for (size_t at = 0; at < windows->len; at += WINDOW_MAX) {
        for (size_t i = 0; i + PIECE <= m->window; i++) {
            uint32_t piece = read_piece(windows->data + at + i);

            for (int which = 0; which < 2; which++) {
                uint32_t hash = hash_piece(piece, which);

                m->filter[which][hash >> 3] |= (uint8_t)(1u << (hash & 7));
            }
        }
    }
}

struct matcher *matcher_build(struct matcher_builder *b)
{
    struct matcher *m = b->matcher;

    m->nodes = xreallocarray(b->nodes.items, b->nodes.len, sizeof(*m->nodes));
    m->window = b->shortest < WINDOW_MAX ? b->shortest : WINDOW_MAX;
    link_nodes(m, b->nodes.len);
    fill_filter(m, &b->windows);
    buf_release(&b->windows);
    free(b);
    return m;
}

struct matcher *matcher_ref(struct matcher *m)
{
    atomic_fetch_add(&m->references, 1);
    return m;
}

void matcher_unref(struct matcher *m)
{
    if (!m || atomic_fetch_sub(&m->references, 1) != 1)
        return;
    free(m->nodes);
    free(m);
}

uint32_t matcher_step(const struct matcher *m, uint32_t state, unsigned char byte)
{
    uint32_t next;

    while (!(next = child_of(m, m->nodes, state, byte)) && state)
        state = m->nodes[state].fail;
    return next;
}

uint32_t matcher_settle(const struct matcher *m, uint32_t state)
{
    while (state && !m->nodes[state].child)
        state = m->nodes[state].fail;
    return state;
}

uint32_t matcher_depth(const struct matcher *m, uint32_t state)
{
    return m->nodes[state].depth;
}

uint32_t matcher_match(const struct matcher *m, uint32_t state)
{
    return m->nodes[state].match;
}

/* A string that begins at one of `step` places has a piece at the last of them. */
size_t matcher_seek(const struct matcher *m, const char *data, size_t size, size_t from,
                    size_t *ret_last)
{
    size_t step = m->window - PIECE + 1;
    size_t at = from + step - 1;

    for (; at + PIECE <= size; at += step) {
        uint32_t piece = read_piece(data + at);

        if (filter_has(m, piece, 0) && filter_has(m, piece, 1)) {
            *ret_last = at;
            return at - (step - 1);
        }
    }
    *ret_last = size;
    return at - (step - 1);
}
