/* The helper: a small static program that the runner brings into places it does not control, such
 * as containers, whose images may have no shell. This library holds its machine code and writes
 * the messages that it reads. The program itself is in static/.
 *
 *     helper hold     does nothing until its standard input ends or SIGTERM comes, then exits 0
 *     helper exec     waits for one request on standard input, runs the program it asks for and
 *                     exits as that did
 *     helper serve    runs one request after the other, until standard input ends
 *     helper probe tcp HOST PORT
 *     helper probe http HOST PORT PATH
 *                     exits with 0 when something listens there, or answers a GET with a status of
 *                     200 to 399; else with HELPER_EXIT_NOT_READY and says why, within about 20 s
 *
 * The programs have /dev/null as standard input. Nothing of their process trees outlives them,
 * whatever they do to detach, and nor do the files that came with a request; the end of standard
 * input kills them. SIGTERM, SIGINT and SIGHUP go on to the tree, which then does not end with 0
 * whatever it says, and end the helper. The helper can be process 1.
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

#include "base/buf.h"
#include "base/err.h"
#include "base/map.h"
#include "helper/request.h"

/* The executable, for the architecture that the runner itself was built for. */
extern const unsigned char helper_program[];
extern const unsigned char helper_program_end[];

#define HELPER_HASH_SIZE 17

static inline size_t helper_program_size(void)
{
    return (size_t)(helper_program_end - helper_program);
}

/* Names the content (16 hexadecimal digits, not cryptographic). */
void helper_program_hash(char out[HELPER_HASH_SIZE]);
/* In the words of image specifications: "amd64", "arm64". */
const char *helper_architecture(void);

/* `out` must be empty. */
void helper_request_begin(struct buf *out);
void helper_request_string(struct buf *out, enum helper_record type, const char *text);
void helper_request_env(struct buf *out, const struct strmap *environment);
void helper_request_file(struct buf *out, const char *name, const void *data, size_t size,
                         bool executable);
/* A file to be sent back; needs a HELPER_MARK and a HELPER_DIRECTORY. See reply.h. */
void helper_request_return(struct buf *out, const char *name, const char *variable,
                           size_t max_bytes);
/* ERR_LIMIT when it became larger than HELPER_REQUEST_MAX. */
int helper_request_end(struct buf *out, struct err *err) __attribute__((warn_unused_result));

/* The other message: a signal to the tree of the running program. */
void helper_signal(char out[HELPER_HEADER_SIZE], int signal);
