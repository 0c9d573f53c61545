#include "artifact/artifact.h"

#include <stdlib.h>
#include <string.h>

#include "archive/archive.h"
#include "artifact/manifest.h"
#include "base/alloc.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/fs.h"
#include "base/logger.h"
#include "base/parse.h"
#include "base/vec.h"
#include "objstore/open.h"

#define ARCHIVE_SUFFIX  ".tar.zst"
#define MANIFEST_SUFFIX ".json"

enum { MANIFEST_MAX_BYTES = 512 << 20 };

/* An archive whose manifest is still to come is younger than that. */
#define ORPHAN_MS (INT64_C(86400) * 1000)

void artifact_release(struct artifact *a)
{
    free(a->run);
    free(a->pipeline);
    free(a->job);
    free(a->job_id);
    free(a->name);
    free(a->manifest);
    free(a->archive);
    *a = (struct artifact){0};
}

void artifact_list_release(struct artifact_list *list)
{
    vec_foreach (struct artifact *, a, list)
        artifact_release(a);
    vec_release(list);
}

/* --- keys --- */

/* Names are cut so that the key fits, which the job's place in the run makes up for. */
static char *make_key(const struct artifact_request *r, const char *suffix)
{
    CLEANUP_BUF struct buf key = BUF_INIT;
    CLEANUP_BUF struct buf job = BUF_INIT;
    CLEANUP_BUF struct buf name = BUF_INIT;

    object_key_add_escaped(&job, r->job);
    if (job.len > ARTIFACT_NAME_MAX)
        buf_truncate(&job, ARTIFACT_NAME_MAX);
    object_key_add_escaped(&name, r->name);
    buf_addf(&key, "%s/%s-%s/%s%s", r->run, r->job_id, job.data, name.data, suffix);
    return buf_steal(&key);
}

/* Each fits into a part of a key. */
static int check_name(const char *name, struct err *err)
{
    const int max = OBJECT_KEY_PART_MAX - (int)strlen(ARCHIVE_SUFFIX);
    CLEANUP_BUF struct buf escaped = BUF_INIT;

    if (strlen(name) > ARTIFACT_NAME_MAX)
        return err_set(err, ERR_INVALID, "the name \"%s\" has more than %d bytes", name,
                       ARTIFACT_NAME_MAX);
    object_key_add_escaped(&escaped, name);
    if (escaped.len > (size_t)max)
        return err_set(err, ERR_INVALID,
                       "the name \"%s\" is too long: what is not of A-Z, a-z, 0-9 and \"._=+@-\" "
                       "counts three for each byte, and there may be %d",
                       name, max);
    return 0;
}

static bool ends_with(const char *text, const char *end)
{
    size_t len = strlen(text);
    size_t end_len = strlen(end);

    return len > end_len && strcmp(text + len - end_len, end) == 0;
}

/* --- saving --- */

struct packing {
    const struct artifact_request *request;
    struct object_sink *sink;
};

static int pass_on(void *arg, const void *data, size_t len, struct err *err)
{
    const struct packing *p = arg;

    return p->sink->write(p->sink, data, len, err);
}

static int produce_archive(void *arg, const struct ctx *ctx, struct object_sink *sink,
                           struct err *err)
{
    struct packing packing = {.request = arg, .sink = sink};
    struct archive_stats stats;

    return archive_pack(ctx, packing.request->root, packing.request->glob, pass_on, &packing,
                        &stats, err);
}

static int produce_text(void *arg, const struct ctx *ctx, struct object_sink *sink, struct err *err)
{
    const struct buf *text = arg;

    (void)ctx;
    return sink->write(sink, text->data, text->len, err);
}

static int put_manifest(const struct ctx *ctx, struct object_store *store, const struct artifact *a,
                        const struct glob_found *found, const char *root, struct err *err)
{
    CLEANUP_BUF struct buf text = BUF_INIT;
    const struct object_source source = {.produce = produce_text, .arg = &text};

    manifest_write(a, found, root, &text);
    return store->ops->put(ctx, store, a->manifest, &source, NULL, err);
}

static bool holds_files(const struct glob_found *found)
{
    for (size_t i = 0; i < found->len; i++) {
        if (found->items[i].type == DT_REG || found->items[i].type == DT_LNK)
            return true;
    }
    return false;
}

int artifact_save(const struct ctx *ctx, struct object_store *store,
                  const struct artifact_request *r, struct artifact *ret, struct err *err)
{
    CLEANUP_GLOB_FOUND struct glob_found found = {0};
    CLEANUP_ARTIFACT struct artifact a = {0};
    const struct object_source source = {.produce = produce_archive, .arg = (void *)(uintptr_t)r};
    struct object_info info;

    if (check_name(r->name, err) < 0 || glob_find(ctx, r->root, r->glob, &found, err) < 0)
        return -1;
    if (!holds_files(&found))
        return err_set(err, ERR_NOT_FOUND, "no file matches in %s",
                       r->shown_root ? r->shown_root : r->root);
    a = (struct artifact){.run = xstrdup(r->run),
                          .pipeline = xstrdup(r->pipeline),
                          .job = xstrdup(r->job),
                          .job_id = xstrdup(r->job_id),
                          .name = xstrdup(r->name),
                          .manifest = make_key(r, MANIFEST_SUFFIX),
                          .archive = make_key(r, ARCHIVE_SUFFIX),
                          .created_ms = clock_wall_ms()};
    a.expires_ms = r->expire_ms ? a.created_ms + r->expire_ms : 0;
    manifest_count(&found, r->root, &a.file_count, &a.bytes);
    if (store->ops->put(ctx, store, a.archive, &source, &info, err) < 0)
        return -1;
    a.archive_bytes = info.size_bytes;
    snprintf(a.sha256, sizeof(a.sha256), "%s", info.sha256);
    if (put_manifest(ctx, store, &a, &found, r->root, err) < 0) {
        struct err ignored = ERR_INIT;
        struct ctx cleanup;

        ctx_init_cleanup(&cleanup, 15000);
        if (store->ops->remove(&cleanup, store, a.archive, &ignored) < 0)
            log_debug("artifact", "%s remains: %s", a.archive, ignored.message);
        ctx_release(&cleanup);
        return -1;
    }
    *ret = a;
    a = (struct artifact){0};
    return 0;
}

int artifact_fetch(const struct ctx *ctx, struct object_store *store, const struct artifact *a,
                   const char *root, struct err *err)
{
    struct archive_stats stats;
    CLEANUP_FD int fd = -1;

    if (store->ops->get(ctx, store, a->archive, &fd, NULL, err) < 0)
        return -1;
    return archive_unpack(ctx, fd, root, &stats, err);
}

/* --- looking --- */

static int read_manifest(const struct ctx *ctx, struct object_store *store, const char *key,
                         struct artifact *ret, struct err *err)
{
    CLEANUP_BUF struct buf text = BUF_INIT;
    CLEANUP_FD int fd = -1;

    if (store->ops->get(ctx, store, key, &fd, NULL, err) < 0 ||
        fs_read_fd(fd, key, MANIFEST_MAX_BYTES, &text, err) < 0)
        return -1;
    return manifest_read(text.data, text.len, key, ret, err);
}

static int compare(const void *a, const void *b)
{
    const struct artifact *x = a;
    const struct artifact *y = b;
    int order = strcmp(y->run, x->run);

    return order ? order : strcmp(x->manifest, y->manifest);
}

/* RUN/JOB/NAME.json: whatever else may lie in a bucket. */
static bool is_manifest(const char *key)
{
    const char *job = strchr(key, '/');
    const char *name = job ? strchr(job + 1, '/') : NULL;

    return name && !strchr(name + 1, '/') && ends_with(name + 1, MANIFEST_SUFFIX);
}

static int add_listed(const struct ctx *ctx, struct object_store *store,
                      const struct object_list *objects, struct artifact_list *ret, struct err *err)
{
    for (size_t i = 0; i < objects->len; i++) {
        struct artifact a = {0};
        struct err own = ERR_INIT;

        if (!is_manifest(objects->items[i].key))
            continue;
        if (read_manifest(ctx, store, objects->items[i].key, &a, &own) == 0)
            vec_push(ret, a);
        else if (ctx_check(ctx, err) < 0)
            return -1;
        else if (own.code == ERR_NOT_FOUND || own.code == ERR_PROTOCOL)
            log_debug("artifact", "%s: %s", objects->items[i].key, own.message);
        else
            return err_set(err, own.code, "%s", own.message);
    }
    return 0;
}

int artifact_list(const struct ctx *ctx, struct object_store *store, const char *run,
                  struct artifact_list *ret, struct err *err)
{
    CLEANUP_OBJECT_LIST struct object_list objects = {0};
    CLEANUP_FREE char *prefix = run ? xasprintf("%s/", run) : xstrdup("");

    if (store->ops->list(ctx, store, prefix, &objects, err) < 0 ||
        add_listed(ctx, store, &objects, ret, err) < 0)
        return -1;
    if (ret->len)
        qsort(ret->items, ret->len, sizeof(*ret->items), compare);
    return 0;
}

/* --- removing --- */

static int remove_object(const struct ctx *ctx, struct object_store *store, const char *key,
                         struct err *err)
{
    struct err own = ERR_INIT;

    if (store->ops->remove(ctx, store, key, &own) < 0 && own.code != ERR_NOT_FOUND)
        return err_set(err, own.code, "%s", own.message);
    return 0;
}

/* The manifest last: what is interrupted here can be listed, and is removed the next time. */
int artifact_remove(const struct ctx *ctx, struct object_store *store, const struct artifact *a,
                    struct err *err)
{
    if (remove_object(ctx, store, a->archive, err) < 0)
        return -1;
    return remove_object(ctx, store, a->manifest, err);
}

static bool has_manifest(const struct object_list *objects, const char *archive)
{
    CLEANUP_FREE char *manifest =
        xasprintf("%.*s" MANIFEST_SUFFIX, (int)(strlen(archive) - strlen(ARCHIVE_SUFFIX)), archive);

    for (size_t i = 0; i < objects->len; i++) {
        if (strcmp(objects->items[i].key, manifest) == 0)
            return true;
    }
    return false;
}

static int prune_orphans(const struct ctx *ctx, struct object_store *store,
                         const struct artifact_prune *prune, const struct object_list *objects,
                         struct err *err)
{
    for (size_t i = 0; i < objects->len; i++) {
        const struct object_info *info = &objects->items[i];

        if (!prune->dry_run && ends_with(info->key, ARCHIVE_SUFFIX) &&
            prune->now_ms - info->stored_ms > ORPHAN_MS && !has_manifest(objects, info->key) &&
            remove_object(ctx, store, info->key, err) < 0)
            return -1;
    }
    return 0;
}

int artifact_prune(const struct ctx *ctx, struct object_store *store,
                   const struct artifact_prune *prune, struct err *err)
{
    CLEANUP_OBJECT_LIST struct object_list objects = {0};
    CLEANUP_ARTIFACT_LIST struct artifact_list list = {0};

    if (store->ops->list(ctx, store, "", &objects, err) < 0 ||
        add_listed(ctx, store, &objects, &list, err) < 0)
        return -1;
    vec_foreach (struct artifact *, a, &list) {
        if (!a->expires_ms || a->expires_ms > prune->now_ms)
            continue;
        if (!prune->dry_run && artifact_remove(ctx, store, a, err) < 0)
            return -1;
        if (prune->removed)
            prune->removed(prune->arg, a);
    }
    return prune_orphans(ctx, store, prune, &objects, err);
}

/* --- the rest --- */

char *artifact_local_dir(struct err *err)
{
    const char *state = getenv("XDG_STATE_HOME");
    const char *home = getenv("HOME");
    char *root = NULL;

    if (state && *state == '/')
        root = xasprintf("%s/runner/artifacts", state);
    else if (home && *home == '/')
        root = xasprintf("%s/.local/state/runner/artifacts", home);
    else
        err_set(err, ERR_NOT_FOUND,
                "there is no place for artifacts: neither XDG_STATE_HOME nor HOME is set");
    return root;
}

int artifact_store_open(const char *url, struct object_store **ret, struct err *err)
{
    CLEANUP_FREE char *root = NULL;

    if (!url)
        url = OBJECT_STORE_LOCAL;
    if (strcmp(url, OBJECT_STORE_LOCAL) == 0 && !(root = artifact_local_dir(err)))
        return -1;
    return object_store_open(url, &(struct object_store_local_options){.root = root}, ret, err);
}

int artifact_parse_expiry(const char *text, int64_t *ret_ms, struct err *err)
{
    int64_t value;

    if (strcmp(text, ARTIFACT_NEVER) == 0) {
        *ret_ms = 0;
        return 0;
    }
    if (parse_duration_ms(text, &value, err) < 0)
        return -1;
    if (value <= 0)
        return err_set(err, ERR_INVALID,
                       "artifacts are kept for some time, or \"never\" expire; "
                       "not \"%s\"",
                       text);
    if (value > ARTIFACT_EXPIRE_MAX_MS)
        return err_set(err, ERR_INVALID,
                       "artifacts are kept for 1000 years at most, or \"never\" expire; not \"%s\"",
                       text);
    *ret_ms = value;
    return 0;
}
