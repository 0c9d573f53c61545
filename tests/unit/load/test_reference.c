/* docs/pipeline-file.md must hold what the tables say; UPDATE_EXPECTED=1 writes it anew. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/fs.h"
#include "load/reference.h"

#define DOCUMENT TEST_DATA "/../../docs/pipeline-file.md"

static void document_holds_the_tables(void **state)
{
    CLEANUP_BUF struct buf document = BUF_INIT;
    CLEANUP_BUF struct buf wanted = BUF_INIT;
    struct err err = ERR_INIT;
    const char *begin;
    const char *end;

    (void)state;
    if (fs_read_file(DOCUMENT, 1 << 20, &document, &err) < 0)
        fail_msg("%s", err.message);
    begin = strstr(document.data, REFERENCE_BEGIN);
    end = strstr(document.data, REFERENCE_END);
    assert_true(begin && end && begin < end);
    buf_add(&wanted, document.data, (size_t)(begin - document.data) + strlen(REFERENCE_BEGIN));
    buf_addch(&wanted, '\n');
    reference_markdown(&wanted);
    buf_addstr(&wanted, end);
    if (getenv("UPDATE_EXPECTED"))
        assert_int_equal(fs_write_file(DOCUMENT, wanted.data, wanted.len, 0644, &err), 0);
    else
        assert_string_equal(document.data, wanted.data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(document_holds_the_tables)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
