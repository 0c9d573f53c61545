#include "server/limits.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"

/* Buckets are found by a hash, and then among as many neighbours. */
enum { BUCKETS = 4096, WAYS = 8 };

struct bucket {
    uint64_t key;  /* 0: unused */
    int64_t at_ms; /* when `milli` was right */
    int64_t milli; /* thousandths of tokens */
};

struct limits {
    int64_t rate;
    int64_t burst;
    uint64_t seed;
    struct bucket buckets[BUCKETS];
};

uint64_t limits_seed(const void *where)
{
    return (uint64_t)(uintptr_t)where * UINT64_C(0x9e3779b97f4a7c15);
}

uint64_t limits_hash(uint64_t key, uint64_t seed)
{
    return (key ^ seed) * UINT64_C(0xff51afd7ed558ccd) >> 32;
}

struct limits *limits_new(unsigned rate, unsigned burst)
{
    struct limits *limits = xcalloc(1, sizeof(*limits));

    limits->rate = rate;
    limits->burst = burst ? burst : 1;
    limits->seed = limits_seed(limits);
    return limits;
}

void limits_free(struct limits *limits)
{
    free(limits);
}

uint64_t limits_key(const struct sockaddr *address)
{
    const struct in6_addr *six;
    uint64_t key = 0;
    uint32_t four = 0;

    if (address->sa_family == AF_INET) {
        four = ((const struct sockaddr_in *)(const void *)address)->sin_addr.s_addr;
    } else if (address->sa_family == AF_INET6) {
        six = &((const struct sockaddr_in6 *)(const void *)address)->sin6_addr;
        if (IN6_IS_ADDR_V4MAPPED(six))
            memcpy(&four, six->s6_addr + 12, sizeof(four));
        else
            memcpy(&key, six->s6_addr, sizeof(key));
    } else {
        return 0;
    }
    return four ? UINT64_C(0xffff00000000) | four : key | 1;
}

static struct bucket *bucket_of(struct limits *limits, uint64_t key, int64_t now_ms)
{
    struct bucket *set = &limits->buckets[limits_hash(key, limits->seed) & (BUCKETS - WAYS)];
    struct bucket *oldest = set;

    for (struct bucket *b = set; b < set + WAYS; b++) {
        if (b->key == key)
            return b;
        if (!b->key || (oldest->key && b->at_ms < oldest->at_ms))
            oldest = b;
    }
    *oldest = (struct bucket){.key = key, .at_ms = now_ms, .milli = limits->burst * 1000};
    return oldest;
}

static void refill(const struct limits *limits, struct bucket *bucket, int64_t now_ms)
{
    int64_t passed = now_ms > bucket->at_ms ? now_ms - bucket->at_ms : 0;

    /* So long that it is full in any case. */
    if (passed > limits->burst * 1000 / limits->rate)
        bucket->milli = limits->burst * 1000;
    else
        bucket->milli += passed * limits->rate;
    if (bucket->milli > limits->burst * 1000)
        bucket->milli = limits->burst * 1000;
    bucket->at_ms = now_ms;
}

static bool ask(struct limits *limits, const struct sockaddr *address, int64_t now_ms, bool take,
                unsigned *ret_retry_after)
{
    uint64_t key = limits->rate ? limits_key(address) : 0;
    struct bucket *bucket;
    int64_t wait_ms;

    if (!key)
        return true;
    bucket = bucket_of(limits, key, now_ms);
    refill(limits, bucket, now_ms);
    if (bucket->milli >= 1000) {
        if (take)
            bucket->milli -= 1000;
        return true;
    }
    wait_ms = (1000 - bucket->milli + limits->rate - 1) / limits->rate;
    *ret_retry_after = (unsigned)((wait_ms + 999) / 1000);
    if (!*ret_retry_after)
        *ret_retry_after = 1;
    return false;
}

bool limits_take(struct limits *limits, const struct sockaddr *address, int64_t now_ms,
                 unsigned *ret_retry_after)
{
    return ask(limits, address, now_ms, true, ret_retry_after);
}

bool limits_has(struct limits *limits, const struct sockaddr *address, int64_t now_ms,
                unsigned *ret_retry_after)
{
    return ask(limits, address, now_ms, false, ret_retry_after);
}
