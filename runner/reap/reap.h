/* Reaping: removing what dead runs have left behind, wherever their journals point to.
 *
 * What has a living owner is never touched. Each engine decides by the journals, labels and leases
 * that it finds; this only says where to look, and removes the journals of runs of which nothing is
 * left. */
#pragma once

#include "base/vec.h"
#include "engine/engine.h"

struct reap_request {
    bool dry_run; /* only say what would be removed */
    /* Ask the default endpoint of every engine, also when no journal names it: for objects whose
     * journal was lost, e.g. in a reboot. */
    bool all;
    /* Likewise these: URLs of engines; NULL: none. */
    const struct strvec *endpoints;
    /* Called once for each thing: "container", "process", "directory", "journal" … */
    void (*found)(void *arg, const char *kind, const char *name, const char *run_id);
    /* An endpoint or journal that could not be dealt with; the others are gone on with. */
    void (*failed)(void *arg, const char *what, const struct err *err);
    void *arg; /* of both */
};

struct reap_result {
    size_t found;
    size_t failed;
};

/* `services` needs no run and no supervisor. -1 only when the journals cannot be read or the
 * context ended. */
int reap_run(const struct ctx *ctx, const struct engine *const *engines,
             const struct engine_services *services, const struct reap_request *request,
             struct reap_result *ret, struct err *err) __attribute__((warn_unused_result));
