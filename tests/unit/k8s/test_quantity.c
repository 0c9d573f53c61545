#include "tests/unit/test.h"

#include "k8s/quantity.h"

static struct err test_err;

static struct quantity parse(const char *text)
{
    struct quantity q = {0};

    if (quantity_parse(text, &q, &test_err) < 0)
        fail_msg("%s", test_err.message);
    return q;
}

static void test_values(void **state)
{
    static const struct {
        const char *text;
        struct quantity expected;
    } cases[] = {
        {"0", {0, 0}},
        {"1", {1, 0}},
        {"+1", {1, 0}},
        {"-1.5", {-1, -500000000}},
        {"1.", {1, 0}},
        {".5", {0, 500000000}},
        {"1.5", {1, 500000000}},
        {"001.50", {1, 500000000}},
        {"100m", {0, 100000000}},
        {"1500m", {1, 500000000}},
        {"1n", {0, 1}},
        {"1u", {0, 1000}},
        {"2k", {2000, 0}},
        {"3M", {3000000, 0}},
        {"1G", {1000000000, 0}},
        {"1T", {1000000000000, 0}},
        {"1P", {1000000000000000, 0}},
        {"1E", {1000000000000000000, 0}},
        {"1Ki", {1024, 0}},
        {"64Mi", {67108864, 0}},
        {"1Gi", {1073741824, 0}},
        {"1.5Gi", {1610612736, 0}},
        {"1Ti", {1099511627776, 0}},
        {"1Pi", {1125899906842624, 0}},
        {"7Ei", {8070450532247928832, 0}},
        {"0.1Ki", {102, 400000000}},
        {"2e3", {2000, 0}},
        {"2E3", {2000, 0}},
        {"2e+3", {2000, 0}},
        {"25e-1", {2, 500000000}},
        {"1.23e1", {12, 300000000}},
        {"0.000123e6", {123, 0}},
        {"12345e-10", {0, 1235}},
        /* What is finer than a billionth is rounded away from nothing. */
        {"0.1n", {0, 1}},
        {"-0.1n", {0, -1}},
        {"1.0000000001", {1, 1}},
        {"0.9999999999", {1, 0}},
        {"1e-100000000000", {0, 1}},
        {"0e-100000000000", {0, 0}},
        {"0.00000000000000000000000000000000000000000000000000000000000000000000000000001Ei",
         {0, 1}},
        /* What is larger than the largest is the largest. */
        {"9223372036854775807", {INT64_MAX, 0}},
        {"9223372036854775806.5", {INT64_MAX - 1, 500000000}},
        {"9223372036854775807.5", {INT64_MAX, 0}},
        {"9223372036854775808", {INT64_MAX, 0}},
        {"-9223372036854775808", {-INT64_MAX, 0}},
        {"8Ei", {INT64_MAX, 0}},
        {"7.99999999999999999999Ei", {INT64_MAX, 0}},
        {"10E", {INT64_MAX, 0}},
        {"1e19", {INT64_MAX, 0}},
        {"1e100000000000", {INT64_MAX, 0}},
        {"0e100000000000", {0, 0}},
        {"99999999999999999999999999999999999999999", {INT64_MAX, 0}},
        {"0.00000000000000000000000000000000000000001e41", {1, 0}},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct quantity q = parse(cases[i].text);

        if (q.whole != cases[i].expected.whole || q.nano != cases[i].expected.nano)
            fail_msg("%s is %lld and %d billionths", cases[i].text, (long long)q.whole,
                     (int)q.nano);
    }
}

static void test_no_quantities(void **state)
{
    static const char *const cases[] = {"",     " 1",  "1 ",  "+",   ".",   "-.",  "Ki",    "m",
                                        "1K",   "1ki", "1mi", "1i",  "1e",  "1e+", "1e1k",  "1ee",
                                        "1.5.", "0x1", "1,5", "1MB", "--1", "1-",  "1e1.5", "1e0x"};

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct quantity q = {7, 7};

        if (quantity_parse(cases[i], &q, &test_err) == 0)
            fail_msg("\"%s\" is a quantity", cases[i]);
        assert_int_equal(test_err.code, ERR_INVALID);
        assert_int_equal(q.whole, 7);
    }
    assert_string_equal(test_err.message,
                        "\"1e0x\" is not a quantity; write a number with an optional unit, such as "
                        "\"500m\", \"1.5\", \"64Mi\" or \"1G\"");
}

static int compare(const char *a, const char *b)
{
    struct quantity left = parse(a);
    struct quantity right = parse(b);

    assert_int_equal(quantity_compare(&left, &right), -quantity_compare(&right, &left));
    return quantity_compare(&left, &right);
}

static void test_comparison(void **state)
{
    (void)state;
    assert_int_equal(compare("1", "1000m"), 0);
    assert_int_equal(compare("1Gi", "1024Mi"), 0);
    assert_int_equal(compare("1e3", "1k"), 0);
    assert_int_equal(compare("100m", "0.2"), -1);
    assert_int_equal(compare("1G", "1Gi"), -1);
    assert_int_equal(compare("1M", "1000Ki"), -1);
    assert_int_equal(compare("2", "1.999"), 1);
    assert_int_equal(compare("-1.5", "-1.4"), -1);
    assert_int_equal(compare("-1", "0"), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_no_quantities),
        cmocka_unit_test(test_comparison),
    };

    return cmocka_run_group_tests_name("quantity", tests, NULL, NULL);
}
