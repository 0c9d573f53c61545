#include "k8s/setting.h"

#include <stdarg.h>
#include <string.h>

#include "base/nearest.h"

#define NAME_CHARACTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-"

void setting_path(const struct setting *setting, struct buf *out)
{
    if (!setting->parent) {
        buf_addstr(out, setting->name);
        return;
    }
    setting_path(setting->parent, out);
    if (!setting->name)
        buf_addf(out, "[%zu]", setting->index);
    else if (setting->name[0] && !setting->name[strspn(setting->name, NAME_CHARACTERS)])
        buf_addf(out, ".%s", setting->name);
    else
        buf_addf(out, "[\"%s\"]", setting->name);
}

int setting_error(const struct setting *setting, struct err *err, const char *fmt, ...)
{
    CLEANUP_BUF struct buf text = BUF_INIT;
    va_list args;

    setting_path(setting, &text);
    buf_addch(&text, ' ');
    va_start(args, fmt);
    buf_vaddf(&text, fmt, args);
    va_end(args);
    return err_set(err, ERR_INVALID, "%s", text.data);
}

struct setting setting_member(const struct setting *object, const char *name, const json_t *value)
{
    return (struct setting){.parent = object, .name = name, .value = value};
}

struct setting setting_item(const struct setting *array, size_t index)
{
    return (struct setting){.parent = array,
                            .index = index,
                            .value = json_array_get(array->value, index)};
}

bool setting_get(const struct setting *object, const char *name, struct setting *ret)
{
    const json_t *value = json_object_get(object->value, name);

    if (!value || json_is_null(value))
        return false;
    *ret = setting_member(object, name, value);
    return true;
}

bool setting_has(const struct setting *object, const char *name)
{
    struct setting ignored;

    return setting_get(object, name, &ignored);
}

bool setting_is_object(const struct setting *setting, struct err *err)
{
    if (!json_is_object(setting->value))
        setting_error(setting, err, "must be a map");
    return json_is_object(setting->value);
}

bool setting_is_array(const struct setting *setting, struct err *err)
{
    if (!json_is_array(setting->value))
        setting_error(setting, err, "must be a list");
    return json_is_array(setting->value);
}

const char *setting_string(const struct setting *setting, struct err *err)
{
    const char *text = json_string_value(setting->value);

    if (!text)
        setting_error(setting, err, "must be a string; put quotes around it");
    else if (!*text)
        setting_error(setting, err, "must not be empty");
    return text && *text ? text : NULL;
}

int setting_bool(const struct setting *setting, bool *ret, struct err *err)
{
    if (!json_is_boolean(setting->value))
        return setting_error(setting, err, "must be true or false");
    *ret = json_is_true(setting->value);
    return 0;
}

int setting_quantity(const struct setting *setting, struct quantity *ret, json_t **ret_text,
                     struct err *err)
{
    CLEANUP_FREE char *number = NULL;
    const char *text = json_string_value(setting->value);
    struct err reason = ERR_INIT;

    if (json_is_number(setting->value))
        text = number = json_dumps(setting->value, JSON_ENCODE_ANY | JSON_REAL_PRECISION(15));
    if (!text)
        return setting_error(setting, err, "must be a quantity, such as \"500m\" or \"64Mi\"");
    if (quantity_parse(text, ret, &reason) < 0)
        return setting_error(setting, err, "must be a quantity: %s", reason.message);
    if (ret->whole < 0 || ret->nano < 0)
        return setting_error(setting, err, "must not be less than nothing");
    *ret_text = json_string(text);
    return 0;
}

static bool is_known(const char *name, const char *const *names)
{
    for (; *names; names++) {
        if (strcmp(name, *names) == 0)
            return true;
    }
    return false;
}

static int unknown(const struct setting *setting, const char *const *names, struct err *err)
{
    struct nearest nearest = {.text = setting->name};
    CLEANUP_BUF struct buf list = BUF_INIT;

    for (; *names; names++) {
        nearest_offer(&nearest, *names);
        buf_addf(&list, "%s%s", list.len ? ", " : "", *names);
    }
    if (nearest.best)
        return setting_error(setting, err, "is not known; did you mean \"%s\"?", nearest.best);
    return setting_error(setting, err, "is not known; known are %s", list.data);
}

int setting_known(const struct setting *setting, const char *const *names, struct err *err)
{
    const char *name;
    json_t *value;

    if (!setting_is_object(setting, err))
        return -1;
    json_object_foreach ((json_t *)setting->value, name, value) {
        const struct setting member = setting_member(setting, name, value);

        if (!is_known(name, names))
            return unknown(&member, names, err);
    }
    return 0;
}

int setting_copy_string(const struct setting *object, const char *name, json_t *to,
                        const char *field, struct err *err)
{
    struct setting setting;

    if (!setting_get(object, name, &setting))
        return 0;
    if (!setting_string(&setting, err))
        return -1;
    json_object_set_new(to, field, json_copy((json_t *)setting.value));
    return 0;
}
