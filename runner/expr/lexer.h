/* Tokens of an expression, one at a time. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"

enum token_type {
    TOKEN_END,
    TOKEN_NUMBER,
    TOKEN_STRING,   /* with its quotes */
    TOKEN_WORD,     /* [A-Za-z_][A-Za-z0-9_]* */
    TOKEN_VARIABLE, /* $NAME, with its dollar */
    TOKEN_NOT,
    TOKEN_AND,
    TOKEN_OR,
    TOKEN_EQ, /* the comparisons: in the order of enum expr_op */
    TOKEN_NE,
    TOKEN_LT,
    TOKEN_LE,
    TOKEN_GT,
    TOKEN_GE,
    TOKEN_MATCH,
    TOKEN_NOT_MATCH,
    TOKEN_OPEN,
    TOKEN_CLOSE,
    TOKEN_OPEN_INDEX,
    TOKEN_CLOSE_INDEX,
    TOKEN_DOT,
    TOKEN_COMMA,
};

struct token {
    enum token_type type;
    size_t at;
    size_t len;
};

struct lexer {
    const char *text;
    size_t len;
    size_t at;          /* behind the token */
    struct token token; /* the one to look at */
    size_t error_at;    /* set on failure */
    struct err *err;
};

/* Goes to the next token; -1: there is none that makes sense. */
int lexer_next(struct lexer *lexer) __attribute__((warn_unused_result));
/* The same behind a dot, where a word may begin with a digit and hold `-`. */
int lexer_next_member(struct lexer *lexer) __attribute__((warn_unused_result));
/* Fills the error for the byte `at`. Always -1. */
int lexer_fail(struct lexer *lexer, size_t at, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* That the token does not fit here; `expected` says what would. Always -1. */
int lexer_unexpected(struct lexer *lexer, const char *expected);
bool lexer_is_word(const struct lexer *lexer, const char *word);
/* Appends what the TOKEN_STRING stands for. */
int lexer_add_string(struct lexer *lexer, struct buf *out) __attribute__((warn_unused_result));
/* The byte of the text that byte `offset` of a TOKEN_STRING's contents was written at. */
size_t lexer_string_offset(const struct lexer *lexer, const struct token *string, size_t offset);
