/* parse, clock, diag */
#include "tests/unit/test.h"

#include "base/clock.h"
#include "base/diag.h"
#include "base/parse.h"

static void durations(void **state)
{
    static const struct {
        const char *text;
        int64_t ms;
    } good[] = {{"0", 0},
                {"5", 5000},
                {"500ms", 500},
                {"5s", 5000},
                {"10m", 600000},
                {"2h", 7200000},
                {"1d", 86400000},
                {"1h30m", 5400000},
                {"7 days", 604800000},
                {"1.5s", 1500},
                {"1h 30m 5s", 5405000},
                {"2 weeks", 1209600000}};
    static const char *const bad[] = {"",     "x",   "5x",    "-5",
                                      "5 5",  "1h5", "s",     "9999999999999999999s",
                                      "5s x", "..",  "1.0.0", "1.2.3s",
                                      " 5"};
    struct err err = ERR_INIT;
    int64_t value;

    (void)state;
    for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++) {
        assert_int_equal(parse_duration_ms(good[i].text, &value, &err), 0);
        assert_int_equal(value, good[i].ms);
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
        assert_int_equal(parse_duration_ms(bad[i], &value, &err), -1);
    assert_string_equal(err.message, "\" 5\" is not a duration; write seconds, or like 500ms, 90s, "
                                     "10m, 1h30m, 7d");
}

static void sizes(void **state)
{
    static const struct {
        const char *text;
        int64_t bytes;
    } good[] = {{"0", 0},           {"64", 64},    {"64k", 65536},      {"512m", 536870912},
                {"2g", 2147483648}, {"1Ki", 1024}, {"1Gi", 1073741824}, {"1.5k", 1536},
                {"1 MiB", 1048576}, {"1KB", 1024}};
    static const char *const bad[] = {"", "k", "5x", "-5", "1.0.0", "1.2.3k", "99999999999g"};
    struct err err = ERR_INIT;
    int64_t value;

    (void)state;
    for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++) {
        assert_int_equal(parse_size_bytes(good[i].text, &value, &err), 0);
        assert_int_equal(value, good[i].bytes);
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
        assert_int_equal(parse_size_bytes(bad[i], &value, &err), -1);
}

static void numbers(void **state)
{
    struct err err = ERR_INIT;
    int64_t value;

    (void)state;
    assert_int_equal(parse_int64("-12", &value, &err), 0);
    assert_int_equal(value, -12);
    assert_int_equal(parse_int64("12 ", &value, &err), -1);
    assert_string_equal(err.message, "\"12 \" is not an integer");
    assert_int_equal(parse_int64("99999999999999999999", &value, &err), -1);
    assert_string_equal(err.message, "99999999999999999999 is out of range");
    assert_int_equal(parse_milli("1.5", &value, &err), 0);
    assert_int_equal(value, 1500);
    assert_int_equal(parse_milli("1.5x", &value, &err), -1);
}

static void times_for_people(void **state)
{
    char text[CLOCK_DURATION_SIZE];
    char time[CLOCK_RFC3339_SIZE];

    (void)state;
    clock_rfc3339(1700000000123, time);
    assert_string_equal(time, "2023-11-14T22:13:20.123Z");
    clock_http(1700000000123, time);
    assert_string_equal(time, "Tue, 14 Nov 2023 22:13:20 GMT");
    clock_http(1767323045999, time);
    assert_string_equal(time, "Fri, 02 Jan 2026 03:04:05 GMT");
    clock_format_duration(1250, text, sizeof(text));
    assert_string_equal(text, "1.2s");
    clock_format_duration(185000, text, sizeof(text));
    assert_string_equal(text, "3m05s");
    clock_format_duration(7380000, text, sizeof(text));
    assert_string_equal(text, "2h03m");
    clock_format_limit(60000, text, sizeof(text));
    assert_string_equal(text, "60 seconds");
    clock_format_limit(1000, text, sizeof(text));
    assert_string_equal(text, "1 second");
    clock_format_limit(1500, text, sizeof(text));
    assert_string_equal(text, "1500 milliseconds");
}

static void diagnostics_are_sorted_and_bounded(void **state)
{
    CLEANUP_DIAG_LIST struct diag_list list = {0};

    (void)state;
    for (uint32_t i = 0; i < 60; i++)
        diag_add(&list, DIAG_ERROR, (struct src_pos){.line = 60 - i, .column = 1}, "", "%u", i);
    diag_sort(&list);
    assert_int_equal(list.len, DIAG_MAX);
    assert_int_equal(list.error_count, 60);
    assert_int_equal(list.dropped_count, 10);
    assert_string_equal(list.items[0].message, "49");
    assert_int_equal(list.items[0].pos.line, 11);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(durations),
        cmocka_unit_test(sizes),
        cmocka_unit_test(numbers),
        cmocka_unit_test(times_for_people),
        cmocka_unit_test(diagnostics_are_sorted_and_bounded),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
