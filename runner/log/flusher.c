#include "log/flusher.h"

#include <stdlib.h>
#include <time.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "log/pump.h"

struct log_flusher {
    pthread_mutex_t mu; /* guards all below */
    pthread_cond_t changed;
    struct log_pump *first; /* by due time: watching appends, and the delay is the same for all */
    struct log_pump *flushing; /* taken from the list, not yet finished with */
    pthread_t thread;
    bool started;
    bool stop;
};

static void wait_until(struct log_flusher *f, int64_t due_ms)
{
    struct timespec at = {.tv_sec = due_ms / 1000, .tv_nsec = due_ms % 1000 * 1000000};

    pthread_cond_clockwait(&f->changed, &f->mu, CLOCK_MONOTONIC, &at);
}

/* Returns whether that makes it the first in the list. */
static bool append(struct log_flusher *f, struct log_pump *pump)
{
    struct log_pump **end = &f->first;

    if (pump->due_ms)
        return false;
    pump->due_ms = clock_monotonic_ms() + LOG_PARTIAL_MS;
    pump->next = NULL;
    while (*end)
        end = &(*end)->next;
    *end = pump;
    return end == &f->first;
}

static void *flusher_main(void *arg)
{
    struct log_flusher *f = arg;
    bool waiting;

    pthread_mutex_lock(&f->mu);
    while (!f->stop) {
        struct log_pump *pump = f->first;

        if (!pump) {
            pthread_cond_wait(&f->changed, &f->mu);
        } else if (clock_monotonic_ms() < pump->due_ms) {
            wait_until(f, pump->due_ms);
        } else {
            f->first = pump->next;
            pump->due_ms = 0;
            f->flushing = pump;
            pthread_mutex_unlock(&f->mu);
            waiting = log_pump_flush(pump);
            pthread_mutex_lock(&f->mu);
            f->flushing = NULL;
            if (waiting)
                append(f, pump);
            pthread_cond_broadcast(&f->changed);
        }
    }
    pthread_mutex_unlock(&f->mu);
    return NULL;
}

struct log_flusher *log_flusher_new(void)
{
    struct log_flusher *f = xcalloc(1, sizeof(*f));

    pthread_mutex_init(&f->mu, NULL);
    pthread_cond_init(&f->changed, NULL);
    return f;
}

void log_flusher_free(struct log_flusher *f)
{
    if (!f)
        return;
    if (f->started) {
        pthread_mutex_lock(&f->mu);
        f->stop = true;
        pthread_cond_broadcast(&f->changed);
        pthread_mutex_unlock(&f->mu);
        pthread_join(f->thread, NULL);
    }
    pthread_cond_destroy(&f->changed);
    pthread_mutex_destroy(&f->mu);
    free(f);
}

void log_flusher_watch(struct log_flusher *f, struct log_pump *pump)
{
    bool is_first;

    pthread_mutex_lock(&f->mu);
    is_first = append(f, pump);
    if (!f->started)
        f->started = pthread_create(&f->thread, NULL, flusher_main, f) == 0;
    else if (is_first)
        pthread_cond_broadcast(&f->changed);
    pthread_mutex_unlock(&f->mu);
}

void log_flusher_forget(struct log_flusher *f, struct log_pump *pump)
{
    pthread_mutex_lock(&f->mu);
    while (f->flushing == pump)
        pthread_cond_wait(&f->changed, &f->mu);
    for (struct log_pump **at = &f->first; *at; at = &(*at)->next) {
        if (*at == pump) {
            *at = pump->next;
            break;
        }
    }
    pump->due_ms = 0;
    pthread_mutex_unlock(&f->mu);
}
