/* Recursive descent, one function for each level of precedence:
 *
 *     or         = and { "||" and }
 *     and        = comparison { "&&" comparison }
 *     comparison = unary [ operator unary | "in" ( "(" or { "," or } ")" | unary ) ]
 *     unary      = "!" unary | postfix
 *     postfix    = primary { "." member | "[" or "]" }
 *
 * Chains of one operator become one node with many operands, so that the tree is as deep as the
 * recursion that made it, which is limited. */
#include <string.h>

#include "base/alloc.h"
#include "expr/builder.h"
#include "expr/lexer.h"

struct parser {
    struct lexer lexer;
    struct builder tree;
    unsigned depth;
};

static int parse_or(struct parser *p, uint32_t *ret);

static enum token_type current(const struct parser *p)
{
    return p->lexer.token.type;
}

static int next(struct parser *p)
{
    return lexer_next(&p->lexer);
}

static int enter(struct parser *p)
{
    if (p->depth == EXPR_MAX_DEPTH) {
        p->lexer.error_at = p->lexer.token.at;
        return err_set(p->lexer.err, ERR_LIMIT, "the expression is nested more than %d levels deep",
                       EXPR_MAX_DEPTH);
    }
    p->depth++;
    return 0;
}

static int expect(struct parser *p, enum token_type type, const char *what)
{
    if (current(p) != type)
        return lexer_unexpected(&p->lexer, what);
    return next(p);
}

/* Literals */

static int parse_number(struct parser *p, uint32_t *ret)
{
    const struct token *token = &p->lexer.token;
    struct expr_node node = {.type = NODE_LITERAL, .at = (uint32_t)token->at};
    struct expr_value value;

    if (!expr_parse_number(p->lexer.text + token->at, token->len, &value))
        return lexer_fail(&p->lexer, token->at, "the number is too large");
    node.kind = (uint8_t)value.kind;
    if (value.kind == EXPR_INTEGER)
        node.integer = value.integer;
    else
        node.real = value.real;
    *ret = builder_add(&p->tree, node);
    return next(p);
}

static int parse_string(struct parser *p, uint32_t *ret)
{
    size_t first = p->tree.pool.len;

    if (lexer_add_string(&p->lexer, &p->tree.pool) < 0)
        return -1;
    *ret = builder_add_text(&p->tree, p->lexer.token.at, first);
    return next(p);
}

static bool word_literal(const struct parser *p, struct expr_node *ret)
{
    if (lexer_is_word(&p->lexer, "null"))
        ret->kind = EXPR_NULL;
    else if (lexer_is_word(&p->lexer, "true") || lexer_is_word(&p->lexer, "false"))
        ret->kind = EXPR_BOOL;
    else
        return false;
    ret->type = NODE_LITERAL;
    ret->boolean = lexer_is_word(&p->lexer, "true");
    return true;
}

/* Names */

static int parse_variable(struct parser *p, uint32_t *ret)
{
    const struct token token = p->lexer.token;
    struct expr_node node = builder_begin_name(&p->tree, token.at);

    builder_add_part(&p->tree, "env", 3);
    builder_add_part(&p->tree, p->lexer.text + token.at + 1, token.len - 1);
    *ret = builder_end_name(&p->tree, node);
    if (next(p) < 0)
        return -1;
    if (current(p) == TOKEN_DOT || current(p) == TOKEN_OPEN_INDEX)
        return lexer_fail(&p->lexer, p->lexer.token.at,
                          "%.*s is a text and has no members; fromJSON(%.*s) may have",
                          (int)token.len, p->lexer.text + token.at, (int)token.len,
                          p->lexer.text + token.at);
    return 0;
}

/* Behind a dot: the member's name as a token. */
static int member_name(struct parser *p)
{
    if (lexer_next_member(&p->lexer) < 0)
        return -1;
    if (current(p) != TOKEN_WORD)
        return lexer_unexpected(&p->lexer, "a name behind the dot");
    return 0;
}

static int too_many_parts(struct parser *p, size_t at)
{
    p->lexer.error_at = at;
    return err_set(p->lexer.err, ERR_LIMIT, "a name has at most %d parts", EXPR_MAX_NAME);
}

/* Whether "[" 'text' "]" follows, which continues a name; looks ahead without moving. */
static bool index_is_text(const struct parser *p)
{
    struct lexer ahead = p->lexer;
    struct err ignored = ERR_INIT;

    ahead.err = &ignored;
    if (lexer_next(&ahead) < 0 || ahead.token.type != TOKEN_STRING)
        return false;
    return lexer_next(&ahead) == 0 && ahead.token.type == TOKEN_CLOSE_INDEX;
}

static int text_index(struct parser *p)
{
    CLEANUP_BUF struct buf part = BUF_INIT;

    if (next(p) < 0 || lexer_add_string(&p->lexer, &part) < 0)
        return -1;
    builder_add_part(&p->tree, part.data, part.len);
    if (next(p) < 0)
        return -1;
    return next(p);
}

/* The first word has been read; goes on as long as the name does. */
static int parse_name(struct parser *p, const struct token *word, uint32_t *ret)
{
    struct expr_node node = builder_begin_name(&p->tree, word->at);

    builder_add_part(&p->tree, p->lexer.text + word->at, word->len);
    while (current(p) == TOKEN_DOT || (current(p) == TOKEN_OPEN_INDEX && index_is_text(p))) {
        if (p->tree.paths.len - node.first == EXPR_MAX_NAME)
            return too_many_parts(p, p->lexer.token.at);
        if (current(p) == TOKEN_OPEN_INDEX) {
            if (text_index(p) < 0)
                return -1;
            continue;
        }
        if (member_name(p) < 0)
            return -1;
        builder_add_part(&p->tree, p->lexer.text + p->lexer.token.at, p->lexer.token.len);
        if (next(p) < 0)
            return -1;
    }
    *ret = builder_end_name(&p->tree, node);
    return 0;
}

/* Lists and calls */

/* Operands up to the closing parenthesis; the opening one is current. */
static int parse_operands(struct parser *p, bool may_be_empty)
{
    size_t mark = builder_mark(&p->tree);

    if (next(p) < 0)
        return -1;
    if (may_be_empty && current(p) == TOKEN_CLOSE)
        return next(p);
    for (;;) {
        uint32_t operand;

        if (builder_mark(&p->tree) - mark >= EXPR_MAX_ARGS) {
            p->lexer.error_at = p->lexer.token.at;
            return err_set(p->lexer.err, ERR_LIMIT, "at most %d values can stand in parentheses",
                           EXPR_MAX_ARGS);
        }
        if (parse_or(p, &operand) < 0)
            return -1;
        builder_push(&p->tree, operand);
        if (current(p) == TOKEN_CLOSE)
            return next(p);
        if (expect(p, TOKEN_COMMA, "\",\" or \")\"") < 0)
            return -1;
    }
}

static const char *plural(size_t count)
{
    return count == 1 ? "" : "s";
}

static int check_count(struct parser *p, const struct token *word, const struct expr_function *f,
                       size_t count)
{
    if (count >= f->least && count <= f->most)
        return 0;
    if (f->least == f->most && !f->most)
        return lexer_fail(&p->lexer, word->at, "%s() takes no arguments, not %zu", f->name, count);
    if (f->least == f->most)
        return lexer_fail(&p->lexer, word->at, "%s() takes %u argument%s, not %zu", f->name,
                          f->least, plural(f->least), count);
    if (count < f->least)
        return lexer_fail(&p->lexer, word->at, "%s() takes at least %u argument%s, not %zu",
                          f->name, f->least, plural(f->least), count);
    return lexer_fail(&p->lexer, word->at, "%s() takes at most %u arguments, not %zu", f->name,
                      f->most, count);
}

static const struct expr_function *find_function(struct parser *p, const struct token *word)
{
    CLEANUP_FREE char *name = xstrndup(p->lexer.text + word->at, word->len);
    const char *nearest = NULL;
    const struct expr_function *function = expr_function_find(name, &nearest);

    if (function)
        return function;
    if (nearest)
        lexer_fail(&p->lexer, word->at, "there is no function %.64s(); did you mean %s()?", name,
                   nearest);
    else
        lexer_fail(&p->lexer, word->at, "there is no function %.64s()", name);
    return NULL;
}

static bool is_text_literal(const struct expr_node *node)
{
    return node->type == NODE_LITERAL && node->kind == EXPR_STRING;
}

/* env('NAME') is the name env.NAME. */
static uint32_t env_name(struct parser *p, const struct token *word, size_t mark)
{
    uint32_t argument = builder_operand(&p->tree, mark, 0)->first;
    struct expr_node node = builder_begin_name(&p->tree, word->at);

    p->tree.pending.len = mark;
    p->tree.nodes.len--;
    builder_add_part(&p->tree, "env", 3);
    builder_add_pooled_part(&p->tree, argument);
    return builder_end_name(&p->tree, node);
}

static int check_format(struct parser *p, size_t mark)
{
    const struct expr_node *format = builder_operand(&p->tree, mark, 0);

    if (!is_text_literal(format))
        return 0;
    p->lexer.error_at = format->at;
    return expr_format_check(p->tree.pool.data + format->first, format->count,
                             builder_mark(&p->tree) - mark - 1, p->lexer.err);
}

static int parse_call(struct parser *p, const struct token *word, uint32_t *ret)
{
    const struct expr_function *function = find_function(p, word);
    struct expr_node node = {.type = NODE_CALL, .at = (uint32_t)word->at, .function = function};
    size_t mark = builder_mark(&p->tree);
    bool env;

    if (!function || enter(p) < 0 || parse_operands(p, true) < 0 ||
        check_count(p, word, function, builder_mark(&p->tree) - mark) < 0)
        return -1;
    p->depth--;
    if (strcmp(function->name, "format") == 0 && check_format(p, mark) < 0)
        return -1;
    env = strcmp(function->name, "env") == 0;
    if (env && is_text_literal(builder_operand(&p->tree, mark, 0))) {
        *ret = env_name(p, word, mark);
        return 0;
    }
    if (function->class != FUNCTION_PURE)
        p->tree.not_constant = true;
    if (function->class == FUNCTION_STATUS)
        p->tree.uses_status = true;
    *ret = builder_add_parent(&p->tree, node, mark);
    return 0;
}

/* Operators, from the tightest to the loosest */

static int parse_word(struct parser *p, uint32_t *ret)
{
    const struct token word = p->lexer.token;
    struct expr_node literal = {.at = (uint32_t)word.at};

    if (lexer_is_word(&p->lexer, "in") || lexer_is_word(&p->lexer, "and") ||
        lexer_is_word(&p->lexer, "or") || lexer_is_word(&p->lexer, "not"))
        return lexer_unexpected(&p->lexer, "a value");
    if (word_literal(p, &literal)) {
        *ret = builder_add(&p->tree, literal);
        return next(p);
    }
    if (next(p) < 0)
        return -1;
    if (current(p) == TOKEN_OPEN)
        return parse_call(p, &word, ret);
    return parse_name(p, &word, ret);
}

static int parse_parentheses(struct parser *p, uint32_t *ret)
{
    size_t opened = p->lexer.token.at;

    if (enter(p) < 0 || next(p) < 0 || parse_or(p, ret) < 0)
        return -1;
    if (current(p) == TOKEN_END)
        return lexer_fail(&p->lexer, opened, "the \"(\" has no closing \")\"");
    if (current(p) == TOKEN_COMMA)
        return lexer_fail(&p->lexer, p->lexer.token.at, "a list can stand behind \"in\" only");
    p->depth--;
    return expect(p, TOKEN_CLOSE, "\")\"");
}

static int parse_primary(struct parser *p, uint32_t *ret)
{
    switch (current(p)) {
    case TOKEN_NUMBER:
        return parse_number(p, ret);
    case TOKEN_STRING:
        return parse_string(p, ret);
    case TOKEN_VARIABLE:
        return parse_variable(p, ret);
    case TOKEN_WORD:
        return parse_word(p, ret);
    case TOKEN_OPEN:
        return parse_parentheses(p, ret);
    default:
        return lexer_unexpected(&p->lexer, "a value");
    }
}

static int parse_key(struct parser *p, uint32_t *ret)
{
    const struct token *token = &p->lexer.token;
    size_t first = p->tree.pool.len;

    if (current(p) == TOKEN_OPEN_INDEX) {
        if (enter(p) < 0 || next(p) < 0 || parse_or(p, ret) < 0)
            return -1;
        p->depth--;
        return expect(p, TOKEN_CLOSE_INDEX, "\"]\"");
    }
    if (member_name(p) < 0)
        return -1;
    buf_add(&p->tree.pool, p->lexer.text + token->at, token->len);
    *ret = builder_add_text(&p->tree, token->at, first);
    return next(p);
}

static int parse_postfix(struct parser *p, uint32_t *ret)
{
    struct expr_node node = {.type = NODE_MEMBER};
    size_t mark = builder_mark(&p->tree);
    uint32_t operand;

    if (parse_primary(p, &operand) < 0)
        return -1;
    *ret = operand;
    if (current(p) != TOKEN_DOT && current(p) != TOKEN_OPEN_INDEX)
        return 0;
    node.at = (uint32_t)p->lexer.token.at;
    builder_push(&p->tree, operand);
    while (current(p) == TOKEN_DOT || current(p) == TOKEN_OPEN_INDEX) {
        if (parse_key(p, &operand) < 0)
            return -1;
        builder_push(&p->tree, operand);
    }
    *ret = builder_add_parent(&p->tree, node, mark);
    return 0;
}

static int parse_unary(struct parser *p, uint32_t *ret)
{
    struct expr_node node = {.type = NODE_NOT, .at = (uint32_t)p->lexer.token.at};
    size_t mark = builder_mark(&p->tree);
    uint32_t operand;

    if (current(p) != TOKEN_NOT)
        return parse_postfix(p, ret);
    if (enter(p) < 0 || next(p) < 0 || parse_unary(p, &operand) < 0)
        return -1;
    p->depth--;
    builder_push(&p->tree, operand);
    *ret = builder_add_parent(&p->tree, node, mark);
    return 0;
}

/* A pattern that is written out is compiled now, so that its errors are found early. */
static int compile_pattern(struct parser *p, const struct token *string, struct expr_node *match,
                           size_t mark)
{
    const struct expr_node *right = builder_operand(&p->tree, mark, 1);
    size_t offset = 0;

    if (!is_text_literal(right))
        return 0;
    if (expr_pattern_compile(p->tree.pool.data + right->first, right->count, &match->pattern,
                             &offset, p->lexer.err) < 0) {
        /* The literal may stand in parentheses: then its token is not at hand. */
        p->lexer.error_at = string->type == TOKEN_STRING
                                ? lexer_string_offset(&p->lexer, string, offset)
                                : right->at;
        return -1;
    }
    p->tree.pending.len--;
    return 0;
}

static bool is_comparison(enum token_type type)
{
    return type >= TOKEN_EQ && type <= TOKEN_NOT_MATCH;
}

static int refuse_chain(struct parser *p)
{
    if (!is_comparison(current(p)) && !lexer_is_word(&p->lexer, "in"))
        return 0;
    return lexer_fail(&p->lexer, p->lexer.token.at,
                      "comparisons cannot be chained; put && between two, or parentheses around "
                      "one");
}

/* The left operand is pending from `mark` on, the operator is current. */
static int parse_operator(struct parser *p, size_t mark, uint32_t *ret)
{
    enum token_type type = current(p);
    struct expr_node node = {.type = NODE_COMPARE, .at = (uint32_t)p->lexer.token.at};
    struct token string;
    uint32_t operand;

    if (next(p) < 0)
        return -1;
    string = p->lexer.token;
    if (parse_unary(p, &operand) < 0)
        return -1;
    builder_push(&p->tree, operand);
    if (type == TOKEN_MATCH || type == TOKEN_NOT_MATCH) {
        node.type = NODE_MATCH;
        node.flag = type == TOKEN_NOT_MATCH;
        if (compile_pattern(p, &string, &node, mark) < 0)
            return -1;
    } else {
        node.op = (uint8_t)(type - TOKEN_EQ + OP_EQ);
    }
    *ret = builder_add_parent(&p->tree, node, mark);
    return refuse_chain(p);
}

static int parse_in(struct parser *p, size_t mark, uint32_t *ret)
{
    struct expr_node node = {.type = NODE_IN, .at = (uint32_t)p->lexer.token.at};
    uint32_t operand;

    if (next(p) < 0)
        return -1;
    if (current(p) == TOKEN_OPEN) {
        node.flag = true;
        if (enter(p) < 0 || parse_operands(p, false) < 0)
            return -1;
        p->depth--;
    } else {
        if (parse_unary(p, &operand) < 0)
            return -1;
        builder_push(&p->tree, operand);
    }
    *ret = builder_add_parent(&p->tree, node, mark);
    return refuse_chain(p);
}

static int parse_comparison(struct parser *p, uint32_t *ret)
{
    size_t mark = builder_mark(&p->tree);
    bool in;

    if (parse_unary(p, ret) < 0)
        return -1;
    in = lexer_is_word(&p->lexer, "in");
    if (!in && !is_comparison(current(p)))
        return 0;
    builder_push(&p->tree, *ret);
    return in ? parse_in(p, mark, ret) : parse_operator(p, mark, ret);
}

static int parse_chain(struct parser *p, enum token_type separator, enum expr_node_type type,
                       int (*operand_of)(struct parser *, uint32_t *), uint32_t *ret)
{
    struct expr_node node = {.type = (uint8_t)type};
    size_t mark = builder_mark(&p->tree);

    if (operand_of(p, ret) < 0)
        return -1;
    if (current(p) != separator)
        return 0;
    node.at = (uint32_t)p->lexer.token.at;
    builder_push(&p->tree, *ret);
    while (current(p) == separator) {
        uint32_t operand;

        if (next(p) < 0 || operand_of(p, &operand) < 0)
            return -1;
        builder_push(&p->tree, operand);
    }
    *ret = builder_add_parent(&p->tree, node, mark);
    return 0;
}

static int parse_and(struct parser *p, uint32_t *ret)
{
    return parse_chain(p, TOKEN_AND, NODE_AND, parse_comparison, ret);
}

static int parse_or(struct parser *p, uint32_t *ret)
{
    return parse_chain(p, TOKEN_OR, NODE_OR, parse_and, ret);
}

static int parse_all(struct parser *p, uint32_t *root)
{
    if (p->lexer.len > EXPR_MAX_BYTES)
        return err_set(p->lexer.err, ERR_LIMIT, "an expression may have %d bytes, this has %zu",
                       EXPR_MAX_BYTES, p->lexer.len);
    if (next(p) < 0)
        return -1;
    if (current(p) == TOKEN_END)
        return lexer_fail(&p->lexer, 0, "the expression is empty");
    if (parse_or(p, root) < 0)
        return -1;
    if (current(p) != TOKEN_END)
        return lexer_unexpected(&p->lexer, "an operator or the end");
    return 0;
}

int expr_parse(const char *text, size_t len, struct expr **ret, size_t *ret_offset, struct err *err)
{
    struct parser p = {.lexer = {.text = text, .len = len, .err = err}, .tree = BUILDER_INIT};
    uint32_t root = 0;
    int result = parse_all(&p, &root);

    if (result == 0)
        *ret = builder_finish(&p.tree, root);
    else if (ret_offset)
        *ret_offset = p.lexer.error_at;
    builder_release(&p.tree);
    return result;
}
