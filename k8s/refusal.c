#include "k8s/refusal.h"

#include <string.h>

#include "base/json_at.h"

static bool has(const json_t *status, const char *words)
{
    return strstr(json_at_string(status, "message"), words);
}

static bool has_conflict(const json_t *status)
{
    const json_t *cause;
    size_t i;

    json_array_foreach (json_at(status, "details.causes"), i, cause) {
        if (strcmp(json_at_string(cause, "reason"), "FieldManagerConflict") == 0)
            return true;
    }
    return false;
}

static bool is_passing(const json_t *status)
{
    const int64_t code = json_at_int(status, "code");

    switch (code) {
    case 403: /* of a namespace that was made just now */
        return has(status, "error looking up service account") ||
               has(status, "no API token found for service account");
    case 409: /* somebody wrote it, or its quota, in between */
        return !has_conflict(status) && !has(status, "being deleted");
    case 500:
        return has(status, "failed calling webhook") || has(status, "failed calling admission");
    default:
        return code == 429 || code > 501;
    }
}

/* Each kind has words of its own for it. */
static bool is_immutable(const json_t *status)
{
    static const char *const words[] = {"field is immutable",
                                        "is immutable after creation",
                                        "updates to statefulset spec",
                                        "cannot change roleRef",
                                        "updates to parameters are forbidden",
                                        "updates to provisioner",
                                        "may not be changed in an update",
                                        "may not change fields other",
                                        "pod updates may not",
                                        "is immutable",
                                        "Forbidden: may not be changed"};

    for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++) {
        if (has(status, words[i]))
            return true;
    }
    return false;
}

enum refusal refusal_of(const json_t *status)
{
    const int64_t code = json_at_int(status, "code");

    if (code == 409 && has_conflict(status))
        return REFUSAL_CONFLICT;
    if ((code == 422 || code == 403) && is_immutable(status))
        return REFUSAL_IMMUTABLE;
    return is_passing(status) ? REFUSAL_PASSING : REFUSAL_OTHER;
}

/* The manager's name out of: conflict with "NAME" using v1. */
static void add_manager(const char *message, struct buf *out)
{
    const char *begin = strchr(message, '"');
    const char *end = begin ? strchr(begin + 1, '"') : NULL;

    if (end)
        buf_addf(out, "owned by %.*s", (int)(end - begin - 1), begin + 1);
    else
        buf_addstr(out, message);
}

static void add_conflicts(const json_t *status, struct buf *out)
{
    const json_t *cause;
    size_t i;

    buf_addstr(out, "others manage fields that this would change:\n");
    json_array_foreach (json_at(status, "details.causes"), i, cause) {
        buf_addf(out, "  %s: ", json_at_string(cause, "field"));
        add_manager(json_at_string(cause, "message"), out);
        buf_addch(out, '\n');
    }
    buf_addstr(out, "leave these fields out of the manifest, or take them over with "
                    "--force-conflicts");
}

void refusal_add_text(const json_t *status, struct buf *out)
{
    const enum refusal kind = refusal_of(status);

    if (kind == REFUSAL_CONFLICT) {
        add_conflicts(status, out);
        return;
    }
    buf_addstr(out, json_at_string(status, "message"));
    if (kind == REFUSAL_IMMUTABLE)
        buf_addstr(out, "\nthis cannot be changed in place: delete the object first, or let "
                        "--replace delete it and create it anew");
}
