#include "compose/keys.h"

#include <string.h>

static const char *member(const json_t *item, const char *name, const char *otherwise)
{
    const char *text = json_string_value(json_object_get(item, name));

    return text ? text : otherwise;
}

static void add_until(const json_t *item, char end, struct buf *out)
{
    const char *text = json_string_value(item);

    if (text)
        buf_add(out, text, strcspn(text, (char[]){end, '\0'}));
}

void compose_key_text(const json_t *item, struct buf *out)
{
    add_until(item, '=', out);
}

void compose_key_tmpfs(const json_t *item, struct buf *out)
{
    add_until(item, ':', out);
}

void compose_key_port(const json_t *item, struct buf *out)
{
    buf_addf(out, "%s:%s:%lld/%s", member(item, "host_ip", "0.0.0.0"),
             member(item, "published", ""),
             (long long)json_integer_value(json_object_get(item, "target")),
             member(item, "protocol", "tcp"));
}

void compose_key_target(const json_t *item, struct buf *out)
{
    buf_addstr(out, member(item, "target", member(item, "source", "")));
}

static void add_mount(const json_t *item, const char *directory, struct buf *out)
{
    const char *target = member(item, "target", NULL);

    if (target)
        buf_addstr(out, target);
    else
        buf_addf(out, "%s/%s", directory, member(item, "source", ""));
}

void compose_key_secret(const json_t *item, struct buf *out)
{
    add_mount(item, "/run/secrets", out);
}

void compose_key_config(const json_t *item, struct buf *out)
{
    add_mount(item, "", out);
}

void compose_key_path(const json_t *item, struct buf *out)
{
    buf_addstr(out, member(item, "path", ""));
}
