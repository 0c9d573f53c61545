/* Reading the XML that S3 answers with: small documents of elements and text, in one pass.
 *
 *     static int on_end(void *arg, const char *path, const char *text, struct err *err);
 *     xml_read(body.data, body.len, on_end, arg, err)
 *
 * calls on_end("ListBucketResult/Contents/Key", "a/b") as each element ends. Namespaces and
 * attributes are left out. Documents with a DTD, or nested deeper than 16 levels, are refused.
 * Expat, linked statically (docs/adr/0020-s3.md). */
#pragma once

#include <stddef.h>

#include "base/err.h"

/* `text` is what stands in the element itself, not in those below it; both are borrowed. -1 ends
 * the reading with *err. */
typedef int xml_end_fn(void *arg, const char *path, const char *text, struct err *err);

/* ERR_PROTOCOL for what is no XML. */
int xml_read(const char *data, size_t len, xml_end_fn *end, void *arg, struct err *err)
    __attribute__((warn_unused_result));
