/* Programs whose connection tells less than it should. */
#include "tests/unit/test.h"

#include "base/alloc.h"
#include "engine/remote/files.h"
#include "engine/remote/program.h"

enum { PIECES_MAX = 4 };

struct piece {
    enum helper_stream stream;
    const char *text;
};

/* What comes, up to a text of NULL, and the exit code that is told. */
static struct {
    struct piece pieces[PIECES_MAX];
    int code;
    size_t at;
} script;

static int fake_start(const struct ctx *ctx, const struct remote *remote, const char *const *argv,
                      bool with_stdin, struct remote_command **ret, struct err *err)
{
    struct remote_command *command = xcalloc(1, sizeof(*command));

    (void)ctx, (void)argv, (void)with_stdin, (void)err;
    command->ops = remote->ops;
    *ret = command;
    return 0;
}

static enum remote_read fake_read(struct remote_command *command, struct remote_output *ret,
                                  struct err *err)
{
    const struct piece *piece = &script.pieces[script.at];

    (void)command, (void)err;
    if (script.at == PIECES_MAX || !piece->text)
        return REMOTE_ENDED;
    script.at++;
    *ret = (struct remote_output){piece->stream, piece->text, strlen(piece->text)};
    return REMOTE_OUTPUT;
}

static ssize_t fake_write(struct remote_command *command, const void *data, size_t len,
                          struct err *err)
{
    (void)command, (void)data, (void)err;
    return (ssize_t)len;
}

static int fake_code(const struct remote_command *command, int *ret, struct err *err)
{
    (void)command, (void)err;
    *ret = script.code;
    return 0;
}

static void fake_free(struct remote_command *command)
{
    free(command);
}

static const struct remote_ops ops = {
    .what = "relay of the test",
    .start = fake_start,
    .read = fake_read,
    .write = fake_write,
    .exit_code = fake_code,
    .free = fake_free,
};

static const struct remote remote = {.ops = &ops, .name = "a test", .helper = "/helper"};

#define SILENT "/helper was not heard to its end"

static void done_is_what_says_so(void **state)
{
    static const struct {
        struct piece pieces[PIECES_MAX];
        int code;
        const char *message; /* NULL: it is done */
    } rows[] = {
        {{{HELPER_STDOUT, HELPER_DONE}}, 0, NULL},
        {{{HELPER_STDOUT, "run"}, {HELPER_STDOUT, "ner: don"}, {HELPER_STDOUT, "e\n"}}, 0, NULL},
        {{{HELPER_STDOUT, "something long in front of it, run"}, {HELPER_STDOUT, "ner: done\n"}},
         0,
         NULL},
        {{{HELPER_STDOUT, HELPER_DONE}, {HELPER_STDERR, "a word\n"}}, 0, NULL},
        {{{HELPER_STDOUT, NULL}}, 0, SILENT},
        {{{HELPER_STDOUT, "runner: done"}}, 0, SILENT},
        {{{HELPER_STDOUT, "unner: done\n"}}, 0, SILENT},
        {{{HELPER_STDOUT, HELPER_DONE}, {HELPER_STDOUT, "and more"}}, 0, SILENT},
        {{{HELPER_STDERR, HELPER_DONE}}, 0, SILENT},
        {{{HELPER_STDERR, "disk full\n"}}, 126, "disk full"},
    };
    const struct buf archive = BUF_INIT;
    CLEANUP_CTX struct ctx ctx;

    (void)state;
    assert_int_equal(ctx_init_root(&ctx, NULL, NULL), 0);
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct err err = ERR_INIT;

        memcpy(script.pieces, rows[i].pieces, sizeof(script.pieces));
        script.code = rows[i].code;
        script.at = 0;
        assert_int_equal(remote_unpack(&ctx, &remote, "/d", &archive, &err),
                         rows[i].message ? -1 : 0);
        assert_string_equal(err.message, rows[i].message ? rows[i].message : "");
        assert_int_equal(err.code, !rows[i].message ? ERR_NONE
                                   : rows[i].code   ? ERR_SYSTEM
                                                    : ERR_LOST);
    }
}

/* No file of an archive that may be cut off appears. */
static void half_an_archive_is_none(void **state)
{
    CLEANUP_CTX struct ctx ctx;
    struct err err = ERR_INIT;

    (void)state;
    assert_int_equal(ctx_init_root(&ctx, NULL, NULL), 0);
    memset(&script, 0, sizeof(script));
    script.pieces[0] = (struct piece){HELPER_STDOUT, "a"};
    assert_int_equal(remote_get(&ctx, &remote, "/d", "", "/tmp", &err), -1);
    assert_int_equal(err.code, ERR_LOST);
    assert_string_equal(err.message, SILENT);
}

/* Of others nothing is known. */
static void other_programs_need_not(void **state)
{
    static const char *const argv[] = {"/helper", "probe", NULL};
    const struct remote_program program = {.argv = argv};
    CLEANUP_CTX struct ctx ctx;

    (void)state;
    assert_int_equal(ctx_init_root(&ctx, NULL, NULL), 0);
    memset(&script, 0, sizeof(script));
    assert_int_equal(remote_do(&ctx, &remote, &program, NULL), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(done_is_what_says_so),
        cmocka_unit_test(half_an_archive_is_none),
        cmocka_unit_test(other_programs_need_not),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
