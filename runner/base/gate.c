#include "base/gate.h"

#include <errno.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <unistd.h>

int gate_init(struct gate *gate, unsigned slots, struct err *err)
{
    gate->event_fd = eventfd(slots, EFD_SEMAPHORE | EFD_NONBLOCK | EFD_CLOEXEC);
    return gate->event_fd < 0 ? err_errno(err, "cannot make a semaphore") : 0;
}

void gate_release(struct gate *gate)
{
    if (gate->event_fd > 0)
        close(gate->event_fd);
    gate->event_fd = -1;
}

int gate_enter_within(const struct ctx *ctx, struct gate *gate, int timeout_ms, struct err *err)
{
    uint64_t one;

    while (read(gate->event_fd, &one, sizeof(one)) < 0) {
        struct pollfd pollfd = {.fd = gate->event_fd, .events = POLLIN};
        int ready;

        if (errno != EAGAIN && errno != EINTR)
            return err_errno(err, "cannot wait for a semaphore");
        ready = ctx_poll(ctx, &pollfd, 1, timeout_ms, err);
        if (ready <= 0)
            return ready;
    }
    return 1;
}

int gate_enter(const struct ctx *ctx, struct gate *gate, struct err *err)
{
    return gate_enter_within(ctx, gate, -1, err) < 0 ? -1 : 0;
}

void gate_leave(struct gate *gate)
{
    const uint64_t one = 1;

    /* Fails only when more than 2^64 slots would be free. */
    (void)!write(gate->event_fd, &one, sizeof(one));
}
