#include "artifact/manifest.h"

#include <jansson.h>
#include <string.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/fs.h"
#include "base/utf8.h"

enum { VERSION = 1 };

/* -1: it is no regular file, or not there any more. */
static int64_t file_size(const struct glob_entry *entry, const char *root)
{
    CLEANUP_FREE char *path = NULL;
    struct stat st;

    if (entry->type != DT_REG)
        return -1;
    path = fs_join(root, entry->path);
    return lstat(path, &st) == 0 && S_ISREG(st.st_mode) ? (int64_t)st.st_size : -1;
}

void manifest_count(const struct glob_found *found, const char *root, int64_t *ret_files,
                    int64_t *ret_bytes)
{
    *ret_files = *ret_bytes = 0;
    for (size_t i = 0; i < found->len; i++) {
        int64_t size = file_size(&found->items[i], root);

        *ret_files += size >= 0 || found->items[i].type == DT_LNK;
        *ret_bytes += size > 0 ? size : 0;
    }
}

static json_t *string(const char *text)
{
    CLEANUP_BUF struct buf clean = BUF_INIT;

    utf8_add_valid(&clean, text, strlen(text));
    return json_string(clean.data);
}

static json_t *time_string(int64_t wall_ms)
{
    char text[CLOCK_RFC3339_SIZE];

    clock_rfc3339(wall_ms, text);
    return json_string(text);
}

static json_t *files(const struct glob_found *found, const char *root)
{
    json_t *list = json_array();

    for (size_t i = 0; i < found->len; i++) {
        int64_t size = file_size(&found->items[i], root);
        json_t *file;

        if (size < 0 && found->items[i].type != DT_LNK)
            continue;
        file = json_object();
        json_object_set_new(file, "path", string(found->items[i].path));
        if (size >= 0)
            json_object_set_new(file, "size", json_integer(size));
        json_array_append_new(list, file);
    }
    return list;
}

/* Times stand there twice: for people, and in milliseconds. */
void manifest_write(const struct artifact *a, const struct glob_found *found, const char *root,
                    struct buf *out)
{
    json_t *object = json_object();
    char *text;

    json_object_set_new(object, "version", json_integer(VERSION));
    json_object_set_new(object, "run", string(a->run));
    json_object_set_new(object, "pipeline", string(a->pipeline));
    json_object_set_new(object, "job", string(a->job));
    json_object_set_new(object, "job_id", string(a->job_id));
    json_object_set_new(object, "name", string(a->name));
    json_object_set_new(object, "created_at", time_string(a->created_ms));
    json_object_set_new(object, "created_ms", json_integer(a->created_ms));
    json_object_set_new(object, "expires_at",
                        a->expires_ms ? time_string(a->expires_ms) : json_null());
    json_object_set_new(object, "expires_ms", json_integer(a->expires_ms));
    json_object_set_new(object, "archive_size", json_integer(a->archive_bytes));
    json_object_set_new(object, "archive_sha256", string(a->sha256));
    json_object_set_new(object, "file_count", json_integer(a->file_count));
    json_object_set_new(object, "size", json_integer(a->bytes));
    json_object_set_new(object, "files", files(found, root));
    text = json_dumps(object, JSON_INDENT(1));
    buf_addf(out, "%s\n", text ? text : "{}");
    free(text);
    json_decref(object);
}

static char *copy_string(const json_t *object, const char *name)
{
    return xstrdup_null(json_string_value(json_object_get(object, name)));
}

static int64_t integer(const json_t *object, const char *name)
{
    return json_integer_value(json_object_get(object, name));
}

static void take(const json_t *object, const char *key, struct artifact *ret)
{
    const char *hash = json_string_value(json_object_get(object, "archive_sha256"));

    *ret = (struct artifact){
        .run = copy_string(object, "run"),
        .pipeline = copy_string(object, "pipeline"),
        .job = copy_string(object, "job"),
        .job_id = copy_string(object, "job_id"),
        .name = copy_string(object, "name"),
        .manifest = xstrdup(key),
        .archive = xasprintf("%.*s.tar.zst", (int)(strlen(key) - strlen(".json")), key),
        .created_ms = integer(object, "created_ms"),
        .expires_ms = integer(object, "expires_ms"),
        .file_count = integer(object, "file_count"),
        .bytes = integer(object, "size"),
        .archive_bytes = integer(object, "archive_size"),
    };
    snprintf(ret->sha256, sizeof(ret->sha256), "%s", hash ? hash : "");
}

int manifest_read(const char *text, size_t len, const char *key, struct artifact *ret,
                  struct err *err)
{
    json_error_t error;
    json_t *object = json_loadb(text, len, 0, &error);
    CLEANUP_ARTIFACT struct artifact a = {0};

    if (object)
        take(object, key, &a);
    json_decref(object);
    if (!a.run || !a.pipeline || !a.job || !a.job_id || !a.name)
        return err_set(err, ERR_PROTOCOL, "\"%s\" is no manifest of an artifact", key);
    *ret = a;
    a = (struct artifact){0};
    return 0;
}
