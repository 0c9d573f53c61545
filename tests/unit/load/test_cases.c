/* Each folder of tests/data/load holds an input.yaml and what loading it says, word for word. To
 * write the expectations anew after a change of wording: UPDATE_EXPECTED=1, then read the diff. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <stdio.h>

#include "base/alloc.h"
#include "base/fs.h"
#include "load/diag_print.h"
#include "load/load.h"

static void load_case(const char *folder, struct buf *out)
{
    CLEANUP_DIAG_LIST struct diag_list diags = {0};
    CLEANUP_LOAD_SOURCE struct load_source source = LOAD_SOURCE_INIT;
    CLEANUP_SPEC_PIPELINE struct spec_pipeline *pipeline = NULL;
    CLEANUP_FREE char *path = fs_join(folder, "input.yaml");

    if (load_read(path, NULL, &source, &diags) < 0)
        fail_msg("%s", diags.items[0].message);
    free(source.name);
    source.name = xstrdup("input.yaml");
    pipeline = load_pipeline(&source, NULL, &diags);
    diag_print_text(out, &source, &diags, false);
    if (pipeline)
        buf_addf(out, "valid: %zu stages\n", pipeline->stage_count);
}

static void check_case(void **state)
{
    const char *folder = *state;
    CLEANUP_FREE char *path = fs_join(folder, "expected.txt");
    CLEANUP_BUF struct buf said = BUF_INIT;
    CLEANUP_BUF struct buf expected = BUF_INIT;
    struct err err = ERR_INIT;

    load_case(folder, &said);
    if (getenv("UPDATE_EXPECTED"))
        assert_int_equal(fs_write_file(path, said.data, said.len, 0644, &err), 0);
    if (fs_read_file(path, 1 << 20, &expected, &err) < 0)
        fail_msg("%s", err.message);
    assert_string_equal(said.data, expected.data);
}

static int is_case(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

int main(void)
{
    struct dirent **entries;
    int count = scandir(TEST_DATA "/load", &entries, is_case, alphasort);
    struct CMUnitTest *tests = xcalloc((size_t)(count > 0 ? count : 1), sizeof(*tests));
    int failed;

    for (int i = 0; i < count; i++)
        tests[i] =
            (struct CMUnitTest){.name = entries[i]->d_name,
                                .test_func = check_case,
                                .initial_state = fs_join(TEST_DATA "/load", entries[i]->d_name)};
    failed = count > 0 ? _cmocka_run_group_tests("load", tests, (size_t)count, NULL, NULL) : 1;
    for (int i = 0; i < count; i++) {
        free(tests[i].initial_state);
        free(entries[i]);
    }
    free(entries);
    free(tests);
    return failed;
}
