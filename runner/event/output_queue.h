/* A bounded queue of bytes for descriptors that may block, written by a thread of its own.
 *
 * Sinks add to it without ever waiting; output_queue_room_fd() tells those who can wait whether
 * they should. Order is kept across descriptors. The bound is a mark, not a wall: what is added
 * beyond it is kept all the same. */
#pragma once

#include <stddef.h>

#include "base/ctx.h"

struct output_queue;

enum { OUTPUT_QUEUE_MARK = 1 << 20 };

int output_queue_new(struct output_queue **ret, struct err *err)
    __attribute__((warn_unused_result));

/* Takes what comes out of a queue in place of descriptors: `fd` below is whatever number it gives a
 * meaning to. Called by the queue's thread; `data` may be changed in place. */
struct output_writer {
    int (*write)(struct output_writer *writer, int fd, char *data, size_t size, struct err *err);
    /* All that had come has been given to write(), and nothing more is there: may write what that
     * has put together. NULL: nothing to do. */
    int (*flush)(struct output_writer *writer, struct err *err);
    /* What comes waits until it is that many bytes, or the first of them that old, and is given all
     * at once. 0: is given as soon as possible. */
    size_t enough;
    int64_t delay_ms;
};

/* The writer stays the caller's; a write that failed is told by output_queue_finish(). */
int output_queue_new_for(struct output_writer *writer, struct output_queue **ret, struct err *err)
    __attribute__((warn_unused_result));
/* `data` is copied. After a failed write to fd, what is added for that fd is dropped. */
void output_queue_add(struct output_queue *queue, int fd, const void *data, size_t size);
/* A buf to append to in place, ended by output_queue_commit(); the queue is locked in between. */
struct buf *output_queue_begin(struct output_queue *queue);
void output_queue_commit(struct output_queue *queue, int fd);
/* -1 while there is room, else a descriptor that becomes readable when there is again. */
int output_queue_room_fd(struct output_queue *queue);
/* Returns 0 when all has been written that can be, -1 when ctx ended before; nothing may be added
 * any more. */
int output_queue_drain(struct output_queue *queue, const struct ctx *ctx)
    __attribute__((warn_unused_result));
/* How many bytes have been added and not been written; of what the writer is stuck in, some may
 * have been. */
size_t output_queue_unwritten(struct output_queue *queue);
/* Leaves the writer to itself, and its memory with it, because it may be stuck for good in a write
 * that nobody reads. For the end of the process. */
void output_queue_abandon(struct output_queue *queue);
/* Writes all that is left and frees. -1: some write failed, err says which and how. NULL is fine.
 */
int output_queue_finish(struct output_queue *queue, struct err *err);
