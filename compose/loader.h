/* How a project is loaded: what the steps share. Private to this folder. */
#pragma once

#include "compose/attribute.h"
#include "compose/model.h"
#include "compose/places.h"

struct compose_loader {
    struct compose_sources *sources;
    struct compose_places *places;
    enum compose_target target;
};

/* Files that belong together: those of the project, or those of one entry of `include`. */
struct compose_unit {
    const char *directory; /* absolute, of relative paths */
    const struct strmap *environment;
    const struct compose_unit *up; /* that includes it */
    struct compose_file *first;    /* for cycles */
};

/* Says something about a value of the model, where that was written; path is for the message. */
void compose_report(struct compose_loader *l, enum diag_severity severity, const json_t *value,
                    const char *path, const char *fmt, ...) __attribute__((format(printf, 5, 6)));
#define compose_complain(l, ...) compose_report(l, DIAG_ERROR, __VA_ARGS__)

/* source.c */
/* A new entry, without text. */
struct compose_file *compose_source_add(struct compose_sources *sources, const char *name);
/* Reads a file; -1 with *err: it cannot be read. `path` is absolute, or "-". */
int compose_source_read(struct compose_sources *sources, const char *path,
                        struct compose_file **ret, struct err *err)
    __attribute__((warn_unused_result));

/* unit.c */
/* The files merged into one, with `include` and `extends` done, paths absolute; a new reference,
 * NULL if nothing could be read. Complains into the sources. */
json_t *compose_unit_load(struct compose_loader *l, const struct compose_unit *unit,
                          struct compose_file *const *files, size_t count);
/* One file, without `include` and `extends`: a list of its documents. NULL: it is not YAML. */
json_t *compose_documents_read(struct compose_loader *l, const struct compose_unit *unit,
                               struct compose_file *file);

/* extends.c */
void compose_extend_services(struct compose_loader *l, const struct compose_unit *unit,
                             struct compose_file *file, json_t *services);

/* include.c */
void compose_include(struct compose_loader *l, const struct compose_unit *unit, json_t *document);

/* normalise.c */
/* What a unit's files leave open and its directory and environment decide. */
void compose_unit_finish(const struct compose_unit *unit, json_t *model);
/* Defaults and names, for the whole project; env_file and label_file are read. */
void compose_normalise(struct compose_loader *l, struct compose_project *project);
/* Leaves out networks, volumes, secrets and configs that no service uses. */
void compose_drop_unused(json_t *model);
/* Moves the services that no active profile has to `disabled`. */
void compose_apply_profiles(struct compose_project *project, const struct strvec *profiles);

/* check.c */
void compose_check(struct compose_loader *l, struct compose_project *project);
/* order.c */
/* Fills project->order; complains about cycles. */
void compose_order(struct compose_loader *l, struct compose_project *project);
