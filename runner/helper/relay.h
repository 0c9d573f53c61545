/* The channel between the runner and `helper relay`, which stands in front of a `helper serve` in a
 * container that the runner reaches only by connections that break: what both sides agree on. Used
 * by the runner (channel.h) and by the freestanding helper, hence constants only.
 *
 * Three things outlive a connection: which bytes of input `serve` has got, which of its output the
 * runner has, and the lease. So nothing is lost and nothing happens twice, wherever a connection
 * breaks, and a container whose runner does not come back ends by itself.
 *
 *     runner -> relay      hello frame*
 *     relay -> runner      welcome frame* | refusal
 *
 *     hello    = HELPER_RELAY_HELLO nonce[32] received[8]
 *     welcome  = HELPER_RELAY_WELCOME taken[8]
 *     refusal  = HELPER_RELAY_REFUSAL reason[8]          enum helper_refusal; then the end
 *
 * The nonce of the first hello is that of the relay for ever. A hello that is not refused takes the
 * place of an older connection, which is closed.
 *
 * Frames of the runner:
 *
 *     HELPER_RELAY_INPUT size[4] data[size]     the next input of `serve`
 *     HELPER_RELAY_RECEIVED offset[8]           output before this is not asked for again
 *     HELPER_RELAY_LEASE ttl_ms[4]              from its arrival on; in place of the one before
 *     HELPER_RELAY_QUIT                         kill everything and exit
 *
 * Frames of the relay:
 *
 *     HELPER_RELAY_OUTPUT size[4] data[size]    the next output of `serve`
 *     HELPER_RELAY_PACKED size[4] raw[4] data[size]
 *                                               the next `raw` bytes of it, as a block of LZ4
 *     HELPER_RELAY_TAKEN offset[8]              so much input has `serve` got; also the answer to
 *                                               each HELPER_RELAY_LEASE
 *
 * Input and output are counted from the first byte that there ever was. `received` is where the
 * output begins behind a welcome, `taken` where the input does. The runner keeps input that is not
 * taken, as what the relay holds back of it goes with the connection, and sends at most
 * HELPER_RELAY_WINDOW of it ahead: so the other frames never wait behind input that `serve` does
 * not read. The relay keeps output until it is received; when that becomes more than it has room
 * for it does not read on, so that the program waits, as at a pipe.
 *
 * The output is a sequence of
 *
 *     record   = stream[1] size[4] data[size]            enum helper_relay_stream
 *
 * whose last is HELPER_RELAY_ENDED, with the exit code of `serve` in decimal, 128 + N for signal N.
 * Integers are little-endian. */
#pragma once

#define HELPER_RELAY_HELLO   "RNH1"
#define HELPER_RELAY_WELCOME "RNW1"
#define HELPER_RELAY_REFUSAL "RNF1"

#define HELPER_NONCE_SIZE         32
#define HELPER_RELAY_HELLO_SIZE   (4 + HELPER_NONCE_SIZE + 8)
#define HELPER_RELAY_WELCOME_SIZE 12

enum helper_refusal {
    HELPER_REFUSED_NONCE = 1,  /* the relay belongs to another */
    HELPER_REFUSED_OFFSET = 2, /* that output was never there, or has been received */
    HELPER_REFUSED_HELLO = 3,  /* it is none */
};

#define HELPER_RELAY_INPUT    'I'
#define HELPER_RELAY_RECEIVED 'A'
#define HELPER_RELAY_LEASE    'L'
#define HELPER_RELAY_QUIT     'Q'

#define HELPER_RELAY_OUTPUT 'O'
#define HELPER_RELAY_PACKED 'Z'
#define HELPER_RELAY_TAKEN  'T'

/* The data of one HELPER_RELAY_INPUT, _OUTPUT or record at most. */
#define HELPER_RELAY_DATA_MAX (64u << 10)
#define HELPER_RELAY_WINDOW   (256u << 10)
/* What one HELPER_RELAY_PACKED stands for at most. Its data are less than that. */
#define HELPER_RELAY_PACKED_MAX (128u << 10)

enum helper_relay_stream {
    HELPER_RELAY_STDOUT = '1',
    HELPER_RELAY_STDERR = '2',
    HELPER_RELAY_ENDED = 'X',
};

/* What is in the directory of a relay. */
#define HELPER_RELAY_SOCKET "socket"
#define HELPER_RELAY_SPOOL  "spool"
/* Output that is not received: so much in memory, and more in the spool. */
#define HELPER_RELAY_MEMORY    (2u << 20)
#define HELPER_RELAY_SPOOL_MAX (64u << 20)
