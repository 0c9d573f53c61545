/* Which version servers say they are. */
#include "tests/unit/kube/kube_test.h"

static void test_numbers(void **state)
{
    static const struct {
        const char *major, *minor, *git;
        int expected;
    } rows[] = {
        {"1", "20", "v1.20.2", 1020},
        {"1", "29", "v1.29.0", 1029},
        {"1", "29+", "v1.29.3-gke.1", 1029},
        {"1", "28+", "v1.28.15-eks-7f9249a", 1028},
        {"1", "9", NULL, 1009},
        {"1+", "30", NULL, 1030},
        {"2", "0", "v2.0.0", 2000},
        /* What a build was not told. */
        {"", "", "1.29.3-gke.1", 1029},
        {"", "", "v1.30.0-eks", 1030},
        {NULL, NULL, "v1.31.4+k3s1", 1031},
        {"1", "", "v1.28.2", 1028},
        {"", "29", "v1.28.2", 1028},
        /* What is no version is none that has something. */
        {"", "", "v0.0.0-master+$Format:%H$", 0},
        {"", "", "", 0},
        {NULL, NULL, NULL, 0},
        {"x", "29", "latest", 0},
        {"", "", "v1", 0},
        {"", "", "v1.", 0},
        {"", "", "v1.x29", 0},
        {"-1", "29", "", 0},
        {"1", "99999999999999999999", "", 0},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        json_t *version = json_pack("{s:s*, s:s*, s:s*}", "major", rows[i].major, "minor",
                                    rows[i].minor, "gitVersion", rows[i].git);

        if (kube_version_number(version) != rows[i].expected)
            fail_msg("row %zu: %d, not %d", i, kube_version_number(version), rows[i].expected);
        json_decref(version);
    }
    assert_int_equal(kube_version_number(NULL), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_numbers)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
