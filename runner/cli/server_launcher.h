/* Which process starts the runs of a server, and whether this one is that process:
 *
 *     (nothing)                one that the server forks
 *     --launcher-container     one in another container, made by the server (ADR 49)
 *     --launcher-socket PATH   one that is there anyway, as in another container of the same pod
 *     --launcher-listen PATH   this is that one (ADR 50)
 *     --launcher-id ID         this is the one of --launcher-container */
#pragma once

#include "cli/engines.h"
#include "engine/docker/sibling.h"
#include "launch/launch.h"
#include "objstore/open.h"

struct server_launcher_args {
    bool container;
    char *socket;
    char *listen;
    char *id;
};

/* Rows of an option table, for an argument struct `of` with a member of that type, `launcher`. */
/* clang-format off */
#define SERVER_LAUNCHER_OPTIONS(of)                                                                \
    {"launcher-container", 0, CLI_FLAG, offsetof(of, launcher.container), NULL,                    \
     "for a server in a Docker container: have runs in another one beside it, so that they go on " \
     "when this one ends",                                                                         \
     NULL, NULL},                                                                                  \
    {"launcher-socket", 0, CLI_STRING, offsetof(of, launcher.socket), "PATH",                      \
     "have runs started by the process of --launcher-listen, as in another container of the same " \
     "pod",                                                                                        \
     NULL, NULL},                                                                                  \
    {"launcher-listen", 0, CLI_STRING, offsetof(of, launcher.listen), "PATH",                      \
     "be that process: no server, but what starts the runs of those that connect to this socket",  \
     NULL, NULL},                                                                                  \
    {"launcher-id", 0, CLI_STRING, offsetof(of, launcher.id), "ID", NULL, NULL, NULL}
/* clang-format on */

/* What a server and the launcher of its runs both know. */
struct server_launcher {
    const struct server_launcher_args *args;
    const struct cli_engine_args *engines;
    struct object_store_places *stores;
    const char *history;
    const char *work;
    int64_t log_bytes; /* of a run at most; 0: the default */
    int64_t drain_ms;
    /* What comes of it. */
    struct launcher *launcher;
    struct docker_sibling *sibling; /* its container, of --launcher-container */
};

/* ERR_INVALID: more than one of them. */
int server_launcher_check(const struct server_launcher_args *args, struct err *err)
    __attribute__((warn_unused_result));
/* This process is no server. */
bool server_launcher_is(const struct server_launcher_args *args);
/* Is it until its end; in a process of one thread. */
int server_launcher_be(const struct server_launcher *l, struct err *err)
    __attribute__((warn_unused_result));
/* In a process of one thread: forks the launcher, where that is what the server has. */
int server_launcher_fork(struct server_launcher *l, struct err *err)
    __attribute__((warn_unused_result));
/* Then there is one in any case. */
int server_launcher_join(const struct ctx *ctx, struct server_launcher *l, struct err *err)
    __attribute__((warn_unused_result));
/* `idle`: there are no runs. */
void server_launcher_leave(struct server_launcher *l, bool idle);
