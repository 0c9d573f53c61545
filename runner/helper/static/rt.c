#include "rt.h"

#include <asm/errno.h>
#include <asm/poll.h>
#include <linux/fcntl.h>
#include <linux/mman.h>
#include <linux/time.h>
#include <linux/time_types.h>
#include <stdarg.h>

#include "../request.h"
#include "sys.h"

/* The compiler calls these two by itself; it must not turn them into calls of themselves. */
#define NO_LOOP_IDIOM __attribute__((optimize("no-tree-loop-distribute-patterns")))

#if defined(__clang__)
#undef NO_LOOP_IDIOM
#define NO_LOOP_IDIOM __attribute__((no_builtin))
#endif

NO_LOOP_IDIOM void *memcpy(void *restrict to, const void *restrict from, size_t len)
{
    char *t = to;
    const char *f = from;

    while (len--)
        *t++ = *f++;
    return to;
}

NO_LOOP_IDIOM void *memset(void *to, int value, size_t len)
{
    char *t = to;

    while (len--)
        *t++ = (char)value;
    return to;
}

NO_LOOP_IDIOM size_t strlen(const char *s)
{
    const char *end = s;

    while (*end)
        end++;
    return (size_t)(end - s);
}

bool str_equal(const char *a, const char *b)
{
    while (*a && *a == *b) {
        a++;
        b++;
    }
    return *a == *b;
}

bool has_prefix(const char *s, const char *prefix)
{
    while (*prefix) {
        if (*s++ != *prefix++)
            return false;
    }
    return true;
}

const char *find_char(const char *s, char c)
{
    for (; *s; s++) {
        if (*s == c)
            return s;
    }
    return NULL;
}

void *map_memory(size_t size)
{
    long mapped =
        sys6(__NR_mmap, 0, (long)size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (mapped < 0 && mapped > -4096)
        fail(HELPER_EXIT_CANNOT, "start the program", "", error_text(mapped));
    return (void *)mapped;
}

void *allocate(size_t size)
{
    static char *chunk;
    static size_t left;
    void *ret;

    size = (size + 15) & ~(size_t)15;
    if (size > left) {
        size_t chunk_size = size > 65536 ? size : 65536;

        chunk = map_memory(chunk_size);
        left = chunk_size;
    }
    ret = chunk;
    chunk += size;
    left -= size;
    return ret;
}

char *join(const char *first, ...)
{
    size_t len = 0;
    va_list args;
    char *ret, *at;

    va_start(args, first);
    for (const char *s = first; s; s = va_arg(args, const char *))
        len += strlen(s);
    va_end(args);
    at = ret = allocate(len + 1);
    va_start(args, first);
    for (const char *s = first; s; s = va_arg(args, const char *)) {
        memcpy(at, s, strlen(s));
        at += strlen(s);
    }
    va_end(args);
    return ret;
}

bool parse_number(const char *text, unsigned long *ret)
{
    unsigned long value = 0;
    const char *at = text;

    for (; *at >= '0' && *at <= '9' && at - text < 18; at++)
        value = value * 10 + (unsigned long)(*at - '0');
    if (at == text || *at)
        return false;
    *ret = value;
    return true;
}

const char *env_get(char *const *env, const char *key)
{
    size_t len = strlen(key);

    for (; *env; env++) {
        if (has_prefix(*env, key) && (*env)[len] == '=')
            return *env + len + 1;
    }
    return NULL;
}

_Noreturn void fail(int code, const char *what, const char *name, const char *why)
{
    char line[1024];
    const char *parts[] = {HELPER_MESSAGE_PREFIX, what,          *name ? " " : "", name,
                           why ? ": " : "",       why ? why : ""};
    size_t len = 0;

    for (size_t i = 0; i < sizeof(parts) / sizeof(*parts); i++) {
        for (const char *s = parts[i]; *s && len < sizeof(line) - 1; s++)
            line[len++] = *s;
    }
    line[len++] = '\n';
    write_all(2, line, len);
    sys_exit(code);
}

const char *error_text(long error)
{
    static const struct {
        int number;
        const char *text;
    } texts[] = {
        {EACCES, "permission denied"},
        {EPERM, "operation not permitted"},
        {ENOENT, "not found"},
        {ENOTDIR, "not a directory"},
        {EISDIR, "is a directory"},
        {ENOEXEC, "not an executable for this machine (a script without #! line?)"},
        {E2BIG, "argument list too long"},
        {ENOMEM, "out of memory"},
        {EROFS, "read-only file system"},
        {ENOSPC, "no space left on device"},
        {ETXTBSY, "file is being written"},
        {ELOOP, "too many symbolic links"},
        {EAGAIN, "too many processes"},
        {ENAMETOOLONG, "the name is too long"},
        {ECONNREFUSED, "connection refused"},
        {ECONNRESET, "connection reset"},
        {EHOSTUNREACH, "no route to host"},
        {ENETUNREACH, "network is unreachable"},
        {ETIMEDOUT, "no answer"},
    };

    for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
        if (texts[i].number == -error)
            return texts[i].text;
    }
    return "system error";
}

long now_ms(void)
{
    struct __kernel_timespec now;

    SYS2(clock_gettime, CLOCK_MONOTONIC, &now);
    return (long)now.tv_sec * 1000 + (long)now.tv_nsec / 1000000;
}

long poll_until(struct pollfd *fds, size_t count, long until_ms)
{
    struct __kernel_timespec left = {0};
    long left_ms = until_ms < 0 ? 0 : until_ms - now_ms();
    long ready;

    if (left_ms > 0) {
        left.tv_sec = left_ms / 1000;
        left.tv_nsec = left_ms % 1000 * 1000000;
    }
    ready = SYS5(ppoll, fds, count, until_ms < 0 ? NULL : &left, NULL, 0);
    return ready < 0 ? 0 : ready;
}

void set_nonblocking(int fd)
{
    long flags = SYS3(fcntl, fd, F_GETFL, 0);

    if (flags >= 0)
        SYS3(fcntl, fd, F_SETFL, flags | O_NONBLOCK);
}

#define PIPE_BYTES (256 << 10)

void enlarge_pipe(int fd)
{
    long size = SYS3(fcntl, fd, F_GETPIPE_SZ, 0);

    if (size >= 0 && size < PIPE_BYTES)
        SYS3(fcntl, fd, F_SETPIPE_SZ, PIPE_BYTES);
}

void close_fd(int *fd)
{
    if (*fd >= 0)
        SYS1(close, *fd);
    *fd = -1;
}

bool is_again(long result)
{
    return result == -EAGAIN || result == -EINTR;
}

int read_all(int fd, void *to, size_t len)
{
    size_t got = 0;

    while (got < len) {
        long n = SYS3(read, fd, (char *)to + got, len - got);

        if (n == -EINTR)
            continue;
        if (n <= 0)
            return n == 0 && got == 0 ? 1 : -1;
        got += (size_t)n;
    }
    return 0;
}

int write_all(int fd, const void *from, size_t len)
{
    const char *at = from;

    while (len > 0) {
        long n = SYS3(write, fd, at, len);

        /* A program may have made the pipe, which it shares, non-blocking. */
        if (n == -EAGAIN) {
            struct pollfd pollfd = {.fd = fd, .events = POLLOUT};

            n = SYS4(ppoll, &pollfd, 1, NULL, NULL);
            n = n > 0 ? 0 : n;
        }
        if (n < 0 && n != -EINTR)
            return (int)n;
        if (n > 0) {
            at += n;
            len -= (size_t)n;
        }
    }
    return 0;
}

int say_done(void)
{
    int error = write_all(1, HELPER_DONE, sizeof(HELPER_DONE) - 1);

    if (error)
        fail(HELPER_EXIT_CANNOT, "say that it is done", "", error_text(error));
    return 0;
}

void make_directories(char *path)
{
    for (char *at = path + 1; *at; at++) {
        if (*at == '/') {
            *at = '\0';
            SYS3(mkdirat, AT_FDCWD, path, 0777);
            *at = '/';
        }
    }
    SYS3(mkdirat, AT_FDCWD, path, 0777);
}
