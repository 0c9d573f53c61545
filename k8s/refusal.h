/* What a refused request means, as the server's Status says it. Pure.
 * Source: Kubernetes API conventions, "Response Status Kind"; "Server-Side Apply", conflicts. */
#pragma once

#include <jansson.h>

#include "base/buf.h"

enum refusal {
    REFUSAL_OTHER,
    REFUSAL_PASSING,   /* may be accepted in a moment: accounts and webhooks are on their way */
    REFUSAL_CONFLICT,  /* others own fields */
    REFUSAL_IMMUTABLE, /* something that cannot be changed in place */
};

/* `status` may be NULL. */
enum refusal refusal_of(const json_t *status);
/* Adds the whole message in lines, with what to do about it. */
void refusal_add_text(const json_t *status, struct buf *out);
