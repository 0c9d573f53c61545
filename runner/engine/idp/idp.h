/* The idp engine: steps on the machine of an IDP agent, by the protocol of apis/idp/.
 *
 *     idp://CLIENT_ID:CLIENT_SECRET@HOST:PORT       a WebSocket, plain
 *     idps://CLIENT_ID:CLIENT_SECRET@HOST:PORT      over TLS; ?ca=FILE, ?insecure=true
 *
 * Each step has a connection of its own. What the protocol lacks comes by way of the helper, which
 * the command carries along (script.h): standard input for signals, files to and fro, an exit code
 * that is the program's, and the end of the whole process tree.
 *
 * Nothing outlives a connection, so that there is nothing to note, and nothing to sweep: when it
 * ends, the agent kills the shell of the command, and the helper the rest; when the agent ends, the
 * helper finds nobody who reads its output. */
#pragma once

#include "engine/engine.h"

extern const struct engine idp_engine;
