/* How often one address may ask: buckets of tokens, one token a request, refilled at a rate. Pure;
 * the time is given.
 *
 * The table has a fixed size, whatever the number of addresses: where it is full, the one that has
 * asked longest ago makes room, and so begins anew with a full bucket. IPv6 addresses count by
 * their first 64 bits, as one host has all that follow.
 *
 * Threads: one at a time. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

struct limits;

/* `rate` tokens a second, at most `burst` at once; rate 0: no limit. */
struct limits *limits_new(unsigned rate, unsigned burst);
/* NULL is fine. */
void limits_free(struct limits *limits);
/* Takes a token: true, or false with the seconds, rounded up, after which there will be one. What
 * is neither IPv4 nor IPv6 has no limit. */
bool limits_take(struct limits *limits, const struct sockaddr *address, int64_t now_ms,
                 unsigned *ret_retry_after);
/* Whether there is one, without taking it. */
bool limits_has(struct limits *limits, const struct sockaddr *address, int64_t now_ms,
                unsigned *ret_retry_after);

/* For others that count by address: the number of one, 0 when it has none as it is neither IPv4 nor
 * IPv6, and its hash, of 32 bits, with a seed that differs from process to process. */
uint64_t limits_key(const struct sockaddr *address);
uint64_t limits_seed(const void *where);
uint64_t limits_hash(uint64_t key, uint64_t seed);
