/* Mounts: [SOURCE:]TARGET[:OPTION,…]. */
#include <string.h>

#include "base/alloc.h"
#include "base/vec.h"
#include "compose/reader.h"

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* Cuts at colons, except for that behind the letter of a drive of Windows. */
static void split_colons(const char *text, struct strvec *parts)
{
    const char *start = text;

    for (const char *s = text; *s; s++) {
        if (*s != ':' || (s == start + 1 && is_letter(*start)))
            continue;
        strvec_push_owned(parts, xstrndup(start, (size_t)(s - start)));
        start = s + 1;
    }
    strvec_push(parts, start);
}

static bool is_path(const char *source)
{
    return strchr("./~", *source) || strncmp(source, "\\\\", 2) == 0 ||
           (is_letter(source[0]) && source[1] == ':');
}

/* "/a//b/../c/" as "/a/c". */
static char *clean_path(const char *path)
{
    struct buf out = BUF_INIT;
    bool absolute = *path == '/';

    while (*path) {
        size_t len = strcspn(path, "/");
        char *slash = strrchr(out.data, '/');

        if (len == 2 && strncmp(path, "..", 2) == 0 && out.len &&
            strcmp(slash ? slash + 1 : out.data, "..") != 0)
            buf_truncate(&out, slash ? (size_t)(slash - out.data) : 0);
        else if (len == 2 && strncmp(path, "..", 2) == 0 && absolute)
            ;
        else if (len && !(len == 1 && *path == '.')) {
            if (out.len || absolute)
                buf_addch(&out, '/');
            buf_add(&out, path, len);
        }
        path += len;
        path += *path == '/';
    }
    if (!out.len)
        buf_addstr(&out, absolute ? "/" : ".");
    return buf_steal(&out);
}

static bool is_one_of(const char *word, const char *const *words)
{
    for (; *words; words++) {
        if (strcmp(word, *words) == 0)
            return true;
    }
    return false;
}

static void set_option(struct compose_reader *r, const struct node_path *path,
                       const struct yaml_node *node, const char *option, json_t *mount)
{
    static const char *const propagations[] = {"rprivate", "private", "rshared", "shared",
                                               "rslave",   "slave",   NULL};
    json_t *bind = json_object_get(mount, "bind");
    json_t *volume = json_object_get(mount, "volume");

    if (strcmp(option, "ro") == 0)
        json_object_set_new(mount, "read_only", json_true());
    else if (strcmp(option, "rw") == 0)
        json_object_del(mount, "read_only");
    else if (strcmp(option, "nocopy") == 0 && volume)
        json_object_set_new(volume, "nocopy", json_true());
    else if (is_one_of(option, propagations) && bind)
        json_object_set_new(bind, "propagation", json_string(option));
    else if ((strcmp(option, "z") == 0 || strcmp(option, "Z") == 0) && bind)
        json_object_set_new(bind, "selinux", json_string(option));
    else
        compose_reader_warn(r, path, node, "the option \"%s\" of a mount means nothing here",
                            option);
}

static json_t *read_parts(struct compose_reader *r, const struct node_path *path,
                          const struct yaml_node *node, const struct strvec *parts)
{
    const char *source = parts->len > 1 ? parts->items[0] : NULL;
    const char *target = parts->items[parts->len > 1 ? 1 : 0];
    CLEANUP_FREE char *clean = clean_path(target);
    json_t *mount;

    if (source && is_path(source)) {
        CLEANUP_FREE char *absolute = compose_path(r->directory, source);

        mount = json_pack("{s:s, s:s, s:s, s:{}}", "type", "bind", "source", absolute, "target",
                          clean, "bind");
    } else if (!source && strlen(target) <= 2) {
        /* Docker Compose writes no "volume" then, which its hashes show. */
        mount = json_pack("{s:s, s:s}", "type", "volume", "target", clean);
    } else {
        mount = json_pack("{s:s, s:s*, s:s, s:{}}", "type", "volume", "source", source, "target",
                          clean, "volume");
    }
    if (parts->len > 2) {
        CLEANUP_FREE char *options = xstrdup(parts->items[2]);

        for (char *option = options; option;) {
            char *comma = strchr(option, ',');

            if (comma)
                *comma = '\0';
            set_option(r, path, node, option, mount);
            option = comma ? comma + 1 : NULL;
        }
    }
    return compose_placed(r, node, mount);
}

json_t *compose_read_volume(struct compose_reader *r, const struct node_path *path,
                            const struct yaml_node *node)
{
    CLEANUP_FREE char *text = compose_read_string(r, path, node, false);
    CLEANUP_STRVEC struct strvec parts = {0};
    const char *problem = NULL;

    if (!text)
        return NULL;
    split_colons(text, &parts);
    if (parts.len > 3)
        problem = "there are too many colons";
    for (size_t i = 0; i < parts.len; i++) {
        if (!*parts.items[i])
            problem = "a part of it is empty";
    }
    if (!problem)
        return read_parts(r, path, node, &parts);
    compose_reader_error(r, path, node, "\"%s\" is not [SOURCE:]TARGET[:OPTIONS]: %s", text,
                         problem);
    return NULL;
}

void compose_check_volume(struct compose_reader *r, const struct node_path *path,
                          const struct yaml_node *node, json_t *object)
{
    const char *type = json_string_value(json_object_get(object, "type"));
    const char *source = json_string_value(json_object_get(object, "source"));
    const char *target = json_string_value(json_object_get(object, "target"));

    if (target) {
        CLEANUP_FREE char *clean = clean_path(target);

        json_object_set_new(object, "target", json_string(clean));
    } else {
        compose_reader_error(r, path, node, "%s", "a mount needs \"target\"");
    }
    if (!type || strcmp(type, "bind") != 0)
        return;
    if (source && *source) {
        CLEANUP_FREE char *absolute = compose_path(r->directory, source);

        json_object_set_new(object, "source", json_string(absolute));
    } else {
        compose_reader_error(r, path, node, "a mount of type bind needs \"source\"");
    }
}
