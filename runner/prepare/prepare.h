/* From a pipeline file to a plan that can be run or shown: what the commands and a server share.
 *
 *     struct prepared p = PREPARED_INIT;
 *     if (prepared_read(&p, &args, where) == 0 && prepared_plan(&p, &args, kinds, &err) == 0)
 *         ... p.plan ...
 *     prepared_show_diagnostics(&p);
 *     prepared_release(&p);
 *
 * A text that is no file is given with prepared_text() in place of prepared_read().
 *
 * Threads: any number, each with its own struct prepared; the environment of the process is read,
 * and must not change meanwhile. */
#pragma once

#include <limits.h>

#include "base/diag.h"
#include "load/load.h"
#include "mask/mask.h"
#include "plan/plan.h"
#include "prepare/variables.h"
#include "step/kind.h"

/* What is said beside the file; zero: nothing. Belongs to the caller, and outlives what is prepared
 * with it. The commands have rows for these in cli/prepare_options.h, each for some of them. */
struct prepare_args {
    char *config; /* for prepare_where() */
    char *workdir;
    char *image;
    char *engine;
    struct strmap env;
    struct strvec env_files;
    struct strmap inputs;
    struct strvec allow_env;
    bool allow_all_env;
    bool strict;
    struct strvec overrides;
    struct strvec only;
    struct strvec skip;
    struct strvec from;
    int64_t timeout_ms; /* of the whole pipeline, over the file's; 0: the file's */
    bool refuse_nested; /* a pipeline that would run inside of another is an error */
    /* Absolute: where relative paths are seen from, unless the file itself was read from
     * elsewhere. NULL: the current directory. */
    const char *directory;
};

struct prepared {
    struct load_source source;
    struct spec_pipeline *spec;
    struct plan *plan; /* borrows from here and from the arguments */
    struct diag_list diags;
    struct strmap automatic;
    struct strmap passthrough;
    struct variables variables;
    /* Owned. Made by who will run the plan, before prepared_plan(): gets the secrets, which must
     * then be there. */
    struct mask *mask;
    char current_dir[PATH_MAX];
};

#define PREPARED_INIT                                                                              \
    {                                                                                              \
        .source = LOAD_SOURCE_INIT                                                                 \
    }

/* The file that an operand or --config names; NULL: none does. ERR_INVALID: both do. */
int prepare_where(const struct prepare_args *args, const struct strvec *operands, const char **ret,
                  struct err *err) __attribute__((warn_unused_result));
/* Reads and decodes the file (NULL: one of the default names) into p->spec. -1 when it has errors,
 * which are in p->diags. */
int prepared_read(struct prepared *p, const struct prepare_args *args, const char *where)
    __attribute__((warn_unused_result));
/* The same for a text; `name` is what messages call it. */
int prepared_text(struct prepared *p, const struct prepare_args *args, const char *name,
                  const char *text, size_t size) __attribute__((warn_unused_result));
/* Makes p->plan of p->spec, with everything looked at that can be wrong. -1: errors are in
 * p->diags, or, with *err set, it is not the file that is wrong. */
int prepared_plan(struct prepared *p, const struct prepare_args *args,
                  const struct step_kind *const *kinds, struct err *err)
    __attribute__((warn_unused_result));
/* Appends what is in p->diags as lines for people, without secrets. */
void prepared_diagnostics(struct prepared *p, struct buf *out);
/* Writes that to standard error. */
void prepared_show_diagnostics(struct prepared *p);
void prepared_release(struct prepared *p);
