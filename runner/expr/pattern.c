/* PCRE2's own match limit counts anew for each place of the text where a match may begin, so that
 * it bounds exponential patterns but not those that are quadratic in a long text. Callouts between
 * all items of the pattern see everything: each adds how far the match went since the one before.
 */
#include "expr/pattern.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include "base/alloc.h"

#define HEAP_LIMIT_KIB (8 * 1024)
#define OPTIONS                                                                                    \
    (PCRE2_UTF | PCRE2_MATCH_INVALID_UTF | PCRE2_NEVER_BACKSLASH_C | PCRE2_DOLLAR_ENDONLY |        \
     PCRE2_AUTO_CALLOUT)

struct expr_pattern {
    pcre2_code *code;
};

struct work {
    size_t done;
    size_t last; /* where the match was */
};

static int count(pcre2_callout_block *block, void *arg)
{
    struct work *work = arg;
    size_t at = block->current_position;

    work->done += 1 + (at > work->last ? at - work->last : work->last - at);
    work->last = at;
    return work->done > EXPR_PATTERN_WORK ? PCRE2_ERROR_MATCHLIMIT : 0;
}

static int compile_error(int code, struct err *err)
{
    PCRE2_UCHAR message[256];

    if (pcre2_get_error_message(code, message, sizeof(message)) < 0)
        return err_set(err, ERR_INVALID, "not a regular expression (PCRE2 error %d)", code);
    return err_set(err, ERR_INVALID, "not a regular expression: %s", (char *)message);
}

int expr_pattern_compile(const char *text, size_t len, struct expr_pattern **ret,
                         size_t *ret_offset, struct err *err)
{
    struct expr_pattern *pattern;
    pcre2_code *code;
    PCRE2_SIZE offset = 0;
    int error = 0;

    if (len > EXPR_PATTERN_MAX_BYTES) {
        *ret_offset = 0;
        return err_set(err, ERR_LIMIT, "a regular expression may have %d bytes, this has %zu",
                       EXPR_PATTERN_MAX_BYTES, len);
    }
    code = pcre2_compile((PCRE2_SPTR)text, len, OPTIONS, &error, &offset, NULL);
    if (!code) {
        *ret_offset = offset < len ? offset : len;
        return compile_error(error, err);
    }
    pattern = xmalloc(sizeof(*pattern));
    pattern->code = code;
    *ret = pattern;
    return 0;
}

void expr_pattern_free(struct expr_pattern *pattern)
{
    if (!pattern)
        return;
    pcre2_code_free(pattern->code);
    free(pattern);
}

int expr_pattern_match(const struct expr_pattern *pattern, const char *text, size_t len, bool *ret,
                       struct err *err)
{
    struct work work = {0};
    pcre2_match_context *context = pcre2_match_context_create(NULL);
    pcre2_match_data *data = pcre2_match_data_create(1, NULL);
    int result = PCRE2_ERROR_NOMEMORY;

    if (context && data) {
        pcre2_set_callout(context, count, &work);
        pcre2_set_heap_limit(context, HEAP_LIMIT_KIB);
        result = pcre2_match(pattern->code, (PCRE2_SPTR)text, len, 0, 0, data, context);
    }
    pcre2_match_data_free(data);
    pcre2_match_context_free(context);
    if (result == PCRE2_ERROR_NOMATCH || result >= 0) {
        *ret = result >= 0;
        return 0;
    }
    if (result == PCRE2_ERROR_MATCHLIMIT)
        return err_set(err, ERR_LIMIT,
                       "matching a text of %zu bytes takes too long; make the pattern simpler",
                       len);
    if (result == PCRE2_ERROR_HEAPLIMIT || result == PCRE2_ERROR_NOMEMORY ||
        result == PCRE2_ERROR_DEPTHLIMIT)
        return err_set(err, ERR_LIMIT,
                       "matching a text of %zu bytes takes too much memory; make the pattern "
                       "simpler",
                       len);
    return err_set(err, ERR_INVALID, "matching failed with PCRE2 error %d", result);
}
