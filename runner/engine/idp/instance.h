/* Shared by the files of engine/idp/. */
#pragma once

#include "apis/idp/agent.h"
#include "base/remote_url.h"
#include "engine/idp/idp.h"
#include "helper/helper.h"

struct idp_instance {
    const struct engine *engine;
    struct remote_url url;
    char *base_url;
    char *peer; /* "the IDP agent at HOST:PORT" */
    struct idp_options options;
    struct helper_program helper; /* for its machine */
    char machine[64];             /* "Linux x86_64" */
    bool patient;                 /* tries again to connect */
    int patience_ms; /* of silence, before the agent is asked whether it still does anything */
};

struct idp_place {
    const struct engine *engine;
    struct idp_instance *instance;
};

/* Reads the URL, and that only. ERR_INVALID. */
int idp_instance_init(struct idp_instance *instance, const char *url, struct err *err)
    __attribute__((warn_unused_result));
void idp_instance_release(struct idp_instance *instance);

/* A connection, tried for some time: nothing has been asked of the agent by then. */
int idp_instance_open(const struct ctx *ctx, const struct idp_instance *instance, struct idp **ret,
                      struct err *err) __attribute__((warn_unused_result));

struct idp_answer {
    struct buf out, error; /* cut beyond IDP_ANSWER_MAX */
    int exit_code;         /* the agent's word */
};

enum { IDP_ANSWER_MAX = 64 << 10 };

/* Runs a small script to its end, beside what else runs; `answer` must be initialised. `user` may
 * be NULL. */
int idp_instance_ask(const struct ctx *ctx, const struct idp_instance *instance, const char *script,
                     const char *user, struct idp_answer *answer, struct err *err)
    __attribute__((warn_unused_result));
void idp_answer_release(struct idp_answer *answer);
#define IDP_ANSWER_INIT                                                                            \
    {                                                                                              \
        .out = BUF_INIT, .error = BUF_INIT                                                         \
    }
#define CLEANUP_IDP_ANSWER CLEANUP(idp_answer_release)

/* Adds a name that nobody else has, of letters and digits. */
void idp_unique(struct buf *out);

/* engine->connect, ->probe, ->mend, ->disconnect, ->run */
int idp_instance_connect(const struct ctx *ctx, const struct engine_services *services,
                         const char *url, struct engine_instance **ret, struct err *err);
int idp_instance_probe(const struct ctx *ctx, struct engine_instance *instance, struct buf *report,
                       struct err *err);
const char *idp_instance_mend(const struct err *err);
void idp_instance_disconnect(struct engine_instance *instance);
int idp_session_run(const struct ctx *ctx, struct place *place, const struct runnable *runnable,
                    struct output *output, struct exit_record *ret, struct err *err);
