#include "engine/ssh/links.h"

#include "base/alloc.h"
#include "base/logger.h"

int links_init(struct links *links, const struct ssh_target *target, struct err *err)
{
    *links = (struct links){.target = target};
    if (gate_init(&links->connecting, 1, err) < 0)
        return -1;
    pthread_mutex_init(&links->mu, NULL);
    return 0;
}

static void free_link(struct link *link)
{
    ssh_session_free(link->session);
    free(link);
}

void links_release(struct links *links)
{
    while (links->list) {
        struct link *link = links->list;

        links->list = link->next;
        free_link(link);
    }
    pthread_mutex_destroy(&links->mu);
    gate_release(&links->connecting);
}

/* With mu held: one that nobody uses any more and nobody can use goes out of the list. */
static struct link *take_out_if_dead(struct links *links, struct link *link)
{
    struct link **at = &links->list;

    if (!link->broken || link->users)
        return NULL;
    while (*at != link)
        at = &(*at)->next;
    *at = link->next;
    return link;
}

static void leave(struct links *links, struct link *link, bool gives_channel, bool broken)
{
    struct link *dead;

    pthread_mutex_lock(&links->mu);
    link->users--;
    link->full = link->full && !gives_channel;
    link->broken = link->broken || broken;
    dead = take_out_if_dead(links, link);
    pthread_mutex_unlock(&links->mu);
    if (dead)
        free_link(dead);
}

void links_give_back(struct links *links, struct link *link)
{
    leave(links, link, true, ssh_session_check(link->session, NULL) < 0);
}

/* One that may have a channel left; the caller is a user of it then. */
static struct link *find_link(struct links *links)
{
    struct link *link;

    pthread_mutex_lock(&links->mu);
    for (link = links->list; link && (link->full || link->broken);)
        link = link->next;
    if (link)
        link->users++;
    pthread_mutex_unlock(&links->mu);
    return link;
}

static void tell_notes(struct links *links, const struct ssh_session *session)
{
    const struct strvec *notes = ssh_session_notes(session);
    bool noted;

    pthread_mutex_lock(&links->mu);
    noted = links->noted;
    links->noted = true;
    pthread_mutex_unlock(&links->mu);
    for (size_t i = 0; i < notes->len && !noted; i++)
        log_warn("ssh", "%s: %s", ssh_session_peer(session), notes->items[i]);
}

/* The caller is its user. */
static struct link *connect_link(const struct ctx *ctx, struct links *links, struct err *err)
{
    struct ssh_session *session;
    struct link *link;

    if (ssh_session_open(ctx, links->target, &session, err) < 0)
        return NULL;
    tell_notes(links, session);
    link = xcalloc(1, sizeof(*link));
    link->session = session;
    link->users = 1;
    pthread_mutex_lock(&links->mu);
    link->next = links->list;
    links->list = link;
    pthread_mutex_unlock(&links->mu);
    return link;
}

/* *ret_fresh: nothing has been asked of it before. */
static struct link *take_link(const struct ctx *ctx, struct links *links, bool *ret_fresh,
                              struct err *err)
{
    struct link *link = find_link(links);

    *ret_fresh = false;
    if (link)
        return link;
    if (gate_enter(ctx, &links->connecting, err) < 0)
        return NULL;
    link = find_link(links);
    if (!link) {
        link = connect_link(ctx, links, err);
        *ret_fresh = true;
    }
    gate_leave(&links->connecting);
    return link;
}

int links_open(const struct ctx *ctx, struct links *links, struct err *err)
{
    bool fresh;
    struct link *link = take_link(ctx, links, &fresh, err);

    if (!link)
        return -1;
    leave(links, link, false, false);
    return 0;
}

/* One that refuses what would be its only channel is of no use, now or later: another takes its
 * place. Whether it is such a one. */
static bool mark_full(struct links *links, struct link *link)
{
    bool useless;

    pthread_mutex_lock(&links->mu);
    link->full = true;
    useless = link->users == 1;
    pthread_mutex_unlock(&links->mu);
    leave(links, link, false, useless);
    return useless;
}

/* What another connection may do better. */
static bool is_of_connection(const struct err *err)
{
    return err->code == ERR_LIMIT || err->code == ERR_LOST;
}

int links_exec(const struct ctx *ctx, struct links *links, const struct ssh_exec_options *options,
               struct ssh_exec **ret, struct link **ret_link, struct err *err)
{
    for (;;) {
        struct err why = ERR_INIT;
        bool last; /* another connection would do no better */
        struct link *link = take_link(ctx, links, &last, err);

        if (!link)
            return -1;
        *ret_link = link;
        if (ssh_exec_open(ctx, link->session, options, ret, &why) == 0)
            return 0;
        /* Others, who were faster, may have what a new one gives. */
        if (why.code == ERR_LIMIT)
            last = mark_full(links, link) && last;
        else
            leave(links, link, false, ssh_session_check(link->session, NULL) < 0);
        if (last || !is_of_connection(&why)) {
            if (err)
                *err = why;
            return -1;
        }
    }
}
