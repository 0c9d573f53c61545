/* The helper's executables as data; HELPER_<ARCHITECTURE> is the path of one, given by the build.
 */
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "helper/helper.h"

#if defined(__x86_64__)
#define ARCHITECTURE "amd64"
#elif defined(__aarch64__)
#define ARCHITECTURE "arm64"
#else
#error "the helper has no system call table for this architecture"
#endif

#define PROGRAM(symbol, path)                                                                      \
    extern const unsigned char symbol[];                                                           \
    extern const unsigned char symbol##_end[];                                                     \
    __asm__(".pushsection .rodata\n"                                                               \
            ".global " #symbol "\n"                                                                \
            ".global " #symbol "_end\n"                                                            \
            ".balign 16\n" #symbol ":\n"                                                           \
            ".incbin \"" path "\"\n" #symbol "_end:\n"                                             \
            ".byte 0\n"                                                                            \
            ".popsection\n")

#if defined(HELPER_AMD64)
PROGRAM(helper_amd64, HELPER_AMD64);
#endif
#if defined(HELPER_ARM64)
PROGRAM(helper_arm64, HELPER_ARM64);
#endif

static const struct {
    const char *architecture;
    const unsigned char *data;
    const unsigned char *end;
} programs[] = {
#if defined(HELPER_AMD64)
    {"amd64", helper_amd64, helper_amd64_end},
#endif
#if defined(HELPER_ARM64)
    {"arm64", helper_arm64, helper_arm64_end},
#endif
};

int helper_program_find(const char *architecture, struct helper_program *ret)
{
    for (size_t i = 0; i < sizeof(programs) / sizeof(*programs); i++) {
        if (strcmp(programs[i].architecture, architecture) != 0)
            continue;
        *ret = (struct helper_program){.data = programs[i].data,
                                       .size = (size_t)(programs[i].end - programs[i].data)};
        return 0;
    }
    return -1;
}

const char *helper_architecture(void)
{
    return ARCHITECTURE;
}

void helper_program_hash(const struct helper_program *program, char out[HELPER_HASH_SIZE])
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325); /* FNV-1a */

    for (size_t i = 0; i < program->size; i++)
        hash = (hash ^ program->data[i]) * UINT64_C(0x100000001b3);
    snprintf(out, HELPER_HASH_SIZE, "%016" PRIx64, hash);
}
