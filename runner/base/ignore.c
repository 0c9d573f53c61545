#include "base/ignore.h"

#include <string.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/fs.h"
#include "base/glob.h"
#include "base/vec.h"

#define FILE_MAX ((size_t)1 << 20)

struct rule {
    struct glob *glob;
    bool back; /* what it matches is not left out after all */
    bool directories;
};

struct ignore {
    VEC(struct rule)
    rules;
    bool docker;
    bool takes_back;
};

void ignore_free(struct ignore *ignore)
{
    if (!ignore)
        return;
    vec_foreach (struct rule *, rule, &ignore->rules)
        glob_free(rule->glob);
    vec_release(&ignore->rules);
    free(ignore);
}

/* Spaces at the end count only behind a backslash. */
static size_t trimmed(const char *line, size_t len)
{
    while (len > 0 && (line[len - 1] == ' ' || line[len - 1] == '\r' || line[len - 1] == '\t') &&
           !(len > 1 && line[len - 2] == '\\'))
        len--;
    return len;
}

/* Braces have no meaning there, and patterns without a slash hold at every depth. */
static void translate(const char *line, size_t len, struct buf *pattern)
{
    bool bound = memchr(line, '/', len) != NULL;

    if (*line == '/') {
        line++;
        len--;
    }
    if (!bound)
        buf_addstr(pattern, "**/");
    for (size_t i = 0; i < len; i++) {
        if (line[i] == '{' || line[i] == '}')
            buf_addch(pattern, '\\');
        buf_addch(pattern, line[i]);
        if (line[i] == '\\' && i + 1 < len)
            buf_addch(pattern, line[++i]);
    }
}

static int add_line(struct ignore *ignore, const char *line, size_t len, struct err *err)
{
    CLEANUP_BUF struct buf pattern = BUF_INIT;
    const char *patterns[1];
    struct rule rule = {0};

    len = trimmed(line, len);
    if (len == 0 || *line == '#')
        return 0;
    if (*line == '!') {
        rule.back = true;
        line++;
        len--;
    }
    while (len > 1 && line[len - 1] == '/') {
        rule.directories = true;
        len--;
    }
    if (len == 0 || (len == 1 && *line == '/'))
        return err_set(err, ERR_INVALID, "there is no pattern");
    /* In front of these a backslash only takes their meaning away. */
    if (len > 1 && *line == '\\' && (line[1] == '#' || line[1] == '!')) {
        line++;
        len--;
    }
    translate(line, len, &pattern);
    patterns[0] = pattern.data;
    if (glob_parse(patterns, 1, GLOB_EXACT, &rule.glob, err) < 0)
        return -1;
    vec_push(&ignore->rules, rule);
    return 0;
}

/* "/a/./b/" is "a/b"; "" for the root itself. */
static char *cleaned(const char *line, size_t len)
{
    CLEANUP_BUF struct buf out = BUF_INIT;

    for (size_t at = 0; at < len;) {
        size_t part = 0;

        while (at + part < len && line[at + part] != '/')
            part++;
        if (part && !(part == 1 && line[at] == '.')) {
            if (out.len)
                buf_addch(&out, '/');
            buf_add(&out, line + at, part);
        }
        at += part + 1;
    }
    return buf_steal(&out);
}

static int add_docker_line(struct ignore *ignore, const char *line, size_t len, struct err *err)
{
    CLEANUP_BUF struct buf pattern = BUF_INIT;
    CLEANUP_FREE char *text = NULL;
    const char *patterns[1];
    struct rule rule = {0};

    while (len && strchr(" \t\r", line[len - 1]))
        len--;
    while (len && (*line == ' ' || *line == '\t')) {
        line++;
        len--;
    }
    if (!len || *line == '#')
        return 0;
    if (*line == '!') {
        rule.back = true;
        line++;
        len--;
    }
    text = cleaned(line, len);
    if (!*text)
        return 0;
    for (const char *c = text; *c; c++) {
        if (*c == '{' || *c == '}')
            buf_addch(&pattern, '\\');
        buf_addch(&pattern, *c);
    }
    patterns[0] = pattern.data;
    if (glob_parse(patterns, 1, GLOB_TREE, &rule.glob, err) < 0)
        return -1;
    ignore->takes_back = ignore->takes_back || rule.back;
    vec_push(&ignore->rules, rule);
    return 0;
}

static int parse(struct ignore *ignore, const char *text, const char *path, struct err *err)
{
    for (unsigned number = 1; *text; number++) {
        size_t len = strcspn(text, "\n");

        if ((ignore->docker ? add_docker_line : add_line)(ignore, text, len, err) < 0)
            return err_wrap(err, "%s:%u", path, number);
        text += len + (text[len] == '\n');
    }
    return 0;
}

/* *ret is NULL when there is no such file. */
static int read_file(const char *path, bool docker, struct ignore **ret, struct err *err)
{
    CLEANUP_IGNORE struct ignore *ignore = NULL;
    CLEANUP_BUF struct buf text = BUF_INIT;
    struct err why = ERR_INIT;

    *ret = NULL;
    if (fs_read_file(path, FILE_MAX, &text, &why) < 0) {
        if (why.code == ERR_NOT_FOUND)
            return 0;
        if (err)
            *err = why;
        return -1;
    }
    ignore = xcalloc(1, sizeof(*ignore));
    ignore->docker = docker;
    if (parse(ignore, text.data, path, err) < 0)
        return -1;
    *ret = steal_ptr(&ignore);
    return 0;
}

int ignore_read(const char *directory, struct ignore **ret, struct err *err)
{
    CLEANUP_FREE char *path = fs_join(directory, IGNORE_FILE);

    return read_file(path, false, ret, err);
}

int ignore_read_docker(const char *directory, const char *const *keep, struct ignore **ret,
                       struct err *err)
{
    CLEANUP_FREE char *path = fs_join(directory, ".dockerignore");

    if (read_file(path, true, ret, err) < 0)
        return -1;
    for (; *ret && keep && *keep; keep++) {
        struct rule rule = {.back = true};
        const char *const patterns[] = {*keep};

        if (glob_parse(patterns, 1, GLOB_EXACT, &rule.glob, err) < 0) {
            ignore_free(*ret);
            *ret = NULL;
            return -1;
        }
        (*ret)->takes_back = true;
        vec_push(&(*ret)->rules, rule);
    }
    return 0;
}

bool ignore_looks_inside(const struct ignore *ignore)
{
    return ignore && ignore->docker && ignore->takes_back;
}

bool ignore_match(const struct ignore *ignore, const char *path, bool is_directory)
{
    bool out = false;

    if (!ignore)
        return false;
    vec_foreach (const struct rule *, rule, &ignore->rules) {
        if (rule->back == out && (is_directory || !rule->directories) &&
            glob_match(rule->glob, path))
            out = !out;
    }
    return out;
}
