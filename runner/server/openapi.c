/* OPENAPI_FILE and OPENAPI_HASH are given by the build. */
#include "server/openapi.h"

__asm__(".pushsection .rodata\n"
        ".global openapi_begin\n"
        ".global openapi_end\n"
        "openapi_begin:\n"
        ".incbin \"" OPENAPI_FILE "\"\n"
        "openapi_end:\n"
        ".byte 0\n"
        ".popsection\n");

extern const char openapi_begin[], openapi_end[];

const char *openapi_text(size_t *ret_size)
{
    *ret_size = (size_t)(openapi_end - openapi_begin);
    return openapi_begin;
}

const char *openapi_etag(void)
{
    return "\"" OPENAPI_HASH "\"";
}
