/* What the keys of a step with a `type` say about each other. */
#include "load/decode.h"
#include "load/pipeline_tables.h"

/* Who does the work of a type. */
enum worker {
    WORKER_TYPE,    /* the type by itself */
    WORKER_EITHER,  /* a tool, or the step's command */
    WORKER_COMMAND, /* the step's command */
};

static const enum worker workers[SPEC_TYPE_COUNT] = {
    [SPEC_TYPE_FETCH_CODE] = WORKER_TYPE, [SPEC_TYPE_BUILD] = WORKER_EITHER,
    [SPEC_TYPE_TEST] = WORKER_EITHER,     [SPEC_TYPE_SECURITY_SCAN] = WORKER_TYPE,
    [SPEC_TYPE_DEPLOY] = WORKER_EITHER,   [SPEC_TYPE_NOTIFY] = WORKER_TYPE,
    [SPEC_TYPE_CUSTOM] = WORKER_COMMAND,
};

static void check_required(struct decoder *d, const struct node_path *path,
                           const struct spec_step *step)
{
    const struct table *table = step_type_configs[step->type];

    for (size_t i = 0; !step->config && i < table->field_count; i++) {
        if (table->fields[i].flags & FIELD_REQUIRED) {
            decode_error(d, path, step->pos, "a step of type \"%s\" needs a \"config\" with \"%s\"",
                         spec_type_name(step->type), table->fields[i].name);
            return;
        }
    }
}

/* Keys that say what a tool is to do mean nothing to a command. */
static bool has_tool_keys(const struct spec_config *c)
{
    return c->args.len || c->targets.len || c->source.len || c->destination.text || c->remove;
}

static void check_either(struct decoder *d, const struct node_path *path,
                         const struct spec_step *step, bool has_command,
                         const struct yaml_node *config)
{
    const struct yaml_node *tool = yaml_node_get(config, "tool");
    bool has_tool = tool && tool->len && !yaml_node_is_null(tool);
    bool is_list = config && config->kind == YAML_KIND_SEQUENCE; /* reported as what it is */

    if (!has_command && !has_tool && !is_list)
        decode_error(d, path, step->pos,
                     "a step of type \"%s\" needs a \"tool\" in its \"config\", or a \"command\"",
                     spec_type_name(step->type));
    else if (has_command && has_tool)
        decode_error(d, path, tool->pos,
                     "\"tool\" and \"command\" both say what does the work; keep one of them");
    else if (has_command && step->config && has_tool_keys(step->config))
        decode_error(d, path, step->config->pos,
                     "with a \"command\" only \"directory\" has a meaning in \"config\"");
}

void check_step_type(struct decoder *d, const struct node_path *path, const struct spec_step *step,
                     bool has_command, const struct yaml_node *node)
{
    const char *type = spec_type_name(step->type);
    bool has_program = has_command || (step->container && step->container->entrypoint.len);

    if (step->plugin || step->language) {
        decode_error(d, path, step->pos, "\"type\" and \"%s\" cannot be used together",
                     step->plugin ? "plugin" : "language");
        return;
    }
    if (d->unknown_here)
        return;
    check_required(d, path, step);
    switch (workers[step->type]) {
    case WORKER_TYPE:
        if (has_command)
            decode_error(d, path, yaml_node_get(node, "command")->pos,
                         "a step of type \"%s\" takes no \"command\"; write it as a step of its "
                         "own",
                         type);
        break;
    case WORKER_EITHER:
        check_either(d, path, step, has_command, yaml_node_get(node, "config"));
        break;
    case WORKER_COMMAND:
        if (!has_program)
            decode_error(d, path, step->pos, "a step of type \"%s\" needs a \"command\"", type);
    }
}

void check_deploy(struct decoder *d, const struct node_path *path, const void *object,
                  const struct yaml_node *node)
{
    const struct spec_config *config = object;

    if (!config->tool || d->unknown_here)
        return;
    if (!config->source.len)
        decode_error(d, path, node->pos, "a \"tool\" for deploying needs a \"source\"");
    if (!config->destination.text)
        decode_error(d, path, node->pos, "a \"tool\" for deploying needs a \"destination\"");
}

void check_notify(struct decoder *d, const struct node_path *path, const void *object,
                  const struct yaml_node *node)
{
    const struct spec_config *config = object;

    (void)node;
    if (config->message.text && config->body.text)
        decode_error(d, path, config->body.pos,
                     "\"message\" and \"body\" are two ways to say what is sent; keep one of them");
    else if (config->format && !config->message.text)
        decode_error(d, path, config->pos, "\"format\" goes with \"message\"");
}

void check_web_url(struct decoder *d, const struct node_path *path, const struct field *field,
                   const struct yaml_node *node)
{
    if (!decode_has_template(node->text) && strncmp(node->text, "http://", 7) != 0 &&
        strncmp(node->text, "https://", 8) != 0)
        decode_error(d, path, node->pos, "\"%s\" must begin with http:// or https://", field->name);
}
