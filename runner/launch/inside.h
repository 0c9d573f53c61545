/* Between the three processes of a launch: who starts it, the launcher, the run. Internal to
 * launch/.
 *
 * All packets are SOCK_SEQPACKET. To the launcher: a struct launch_call with the descriptor of a
 * file in memory, which the run reads. From a run to the launcher, and on to the starter: a struct
 * launch_report with a text behind it. */
#pragma once

#include <stdint.h>

#include "base/buf.h"
#include "launch/launch.h"

struct launch_call {
    char run_id[OWN_RUN_ID_SIZE];
};

struct launch_report {
    int32_t kind; /* enum launch_kind */
    int32_t pid;
    int32_t status;
    int32_t code; /* enum err_code */
    char run_id[OWN_RUN_ID_SIZE];
};

/* Larger requests are refused before they are sent. */
#define LAUNCH_REQUEST_MAX (64 << 20)

/* A request as bytes. ERR_INVALID: it has texts that are not UTF-8, or is too large. */
int launch_request_write(const struct launch_request *request, struct buf *out, struct err *err)
    __attribute__((warn_unused_result));

/* A request as it was read. */
struct launch_read {
    struct launch_request request; /* points into what is below */
    struct prepare_args args;
    struct buf bytes;
    char *name;
    char *origin;
    char *user;
    char *directory;
};

/* Takes the bytes over. ERR_PROTOCOL: they are no request. */
int launch_request_read(struct buf *bytes, struct launch_read *ret, struct err *err)
    __attribute__((warn_unused_result));
void launch_read_release(struct launch_read *read);

/* As the starter is told it: ERR_UNAVAILABLE when there may be enough of what is short another
 * time. */
enum err_code launch_code(const struct err *why);

/* When the starter has gone:
 *   LAUNCH_LEAVE   runs are left to themselves;
 *   LAUNCH_STAY    they are all that there is in the container of this process, which stays until
 *                  they and their keepers have ended;
 *   LAUNCH_LISTEN  the next one may come. */
enum launch_end { LAUNCH_LEAVE, LAUNCH_STAY, LAUNCH_LISTEN };

struct launch_serving {
    enum launch_end end;
    int socket;   /* to the starter, or with LAUNCH_LISTEN where starters connect */
    int error_fd; /* standard error of the runs */
    /* With LAUNCH_LISTEN: */
    const char *path;    /* of the socket, removed when no starter is to come any more */
    const char *workdir; /* which starters are told, struct launcher_place */
    int64_t drain_ms;
};

/* The launcher's process: serves until there is nothing to be done any more. Both descriptors are
 * taken over. -1: it could not begin; errno says why. */
int launch_serve(const struct launcher_options *options, const struct launch_serving *serving);
/* The run's process. Both descriptors are taken over; reports go to `report_fd`. */
void launch_run(const struct launcher_options *options, const char *run_id, int request_fd,
                int report_fd) __attribute__((noreturn));

/* What a launcher that is connected to says first: who it is, and where it has what the starter
 * must have, too. */
void launch_hello_write(const char *history, const char *workdir, struct buf *out);
/* Whether that is the launcher for this starter; the error says what is different. */
int launch_hello_check(const struct launcher_place *place, const char *hello, size_t size,
                       struct err *err) __attribute__((warn_unused_result));
