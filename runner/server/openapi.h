/* The description of the REST interface (OpenAPI 3.1): openapi.json, which the build puts into the
 * program. tests/e2e/server.sh holds it against the table of routes and against real answers. */
#pragma once

#include <stddef.h>

const char *openapi_text(size_t *ret_size);
/* Of its content; with its quotes. */
const char *openapi_etag(void);
