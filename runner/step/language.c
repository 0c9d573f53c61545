/* A program of a language, run by the interpreter or compiler of its official image.
 * Source: pipeline file reference, section 6. */
#include <string.h>

#include "base/alloc.h"
#include "step/lower.h"

#define CODE "@code@"

/* One language: the repository of its image, and how its program is run. An argument that is
 * CODE becomes the program text; otherwise the text is put into `file`. Languages whose imports
 * start from the working directory take the text, so that they find the workspace's modules. */
struct language {
    const char *name;
    const char *repository;
    const char *file;
    const char *argv[6];
};

static const struct language languages[] = {
    {"bash", "bash", NULL, {"bash", "-c", CODE}},
    {"bun", "oven/bun", NULL, {"bun", "-e", CODE}},
    {"deno", "denoland/deno", "main.ts", {"deno", "run", "-A", RUNNABLE_FILES "main.ts"}},
    {"go", "golang", "main.go", {"go", "run", RUNNABLE_FILES "main.go"}},
    {"java", "eclipse-temurin", "Main.java", {"java", RUNNABLE_FILES "Main.java"}},
    {"node", "node", NULL, {"node", "-e", CODE}},
    {"perl", "perl", NULL, {"perl", "-e", CODE}},
    {"php", "php", "main.php", {"php", RUNNABLE_FILES "main.php"}},
    {"python", "python", NULL, {"python", "-c", CODE}},
    {"ruby", "ruby", NULL, {"ruby", "-e", CODE}},
    {"rust",
     "rust",
     "main.rs",
     {"sh", "-c", "rustc -o \"${0%.rs}\" \"$0\" && exec \"${0%.rs}\"", RUNNABLE_FILES "main.rs"}},
};

enum { LANGUAGE_COUNT = sizeof(languages) / sizeof(*languages) };

static bool claims(const struct spec_step *spec)
{
    return spec->language != NULL;
}

static const struct language *find_language(const char *name, struct err *err)
{
    CLEANUP_BUF struct buf known = BUF_INIT;

    for (size_t i = 0; i < LANGUAGE_COUNT; i++) {
        if (strcmp(languages[i].name, name) == 0)
            return &languages[i];
        buf_addf(&known, "%s%s", i ? ", " : "", languages[i].name);
    }
    err_set(err, ERR_INVALID, "language \"%s\" is not known; there are %s", name, known.data);
    return NULL;
}

static int lower(const struct step_context *context, struct step_lowered *lowered, struct err *err)
{
    const struct spec_step *spec = context->step->spec;
    const char *code = spec->command.text ? spec->command.text : "";
    const struct language *language;
    const char *name;
    const char *version;
    const char *image;

    if (lower_string(context, lowered, &spec->language->name, &name, err) < 0 ||
        lower_string(context, lowered, &spec->language->version, &version, err) < 0 ||
        lower_string(context, lowered, &spec->language->image, &image, err) < 0)
        return -1;
    language = find_language(name ? name : "", err);
    if (!language)
        return -1;
    if (!image)
        image = lower_own(lowered,
                          xasprintf("%s:%s", language->repository, version ? version : "latest"));
    lowered->shape.source.image = image;
    for (size_t i = 0; language->argv[i]; i++)
        strvec_push(&lowered->argv,
                    strcmp(language->argv[i], CODE) == 0 ? code : language->argv[i]);
    if (language->file)
        lowered->file =
            (struct runnable_file){.name = language->file, .data = code, .size = strlen(code)};
    lower_environment(context, &lowered->environment);
    return 0;
}

const struct step_kind step_kind_language = {"language", claims, lower};
