#include "oom.h"

#include <linux/fcntl.h>

#include "rt.h"
#include "sys.h"

#define KEY "oom_kill "

/* The number behind KEY at the beginning of a line. */
static bool find_number(char *text, unsigned long *ret)
{
    for (char *line = text; *line;) {
        const char *end = find_char(line, '\n');
        size_t len = end ? (size_t)(end - line) : strlen(line);
        char *next = line + len + (end != NULL);

        line[len] = '\0';
        if (has_prefix(line, KEY) && parse_number(line + strlen(KEY), ret))
            return true;
        line = next;
    }
    return false;
}

bool oom_kills(unsigned long *ret)
{
    static const char *const paths[] = {"/sys/fs/cgroup/memory.events",
                                        "/sys/fs/cgroup/memory/memory.oom_control"};

    for (size_t i = 0; i < sizeof(paths) / sizeof(*paths); i++) {
        char text[512];
        long n, fd = SYS4(openat, AT_FDCWD, paths[i], O_RDONLY | O_CLOEXEC, 0);

        if (fd < 0)
            continue;
        n = SYS3(read, fd, text, sizeof(text) - 1);
        SYS1(close, fd);
        text[n < 0 ? 0 : n] = '\0';
        return find_number(text, ret);
    }
    return false;
}
