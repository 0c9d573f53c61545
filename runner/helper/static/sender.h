/* What a relay says over its connection: a welcome, then frames, which are in ../relay.h. Output
 * that has become a lot until it can be sent is sent compressed. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "lz4.h"
#include "spool.h"

struct sender {
    struct spool *spool;
    struct lz4_places *places;
    char *frame; /* that is being sent; of HELPER_RELAY_OUTPUT without the data */
    size_t at, len;
    size_t output_left; /* the data of such a one, from `sent` on */
    size_t packed;      /* for how much output a HELPER_RELAY_PACKED stands */
    size_t packed_max;  /* at most, the next one */
    unsigned long sent; /* output */
    unsigned long told; /* how much input is taken */
    bool asked;         /* to be told in any case */
    size_t pause;       /* so many frames are not tried to be compressed */
    size_t next_pause;
};

/* The spool is borrowed. */
void sender_init(struct sender *sender, struct spool *spool);
/* There is another connection. `taken`, here and below: how much input is. */
void sender_begin(struct sender *sender, unsigned long taken);
/* Whether there is anything to send. */
bool sender_wants(const struct sender *sender, unsigned long taken);
/* Sends some of it; `fd` does not block. False: nothing can be sent there any more. */
bool sender_write(struct sender *sender, int fd, unsigned long taken);
