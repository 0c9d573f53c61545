#include "apis/idp/message.h"

#include <jansson.h>

#include "base/alloc.h"

static int add_message(struct buf *out, enum idp_type type, json_t *body, struct err *err)
{
    char *text = body ? json_dumps(body, JSON_COMPACT) : NULL;

    json_decref(body);
    if (!text)
        return err_set(err, ERR_INVALID, "what is sent to an IDP agent must be UTF-8");
    buf_addch(out, (char)type);
    buf_addstr(out, text);
    free(text);
    return 0;
}

int idp_auth_add(struct buf *out, const char *client_id, const char *client_secret, struct err *err)
{
    return add_message(out, IDP_AUTH,
                       json_pack("{s:s, s:s}", "client_id", client_id ? client_id : "",
                                 "client_secret", client_secret ? client_secret : ""),
                       err);
}

/* NULL: a value is not UTF-8. */
static json_t *environment_json(const struct strmap *environment)
{
    json_t *object = json_object();

    strmap_foreach (entry, environment) {
        if (json_object_set_new(object, entry->key, json_string(entry->value)) < 0) {
            json_decref(object);
            return NULL;
        }
    }
    return object;
}

int idp_command_add(struct buf *out, const struct idp_command *command, struct err *err)
{
    const struct strmap none = {0};
    json_t *environment = environment_json(command->environment ? command->environment : &none);
    json_t *body =
        environment
            ? json_pack("{s:s, s:s, s:o, s:s*, s:s*, s:I, s:b}", "id", command->id, "script",
                        command->script, "environment", environment, "shell", command->shell,
                        "user", command->user, "timeout", (json_int_t)command->timeout_ms,
                        "enable_clean_workdir", command->clean_workdir)
            : NULL;

    return add_message(out, IDP_COMMAND, body, err);
}

int idp_parse(const char *data, size_t len, struct idp_message *ret, struct err *err)
{
    if (len == 0)
        return 0;
    switch (*data) {
    case IDP_EXIT:
        if (len < 2)
            return err_set(err, ERR_PROTOCOL, "the agent says that a command has ended, not how");
        break;
    case IDP_AUTH_OK:
    case IDP_AUTH_FAILED:
    case IDP_STDOUT:
    case IDP_STDERR:
    case IDP_CANCELLED:
        break;
    default:
        return 0;
    }
    *ret = (struct idp_message){.type = (enum idp_type) * data,
                                .data = data + 1,
                                .len = len - 1,
                                .exit_code = *data == IDP_EXIT ? (unsigned char)data[1] : 0};
    return 1;
}
