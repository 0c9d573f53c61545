/* What a pipeline gets from dotenv files and secrets: the variables under those of the file, and
 * those over them. From the weakest: `env_files`, `secrets`, the file's `environment`, --env-file,
 * -e. */
#pragma once

#include "base/diag.h"
#include "base/map.h"
#include "base/vec.h"
#include "mask/mask.h"
#include "spec/spec.h"

struct variables {
    struct strmap below; /* `env_files`, `secrets` */
    struct strmap above; /* --env-file, -e */
};

struct variables_options {
    const struct strmap *env;         /* -e */
    const struct strvec *files;       /* --env-file */
    const char *directory;            /* of relative paths; NULL: the current one */
    const struct strmap *passthrough; /* for ${NAME} in paths and dotenv files */
    /* Gets the values of secrets. NULL: nothing will run, and they may be missing. */
    struct mask *mask;
};

/* Reads all there is, and adds what is wrong, all of it, to diags. */
void variables_collect(const struct spec_pipeline *spec, const struct variables_options *options,
                       struct variables *ret, struct diag_list *diags);
/* The file that a string of the pipeline file names, seen from that file's directory; the caller
 * frees. NULL: the string cannot be expanded, which has been added to diags. */
char *variables_find_file(const struct spec_pipeline *spec, const struct variables_options *options,
                          struct variables *variables, const struct spec_str *text,
                          struct diag_list *diags) __attribute__((warn_unused_result));
void variables_release(struct variables *variables);
