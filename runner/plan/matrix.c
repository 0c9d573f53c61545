#include "plan/matrix.h"

#include <stdlib.h>
#include <string.h>

#include "plan/plan.h"

struct expansion {
    const struct spec_matrix *matrix;
    char *(*expand)(void *arg, const struct spec_str *text);
    void *arg;
    struct diag_list *diags;
    struct combinations *out;
};

/* The number of combinations of the axes alone; SIZE_MAX where that is beyond counting. */
static size_t product(const struct spec_matrix *matrix)
{
    size_t total = matrix->axes.len ? 1 : 0;

    for (size_t i = 0; i < matrix->axes.len; i++) {
        if (__builtin_mul_overflow(total, matrix->axes.items[i].values.len, &total))
            return SIZE_MAX;
    }
    return total;
}

static void add(struct combinations *combinations, struct strmap map)
{
    vec_push(combinations, map);
}

static int set_value(const struct expansion *x, struct strmap *map, const char *key,
                     const struct spec_str *text)
{
    char *value = x->expand(x->arg, text);

    if (!value)
        return -1;
    strmap_set(map, key, value);
    free(value);
    return 0;
}

static int expand_pairs(const struct expansion *x, const struct spec_pairs *pairs,
                        struct strmap *map)
{
    for (size_t i = 0; i < pairs->len; i++) {
        if (set_value(x, map, pairs->items[i].key, &pairs->items[i].value) < 0)
            return -1;
    }
    return 0;
}

/* Whether the combination has each key of the pairs with the same value. */
static bool matches(const struct strmap *combination, const struct strmap *pairs)
{
    strmap_foreach (pair, pairs) {
        const char *value = strmap_get(combination, pair->key);

        if (!value || strcmp(value, pair->value) != 0)
            return false;
    }
    return true;
}

static int add_product(const struct expansion *x, size_t total)
{
    const struct spec_matches *axes = &x->matrix->axes;

    for (size_t number = 0; number < total; number++) {
        struct strmap map = {0};
        size_t below = total;
        size_t rest = number;

        for (size_t i = 0; i < axes->len; i++) {
            const struct spec_match *axis = &axes->items[i];

            below /= axis->values.len;
            if (set_value(x, &map, axis->key, &axis->values.items[rest / below]) < 0) {
                strmap_release(&map);
                return -1;
            }
            rest %= below;
        }
        add(x->out, map);
    }
    return 0;
}

static int check_keys(const struct expansion *x, const struct spec_pairs *pairs)
{
    int result = 0;

    for (size_t i = 0; i < pairs->len; i++) {
        bool known = false;

        for (size_t j = 0; j < x->matrix->axes.len; j++)
            known = known || strcmp(x->matrix->axes.items[j].key, pairs->items[i].key) == 0;
        if (known)
            continue;
        diag_add(x->diags, DIAG_ERROR, pairs->items[i].value.pos, "",
                 "\"exclude\" names \"%s\", which is no axis of the matrix", pairs->items[i].key);
        result = -1;
    }
    return result;
}

static int exclude(const struct expansion *x, const struct spec_pairs *pairs)
{
    CLEANUP_STRMAP struct strmap wanted = {0};
    struct combinations *all = x->out;
    size_t kept = 0;

    if (check_keys(x, pairs) < 0 || expand_pairs(x, pairs, &wanted) < 0)
        return -1;
    for (size_t i = 0; i < all->len; i++) {
        if (matches(&all->items[i], &wanted))
            strmap_release(&all->items[i]);
        else
            all->items[kept++] = all->items[i];
    }
    all->len = kept;
    return 0;
}

/* Of an entry's keys the axes are compared; the others are what it adds. */
static bool fits(const struct expansion *x, const struct strmap *combination,
                 const struct strmap *entry)
{
    for (size_t i = 0; i < x->matrix->axes.len; i++) {
        const char *key = x->matrix->axes.items[i].key;
        const char *wanted = strmap_get(entry, key);
        const char *value = strmap_get(combination, key);

        if (wanted && (!value || strcmp(wanted, value) != 0))
            return false;
    }
    return true;
}

static int include(const struct expansion *x, const struct spec_pairs *pairs, size_t product_len)
{
    struct strmap entry = {0};
    bool used = false;

    if (expand_pairs(x, pairs, &entry) < 0) {
        strmap_release(&entry);
        return -1;
    }
    for (size_t i = 0; i < product_len; i++) {
        if (!fits(x, &x->out->items[i], &entry))
            continue;
        strmap_merge(&x->out->items[i], &entry);
        used = true;
    }
    if (used)
        strmap_release(&entry);
    else
        add(x->out, entry);
    return 0;
}

int plan_matrix_expand(const struct spec_matrix *matrix,
                       char *(*expand)(void *arg, const struct spec_str *text), void *arg,
                       struct combinations *ret, struct diag_list *diags)
{
    struct expansion x = {matrix, expand, arg, diags, ret};
    size_t total = product(matrix);
    size_t product_len;

    *ret = (struct combinations){0};
    if (total > PLAN_MATRIX_MAX) {
        diag_add(diags, DIAG_ERROR, matrix->pos, "",
                 "the matrix has %zu combinations; at most %d are allowed", total, PLAN_MATRIX_MAX);
        return -1;
    }
    if (add_product(&x, total) < 0)
        goto failed;
    for (size_t i = 0; i < matrix->exclude_count; i++) {
        if (exclude(&x, &matrix->exclude[i]) < 0)
            goto failed;
    }
    product_len = ret->len;
    for (size_t i = 0; i < matrix->include_count; i++) {
        if (include(&x, &matrix->include[i], product_len) < 0)
            goto failed;
    }
    if (ret->len > 0 && ret->len <= PLAN_MATRIX_MAX)
        return 0;
    if (!ret->len)
        diag_add(diags, DIAG_ERROR, matrix->pos, "", "\"exclude\" leaves nothing of the matrix");
    else
        diag_add(diags, DIAG_ERROR, matrix->pos, "",
                 "the matrix has %zu combinations; at most %d are allowed", ret->len,
                 PLAN_MATRIX_MAX);
failed:
    plan_combinations_release(ret);
    return -1;
}

void plan_combinations_release(struct combinations *combinations)
{
    for (size_t i = 0; i < combinations->len; i++)
        strmap_release(&combinations->items[i]);
    vec_release(combinations);
}
