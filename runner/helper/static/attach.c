/* `helper attach`: a connection to the relay of this container, as standard input and output of
 * something that a runner can start in it from outside. */
#include "../relay.h"
#include "../request.h"
#include "line.h"
#include "program.h"
#include "rt.h"
#include "sys.h"
#include "unix.h"

void unix_address_of(const char *directory, const char *name, struct unix_address *ret)
{
    const char *path = join(directory, "/", name, NULL);

    if (strlen(path) >= UNIX_PATH_MAX)
        fail(HELPER_EXIT_CANNOT, "use the directory", directory, "its name is too long");
    *ret = (struct unix_address){.family = AF_UNIX};
    memcpy(ret->path, path, strlen(path));
}

static int connect_to(const char *directory)
{
    struct unix_address address;
    long fd, error;

    unix_address_of(directory, HELPER_RELAY_SOCKET, &address);
    fd = SYS3(socket, AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    error = fd < 0 ? fd : SYS3(connect, fd, &address, sizeof(address));
    if (error < 0)
        fail(HELPER_EXIT_NO_RELAY, "reach the relay at", address.path, error_text(error));
    return (int)fd;
}

int command_attach(char *const *args)
{
    int relay;
    char nothing;
    long error;

    if (!args[0] || args[1])
        fail(HELPER_EXIT_CANNOT, "attach", "", "usage: attach DIRECTORY");
    relay = connect_to(args[0]);
    error = line_hand_over(relay);
    if (error < 0)
        fail(HELPER_EXIT_NO_RELAY, "reach the relay in", args[0], error_text(error));
    /* Until it is closed. */
    while (is_again(SYS3(read, relay, &nothing, 1)))
        ;
    return 0;
}
