/* Commands that are written as one string. */
#include <string.h>

#include "compose/reader.h"

struct splitter {
    const char *at;
    json_t *words;
    struct buf word;
    bool has_word; /* also an empty one, if it was quoted */
    char quote;    /* 0, ' " or `, or ( inside of $( ) */
};

static void end_word(struct splitter *s)
{
    if (s->has_word)
        json_array_append_new(s->words, json_stringn(s->word.data, s->word.len));
    buf_reset(&s->word);
    s->has_word = false;
}

static void add(struct splitter *s, char c)
{
    buf_addch(&s->word, c);
    s->has_word = true;
}

/* Behind a backslash; false: the text ends there. In ` ` and $( ) the backslash stays. */
static bool add_escaped(struct splitter *s)
{
    char c = *s->at;

    if (!c)
        return false;
    s->at++;
    if (s->quote == '`' || s->quote == '(') {
        add(s, '\\');
        add(s, c);
    } else {
        add(s, c == 't' ? '\t' : c == 'n' ? '\n' : c);
    }
    return true;
}

/* Whether the character only opens or closes a quotation. */
static bool is_quote(struct splitter *s, char c)
{
    if (c != '"' && c != '\'')
        return false;
    if (s->quote == c) {
        s->quote = '\0';
        s->has_word = true;
        return true;
    }
    if (!s->quote)
        s->quote = c;
    return s->quote == c;
}

/* Backquotes and $( ), which stay in the word. false: a parenthesis that is neither. */
static bool add_substitution(struct splitter *s, char c)
{
    if (c == '`' && (s->quote == '`' || !s->quote)) {
        s->quote = s->quote ? '\0' : '`';
    } else if (c == '(' && !s->quote) {
        if (!s->word.len || s->word.data[s->word.len - 1] != '$')
            return false;
        s->quote = '(';
    } else if (c == ')' && !s->quote) {
        return false;
    } else if (c == ')' && s->quote == '(') {
        s->quote = '\0';
    } else if (c == '(' && s->quote == '(') {
        return false;
    }
    add(s, c);
    return true;
}

/* A number before ">" belongs to the operator. */
static void drop_descriptor(struct splitter *s)
{
    if (s->word.len && s->word.data[strspn(s->word.data, "0123456789")] == '\0')
        s->has_word = false;
}

static int split(struct splitter *s, const char **ret_rest, struct err *err)
{
    while (*s->at) {
        char c = *s->at++;

        if (c == '\\' && s->quote != '\'') {
            if (!add_escaped(s))
                return err_set(err, ERR_INVALID, "the command ends with a backslash");
        } else if (strchr(" \t\r\n", c)) {
            if (s->quote)
                add(s, c);
            else
                end_word(s);
        } else if (strchr(";&|<>", c) && !s->quote) {
            if (c == '>')
                drop_descriptor(s);
            *ret_rest = s->at - 1;
            break;
        } else if (!is_quote(s, c) && !add_substitution(s, c)) {
            return err_set(err, ERR_INVALID,
                           "the command has an unquoted \"%c\"; quote it, or write a list", c);
        }
    }
    end_word(s);
    if (s->quote)
        return err_set(err, ERR_INVALID, "the command has a %s without end",
                       s->quote == '(' ? "\"$(\"" : "quote");
    return 0;
}

int compose_split_command(const char *text, json_t *words, const char **ret_rest, struct err *err)
{
    struct splitter s = {.at = text, .words = words, .word = BUF_INIT};
    int result;

    *ret_rest = NULL;
    result = split(&s, ret_rest, err);
    buf_release(&s.word);
    return result;
}
