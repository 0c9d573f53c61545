/* Each pattern, its alternatives written out, is a list of parts, and a set of bits says how far
 * one has come in it: bit N is set when the parts before N match the path so far. A path is walked
 * part by part, and each moves the bits on. The same sets steer the walk through a tree: a
 * directory at which no pattern has a bit left need not be read. */
#include "base/glob.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/vec.h"

struct part {
    const char *text; /* NULL: `**` */
};

struct pattern {
    bool exclude;
    bool directory; /* asks for one */
    unsigned count;
    const struct part *parts;
};

struct glob {
    enum glob_mode mode;
    struct arena arena;
    VEC(struct pattern)
    patterns;
};

/* --- parsing --- */

static int add_part(struct part *parts, unsigned *count, const char *text, struct err *err)
{
    if (*count == GLOB_PARTS_MAX)
        return err_set(err, ERR_LIMIT, "a pattern has at most %d parts", GLOB_PARTS_MAX);
    parts[(*count)++].text = text;
    return 0;
}

static bool is_part(const char *text, size_t len, const char *what)
{
    return len == strlen(what) && memcmp(text, what, len) == 0;
}

/* `text` has no braces any more. */
static int add_pattern(struct glob *glob, const char *text, bool exclude, struct err *err)
{
    struct part parts[GLOB_PARTS_MAX];
    struct pattern pattern = {.exclude = exclude};
    size_t whole = strlen(text);
    bool any = false;

    if (*text == '/')
        return err_set(err, ERR_INVALID, "the pattern \"%s\" must be relative", text);
    for (const char *s = text; *s;) {
        size_t len = strcspn(s, "/");

        if (is_part(s, len, ".."))
            return err_set(err, ERR_INVALID, "the pattern \"%s\" must not leave the directory",
                           text);
        any = any || len > 0;
        if (is_part(s, len, "**")) {
            /* Two of them are one. */
            if ((!pattern.count || parts[pattern.count - 1].text) &&
                add_part(parts, &pattern.count, NULL, err) < 0)
                return -1;
        } else if (len && !is_part(s, len, ".")) {
            if (add_part(parts, &pattern.count, arena_strndup(&glob->arena, s, len), err) < 0)
                return -1;
        }
        s += len + (s[len] == '/');
    }
    if (!any)
        return err_set(err, ERR_INVALID, "a pattern is empty");
    /* "dir/ **" means what is in it, and "." the directory with all that is in it. */
    if (!pattern.count && add_part(parts, &pattern.count, NULL, err) < 0)
        return -1;
    if (!parts[pattern.count - 1].text && add_part(parts, &pattern.count, "*", err) < 0)
        return -1;
    if (glob->patterns.len == GLOB_ALTERNATIVES_MAX)
        return err_set(err, ERR_LIMIT, "the patterns have more than %d alternatives",
                       GLOB_ALTERNATIVES_MAX);
    pattern.directory = whole && text[whole - 1] == '/';
    pattern.parts = arena_alloc(&glob->arena, pattern.count * sizeof(*parts));
    memcpy((void *)pattern.parts, parts, pattern.count * sizeof(*parts));
    vec_push(&glob->patterns, pattern);
    return 0;
}

/* The brace that closes the one at `open`, and in *ret_commas how many commas are between its
 * alternatives; NULL: there is none. */
static const char *closing_brace(const char *open)
{
    unsigned depth = 0;

    for (const char *s = open; *s; s++) {
        if (*s == '\\' && s[1])
            s++;
        else if (*s == '{')
            depth++;
        else if (*s == '}' && --depth == 0)
            return s;
    }
    return NULL;
}

static const char *opening_brace(const char *text, const char **ret_close)
{
    for (const char *s = text; *s; s++) {
        if (*s == '\\' && s[1])
            s++;
        else if (*s == '{' && (*ret_close = closing_brace(s)))
            return s;
    }
    return NULL;
}

enum { BRACE_DEPTH_MAX = 32, PATTERN_BYTES_MAX = 4096 };

static int add_alternatives(struct glob *glob, const char *text, bool exclude, unsigned depth,
                            struct err *err)
{
    const char *close = NULL;
    const char *open = opening_brace(text, &close);
    const char *start;
    unsigned level = 0;

    if (!open)
        return add_pattern(glob, text, exclude, err);
    if (depth == BRACE_DEPTH_MAX)
        return err_set(err, ERR_LIMIT, "a pattern has more than %d pairs of braces",
                       BRACE_DEPTH_MAX);
    start = open + 1;
    for (const char *s = start; s <= close; s++) {
        CLEANUP_BUF struct buf one = BUF_INIT;

        if (*s == '\\') {
            s++;
            continue;
        }
        level += *s == '{';
        if ((*s != ',' || level) && s != close) {
            level -= *s == '}';
            continue;
        }
        buf_add(&one, text, (size_t)(open - text));
        buf_add(&one, start, (size_t)(s - start));
        buf_addstr(&one, close + 1);
        if (add_alternatives(glob, one.data, exclude, depth + 1, err) < 0)
            return -1;
        start = s + 1;
    }
    return 0;
}

int glob_parse(const char *const *patterns, size_t count, enum glob_mode mode, struct glob **ret,
               struct err *err)
{
    CLEANUP_GLOB struct glob *glob = xcalloc(1, sizeof(*glob));
    bool all_exclude = true;

    glob->mode = mode;
    for (size_t i = 0; i < count; i++)
        all_exclude = all_exclude && patterns[i][0] == '!';
    if (count && all_exclude && add_pattern(glob, "**", false, err) < 0)
        return -1;
    for (size_t i = 0; i < count; i++) {
        const char *text = patterns[i];
        bool exclude = *text == '!';

        if (strlen(text) > PATTERN_BYTES_MAX)
            return err_set(err, ERR_LIMIT, "a pattern is longer than %d bytes", PATTERN_BYTES_MAX);
        if (add_alternatives(glob, text + exclude, exclude, 0, err) < 0)
            return -1;
    }
    *ret = steal_ptr(&glob);
    return 0;
}

void glob_free(struct glob *glob)
{
    if (!glob)
        return;
    vec_release(&glob->patterns);
    arena_release(&glob->arena);
    free(glob);
}

/* --- matching --- */

/* Behind all of them: the pattern has matched here or further up. */
#define COVERED (UINT64_C(1) << 63)

/* `**` may also stand for nothing. */
static uint64_t skip_any(const struct pattern *p, uint64_t state)
{
    for (unsigned i = 0; i < p->count; i++) {
        if ((state >> i & 1) && !p->parts[i].text)
            state |= UINT64_C(1) << (i + 1);
    }
    return state;
}

static uint64_t advance(const struct glob *glob, const struct pattern *p, uint64_t state,
                        const char *name, bool is_directory)
{
    uint64_t next = glob->mode == GLOB_TREE ? state & COVERED : 0;

    for (unsigned i = 0; i < p->count; i++) {
        if (!(state >> i & 1))
            continue;
        if (!p->parts[i].text)
            next |= UINT64_C(1) << i;
        else if (fnmatch(p->parts[i].text, name, 0) == 0)
            next |= UINT64_C(1) << (i + 1);
    }
    next = skip_any(p, next);
    if (next >> p->count & 1 && (!p->directory || is_directory))
        next |= COVERED;
    return next & ~(UINT64_C(1) << p->count);
}

static void begin(const struct glob *glob, uint64_t *states)
{
    for (size_t i = 0; i < glob->patterns.len; i++)
        states[i] = skip_any(&glob->patterns.items[i], 1);
}

/* Whether a path at which the patterns stand so matches, and in *ret_below (may be NULL) whether
 * something below it can. */
static bool verdict(const struct glob *glob, const uint64_t *states, bool *ret_below)
{
    bool matches = false;
    bool below = false;

    for (size_t i = 0; i < glob->patterns.len; i++) {
        bool covered = states[i] & COVERED;

        if (glob->patterns.items[i].exclude) {
            matches = matches && !covered;
            below = below && !(covered && glob->mode == GLOB_TREE);
        } else {
            matches = matches || covered;
            below = below || (covered && glob->mode == GLOB_TREE) || (states[i] & ~COVERED);
        }
    }
    if (ret_below)
        *ret_below = below;
    return matches;
}

bool glob_match(const struct glob *glob, const char *path)
{
    CLEANUP_FREE uint64_t *states = xcalloc(glob->patterns.len, sizeof(*states));
    CLEANUP_FREE char *copy = xstrdup(path);

    begin(glob, states);
    for (char *s = copy; *s;) {
        size_t len = strcspn(s, "/");
        bool more = s[len] == '/';

        s[len] = '\0';
        for (size_t i = 0; len && i < glob->patterns.len; i++)
            states[i] = advance(glob, &glob->patterns.items[i], states[i], s, more);
        s += len + more;
    }
    return verdict(glob, states, NULL);
}

/* --- where to look --- */

/* Appends the name that a part stands for; false: it can stand for several. */
static bool add_literal(const char *part, struct buf *out)
{
    for (; part && *part; part++) {
        if (strchr("*?[", *part))
            return false;
        if (*part == '\\' && part[1])
            part++;
        buf_addch(out, *part);
    }
    return part != NULL;
}

static bool is_at_or_below(const char *path, const char *start)
{
    size_t len = strlen(start);

    return !len || (strncmp(path, start, len) == 0 && (!path[len] || path[len] == '/'));
}

static void add_start(struct strvec *starts, const char *path)
{
    size_t kept = 0;

    for (size_t i = 0; i < starts->len; i++) {
        if (is_at_or_below(path, starts->items[i]))
            return;
    }
    for (size_t i = 0; i < starts->len; i++) {
        if (is_at_or_below(starts->items[i], path))
            free(starts->items[i]);
        else
            starts->items[kept++] = starts->items[i];
    }
    starts->len = kept;
    strvec_push(starts, path);
}

void glob_starts(const struct glob *glob, struct strvec *ret)
{
    vec_foreach (const struct pattern *, p, &glob->patterns) {
        CLEANUP_BUF struct buf path = BUF_INIT;

        if (p->exclude)
            continue;
        for (unsigned i = 0; i < p->count; i++) {
            size_t before = path.len;

            if (before)
                buf_addch(&path, '/');
            if (!add_literal(p->parts[i].text, &path)) {
                buf_truncate(&path, before);
                break;
            }
        }
        add_start(ret, path.data ? path.data : "");
    }
}

/* --- finding --- */

struct walk {
    const struct ctx *ctx;
    const struct glob *glob;
    struct glob_found *found;
    bool first_only;
    bool stopped;
    unsigned since_check;
    struct buf path; /* of the directory, with a slash behind it unless it is the root */
    struct err *err;
};

static int walk_directory(struct walk *w, int fd, const uint64_t *states);

/* Of an entry whose directory does not tell. */
static unsigned char type_of(int dir_fd, const char *name)
{
    struct stat st;

    return fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0 ? DT_UNKNOWN : IFTODT(st.st_mode);
}

static int add_found(struct walk *w, unsigned char type)
{
    struct glob_entry entry = {.type = type};

    if (w->first_only) {
        w->stopped = true;
        return 0;
    }
    if (w->found->len == GLOB_FOUND_MAX)
        return err_set(w->err, ERR_LIMIT, "the patterns match more than %d files", GLOB_FOUND_MAX);
    entry.path = arena_strndup(&w->found->paths, w->path.data, w->path.len);
    vec_push(w->found, entry);
    return 0;
}

static int descend(struct walk *w, int dir_fd, const char *name, const uint64_t *states)
{
    int fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    int result;

    if (fd < 0 && (errno == ENOENT || errno == ENOTDIR || errno == ELOOP))
        return 0;
    if (fd < 0)
        return err_errno(w->err, "cannot read the directory %s", w->path.data);
    buf_addch(&w->path, '/');
    result = walk_directory(w, fd, states);
    return result;
}

static int visit(struct walk *w, int dir_fd, const struct dirent *entry, const uint64_t *states,
                 uint64_t *next)
{
    const struct glob *glob = w->glob;
    size_t above = w->path.len;
    unsigned char type = entry->d_type;
    bool below;
    bool matches;
    int result = 0;

    if (type == DT_UNKNOWN && (type = type_of(dir_fd, entry->d_name)) == DT_UNKNOWN)
        return 0;
    for (size_t i = 0; i < glob->patterns.len; i++)
        next[i] = advance(glob, &glob->patterns.items[i], states[i], entry->d_name, type == DT_DIR);
    matches = verdict(glob, next, &below);
    if (!matches && (type != DT_DIR || !below))
        return 0;
    buf_addstr(&w->path, entry->d_name);
    if (matches)
        result = add_found(w, type);
    if (result == 0 && type == DT_DIR && below && !w->stopped)
        result = descend(w, dir_fd, entry->d_name, next);
    buf_truncate(&w->path, above);
    return result;
}

/* Takes the descriptor over. */
static int walk_directory(struct walk *w, int fd, const uint64_t *states)
{
    CLEANUP_FREE uint64_t *next = xcalloc(w->glob->patterns.len, sizeof(*next));
    DIR *dir = fdopendir(fd);
    struct dirent *entry;
    int result = 0;

    if (!dir) {
        close(fd);
        return err_errno(w->err, "cannot read the directory %s", w->path.data);
    }
    while (result == 0 && !w->stopped && (entry = readdir(dir))) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        if (w->since_check++ % 256 == 0 && ctx_check(w->ctx, w->err) < 0)
            result = -1;
        else
            result = visit(w, dirfd(dir), entry, states, next);
    }
    closedir(dir);
    return result;
}

static int walk_root(struct walk *w, const char *root)
{
    CLEANUP_FREE uint64_t *states = xcalloc(w->glob->patterns.len, sizeof(*states));
    int fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int result;

    if (fd < 0 && errno == ENOENT)
        return 0;
    if (fd < 0)
        return err_errno(w->err, "cannot read the directory %s", root);
    w->path = (struct buf)BUF_INIT;
    begin(w->glob, states);
    result = walk_directory(w, fd, states);
    buf_release(&w->path);
    return result;
}

static int by_path(const void *a, const void *b)
{
    return strcmp(((const struct glob_entry *)a)->path, ((const struct glob_entry *)b)->path);
}

int glob_find(const struct ctx *ctx, const char *root, const struct glob *glob,
              struct glob_found *ret, struct err *err)
{
    struct walk walk = {.ctx = ctx, .glob = glob, .found = ret, .err = err};

    if (walk_root(&walk, root) < 0)
        return -1;
    if (ret->len)
        qsort(ret->items, ret->len, sizeof(*ret->items), by_path);
    return 0;
}

int glob_exists(const struct ctx *ctx, const char *root, const struct glob *glob, bool *ret,
                struct err *err)
{
    struct walk walk = {.ctx = ctx, .glob = glob, .first_only = true, .err = err};

    if (walk_root(&walk, root) < 0)
        return -1;
    *ret = walk.stopped;
    return 0;
}

void glob_found_release(struct glob_found *found)
{
    vec_release(found);
    arena_release(&found->paths);
}
