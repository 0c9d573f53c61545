#include "base/workers.h"

#include <signal.h>

#include "base/alloc.h"

#define STACK_SIZE ((size_t)512 << 10)

struct worker_task {
    void (*run)(void *arg);
    void *arg;
    struct worker_task *next;
};

void workers_init(struct workers *workers, size_t thread_max)
{
    *workers = (struct workers){.thread_max = thread_max};
    workers->last = &workers->first;
    pthread_mutex_init(&workers->mu, NULL);
    pthread_cond_init(&workers->changed, NULL);
}

static void *work(void *arg)
{
    struct workers *workers = arg;

    pthread_mutex_lock(&workers->mu);
    for (;;) {
        struct worker_task *task = workers->first;

        if (task) {
            workers->first = task->next;
            if (!workers->first)
                workers->last = &workers->first;
            pthread_mutex_unlock(&workers->mu);
            task->run(task->arg);
            free(task);
            pthread_mutex_lock(&workers->mu);
        } else if (workers->stopping) {
            break;
        } else {
            workers->idle_count++;
            pthread_cond_wait(&workers->changed, &workers->mu);
            workers->idle_count--;
        }
    }
    pthread_mutex_unlock(&workers->mu);
    return NULL;
}

/* Signals are handled in one place of the program, which is not here. */
static bool start_thread(struct workers *workers)
{
    pthread_attr_t attributes;
    sigset_t all, before;
    int error;

    sigfillset(&all);
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, STACK_SIZE);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    error = pthread_create(&workers->threads[workers->thread_count], &attributes, work, workers);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attributes);
    if (!error)
        workers->thread_count++;
    return !error;
}

void workers_submit(struct workers *workers, void (*run)(void *arg), void *arg)
{
    struct worker_task *task = xcalloc(1, sizeof(*task));
    bool served;

    task->run = run;
    task->arg = arg;
    pthread_mutex_lock(&workers->mu);
    if (!workers->idle_count && workers->thread_count < workers->thread_max)
        start_thread(workers);
    served = workers->thread_count > 0;
    if (served) {
        *workers->last = task;
        workers->last = &task->next;
        pthread_cond_signal(&workers->changed);
    }
    pthread_mutex_unlock(&workers->mu);
    if (!served) {
        free(task);
        run(arg);
    }
}

void workers_release(struct workers *workers)
{
    pthread_mutex_lock(&workers->mu);
    workers->stopping = true;
    pthread_cond_broadcast(&workers->changed);
    pthread_mutex_unlock(&workers->mu);
    for (size_t i = 0; i < workers->thread_count; i++)
        pthread_join(workers->threads[i], NULL);
    pthread_cond_destroy(&workers->changed);
    pthread_mutex_destroy(&workers->mu);
}
