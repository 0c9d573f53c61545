#include "compose/dockerfile.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "base/alloc.h"
#include "base/buf.h"

struct instruction {
    const char *name;
    const char *const *flags; /* of BuildKit */
    bool documents;           /* can have here-documents */
};

static const char *const run_flags[] = {"--mount", "--network", "--security", "--device", NULL};
static const char *const copy_flags[] = {"--chmod", "--link", "--parents", "--exclude", NULL};
static const char *const add_flags[] = {"--chmod",   "--link",   "--checksum", "--keep-git-dir",
                                        "--exclude", "--unpack", NULL};
/* Variables that only BuildKit sets. */
static const char *const from_flags[] = {"--platform=$BUILDPLATFORM", "--platform=${BUILDPLATFORM",
                                         "--platform=$TARGETPLATFORM",
                                         "--platform=${TARGETPLATFORM", NULL};

static const struct instruction instructions[] = {
    {"RUN", run_flags, true},
    {"COPY", copy_flags, true},
    {"ADD", add_flags, true},
    {"FROM", from_flags, false},
};

struct reader {
    const char *at;
    size_t line; /* of what was read last */
    char escape;
    bool directives; /* may still come */
};

static const char *skip_blanks(const char *text)
{
    return text + strspn(text, " \t\r\f\v");
}

/* "# escape=`" changes what a line is continued with; it comes before anything else. */
static void read_directive(struct reader *r, const char *comment)
{
    const char *at = skip_blanks(comment + 1);

    if (!r->directives || strncasecmp(at, "escape", 6) != 0)
        return;
    at = skip_blanks(at + 6);
    if (*at == '=' && strchr("\\`", *skip_blanks(at + 1)) && *skip_blanks(at + 1))
        r->escape = *skip_blanks(at + 1);
}

/* The next line with its continuations; comments and empty lines among these do not count. */
static bool read_instruction(struct reader *r, struct buf *out, size_t *ret_line)
{
    bool more = true;

    buf_reset(out);
    while (more && *r->at) {
        const char *begin = skip_blanks(r->at);
        size_t len = strcspn(begin, "\n");

        r->at = begin + len + (begin[len] == '\n');
        r->line++;
        while (len && isspace((unsigned char)begin[len - 1]))
            len--;
        if (!len)
            continue;
        if (*begin == '#') {
            read_directive(r, begin);
            continue;
        }
        r->directives = false;
        if (!out->len)
            *ret_line = r->line;
        more = begin[len - 1] == r->escape;
        buf_add(out, begin, more ? len - 1 : len);
        buf_addch(out, ' ');
    }
    return out->len > 0;
}

static const char *flag_of(const struct instruction *instruction, const char *word, size_t len)
{
    for (const char *const *flag = instruction->flags; *flag; flag++) {
        size_t flag_len = strlen(*flag);
        /* What has a value in the table is a beginning. */
        bool whole = !strchr(*flag, '=');

        if (len >= flag_len && strncmp(word, *flag, flag_len) == 0 &&
            (!whole || len == flag_len || word[flag_len] == '='))
            return *flag;
    }
    return NULL;
}

/* "<<EOF", "<<-'EOF'", but not the "<<<" of a shell. */
static const char *document_in(const char *text)
{
    for (const char *at = text; (at = strstr(at, "<<")); at += 2) {
        const char *word = at + 2;

        if (*word == '<') {
            at++;
            continue;
        }
        word += *word == '-';
        word += *word == '"' || *word == '\'';
        if (isalpha((unsigned char)*word) || *word == '_')
            return at;
    }
    return NULL;
}

static char *find_in(const char *text)
{
    const struct instruction *found = NULL;
    size_t len = strcspn(text, " \t");
    const char *document;

    if (len == 7 && strncasecmp(text, "ONBUILD", len) == 0)
        return find_in(skip_blanks(text + len));
    for (size_t i = 0; i < sizeof(instructions) / sizeof(*instructions); i++) {
        if (strlen(instructions[i].name) == len &&
            strncasecmp(instructions[i].name, text, len) == 0)
            found = &instructions[i];
    }
    if (!found)
        return NULL;
    for (text = skip_blanks(text + len); strncmp(text, "--", 2) == 0;
         text = skip_blanks(text + len)) {
        len = strcspn(text, " \t");
        if (flag_of(found, text, len))
            return xasprintf("%s %.*s", found->name,
                             (int)(found->documents ? strcspn(text, "= \t") : len), text);
    }
    document = found->documents ? document_in(text) : NULL;
    return document ? xasprintf("%s %.*s", found->name, (int)strcspn(document, " \t;&|)"), document)
                    : NULL;
}

bool compose_dockerfile_find_buildkit(const char *text, size_t *ret_line, char **ret_what)
{
    CLEANUP_BUF struct buf instruction = BUF_INIT;
    struct reader r = {.at = text, .escape = '\\', .directives = true};
    size_t line = 0;

    while (read_instruction(&r, &instruction, &line)) {
        char *what = find_in(instruction.data);

        if (!what)
            continue;
        *ret_line = line;
        *ret_what = what;
        return true;
    }
    return false;
}
