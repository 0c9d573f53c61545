#include "own/group.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/logger.h"
#include "base/state_dir.h"
#include "own/journal.h"

#define LOCK_NAME "lock"
#define NEW_NAME  "new"

enum {
    TICKET_MAX_BYTES = 64 * 1024,
    TURN_MS = 10,      /* between two tries to take the next number */
    LOOK_MS = 1000,    /* between two looks when nothing is heard */
    LOOK_SOON_MS = 20, /* a ticket's end is heard a moment before its lock has gone */
    LOOKS_SOON = 5,
};

struct own_group {
    const struct own_group_request *request; /* while it waits */
    int dir_fd;
    int ticket_fd;
    int watch_fd;
    char prefix[20]; /* of the tickets of this group: "HASH." */
    uint64_t number;
    char *ticket;            /* its name; NULL until it exists */
    char *told;              /* what waiting() was told last */
    struct strvec signalled; /* tickets whose processes have been asked to end */
};

/* Another's ticket. */
struct ticket {
    uint64_t number;
    char name[NAME_MAX + 1];
    json_t *content; /* NULL: it cannot be read */
};

/* FNV-1a: names may hold anything and be of any length. */
static void make_prefix(const char *name, char out[20])
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);

    for (; *name; name++)
        hash = (hash ^ (unsigned char)*name) * UINT64_C(0x100000001b3);
    snprintf(out, 20, "%016" PRIx64 ".", hash);
}

static int open_dir(struct own_group *group, struct err *err)
{
    const char *runtime = getenv("XDG_RUNTIME_DIR");
    CLEANUP_STRVEC struct strvec dirs = {0};

    journal_state_dirs(NULL, &dirs);
    for (size_t i = 0; i < dirs.len; i++) {
        CLEANUP_FREE char *path = xasprintf("%s/groups", dirs.items[i]);
        CLEANUP_FD int parent = -1;

        /* Not all sessions have it; the last of the list is always something else. */
        if (runtime && strncmp(path, runtime, strlen(runtime)) == 0 && i + 1 < dirs.len)
            continue;
        parent = state_dir_open(dirs.items[i], err);
        if (parent < 0)
            continue;
        group->dir_fd = state_dir_open(path, err);
        if (group->dir_fd < 0)
            continue;
        group->watch_fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
        if (group->watch_fd < 0 ||
            inotify_add_watch(group->watch_fd, path, IN_CLOSE_WRITE | IN_DELETE) < 0)
            return err_errno(err, "cannot watch %s", path);
        return 0;
    }
    return -1;
}

/* Whether nobody holds the lock of the file: its owner has left or died. Removes it then, but for
 * one who looks at it at the same time, and holds the lock for that: as soon as it has gone, its
 * name may be given to another. */
static bool is_over(const struct own_group *group, const char *name)
{
    CLEANUP_FD int fd = openat(group->dir_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    struct stat status;

    if (fd < 0)
        return errno == ENOENT;
    if (flock(fd, LOCK_EX | LOCK_NB) < 0)
        return false;
    if (fstat(fd, &status) == 0 && status.st_nlink > 0)
        unlinkat(group->dir_fd, name, 0);
    return true;
}

static json_t *read_ticket(const struct own_group *group, const char *name)
{
    CLEANUP_FD int fd = openat(group->dir_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    CLEANUP_BUF struct buf text = BUF_INIT;

    if (fd < 0 || fs_read_fd(fd, name, TICKET_MAX_BYTES, &text, NULL) < 0)
        return NULL;
    return json_loadb(text.data, text.len, 0, NULL);
}

/* The number of a ticket of the group; 0: it is none. */
static uint64_t number_of(const struct own_group *group, const char *name)
{
    size_t len = strlen(group->prefix);

    return strncmp(name, group->prefix, len) == 0 ? strtoull(name + len, NULL, 10) : 0;
}

/* Calls `visit` for each ticket of the group that somebody holds. */
static int each_ticket(const struct own_group *group,
                       void (*visit)(void *arg, uint64_t number, const char *name), void *arg,
                       struct err *err)
{
    int fd = openat(group->dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    const struct dirent *entry;

    if (!dir) {
        err_errno(err, "cannot read the directory of groups");
        if (fd >= 0)
            close(fd);
        return -1;
    }
    while ((entry = readdir(dir))) {
        uint64_t number = number_of(group, entry->d_name);

        if (number && number != group->number && !is_over(group, entry->d_name))
            visit(arg, number, entry->d_name);
    }
    closedir(dir);
    return 0;
}

/* --- taking a ticket --- */

static void note_highest(void *arg, uint64_t number, const char *name)
{
    uint64_t *highest = arg;

    (void)name;
    if (number > *highest)
        *highest = number;
}

static int write_ticket(struct own_group *group, struct err *err)
{
    const struct own_group_request *request = group->request;
    struct own_owner owner;
    char text[128];
    json_t *content;
    CLEANUP_FREE char *dumped = NULL;

    own_owner_self(&owner);
    own_owner_format(&owner, text, sizeof(text));
    content = json_pack("{s:s, s:s, s:s, s:s, s:b}", "group", request->name, "owner", text, "run",
                        request->run_id, "what", request->what, "whole", request->whole);
    dumped = content ? json_dumps(content, JSON_COMPACT) : NULL;
    json_decref(content);
    if (!dumped)
        return err_set(err, ERR_INVALID, "the name of the group is not UTF-8");
    return fs_write_all(group->ticket_fd, dumped, strlen(dumped), err);
}

/* With the lock of the directory, so that nobody sees the ticket before it is locked. */
static int make_ticket(struct own_group *group, struct err *err)
{
    uint64_t highest = 0;

    if (each_ticket(group, note_highest, &highest, err) < 0)
        return -1;
    group->number = highest + 1;
    group->ticket = xasprintf("%s%020" PRIu64, group->prefix, group->number);
    /* It gets its name when it is locked and whole: one without a lock is taken for over. Whoever
     * makes one holds the lock of the groups, so that one name will do. */
    unlinkat(group->dir_fd, NEW_NAME, 0);
    group->ticket_fd = openat(group->dir_fd, NEW_NAME, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (group->ticket_fd < 0 || flock(group->ticket_fd, LOCK_EX | LOCK_NB) < 0)
        return err_errno(err, "cannot make a ticket");
    if (write_ticket(group, err) < 0)
        return -1;
    if (renameat(group->dir_fd, NEW_NAME, group->dir_fd, group->ticket) < 0)
        return err_errno(err, "cannot make a ticket");
    return 0;
}

static int take_ticket(const struct ctx *ctx, struct own_group *group, struct err *err)
{
    CLEANUP_FD int lock = openat(group->dir_fd, LOCK_NAME, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

    if (lock < 0)
        return err_errno(err, "cannot open the lock of the groups");
    while (flock(lock, LOCK_EX | LOCK_NB) < 0) {
        if (errno != EWOULDBLOCK && errno != EINTR)
            return err_errno(err, "cannot lock the groups");
        if (ctx_sleep(ctx, TURN_MS, err) < 0)
            return -1;
    }
    return make_ticket(group, err);
}

/* --- waiting --- */

struct queue {
    const struct own_group *group;
    VEC(struct ticket)
    before;
};

static void add_if_before(void *arg, uint64_t number, const char *name)
{
    struct queue *queue = arg;
    struct ticket ticket = {.number = number};

    if (number > queue->group->number)
        return;
    snprintf(ticket.name, sizeof(ticket.name), "%s", name);
    ticket.content = read_ticket(queue->group, name);
    vec_push(&queue->before, ticket);
}

static void queue_release(struct queue *queue)
{
    vec_foreach (struct ticket *, ticket, &queue->before)
        json_decref(ticket->content);
    vec_release(&queue->before);
}

static const char *text_of(const struct ticket *ticket, const char *key)
{
    const char *text = json_string_value(json_object_get(ticket->content, key));

    return text ? text : "?";
}

static bool contains(const struct strvec *list, const char *text)
{
    for (size_t i = 0; i < list->len; i++) {
        if (strcmp(list->items[i], text) == 0)
            return true;
    }
    return false;
}

/* The descriptor is of whatever process has the number; then its start time tells whether that is
 * the ticket's, and if so, the descriptor can mean no other any more. */
static void ask_to_end(struct own_group *group, const struct ticket *ticket)
{
    CLEANUP_FD int fd = -1;
    struct own_owner owner;

    if (contains(&group->signalled, ticket->name) ||
        own_owner_parse(text_of(ticket, "owner"), &owner, NULL) < 0 || owner.pid == getpid())
        return;
    strvec_push(&group->signalled, ticket->name);
    fd = pidfd_open(owner.pid, 0);
    if (fd < 0 || own_owner_liveness(&owner) != OWN_ALIVE ||
        pidfd_send_signal(fd, SIGTERM, NULL, 0) < 0)
        log_warn("own", "%s, run %s, cannot be cancelled from here", text_of(ticket, "what"),
                 text_of(ticket, "run"));
}

static const struct ticket *first_of(const struct queue *queue)
{
    const struct ticket *first = queue->before.items;

    vec_foreach (const struct ticket *, ticket, &queue->before) {
        if (ticket->number < first->number)
            first = ticket;
    }
    return first;
}

static void tell(struct own_group *group, const struct queue *queue)
{
    const struct own_group_request *request = group->request;
    const struct ticket *first = first_of(queue);
    CLEANUP_BUF struct buf text = BUF_INIT;
    struct own_owner owner = {0};

    if (own_owner_parse(text_of(first, "owner"), &owner, NULL) < 0)
        owner.pid = 0;
    buf_addf(&text, "%s for the %s \"%s\", which %s holds (run %s, process %d)",
             request->cancel ? "cancels and waits" : "waits",
             request->title ? request->title : "group", request->name, text_of(first, "what"),
             text_of(first, "run"), (int)owner.pid);
    if (queue->before.len > 1)
        buf_addf(&text, "; %zu more before it", queue->before.len - 1);
    if (!group->told || strcmp(group->told, text.data) != 0) {
        request->waiting(request->arg, text.data);
        free(group->told);
        group->told = buf_steal(&text);
    }
}

/* One look at who is before it: 1 when nobody is. */
static int look(struct own_group *group, struct err *err)
{
    const struct own_group_request *request = group->request;
    struct queue queue = {.group = group};
    int result = 0;

    if (each_ticket(group, add_if_before, &queue, err) < 0)
        result = -1;
    else if (!queue.before.len)
        result = 1;
    vec_foreach (struct ticket *, ticket, &queue.before) {
        if (json_is_true(json_object_get(ticket->content, "whole")) &&
            strcmp(text_of(ticket, "run"), request->run_id) == 0)
            result =
                err_set(err, ERR_CONFLICT,
                        "it would wait for ever: the group \"%s\" is that of the whole pipeline",
                        request->name);
        else if (request->cancel)
            ask_to_end(group, ticket);
    }
    if (result == 0)
        tell(group, &queue);
    queue_release(&queue);
    return result;
}

/* Until a ticket may have ended. *soon counts the looks that are to follow quickly. */
static int listen_for_end(const struct ctx *ctx, struct own_group *group, int *soon,
                          struct err *err)
{
    char events[4096] __attribute__((aligned(8)));
    struct pollfd ready = {.fd = group->watch_fd, .events = POLLIN};
    int got = ctx_poll(ctx, &ready, 1, *soon > 0 ? LOOK_SOON_MS : LOOK_MS, err);

    if (got < 0)
        return -1;
    if (*soon > 0)
        (*soon)--;
    if (got > 0)
        *soon = LOOKS_SOON;
    while (got > 0 && read(group->watch_fd, events, sizeof(events)) > 0)
        ;
    return 0;
}

static int await_turn(const struct ctx *ctx, struct own_group *group, struct err *err)
{
    int soon = 0;

    for (;;) {
        int result = look(group, err);

        if (result != 0)
            return result < 0 ? -1 : 0;
        if (listen_for_end(ctx, group, &soon, err) < 0)
            return -1;
    }
}

int own_group_enter(const struct ctx *ctx, const struct own_group_request *request,
                    struct own_group **ret, struct err *err)
{
    struct own_group *group = xcalloc(1, sizeof(*group));

    *group = (struct own_group){.request = request, .dir_fd = -1, .ticket_fd = -1, .watch_fd = -1};
    make_prefix(request->name, group->prefix);
    if (open_dir(group, err) < 0 || take_ticket(ctx, group, err) < 0 ||
        await_turn(ctx, group, err) < 0) {
        own_group_leave(group);
        return -1;
    }
    close(steal_fd(&group->watch_fd));
    group->request = NULL;
    *ret = group;
    return 0;
}

void own_group_leave(struct own_group *group)
{
    if (!group)
        return;
    if (group->ticket)
        unlinkat(group->dir_fd, group->ticket, 0);
    if (group->ticket_fd >= 0)
        close(group->ticket_fd);
    if (group->watch_fd >= 0)
        close(group->watch_fd);
    if (group->dir_fd >= 0)
        close(group->dir_fd);
    strvec_release(&group->signalled);
    free(group->ticket);
    free(group->told);
    free(group);
}
