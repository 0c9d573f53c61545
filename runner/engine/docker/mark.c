#include "engine/docker/mark.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "base/clock.h"
#include "base/parse.h"

void mark_make(char mark[MARK_SIZE])
{
    uint64_t random[2] = {(uint64_t)clock_monotonic_ms(), (uintptr_t)mark};
    ssize_t got = getrandom(random, sizeof(random), 0);

    (void)got; /* in a container without it the clock will do: this is no secret */
    snprintf(mark, MARK_SIZE, "%c%016llx%016llx", MARK_FIRST, (unsigned long long)random[0],
             (unsigned long long)random[1]);
}

/* Behind the mark: " CODE\n". */
static int feed_code(struct mark_scan *scan, const char *data, size_t len, struct err *err)
{
    int64_t code;

    for (; len > 0 && !scan->done; data++, len--) {
        if (*data == '\n') {
            scan->code_text[scan->code_len] = '\0';
            if (scan->code_text[0] != ' ' || parse_int64(scan->code_text + 1, &code, err) < 0)
                break;
            scan->code = (int)code;
            scan->done = true;
        } else if (scan->code_len < sizeof(scan->code_text) - 1) {
            scan->code_text[scan->code_len++] = *data;
        } else {
            break;
        }
    }
    return len == 0 ? 0 : err_set(err, ERR_PROTOCOL, "the helper in the container is confused");
}

int mark_scan_feed(struct mark_scan *scan, const char *data, size_t len, mark_output_fn *output,
                   void *arg, struct err *err)
{
    const size_t mark_len = MARK_SIZE - 1;

    while (len > 0 && scan->matched < mark_len) {
        if (scan->matched > 0 && *data == scan->mark[scan->matched]) {
            scan->matched++;
            data++;
            len--;
        } else if (scan->matched > 0) {
            size_t held = scan->matched;

            scan->matched = 0;
            if (output(arg, scan->mark, held, err) < 0)
                return -1;
        } else {
            const char *first = memchr(data, MARK_FIRST, len);
            size_t plain = first ? (size_t)(first - data) : len;

            if (plain > 0 && output(arg, data, plain, err) < 0)
                return -1;
            scan->matched = first != NULL;
            data += plain + scan->matched;
            len -= plain + scan->matched;
        }
    }
    return len > 0 ? feed_code(scan, data, len, err) : 0;
}
