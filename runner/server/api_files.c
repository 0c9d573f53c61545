/* Pipeline files: whether one is valid, and as JSON for who edits it in another form. */
#include <string.h>

#include "load/diag_print.h"
#include "server/inside.h"
#include "yaml/yaml_json.h"
#include "yaml/yaml_write.h"

/* --- what is wrong with one --- */

static void set_diagnostics(json_t *object, struct prepared *p)
{
    json_t *diagnostics = json_array();

    diag_sort(&p->diags);
    diag_print_json(diagnostics, &p->source, &p->diags);
    json_object_set_new(object, "diagnostics", diagnostics);
}

/* The string member of the body; belongs to it. */
static const char *read_text(const json_t *body, const char *name, size_t *ret_size,
                             struct err *err)
{
    const json_t *text = json_object_get(body, name);

    if (!json_is_string(text)) {
        err_set(err, ERR_INVALID, "%s is the text of a pipeline file", name);
        return NULL;
    }
    *ret_size = json_string_length(text);
    if (memchr(json_string_value(text), '\0', *ret_size)) {
        err_set(err, ERR_INVALID, "%s has the character NUL in it", name);
        return NULL;
    }
    return json_string_value(text);
}

SERVER_HANDLER(files_validate)
{
    struct prepared p = PREPARED_INIT;
    json_t *body = web_body_json(request, err);
    size_t size = 0;
    const char *text = body ? read_text(body, "config", &size, err) : NULL;
    struct err why = ERR_INIT;
    json_t *object;
    bool valid;

    (void)ctx;
    if (!text) {
        json_decref(body);
        return -1;
    }
    valid =
        prepared_text(&p, server->options.launching->defaults, "pipeline", text, size) == 0 &&
        prepared_plan(&p, server->options.launching->defaults, server->options.kinds, &why) == 0;
    if (why.code)
        diag_add(&p.diags, DIAG_ERROR, (struct src_pos){0}, "", "%s", why.message);
    object = json_pack("{s:b, s:s}", "valid", valid, "name",
                       p.spec && p.spec->name.text ? p.spec->name.text : "");
    set_diagnostics(object, &p);
    web_response_json(response, 200, object);
    prepared_release(&p);
    json_decref(body);
    return 0;
}

/* --- in another form --- */

static void refuse_yaml(struct web_response *response, const char *text, size_t size,
                        struct diag_list *diags)
{
    struct load_source source = LOAD_SOURCE_INIT;
    json_t *diagnostics = json_array();

    load_source_init(&source, "pipeline", text, size);
    diag_print_json(diagnostics, &source, diags);
    web_response_json(response, 422,
                      json_pack("{s:s, s:o}", "error", "the text cannot be read as YAML",
                                "diagnostics", diagnostics));
    load_source_release(&source);
}

SERVER_HANDLER(files_to_visual)
{
    CLEANUP_DIAG_LIST struct diag_list diags = {0};
    CLEANUP_YAML_TREE struct yaml_tree *tree = NULL;
    json_t *body = web_body_json(request, err);
    size_t size = 0;
    const char *text = body ? read_text(body, "yaml", &size, err) : NULL;
    const struct yaml_node *root;

    (void)ctx;
    (void)server;
    if (!text) {
        json_decref(body);
        return -1;
    }
    tree = yaml_tree_parse(text, size, NULL, &diags);
    root = tree ? yaml_tree_root(tree) : NULL;
    if (!diags.error_count && (!root || root->kind != YAML_KIND_MAPPING))
        diag_add(&diags, DIAG_ERROR, (struct src_pos){.line = 1, .column = 1}, "",
                 "a pipeline file is a map");
    if (diags.error_count)
        refuse_yaml(response, text, size, &diags);
    else
        web_response_json(response, 200, json_pack("{s:o}", "visual", yaml_node_to_json(root)));
    json_decref(body);
    return 0;
}

SERVER_HANDLER(files_to_yaml)
{
    CLEANUP_BUF struct buf text = BUF_INIT;
    json_t *body = web_body_json(request, err);
    const json_t *visual = json_object_get(body, "visual");
    int result = -1;

    (void)ctx;
    (void)server;
    if (body && !json_is_object(visual))
        err_set(err, ERR_INVALID, "visual is a pipeline file as an object");
    else if (body)
        result = yaml_write(visual, &text, err);
    /* Of content, ERR_LIMIT is nothing that waiting would help. */
    if (body && json_is_object(visual) && result < 0 && err->code == ERR_LIMIT) {
        web_response_error(response, 422, "%s", err->message);
        result = 0;
    } else if (result == 0) {
        web_response_json(response, 200, json_pack("{s:s%}", "yaml", text.data, text.len));
    }
    json_decref(body);
    return result;
}
