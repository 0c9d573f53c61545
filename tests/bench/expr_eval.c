/* How many conditions a second are evaluated, on one core.
 *
 *     expr_eval [EXPRESSION]
 *
 * Prints evaluations a second: of a condition that is true by two comparisons, or of the one that
 * is given, for names of the table below. */
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "expr/expr.h"

enum { ROUNDS = 5, EVALUATIONS = 500000 };

static const struct {
    const char *name;
    const char *member;
    const char *value;
} names[] = {
    {"env", "PATH", "/usr/bin:/bin"}, {"env", "VERSION", "12"},        {"env", "BRANCH", "main"},
    {"steps", "test", "failed"},      {"steps", "build", "succeeded"},
};

static int look_up(void *arg, const char *const *path, size_t len, struct expr_value *ret,
                   struct err *err)
{
    (void)arg;
    (void)err;
    for (size_t i = 0; len >= 2 && i < sizeof(names) / sizeof(*names); i++) {
        if (strcmp(names[i].name, path[0]) == 0 && strcmp(names[i].member, path[1]) == 0) {
            *ret = expr_string(names[i].value);
            break;
        }
    }
    return 0;
}

static int64_t monotonic_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

int main(int argc, char **argv)
{
    const char *text =
        argc > 1 ? argv[1] : "env.BRANCH == 'main' && steps.build.status == 'succeeded'";
    const struct expr_scope scope = {.name = look_up};
    CLEANUP_EXPR struct expr *expr = NULL;
    struct err err = ERR_INIT;
    double best = 0;
    bool value = false;

    if (expr_parse(text, strlen(text), &expr, NULL, &err) < 0) {
        fprintf(stderr, "expr_eval: %s\n", err.message);
        return 1;
    }
    for (int round = 0; round < ROUNDS; round++) {
        int64_t start = monotonic_ns();
        double rate;

        for (int i = 0; i < EVALUATIONS; i++) {
            if (expr_eval_bool(expr, &scope, &value, NULL, &err) < 0) {
                fprintf(stderr, "expr_eval: %s\n", err.message);
                return 1;
            }
        }
        rate = EVALUATIONS * 1e9 / (double)(monotonic_ns() - start);
        best = rate > best ? rate : best;
    }
    if (argc > 1)
        fprintf(stderr, "%s is %s\n", text, value ? "true" : "false");
    printf("%.0f\n", best);
    return argc == 1 && !value;
}
