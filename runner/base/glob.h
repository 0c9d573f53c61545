/* Globs over paths: matching, and finding files below a directory.
 *
 *     CLEANUP_GLOB struct glob *glob = NULL;
 *     CLEANUP_GLOB_FOUND struct glob_found found = {0};
 *     glob_parse(patterns, count, GLOB_TREE, &glob, err);
 *     glob_find(ctx, "/repo", glob, &found, err);
 *
 * A pattern is a path relative to the root. `*`, `?` and `[…]` stand for characters of one part of
 * a path, `**` as a whole part for any number of parts, `{a,b}` for alternatives; a backslash takes
 * the meaning away. Names that begin with a dot are like all others. A slash at the end asks for a
 * directory. A pattern behind `!` excludes; the last pattern that matches a path decides, and if
 * all of them exclude, everything else matches.
 *
 * With GLOB_TREE a pattern that matches a directory means all that is below it, too.
 *
 * Symbolic links are found but never followed, so that nothing outside of the root is looked at and
 * loops do not matter. Threads: a parsed glob never changes. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"
#include "base/cleanup.h"
#include "base/ctx.h"
#include "base/err.h"
#include "base/vec.h"

enum {
    GLOB_PARTS_MAX = 60,          /* of one pattern */
    GLOB_ALTERNATIVES_MAX = 1024, /* of all patterns together, when {a,b} is written out */
    GLOB_FOUND_MAX = 5000000,
};

enum glob_mode { GLOB_EXACT, GLOB_TREE };

struct glob;

#define CLEANUP_GLOB CLEANUP(glob_cleanup)

/* ERR_INVALID: a pattern is empty, absolute or has a part `..`; ERR_LIMIT. */
int glob_parse(const char *const *patterns, size_t count, enum glob_mode mode, struct glob **ret,
               struct err *err) __attribute__((warn_unused_result));
void glob_free(struct glob *glob);

static inline void glob_cleanup(struct glob **glob)
{
    glob_free(*glob);
}

/* `path` is relative to the root; what its last part names counts as no directory. */
bool glob_match(const struct glob *glob, const char *path);

struct glob_entry {
    const char *path;   /* relative to the root */
    unsigned char type; /* DT_REG, DT_DIR, DT_LNK … of <dirent.h> */
};

struct glob_found {
    struct glob_entry *items; /* by path, byte by byte */
    size_t len;
    size_t cap;
    struct arena paths;
};

#define CLEANUP_GLOB_FOUND CLEANUP(glob_found_release)

void glob_found_release(struct glob_found *found);

/* Adds all that matches below `root`, which may be a symbolic link. A root that does not exist has
 * nothing in it, and what vanishes meanwhile is not found; a directory that matters and may not be
 * read is an error. */
int glob_find(const struct ctx *ctx, const char *root, const struct glob *glob,
              struct glob_found *ret, struct err *err) __attribute__((warn_unused_result));
/* Adds paths relative to the root such that all that matches is one of them or below one; "" is the
 * root itself. None is below another. */
void glob_starts(const struct glob *glob, struct strvec *ret);
/* Whether there is anything that matches; stops at the first. */
int glob_exists(const struct ctx *ctx, const char *root, const struct glob *glob, bool *ret,
                struct err *err) __attribute__((warn_unused_result));
