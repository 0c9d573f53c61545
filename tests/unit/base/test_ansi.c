/* ansi: text and styles are told from what would steer a terminal. */
#include "tests/unit/test.h"

#include "base/ansi.h"
#include "base/buf.h"

/* Tokens in short: text as it is, {params} for styles, T tab, R return, I invalid, . dropped. */
static void show(const char *data, size_t size, struct buf *out)
{
    while (size > 0) {
        struct ansi_token token;
        size_t used = ansi_next(data, size, &token);

        assert_true(used > 0 && used <= size);
        if (token.kind == ANSI_TEXT)
            buf_add(out, token.data, token.size);
        else if (token.kind == ANSI_STYLE)
            buf_addf(out, "{%.*s}", (int)token.size, token.data);
        else
            buf_addch(out, " ITR."[token.kind == ANSI_INVALID  ? 1
                                   : token.kind == ANSI_TAB    ? 2
                                   : token.kind == ANSI_RETURN ? 3
                                                               : 4]);
        data += used;
        size -= used;
    }
}

static void tokens(void **state)
{
    static const struct {
        const char *given;
        const char *expected;
    } rows[] = {
        {"plain", "plain"},
        {"a\033[1;31mb\033[mc", "a{1;31}b{}c"},
        {"a\033[2Jb\033[10;20Hc\033[?25ld", "a.b.c.d"},
        {"a\033[>4;1mb", "a.b"},
        {"a\033]0;title\007b", "a.b"},
        {"a\033]8;;http://x\033\\link\033]8;;\033\\b", "a.link.b"},
        {"a\033]0;no end", "a.0;no end"},
        {"a\033P1$r0m\033\\b\033_x\033\\c\033^y\033\\d\033Xz\033\\e", "a.b.c.d.e"},
        {"a\033(Bb\0337c\033cd\033=e", "a.b.c.d.e"},
        {"a\bb\vc\fd\177e\aF", "a.b.c.d.e.F"},
        {"10%\r20%\tx", "10%R20%Tx"},
        {"cut\033[1;3", "cut."},
        {"cut\033", "cut."},
        {"c1 \302\233 1m \302\215", "c1 . 1m ."},
        {"\303\244 \344\275\240 \360\237\230\200", "\303\244 \344\275\240 \360\237\230\200"},
        {"\377\376x\303", "IIxI"},
        {"\233 31m", "I 31m"},
        {"\303\244\302\233\303\244", "\303\244.\303\244"},
        {"\033[31\377m", ".Im"},
        {"\033[3\0331mx", "..mx"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        CLEANUP_BUF struct buf got = BUF_INIT;

        show(rows[i].given, strlen(rows[i].given), &got);
        assert_string_equal(got.data, rows[i].expected);
    }
}

static void nul_is_dropped(void **state)
{
    CLEANUP_BUF struct buf got = BUF_INIT;

    (void)state;
    show("a\0b\033\0c\033[\0d", 10, &got);
    assert_string_equal(got.data, "a.b..c..d");
}

static void styles(void **state)
{
    static const struct {
        const char *params;
        const char *written;
    } rows[] = {
        {"", "\033[0m"},
        {"1;31", "\033[0;1;31m"},
        {"1;2;3;4;7;9", "\033[0;1;2;3;4;7;9m"},
        {"1;22", "\033[0m"},
        {"4;24;9;29;7;27;3;23", "\033[0m"},
        {"97;104", "\033[0;97;104m"},
        {"38;5;208;48;2;1;2;3", "\033[0;38;5;208;48;2;1;2;3m"},
        {"38:5:3", "\033[0;33m"},
        {"31;39;42;49", "\033[0m"},
        {"31;0;1", "\033[0;1m"},
        {"38;5;999;1", "\033[0;1m"},
        {"38;2;1;2", "\033[0m"},
        {"58;2;1;2;3;1", "\033[0;1m"},
        {"99999999999999999999;1", "\033[0;1m"},
        {"5;6;8;10;11;53;73;110", "\033[0m"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        CLEANUP_BUF struct buf got = BUF_INIT;
        struct ansi_style style = {0};

        ansi_style_apply(&style, rows[i].params, strlen(rows[i].params));
        ansi_style_write(&style, &got);
        assert_string_equal(got.data, rows[i].written);
        assert_int_equal(ansi_style_is_plain(&style), strcmp(got.data, "\033[0m") == 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tokens),
        cmocka_unit_test(nul_is_dropped),
        cmocka_unit_test(styles),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
