#include "apis/ssh/config.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <stddef.h>
#include <string.h>
#include <strings.h>

#include "apis/ssh/canonical.h"
#include "apis/ssh/owner.h"
#include "apis/ssh/pattern.h"
#include "base/buf.h"
#include "base/fs.h"
#include "base/parse.h"

enum { FILE_MAX = 1 << 20, DEPTH_MAX = 16, WORDS_MAX = 256, FILES_MAX = 256 };

struct reader {
    const struct ctx *ctx;
    const struct ssh_config_source *source;
    const char *alias; /* as it was given */
    const char *host;  /* what Host is compared with: `alias`, or what it was made into */
    const char *user;  /* of the caller, or NULL */
    bool final;        /* the files are read again, now that the name is certain */
    bool wants_final;
    bool of_system; /* below system_file: where relative includes are */
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
    free(s->revoked_keys);
    strvec_release(&s->canonical_domains);
    strvec_release(&s->notes);
    *s = (struct ssh_settings){0};
}

/* Said once, although the files may be read twice. */
__attribute__((format(printf, 3, 4))) static void note(struct reader *r, const struct place *at,
                                                       const char *format, ...)
{
    CLEANUP_BUF struct buf text = BUF_INIT;
    va_list args;

    buf_addf(&text, "%s:%d: ", at->file, at->line);
    va_start(args, format);
    buf_vaddf(&text, format, args);
    va_end(args);
    if (!strvec_has(&r->out->notes, text.data))
        strvec_push(&r->out->notes, text.data);
}

/* --- values --- */

static const char *local_user(const struct reader *r)
{
    return r->source->local_user ? r->source->local_user : "";
}

/* That each ${NAME} of a value has one, as long as it is known where that is written: it may be
 * expanded later. */
static int check_variables(const struct place *at, const char *text, struct err *err)
{
    while ((text = strstr(text, "${"))) {
        CLEANUP_FREE char *name = xstrndup(text + 2, strcspn(text + 2, "}"));

        if (!text[2 + strlen(name)])
            return err_set(err, ERR_INVALID, "%s:%d: a ${ is not closed by a }", at->file,
                           at->line);
        if (!getenv(name))
            return err_set(err, ERR_INVALID,
                           "%s:%d: the environment variable %s has no value; set it, or take ${%s} "
                           "out",
                           at->file, at->line, name, name);
        text += 2 + strlen(name);
    }
    return 0;
}

/* Replaces ~, %-tokens and ${NAME}; `host` is %h. */
static char *expand(const struct reader *r, const char *text, const char *host)
{
    const struct ssh_settings *s = r->out;
    CLEANUP_BUF struct buf out = BUF_INIT;
    char port[16];

    snprintf(port, sizeof(port), "%u", r->source->port ? r->source->port : s->port ? s->port : 22);
    if (text[0] == '~' && (text[1] == '/' || !text[1])) {
        buf_addstr(&out, r->source->home);
        text++;
    }
    for (; *text; text++) {
        const char *end;

        if (text[0] == '$' && text[1] == '{' && (end = strchr(text, '}'))) {
            CLEANUP_FREE char *name = xstrndup(text + 2, (size_t)(end - text - 2));
            const char *value = getenv(name);

            buf_addstr(&out, value ? value : ""); /* check_variables() */
            text = end;
            continue;
        }
        if (text[0] != '%' || !text[1]) {
            buf_addch(&out, *text);
            continue;
        }
        switch (*++text) {
        case 'h':
            buf_addstr(&out, host);
            break;
        case 'n':
            buf_addstr(&out, r->alias);
            break;
        case 'k':
            buf_addstr(&out, s->host_key_alias ? s->host_key_alias : r->alias);
            break;
        case 'p':
            buf_addstr(&out, port);
            break;
        case 'r':
            buf_addstr(&out, r->user ? r->user : s->user ? s->user : local_user(r));
            break;
        case 'u':
            buf_addstr(&out, local_user(r));
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

/* The name as far as it is known: %h of HostName is the one that was given. */
static char *host_name(const struct reader *r)
{
    return r->out->host_name ? expand(r, r->out->host_name, r->host) : xstrdup(r->host);
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
static const struct word canonicalize_words[] = {
    {"no", SSH_CANONICALIZE_NO},         {"false", SSH_CANONICALIZE_NO},
    {"yes", SSH_CANONICALIZE_YES},       {"true", SSH_CANONICALIZE_YES},
    {"always", SSH_CANONICALIZE_ALWAYS}, {NULL, 0},
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
    KIND_ADD,     /* every line adds its word, which is expanded */
    KIND_NUMBER,  /* unsigned, from min to max */
    KIND_SECONDS, /* "30", "1m", "none" is 0; kept in milliseconds */
    KIND_FLAG,    /* one of flag_words */
    KIND_WORD,    /* one of `words`: an enum */
};

#define SETTING(keyword, how, member, ...)                                                         \
    {                                                                                              \
        .name = keyword, .kind = how, .offset = offsetof(struct ssh_settings, member), __VA_ARGS__ \
    }

static const struct keyword {
    const char *name;
    enum kind kind;
    size_t offset;        /* in struct ssh_settings */
    const char *expected; /* of a flag: yes or no */
    bool expanded;        /* of a text or list: ~, tokens and variables are replaced in it */
    unsigned min, max;
    const struct word *words;
} keywords[] = {
    {.name = "Host", .kind = KIND_HOST},
    {.name = "Match", .kind = KIND_MATCH},
    {.name = "Include", .kind = KIND_INCLUDE},
    {.name = "ProxyCommand", .kind = KIND_PROXY_COMMAND},
    SETTING("HostName", KIND_TEXT, host_name, .expanded = true),
    SETTING("User", KIND_TEXT, user),
    SETTING("Port", KIND_NUMBER, port, .min = 1, .max = 65535,
            .expected = "a port from 1 to 65535"),
    SETTING("IdentityFile", KIND_ADD, identity_files),
    SETTING("IdentitiesOnly", KIND_FLAG, identities_only),
    SETTING("IdentityAgent", KIND_TEXT, identity_agent, .expanded = true),
    SETTING("ProxyJump", KIND_TEXT, proxy_jump, .expanded = true),
    SETTING("UserKnownHostsFile", KIND_LIST, known_hosts, .expanded = true),
    SETTING("GlobalKnownHostsFile", KIND_LIST, global_known_hosts, .expanded = true),
    SETTING("StrictHostKeyChecking", KIND_WORD, strict, .words = strict_words,
            .expected = "yes, no, ask or accept-new"),
    SETTING("HostKeyAlias", KIND_TEXT, host_key_alias, .expanded = true),
    SETTING("RevokedHostKeys", KIND_TEXT, revoked_keys, .expanded = true),
    SETTING("CanonicalizeHostname", KIND_WORD, canonicalize, .words = canonicalize_words,
            .expected = "yes, no or always"),
    SETTING("CanonicalDomains", KIND_LIST, canonical_domains),
    SETTING("CanonicalizeMaxDots", KIND_NUMBER, canonical_max_dots, .min = 0, .max = 255,
            .expected = "a number from 0 to 255"),
    SETTING("CanonicalizeFallbackLocal", KIND_FLAG, canonical_fallback),
    SETTING("ConnectTimeout", KIND_SECONDS, connect_timeout_ms, .expected = "a number of seconds"),
    SETTING("ConnectionAttempts", KIND_NUMBER, connection_attempts, .min = 1, .max = 1000,
            .expected = "a number of attempts from 1 to 1000"),
    SETTING("ServerAliveInterval", KIND_SECONDS, alive_interval_ms,
            .expected = "a number of seconds"),
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
                   keyword->expected ? keyword->expected : "yes or no", value);
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
        if (!first || *(char **)field)
            return 0;
        *(char **)field = xstrdup(value);
        return keyword->expanded ? check_variables(at, value, err) : 0;
    case KIND_LIST:
        for (size_t i = 1; first && i < words->len; i++) {
            if (keyword->expanded && check_variables(at, words->items[i], err) < 0)
                return -1;
            strvec_push(field, words->items[i]);
        }
        return 0;
    case KIND_ADD:
        if (!strvec_has(field, value))
            strvec_push(field, value);
        return check_variables(at, value, err);
    case KIND_NUMBER:
        if (parse_int64(value, &number, NULL) < 0 || number < keyword->min || number > keyword->max)
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
    case KIND_WORD:
        word = find_word(keyword->words ? keyword->words : flag_words, value);
        if (!word)
            return bad(at, keyword, value, err);
        if (first && keyword->kind == KIND_FLAG)
            *(bool *)field = word->value;
        else if (first)
            *(unsigned *)field = (unsigned)word->value;
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

        if (!ssh_pattern_match(pattern + negated, strlen(pattern + negated), r->host))
            continue;
        if (negated)
            return false;
        found = true;
    }
    return found;
}

/* What a criterion of Match compares its patterns with, or NULL: it is not supported. */
static char *subject_of(const struct reader *r, const char *criterion)
{
    const char *user = r->user ? r->user : r->out->user;

    if (strcasecmp(criterion, "host") == 0)
        return host_name(r);
    if (strcasecmp(criterion, "originalhost") == 0)
        return xstrdup(r->alias);
    if (strcasecmp(criterion, "localuser") == 0)
        return xstrdup(local_user(r));
    if (strcasecmp(criterion, "user") == 0)
        return xstrdup(user ? user : local_user(r));
    return NULL;
}

/* "all", "canonical" and "final" take no patterns. Whether it is one of these. */
static bool stands_alone(struct reader *r, const char *criterion, bool *ret_holds)
{
    const bool final = strcasecmp(criterion, "final") == 0;

    r->wants_final |= final;
    *ret_holds = r->final || strcasecmp(criterion, "all") == 0;
    return final || strcasecmp(criterion, "canonical") == 0 || strcasecmp(criterion, "all") == 0;
}

static int match_applies(struct reader *r, const struct place *at, const struct strvec *words,
                         bool *ret, struct err *err)
{
    bool applies = words->len > 1;

    for (size_t i = 1; i < words->len; i++) {
        const bool negated = *words->items[i] == '!';
        const char *criterion = words->items[i] + negated;
        CLEANUP_FREE char *subject = NULL;
        bool holds;

        if (stands_alone(r, criterion, &holds)) {
            applies = applies && holds != negated;
            continue;
        }
        subject = subject_of(r, criterion);
        if (!subject) {
            note(r, at, "\"Match %s\" is not supported; this block is left out", criterion);
            *ret = false;
            return 0;
        }
        if (++i >= words->len)
            return err_set(err, ERR_INVALID, "%s:%d: Match needs a pattern behind \"%s\"", at->file,
                           at->line, criterion);
        applies = applies && ssh_pattern_list_match(words->items[i], ",", subject) != negated;
    }
    *ret = applies;
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
        CLEANUP_FREE char *expanded = expand(r, words->items[i], r->host);
        CLEANUP_FREE char *dir =
            r->of_system ? xstrdup("/etc/ssh") : fs_join(r->source->home, ".ssh");
        CLEANUP_FREE char *path = fs_join(dir, expanded);
        glob_t found = {0};
        int result = 0;

        if (check_variables(at, words->items[i], err) < 0)
            return -1;
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

/* Not of a file that the caller names, nor of the system's own; of what these include, always. */
static bool needs_owner(const struct reader *r)
{
    return r->depth > 0 || !(r->of_system || r->source->user_file_is_named);
}

static int read_file(struct reader *r, const char *path, struct err *err)
{
    CLEANUP_BUF struct buf text = BUF_INIT;
    struct place at = {.file = path};
    CLEANUP_FD int fd = -1;
    bool active = true;
    char *line, *end;

    if (fs_is_directory(path) || !fs_exists(path))
        return 0;
    if (++r->files > FILES_MAX)
        return err_set(err, ERR_LIMIT, "%s: more than %d files are included", path, FILES_MAX);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return err_errno(err, "cannot open %s", path);
    if (needs_owner(r) && ssh_check_owner(fd, path, err) < 0)
        return -1;
    if (fs_read_fd(fd, path, FILE_MAX, &text, err) < 0)
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

static int read_files(struct reader *r, struct err *err)
{
    const struct ssh_config_source *source = r->source;

    r->files = 0;
    r->of_system = false;
    if (source->user_file && read_file(r, source->user_file, err) < 0)
        return -1;
    r->of_system = true;
    return source->system_file ? read_file(r, source->system_file, err) : 0;
}

static void set_host_name(struct reader *r, char *name)
{
    free(r->out->host_name);
    r->out->host_name = name;
}

/* With CanonicalizeHostname, or a "Match final" somewhere, the files are read again with the name
 * that the first time has brought: the first value of each keyword stays, blocks that did not apply
 * may now. */
static int read_twice(struct reader *r, struct err *err)
{
    CLEANUP_FREE char *canonical = NULL;

    if (read_files(r, err) < 0)
        return -1;
    set_host_name(r, host_name(r));
    if (r->out->canonicalize == SSH_CANONICALIZE_NO && !r->wants_final)
        return 0;
    if (ssh_canonical_name(r->ctx, r->source, r->out, &canonical, err) < 0)
        return -1;
    set_host_name(r, xstrdup(canonical));
    r->host = canonical;
    r->final = true;
    return read_files(r, err);
}

static void expand_value(const struct reader *r, char **value)
{
    char *text;

    if (!*value)
        return;
    text = expand(r, *value, r->out->host_name);
    free(*value);
    *value = text;
}

static void expand_list(const struct reader *r, struct strvec *list)
{
    for (size_t i = 0; i < list->len; i++)
        expand_value(r, &list->items[i]);
}

static void expand_all(const struct reader *r)
{
    struct ssh_settings *s = r->out;

    expand_value(r, &s->host_key_alias); /* which is %k of the others */
    expand_value(r, &s->identity_agent);
    expand_value(r, &s->proxy_jump);
    expand_value(r, &s->revoked_keys);
    expand_list(r, &s->identity_files);
    expand_list(r, &s->known_hosts);
    expand_list(r, &s->global_known_hosts);
}

int ssh_config_read(const struct ctx *ctx, const struct ssh_config_source *source,
                    const char *alias, const char *user, struct ssh_settings *ret, struct err *err)
{
    CLEANUP_SSH_SETTINGS struct ssh_settings settings = {
        .canonical_max_dots = 1,
        .canonical_fallback = true,
        .proxy_jump = xstrdup_null(source->jump),
    };
    struct reader r = {.ctx = ctx,
                       .source = source,
                       .alias = alias,
                       .host = alias,
                       .user = user,
                       .out = &settings};

    if (read_twice(&r, err) < 0)
        return -1;
    expand_all(&r);
    *ret = settings;
    settings = (struct ssh_settings){0};
    return 0;
}
