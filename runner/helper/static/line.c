#include "line.h"

#include <linux/uio.h>

#include "rt.h"
#include "sys.h"
#include "unix.h"

/* What descriptors travel with. */
#define GREETING 'A'

/* Control data, as the system calls take it. */
struct rights {
    size_t size;
    int level;
    int type;
    int fds[2];
};

struct message_header {
    void *name;
    int name_size;
    struct iovec *parts;
    size_t count;
    struct rights *control;
    size_t control_size;
    unsigned flags;
};

static struct message_header header_of(struct iovec *part, struct rights *rights)
{
    return (struct message_header){.parts = part,
                                   .count = 1,
                                   .control = rights,
                                   .control_size = sizeof(*rights)};
}

long line_hand_over(int life)
{
    struct rights rights = {.size = sizeof(rights),
                            .level = SOL_SOCKET,
                            .type = SCM_RIGHTS,
                            .fds = {0, 1}};
    char greeting = GREETING;
    struct iovec part = {.iov_base = &greeting, .iov_len = 1};
    struct message_header header = header_of(&part, &rights);

    return SYS3(sendmsg, life, &header, MSG_NOSIGNAL);
}

bool line_take(struct line *line)
{
    struct rights rights = {0};
    char greeting = 0;
    struct iovec part = {.iov_base = &greeting, .iov_len = 1};
    struct message_header header = header_of(&part, &rights);
    long n = SYS3(recvmsg, line->life, &header, MSG_CMSG_CLOEXEC);

    if (is_again(n))
        return true;
    if (n != 1 || header.control_size == 0 || rights.type != SCM_RIGHTS)
        return false;
    line->in = rights.fds[0];
    line->out = rights.size == sizeof(rights) ? rights.fds[1] : -1;
    set_nonblocking(line->in);
    set_nonblocking(line->out);
    return greeting == GREETING && line->out >= 0;
}

void line_close(struct line *line)
{
    close_fd(&line->in);
    close_fd(&line->out);
    close_fd(&line->life);
}
