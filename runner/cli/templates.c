/* TEMPLATE_DIR is given by the build. */
#include "cli/templates.h"

#include <string.h>

#define TEMPLATES(EACH)                                                                            \
    EACH(minimal)                                                                                  \
    EACH(docker)                                                                                   \
    EACH(matrix)                                                                                   \
    EACH(services)                                                                                 \
    EACH(deploy)                                                                                   \
    EACH(node)                                                                                     \
    EACH(python)                                                                                   \
    EACH(go)

#define INCLUDE(name)                                                                              \
    __asm__(".pushsection .rodata\n"                                                               \
            ".global template_" #name "\n"                                                         \
            ".global template_" #name "_end\n"                                                     \
            "template_" #name ":\n"                                                                \
            ".incbin \"" TEMPLATE_DIR "/" #name ".yaml\"\n"                                        \
            "template_" #name "_end:\n"                                                            \
            ".byte 0\n"                                                                            \
            ".popsection\n");
#define DECLARE(name) extern const char template_##name[], template_##name##_end[];
#define NAME(name)    #name,
#define ROW(name)     {template_##name, template_##name##_end},

TEMPLATES(INCLUDE)
TEMPLATES(DECLARE)

const char *const template_names[] = {TEMPLATES(NAME) NULL};

static const struct {
    const char *begin;
    const char *end;
} rows[] = {TEMPLATES(ROW)};

struct template_text template_get(size_t number)
{
    return (struct template_text){rows[number].begin,
                                  (size_t)(rows[number].end - rows[number].begin)};
}

const char *template_summary(size_t number, size_t *ret_len)
{
    const char *line = rows[number].begin + 2;

    *ret_len = strcspn(line, "\n");
    return line;
}
