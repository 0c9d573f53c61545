/* A scope of fixed names for the tests of expressions. */
#pragma once

#include "expr/expr.h"

struct test_scope {
    json_t *names; /* dotted name -> value */
    unsigned asked;
};

static inline int test_name(void *arg, const char *const *path, size_t len, struct expr_value *ret,
                            struct err *err)
{
    struct test_scope *scope = arg;
    CLEANUP_BUF struct buf name = BUF_INIT;

    scope->asked++;
    for (size_t i = 0; i < len; i++)
        buf_addf(&name, "%s%s", i ? "." : "", path[i]);
    assert_null(path[len]);
    if (strcmp(name.data, "broken") == 0)
        return err_set(err, ERR_UNAVAILABLE, "broken is broken");
    *ret = expr_borrow_json(json_object_get(scope->names, name.data));
    if (ret->kind == EXPR_JSON)
        json_incref(ret->json);
    return 0;
}

static inline int test_call(void *arg, const char *function, const struct expr_value *args,
                            size_t count, struct expr_value *ret, struct err *err)
{
    (void)arg;
    if (strcmp(function, "exists") == 0 && strcmp(args[0].text, "/broken") == 0)
        return err_set(err, ERR_SYSTEM, "cannot look at /broken");
    if (strcmp(function, "exists") == 0)
        *ret = expr_bool(strcmp(args[0].text, "Makefile") == 0);
    else if (strcmp(function, "hashFiles") == 0)
        *ret = expr_integer((int64_t)count);
    else
        *ret = expr_bool(strcmp(function, "success") == 0 || strcmp(function, "always") == 0);
    return 0;
}

static inline struct test_scope test_scope_new(void)
{
    static const char names[] =
        "{\"env.BRANCH\": \"main\", \"env.EMPTY\": \"\", \"env.N\": \"10\", \"env.F\": \"false\","
        " \"env.V\": \"1.50\", \"env.T\": \"v1.2\", \"env.NAME\": \"BRANCH\","
        " \"env.JSON\": \"{\\\"a\\\":[1,\\\"two\\\",{\\\"b\\\":null}],\\\"n\\\":1.5}\","
        " \"env.BAD\": \"\\\"sec\\\" ret\","
        " \"steps.build.status\": \"succeeded\", \"steps.my step.outputs.KEY\": \"v\","
        " \"steps.unit-tests.status\": \"failed\", \"jobs.2nd.status\": \"skipped\","
        " \"steps\": {\"build\": {\"status\": \"succeeded\"}},"
        " \"matrix.os\": \"linux\", \"matrix.list\": [\"a\", 2, true, null, [1]],"
        " \"matrix.map\": {\"k\": \"v\", \"1\": \"one\"}, \"flag\": true, \"off\": false,"
        " \"count\": 3, \"big\": 9007199254740993, \"half\": 0.5, \"pipeline.name\": \"demo\"}";

    return (struct test_scope){.names = json_loads(names, 0, NULL)};
}
