/* A connection to the relay: the standard input and output of a `helper attach`, which hands them
 * over and stays until the relay closes the connection. So what is said goes through no third
 * process. */
#pragma once

#include <stdbool.h>

struct line {
    int life; /* to the `attach`; -1: there is no connection */
    int in;   /* -1: not here yet */
    int out;
};

#define LINE_NONE ((struct line){.life = -1, .in = -1, .out = -1})

/* For `attach`: hands over standard input and output. What system calls return. */
long line_hand_over(int life);
/* For the relay: takes what comes over `life`. False: it is not what an `attach` sends. */
bool line_take(struct line *line);
void line_close(struct line *line);
