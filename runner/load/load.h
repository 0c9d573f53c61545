/* From a pipeline file to struct spec_pipeline.
 *
 *     CLEANUP_DIAG_LIST struct diag_list diags = {0};
 *     CLEANUP_LOAD_SOURCE struct load_source source = {0};
 *     CLEANUP_SPEC_PIPELINE struct spec_pipeline *pipeline = NULL;
 *
 *     if (load_read(path, NULL, &source, &diags) == 0)
 *         pipeline = load_pipeline(&source, NULL, &diags);
 *     diag_print_text(stderr, &source, &diags, false);     // warnings too; see diag_print.h
 *
 * All errors of a file are collected (DIAG_MAX of them), sorted by position. Warnings do not keep a
 * pipeline from being returned. The caller owns what is returned; the source may go first.
 * Source: pipeline file reference, section 1. */
#pragma once

#include <stddef.h>

#include "base/buf.h"
#include "base/diag.h"
#include "base/vec.h"
#include "spec/engine_names.h"
#include "spec/service_kinds.h"
#include "spec/spec.h"
#include "yaml/yaml_tree.h"

/* A file's text, its name for messages, and what is set over it. */
struct load_source {
    char *name;
    struct buf text;
    struct strvec overrides;    /* PATH=VALUE, see override.h; added by the caller */
    struct load_source *beside; /* the files that belong to it: src_pos.file N is beside[N - 1] */
    size_t beside_count;
};

#define LOAD_SOURCE_INIT                                                                           \
    {                                                                                              \
        .text = BUF_INIT                                                                           \
    }
#define CLEANUP_LOAD_SOURCE CLEANUP(load_source_release)

struct load_options {
    struct yaml_limits limits;
};

#define LOAD_OPTIONS_INIT                                                                          \
    {                                                                                              \
        .limits = YAML_LIMITS_INIT                                                                 \
    }

void load_source_init(struct load_source *source, const char *name, const char *text, size_t len);
void load_source_release(struct load_source *source);

/* Adds a file beside the source, which takes over the text; returns its number for positions, 0
 * when there are too many. */
uint32_t load_source_add(struct load_source *source, const char *name, struct buf *text);
/* The one that a position is in. */
const struct load_source *load_source_at(const struct load_source *source, struct src_pos pos);

/* Reads a file, or standard input for "-". 0, or -1 with one error in diags: it does not exist, is
 * a directory, cannot be opened, is too large. The source's name is set in any case. Text that
 * comes from elsewhere (a URL) is put into a source with load_source_init(). Options may be NULL
 * for the defaults, here and below. */
int load_read(const char *path, const struct load_options *options, struct load_source *source,
              struct diag_list *diags) __attribute__((warn_unused_result));
/* Parses, sets the overrides, decodes and checks. NULL if there are errors. */
struct spec_pipeline *load_pipeline(const struct load_source *source,
                                    const struct load_options *options, struct diag_list *diags);

/* Adds what files may name: engines, and kinds of services; see engine_names.h and service_kinds.h.
 * Either may be NULL. */
void load_extend(const struct spec_engine_name *engine_names,
                 const struct spec_service_kind *service_kinds);

/* The file that is used when none is named: the first in `dir` of the names below, as a new string;
 * NULL if there is none. */
char *load_find_default(const char *dir) __attribute__((warn_unused_result));
/* ".pipeline.yaml, .pipeline.yml, .go-idp/pipeline.yaml", for messages. */
extern const char load_default_names[];
