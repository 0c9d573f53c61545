/* CONSOLE_FILES, a header that the build writes, has a row FILE(number, path, name, hash) for each
 * file (console.cmake). */
#include "console/console.h"

#include <pthread.h>
#include <string.h>

#define FILE(number, path, name, hash)                                                             \
    __asm__(".pushsection .rodata\n"                                                               \
            ".global console_file_" #number "\n"                                                   \
            ".global console_file_" #number "_end\n"                                               \
            "console_file_" #number ":\n"                                                          \
            ".incbin \"" path "\"\n"                                                               \
            "console_file_" #number "_end:\n"                                                      \
            ".byte 0\n"                                                                            \
            ".popsection\n");                                                                      \
    extern const char console_file_##number[], console_file_##number##_end[];
#include CONSOLE_FILES
#undef FILE

static const struct {
    const char *name;
    const char *etag;
    const char *begin;
    const char *end;
} embedded[] = {
#define FILE(number, path, name, hash)                                                             \
    {name, "\"" hash "\"", console_file_##number, console_file_##number##_end},
#include CONSOLE_FILES
#undef FILE
    {0},
};

static struct console_file files[sizeof(embedded) / sizeof(*embedded)];
static size_t file_count;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static const char *content_type(const char *name)
{
    static const struct {
        const char *suffix;
        const char *type;
    } types[] = {
        {".html", "text/html; charset=utf-8"},
        {".css", "text/css; charset=utf-8"},
        {".js", "text/javascript; charset=utf-8"},
        {".json", "application/json"},
        {".svg", "image/svg+xml"},
        {".png", "image/png"},
        {".ico", "image/x-icon"},
        {".woff2", "font/woff2"},
        {".webmanifest", "application/manifest+json"},
        {".txt", "text/plain; charset=utf-8"},
    };
    const char *suffix = strrchr(name, '.');

    for (size_t i = 0; suffix && i < sizeof(types) / sizeof(*types); i++) {
        if (strcmp(types[i].suffix, suffix) == 0)
            return types[i].type;
    }
    return "application/octet-stream";
}

static void fill(void)
{
    for (size_t i = 0; embedded[i].name; i++) {
        files[i] = (struct console_file){
            .name = embedded[i].name,
            .content_type = content_type(embedded[i].name),
            .etag = embedded[i].etag,
            .data = embedded[i].begin,
            .size = (size_t)(embedded[i].end - embedded[i].begin),
        };
        file_count++;
    }
}

const struct console_file *console_files(size_t *ret_count)
{
    pthread_once(&once, fill);
    *ret_count = file_count;
    return files;
}

const struct console_file *console_find(const char *name)
{
    size_t count;
    const struct console_file *file = console_files(&count);

    for (size_t i = 0; i < count; i++) {
        if (strcmp(file[i].name, name) == 0)
            return &file[i];
    }
    return NULL;
}
