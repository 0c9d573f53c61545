/* What deploy.c, turn.c and take_back.c share beyond kind.h. */
#pragma once

#include "engine/deploy/kind.h"

struct deploy_instance {
    const struct engine *engine; /* must be first */
    const struct deploy_kind *kind;
    const struct engine_services *services;
    void *connection;
    char *noted;  /* address for the journal */
    char *object; /* of the address that it was connected with; NULL: none */
};

/* Takes the object out of the journal, and out of nothing else. */
void deployed_drop_note(const struct deployed *deployed, const char *object);

/* Waits until no other step, of this runner or another one of this user, brings up or removes what
 * has that name there, and keeps it so until deployed_leave(). */
int deployed_enter(const struct ctx *ctx, struct deployed *deployed, struct err *err)
    __attribute__((warn_unused_result));
/* Also if it has not entered. */
void deployed_leave(struct deployed *deployed);

/* Removes what has been noted, in a time of its own. What cannot be removed is told, and stays in
 * the journal for the next sweep. */
void deployed_take_back(struct deployed *deployed);
