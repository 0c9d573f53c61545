/* What differs between the kinds of deployments; see deploy.h for the public part. */
#pragma once

#include <pthread.h>

#include "base/buf.h"
#include "base/map.h"
#include "base/vec.h"
#include "engine/deploy/deploy.h"

/* What messages call a text that stands in the pipeline file. */
#define DEPLOY_TEXT_NAME "service.config"

/* A rank whose objects do not go side by side, but one by one, the last noted first. */
#define DEPLOY_RANK_ORDERED(rank) (-(rank))

struct deploy_instance;
struct own_group;

/* A deployment while it is brought up, and as long as it is there to be removed. */
struct deployed {
    struct deploy_instance *instance;
    const struct runnable *runnable; /* while it is brought up */
    struct output *output;           /* likewise; to be used by one thread at a time */
    char *name;                      /* of the project, stack or set */
    char *step;                      /* its name */
    struct own_group *turn;          /* while nobody else may be at it, see instance.h */
    bool keep;                       /* --keep: remove nothing */
    pthread_mutex_t mu;              /* guards `output` and what follows */
    struct strvec objects;           /* that it has made or is about to make, in that order */
    struct strmap outputs;           /* what it tells later steps */
};

struct deploy_kind {
    bool keeps_time; /* up() minds the shape's timeout_ms itself; else its context ends then */
    bool tells_undo; /* up() takes back what it can itself, and tells what */
    /* Of the API. `address` is what stands behind "://" in the URL, "" if there is none; *ret_noted
     * (may be NULL) is an address that leads there from anywhere, the caller's. */
    int (*connect)(const struct ctx *ctx, const struct engine_services *services,
                   const char *address, void **ret, char **ret_noted, struct err *err);
    void (*disconnect)(void *connection);
    /* Brings it up, having called deployed_note() for each object that it makes, and waits for it
     * if that is wanted. When -1, or 1, is returned, what has been noted is removed by the caller.
     * 1: it was refused or does not work, which has been told to the output in full, and in one
     * line to err. */
    int (*up)(const struct ctx *ctx, void *connection, struct deployed *deployed, struct err *err);
    /* When an object is removed: those of the lowest rank first, from 1 on, side by side, or one by
     * one where the rank is DEPLOY_RANK_ORDERED(). */
    int (*rank)(const char *object);
    /* Removes what deployed_note() was told of, or brings it back; that it is not there is no
     * error. From several threads. */
    int (*remove)(const struct ctx *ctx, void *connection, const char *object, struct err *err);
};

extern const struct deploy_kind compose_kind;
extern const struct deploy_kind swarm_kind;
extern const struct deploy_kind manifests_kind;

/* Before an object is made. `object` is for remove(), in letters that every address may have
 * besides %, such as "container/shop-web-1". */
int deployed_note(struct deployed *deployed, const char *object, struct err *err)
    __attribute__((warn_unused_result));
/* It has not been made, or is nothing to be removed any more. */
void deployed_forget(struct deployed *deployed, const char *object);
/* A line for people. */
void deployed_say(struct deployed *deployed, const struct ctx *ctx, enum output_stream stream,
                  const char *fmt, ...) __attribute__((format(printf, 4, 5)));
/* Several lines, as they are; a newline is added if there is none at the end. */
void deployed_say_text(struct deployed *deployed, const struct ctx *ctx, enum output_stream stream,
                       const char *text);
/* For later steps: `steps.ID.outputs.KEY`. The key's other characters become "_". */
void deployed_tell(struct deployed *deployed, const char *key, const char *value);
/* Likewise NAME_PORT: where the port of something is reached. */
void deployed_tell_port(struct deployed *deployed, const char *name, const char *port,
                        const char *host, const char *host_port);
/* Of something that is fetched; total 0: not known. */
void deployed_progress(struct deployed *deployed, const char *what, int64_t done, int64_t total);
/* A further piece of the log of something that has failed, to be kept. */
void deployed_keep(struct deployed *deployed, const char *log, const char *data, size_t len);
/* Likewise a line, without its end. */
void deployed_keep_line(struct deployed *deployed, const char *log, const char *line, size_t len);
/* The text that it is made from: the file's or its own; *ret_name is what messages call it, and
 * belongs to the runnable. */
int deployed_read(const struct deployed *deployed, struct buf *ret, const char **ret_name,
                  struct err *err) __attribute__((warn_unused_result));
