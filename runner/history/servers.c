/* Which servers live: each keeps its mark locked, which any process of the machine can see, in
 * whatever container it is, and also after a restart of the machine. */
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "history/history.h"
#include "history/mark.h"

int history_server_begin(const struct history *history, const char *name, struct err *err)
{
    CLEANUP_FD int mark = mark_add(history->dir, MARKS_SERVERS, name, err);

    /* What it takes in a database elsewhere outlives a loss of power: so must its mark. */
    if (mark < 0 || mark_sync(history->dir, MARKS_SERVERS, mark, err) < 0)
        return -1;
    return steal_fd(&mark);
}

void history_server_end(const struct history *history, const char *name, int fd)
{
    mark_remove(history->dir, MARKS_SERVERS, name);
    close(fd);
}

enum history_server history_server_find(const struct history *history, const char *name)
{
    CLEANUP_FD int mark = mark_take(history->dir, MARKS_SERVERS, name);

    if (mark >= 0)
        return HISTORY_SERVER_GONE;
    return mark_exists(history->dir, MARKS_SERVERS, name) ? HISTORY_SERVER_LIVES
                                                          : HISTORY_SERVER_ELSEWHERE;
}

void history_servers_gone(const struct history *history, struct strvec *ret)
{
    CLEANUP_STRVEC struct strvec names = {0};

    if (marks_list(history->dir, MARKS_SERVERS, &names, NULL) < 0)
        return;
    for (size_t i = 0; i < names.len; i++) {
        if (history_server_find(history, names.items[i]) == HISTORY_SERVER_GONE)
            strvec_push(ret, names.items[i]);
    }
}

void history_server_forget(const struct history *history, const char *name)
{
    CLEANUP_FD int mark = mark_take(history->dir, MARKS_SERVERS, name);

    if (mark >= 0)
        mark_remove(history->dir, MARKS_SERVERS, name);
}

/* --- those at which runs are followed --- */

static char *follower_name(const char *id, const char *server)
{
    return xasprintf("%s.%s", id, server);
}

int history_follower_begin(const struct history *history, const char *id, const char *server,
                           struct err *err)
{
    CLEANUP_FREE char *name = follower_name(id, server);

    return mark_add(history->dir, MARKS_FOLLOWED, name, err);
}

void history_follower_end(const struct history *history, const char *id, const char *server, int fd)
{
    CLEANUP_FREE char *name = follower_name(id, server);

    mark_remove(history->dir, MARKS_FOLLOWED, name);
    close(fd);
}

/* Of a server that is gone it goes. */
static bool is_held(const struct history *history, const char *name)
{
    CLEANUP_FD int mark = mark_take(history->dir, MARKS_FOLLOWED, name);

    if (mark < 0)
        return mark_exists(history->dir, MARKS_FOLLOWED, name);
    mark_remove(history->dir, MARKS_FOLLOWED, name);
    return false;
}

void history_followers_clean(const struct history *history)
{
    CLEANUP_STRVEC struct strvec names = {0};

    if (marks_list(history->dir, MARKS_FOLLOWED, &names, NULL) < 0)
        return;
    for (size_t i = 0; i < names.len; i++)
        (void)is_held(history, names.items[i]);
}

bool history_is_followed(const struct history *history, const char *id, const char *server)
{
    CLEANUP_FREE char *own = follower_name(id, server);
    CLEANUP_STRVEC struct strvec names = {0};
    size_t len = strlen(id);

    if (marks_list(history->dir, MARKS_FOLLOWED, &names, NULL) < 0)
        return false;
    for (size_t i = 0; i < names.len; i++) {
        const char *name = names.items[i];

        if (strncmp(name, id, len) == 0 && name[len] == '.' && strcmp(name, own) != 0 &&
            is_held(history, name))
            return true;
    }
    return false;
}
