/* The payload of RUN. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "engine/host/wire.h"

static const char *const argv[] = {"sh", "-c", "", NULL};

static void encode(struct buf *out, bool with_user)
{
    CLEANUP_STRMAP struct strmap environment = {0};
    struct wire_program program = {.cwd = "/somewhere", .argv = (const char **)argv};

    strmap_set(&environment, "A", "1");
    strmap_set(&environment, "EMPTY", "");
    if (with_user) {
        program.has_user = true;
        program.user =
            (struct process_user){.uid = 5, .gid = 6, .groups = {7, 8}, .group_count = 2};
    }
    assert_int_equal(0, wire_encode(&program, &environment, out, NULL));
}

static void comes_out_as_it_went_in(void **state)
{
    (void)state;
    for (int with_user = 0; with_user < 2; with_user++) {
        CLEANUP_BUF struct buf payload = BUF_INIT;
        struct wire_program program;

        encode(&payload, with_user);
        assert_int_equal(0, wire_decode(payload.data, payload.len, &program, NULL));
        assert_string_equal("/somewhere", program.cwd);
        for (int i = 0; i < 3; i++)
            assert_string_equal(argv[i], program.argv[i]);
        assert_null(program.argv[3]);
        assert_string_equal("A=1", program.envp[0]);
        assert_string_equal("EMPTY=", program.envp[1]);
        assert_null(program.envp[2]);
        assert_int_equal(with_user, program.has_user);
        assert_int_equal(with_user ? 5 : 0, program.user.uid);
        assert_int_equal(with_user ? 6 : 0, program.user.gid);
        assert_int_equal(with_user ? 2 : 0, program.user.group_count);
        assert_int_equal(with_user ? 8 : 0, program.user.groups[1]);
        wire_program_release(&program);
    }
}

static void cut_anywhere_it_is_refused(void **state)
{
    CLEANUP_BUF struct buf payload = BUF_INIT;

    (void)state;
    encode(&payload, true);
    for (size_t len = 0; len < payload.len; len++) {
        /* A copy of just this size, so that a sanitizer sees reads beyond it. */
        char *copy = xmalloc(len ? len : 1);
        struct wire_program program;
        struct err err = ERR_INIT;

        memcpy(copy, payload.data, len);
        assert_int_equal(-1, wire_decode(copy, len, &program, &err));
        assert_int_equal(ERR_PROTOCOL, err.code);
        assert_string_equal("the request to start a step is malformed", err.message);
        free(copy);
    }
}

static void counts_that_lie_are_refused(void **state)
{
    static const size_t offsets[] = {0, 4, 24}; /* argc, envc, group_count */
    struct wire_program program;

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        CLEANUP_BUF struct buf payload = BUF_INIT;
        const uint32_t lie = UINT32_MAX;

        encode(&payload, true);
        memcpy(payload.data + offsets[i], &lie, sizeof(lie));
        assert_int_equal(-1, wire_decode(payload.data, payload.len, &program, NULL));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(comes_out_as_it_went_in),
        cmocka_unit_test(cut_anywhere_it_is_refused),
        cmocka_unit_test(counts_that_lie_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
