/* Marks: files that stand for something that goes on, each in a folder of its kind. Who makes one
 * keeps it locked as long as it is alive. Internal to history/. */
#pragma once

#include "base/err.h"
#include "base/vec.h"

/* Runs that the store may not know the end of, so that nobody has to look at all others. */
#define MARKS_OPEN "open"
/* Servers that take runs from the store. */
#define MARKS_SERVERS "servers"
/* Runs that are followed at a server which does not hold them. */
#define MARKS_FOLLOWED "followed"
/* Containers of launchers that servers are making. */
#define MARKS_LAUNCHERS "launchers"

/* Returns a descriptor, or -1. As long as that is open nobody takes the mark for one that was left
 * behind: of a run, its record is on the way. */
int mark_add(const char *dir, const char *kind, const char *name, struct err *err)
    __attribute__((warn_unused_result));
/* Has that mark, of that kind, on the disk when it returns. */
int mark_sync(const char *dir, const char *kind, int mark, struct err *err)
    __attribute__((warn_unused_result));
void mark_remove(const char *dir, const char *kind, const char *name);
/* A descriptor of a mark that nobody holds, and none can as long as it is open; -1: there is no
 * such mark. */
int mark_take(const char *dir, const char *kind, const char *name);
bool mark_exists(const char *dir, const char *kind, const char *name);
/* Adds the names of all; none of a history that nothing was ever recorded in. */
int marks_list(const char *dir, const char *kind, struct strvec *out, struct err *err)
    __attribute__((warn_unused_result));
