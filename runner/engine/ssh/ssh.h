/* The ssh engine: steps on a host by the SSH protocol (apis/ssh/).
 *
 *     ssh://USER@HOST                and the other forms of apis/ssh/url.h
 *
 *     instance    a host: connections, and the helper there (machine.h)
 *     place       where the steps of a job run: the login directory, or a copy of the workspace
 *     run         a request to a relay of the helper, over a lane; a connection that breaks is made
 *                 again, and goes on where the other was
 *
 * Nothing has to be noted about what is made there: it ends by itself when its runner does. */
#pragma once

#include "engine/engine.h"

extern const struct engine ssh_engine;
