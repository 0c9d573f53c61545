/* How far a TCP connection has been read, as the kernel knows it: whoever has a library read it,
 * and is not told by it how much, finds out whether it has read meanwhile. */
#pragma once

#include <stdint.h>

/* So many bytes have been taken out of the socket since its connection began; the end of the
 * stream may count as one more. -1: that cannot be told, as of a socket that is none of TCP. The
 * socket needs SO_OOBINLINE. */
int tcp_bytes_read(int fd, uint64_t *ret);
