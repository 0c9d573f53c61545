/* libFuzzer harness: any bytes as a pipeline file, and, behind the first NUL, as a value to set
 * over it. Everything that may happen to a file is done to it: load, expand its strings, print what
 * is wrong in every form.
 *
 *     cmake -B build/fuzz -DCMAKE_C_COMPILER=clang -DRUNNER_FUZZ=ON -DRUNNER_TESTS=OFF
 *     cmake --build build/fuzz --target fuzz_load
 *     build/fuzz/tests/fuzz_load -max_len=4096 -timeout=5 corpus/ */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/alloc.h"
#include "base/interpolate.h"
#include "load/diag_print.h"
#include "load/load.h"
#include "load/sarif.h"
#include "yaml/yaml_json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static const char *lookup(void *arg, const char *name)
{
    (void)arg;
    return name[0] == 'A' ? "value" : name[0] == 'B' ? "" : NULL;
}

static void expand(const char *text)
{
    const struct interpolate_scope scope = {.lookup = lookup};
    CLEANUP_BUF struct buf out = BUF_INIT;
    struct err err = ERR_INIT;

    if (interpolate(text, &scope, &out, NULL, &err) == 0 &&
        interpolate_check(text, NULL, NULL, &err) < 0)
        abort();
}

static size_t count_strings(const json_t *value)
{
    size_t count = json_is_string(value);
    const char *key;
    json_t *item;
    size_t i;

    json_array_foreach (value, i, item)
        count += count_strings(item);
    json_object_foreach ((json_t *)value, key, item)
        count += count_strings(item);
    return count;
}

/* Each string of a value of any shape has its position. */
static void check_positions(const struct spec_json *json)
{
    if (json && count_strings(json->value) != json->string_count)
        abort();
}

static void print_tree(const struct load_source *source)
{
    CLEANUP_DIAG_LIST struct diag_list diags = {0};
    struct yaml_limits limits = YAML_LIMITS_INIT;
    CLEANUP_YAML_TREE struct yaml_tree *tree = NULL;

    limits.documents = 10;
    limits.local_tags = true;
    limits.nodes = 10000;
    tree = yaml_tree_parse(source->text.data, source->text.len, &limits, &diags);
    for (size_t i = 0; tree && i < tree->document_count; i++)
        json_decref(yaml_node_to_json(tree->documents[i]));
    if (!tree && !diags.error_count)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    CLEANUP_DIAG_LIST struct diag_list diags = {0};
    CLEANUP_LOAD_SOURCE struct load_source source = LOAD_SOURCE_INIT;
    CLEANUP_SPEC_PIPELINE struct spec_pipeline *pipeline = NULL;
    CLEANUP_BUF struct buf text = BUF_INIT;
    json_t *json = json_array();
    json_t *sarif = sarif_new();
    const uint8_t *nul = memchr(data, 0, len);

    load_source_init(&source, "fuzz", (const char *)data, nul ? (size_t)(nul - data) : len);
    if (nul)
        strvec_push_owned(&source.overrides,
                          xstrndup((const char *)nul + 1, len - (size_t)(nul + 1 - data)));
    pipeline = load_pipeline(&source, NULL, &diags);
    if (!pipeline != (diags.error_count > 0))
        abort();
    diag_print_text(&text, &source, &diags, false);
    diag_print_json(json, &source, &diags);
    json_decref(json);
    sarif_add(sarif, &source, &diags);
    json_decref(sarif);
    if (pipeline) {
        expand(pipeline->name.text);
        check_positions(pipeline->common.kubernetes);
    }
    print_tree(&source);
    expand(source.text.data);
    return 0;
}
