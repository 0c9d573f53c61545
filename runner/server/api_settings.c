/* Settings that may be changed while the server runs. */
#include "server/inside.h"

static void answer(struct server *server, struct web_response *response, const char *message)
{
    struct settings_values values = settings_read(&server->settings);
    json_t *object = settings_to_json(&values);

    if (message)
        json_object_set_new(object, "message", json_string(message));
    web_response_json(response, 200, object);
}

SERVER_HANDLER(settings_get)
{
    (void)ctx;
    (void)request;
    (void)err;
    answer(server, response, NULL);
    return 0;
}

SERVER_HANDLER(settings_post)
{
    json_t *body = web_body_json(request, err);
    int result;

    (void)ctx;
    if (!body)
        return -1;
    result = settings_change(&server->settings, body, err);
    json_decref(body);
    if (result < 0)
        return -1;
    queue_set_max_concurrent(server->queue,
                             (unsigned)settings_read(&server->settings).max_concurrent);
    answer(server, response, "settings saved");
    return 0;
}
