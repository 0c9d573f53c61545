/* The host engine: steps as local processes, each under a supervisor (supervisor.h) that the keeper
 * starts on demand. A supervisor that has become idle serves the next step; there are never more of
 * them than steps have run at the same time.
 *
 * The program sees exactly the environment of the runnable, /dev/null as its standard input, and no
 * terminal. A program that cannot be executed gives the codes of a shell: 127 not found, 126
 * otherwise. */
#pragma once

#include "engine/engine.h"

extern const struct engine host_engine;
