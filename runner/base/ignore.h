/* Which files of a directory are left out when it is copied, as a file in it says in the words of
 * gitignore(5): a line is a pattern; "#" begins a comment; "!" takes back; a slash at the end means
 * directories only; one at the beginning or in the middle binds the pattern to the root, else it
 * holds at every depth. The last pattern that matches decides. What is in a directory that is left
 * out cannot be taken back.
 *
 * Threads: what has been read never changes. */
#pragma once

#include <stdbool.h>

#include "base/cleanup.h"
#include "base/err.h"

/* The file that says it. */
#define IGNORE_FILE ".runnerignore"

struct ignore;

/* Of the directory; *ret is NULL when it has no such file. ERR_INVALID names file and line. */
int ignore_read(const char *directory, struct ignore **ret, struct err *err)
    __attribute__((warn_unused_result));
/* As image builders read it from `.dockerignore`: every pattern is bound to the root, one that
 * matches a directory means all that is below it, and any of that can be taken back. `keep` are
 * paths that are not left out whatever it says; NULL-terminated, may be NULL. Errors as above.
 * Source: Docker, "Build context", .dockerignore files. */
int ignore_read_docker(const char *directory, const char *const *keep, struct ignore **ret,
                       struct err *err) __attribute__((warn_unused_result));
void ignore_free(struct ignore *ignore);
static inline void ignore_freep(struct ignore **ignore)
{
    ignore_free(*ignore);
}
#define CLEANUP_IGNORE CLEANUP(ignore_freep)

/* `path` is relative to the directory. NULL leaves nothing out. */
bool ignore_match(const struct ignore *ignore, const char *path, bool is_directory);
/* Whether something in a directory that is left out may have been taken back. */
bool ignore_looks_inside(const struct ignore *ignore);
