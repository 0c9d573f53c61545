#include "prepare/variables.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/dotenv.h"
#include "base/fs.h"
#include "base/interpolate.h"

enum { ENV_FILE_MAX = 1024 * 1024 };

/* A value that stands for one that nobody needs. */
#define PLACEHOLDER MASK_TEXT

struct collector {
    const struct spec_pipeline *spec;
    const struct variables_options *options;
    struct variables *variables;
    struct diag_list *diags;
};

/* A dotenv file while it is read. */
struct env_file {
    const struct collector *c;
    const char *name; /* for messages */
    struct src_pos pos;
    struct strmap *to;
};

static const char *look_up(const struct collector *c, const char *name)
{
    const char *value = strmap_get(&c->variables->above, name);

    if (!value)
        value = strmap_get(&c->variables->below, name);
    return value ? value : strmap_get(c->options->passthrough, name);
}

static const char *look_up_name(void *arg, const char *name)
{
    return look_up(arg, name);
}

/* Of a dotenv file: what it says itself comes first. */
static const char *look_up_in_file(void *arg, const char *name)
{
    const struct env_file *file = arg;
    const char *value = strmap_get(file->to, name);

    return value ? value : look_up(file->c, name);
}

static int warn_unset(void *arg, const char *name, size_t offset, struct err *err)
{
    const struct env_file *file = arg;

    (void)offset;
    (void)err;
    diag_add(file->c->diags, DIAG_WARNING, file->pos, "",
             "%s: ${%s} is not set and becomes empty; write ${%s:-} if that is meant", file->name,
             name, name);
    return 0;
}

static int add_entry(void *arg, const char *name, const char *value, struct err *err)
{
    struct env_file *file = arg;
    const struct interpolate_scope scope = {.lookup = look_up_in_file,
                                            .unset = warn_unset,
                                            .arg = file,
                                            .max_bytes = ENV_FILE_MAX};
    CLEANUP_BUF struct buf expanded = BUF_INIT;

    if (interpolate(value, &scope, &expanded, NULL, err) < 0)
        return -1;
    strmap_set(file->to, name, expanded.data);
    return 0;
}

/* As it is seen from `directory`, where there is one. */
static char *seen_from(const struct variables_options *options, const char *path)
{
    return options->directory ? fs_join(options->directory, path) : xstrdup(path);
}

static void read_env_file(const struct collector *c, const char *path, struct src_pos pos,
                          struct strmap *to)
{
    struct env_file file = {c, path, pos, to};
    CLEANUP_BUF struct buf text = BUF_INIT;
    struct err err = ERR_INIT;
    size_t line;

    if (fs_read_file(path, ENV_FILE_MAX, &text, &err) < 0)
        diag_add(c->diags, DIAG_ERROR, pos, "", "the env file cannot be read: %s", err.message);
    else if (dotenv_read(text.data, text.len, add_entry, &file, &line, &err) < 0)
        diag_add(c->diags, DIAG_ERROR, pos, "", "%s:%zu: %s", path, line, err.message);
}

static char *find_file(const struct collector *c, const struct spec_str *text)
{
    const struct interpolate_scope scope = {.lookup = look_up_name, .arg = (void *)c};
    const char *slash = strrchr(c->spec->file, '/');
    CLEANUP_FREE char *dir = NULL;
    CLEANUP_BUF struct buf path = BUF_INIT;
    struct err err = ERR_INIT;

    if (interpolate(text->text, &scope, &path, NULL, &err) < 0) {
        diag_add(c->diags, DIAG_ERROR, text->pos, "", "%s", err.message);
        return NULL;
    }
    if (!slash || strstr(c->spec->file, "://"))
        return seen_from(c->options, path.data);
    dir = xstrndup(c->spec->file, (size_t)(slash - c->spec->file) + (slash == c->spec->file));
    return fs_join(dir, path.data);
}

static void read_env_files(const struct collector *c)
{
    for (size_t i = 0; i < c->spec->env_files.len; i++) {
        const struct spec_str *text = &c->spec->env_files.items[i];
        CLEANUP_FREE char *path = find_file(c, text);

        if (path)
            read_env_file(c, path, text->pos, &c->variables->below);
    }
}

/* --- secrets --- */

static int read_secret_file(const struct collector *c, const struct spec_secret *secret,
                            struct buf *value)
{
    CLEANUP_FREE char *path = find_file(c, &secret->path);
    struct err err = ERR_INIT;

    if (!path)
        return -1;
    if (fs_read_file(path, MASK_VALUE_MAX, value, &err) < 0) {
        diag_add(c->diags, DIAG_ERROR, secret->path.pos, "", "the secret \"%s\" cannot be read: %s",
                 secret->name.text, err.message);
        return -1;
    }
    while (value->len &&
           (value->data[value->len - 1] == '\n' || value->data[value->len - 1] == '\r'))
        buf_truncate(value, value->len - 1);
    if (!memchr(value->data, '\0', value->len))
        return 0;
    diag_add(c->diags, DIAG_ERROR, secret->path.pos, "",
             "the secret \"%s\" holds a NUL byte, which no variable can; give it in base64",
             secret->name.text);
    return -1;
}

static int read_secret(const struct collector *c, const struct spec_secret *secret,
                       struct buf *value)
{
    const char *name = secret->variable.text ? secret->variable.text : secret->name.text;
    const char *given = strmap_get(&c->variables->above, secret->name.text);

    if (!given && secret->from == SPEC_SECRET_FROM_FILE)
        return read_secret_file(c, secret, value);
    if (!given)
        given = getenv(name);
    if (!given) {
        diag_add(c->diags, DIAG_ERROR, secret->name.pos, "",
                 "the secret \"%s\" is missing: the variable %s is not set where the runner was "
                 "started",
                 secret->name.text, name);
        return -1;
    }
    buf_addstr(value, given);
    return 0;
}

static void mask_secret(const struct collector *c, const struct spec_secret *secret,
                        const struct buf *value)
{
    switch (mask_add(c->options->mask, value->data, value->len)) {
    case MASK_TOO_SHORT:
        diag_add(c->diags, DIAG_ERROR, secret->name.pos, "",
                 "the secret \"%s\" %s; a value of less than %d bytes cannot be masked, as it is "
                 "found everywhere",
                 secret->name.text, value->len ? "is too short" : "is empty", MASK_VALUE_MIN);
        break;
    case MASK_TOO_LARGE:
        diag_add(c->diags, DIAG_ERROR, secret->name.pos, "",
                 "the secret \"%s\" is too large: it may have %d KiB, and all together %d KiB",
                 secret->name.text, MASK_VALUE_MAX / 1024, MASK_TOTAL_MAX / 1024);
        break;
    default:
        break;
    }
}

static void collect_secrets(const struct collector *c)
{
    for (size_t i = 0; i < c->spec->secret_count; i++) {
        const struct spec_secret *secret = &c->spec->secrets[i];
        CLEANUP_BUF struct buf value = BUF_INIT;

        if (!c->options->mask)
            buf_addstr(&value, PLACEHOLDER);
        else if (read_secret(c, secret, &value) == 0)
            mask_secret(c, secret, &value);
        strmap_set(&c->variables->below, secret->name.text, value.data);
    }
}

void variables_collect(const struct spec_pipeline *spec, const struct variables_options *options,
                       struct variables *ret, struct diag_list *diags)
{
    const struct collector c = {spec, options, ret, diags};
    const struct src_pos nowhere = {0};

    strmap_merge(&ret->above, options->env);
    for (size_t i = 0; i < options->files->len; i++) {
        CLEANUP_FREE char *path = seen_from(options, options->files->items[i]);

        read_env_file(&c, path, nowhere, &ret->above);
    }
    strmap_merge(&ret->above, options->env);
    read_env_files(&c);
    collect_secrets(&c);
}

char *variables_find_file(const struct spec_pipeline *spec, const struct variables_options *options,
                          struct variables *variables, const struct spec_str *text,
                          struct diag_list *diags)
{
    const struct collector c = {spec, options, variables, diags};

    return find_file(&c, text);
}

void variables_release(struct variables *variables)
{
    strmap_release(&variables->below);
    strmap_release(&variables->above);
}
