/* Directories that keep the runner's own state: who could write there could have it remove or show
 * what is not its own, so only those are used that belong to this user and to nobody else. */
#pragma once

#include <stdbool.h>

#include "base/err.h"
#include "base/vec.h"

/* Adds the directories that state may be in, best first: $XDG_RUNTIME_DIR/runner (only for what may
 * go with the login session), $XDG_STATE_HOME/runner, ~/.local/state/runner, /tmp/runner-UID. Each
 * once. */
void state_dirs(bool of_session, struct strvec *out);
/* Checks that the open directory can only be changed by this user. */
int state_dir_check(int dir_fd, const char *path, struct err *err)
    __attribute__((warn_unused_result));
/* Opens, and makes if need be, a directory that passes that check. */
int state_dir_open(const char *path, struct err *err) __attribute__((warn_unused_result));
/* Adds what the vector does not have yet; takes it over. */
void state_dirs_push(struct strvec *out, char *dir);
