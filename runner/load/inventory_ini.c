/* Lines of hosts with variables, under headings of groups:
 *
 *     web[01:50].example.org ansible_port=2222 note="a b"
 *     [web:vars]
 *     [eu:children] */
#include <string.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/nearest.h"
#include "load/inventory_model.h"

enum section { SECTION_HOSTS, SECTION_VARS, SECTION_CHILDREN };

struct ini {
    struct inventory *inv;
    uint32_t group;
    enum section section;
    const char *line; /* without white space at its ends */
    const char *end;
    struct src_pos pos; /* of `line` */
};

static struct src_pos position(const struct ini *ini, const char *at)
{
    struct src_pos pos = ini->pos;

    pos.column += (uint32_t)(at - ini->line);
    return pos;
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\f' || c == '\v';
}

/* --- headings --- */

static const struct {
    const char *name;
    enum section section;
} sections[] = {
    {"hosts", SECTION_HOSTS},
    {"vars", SECTION_VARS},
    {"children", SECTION_CHILDREN},
};

static void read_kind(struct ini *ini, const char *text, const char *kind)
{
    struct nearest nearest = {.text = kind};

    for (size_t i = 0; i < sizeof(sections) / sizeof(*sections); i++) {
        if (strcmp(sections[i].name, kind) == 0) {
            ini->section = sections[i].section;
            return;
        }
        nearest_offer(&nearest, sections[i].name);
    }
    inventory_error(ini->inv, position(ini, text),
                    "\"%s\" cannot stand behind a group; write [GROUP], [GROUP:vars] or "
                    "[GROUP:children]",
                    kind);
}

static void read_heading(struct ini *ini)
{
    const char *close = memchr(ini->line, ']', (size_t)(ini->end - ini->line));
    CLEANUP_FREE char *name = NULL;
    char *colon;

    if (!close) {
        inventory_error(ini->inv, ini->pos, "the heading has no \"]\"");
        return;
    }
    name = xstrndup(ini->line + 1, (size_t)(close - ini->line - 1));
    colon = strrchr(name, ':');
    ini->section = SECTION_HOSTS;
    if (colon) {
        *colon = '\0';
        read_kind(ini, ini->line + 2 + (colon - name), colon + 1);
    }
    ini->group = inventory_group(ini->inv, name, position(ini, ini->line + 1));
    for (close++; close < ini->end && is_space(*close);)
        close++;
    if (close < ini->end && *close != '#' && *close != ';')
        inventory_error(ini->inv, position(ini, close), "nothing but a comment goes behind \"]\"");
}

/* --- hosts --- */

/* The next word as a shell has it: quotes and backslashes are taken away. false: there is none.
 * *equals is where the first "=" outside of quotes stands in it; *at moves behind the word. */
static bool next_word(struct ini *ini, const char **at, struct buf *word, size_t *equals,
                      const char **start)
{
    char quote = '\0';

    while (*at < ini->end && is_space(**at))
        ++*at;
    buf_reset(word);
    *equals = SIZE_MAX;
    *start = *at;
    if (*at == ini->end || **at == '#')
        return false;
    for (; *at < ini->end && (quote || !is_space(**at)); ++*at) {
        char c = **at;

        if (quote ? c == quote : c == '"' || c == '\'') {
            quote = quote ? '\0' : c;
        } else if (c == '\\' && quote != '\'' && *at + 1 < ini->end) {
            buf_addch(word, *++*at);
        } else {
            if (c == '=' && !quote && *equals == SIZE_MAX)
                *equals = word->len;
            buf_addch(word, c);
        }
    }
    if (!quote)
        return true;
    inventory_error(ini->inv, position(ini, *start), "the quote is not closed");
    return false;
}

/* "host:2222" has a port; an IPv6 address has more colons, or stands in brackets as ranges do. */
static void split_port(struct ini *ini, char *name, struct src_pos pos, struct spec_pairs *vars)
{
    char *colon = strrchr(name, ':');

    if (!colon || strchr(colon, ']') || !colon[1] || colon[1 + strspn(colon + 1, "0123456789")])
        return;
    for (const char *c = name; c < colon; c++) {
        if (*c == ':')
            return;
        if (*c == '[')
            c = memchr(c, ']', (size_t)(colon - c));
        if (!c)
            return;
    }
    inventory_set(ini->inv, vars, "ansible_port", colon + 1, pos);
    *colon = '\0';
}

static void read_vars(struct ini *ini, const char *at, struct spec_pairs *vars)
{
    CLEANUP_BUF struct buf word = BUF_INIT;
    const char *start;
    size_t equals;

    while (next_word(ini, &at, &word, &equals, &start)) {
        if (equals == SIZE_MAX || !equals) {
            inventory_error(ini->inv, position(ini, start),
                            "\"%s\" is no variable; behind the name of a host goes KEY=VALUE",
                            word.data);
            return;
        }
        word.data[equals] = '\0';
        inventory_set(ini->inv, vars, word.data, word.data + equals + 1, position(ini, start));
    }
}

static void read_hosts(struct ini *ini)
{
    CLEANUP_BUF struct buf name = BUF_INIT;
    struct spec_pairs vars = {0};
    const char *at = ini->line;
    const char *start;
    size_t equals;

    if (!next_word(ini, &at, &name, &equals, &start))
        return;
    if (equals != SIZE_MAX)
        inventory_error(
            ini->inv, ini->pos,
            "the line does not begin with the name of a host; variables of a group stand "
            "below [%s:vars]",
            ini->inv->groups.items[ini->group].name);
    else
        split_port(ini, name.data, ini->pos, &vars);
    read_vars(ini, at, &vars);
    if (equals == SIZE_MAX)
        inventory_add_hosts(ini->inv, ini->group, name.data, ini->pos, &vars);
    inventory_release_pairs(&vars);
}

/* --- variables and groups of a group --- */

static void read_var(struct ini *ini)
{
    const char *equals = memchr(ini->line, '=', (size_t)(ini->end - ini->line));
    const char *key_end = equals ? equals : ini->line;
    const char *value = key_end + 1;
    const char *end = ini->end;
    CLEANUP_FREE char *key = NULL;
    CLEANUP_FREE char *text = NULL;

    while (key_end > ini->line && is_space(key_end[-1]))
        key_end--;
    if (key_end == ini->line) {
        inventory_error(ini->inv, ini->pos, "a variable is written KEY=VALUE");
        return;
    }
    while (value < end && is_space(*value))
        value++;
    if (end - value >= 2 && (*value == '"' || *value == '\'') && end[-1] == *value) {
        value++;
        end--;
    }
    key = xstrndup(ini->line, (size_t)(key_end - ini->line));
    text = xstrndup(value, (size_t)(end - value));
    inventory_set(ini->inv, &ini->inv->groups.items[ini->group].vars, key, text, ini->pos);
}

static void read_child(struct ini *ini)
{
    const char *end = ini->line;
    CLEANUP_FREE char *name = NULL;

    while (end < ini->end && !is_space(*end))
        end++;
    name = xstrndup(ini->line, (size_t)(end - ini->line));
    while (end < ini->end && is_space(*end))
        end++;
    if (end < ini->end && *end != '#')
        inventory_error(ini->inv, position(ini, end), "one group stands on a line");
    inventory_nest(ini->inv, ini->group, inventory_group(ini->inv, name, ini->pos));
}

/* --- lines --- */

static void read_line(struct ini *ini)
{
    if (ini->line == ini->end || *ini->line == '#' || *ini->line == ';')
        return;
    if (*ini->line == '[')
        read_heading(ini);
    else if (ini->section == SECTION_VARS)
        read_var(ini);
    else if (ini->section == SECTION_CHILDREN)
        read_child(ini);
    else
        read_hosts(ini);
}

void inventory_read_ini(struct inventory *inv, const char *text, size_t len)
{
    struct ini ini = {.inv = inv};
    const char *text_end = text + len;

    if (memchr(text, '\0', len)) {
        inventory_error(inv, (struct src_pos){0}, "the file holds a NUL byte");
        return;
    }
    if (len >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0)
        text += 3;
    for (uint32_t number = 1; text < text_end; number++) {
        const char *end = memchr(text, '\n', (size_t)(text_end - text));
        const char *next = end ? end + 1 : text_end;

        ini.line = text;
        ini.end = end ? end : text_end;
        while (ini.line < ini.end && is_space(*ini.line))
            ini.line++;
        while (ini.end > ini.line && is_space(ini.end[-1]))
            ini.end--;
        ini.pos = (struct src_pos){.line = number, .column = (uint32_t)(ini.line - text) + 1};
        read_line(&ini);
        text = next;
    }
}
