/* live: frames on a small terminal, for runs and sizes of all kinds. */
#include "tests/unit/test.h"

#include <limits.h>
#include <stdlib.h>
#include <wchar.h>

#include "base/alloc.h"
#include "base/vec.h"
#include "event/live.h"

/* --- a terminal: rows of cells that scroll into a history, and what frames use of ECMA-48 --- */

enum { ROWS_MAX = 50, COLUMNS_MAX = 200 };

struct terminal {
    int rows, columns;
    int row, column;
    wchar_t cells[ROWS_MAX][COLUMNS_MAX + 1];
    VEC(wchar_t *)
    history;
    bool hidden; /* the cursor */
    bool nowrap;
    bool styled;
    bool pending; /* the last column has been written, the next character wraps */
};

static void terminal_init(struct terminal *t, int columns, int rows)
{
    *t = (struct terminal){.rows = rows, .columns = columns};
}

static void terminal_release(struct terminal *t)
{
    vec_foreach (wchar_t **, line, &t->history)
        free(*line);
    vec_release(&t->history);
}

static void next_row(struct terminal *t)
{
    t->pending = false;
    if (++t->row < t->rows)
        return;
    t->row--;
    vec_push(&t->history, wcsdup(t->cells[0]));
    memmove(t->cells[0], t->cells[1], sizeof(t->cells[0]) * (size_t)(t->rows - 1));
    memset(t->cells[t->rows - 1], 0, sizeof(t->cells[0]));
}

/* Wide characters take two cells, of which the second holds L'\1'. */
static void put(struct terminal *t, wchar_t c)
{
    int width = wcwidth(c);

    assert_true(width >= 0);
    if (width == 0)
        return;
    if (t->pending || t->column + width > t->columns) {
        if (t->nowrap) {
            fail_msg("a row of the live area is too long");
        } else {
            t->column = 0;
            next_row(t);
        }
    }
    for (int i = 0; i < t->column; i++) {
        if (!t->cells[t->row][i])
            t->cells[t->row][i] = L' ';
    }
    t->cells[t->row][t->column] = c;
    if (width == 2)
        t->cells[t->row][t->column + 1] = L'\1';
    t->column += width;
    if (t->column >= t->columns) {
        t->column = t->columns - 1;
        t->pending = true;
    }
}

static const char *sequence(struct terminal *t, const char *at)
{
    bool private = *at == '?';
    int number = (int)strtol(at + private, (char **)&at, 10);

    while (*at == ';' || (*at >= '0' && *at <= '9')) /* of colours */
        at++;
    if (private && number == 25)
        t->hidden = *at == 'l';
    else if (private && number == 7)
        t->nowrap = *at == 'l';
    else if (!private && *at == 'A')
        t->row = t->row > (number ? number : 1) ? t->row - (number ? number : 1) : 0;
    else if (!private && *at == 'K')
        memset(t->cells[t->row] + (number == 2 ? 0 : t->column), 0,
               sizeof(wchar_t) * (size_t)(COLUMNS_MAX - (number == 2 ? 0 : t->column)));
    else if (!private && *at == 'm')
        t->styled = at[-1] != '0' || (at[-2] != '[' && at[-2] != ';');
    else
        fail_msg("unknown sequence %d%c", number, *at);
    if (*at == 'A' || *at == 'K')
        t->pending = false;
    return at + 1;
}

/* As the terminal's line discipline gives it: newlines return, too. */
static void feed(struct terminal *t, const char *data, size_t size)
{
    const char *end = data + size;
    mbstate_t state = {0};

    while (data < end) {
        wchar_t c;

        if (*data == '\r' || *data == '\n') {
            t->column = 0;
            t->pending = false;
            if (*data == '\n')
                next_row(t);
            data++;
        } else if (*data == '\033') {
            assert_int_equal(data[1], '[');
            data = sequence(t, data + 2);
        } else {
            size_t used = mbrtowc(&c, data, (size_t)(end - data), &state);

            assert_true(used > 0 && used < 8);
            put(t, c);
            data += used;
        }
    }
}

static void add_row(struct buf *out, const wchar_t *cells)
{
    char bytes[MB_LEN_MAX];

    for (; *cells; cells++) {
        if (*cells != L'\1')
            buf_add(out, bytes, (size_t)wctomb(bytes, *cells));
    }
    while (out->len && out->data[out->len - 1] == ' ')
        buf_truncate(out, out->len - 1);
    buf_addch(out, '\n');
}

/* All that the terminal has: the history, the screen down to the cursor. */
static void transcript(const struct terminal *t, struct buf *out)
{
    vec_foreach (wchar_t *const *, line, &t->history)
        add_row(out, *line);
    for (int i = 0; i < t->row; i++)
        add_row(out, t->cells[i]);
}

/* --- runs --- */

struct fixture {
    struct node root;
    struct event_bus bus;
    struct live *live;
    struct terminal terminal;
    int64_t now_ms;
};

static void begin(struct fixture *f, int columns, int rows, const struct live_options *options,
                  uint32_t jobs)
{
    *f = (struct fixture){.root = {.name = "p"}, .bus = EVENT_BUS_INIT};
    f->live = live_new(options);
    terminal_init(&f->terminal, columns, rows);
    node_add_children(&f->root, 1);
    f->root.children[0].name = "stage";
    node_add_children(&f->root.children[0], jobs);
    for (uint32_t i = 0; i < jobs; i++) {
        f->root.children[0].children[i].name = "job";
        node_add_children(&f->root.children[0].children[i], 1);
        f->root.children[0].children[i].children[0].name = "step";
    }
}

static void end(struct fixture *f)
{
    live_free(f->live);
    node_release(&f->root);
    terminal_release(&f->terminal);
}

static struct node *step_of(struct fixture *f, uint32_t job)
{
    return &f->root.children[0].children[job].children[0];
}

static void set_state(struct fixture *f, struct node *node, enum state state)
{
    struct event event = {.type = EVENT_STATE, .node = node, .time_ms = 1};

    node_set_state(&f->bus, node, state, NULL);
    node->started_mono_ms = 0;
    node->duration_ms = 1000;
    live_take(f->live, &event);
}

static void start_all(struct fixture *f, uint32_t jobs)
{
    set_state(f, &f->root, STATE_RUNNING);
    set_state(f, &f->root.children[0], STATE_RUNNING);
    for (uint32_t i = 0; i < jobs; i++) {
        set_state(f, &f->root.children[0].children[i], STATE_RUNNING);
        set_state(f, step_of(f, i), STATE_RUNNING);
    }
}

static void say(struct fixture *f, uint32_t job, enum event_stream stream, const char *text,
                bool continued)
{
    const struct event event = {.type = EVENT_LOG,
                                .node = step_of(f, job),
                                .time_ms = 1,
                                .stream = stream,
                                .data = text,
                                .size = strlen(text),
                                .continued = continued};

    live_take(f->live, &event);
}

static void check_sane(const struct fixture *f)
{
    assert_false(f->terminal.hidden);
    assert_false(f->terminal.nowrap);
    assert_false(f->terminal.styled);
    assert_int_equal(f->terminal.column, 0);
}

static void frame(struct fixture *f)
{
    CLEANUP_BUF struct buf out = BUF_INIT;

    live_frame(f->live, (struct live_size){f->terminal.rows, f->terminal.columns}, f->now_ms, &out);
    feed(&f->terminal, out.data, out.len);
    check_sane(f);
}

static void last_frame(struct fixture *f)
{
    CLEANUP_BUF struct buf out = BUF_INIT;

    live_end(f->live, (struct live_size){f->terminal.rows, f->terminal.columns}, &out);
    feed(&f->terminal, out.data, out.len);
    check_sane(f);
}

static void assert_shown(const struct fixture *f, const char *expected)
{
    CLEANUP_BUF struct buf got = BUF_INIT;

    transcript(&f->terminal, &got);
    assert_string_equal(got.data, expected);
}

static const struct live_options unicode = {.look = {.color = true, .utf8 = true}};
static const struct live_options ascii = {0};

static void a_tree_with_what_was_said_last(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f, 60, 12, &unicode, 2);
    start_all(&f, 2);
    for (int i = 0; i < 5; i++) {
        char text[64];

        snprintf(text, sizeof(text), "\033[3%dmline %d\n", i, i);
        say(&f, 0, EVENT_STDOUT, text, false);
    }
    say(&f, 1, EVENT_STDERR, "half", false);
    f.now_ms = 65000;
    frame(&f);
    assert_shown(&f, "job › step │ line 0\n"
                     "job › step │ line 1\n"
                     "job › step │ line 2\n"
                     "job › step │ line 3\n"
                     " 1m05s ▸ stage\n"
                     " 1m05s   ▸ job (1/2)\n"
                     " 1m05s     ▸ step\n"
                     "             │ line 4\n"
                     " 1m05s   ▸ job (2/2)\n"
                     " 1m05s     ▸ step\n"
                     "             │ half\n"
                     "░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░ 0/2 steps, 1m05s\n");
    say(&f, 1, EVENT_STDERR, " whole\n", true);
    set_state(&f, step_of(&f, 0), STATE_SUCCEEDED);
    frame(&f);
    assert_shown(&f, "job › step │ line 0\n"
                     "job › step │ line 1\n"
                     "job › step │ line 2\n"
                     "job › step │ line 3\n"
                     "job › step │ line 4\n"
                     "✓ stage › job › step (1.0s)\n"
                     " 1m05s ▸ stage\n"
                     " 1m05s   ▸ job (1/2)\n"
                     " 1m05s   ▸ job (2/2)\n"
                     " 1m05s     ▸ step\n"
                     "             │ half whole\n"
                     "███████████████░░░░░░░░░░░░░░░ 1/2 steps, 1m05s\n");
    end(&f);
}

/* Whatever comes, in whatever size: each line is there once and in its order. */
static void nothing_is_lost_or_doubled(void **state)
{
    static const int sizes[][2] = {{80, 24}, {40, 6}, {10, 4}, {7, 3},
                                   {3, 2},   {1, 2},  {30, 1}, {200, 50}};

    (void)state;
    srand(1);
    for (size_t s = 0; s < sizeof(sizes) / sizeof(*sizes); s++) {
        enum { JOBS = 5 };
        struct fixture f;
        int said[JOBS] = {0};
        CLEANUP_BUF struct buf all = BUF_INIT;

        begin(&f, sizes[s][0], sizes[s][1], &ascii, JOBS);
        start_all(&f, JOBS);
        for (int i = 0; i < 400; i++) {
            uint32_t job = (uint32_t)rand() % JOBS;
            char text[64];

            snprintf(text, sizeof(text), "%c%d.\n", 'a' + (int)job, said[job]++);
            say(&f, job, EVENT_STDOUT, text, false);
            if (rand() % 3 == 0)
                frame(&f);
        }
        for (uint32_t job = 0; job < JOBS; job++)
            set_state(&f, step_of(&f, job), STATE_SUCCEEDED);
        frame(&f);
        last_frame(&f);
        transcript(&f.terminal, &all);
        /* Rows of a narrow terminal are broken anywhere: what counts is the sequence of characters.
         */
        for (char *from = all.data, *to = all.data;; from++) {
            if (*from != '\n')
                *to++ = *from;
            if (!*from)
                break;
        }
        for (uint32_t job = 0; job < JOBS; job++) {
            const char *at = all.data;

            for (int i = 0; i < said[job]; i++) {
                char text[32];

                snprintf(text, sizeof(text), "|%s%c%d.", sizes[s][0] > 3 ? " " : "", 'a' + (int)job,
                         i);
                if (sizes[s][0] <= 10)
                    snprintf(text, sizeof(text), "%c%d.", 'a' + (int)job, i);
                at = strstr(at, text);
                assert_non_null(at);
                at += strlen(text);
                assert_null(strstr(at, text));
            }
        }
        end(&f);
    }
}

static void pieces_of_a_line_are_one_line(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f, 60, 12, &unicode, 1);
    start_all(&f, 1);
    say(&f, 0, EVENT_STDOUT, "one", false);
    frame(&f);
    say(&f, 0, EVENT_STDERR, "between\n", false);
    frame(&f);
    say(&f, 0, EVENT_STDOUT, " line\r\nnext\r50%\rlast", true);
    frame(&f);
    say(&f, 0, EVENT_STDOUT, " one\n", true);
    set_state(&f, step_of(&f, 0), STATE_SUCCEEDED);
    last_frame(&f);
    assert_shown(&f, "job › step │ one line\n"
                     "job › step │ between\n"
                     "job › step │ last one\n"
                     "✓ stage › job › step (1.0s)\n");
    end(&f);
}

static void progress_has_a_bar_until_it_ends(void **state)
{
    struct fixture f;
    struct event event = {.type = EVENT_PROGRESS,
                          .text = "pulling x: 2.0 of 4.0 MB",
                          .done = 2,
                          .total = 4};

    (void)state;
    begin(&f, 70, 20, &ascii, 1);
    start_all(&f, 1);
    event.node = step_of(&f, 0);
    live_take(f.live, &event);
    frame(&f);
    assert_shown(&f, "    0s > stage\n"
                     "    0s   > job\n"
                     "    0s     > step\n"
                     "             ######------ pulling x: 2.0 of 4.0 MB\n"
                     "------------------------------ 0/1 steps, 0s\n");
    event.text = NULL;
    live_take(f.live, &event);
    frame(&f);
    assert_shown(&f, "    0s > stage\n"
                     "    0s   > job\n"
                     "    0s     > step\n"
                     "------------------------------ 0/1 steps, 0s\n");
    end(&f);
}

static void what_goes_elsewhere_is_not_above(void **state)
{
    const struct live_options elsewhere = {.stdout_elsewhere = true};
    struct fixture f;

    (void)state;
    begin(&f, 70, 20, &elsewhere, 1);
    start_all(&f, 1);
    say(&f, 0, EVENT_STDOUT, "out\n", false);
    say(&f, 0, EVENT_STDERR, "err\n", false);
    frame(&f);
    assert_shown(&f, "    0s > stage\n"
                     "    0s   > job\n"
                     "    0s     > step\n"
                     "             | out\n"
                     "             | err\n"
                     "------------------------------ 0/1 steps, 0s\n");
    set_state(&f, step_of(&f, 0), STATE_FAILED);
    last_frame(&f);
    assert_shown(&f, "job > step | err\n"
                     "FAIL stage > job > step failed (1.0s)\n");
    end(&f);
}

static void a_forgotten_area_stays(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f, 70, 20, &ascii, 1);
    start_all(&f, 1);
    frame(&f);
    feed(&f.terminal, "$ fg\n", 5);
    live_forget(f.live);
    set_state(&f, step_of(&f, 0), STATE_SUCCEEDED);
    last_frame(&f);
    assert_shown(&f, "    0s > stage\n"
                     "    0s   > job\n"
                     "    0s     > step\n"
                     "------------------------------ 0/1 steps, 0s\n"
                     "$ fg\n"
                     "ok stage > job > step (1.0s)\n");
    end(&f);
}

/* --- cells --- */

static void cells(void **state)
{
    static const struct {
        const char *text;
        int columns;
        struct cells_look look;
        const char *expected;
        int used;
    } rows[] = {
        {"abc", 3, {0, 1}, "abc", 3},
        {"abcd", 3, {0, 1}, "ab…", 3},
        {"abcd", 3, {0, 0}, "ab~", 3},
        {"abcd", 1, {0, 1}, "…", 1},
        {"abcd", 0, {0, 1}, "", 0},
        {"abcd", -5, {0, 1}, "", 0},
        {"日本語", 6, {0, 1}, "日本語", 6},
        {"日本語", 5, {0, 1}, "日本…", 5},
        {"日本語", 4, {0, 1}, "日…", 3},
        {"日本語", 1, {0, 1}, "…", 1},
        {"e\xcc\x81x", 2, {0, 1}, "e\xcc\x81x", 2},
        {"\tx", 20, {0, 1}, "        x", 9},
        {"ab\tx", 20, {0, 1}, "ab      x", 9},
        {"old\rnew", 20, {0, 1}, "new", 3},
        {"line\r", 20, {0, 1}, "line", 4},
        {"\377", 20, {0, 1}, "\xef\xbf\xbd", 1},
        {"\033[31mred\033[0m x", 20, {0, 1}, "red x", 5},
        {"\033[31mred\033[0m x", 20, {1, 1}, "\033[0;31mred\033[0m x", 5},
        {"\033[31mred", 20, {1, 1}, "\033[0;31mred\033[0m", 3},
        {"\033[31mredder", 3, {1, 1}, "\033[0;31mre…\033[0m", 3},
        {"ab\033[31mcd", 3, {1, 1}, "ab\033[0;31m…\033[0m", 3},
        {"\033[2J\033]0;t\007\033[5;5Hx", 20, {1, 1}, "x", 1},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        CLEANUP_BUF struct buf out = BUF_INIT;
        struct ansi_style style = {0};
        int used = cells_add(&out, rows[i].text, strlen(rows[i].text), rows[i].columns,
                             rows[i].look, &style);

        assert_string_equal(out.data, rows[i].expected);
        assert_int_equal(used, rows[i].used);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cells),
        cmocka_unit_test(a_tree_with_what_was_said_last),
        cmocka_unit_test(nothing_is_lost_or_doubled),
        cmocka_unit_test(pieces_of_a_line_are_one_line),
        cmocka_unit_test(progress_has_a_bar_until_it_ends),
        cmocka_unit_test(what_goes_elsewhere_is_not_above),
        cmocka_unit_test(a_forgotten_area_stays),
    };

    cells_begin_thread();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
