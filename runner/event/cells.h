/* Text in the columns of a terminal.
 *
 * Foreign output is made harmless: styles are kept, all else that steers a terminal is dropped, and
 * what a carriage return overwrites is not there. */
#pragma once

#include <limits.h>
#include <stdbool.h>

#include "base/ansi.h"

enum { CELLS_ALL = INT_MAX };

/* Makes the widths of this thread those of Unicode, which the C library knows by its locale
 * C.UTF-8. Where there is none, every character counts as one column. */
void cells_begin_thread(void);

/* How text is to be shown. */
struct cells_look {
    bool color; /* else styles are dropped */
    bool utf8;  /* the terminal shows it; else "~" stands for the end of what is cut */
};

/* Appends at most `columns` columns of a line; what is cut is marked. *style is that at its
 * beginning, and becomes that at its end; the terminal's is plain before and behind. Returns the
 * columns that were used, 0 with CELLS_ALL. */
int cells_add(struct buf *out, const char *data, size_t size, int columns, struct cells_look look,
              struct ansi_style *style);
