#include "apis/ssh/config.h"

#include <ctype.h>
#include <glob.h>
#include <stddef.h>
#include <string.h>
#include <strings.h>

#include "base/buf.h"
#include "base/fs.h"
#include "base/parse.h"

enum { FILE_MAX = 1 << 20, DEPTH_MAX = 16, WORDS_MAX = 256, FILES_MAX = 256 };

struct reader {
    const struct ssh_config_source *source;
    const char *alias;
    const char *user; /* of the caller, or NULL */
    bool of_system;   /* below system_file: where relative includes are */
    int depth;
    int files;
    uint32_t seen; /* a bit for each of `keywords` */
    struct ssh_settings *out;
};

/* One place of a file. */
struct place {
    const char *file;
    int line;
};

void ssh_settings_release(struct ssh_settings *s)
{
    free(s->host_name);
    free(s->user);
    strvec_release(&s->identity_files);
    free(s->identity_agent);
    free(s->proxy_jump);
    strvec_release(&s->known_hosts);
    strvec_release(&s->global_known_hosts);
    free(s->host_key_alias);
    strvec_release(&s->notes);
    *s = (struct ssh_settings){0};
}

/* --- patterns --- */

/* `*` and `?` only, without recursion: goes back to the last `*`. */
static bool pattern_match(const char *pattern, size_t len, const char *name)
{
    const char *const end = pattern + len;
    const char *star = NULL;
    const char *star_name = NULL;

    while (*name) {
        if (pattern < end && *pattern == '*') {
            star = ++pattern;
            star_name = name;
        } else if (pattern < end && (*pattern == '?' || tolower((unsigned char)*pattern) ==
                                                            tolower((unsigned char)*name))) {
            pattern++;
            name++;
        } else if (star) {
            pattern = star;
            name = ++star_name;
        } else {
            return false;
        }
    }
    while (pattern < end && *pattern == '*')
        pattern++;
    return pattern == end;
}

bool ssh_pattern_list_match(const char *patterns, const char *separators, const char *name)
{
    bool found = false;

    while (*(patterns += strspn(patterns, separators))) {
        const size_t len = strcspn(patterns, separators);
        const bool negated = *patterns == '!';

        if (pattern_match(patterns + negated, len - negated, name)) {
            if (negated)
                return false;
            found = true;
        }
        patterns += len;
    }
    return found;
}

/* --- values --- */

/* Replaces ~, %-tokens and ${NAME}. */
static char *expand(const struct reader *r, const char *text)
{
    const struct ssh_settings *s = r->out;
    CLEANUP_BUF struct buf out = BUF_INIT;
    char port[16];

    snprintf(port, sizeof(port), "%u", s->port ? s->port : 22);
    if (text[0] == '~' && (text[1] == '/' || !text[1])) {
        buf_addstr(&out, r->source->home);
        text++;
    }
    for (; *text; text++) {
        const char *end;

        if (text[0] == '$' && text[1] == '{' && (end = strchr(text, '}'))) {
            CLEANUP_FREE char *name = xstrndup(text + 2, (size_t)(end - text - 2));
            const char *value = getenv(name);

            buf_addstr(&out, value ? value : "");
            text = end;
            continue;
        }
        if (text[0] != '%' || !text[1]) {
            buf_addch(&out, *text);
            continue;
        }
        switch (*++text) {
        case 'h':
            buf_addstr(&out, s->host_name ? s->host_name : r->alias);
            break;
        case 'n':
            buf_addstr(&out, r->alias);
            break;
        case 'p':
            buf_addstr(&out, port);
            break;
        case 'r':
            buf_addstr(&out, r->user                 ? r->user
                             : s->user               ? s->user
                             : r->source->local_user ? r->source->local_user
                                                     : "");
            break;
        case 'u':
            buf_addstr(&out, r->source->local_user ? r->source->local_user : "");
            break;
        case 'd':
            buf_addstr(&out, r->source->home);
            break;
        case '%':
            buf_addch(&out, '%');
            break;
        default:
            buf_addch(&out, '%');
            buf_addch(&out, *text);
            break;
        }
    }
    return buf_steal(&out);
}

struct word {
    const char *name;
    int value;
};

static const struct word flag_words[] = {
    {"yes", true}, {"true", true}, {"no", false}, {"false", false}, {NULL, 0},
};
static const struct word strict_words[] = {
    {"yes", SSH_STRICT_YES},  {"no", SSH_STRICT_NO},
    {"ask", SSH_STRICT_YES},  {"accept-new", SSH_STRICT_ACCEPT_NEW},
    {"true", SSH_STRICT_YES}, {"off", SSH_STRICT_NO},
    {"false", SSH_STRICT_NO}, {NULL, 0},
};

static const struct word *find_word(const struct word *words, const char *name)
{
    for (; words->name; words++)
        if (strcasecmp(words->name, name) == 0)
            return words;
    return NULL;
}

/* --- keywords --- */

enum kind {
    KIND_HOST,
    KIND_MATCH,
    KIND_INCLUDE,
    KIND_PROXY_COMMAND,
    KIND_TEXT,
    KIND_LIST,    /* all words of the line */
    KIND_ADD,     /* every line adds its word */
    KIND_NUMBER,  /* unsigned, from 1 to max */
    KIND_SECONDS, /* "30", "1m", "none" is 0; kept in milliseconds */
    KIND_FLAG,
    KIND_STRICT,
};

#define AT(member) offsetof(struct ssh_settings, member)

static const struct keyword {
    const char *name;
    enum kind kind;
    size_t offset; /* in struct ssh_settings */
    unsigned max;
    const char *expected;
} keywords[] = {
    {"Host", KIND_HOST, 0, 0, NULL},
    {"Match", KIND_MATCH, 0, 0, NULL},
    {"Include", KIND_INCLUDE, 0, 0, NULL},
    {"ProxyCommand", KIND_PROXY_COMMAND, 0, 0, NULL},
    {"HostName", KIND_TEXT, AT(host_name), 0, NULL},
    {"User", KIND_TEXT, AT(user), 0, NULL},
    {"Port", KIND_NUMBER, AT(port), 65535, "a port from 1 to 65535"},
    {"IdentityFile", KIND_ADD, AT(identity_files), 0, NULL},
    {"IdentitiesOnly", KIND_FLAG, AT(identities_only), 0, "yes or no"},
    {"IdentityAgent", KIND_TEXT, AT(identity_agent), 0, NULL},
    {"ProxyJump", KIND_TEXT, AT(proxy_jump), 0, NULL},
    {"UserKnownHostsFile", KIND_LIST, AT(known_hosts), 0, NULL},
    {"GlobalKnownHostsFile", KIND_LIST, AT(global_known_hosts), 0, NULL},
    {"StrictHostKeyChecking", KIND_STRICT, AT(strict), 0, "yes, no, ask or accept-new"},
    {"HostKeyAlias", KIND_TEXT, AT(host_key_alias), 0, NULL},
    {"ConnectTimeout", KIND_SECONDS, AT(connect_timeout_ms), 0, "a number of seconds"},
    {"ConnectionAttempts", KIND_NUMBER, AT(connection_attempts), 1000,
     "a number of attempts from 1 to 1000"},
    {"ServerAliveInterval", KIND_SECONDS, AT(alive_interval_ms), 0, "a number of seconds"},
};

enum { KEYWORDS = sizeof(keywords) / sizeof(*keywords) };

static const struct keyword *find_keyword(const char *name)
{
    for (size_t i = 0; i < KEYWORDS; i++)
        if (strcasecmp(name, keywords[i].name) == 0)
            return &keywords[i];
    return NULL;
}

static int bad(const struct place *at, const struct keyword *keyword, const char *value,
               struct err *err)
{
    return err_set(err, ERR_INVALID, "%s:%d: expected %s, found \"%s\"", at->file, at->line,
                   keyword->expected, value);
}

/* ProxyJump and ProxyCommand are two ways to say one thing; the first decides. */
static int take_proxy_command(struct reader *r, const struct place *at, const char *value,
                              struct err *err)
{
    if (r->out->proxy_jump)
        return 0;
    if (strcasecmp(value, "none") != 0)
        return err_set(err, ERR_UNSUPPORTED,
                       "%s:%d: ProxyCommand for %s is not supported; use ProxyJump", at->file,
                       at->line, r->alias);
    r->out->proxy_jump = xstrdup("none");
    return 0;
}

/* Takes a value that is in order, unless the keyword has had one. */
static int set_value(struct reader *r, const struct place *at, const struct keyword *keyword,
                     const struct strvec *words, struct err *err)
{
    void *const field = (char *)r->out + keyword->offset;
    const uint32_t bit = (uint32_t)1 << (keyword - keywords);
    const bool first = !(r->seen & bit);
    const char *value = words->items[1];
    const struct word *word;
    int64_t number = 0;

    r->seen |= bit;
    switch (keyword->kind) {
    case KIND_TEXT:
        if (first && !*(char **)field)
            *(char **)field = xstrdup(value);
        return 0;
    case KIND_LIST:
        if (first)
            strvec_extend(field, words->items + 1);
        return 0;
    case KIND_ADD:
        strvec_push(field, value);
        return 0;
    case KIND_NUMBER:
        if (parse_int64(value, &number, NULL) < 0 || number < 1 || number > keyword->max)
            return bad(at, keyword, value, err);
        if (first)
            *(unsigned *)field = (unsigned)number;
        return 0;
    case KIND_SECONDS:
        if (strcasecmp(value, "none") != 0 &&
            (parse_duration_ms(value, &number, NULL) < 0 || number < 0))
            return bad(at, keyword, value, err);
        if (first)
            *(int64_t *)field = number;
        return 0;
    case KIND_FLAG:
    case KIND_STRICT:
        word = find_word(keyword->kind == KIND_FLAG ? flag_words : strict_words, value);
        if (!word)
            return bad(at, keyword, value, err);
        if (first && keyword->kind == KIND_FLAG)
            *(bool *)field = word->value;
        else if (first)
            *(enum ssh_strict *)field = (enum ssh_strict)word->value;
        return 0;
    default:
        return 0;
    }
}

/* --- lines --- */

/* Splits `Keyword value…`, `Keyword=value…`, with "quotes" around words and a comment behind them.
 */
static int split(const struct place *at, const char *line, struct strvec *ret, struct err *err)
{
    for (;;) {
        CLEANUP_BUF struct buf word = BUF_INIT;
        const bool first = ret->len == 0;
        bool quoted = false;

        line += strspn(line, " \t\r\f");
        if (ret->len == 1 && *line == '=')
            line += 1 + strspn(line + 1, " \t\r\f");
        if (!*line || *line == '#')
            return 0;
        for (; *line && (quoted || !strchr(first ? " \t\r\f=" : " \t\r\f", *line)); line++) {
            if (*line == '"')
                quoted = !quoted;
            else if (*line == '\\' && (line[1] == '"' || line[1] == '\\'))
                buf_addch(&word, *++line);
            else
                buf_addch(&word, *line);
        }
        if (quoted)
            return err_set(err, ERR_INVALID, "%s:%d: a quote is not closed", at->file, at->line);
        if (ret->len >= WORDS_MAX)
            return err_set(err, ERR_LIMIT, "%s:%d: more than %d words", at->file, at->line,
                           WORDS_MAX);
        strvec_push(ret, word.data);
    }
}

static bool host_applies(const struct reader *r, const struct strvec *words)
{
    bool found = false;

    for (size_t i = 1; i < words->len; i++) {
        const char *pattern = words->items[i];
        const bool negated = *pattern == '!';

        if (!pattern_match(pattern + negated, strlen(pattern + negated), r->alias))
            continue;
        if (negated)
            return false;
        found = true;
    }
    return found;
}

static int match_applies(struct reader *r, const struct place *at, const struct strvec *words,
                         bool *ret, struct err *err)
{
    bool applies = true;

    for (size_t i = 1; i < words->len; i++) {
        const char *word = words->items[i];
        const bool negated = *word == '!';
        const char *subject = NULL;
        const struct ssh_settings *s = r->out;

        word += negated;
        if (strcasecmp(word, "all") == 0) {
            applies = applies && !negated;
            continue;
        }
        if (strcasecmp(word, "host") == 0)
            subject = s->host_name ? s->host_name : r->alias;
        else if (strcasecmp(word, "originalhost") == 0)
            subject = r->alias;
        else if (strcasecmp(word, "user") == 0)
            subject = r->user ? r->user : s->user ? s->user : r->source->local_user;
        else if (strcasecmp(word, "localuser") == 0)
            subject = r->source->local_user;
        else {
            strvec_pushf(&r->out->notes,
                         "%s:%d: \"Match %s\" is not supported; this block is left out", at->file,
                         at->line, word);
            *ret = false;
            return 0;
        }
        if (++i >= words->len)
            return err_set(err, ERR_INVALID, "%s:%d: Match needs a pattern behind \"%s\"", at->file,
                           at->line, word);
        if (ssh_pattern_list_match(words->items[i], ",", subject ? subject : "") == negated)
            applies = false;
    }
    *ret = applies && words->len > 1;
    return 0;
}

static int read_file(struct reader *r, const char *path, struct err *err);

static int include(struct reader *r, const struct place *at, const struct strvec *words,
                   struct err *err)
{
    if (r->depth >= DEPTH_MAX)
        return err_set(err, ERR_LIMIT, "%s:%d: files are included %d deep; one includes itself?",
                       at->file, at->line, DEPTH_MAX);
    for (size_t i = 1; i < words->len; i++) {
        CLEANUP_FREE char *expanded = expand(r, words->items[i]);
        CLEANUP_FREE char *dir =
            r->of_system ? xstrdup("/etc/ssh") : fs_join(r->source->home, ".ssh");
        CLEANUP_FREE char *path = fs_join(dir, expanded);
        glob_t found = {0};
        int result = 0;

        if (glob(path, 0, NULL, &found) == 0) {
            r->depth++;
            for (size_t n = 0; n < found.gl_pathc && result == 0; n++)
                result = read_file(r, found.gl_pathv[n], err);
            r->depth--;
        }
        globfree(&found);
        if (result < 0)
            return -1;
    }
    return 0;
}

static int read_line(struct reader *r, const struct place *at, const char *line, bool *active,
                     struct err *err)
{
    CLEANUP_STRVEC struct strvec words = {0};
    const struct keyword *keyword;

    if (split(at, line, &words, err) < 0)
        return -1;
    keyword = words.len ? find_keyword(words.items[0]) : NULL;
    if (keyword && keyword->kind == KIND_HOST) {
        *active = host_applies(r, &words);
        return 0;
    }
    if (keyword && keyword->kind == KIND_MATCH)
        return match_applies(r, at, &words, active, err);
    if (!keyword || !*active)
        return 0;
    if (words.len < 2 || !*words.items[1])
        return err_set(err, ERR_INVALID, "%s:%d: %s has no value", at->file, at->line,
                       words.items[0]);
    if (keyword->kind == KIND_INCLUDE)
        return include(r, at, &words, err);
    if (keyword->kind == KIND_PROXY_COMMAND)
        return take_proxy_command(r, at, words.items[1], err);
    return set_value(r, at, keyword, &words, err);
}

static int read_file(struct reader *r, const char *path, struct err *err)
{
    CLEANUP_BUF struct buf text = BUF_INIT;
    struct place at = {.file = path};
    bool active = true;
    char *line, *end;

    if (fs_is_directory(path) || !fs_exists(path))
        return 0;
    if (++r->files > FILES_MAX)
        return err_set(err, ERR_LIMIT, "%s: more than %d files are included", path, FILES_MAX);
    if (fs_read_file(path, FILE_MAX, &text, err) < 0)
        return -1;
    for (line = text.data; line; line = end) {
        at.line++;
        end = strchr(line, '\n');
        if (end)
            *end++ = '\0';
        if (read_line(r, &at, line, &active, err) < 0)
            return -1;
    }
    return 0;
}

/* --- all of it --- */

static void expand_value(const struct reader *r, char **value)
{
    if (*value) {
        char *text = expand(r, *value);

        free(*value);
        *value = text;
    }
}

static void expand_all(const struct reader *r)
{
    struct ssh_settings *s = r->out;

    if (!s->host_name)
        s->host_name = xstrdup(r->alias);
    /* %h of HostName is the name as it was given. */
    if (strchr(s->host_name, '%')) {
        char *pattern = steal_ptr(&s->host_name);

        s->host_name = expand(r, pattern);
        free(pattern);
    }
    expand_value(r, &s->identity_agent);
    expand_value(r, &s->proxy_jump);
    expand_value(r, &s->host_key_alias);
    for (size_t i = 0; i < s->identity_files.len; i++)
        expand_value(r, &s->identity_files.items[i]);
    for (size_t i = 0; i < s->known_hosts.len; i++)
        expand_value(r, &s->known_hosts.items[i]);
    for (size_t i = 0; i < s->global_known_hosts.len; i++)
        expand_value(r, &s->global_known_hosts.items[i]);
}

int ssh_config_read(const struct ssh_config_source *source, const char *alias, const char *user,
                    struct ssh_settings *ret, struct err *err)
{
    CLEANUP_SSH_SETTINGS struct ssh_settings settings = {0};
    struct reader r = {.source = source, .alias = alias, .user = user, .out = &settings};

    if (source->user_file && read_file(&r, source->user_file, err) < 0)
        return -1;
    r.of_system = true;
    if (source->system_file && read_file(&r, source->system_file, err) < 0)
        return -1;
    expand_all(&r);
    *ret = settings;
    settings = (struct ssh_settings){0};
    return 0;
}
