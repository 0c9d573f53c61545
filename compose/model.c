/* Readers of the model. */
#include "compose/model.h"

#include <stdarg.h>
#include <stdlib.h>

#include "compose/places.h"
#include "compose/reader.h"

void compose_project_free(struct compose_project *project)
{
    if (!project)
        return;
    free(project->name);
    free(project->working_dir);
    strvec_release(&project->files);
    json_decref(project->model);
    json_decref(project->disabled);
    strmap_release(&project->environment);
    strvec_release(&project->order);
    compose_places_free(project->places);
    free(project);
}

bool compose_locate(const struct compose_project *project, const json_t *value,
                    const char **ret_file, struct src_pos *ret_pos)
{
    const struct compose_place *place = compose_places_get(project->places, value);

    if (!place)
        return false;
    *ret_file = place->file->name;
    *ret_pos = place->pos;
    return true;
}

int compose_error(const struct compose_project *project, const json_t *value, struct err *err,
                  enum err_code code, const char *fmt, ...)
{
    CLEANUP_BUF struct buf message = BUF_INIT;
    const char *file;
    struct src_pos pos;
    va_list args;

    if (compose_locate(project, value, &file, &pos))
        buf_addf(&message, "%s:%u:%u: ", file, pos.line, pos.column);
    va_start(args, fmt);
    buf_vaddf(&message, fmt, args);
    va_end(args);
    return err_set(err, code, "%s", message.data);
}

static json_t *resource(const struct compose_project *project, const char *section, const char *key)
{
    return json_object_get(json_object_get(project->model, section), key);
}

json_t *compose_service(const struct compose_project *project, const char *name)
{
    return resource(project, "services", name);
}

json_t *compose_network(const struct compose_project *project, const char *key)
{
    return resource(project, "networks", key);
}

json_t *compose_volume(const struct compose_project *project, const char *key)
{
    return resource(project, "volumes", key);
}

json_t *compose_secret(const struct compose_project *project, const char *key)
{
    return resource(project, "secrets", key);
}

json_t *compose_config(const struct compose_project *project, const char *key)
{
    return resource(project, "configs", key);
}

const char *compose_string(const json_t *object, const char *name)
{
    return json_string_value(json_object_get(object, name));
}

bool compose_bool(const json_t *object, const char *name, bool otherwise)
{
    const json_t *value = json_object_get(object, name);

    return json_is_boolean(value) ? json_is_true(value) : otherwise;
}

int64_t compose_int(const json_t *object, const char *name, int64_t otherwise)
{
    const json_t *value = json_object_get(object, name);

    return json_is_integer(value) ? json_integer_value(value) : otherwise;
}

double compose_number(const json_t *object, const char *name, double otherwise)
{
    const json_t *value = json_object_get(object, name);

    return json_is_number(value) ? json_number_value(value) : otherwise;
}

int64_t compose_bytes(const json_t *object, const char *name, int64_t otherwise)
{
    const char *text = compose_string(object, name);

    return text ? strtoll(text, NULL, 10) : otherwise;
}

int64_t compose_duration_ms(const json_t *object, const char *name, int64_t otherwise)
{
    const char *text = compose_string(object, name);
    int64_t ns;

    if (!text || compose_parse_duration(text, &ns, NULL) < 0)
        return otherwise;
    return ns / 1000000;
}

bool compose_strings(const json_t *object, const char *name, struct strvec *out)
{
    json_t *list = json_object_get(object, name);
    json_t *item;
    size_t i;

    json_array_foreach (list, i, item)
        strvec_push(out, json_string_value(item));
    return json_is_array(list);
}

void compose_pairs(const json_t *object, const char *name, struct strmap *out)
{
    const char *key;
    json_t *value;

    json_object_foreach (json_object_get(object, name), key, value) {
        if (json_is_string(value))
            strmap_set(out, key, json_string_value(value));
    }
}

int64_t compose_scale(const json_t *service)
{
    int64_t replicas = compose_int(json_object_get(service, "deploy"), "replicas", 1);

    return compose_int(service, "scale", replicas);
}
