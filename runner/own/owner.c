#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fs.h"
#include "base/parse.h"
#include "own/own.h"

static unsigned long long own_namespace(void)
{
    struct stat st;

    return stat("/proc/self/ns/pid", &st) == 0 ? st.st_ino : 0;
}

/* 0 if there is no such process, or only a zombie: that is as dead, but has not been waited for. */
static unsigned long long start_time(pid_t pid)
{
    char path[64];
    char text[1024];
    const char *at;
    ssize_t got;

    snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
    CLEANUP_FD int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return 0;
    got = read(fd, text, sizeof(text) - 1);
    if (got <= 0)
        return 0;
    text[got] = '\0';
    /* The name in parentheses may hold anything, so count from the last one: field 3 follows. */
    at = strrchr(text, ')');
    if (at && (strncmp(at, ") Z", 3) == 0 || strncmp(at, ") X", 3) == 0))
        return 0;
    for (int field = 2; at && field < 22; field++) {
        at = strchr(at, ' ');
        at = at ? at + 1 : NULL;
    }
    return at ? strtoull(at, NULL, 10) : 0;
}

static void boot_id(char out[40])
{
    CLEANUP_FD int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    ssize_t got = fd < 0 ? -1 : read(fd, out, 36);

    out[got > 0 ? got : 0] = '\0';
}

void own_owner_self(struct own_owner *owner)
{
    *owner = (struct own_owner){.pid = getpid(), .pid_namespace = own_namespace()};
    boot_id(owner->boot_id);
    owner->start_time = start_time(owner->pid);
}

void own_owner_format(const struct own_owner *owner, char *out, size_t size)
{
    snprintf(out, size, "%s/%llu/%d/%llu", owner->boot_id, owner->pid_namespace, (int)owner->pid,
             owner->start_time);
}

static bool number(const char **at, char end, unsigned long long max, unsigned long long *ret)
{
    char *stop;
    unsigned long long value;

    if (**at < '0' || **at > '9')
        return false;
    errno = 0;
    value = strtoull(*at, &stop, 10);
    if (errno || value > max || *stop != end)
        return false;
    *at = stop + (end != '\0');
    *ret = value;
    return true;
}

int own_owner_parse(const char *text, struct own_owner *ret, struct err *err)
{
    struct own_owner owner = {0};
    size_t len = strcspn(text, "/");
    const char *at = text + len + 1;
    unsigned long long pid = 0;

    if (!text[len] || len >= sizeof(owner.boot_id) ||
        !number(&at, '/', UINT64_MAX, &owner.pid_namespace) || !number(&at, '/', INT32_MAX, &pid) ||
        pid == 0 || !number(&at, '\0', UINT64_MAX, &owner.start_time))
        return err_set(err, ERR_INVALID,
                       "\"%.100s\" does not name an owner: expected "
                       "BOOT/NAMESPACE/PID/START",
                       text);
    memcpy(owner.boot_id, text, len);
    owner.pid = (pid_t)pid;
    *ret = owner;
    return 0;
}

enum own_liveness own_owner_liveness(const struct own_owner *owner)
{
    char boot[40];

    boot_id(boot);
    if (strcmp(boot, owner->boot_id) != 0 || owner->pid_namespace != own_namespace())
        return OWN_FOREIGN;
    return start_time(owner->pid) == owner->start_time ? OWN_ALIVE : OWN_DEAD;
}
