#include "server/clients.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/logger.h"

void clients_init(struct clients *clients, int64_t grace_ms, const struct history *history,
                  const char *server)
{
    *clients = (struct clients){.grace_ms = grace_ms, .history = history, .server = server};
    pthread_mutex_init(&clients->mu, NULL);
}

/* Needs the lock. */
static void drop(struct clients *clients, struct clients_run *run)
{
    if (run->mark >= 0)
        history_follower_end(clients->history, run->id, clients->server, run->mark);
    free(run->id);
    *run = clients->runs.items[--clients->runs.len];
}

void clients_release(struct clients *clients)
{
    while (clients->runs.len)
        drop(clients, &clients->runs.items[0]);
    vec_release(&clients->runs);
    pthread_mutex_destroy(&clients->mu);
}

/* Needs the lock. */
static struct clients_run *find(struct clients *clients, const char *id)
{
    vec_foreach (struct clients_run *, run, &clients->runs) {
        if (strcmp(run->id, id) == 0)
            return run;
    }
    return NULL;
}

/* Needs the lock. */
static struct clients_run *get(struct clients *clients, const char *id)
{
    struct clients_run *run = find(clients, id);

    if (run)
        return run;
    vec_push(&clients->runs, ((struct clients_run){.id = xstrdup(id), .mark = -1}));
    return &clients->runs.items[clients->runs.len - 1];
}

void clients_add(struct clients *clients, const char *id)
{
    struct clients_run *run;

    pthread_mutex_lock(&clients->mu);
    run = get(clients, id);
    run->holders++;
    run->depends = true;
    pthread_mutex_unlock(&clients->mu);
}

void clients_hold(struct clients *clients, const char *id)
{
    struct clients_run *run;
    struct err err = ERR_INIT;

    pthread_mutex_lock(&clients->mu);
    run = get(clients, id);
    if (run->holders++ == 0 && !run->depends && run->mark < 0) {
        run->mark = history_follower_begin(clients->history, id, clients->server, &err);
        if (run->mark < 0)
            log_warn("server",
                     "other servers are not told that run %s is followed here, and may cancel it "
                     "when its client leaves them: %s",
                     id, err.message);
    }
    pthread_mutex_unlock(&clients->mu);
}

void clients_let_go(struct clients *clients, const char *id, int64_t now_ms)
{
    struct clients_run *run;

    pthread_mutex_lock(&clients->mu);
    run = find(clients, id);
    if (run && run->holders && --run->holders == 0) {
        if (run->depends)
            run->due_ms = now_ms + clients->grace_ms;
        else
            drop(clients, run);
    }
    pthread_mutex_unlock(&clients->mu);
}

void clients_forget(struct clients *clients, const char *id)
{
    struct clients_run *run;

    pthread_mutex_lock(&clients->mu);
    run = find(clients, id);
    if (run)
        drop(clients, run);
    pthread_mutex_unlock(&clients->mu);
}

void clients_put_back(struct clients *clients, const char *id, int64_t due_ms)
{
    struct clients_run *run;

    pthread_mutex_lock(&clients->mu);
    run = get(clients, id);
    run->depends = true;
    run->due_ms = due_ms;
    pthread_mutex_unlock(&clients->mu);
}

void clients_due(struct clients *clients, int64_t now_ms, struct strvec *out)
{
    pthread_mutex_lock(&clients->mu);
    for (size_t i = clients->runs.len; i-- > 0;) {
        struct clients_run *run = &clients->runs.items[i];

        if (run->holders || run->due_ms > now_ms)
            continue;
        strvec_push(out, run->id);
        drop(clients, run);
    }
    pthread_mutex_unlock(&clients->mu);
}
