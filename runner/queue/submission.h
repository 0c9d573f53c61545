/* What is submitted: a pipeline file, and how it is to be run. The options are stored as JSON with
 * the submission, and read by whoever starts it.
 *
 * Threads: a submission belongs to one at a time. */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/map.h"

struct submission_options {
    bool detached;        /* goes on when its client has gone */
    struct strmap env;    /* as --env */
    struct strmap inputs; /* as --input */
    char *engine;         /* as --engine; NULL: as the file says, and so on */
    char *image;
    char *workdir;
    int64_t timeout_ms; /* 0: none */
};

#define CLEANUP_SUBMISSION_OPTIONS CLEANUP(submission_options_release)
void submission_options_release(struct submission_options *options);

/* An object without what is not set; the caller's. */
json_t *submission_options_to_json(const struct submission_options *options);
/* `ret` is zeroed, and the caller's to release, on failure as well. Members that are not known do
 * not count: "env" and "inputs" are objects of strings, numbers and booleans, "timeout" is a
 * duration ("10m", or seconds). ERR_INVALID names the member that is wrong. */
int submission_options_from_json(const json_t *object, struct submission_options *ret,
                                 struct err *err) __attribute__((warn_unused_result));

/* All of it is borrowed. */
struct submission {
    const char *file;   /* the text of the pipeline file */
    const char *name;   /* what the run is called until it says so itself; NULL: nothing */
    const char *client; /* who submits: a user, or an address; those take turns */
    int64_t priority;   /* higher ones are started before all others */
    const struct submission_options *options; /* NULL: none */
    bool held; /* a client waits for it here, and the run ends with that (queue_options.left) */
};
