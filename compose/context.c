#include "compose/context.h"

#include <string.h>

#include "base/alloc.h"
#include "base/fs.h"
#include "base/sha256.h"

#define DOCKERFILE_MAX ((size_t)1 << 20)

static bool is_remote(const char *context)
{
    static const char *const starts[] = {"http://", "https://", "git://",
                                         "ssh://",  "git@",     "github.com/"};

    for (size_t i = 0; i < sizeof(starts) / sizeof(*starts); i++) {
        if (strncmp(context, starts[i], strlen(starts[i])) == 0)
            return true;
    }
    return false;
}

/* The path below the context, or NULL if it is elsewhere. */
static const char *below(const char *context, const char *path)
{
    size_t len = strlen(context);

    if (len == 1)
        return path + 1;
    return strncmp(path, context, len) == 0 && path[len] == '/' ? path + len + 1 : NULL;
}

static void put_first(struct compose_context *c, const char *text, size_t len)
{
    char hex[SHA256_HEX_SIZE];
    struct sha256 hash;

    sha256_begin(&hash);
    sha256_add(&hash, text, len);
    sha256_hex(&hash, hex);
    c->dockerfile = xasprintf(".dockerfile.%.20s", hex);
    tar_add_file(&c->first, c->dockerfile, 0644, text, len);
}

static int find_dockerfile(const json_t *build, const char *context, struct compose_context *c,
                           struct err *err)
{
    const char *inlined = compose_string(build, "dockerfile_inline");
    const char *name = compose_string(build, "dockerfile");
    CLEANUP_FREE char *joined = fs_join(context, name ? name : "Dockerfile");
    CLEANUP_FREE char *path = fs_absolute(joined);
    struct err why = ERR_INIT;

    if (inlined) {
        buf_addstr(&c->text, inlined);
        put_first(c, inlined, strlen(inlined));
        return 0;
    }
    if (fs_read_file(path, DOCKERFILE_MAX, &c->text, &why) < 0)
        return err_set(err, why.code == ERR_NOT_FOUND ? ERR_INVALID : why.code, "build: %s",
                       why.message);
    if (below(context, path))
        c->dockerfile = xstrdup(below(context, path));
    else
        put_first(c, c->text.data, c->text.len);
    return 0;
}

int compose_context_open(const json_t *build, struct compose_context *ret, struct err *err)
{
    const char *context = compose_string(build, "context");
    struct compose_context c = {.first = BUF_INIT, .text = BUF_INIT};
    const char *keep[3] = {".dockerignore", NULL, NULL};
    CLEANUP_FREE char *root = NULL;

    if (is_remote(context)) {
        c.remote = context;
        c.dockerfile = xstrdup_null(compose_string(build, "dockerfile"));
        *ret = c;
        return 0;
    }
    root = fs_absolute(context);
    if (!fs_is_directory(root))
        return err_set(err, ERR_INVALID, "build: the context %s is not a directory", root);
    if (find_dockerfile(build, root, &c, err) < 0) {
        compose_context_close(&c);
        return -1;
    }
    keep[1] = c.first.len ? NULL : c.dockerfile;
    if (ignore_read_docker(root, keep, &c.ignore, err) < 0 ||
        tar_tree_open(root, &c.tree, err) < 0) {
        compose_context_close(&c);
        return -1;
    }
    tar_tree_ignore(c.tree, c.ignore);
    *ret = c;
    return 0;
}

ssize_t compose_context_read(void *context, char *data, size_t size, struct err *err)
{
    struct compose_context *c = context;

    if (c->first.len) {
        size_t len = c->first.len < size ? c->first.len : size;

        memcpy(data, c->first.data, len);
        buf_consume(&c->first, len);
        return (ssize_t)len;
    }
    return tar_tree_read(c->tree, data, size, err);
}

void compose_context_close(struct compose_context *c)
{
    buf_release(&c->first);
    tar_tree_close(c->tree);
    ignore_free(c->ignore);
    free(c->dockerfile);
    buf_release(&c->text);
    *c = (struct compose_context){.first = BUF_INIT, .text = BUF_INIT};
}
