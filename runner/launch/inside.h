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

/* When the starter has gone: runs are left to themselves, or they are all that there is in the
 * container of this process, which stays until they and their keepers have ended. */
enum launch_end { LAUNCH_LEAVE, LAUNCH_STAY };

/* The launcher's process: serves the socket until it closes. `error_fd` is the standard error of
 * the runs. Both are taken over. -1: it could not begin; errno says why. */
int launch_serve(const struct launcher_options *options, int socket, int error_fd,
                 enum launch_end end);
/* The run's process. Both descriptors are taken over; reports go to `report_fd`. */
void launch_run(const struct launcher_options *options, const char *run_id, int request_fd,
                int report_fd) __attribute__((noreturn));
