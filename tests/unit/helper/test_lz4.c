/* The helper's compressor, built with the sanitizers of the tests, against liblz4. */
#include "../test.h"

#include <lz4.h>
#include <stdbool.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "helper/relay.h"
#include "helper/static/lz4.h"

enum { MAX = HELPER_RELAY_PACKED_MAX, ROOM = MAX + MAX / 255 + 64 };

static uint64_t seed = 1;

static size_t draw(size_t below)
{
    seed = seed * 6364136223846793005 + 1442695040888963407;
    return (size_t)(seed >> 33) % below;
}

/* In memory of exactly their sizes, so that any byte beyond is seen. The size that it was packed
 * to, 0: it did not fit. */
static size_t pack(struct lz4_places *places, const char *data, size_t len, size_t room)
{
    CLEANUP_FREE char *from = xmalloc(len);
    CLEANUP_FREE char *packed = xmalloc(room);
    CLEANUP_FREE char *back = xmalloc(len);
    size_t size;

    memcpy(from, data, len);
    size = lz4_pack(places, from, len, packed, room);
    assert_true(size <= room);
    if (size) {
        assert_int_equal(LZ4_decompress_safe(packed, back, (int)size, (int)len), len);
        assert_memory_equal(back, from, len);
    }
    return size;
}

static void comes_back_whatever_it_is(void **state)
{
    static struct lz4_places places;
    CLEANUP_FREE char *data = xmalloc(MAX);

    (void)state;
    for (int i = 0; i < 6000; i++) {
        size_t len = 1 + draw(i % 50 ? 1 + draw(600) : MAX);
        size_t letters = 1 + draw(i % 3 ? 4 : 256), at = 0;

        while (at < len) {
            size_t run = 1 + draw(1 + draw(400)), back = at ? 1 + draw(at) : 0;

            for (bool copied = draw(2) && at; run > 0 && at < len; run--, at++)
                data[at] = copied ? data[at - back] : (char)draw(letters);
        }
        assert_true(pack(&places, data, len, ROOM) > 0);
        (void)pack(&places, data, len, 1 + draw(len));
    }
}

/* Around the sizes of which the format has something to say. */
static void comes_back_at_every_length(void **state)
{
    static struct lz4_places places;
    char data[700];

    (void)state;
    for (size_t len = 1; len < sizeof(data); len++) {
        memset(data, 'a', len);
        assert_true(pack(&places, data, len, ROOM) > 0);
        for (size_t i = 0; i < len; i++)
            data[i] = (char)draw(256);
        assert_true(pack(&places, data, len, ROOM) > 0);
        if (len > 40)
            memcpy(data + len - 20, data, 20);
        assert_true(pack(&places, data, len, ROOM) > 0);
        for (size_t room = 1; room < 40; room++)
            (void)pack(&places, data, len, room);
    }
}

static void makes_small_what_can_be(void **state)
{
    static struct lz4_places places;
    CLEANUP_FREE char *data = xcalloc(1, MAX);
    size_t at = 0;

    (void)state;
    assert_in_range(pack(&places, data, MAX, MAX), 1, MAX / 250 + 20);
    while (at < MAX - 100)
        at += (size_t)snprintf(data + at, 100,
                               "2026-03-01T00:%02zu:%02zu PASS tests/net/test_%zu.c\n", draw(60),
                               draw(60), draw(400));
    assert_in_range(pack(&places, data, at, MAX), 1, at / 3);
    for (at = 0; at < MAX; at++)
        data[at] = (char)draw(256);
    assert_int_equal(pack(&places, data, MAX, MAX - MAX / 8), 0);
}

/* Places that others have left behind are no more than hints. */
static void believes_no_place(void **state)
{
    static struct lz4_places places;
    CLEANUP_FREE char *data = xmalloc(MAX);

    (void)state;
    for (int i = 0; i < 300; i++) {
        size_t len = 1 + draw(3000);

        for (size_t at = 0; at < sizeof(places.at) / sizeof(*places.at); at++)
            places.at[at] = (unsigned short)draw(65536);
        for (size_t at = 0; at < len; at++)
            data[at] = (char)draw(3);
        assert_true(pack(&places, data, len, ROOM) > 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(comes_back_whatever_it_is),
        cmocka_unit_test(comes_back_at_every_length),
        cmocka_unit_test(makes_small_what_can_be),
        cmocka_unit_test(believes_no_place),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
