#include <jansson.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/json_at.h"
#include "launch/inside.h"

/* What is said beside the file, row by row. */
enum kind { TEXT, FLAG, NUMBER, PAIRS, LIST };

static const struct member {
    const char *name;
    enum kind kind;
    size_t offset;
} members[] = {
#define ROW(field, kind)                                                                           \
    {                                                                                              \
#field, kind, offsetof(struct prepare_args, field)                                         \
    }
    ROW(workdir, TEXT),       ROW(image, TEXT),        ROW(engine, TEXT),        ROW(env, PAIRS),
    ROW(env_files, LIST),     ROW(inputs, PAIRS),      ROW(allow_env, LIST),     ROW(strict, FLAG),
    ROW(allow_all_env, FLAG), ROW(overrides, LIST),    ROW(only, LIST),          ROW(skip, LIST),
    ROW(from, LIST),          ROW(timeout_ms, NUMBER), ROW(refuse_nested, FLAG),
#undef ROW
};

#define MEMBER_COUNT (sizeof(members) / sizeof(*members))

/* --- writing --- */

/* NULL: something in it is not UTF-8. */
static json_t *pairs_to_json(const struct strmap *map)
{
    json_t *object = json_object();

    strmap_foreach (entry, map) {
        if (json_object_set_new(object, entry->key, json_string(entry->value)) < 0) {
            json_decref(object);
            return NULL;
        }
    }
    return object;
}

static json_t *list_to_json(const struct strvec *list)
{
    json_t *array = json_array();

    for (size_t i = 0; i < list->len; i++) {
        if (json_array_append_new(array, json_string(list->items[i])) < 0) {
            json_decref(array);
            return NULL;
        }
    }
    return array;
}

static json_t *member_to_json(const struct prepare_args *args, const struct member *member)
{
    const char *at = (const char *)args + member->offset;

    switch (member->kind) {
    case TEXT:
        return *(char *const *)at ? json_string(*(char *const *)at) : json_null();
    case FLAG:
        return json_boolean(*(const bool *)at);
    case NUMBER:
        return json_integer(*(const int64_t *)at);
    case PAIRS:
        return pairs_to_json((const struct strmap *)at);
    case LIST:
        return list_to_json((const struct strvec *)at);
    }
    return NULL;
}

static int set(json_t *object, const char *name, json_t *value, struct err *err)
{
    if (json_object_set_new(object, name, value) == 0)
        return 0;
    return err_set(err, ERR_INVALID, "the %s of the run is not UTF-8", name);
}

static int set_text(json_t *object, const char *name, const char *text, struct err *err)
{
    return text ? set(object, name, json_string(text), err) : 0;
}

static int fill(const struct launch_request *request, json_t *head, struct err *err)
{
    if (set_text(head, "name", request->name, err) < 0 ||
        set_text(head, "origin", request->origin, err) < 0 ||
        set_text(head, "user", request->user, err) < 0 ||
        set_text(head, "directory", request->directory, err) < 0)
        return -1;
    for (size_t i = 0; request->args && i < MEMBER_COUNT; i++) {
        if (set(head, members[i].name, member_to_json(request->args, &members[i]), err) < 0)
            return -1;
    }
    return 0;
}

int launch_request_write(const struct launch_request *request, struct buf *out, struct err *err)
{
    json_t *head = json_object();
    char *text = fill(request, head, err) < 0 ? NULL : json_dumps(head, JSON_COMPACT);

    json_decref(head);
    if (!text)
        return -1;
    buf_add(out, text, strlen(text) + 1);
    free(text);
    if (request->size > LAUNCH_REQUEST_MAX || out->len > LAUNCH_REQUEST_MAX - request->size)
        return err_set(err, ERR_INVALID, "the pipeline and its options are larger than %d MiB",
                       LAUNCH_REQUEST_MAX >> 20);
    buf_add(out, request->text, request->size);
    return 0;
}

/* --- reading --- */

static void member_from_json(const json_t *head, const struct member *member,
                             struct prepare_args *args)
{
    char *at = (char *)args + member->offset;

    switch (member->kind) {
    case TEXT:
        if (json_is_string(json_at(head, member->name)))
            *(char **)at = json_at_dup(head, member->name);
        break;
    case FLAG:
        *(bool *)at = json_at_bool(head, member->name);
        break;
    case NUMBER:
        *(int64_t *)at = json_at_int(head, member->name);
        break;
    case PAIRS:
        json_at_strmap(head, member->name, (struct strmap *)at);
        break;
    case LIST:
        json_at_strvec(head, member->name, (struct strvec *)at);
        break;
    }
}

static char *text_of(const json_t *head, const char *name)
{
    return json_is_string(json_at(head, name)) ? json_at_dup(head, name) : NULL;
}

int launch_request_read(struct buf *bytes, struct launch_read *ret, struct err *err)
{
    size_t head_size = strnlen(bytes->data, bytes->len);
    json_t *head = head_size < bytes->len ? json_loadb(bytes->data, head_size, 0, NULL) : NULL;

    *ret = (struct launch_read){.bytes = *bytes};
    *bytes = (struct buf)BUF_INIT;
    if (!json_is_object(head)) {
        json_decref(head);
        return err_set(err, ERR_PROTOCOL, "the launcher got something that is no request");
    }
    ret->name = text_of(head, "name");
    ret->origin = text_of(head, "origin");
    ret->user = text_of(head, "user");
    ret->directory = text_of(head, "directory");
    for (size_t i = 0; i < MEMBER_COUNT; i++)
        member_from_json(head, &members[i], &ret->args);
    json_decref(head);
    ret->request = (struct launch_request){.text = ret->bytes.data + head_size + 1,
                                           .size = ret->bytes.len - head_size - 1,
                                           .name = ret->name ? ret->name : "pipeline",
                                           .origin = ret->origin,
                                           .user = ret->user,
                                           .directory = ret->directory,
                                           .args = &ret->args};
    return 0;
}

static void member_release(struct prepare_args *args, const struct member *member)
{
    char *at = (char *)args + member->offset;

    if (member->kind == TEXT)
        free(*(char **)at);
    else if (member->kind == PAIRS)
        strmap_release((struct strmap *)at);
    else if (member->kind == LIST)
        strvec_release((struct strvec *)at);
}

void launch_read_release(struct launch_read *read)
{
    for (size_t i = 0; i < MEMBER_COUNT; i++)
        member_release(&read->args, &members[i]);
    buf_release(&read->bytes);
    free(read->name);
    free(read->origin);
    free(read->user);
    free(read->directory);
}
