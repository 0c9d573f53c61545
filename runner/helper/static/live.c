#include "live.h"

#include <asm/stat.h>
#include <linux/fcntl.h>
#include <linux/stat.h>

#include "../request.h"
#include "rt.h"
#include "sys.h"

/* What a file was when it was sent. */
struct version {
    unsigned long inode;
    unsigned long size;
    unsigned long modified_s;
    unsigned long modified_ns;
};

struct live_file {
    const char *paths[MESSAGE_PLACES];
    const char *path; /* the one of them that it has; NULL: it was not seen yet */
    size_t max_bytes;
    char number;
    struct version sent[2]; /* on standard output, and on standard error */
};

void live_init(struct live *live, const struct message *message)
{
    struct returned returned;
    const char *at;
    char number = 0;

    *live = (struct live){.mark = message_mark(message)};
    for (at = NULL; live->mark && (at = message_next_return(message, at, &returned));)
        live->count += returned.live;
    if (!live->count)
        return;
    live->files = allocate(live->count * sizeof(*live->files));
    live->count = 0;
    for (at = NULL; (at = message_next_return(message, at, &returned)); number++) {
        struct live_file *file = &live->files[live->count];

        if (!returned.live)
            continue;
        *file = (struct live_file){.max_bytes = returned.max_bytes, .number = number};
        message_file_paths(message, returned.name, file->paths);
        live->count++;
    }
}

static bool status_of(const char *path, struct stat *ret)
{
    return SYS4(newfstatat, AT_FDCWD, path, ret, AT_SYMLINK_NOFOLLOW) == 0;
}

static bool find(struct live_file *file, struct stat *ret)
{
    for (size_t i = 0; !file->path && i < MESSAGE_PLACES; i++) {
        if (status_of(file->paths[i], ret))
            file->path = file->paths[i];
    }
    return file->path && status_of(file->path, ret) && S_ISREG(ret->st_mode);
}

static bool has_changed(struct live_file *file, struct version *sent)
{
    struct version now;
    struct stat status;

    if (!find(file, &status))
        return false;
    now = (struct version){status.st_ino, (unsigned long)status.st_size,
                           (unsigned long)status.st_mtime, (unsigned long)status.st_mtime_nsec};
    if (!now.size && !sent->size)
        return false;
    if (now.inode == sent->inode && now.size == sent->size && now.modified_s == sent->modified_s &&
        now.modified_ns == sent->modified_ns)
        return false;
    *sent = now;
    return true;
}

void live_send(struct live *live, int to)
{
    for (size_t i = 0; i < live->count; i++) {
        struct live_file *file = &live->files[i];
        char head[2] = {HELPER_CHANGED, file->number};

        if (!has_changed(file, &file->sent[to - 1]))
            continue;
        write_all(to, live->mark, strlen(live->mark));
        write_all(to, head, sizeof(head));
        send_file(to, file->path, file->max_bytes);
    }
}
