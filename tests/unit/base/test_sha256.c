/* SHA-256 of the vectors of FIPS 180-2, appendix B. */
#include "tests/unit/test.h"

#include "base/sha256.h"

static void test_vectors(void **state)
{
    static const struct {
        const char *text;
        unsigned times;
        const char *hash;
    } cases[] = {
        {"", 1, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
        {"abc", 1, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
        {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", 1,
         "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
        {"aaaaaaaaaa", 100000, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        char hex[SHA256_HEX_SIZE];
        struct sha256 hash;

        sha256_begin(&hash);
        for (unsigned j = 0; j < cases[i].times; j++)
            sha256_add(&hash, cases[i].text, strlen(cases[i].text));
        sha256_hex(&hash, hex);
        assert_string_equal(hex, cases[i].hash);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_vectors)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
