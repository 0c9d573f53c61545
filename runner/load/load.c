#include "load/load.h"

#include <errno.h>

#include "base/alloc.h"
#include "base/fs.h"
#include "load/decode.h"
#include "load/override.h"
#include "load/pipeline_tables.h"

/* As many as struct src_pos has numbers for. */
enum { BESIDE_MAX = 15 };

#define NAME_1 ".pipeline.yaml"
#define NAME_2 ".pipeline.yml"
#define NAME_3 ".go-idp/pipeline.yaml"

const char load_default_names[] = NAME_1 ", " NAME_2 ", " NAME_3;

void load_source_init(struct load_source *source, const char *name, const char *text, size_t len)
{
    *source = (struct load_source){.name = xstrdup(name), .text = BUF_INIT};
    buf_add(&source->text, text, len);
}

void load_source_release(struct load_source *source)
{
    free(source->name);
    buf_release(&source->text);
    strvec_release(&source->overrides);
    for (size_t i = 0; i < source->beside_count; i++)
        load_source_release(&source->beside[i]);
    free(source->beside);
    source->beside = NULL;
    source->beside_count = 0;
    source->name = NULL;
}

uint32_t load_source_add(struct load_source *source, const char *name, struct buf *text)
{
    struct load_source *beside;

    if (source->beside_count == BESIDE_MAX)
        return 0;
    source->beside =
        xreallocarray(source->beside, source->beside_count + 1, sizeof(*source->beside));
    beside = &source->beside[source->beside_count++];
    *beside = (struct load_source){.name = xstrdup(name), .text = *text};
    *text = (struct buf)BUF_INIT;
    return (uint32_t)source->beside_count;
}

const struct load_source *load_source_at(const struct load_source *source, struct src_pos pos)
{
    return pos.file && pos.file <= source->beside_count ? &source->beside[pos.file - 1] : source;
}

static int report_unreadable(const char *path, const struct err *read_err, struct diag_list *diags)
{
    const struct src_pos nowhere = {0};

    if (read_err->code == ERR_NOT_FOUND)
        diag_add(diags, DIAG_ERROR, nowhere, "", "the file does not exist");
    else if (fs_is_directory(path))
        diag_add(diags, DIAG_ERROR, nowhere, "", "this is a directory, not a pipeline file");
    else if (read_err->code == ERR_SYSTEM)
        diag_add(diags, DIAG_ERROR, nowhere, "", "the file cannot be read: %s",
                 strerror(read_err->errnum));
    else
        diag_add(diags, DIAG_ERROR, nowhere, "", "%s", read_err->message);
    return -1;
}

int load_read(const char *path, const struct load_options *options, struct load_source *source,
              struct diag_list *diags)
{
    const struct load_options used = options ? *options : (struct load_options)LOAD_OPTIONS_INIT;
    bool is_stdin = strcmp(path, "-") == 0;
    struct err err = ERR_INIT;
    int result;

    load_source_init(source, is_stdin ? "<stdin>" : path, "", 0);
    if (is_stdin)
        result =
            fs_read_fd(STDIN_FILENO, source->name, used.limits.text_bytes, &source->text, &err);
    else
        result = fs_read_file(path, used.limits.text_bytes, &source->text, &err);
    return result < 0 ? report_unreadable(path, &err, diags) : 0;
}

struct spec_pipeline *load_pipeline(const struct load_source *source,
                                    const struct load_options *options, struct diag_list *diags)
{
    const struct load_options used = options ? *options : (struct load_options)LOAD_OPTIONS_INIT;
    size_t errors_before = diags->error_count;
    CLEANUP_SPEC_PIPELINE struct spec_pipeline *pipeline = xcalloc(1, sizeof(*pipeline));
    CLEANUP_YAML_TREE struct yaml_tree *tree =
        yaml_tree_parse(source->text.data, source->text.len, &used.limits, diags);
    const struct yaml_node *root;
    struct decoder decoder = {.tree = tree, .diags = diags};

    pipeline->file = xstrdup(source->name);
    for (size_t i = 0; tree && i < source->overrides.len; i++)
        override_apply(tree, source->overrides.items[i], (uint32_t)i + 1, diags);
    root = tree ? yaml_tree_root(tree) : NULL;
    if (root && !yaml_node_is_null(root))
        decode_object(&decoder, NULL, &pipeline_table, pipeline, root);
    else if (tree)
        diag_add(diags, DIAG_ERROR, (struct src_pos){.line = 1, .column = 1}, "",
                 "the file is empty");
    diag_sort(diags);
    return diags->error_count > errors_before ? NULL : steal_ptr(&pipeline);
}

char *load_find_default(const char *dir)
{
    static const char *const names[] = {NAME_1, NAME_2, NAME_3};

    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
        CLEANUP_FREE char *path =
            strcmp(dir, ".") == 0 ? xstrdup(names[i]) : fs_join(dir, names[i]);

        if (fs_exists(path))
            return steal_ptr(&path);
    }
    return NULL;
}
