/* `helper lane`: a relay beside process 1, for one more program at a time. */
#include <linux/fcntl.h>
#include <linux/wait.h>
#include <stdbool.h>

#include "../relay.h"
#include "../request.h"
#include "program.h"
#include "rt.h"
#include "sys.h"
#include "tree.h"
#include "unix.h"

/* To take connections. */
#define START_MS 10000

/* Nothing of whoever started it may be held, or end it; only what is wrong at the beginning is
 * still said there. */
static _Noreturn void be_lane(char *const *args, char *const *env)
{
    long null = SYS4(openat, AT_FDCWD, "/dev/null", O_RDWR, 0);

    SYS0(setsid);
    for (int fd = 0; fd < 2 && null >= 0; fd++)
        SYS3(dup3, null, fd, 0);
    sys_exit(relay_run(args, env, null >= 0));
}

static bool takes_connections(const char *directory)
{
    struct unix_address address;
    long fd = SYS3(socket, AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    long error = fd;

    unix_address_of(directory, HELPER_RELAY_SOCKET, &address);
    if (fd >= 0) {
        error = SYS3(connect, fd, &address, sizeof(address));
        SYS1(close, fd);
    }
    return error == 0;
}

int command_lane(char *const *args, char *const *env)
{
    long until_ms = now_ms() + START_MS;
    long pid;
    int status;

    if (!args[0] || !args[1] || (args[2] && args[3]))
        fail(HELPER_EXIT_CANNOT, "start a lane", "", "usage: lane DIRECTORY TTL_MS [TREE]");
    pid = SYS5(clone, SIGCHLD, 0, 0, 0, 0);
    if (pid < 0)
        fail(HELPER_EXIT_CANNOT, "start a process", "", error_text(pid));
    if (pid == 0)
        be_lane(args, env);
    while (!takes_connections(args[0])) {
        if (SYS4(wait4, pid, &status, WNOHANG, NULL) == pid)
            return HELPER_EXIT_CANNOT; /* and it has said why */
        if (now_ms() >= until_ms)
            fail(HELPER_EXIT_CANNOT, "start a lane", args[0], "it takes no connections");
        poll_until(NULL, 0, now_ms() + 2);
    }
    return 0;
}
