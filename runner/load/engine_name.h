/* How an engine is written in a file and on the command line: a name, or a scheme in front of
 * "://". Source: pipeline file reference, section 5. */
#pragma once

#include "base/err.h"

/* Whether this version has the engine. The message names no more than the scheme: the rest may hold
 * a password. ERR_INVALID: there is none, or it takes no address; ERR_UNSUPPORTED: not built yet.
 */
int engine_name_check(const char *engine, struct err *err) __attribute__((warn_unused_result));
