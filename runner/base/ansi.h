/* What programs write for a terminal (ECMA-48): text, colours, and control sequences.
 *
 * Displays of foreign output keep text and styles and drop everything else, which would move the
 * cursor, set titles or talk to the terminal.
 *
 *     while (size > 0) {
 *         size_t used = ansi_next(data, size, &token);
 *         ...
 *         data += used; size -= used;
 *     }
 *
 * Takes whole lines: a sequence that the end of the data cuts is dropped. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

enum ansi_kind {
    ANSI_TEXT,    /* valid UTF-8 without control characters */
    ANSI_INVALID, /* a byte that is not UTF-8 */
    ANSI_STYLE,   /* data: the parameters of an SGR sequence, "1;31" */
    ANSI_TAB,
    ANSI_RETURN, /* what follows overwrites the line */
    ANSI_OTHER,  /* to be dropped */
};

struct ansi_token {
    enum ansi_kind kind;
    const char *data; /* ANSI_TEXT and ANSI_STYLE: into the text */
    size_t size;
};

/* The token at the start of data, which has at least one byte; returns its length there. */
size_t ansi_next(const char *data, size_t size, struct ansi_token *ret);

enum ansi_flag {
    ANSI_BOLD = 1,
    ANSI_DIM = 2,
    ANSI_ITALIC = 4,
    ANSI_UNDERLINE = 8,
    ANSI_INVERSE = 16,
    ANSI_STRIKE = 32,
};

enum ansi_color_kind { ANSI_DEFAULT, ANSI_INDEX /* of 256: in r */, ANSI_RGB };

struct ansi_color {
    uint8_t kind; /* enum ansi_color_kind */
    uint8_t r, g, b;
};

/* All zero: the terminal's own. */
struct ansi_style {
    struct ansi_color fg, bg;
    uint8_t flags; /* enum ansi_flag */
};

/* Changes the style as the parameters of an SGR sequence say; unknown ones are ignored. */
void ansi_style_apply(struct ansi_style *style, const char *params, size_t size);
bool ansi_style_is_plain(const struct ansi_style *style);
bool ansi_style_equal(const struct ansi_style *a, const struct ansi_style *b);
/* Appends the sequence that makes a terminal use exactly this style. */
void ansi_style_write(const struct ansi_style *style, struct buf *out);
