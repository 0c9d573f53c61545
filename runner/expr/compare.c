#include "expr/compare.h"

#include <string.h>

static bool is_number(const struct expr_value *value)
{
    return value->kind == EXPR_INTEGER || value->kind == EXPR_REAL;
}

bool expr_values_numeric(const struct expr_value *a, const struct expr_value *b)
{
    return is_number(a) && is_number(b);
}

static bool to_number(const struct expr_value *value, struct expr_value *ret)
{
    if (value->kind == EXPR_STRING)
        return expr_parse_number(value->text, value->len, ret);
    *ret = *value;
    return is_number(value);
}

static double to_real(const struct expr_value *number)
{
    return number->kind == EXPR_INTEGER ? (double)number->integer : number->real;
}

static int order_numbers(const struct expr_value *a, const struct expr_value *b)
{
    double x;
    double y;

    if (a->kind == EXPR_INTEGER && b->kind == EXPR_INTEGER)
        return (a->integer > b->integer) - (a->integer < b->integer);
    x = to_real(a);
    y = to_real(b);
    return (x > y) - (x < y);
}

static int order_texts(const struct expr_text *a, const struct expr_text *b)
{
    int order = memcmp(a->text, b->text, a->len < b->len ? a->len : b->len);

    return order ? order : (a->len > b->len) - (a->len < b->len);
}

bool expr_values_equal(const struct expr_value *a, const struct expr_value *b, bool numeric)
{
    if (numeric) {
        struct expr_value x;
        struct expr_value y;

        return to_number(a, &x) && to_number(b, &y) && order_numbers(&x, &y) == 0;
    } else {
        struct expr_text x;
        struct expr_text y;

        if (a->kind == EXPR_JSON && b->kind == EXPR_JSON)
            return json_equal(a->json, b->json);
        return expr_value_text(a, &x) && expr_value_text(b, &y) && order_texts(&x, &y) == 0;
    }
}

static int no_number(const struct expr_value *value, const char *op, struct err *err)
{
    if (value->kind == EXPR_NULL)
        return err_set(err, ERR_INVALID,
                       "\"%s\" needs a number here, and this is not set; default(…, 0) gives it a "
                       "value",
                       op);
    if (value->kind == EXPR_STRING)
        return err_set(err, ERR_INVALID, "\"%s\" needs a number here, and this text is none", op);
    return err_set(err, ERR_INVALID, "\"%s\" needs a number here, not %s", op,
                   expr_value_type(value));
}

int expr_values_order(const struct expr_value *a, const struct expr_value *b, bool numeric,
                      const char *op, int *ret, unsigned *ret_wrong, struct err *err)
{
    const struct expr_value *sides[2] = {a, b};
    struct expr_value numbers[2];
    struct expr_text texts[2];

    for (unsigned i = 0; i < 2; i++) {
        *ret_wrong = i;
        if (numeric && !to_number(sides[i], &numbers[i]))
            return no_number(sides[i], op, err);
        if (!numeric && !expr_value_text(sides[i], &texts[i]))
            return err_set(err, ERR_INVALID, "\"%s\" cannot order %s", op,
                           expr_value_type(sides[i]));
    }
    *ret = numeric ? order_numbers(&numbers[0], &numbers[1]) : order_texts(&texts[0], &texts[1]);
    return 0;
}

bool expr_list_contains(json_t *list, const struct expr_value *value, bool literal)
{
    json_t *item;
    size_t i;

    json_array_foreach (list, i, item) {
        struct expr_value element = expr_borrow_json(item);

        if (expr_values_equal(value, &element, literal || expr_values_numeric(value, &element)))
            return true;
    }
    return false;
}
