#include "expr/lexer.h"

#include <stdarg.h>
#include <string.h>

#include "base/utf8.h"

/* Bytes of a token that a message quotes. */
#define QUOTED_MAX 40

/* How much of a token can stand in a message, which is one line of UTF-8. */
static int quotable(const char *text, size_t len)
{
    size_t quoted = 0;

    while (quoted < len && quoted < QUOTED_MAX && (unsigned char)text[quoted] >= ' ')
        quoted++;
    return (int)utf8_valid_prefix(text, quoted);
}

int lexer_fail(struct lexer *lexer, size_t at, const char *fmt, ...)
{
    char message[512];
    va_list args;

    va_start(args, fmt);
    vsnprintf(message, sizeof(message), fmt, args);
    va_end(args);
    lexer->error_at = at;
    return err_set(lexer->err, ERR_INVALID, "%s", message);
}

bool lexer_is_word(const struct lexer *lexer, const char *word)
{
    return lexer->token.type == TOKEN_WORD && lexer->token.len == strlen(word) &&
           memcmp(lexer->text + lexer->token.at, word, lexer->token.len) == 0;
}

/* Words that other languages have for operators of this one. */
static const char *meant(const struct lexer *lexer)
{
    if (lexer_is_word(lexer, "and"))
        return "; write && for \"and\"";
    if (lexer_is_word(lexer, "or"))
        return "; write || for \"or\"";
    if (lexer_is_word(lexer, "not"))
        return "; write ! for \"not\"";
    return "";
}

int lexer_unexpected(struct lexer *lexer, const char *expected)
{
    const struct token *token = &lexer->token;
    int len = quotable(lexer->text + token->at, token->len);

    if (token->type == TOKEN_END)
        return lexer_fail(lexer, token->at, "the expression ends where %s is expected", expected);
    return lexer_fail(lexer, token->at, "expected %s, not \"%.*s\"%s", expected, len,
                      lexer->text + token->at, meant(lexer));
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_word_start(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static size_t word_length(const struct lexer *lexer, size_t at, const char *also)
{
    size_t start = at;

    while (at < lexer->len && (is_word_start(lexer->text[at]) || is_digit(lexer->text[at]) ||
                               (lexer->text[at] == *also && *also)))
        at++;
    return at - start;
}

static char peek(const struct lexer *lexer, size_t at)
{
    return at < lexer->len ? lexer->text[at] : '\0';
}

static int take(struct lexer *lexer, enum token_type type, size_t at, size_t len)
{
    lexer->token = (struct token){.type = type, .at = at, .len = len};
    lexer->at = at + len;
    return 0;
}

static size_t skip_space(struct lexer *lexer)
{
    while (lexer->at < lexer->len && is_space(lexer->text[lexer->at]))
        lexer->at++;
    return lexer->at;
}

static size_t digits(const struct lexer *lexer, size_t at)
{
    size_t start = at;

    while (is_digit(peek(lexer, at)))
        at++;
    return at - start;
}

static int take_number(struct lexer *lexer, size_t start)
{
    size_t at = start + (lexer->text[start] == '-');
    size_t more;

    at += digits(lexer, at);
    if (peek(lexer, at) == '.' && is_digit(peek(lexer, at + 1)))
        at += 1 + digits(lexer, at + 1);
    if (peek(lexer, at) == 'e' || peek(lexer, at) == 'E') {
        size_t sign = peek(lexer, at + 1) == '-' || peek(lexer, at + 1) == '+';

        if (is_digit(peek(lexer, at + 1 + sign)))
            at += 1 + sign + digits(lexer, at + 1 + sign);
    }
    more = word_length(lexer, at, ".");
    if (more)
        return lexer_fail(lexer, start, "\"%.*s\" is not a number; a text stands in quotes",
                          quotable(lexer->text + start, at + more - start), lexer->text + start);
    return take(lexer, TOKEN_NUMBER, start, at - start);
}

static int take_string(struct lexer *lexer, size_t start)
{
    char quote = lexer->text[start];
    size_t at = start + 1;

    while (at < lexer->len) {
        char c = lexer->text[at];

        if (!c)
            return lexer_fail(lexer, at, "a text cannot hold the byte 0");
        if (c == '\\' && quote == '"' && at + 1 < lexer->len)
            at++;
        else if (c == quote && quote == '\'' && peek(lexer, at + 1) == quote)
            at++;
        else if (c == quote)
            return take(lexer, TOKEN_STRING, start, at + 1 - start);
        at++;
    }
    return lexer_fail(lexer, start, "the text that begins here has no closing %c", quote);
}

static int take_variable(struct lexer *lexer, size_t start)
{
    size_t len = 0;

    if (is_word_start(peek(lexer, start + 1)))
        len = word_length(lexer, start + 1, "");
    if (len)
        return take(lexer, TOKEN_VARIABLE, start, len + 1);
    if (peek(lexer, start + 1) == '{')
        return lexer_fail(lexer, start,
                          "an expression takes no braces: write $NAME for ${NAME}, and nothing "
                          "around the whole");
    return lexer_fail(lexer, start, "expected a name behind \"$\"");
}

struct symbol {
    const char *text;
    enum token_type type;
};

/* Those that begin another stand behind it. */
static const struct symbol symbols[] = {
    {"&&", TOKEN_AND},  {"||", TOKEN_OR},        {"==", TOKEN_EQ},         {"!=", TOKEN_NE},
    {"<=", TOKEN_LE},   {">=", TOKEN_GE},        {"=~", TOKEN_MATCH},      {"!~", TOKEN_NOT_MATCH},
    {"<", TOKEN_LT},    {">", TOKEN_GT},         {"!", TOKEN_NOT},         {"(", TOKEN_OPEN},
    {")", TOKEN_CLOSE}, {"[", TOKEN_OPEN_INDEX}, {"]", TOKEN_CLOSE_INDEX}, {".", TOKEN_DOT},
    {",", TOKEN_COMMA},
};

static int unknown_symbol(struct lexer *lexer, size_t at)
{
    unsigned char c = (unsigned char)lexer->text[at];

    switch (c) {
    case '=':
        return lexer_fail(lexer, at, "\"=\" is no operator; write \"==\" to compare");
    case '&':
        return lexer_fail(lexer, at, "\"&\" is no operator; write \"&&\"");
    case '|':
        return lexer_fail(lexer, at, "\"|\" is no operator; write \"||\"");
    case '/':
        return lexer_fail(lexer, at,
                          "\"/\" begins nothing; a pattern stands in quotes: "
                          "=~ '^v[0-9]'");
    case '{':
    case '}':
        return lexer_fail(lexer, at, "an expression takes no braces around it");
    case '*':
        return lexer_fail(lexer, at, "\"*\" is no operator; globs stand in quotes");
    default:
        break;
    }
    if (c > ' ' && c < 0x7f)
        return lexer_fail(lexer, at, "\"%c\" is no operator", c);
    return lexer_fail(lexer, at, "the byte 0x%02x can stand in quotes only", c);
}

int lexer_next(struct lexer *lexer)
{
    size_t at = skip_space(lexer);
    char c = peek(lexer, at);

    if (at == lexer->len)
        return take(lexer, TOKEN_END, at, 0);
    if (is_word_start(c))
        return take(lexer, TOKEN_WORD, at, word_length(lexer, at, ""));
    if (is_digit(c) || (c == '-' && is_digit(peek(lexer, at + 1))))
        return take_number(lexer, at);
    if (c == '\'' || c == '"')
        return take_string(lexer, at);
    if (c == '$')
        return take_variable(lexer, at);
    for (size_t i = 0; i < sizeof(symbols) / sizeof(*symbols); i++) {
        size_t len = strlen(symbols[i].text);

        if (lexer->len - at >= len && memcmp(lexer->text + at, symbols[i].text, len) == 0)
            return take(lexer, symbols[i].type, at, len);
    }
    return unknown_symbol(lexer, at);
}

int lexer_next_member(struct lexer *lexer)
{
    size_t at = skip_space(lexer);

    if (!is_word_start(peek(lexer, at)) && !is_digit(peek(lexer, at)))
        return lexer_next(lexer);
    return take(lexer, TOKEN_WORD, at, word_length(lexer, at, "-"));
}

/* What "\c" stands for in double quotes; '\0': nothing. */
static char escaped(char c)
{
    switch (c) {
    case '\\':
    case '"':
        return c;
    case 'n':
        return '\n';
    case 't':
        return '\t';
    case 'r':
        return '\r';
    default:
        return '\0';
    }
}

int lexer_add_string(struct lexer *lexer, struct buf *out)
{
    const char *text = lexer->text;
    size_t end = lexer->token.at + lexer->token.len - 1;
    char quote = text[lexer->token.at];

    for (size_t i = lexer->token.at + 1; i < end; i++) {
        char c = text[i];

        if (c == '\\' && quote == '"') {
            c = escaped(text[++i]);
            if (!c)
                return lexer_fail(lexer, i - 1,
                                  "\"%.*s\" is no escape; write \"\\\\\" for a backslash, or put "
                                  "the text in single quotes",
                                  quotable(text + i - 1, 2), text + i - 1);
        } else if (c == quote) {
            i++;
        }
        buf_addch(out, c);
    }
    return 0;
}

size_t lexer_string_offset(const struct lexer *lexer, const struct token *string, size_t offset)
{
    char quote = lexer->text[string->at];
    size_t at = string->at + 1;

    for (; offset; offset--)
        at += lexer->text[at] == quote || (lexer->text[at] == '\\' && quote == '"') ? 2 : 1;
    return at;
}
