/* Options of a submission as JSON and back. */
#include "tests/unit/assert_err.h"

#include "base/cleanup.h"
#include "queue/submission.h"

static int read_options(const char *text, struct submission_options *ret)
{
    json_t *object = json_loads(text, JSON_DECODE_ANY, NULL);
    int status = submission_options_from_json(object, ret, &test_err);

    assert_non_null(object);
    json_decref(object);
    return status;
}

/* The same again, as it is stored. */
static char *rewritten(const char *text)
{
    CLEANUP_SUBMISSION_OPTIONS struct submission_options options = {0};
    json_t *object;
    char *out;

    assert_ok(read_options(text, &options));
    object = submission_options_to_json(&options);
    out = json_dumps(object, JSON_COMPACT);
    json_decref(object);
    return out;
}

static void assert_rewritten(const char *text, const char *expected)
{
    CLEANUP_FREE char *out = rewritten(text);

    assert_string_equal(out, expected);
}

static void assert_wrong(const char *text, const char *message)
{
    CLEANUP_SUBMISSION_OPTIONS struct submission_options options = {0};

    assert_error(read_options(text, &options), ERR_INVALID);
    assert_string_equal(test_err.message, message);
}

static void what_is_written_is_read_again(void **state)
{
    (void)state;
    assert_rewritten("{}", "{}");
    assert_rewritten("{\"detach\":true,\"env\":{\"B\":\"2\",\"A\":\"x=y\"},\"inputs\":{\"n\":\"\"},"
                     "\"engine\":\"docker\",\"image\":\"a:1\",\"workdir\":\"/w\","
                     "\"timeout\":\"1500ms\"}",
                     "{\"detach\":true,\"env\":{\"B\":\"2\",\"A\":\"x=y\"},\"inputs\":{\"n\":\"\"},"
                     "\"engine\":\"docker\",\"image\":\"a:1\",\"workdir\":\"/w\","
                     "\"timeout\":\"1500ms\"}");
}

static void what_is_not_set_is_left_out(void **state)
{
    (void)state;
    assert_rewritten("{\"detach\":false,\"env\":{},\"inputs\":null,\"engine\":\"\",\"image\":null,"
                     "\"timeout\":0,\"config\":\"x\"}",
                     "{}");
    assert_rewritten("{\"detach\":null,\"timeout\":\"\"}", "{}");
}

static void values_become_texts(void **state)
{
    (void)state;
    assert_rewritten("{\"env\":{\"A\":1,\"B\":true,\"C\":false,\"D\":1.5},\"timeout\":60}",
                     "{\"env\":{\"A\":\"1\",\"B\":\"true\",\"C\":\"false\",\"D\":\"1.5\"},"
                     "\"timeout\":\"60000ms\"}");
}

static void what_is_wrong_is_named(void **state)
{
    (void)state;
    assert_wrong("[]", "the options of a run must be an object");
    assert_wrong("{\"detach\":1}", "\"detach\" must be true or false");
    assert_wrong("{\"env\":[]}", "\"env\" must be an object of names and values");
    assert_wrong("{\"inputs\":{\"a\":{}}}", "\"inputs.a\" must be a text, a number, true or false");
    assert_wrong("{\"image\":5}", "\"image\" must be a text");
    assert_wrong("{\"timeout\":-1}", "\"timeout\" must be a duration such as \"10m\", or seconds");
    assert_wrong("{\"timeout\":9223372036854775807}",
                 "\"timeout\" must be a duration such as \"10m\", or seconds");
    CLEANUP_SUBMISSION_OPTIONS struct submission_options options = {0};
    assert_error(read_options("{\"timeout\":\"soon\"}", &options), ERR_INVALID);
    assert_message("\"timeout\": ");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_is_read_again),
        cmocka_unit_test(what_is_not_set_is_left_out),
        cmocka_unit_test(values_become_texts),
        cmocka_unit_test(what_is_wrong_is_named),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
