/* Threads that do work in the background, as many as there is work for, up to a limit.
 *
 * Work is done in the order of its submission and is never dropped; whoever submits it makes sure
 * that it ends soon when it is no longer wanted. Thread-safe. */
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

struct worker_task;

struct workers {
    pthread_mutex_t mu;
    pthread_cond_t changed;
    struct worker_task *first; /* this and the rest: guarded by mu */
    struct worker_task **last;
    pthread_t threads[8];
    size_t thread_count;
    size_t thread_max;
    size_t idle_count;
    bool stopping;
};

/* At most 8 threads; none is started yet. */
void workers_init(struct workers *workers, size_t thread_max);
/* Does it at once, in the calling thread, when no thread can be had. */
void workers_submit(struct workers *workers, void (*run)(void *arg), void *arg);
/* Waits until all work is done, and ends the threads. */
void workers_release(struct workers *workers);
