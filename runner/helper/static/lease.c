/* `helper renew` and `helper leased`: a lease for containers whose process 1 is not the helper,
 * such as those of services. A file says, by the machine's monotonic clock, until when it holds.
 * The kubelet asks, and ends the container when it is over. */
#include <asm/errno.h>
#include <linux/fcntl.h>

#include "../request.h"
#include "bytes.h"
#include "program.h"
#include "rt.h"
#include "sys.h"

#define END_SIZE 8 /* milliseconds; written at once, so that no part of it is ever read */

int command_renew(char *const *args)
{
    unsigned long ttl_ms;
    char end[END_SIZE];
    long fd, error;

    if (!args[0] || !args[1] || args[2] || !parse_number(args[1], &ttl_ms))
        fail(HELPER_EXIT_CANNOT, "renew", "", "usage: renew FILE TTL_MS");
    fd = SYS4(openat, AT_FDCWD, args[0], O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
    if (fd < 0)
        fail(HELPER_EXIT_CANNOT, "renew", args[0], error_text(fd));
    /* The next to renew it may be another user, of another container. */
    SYS2(fchmod, fd, 0666);
    put_le(end, sizeof(end), (unsigned long)now_ms() + ttl_ms);
    error = SYS3(write, fd, end, sizeof(end));
    if (error != sizeof(end))
        fail(HELPER_EXIT_CANNOT, "renew", args[0], error_text(error < 0 ? error : -ENOSPC));
    return 0;
}

int command_leased(char *const *args)
{
    char end[END_SIZE];
    long fd;

    if (!args[0] || args[1])
        fail(HELPER_EXIT_CANNOT, "look", "", "usage: leased FILE");
    fd = SYS4(openat, AT_FDCWD, args[0], O_RDONLY | O_CLOEXEC, 0);
    if (fd < 0 || read_all((int)fd, end, sizeof(end)) != 0 ||
        now_ms() >= (long)get_le(end, sizeof(end)))
        fail(HELPER_EXIT_ABANDONED, "go on", "", "nothing was heard of the runner for too long");
    return 0;
}
