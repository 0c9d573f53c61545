/* The files of a project, and what is said about them. */
#include <limits.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/fs.h"
#include "base/utf8.h"
#include "compose/loader.h"
#include "yaml/yaml_tree.h"

struct compose_file *compose_source_add(struct compose_sources *sources, const char *name)
{
    struct compose_file *file = xcalloc(1, sizeof(*file));

    file->name = xstrdup(name);
    file->text = (struct buf)BUF_INIT;
    vec_push(sources, file);
    return file;
}

/* A path below the current directory, as it is seen from there. */
static const char *shown_path(const char *path)
{
    char here[PATH_MAX];
    size_t len;

    if (!getcwd(here, sizeof(here)))
        return path;
    len = strlen(here);
    return strncmp(path, here, len) == 0 && path[len] == '/' ? path + len + 1 : path;
}

/* Files that include each other twice would otherwise be read without end. */
#define FILES_MAX 1000

int compose_source_read(struct compose_sources *sources, const char *path,
                        struct compose_file **ret, struct err *err)
{
    static const struct yaml_limits limits = YAML_LIMITS_INIT;
    bool is_stdin = strcmp(path, "-") == 0;
    struct buf text = BUF_INIT;
    int result;

    if (sources->len > FILES_MAX)
        return err_set(err, ERR_LIMIT, "a project has at most %d files; %s is one more", FILES_MAX,
                       path);
    result = is_stdin ? fs_read_fd(STDIN_FILENO, "<stdin>", limits.text_bytes, &text, err)
                      : fs_read_file(path, limits.text_bytes, &text, err);

    if (result < 0) {
        buf_release(&text);
        return -1;
    }
    *ret = compose_source_add(sources, is_stdin ? "<stdin>" : shown_path(path));
    (*ret)->path = is_stdin ? NULL : xstrdup(path);
    (*ret)->text = text;
    return 0;
}

size_t compose_sources_error_count(const struct compose_sources *sources)
{
    size_t count = 0;

    for (size_t i = 0; i < sources->len; i++)
        count += sources->items[i]->diags.error_count;
    return count;
}

static void format_one(const struct compose_file *file, const struct diag *diag, struct buf *out)
{
    if (*file->name) {
        utf8_add_visible(out, file->name);
        if (diag->pos.line)
            buf_addf(out, ":%u:%u", diag->pos.line, diag->pos.column);
        buf_addstr(out, ": ");
    }
    buf_addstr(out, diag->severity == DIAG_ERROR ? "error: " : "warning: ");
    utf8_add_visible(out, diag->message);
    if (*diag->path) {
        buf_addstr(out, " (at ");
        utf8_add_visible(out, diag->path);
        buf_addch(out, ')');
    }
    buf_addch(out, '\n');
}

void compose_sources_format(const struct compose_sources *sources, struct buf *out)
{
    for (size_t i = 0; i < sources->len; i++) {
        struct compose_file *file = sources->items[i];

        diag_sort(&file->diags);
        for (size_t j = 0; j < file->diags.len; j++)
            format_one(file, &file->diags.items[j], out);
        if (file->diags.dropped_count)
            buf_addf(out, "%s: and %zu more\n", file->name, file->diags.dropped_count);
    }
}

void compose_sources_release(struct compose_sources *sources)
{
    for (size_t i = 0; i < sources->len; i++) {
        free(sources->items[i]->name);
        free(sources->items[i]->path);
        buf_release(&sources->items[i]->text);
        diag_list_release(&sources->items[i]->diags);
        free(sources->items[i]);
    }
    vec_release(sources);
}

void compose_report(struct compose_loader *l, enum diag_severity severity, const json_t *value,
                    const char *path, const char *fmt, ...)
{
    const struct compose_place *place = compose_places_get(l->places, value);
    struct compose_file *file = place ? place->file : l->sources->items[0];
    CLEANUP_BUF struct buf message = BUF_INIT;
    va_list args;

    va_start(args, fmt);
    buf_vaddf(&message, fmt, args);
    va_end(args);
    diag_add(&file->diags, severity, place ? place->pos : (struct src_pos){0}, path, "%s",
             message.data);
}
