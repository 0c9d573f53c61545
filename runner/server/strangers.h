/* How many connections of one address there are that have not been let in, so that no address can
 * have all that there may be. Whoever has been let in may run commands, and is not counted: a proxy
 * in front of the server has the connections of all its clients, and one that passes requests on
 * has shown what it comes with as soon as a connection is there.
 *
 * Addresses share a fixed number of counters, by a hash that nobody outside knows: IPv6 by the
 * first 64 bits. One that happens to share with another that has too many is refused with it.
 *
 * Threads: one at a time. */
#pragma once

#include <stdbool.h>
#include <sys/socket.h>

struct strangers;

/* `max` of one address; 0: no limit. */
struct strangers *strangers_new(unsigned max);
/* NULL is fine. */
void strangers_free(struct strangers *strangers);
/* Counts one more; false: there are as many as there may be. What is neither IPv4 nor IPv6 has no
 * limit. */
bool strangers_enter(struct strangers *strangers, const struct sockaddr *address);
/* One that has entered is none any more. */
void strangers_leave(struct strangers *strangers, const struct sockaddr *address);
