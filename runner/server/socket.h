/* A WebSocket connection: the protocol of clients that submit a pipeline and see its output, with
 * and without the subprotocol runner.v2 (docs/server.md).
 *
 * The loop hands messages over and takes frames; workers do what a message asks for, one message
 * after the other. What runs say comes from the feed and is only looked at here. */
#pragma once

#include "server/web.h"

struct server;

/* Takes the request over. */
struct web_stream *socket_new(struct server *server, struct web_request *request, bool is_v2);
