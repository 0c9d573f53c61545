/* The opening handshake of a WebSocket connection. Pure. Source: RFC 6455, section 4. */
#pragma once

#include "apis/http/http.h"

#define WS_KEY_SIZE    25 /* with the NUL behind it */
#define WS_ACCEPT_SIZE 29

/* A new Sec-WebSocket-Key. */
void ws_key_new(char ret[WS_KEY_SIZE]);
/* The Sec-WebSocket-Accept that goes with a key. */
void ws_accept(const char *key, char ret[WS_ACCEPT_SIZE]);
/* Looks at an answer with status 101: ERR_PROTOCOL unless it accepts `key` and one of `protocols`
 * (NULL-terminated, may be NULL), or none. *ret_protocol is the chosen one, borrowed from
 * `protocols`, or NULL. */
int ws_handshake_check(const struct http_response *response, const char *key,
                       const char *const *protocols, const char **ret_protocol, struct err *err)
    __attribute__((warn_unused_result));
