#include "server/strangers.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "server/limits.h"

enum { COUNTERS = 16384 };

struct strangers {
    unsigned max;
    uint64_t seed;
    unsigned counters[COUNTERS];
};

struct strangers *strangers_new(unsigned max)
{
    struct strangers *strangers = xcalloc(1, sizeof(*strangers));

    strangers->max = max;
    strangers->seed = limits_seed(strangers);
    return strangers;
}

void strangers_free(struct strangers *strangers)
{
    free(strangers);
}

/* NULL: there is no limit for it. */
static unsigned *counter_of(struct strangers *strangers, const struct sockaddr *address)
{
    uint64_t key = strangers->max ? limits_key(address) : 0;

    return key ? &strangers->counters[limits_hash(key, strangers->seed) % COUNTERS] : NULL;
}

bool strangers_enter(struct strangers *strangers, const struct sockaddr *address)
{
    unsigned *counter = counter_of(strangers, address);

    if (counter && *counter >= strangers->max)
        return false;
    if (counter)
        ++*counter;
    return true;
}

void strangers_leave(struct strangers *strangers, const struct sockaddr *address)
{
    unsigned *counter = counter_of(strangers, address);

    if (counter)
        --*counter;
}
