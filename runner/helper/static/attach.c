/* `helper attach`: a connection to the relay of this container, as standard input and output of
 * something that a runner can start in it from outside. */
#include "unix.h"

#include <asm/poll.h>
#include <stdbool.h>

#include "../relay.h"
#include "../request.h"
#include "program.h"
#include "rt.h"
#include "sys.h"

#define BUFFER_BYTES HELPER_RELAY_DATA_MAX
/* For a reader who takes no more, once the relay has closed the connection. */
#define REST_MS 10000

/* One direction. */
struct way {
    int from;
    int to;
    char *data;
    size_t at, len; /* of data: read and not written */
};

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

static struct pollfd waits_for(const struct way *way)
{
    if (way->len)
        return (struct pollfd){.fd = way->to, .events = POLLOUT};
    return (struct pollfd){.fd = way->from, .events = POLLIN};
}

/* Something has been polled; false: that was the end. */
static bool pass(struct way *way)
{
    bool reading = way->len == 0;
    long n;

    if (reading)
        n = SYS3(read, way->from, way->data, BUFFER_BYTES);
    else
        n = SYS3(write, way->to, way->data + way->at, way->len);
    if (is_again(n))
        return true;
    if (n <= 0)
        return false;
    way->at = reading ? 0 : way->at + (size_t)n;
    way->len = reading ? (size_t)n : way->len - (size_t)n;
    return true;
}

int command_attach(char *const *args)
{
    int relay;
    struct way ways[2];
    long until_ms = -1;

    if (!args[0] || args[1])
        fail(HELPER_EXIT_CANNOT, "attach", "", "usage: attach DIRECTORY");
    relay = connect_to(args[0]);
    ways[0] = (struct way){.from = 0, .to = relay, .data = map_memory(BUFFER_BYTES)};
    ways[1] = (struct way){.from = relay, .to = 1, .data = map_memory(BUFFER_BYTES)};
    set_nonblocking(relay);
    set_nonblocking(1);
    for (;;) {
        struct pollfd fds[] = {waits_for(&ways[0]),
                               waits_for(&ways[1]),
                               {.fd = until_ms < 0 ? relay : -1}};

        if (poll_until(fds, 3, until_ms) == 0 && until_ms >= 0 && now_ms() >= until_ms)
            return 0;
        if (fds[2].revents)
            until_ms = now_ms() + REST_MS;
        for (int i = 0; i < 2; i++) {
            if (fds[i].revents && !pass(&ways[i]))
                return 0;
        }
    }
}
