/* The helper: a small static program that the runner brings into places it does not control, such
 * as containers, whose images may have no shell. This library holds its machine code and writes
 * the messages that it reads. The program itself is in static/.
 *
 *     helper hold     does nothing until its standard input ends or SIGTERM comes, then exits 0
 *     helper exec     waits for one request on standard input, runs the program it asks for and
 *                     exits as that did
 *     helper attended DIRECTORY
 *                     likewise, and kills the program when nobody can read its standard output any
 *                     more; removes the directory of its program and input first
 *     helper serve    runs one request after the other, until standard input ends
 *     helper relay DIRECTORY TTL_MS [TREE]
 *                     does so for runners whose connections break, by a socket in the directory,
 *                     for as long as one comes back in time (relay.h, channel.h); with
 *                     HELPER_EXIT_ABANDONED if none does. The last relay with the same TREE
 *                     removes that directory, with all that is in it, when it ends.
 *     helper lane DIRECTORY TTL_MS [TREE]
 *                     starts a relay that goes on by itself, and exits with 0 once that takes
 *                     connections: beside that of process 1, with which it ends, or on a host
 *     helper attach DIRECTORY
 *                     has such a connection as standard input and output
 *     helper pack DIRECTORY [PATH]
 *                     writes all that is in the directory to standard output, as a tar archive, or
 *                     the file or directory there that the relative path names, if there is one;
 *                     then HELPER_DONE
 *     helper unpack DIRECTORY
 *                     reads one from standard input, up to the end that is in it, and makes the
 *                     directory when it is missing; what is whole before an error stays. Writes
 *                     HELPER_DONE.
 *     helper signal PID SIGNAL
 *                     sends it; exits with HELPER_EXIT_NOT_READY if it is process 1 and does not
 *                     handle that
 *     helper renew FILE TTL_MS
 *     helper leased FILE
 *                     a lease of so long, and whether it holds, by the clock of the machine: exits
 *                     with HELPER_EXIT_ABANDONED when it is over or was never renewed
 *     helper probe tcp HOST PORT
 *     helper probe http HOST PORT PATH
 *                     exits with 0 when something listens there, or answers a GET with a status of
 *                     200 to 399; else with HELPER_EXIT_NOT_READY and says why, within about 20 s
 *
 * The programs have /dev/null as standard input. Their output is the helper's, directly or by way
 * of it (static/output.h). Nothing of their process trees outlives them, whatever they do to
 * detach, and nor do the files that came with a request; the end of standard input kills them.
 * SIGTERM, SIGINT and SIGHUP go on to the tree, which then does not end with 0 whatever it says,
 * and end the helper. The helper can be process 1.
 *
 *     CLEANUP_BUF struct buf request = BUF_INIT;
 *     helper_request_begin(&request);
 *     helper_request_string(&request, HELPER_ARG, "sh");
 *     helper_request_env(&request, environment);
 *     helper_request_end(&request, err)
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/map.h"
#include "helper/request.h"

#define HELPER_HASH_SIZE 17

/* An executable, constant. */
struct helper_program {
    const unsigned char *data;
    size_t size;
};

/* The one for machines of an architecture, in the words of image specifications ("amd64", "arm64").
 * -1: this runner was built without it. */
int helper_program_find(const char *architecture, struct helper_program *ret)
    __attribute__((warn_unused_result));
/* That of the runner itself, whose program is always there. */
const char *helper_architecture(void);
/* Names the content (16 hexadecimal digits, not cryptographic). */
void helper_program_hash(const struct helper_program *program, char out[HELPER_HASH_SIZE]);

/* `out` must be empty. */
void helper_request_begin(struct buf *out);
void helper_request_string(struct buf *out, enum helper_record type, const char *text);
void helper_request_env(struct buf *out, const struct strmap *environment);
void helper_request_file(struct buf *out, const char *name, const void *data, size_t size,
                         bool executable);
/* A file to be sent back, a live one also while the program runs; needs a HELPER_MARK and a
 * HELPER_DIRECTORY. See reply.h. */
void helper_request_return(struct buf *out, const char *name, const char *variable,
                           size_t max_bytes, bool live);
/* From the start of the program, by the helper's own clock, whether the runner is there or not; at
 * most 49 days. Whether it struck is in the reply. See HELPER_DEADLINE. */
void helper_request_deadline(struct buf *out, int64_t deadline_ms, int64_t grace_ms);
/* ERR_LIMIT when it became larger than HELPER_REQUEST_MAX. */
int helper_request_end(struct buf *out, struct err *err) __attribute__((warn_unused_result));

/* The other message: a signal to the tree of the running program. */
void helper_signal(char out[HELPER_HEADER_SIZE], int signal);
