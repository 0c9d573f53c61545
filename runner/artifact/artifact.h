/* Artifacts: files of a job that are kept after the run, and handed to other jobs.
 *
 * In an object store an artifact is two objects, in this order of their making:
 *
 *     RUN/JOB/NAME.tar.zst    the files
 *     RUN/JOB/NAME.json       what they are: the manifest
 *
 * JOB is the place of the job in the run and its name, "0.1-build", so that jobs of the same name,
 * and those of a matrix, do not meet. An archive without a manifest is not an artifact; a day after
 * its making it is removed as something that a dead run has left.
 *
 * Threads: any, as far as the store allows. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/ctx.h"
#include "base/err.h"
#include "base/glob.h"
#include "objstore/objstore.h"

#define ARTIFACT_EXPIRE_DEFAULT_MS (INT64_C(30) * 86400000)
#define ARTIFACT_EXPIRE_MAX_MS     (INT64_C(365000) * 86400000)
#define ARTIFACT_NAME_MAX          100
#define ARTIFACT_NEVER             "never"

/* Owned strings. */
struct artifact {
    char *run;
    char *pipeline;
    char *job;
    char *job_id; /* within the run: "0.1" */
    char *name;
    char *manifest;     /* key in the store */
    char *archive;      /* likewise */
    int64_t created_ms; /* wall time */
    int64_t expires_ms; /* 0: never */
    int64_t file_count;
    int64_t bytes;                /* of all files */
    int64_t archive_bytes;        /* of the archive */
    char sha256[SHA256_HEX_SIZE]; /* of the archive */
};

struct artifact_list {
    struct artifact *items; /* by run, the latest first, then by job and name */
    size_t len;
    size_t cap;
};

#define CLEANUP_ARTIFACT      CLEANUP(artifact_release)
#define CLEANUP_ARTIFACT_LIST CLEANUP(artifact_list_release)

void artifact_release(struct artifact *artifact);
void artifact_list_release(struct artifact_list *list);

/* Borrowed strings. */
struct artifact_request {
    const char *run;
    const char *pipeline;
    const char *job;
    const char *job_id;
    const char *name;
    const char *root;        /* what the patterns are relative to */
    const char *shown_root;  /* what messages call that; NULL: the same */
    const struct glob *glob; /* of mode GLOB_TREE */
    int64_t expire_ms;       /* from now; 0: never */
};

/* Packs and stores. ERR_NOT_FOUND: nothing matches; else the errors of the store. */
int artifact_save(const struct ctx *ctx, struct object_store *store,
                  const struct artifact_request *request, struct artifact *ret, struct err *err)
    __attribute__((warn_unused_result));
/* Unpacks into `root`, which exists; files that are there are replaced. */
int artifact_fetch(const struct ctx *ctx, struct object_store *store,
                   const struct artifact *artifact, const char *root, struct err *err)
    __attribute__((warn_unused_result));
/* Adds those of a run; NULL: of all. Manifests that cannot be read are left out. */
int artifact_list(const struct ctx *ctx, struct object_store *store, const char *run,
                  struct artifact_list *ret, struct err *err) __attribute__((warn_unused_result));
int artifact_remove(const struct ctx *ctx, struct object_store *store,
                    const struct artifact *artifact, struct err *err)
    __attribute__((warn_unused_result));

struct artifact_prune {
    int64_t now_ms; /* wall time */
    bool dry_run;
    void (*removed)(void *arg, const struct artifact *artifact); /* may be NULL */
    void *arg;
};

/* Removes what has expired, and archives without a manifest. */
int artifact_prune(const struct ctx *ctx, struct object_store *store,
                   const struct artifact_prune *prune, struct err *err)
    __attribute__((warn_unused_result));

/* Where the local store is: $XDG_STATE_HOME/runner/artifacts, or ~/.local/state/runner/artifacts;
 * the caller's. NULL when neither variable is set. */
char *artifact_local_dir(struct err *err) __attribute__((warn_unused_result));
/* Opens the store that `url` names; NULL: the local one. */
int artifact_store_open(const char *url, struct object_store **ret, struct err *err)
    __attribute__((warn_unused_result));
/* "7 days", "12h" …, or "never", which is 0. */
int artifact_parse_expiry(const char *text, int64_t *ret_ms, struct err *err)
    __attribute__((warn_unused_result));
