/* The way of a program's output through the helper, where it has to go through it: out of a
 * terminal, or because what live files hold has to go in front of it. Otherwise the program has
 * the helper's own descriptors, and nothing is done here. */
#pragma once

#include <asm/poll.h>
#include <stdbool.h>

#include "live.h"
#include "program.h"
#include "tty.h"

/* One of the program's two outputs. */
struct channel {
    int from; /* does not block; -1: there is none, or no more */
    int to;   /* standard output or standard error, does not block either */
    char *data;
    size_t at, len; /* of data: what has been read and not passed on */
    bool splices;   /* what comes may go from pipe to pipe */
    size_t seen;    /* so much of what is there is to go so */
};

struct output {
    struct tty tty;
    struct live live;
    struct channel channels[2];
    int program_side[2]; /* pipes that the program writes into; -1: none */
};

#define OUTPUT_FDS 2

void output_open(struct output *output, const struct message *message);
/* In the program's process, a session leader: makes this its output. */
void output_become(const struct output *output);
/* In the helper, when the program has been started: only that writes into it then. */
void output_started(struct output *output);
/* What to poll for. */
void output_wait_for(const struct output *output, struct pollfd fds[OUTPUT_FDS]);
/* Passes on some of it, after poll(). Does not block on output, only on what goes in front. */
void output_pass(struct output *output, const struct pollfd fds[OUTPUT_FDS]);
/* Passes on all that is left and closes it. `all_ended`: nobody writes any more. */
void output_finish(struct output *output, bool all_ended);
