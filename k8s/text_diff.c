#include "k8s/text_diff.h"

#include <string.h>

#include "base/vec.h"

enum { CONTEXT = 3, EDITS_MAX = 1000 };

struct line {
    const char *text;
    size_t len; /* without the newline */
};

struct lines {
    struct line *items;
    size_t len;
    size_t cap;
};

/* One line of the result: ' ', '-' or '+'. */
struct edit {
    char op;
    struct line line;
};

struct edits {
    struct edit *items;
    size_t len;
    size_t cap;
};

static void split(const char *text, struct lines *ret)
{
    while (*text) {
        const size_t len = strcspn(text, "\n");

        vec_push(ret, ((struct line){text, len}));
        text += len + (text[len] == '\n');
    }
}

static bool same(const struct line *a, const struct line *b)
{
    return a->len == b->len && memcmp(a->text, b->text, a->len) == 0;
}

/* --- Myers' greedy algorithm, on the lines between a common beginning and end --- */

struct range {
    const struct line *old;
    const struct line *new;
    long old_len;
    long new_len;
};

/* Of each round d, how far along each diagonal k it came: rounds[d][k + d]. */
static long furthest(long *const *rounds, long d, long k)
{
    if (d == 0)
        return 0;
    const long *before = rounds[d - 1] + (d - 1);
    const bool down = k == -d || (k != d && before[k - 1] < before[k + 1]);

    return down ? before[k + 1] : before[k - 1] + 1;
}

/* The number of edits, or -1 when it takes too many. rounds has room for EDITS_MAX + 1. */
static long search(const struct range *r, long **rounds)
{
    for (long d = 0; d <= EDITS_MAX; d++) {
        rounds[d] = xcalloc((size_t)(2 * d + 1), sizeof(long));
        for (long k = -d; k <= d; k += 2) {
            long x = furthest(rounds, d, k);

            while (x < r->old_len && x - k < r->new_len && x - k >= 0 &&
                   same(&r->old[x], &r->new[x - k]))
                x++;
            rounds[d][k + d] = x;
            if (x >= r->old_len && x - k >= r->new_len)
                return d;
        }
    }
    return -1;
}

static void reverse(struct edits *edits, size_t from)
{
    for (size_t a = from, b = edits->len; a + 1 < b; a++) {
        struct edit swap = edits->items[a];

        edits->items[a] = edits->items[--b];
        edits->items[b] = swap;
    }
}

/* From the end back to the beginning. */
static void trace(const struct range *r, long *const *rounds, long d, struct edits *edits)
{
    const size_t from = edits->len;
    long x = r->old_len;
    long y = r->new_len;

    for (; d > 0; d--) {
        const long k = x - y;
        const long *before = rounds[d - 1] + (d - 1);
        const bool down = k == -d || (k != d && before[k - 1] < before[k + 1]);
        const long from_k = down ? k + 1 : k - 1;
        const long from_x = before[from_k];
        const long from_y = from_x - from_k;

        for (; x > from_x + !down && y > from_y + down; x--, y--)
            vec_push(edits, ((struct edit){' ', r->old[x - 1]}));
        if (down)
            vec_push(edits, ((struct edit){'+', r->new[--y]}));
        else
            vec_push(edits, ((struct edit){'-', r->old[--x]}));
    }
    for (; x > 0; x--)
        vec_push(edits, ((struct edit){' ', r->old[x - 1]}));
    reverse(edits, from);
}

static void compare(const struct range *r, struct edits *edits)
{
    long **rounds = xcalloc(EDITS_MAX + 1, sizeof(*rounds));
    const long d = search(r, rounds);

    if (d >= 0) {
        trace(r, rounds, d, edits);
    } else {
        for (long i = 0; i < r->old_len; i++)
            vec_push(edits, ((struct edit){'-', r->old[i]}));
        for (long i = 0; i < r->new_len; i++)
            vec_push(edits, ((struct edit){'+', r->new[i]}));
    }
    for (size_t i = 0; i <= EDITS_MAX; i++)
        free(rounds[i]);
    free(rounds);
}

static void find_edits(const struct lines *a, const struct lines *b, struct edits *edits)
{
    size_t head = 0;
    size_t tail = 0;

    while (head < a->len && head < b->len && same(&a->items[head], &b->items[head]))
        head++;
    while (tail < a->len - head && tail < b->len - head &&
           same(&a->items[a->len - 1 - tail], &b->items[b->len - 1 - tail]))
        tail++;
    for (size_t i = 0; i < head; i++)
        vec_push(edits, ((struct edit){' ', a->items[i]}));
    compare(&(struct range){.old = a->len ? a->items + head : NULL,
                            .new = b->len ? b->items + head : NULL,
                            .old_len = (long)(a->len - head - tail),
                            .new_len = (long)(b->len - head - tail)},
            edits);
    for (size_t i = a->len - tail; i < a->len; i++)
        vec_push(edits, ((struct edit){' ', a->items[i]}));
}

/* --- hunks --- */

static bool is_near_change(const struct edits *edits, size_t i)
{
    const size_t first = i > CONTEXT ? i - CONTEXT : 0;

    for (size_t at = first; at <= i + CONTEXT && at < edits->len; at++) {
        if (edits->items[at].op != ' ')
            return true;
    }
    return false;
}

static void add_range(struct buf *out, char sign, size_t before, size_t count)
{
    buf_addf(out, " %c%zu", sign, before + (count > 0));
    if (count != 1)
        buf_addf(out, ",%zu", count);
}

static void add_hunks(struct buf *out, const struct edits *edits)
{
    size_t old_line = 0;
    size_t new_line = 0;

    for (size_t i = 0; i < edits->len;) {
        size_t old_count = 0;
        size_t new_count = 0;
        size_t end = i;

        for (; end < edits->len && is_near_change(edits, end); end++) {
            old_count += edits->items[end].op != '+';
            new_count += edits->items[end].op != '-';
        }
        if (end == i) {
            old_line++;
            new_line++;
            i++;
            continue;
        }
        buf_addstr(out, "@@");
        add_range(out, '-', old_line, old_count);
        add_range(out, '+', new_line, new_count);
        buf_addstr(out, " @@\n");
        for (; i < end; i++)
            buf_addf(out, "%c%.*s\n", edits->items[i].op, (int)edits->items[i].line.len,
                     edits->items[i].line.text);
        old_line += old_count;
        new_line += new_count;
    }
}

bool text_diff_add(struct buf *out, const char *old_name, const char *new_name,
                   const char *old_text, const char *new_text)
{
    struct lines a = {0};
    struct lines b = {0};
    struct edits edits = {0};

    if (strcmp(old_text, new_text) == 0)
        return false;
    split(old_text, &a);
    split(new_text, &b);
    find_edits(&a, &b, &edits);
    buf_addf(out, "--- %s\n+++ %s\n", old_name, new_name);
    add_hunks(out, &edits);
    vec_release(&a);
    vec_release(&b);
    vec_release(&edits);
    return true;
}
