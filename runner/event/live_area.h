/* The rows of the live area; see live.h for the whole. */
#pragma once

#include "base/vec.h"
#include "event/live.h"

/* A line below a step. */
struct live_line {
    struct buf text; /* as it came */
    enum event_stream stream;
    int64_t time_ms;
    bool open;      /* its newline has not come */
    bool continued; /* it goes on with one that is above already */
    bool elsewhere; /* it is not for above */
};

struct live_step {
    const struct node *node;
    struct live_line lines[LIVE_TAIL_LINES];
    uint32_t count;
    struct ansi_style styles[2]; /* by stream: at the beginning of the first line here */
    char *progress;              /* owned; NULL: none */
    int64_t done, total;         /* of that */
};

struct live {
    struct live_options options;
    const struct node *root; /* NULL before the first event */
    VEC(struct live_step *)
    steps; /* by the number of the node, NULL for those that have said nothing */
    struct buf above;
    VEC(int)
    widths; /* columns of the rows on the screen */
    bool news;
};

/* NULL if it has said nothing. */
struct live_step *live_step_of(const struct live *live, const struct node *node);
/* Moves lines above until no more than `keep` are left. */
void live_keep_lines(struct live *live, struct live_step *step, uint32_t keep);
/* Appends an SGR sequence if there are colours. */
void live_style(const struct live *live, struct buf *out, const char *params);
/* Appends the rows, and notes their widths. Lines that find no room go above. */
void live_area_draw(struct live *live, struct live_size size, int64_t now_ms, struct buf *out);
