/* What is told while manifests are applied, awaited, compared and deleted. Functions may be NULL.
 * They are called from several threads, but one at a time. Texts may be foreign: what control
 * characters they have is for the sink to remove. */
#pragma once

#include <pthread.h>

#include "k8s/manifest.h"

struct manifest_sink {
    void *arg;
    /* It was not there, and the request that makes it follows; not so after -1. */
    int (*creating)(void *arg, const struct manifest *manifest, struct err *err);
    /* "created", "configured", "unchanged", "replaced", "ready", "deleted", … */
    void (*done)(void *arg, const struct manifest *manifest, const char *what);
    /* What it is waiting for, or what may be worth knowing; one line. */
    void (*note)(void *arg, const struct manifest *manifest, const char *text);
    /* Why it failed, in one line or several. */
    void (*failed)(void *arg, const struct manifest *manifest, const char *text);
    /* How it differs, lines of a unified diff. */
    void (*differs)(void *arg, const struct manifest *manifest, const char *text);
};

/* A sink with the lock that its calls are made under; for the files of this folder. */
struct manifest_report {
    const struct manifest_sink *sink;
    pthread_mutex_t mu;
};

#define MANIFEST_REPORT_INIT(the_sink)                                                             \
    {                                                                                              \
        .sink = (the_sink), .mu = PTHREAD_MUTEX_INITIALIZER                                        \
    }

int manifest_report_creating(struct manifest_report *report, const struct manifest *manifest,
                             struct err *err);
void manifest_report_done(struct manifest_report *report, const struct manifest *manifest,
                          const char *what);
void manifest_report_note(struct manifest_report *report, const struct manifest *manifest,
                          const char *text);
/* Returns -1. */
int manifest_report_failed(struct manifest_report *report, const struct manifest *manifest,
                           const char *text);
void manifest_report_differs(struct manifest_report *report, const struct manifest *manifest,
                             const char *text);
