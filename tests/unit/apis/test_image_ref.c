#include "live.h"

#include "apis/docker/image_ref.h"

#define HEX64 "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static void test_valid(void **state)
{
    static const struct {
        const char *text, *registry, *repository, *tag, *digest, *full;
    } rows[] = {
        {"alpine", "docker.io", "library/alpine", NULL, NULL, "alpine:latest"},
        {"alpine:3.18", "docker.io", "library/alpine", "3.18", NULL, "alpine:3.18"},
        {"team/app", "docker.io", "team/app", NULL, NULL, "team/app:latest"},
        {"docker.io/alpine", "docker.io", "library/alpine", NULL, NULL, "alpine:latest"},
        {"index.docker.io/library/alpine:1", "docker.io", "library/alpine", "1", NULL, "alpine:1"},
        {"library/a/b", "docker.io", "library/a/b", NULL, NULL, "library/a/b:latest"},
        {"docker.io/a.b/c", "docker.io", "a.b/c", NULL, NULL, "docker.io/a.b/c:latest"},
        {"localhost/app", "localhost", "app", NULL, NULL, "localhost/app:latest"},
        {"localhost:5000/a/b:t", "localhost:5000", "a/b", "t", NULL, "localhost:5000/a/b:t"},
        {"REG.example.com/a", "reg.example.com", "a", NULL, NULL, "reg.example.com/a:latest"},
        {"[::1]:5000/a:1", "[::1]:5000", "a", "1", NULL, "[::1]:5000/a:1"},
        {"a@sha256:" HEX64, "docker.io", "library/a", NULL, "sha256:" HEX64, "a@sha256:" HEX64},
        {"r.io/a:1@sha256:" HEX64, "r.io", "a", "1", "sha256:" HEX64, "r.io/a:1@sha256:" HEX64},
        {"a.b/c__d/e-f--g.h:V_1", "a.b", "c__d/e-f--g.h", "V_1", NULL, "a.b/c__d/e-f--g.h:V_1"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        CLEANUP_DOCKER_IMAGE_REF struct docker_image_ref ref = {0};
        CLEANUP_FREE char *full = NULL;

        assert_ok(docker_image_ref_parse(rows[i].text, &ref, &test_err));
        full = docker_image_ref_full(&ref);
        assert_string_equal(ref.registry, rows[i].registry);
        assert_string_equal(ref.repository, rows[i].repository);
        assert_string_equal(ref.tag ? ref.tag : "-", rows[i].tag ? rows[i].tag : "-");
        assert_string_equal(ref.digest ? ref.digest : "-", rows[i].digest ? rows[i].digest : "-");
        assert_string_equal(full, rows[i].full);
    }
}

static void test_invalid(void **state)
{
    static const struct {
        const char *text, *message;
    } rows[] = {
        {"", "image \"\": the name is missing"},
        {":tag", "image \":tag\": the name is missing"},
        {"Alpine", "image \"Alpine\": a name has only lower-case letters"},
        {"a//b", "a name has only"},
        {"a/", "a name has only"},
        {"a..b", "a name has only"},
        {"a___b", "a name has only"},
        {"-a", "a name has only"},
        {"a b", "a name has only"},
        {"a:", "image \"a:\": \"\" is not a tag"},
        {"a:.x", "\".x\" is not a tag"},
        {"a@sha256:12", "\"sha256:12\" is not a digest (sha256: and 64 hexadecimal digits)"},
        {"a@", "\"\" is not a digest"},
        {"https://a.b/c", "\"https:\" is not a registry's host name"},
        {"a.b:x/c", "\"a.b:x\" is not a registry's host name"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct docker_image_ref ref = {0};

        assert_error(docker_image_ref_parse(rows[i].text, &ref, &test_err), ERR_INVALID);
        assert_message(rows[i].message);
        assert_null(ref.registry);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_valid),
        cmocka_unit_test(test_invalid),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
