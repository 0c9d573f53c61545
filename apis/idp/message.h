/* The messages of an IDP agent. Each is one WebSocket message: a digit that says what it is, and
 * the rest. Pure.
 *
 * Text messages of an agent need not be UTF-8, against the WebSocket protocol: an exit code is one
 * raw byte, and output is whatever a command writes. So nobody may validate them.
 *
 * Source: github.com/go-idp/agent, entities/. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/map.h"

enum idp_type {
    IDP_COMMAND = '0', /* to the agent: idp_command_add() */
    IDP_PING = '1',    /* likewise, empty; no answer */
    IDP_AUTH = '2',    /* likewise: idp_auth_add() */
    IDP_AUTH_OK = '3',
    IDP_AUTH_FAILED = '4', /* a text that says why */
    IDP_STDOUT = '5',
    IDP_STDERR = '6',
    IDP_EXIT = '7',
    IDP_CANCEL = '8', /* to the agent, empty */
    IDP_CANCELLED = '9',
};

/* What an agent is to run. Strings may be NULL, numbers 0: not said. */
struct idp_command {
    const char *id; /* unique; names directories of the agent */
    const char *script;
    const struct strmap *environment; /* in UTF-8 */
    const char *shell;
    const char *user;
    int64_t timeout_ms;
    bool clean_workdir; /* the agent removes the directory that it has made for the command */
};

/* A message of the agent. */
struct idp_message {
    enum idp_type type;
    const char *data; /* behind the digit; borrowed */
    size_t len;
    int exit_code; /* of IDP_EXIT */
};

/* ERR_INVALID for what JSON cannot hold. */
int idp_auth_add(struct buf *out, const char *client_id, const char *client_secret, struct err *err)
    __attribute__((warn_unused_result));
/* Likewise. */
int idp_command_add(struct buf *out, const struct idp_command *command, struct err *err)
    __attribute__((warn_unused_result));

/* 1 with a message; 0 for one that means nothing to a client, such as an empty one, or a type that
 * is not known; -1 (ERR_PROTOCOL) for an exit without its code. */
int idp_parse(const char *data, size_t len, struct idp_message *ret, struct err *err)
    __attribute__((warn_unused_result));
