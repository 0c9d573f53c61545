#include "apis/docker/path.h"

void docker_path(struct buf *out, const char *collection, const char *name, const char *action)
{
    buf_addf(out, "/%s/", collection);
    while (*name) {
        size_t len = strcspn(name, "/:");
        char part[512];

        if (!len) {
            buf_addch(out, *name++);
            continue;
        }
        if (len >= sizeof(part))
            len = sizeof(part) - 1;
        memcpy(part, name, len);
        part[len] = '\0';
        http_escape(out, part);
        name += len;
    }
    if (action)
        buf_addf(out, "/%s", action);
}

void docker_path_query(struct buf *out, const char *key, const char *value)
{
    if (!value)
        return;
    buf_addf(out, "%c%s=", memchr(out->data, '?', out->len) ? '&' : '?', key);
    http_escape(out, value);
}
