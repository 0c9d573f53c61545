/* A server, as people name it: ws://USER:PASSWORD@HOST:PORT/PATH, also with wss, http, https, or
 * HOST:PORT alone. With TLS, ?ca=FILE names the certificates that may have signed the server's, in
 * place of the system's. Pure. */
#pragma once

#include "base/cleanup.h"
#include "base/err.h"

struct client_target {
    char *base_url;      /* "http://host:8080", without what comes behind it */
    char *path;          /* of the WebSocket, begins with a slash */
    char *authorization; /* "Authorization: Basic …"; NULL: nobody in particular. Overwritten on
                          * release */
    char *name;          /* for messages: without user and password */
    char *ca_file;       /* NULL: the certificates of the system */
};

#define CLEANUP_CLIENT_TARGET CLEANUP(client_target_release)

/* What the address says counts more than `user` and `password`, and `path` more than what the
 * address says; each may be NULL. ERR_INVALID, without the password in it. */
int client_target_parse(const char *server, const char *path, const char *user,
                        const char *password, struct client_target *ret, struct err *err)
    __attribute__((warn_unused_result));
void client_target_release(struct client_target *target);
