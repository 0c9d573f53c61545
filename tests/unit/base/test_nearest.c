#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/nearest.h"

static const char *const known[] = {"name",        "steps", "stages", "command",
                                    "environment", "if",    "user"};

static const char *suggest(const char *text)
{
    struct nearest nearest = {.text = text};

    for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++)
        nearest_offer(&nearest, known[i]);
    return nearest.best;
}

static void suggests_close_names(void **state)
{
    (void)state;
    assert_string_equal(suggest("step"), "steps");
    assert_string_equal(suggest("stpes"), "steps");
    assert_string_equal(suggest("Stages"), "stages");
    assert_string_equal(suggest("comand"), "command");
    assert_string_equal(suggest("enviroment"), "environment");
    assert_string_equal(suggest("nmae"), "name");
}

static void suggests_nothing_far_away(void **state)
{
    char monster[1000];

    (void)state;
    memset(monster, 'a', sizeof(monster) - 1);
    monster[sizeof(monster) - 1] = '\0';
    assert_null(suggest("xyzzy"));
    assert_null(suggest("ab"));
    assert_null(suggest(""));
    assert_null(suggest(monster));
}

static void arena_serves_all_sizes(void **state)
{
    CLEANUP_ARENA struct arena arena = {0};
    char *first = arena_strndup(&arena, "abc", 2);

    (void)state;
    for (size_t size = 1; size < 200000; size = size * 3 / 2 + 1) {
        char *block = arena_alloc(&arena, size);

        assert_int_equal((uintptr_t)block % _Alignof(max_align_t), 0);
        for (size_t i = 0; i < size; i++)
            assert_int_equal(block[i], 0);
        memset(block, 0x55, size);
        arena_strndup(&arena, "x", 1);
    }
    assert_string_equal(first, "ab");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(suggests_close_names),
        cmocka_unit_test(suggests_nothing_far_away),
        cmocka_unit_test(arena_serves_all_sizes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
