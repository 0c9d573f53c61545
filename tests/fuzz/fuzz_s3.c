/* libFuzzer harness: any bytes as the XML that an S3 server answers with.
 *
 *     build/fuzz/tests/fuzz_s3 -max_len=4096 -timeout=5 corpus/ */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "apis/s3/xml.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* Elements end from the inside to the outside: a path is never longer than 16 names. */
static int on_end(void *arg, const char *path, const char *text, struct err *err)
{
    size_t *count = arg;
    size_t depth = 1;

    (void)text;
    for (const char *at = path; *at; at++)
        depth += *at == '/';
    if (!*path || depth > 16)
        abort();
    return ++*count > 1000 ? err_set(err, ERR_LIMIT, "enough") : 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct err err = ERR_INIT;
    size_t count = 0;

    if (xml_read((const char *)data, len, on_end, &count, &err) < 0 && !*err.message)
        abort();
    return 0;
}
