/* dotenv_read: what lines mean, and where errors are. */
#include "tests/unit/test.h"

#include "base/buf.h"
#include "base/dotenv.h"

static int add(void *arg, const char *name, const char *value, struct err *err)
{
    if (strcmp(name, "REFUSED") == 0)
        return err_set(err, ERR_INVALID, "refused");
    buf_addf(arg, "%s=[%s]\n", name, value);
    return 0;
}

static void assert_reads(const char *text, const char *expected)
{
    CLEANUP_BUF struct buf out = BUF_INIT;
    struct err err = ERR_INIT;
    size_t line = 0;

    if (dotenv_read(text, strlen(text), add, &out, &line, &err) < 0)
        fail_msg("line %zu: %s", line, err.message);
    assert_string_equal(out.data, expected);
}

static void assert_fails(const char *text, size_t len, size_t expected_line, const char *expected)
{
    CLEANUP_BUF struct buf out = BUF_INIT;
    struct err err = ERR_INIT;
    size_t line = 0;

    assert_int_equal(dotenv_read(text, len, add, &out, &line, &err), -1);
    assert_string_equal(err.message, expected);
    assert_int_equal(line, expected_line);
}

#define FAILS(text, line, message) assert_fails(text, sizeof(text) - 1, line, message)

static void plain_values(void **state)
{
    (void)state;
    assert_reads("", "");
    assert_reads("\n\n  \n# comment\n  # comment\n", "");
    assert_reads("A=1\nB_2=two words\nC=\n_D=x", "A=[1]\nB_2=[two words]\nC=[]\n_D=[x]\n");
    assert_reads("  A =  x y  \r\nexport B=1\r\nexport\tC = 2\r\n", "A=[x y]\nB=[1]\nC=[2]\n");
    assert_reads("A=x # comment\nB=x#y\nC=# comment\nD=#x", "A=[x]\nB=[x#y]\nC=[]\nD=[]\n");
    assert_reads("A=it's \"so\" \\n $B ${C} =", "A=[it's \"so\" \\n $B ${C} =]\n");
    assert_reads("\xef\xbb\xbf"
                 "A=1\n",
                 "A=[1]\n");
    assert_reads("exported=1\nexport=2\n", "exported=[1]\nexport=[2]\n");
}

static void quoted_values(void **state)
{
    (void)state;
    assert_reads("A='x # y'\nB=\" x \"\nC=''  # comment\n", "A=[x # y]\nB=[ x ]\nC=[]\n");
    assert_reads("A=\"a\\tb\\nc\\r\\\"\\\\\\x\\$1\"\n", "A=[a\tb\nc\r\"\\\\x$1]\n");
    assert_reads("A='a\\tb\\'\n", "A=[a\\tb\\]\n");
    assert_reads("A=\"one\ntwo\r\n\nthree\"\nB='x\ny'\n", "A=[one\ntwo\n\nthree]\nB=[x\ny]\n");
    /* What is not to be expanded is made so that it is not. */
    assert_reads("A='${X} $X'\nB=\"${X} \\${X}\"\n", "A=[$${X} $X]\nB=[${X} $${X}]\n");
}

static void errors(void **state)
{
    (void)state;
    FAILS("A=1\n\nB\n", 3, "there is no \"=\" behind \"B\"");
    FAILS("A=1\n2B=1\n", 2, "this is not NAME=VALUE");
    FAILS("A-B=1\n", 1, "there is no \"=\" behind \"A\"");
    FAILS("=1\n", 1, "this is not NAME=VALUE");
    FAILS("export\n", 1, "there is no \"=\" behind \"export\"");
    FAILS("\nA=\"x\ny\n\nB=1", 2, "the quote is not closed");
    FAILS("A='x\n", 1, "the quote is not closed");
    FAILS("A=\"x\" y\n", 1, "there is something behind the closing quote");
    FAILS("A=\"\n\n\"'\n", 3, "there is something behind the closing quote");
    FAILS("A=1\nREFUSED=1\n", 2, "refused");
    FAILS("A=1\nB=\0"
          "1\n",
          2, "there is a NUL byte");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_values),
        cmocka_unit_test(quoted_values),
        cmocka_unit_test(errors),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
