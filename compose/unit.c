/* Files that belong together, one over the other. */
#include <string.h>

#include "base/alloc.h"
#include "compose/loader.h"
#include "compose/merge.h"
#include "compose/reader.h"

#define DOCUMENTS_MAX 100

json_t *compose_documents_read(struct compose_loader *l, const struct compose_unit *unit,
                               struct compose_file *file)
{
    struct yaml_limits limits = YAML_LIMITS_INIT;
    CLEANUP_YAML_TREE struct yaml_tree *tree = NULL;
    struct compose_reader reader = {.places = l->places,
                                    .file = file,
                                    .directory = unit->directory,
                                    .environment = unit->environment,
                                    .target = l->target};
    json_t *documents;

    limits.local_tags = true;
    limits.documents = DOCUMENTS_MAX;
    tree = yaml_tree_parse(file->text.data, file->text.len, &limits, &file->diags);
    if (!tree)
        return NULL;
    reader.tree = tree;
    documents = json_array();
    for (size_t i = 0; i < tree->document_count; i++) {
        json_t *document =
            compose_read_object(&reader, NULL, &compose_file_table, tree->documents[i]);

        if (document)
            json_array_append_new(documents, document);
    }
    return documents;
}

static void add_document(struct compose_loader *l, const struct compose_unit *unit,
                         struct compose_file *file, json_t *document, json_t **model)
{
    compose_apply_tags(l->places, *model, document);
    compose_include(l, unit, document);
    compose_extend_services(l, unit, file, json_object_get(document, "services"));
    document = compose_merge_object(l->places, &compose_file_table, *model, document);
    json_decref(*model);
    *model = document;
}

json_t *compose_unit_load(struct compose_loader *l, const struct compose_unit *unit,
                          struct compose_file *const *files, size_t count)
{
    json_t *model = json_object();

    for (size_t i = 0; i < count; i++) {
        json_t *documents = compose_documents_read(l, unit, files[i]);
        json_t *document;
        size_t at;

        json_array_foreach (documents, at, document)
            add_document(l, unit, files[i], document, &model);
        json_decref(documents);
    }
    compose_unit_finish(unit, model);
    return model;
}
