/* What the engine and a step supervisor say to each other, over a unix stream socket.
 *
 *     engine → supervisor   header, payload; RUN carries two descriptors: stdout, stderr
 *     supervisor → engine   struct wire_reply, fixed size
 *
 *     RUN     → FAILED (it did not start), or EXITED and then GONE
 *     TERM    SIGTERM to the whole tree; nothing of it is killed any more until KILL comes
 *     KILL    SIGKILL to the whole tree
 *
 * Both sides are the same program image, so the structures travel as they lie in memory. TERM and
 * KILL that arrive when nothing runs are ignored: the step ended on its own first. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/map.h"
#include "base/process.h"

enum wire_request { WIRE_RUN = 1, WIRE_TERM, WIRE_KILL };

enum { WIRE_FDS = 2, WIRE_MAX_BYTES = 16 * 1024 * 1024 };

struct wire_header {
    uint32_t request; /* enum wire_request */
    uint32_t size;    /* of the payload */
};

enum wire_answer {
    WIRE_FAILED = 1, /* code, errnum, message; exec_failed: the program, not its surroundings */
    WIRE_EXITED,     /* status is the wait status */
    WIRE_GONE,       /* nothing of the tree is left; ready for the next RUN */
};

struct wire_reply {
    uint32_t answer; /* enum wire_answer */
    int32_t status;
    uint32_t code; /* enum err_code */
    int32_t errnum;
    uint32_t exec_failed;
    int32_t pid; /* EXITED: what the program's process had */
    char message[488];
};

/* A program to start, as the payload of RUN; the strings lie in the payload. */
struct wire_program {
    const char *cwd;
    const char **argv;
    const char **envp;
    bool has_tty; /* its output is a terminal, which becomes that of its session */
    bool has_user;
    struct process_user user;
};

/* Adds the payload for `program` to out; the environment is taken from `environment`, envp is not
 * looked at. ERR_LIMIT beyond WIRE_MAX_BYTES. */
int wire_encode(const struct wire_program *program, const struct strmap *environment,
                struct buf *out, struct err *err) __attribute__((warn_unused_result));
/* argv and envp are allocated (wire_program_release), their strings point into payload. */
int wire_decode(const char *payload, size_t size, struct wire_program *ret, struct err *err)
    __attribute__((warn_unused_result));
void wire_program_release(struct wire_program *program);
