#include "artifact/artifact.h"
#include "base/address.h"
#include "base/alloc.h"
#include "base/glob.h"
#include "base/nearest.h"
#include "base/parse.h"
#include "base/text_index.h"
#include "expr/pattern.h"
#include "load/decode.h"
#include "load/engine_name.h"
#include "load/pipeline_tables.h"
#include "objstore/open.h"
#include "spec/spec.h"

void check_engine(struct decoder *d, const struct node_path *path, const struct field *field,
                  const struct yaml_node *node)
{
    struct err err = ERR_INIT;

    (void)field;
    if (decode_has_template(node->text))
        return;
    if (engine_name_check(node->text, &err) < 0)
        decode_error(d, path, node->pos, "%s", err.message);
}

void check_volume(struct decoder *d, const struct node_path *path, const struct field *field,
                  const struct yaml_node *node)
{
    const char *colon = strchr(node->text, ':');

    if (strstr(node->text, "${"))
        return;
    if (!colon || colon == node->text || colon[1] != '/')
        decode_error(d, path, node->pos,
                     "\"%s\" needs SOURCE:/TARGET or SOURCE:/TARGET:ro, not \"%s\"", field->name,
                     node->text);
}

void check_entrypoint(struct decoder *d, const struct node_path *path, const struct field *field,
                      const struct yaml_node *node)
{
    bool is_whole_value = path->key && strcmp(path->key, field->name) == 0;

    if (is_whole_value && strchr(node->text, ' ') && !strstr(node->text, "${"))
        decode_error(d, path, node->pos, "\"%s\" with arguments must be a list, such as %s: [%s]",
                     field->name, field->name, "\"/bin/tool\", \"--flag\"");
}

void check_expiry(struct decoder *d, const struct node_path *path, const struct field *field,
                  const struct yaml_node *node)
{
    struct err err = ERR_INIT;
    int64_t ms;

    if (!decode_has_template(node->text) && artifact_parse_expiry(node->text, &ms, &err) < 0)
        decode_error(d, path, node->pos, "\"%s\": %s", field->name, err.message);
}

void check_store(struct decoder *d, const struct node_path *path, const struct field *field,
                 const struct yaml_node *node)
{
    struct err err = ERR_INIT;

    if (!decode_has_template(node->text) && object_store_check(node->text, &err) < 0)
        decode_error(d, path, node->pos, "\"%s\": %s", field->name, err.message);
}

/* `also` is what it may be beside the words, for messages; "" or "…, ". */
static void check_word(struct decoder *d, const struct node_path *path, const struct field *field,
                       const struct yaml_node *node, const char *also, const char *const *words)
{
    struct nearest nearest = {.text = node->text};
    CLEANUP_BUF struct buf list = BUF_INIT;

    buf_addstr(&list, also);
    for (const char *const *word = words; *word; word++) {
        if (strcmp(*word, node->text) == 0)
            return;
        nearest_offer(&nearest, *word);
        buf_addf(&list, "%s%s", word == words ? "" : word[1] ? ", " : " or ", *word);
    }
    if (nearest.best)
        decode_error(d, path, node->pos, "\"%s\" does not know \"%s\"; did you mean \"%s\"?",
                     field->name, node->text, nearest.best);
    else
        decode_error(d, path, node->pos, "\"%s\" must be %s, not \"%s\"", field->name, list.data,
                     node->text);
}

void check_status(struct decoder *d, const struct node_path *path, const struct field *field,
                  const struct yaml_node *node)
{
    static const char *const words[] = {"success", "failure", NULL};

    check_word(d, path, field, node, "", words);
}

void check_glob(struct decoder *d, const struct node_path *path, const struct field *field,
                const struct yaml_node *node)
{
    CLEANUP_GLOB struct glob *glob = NULL;
    const char *text = node->text;
    struct err err = ERR_INIT;

    if (decode_has_template(text))
        return;
    if (glob_parse(&text, 1, GLOB_TREE, &glob, &err) < 0)
        decode_error(d, path, node->pos, "\"%s\": %s", field->name, err.message);
}

void check_retry_cause(struct decoder *d, const struct node_path *path, const struct field *field,
                       const struct yaml_node *node)
{
    static const char *const words[] = {"timeout", "lost",    "oom",           "image_pull",
                                        "engine",  "evicted", "unschedulable", NULL};
    int64_t code;

    if (parse_int64(node->text, &code, NULL) < 0)
        check_word(d, path, field, node, "an exit code, ", words);
    else if (code < 1 || code > 255)
        decode_error(d, path, node->pos, "\"%s\": exit codes are 1 to 255, not %s", field->name,
                     node->text);
}

void check_ready_tcp(struct decoder *d, const struct node_path *path, const struct field *field,
                     const struct yaml_node *node)
{
    CLEANUP_ADDRESS struct address address = {0};
    struct err err = ERR_INIT;

    if (!decode_has_template(node->text) && address_parse(node->text, &address, &err) < 0)
        decode_error(d, path, node->pos, "\"%s\" must be PORT or HOST:PORT: %s", field->name,
                     err.message);
}

void check_ready_http(struct decoder *d, const struct node_path *path, const struct field *field,
                      const struct yaml_node *node)
{
    CLEANUP_ADDRESS struct address address = {0};
    struct err err = ERR_INIT;

    if (!decode_has_template(node->text) && address_parse_http(node->text, &address, &err) < 0)
        decode_error(d, path, node->pos, "\"%s\": %s", field->name, err.message);
}

void check_ready_log(struct decoder *d, const struct node_path *path, const struct field *field,
                     const struct yaml_node *node)
{
    struct expr_pattern *pattern = NULL;
    struct err err = ERR_INIT;
    size_t offset;

    if (!decode_has_template(node->text) &&
        expr_pattern_compile(node->text, node->len, &pattern, &offset, &err) < 0)
        decode_error(d, path, node->pos, "\"%s\": %s, at its character %zu", field->name,
                     err.message, offset + 1);
    expr_pattern_free(pattern);
}

void check_port(struct decoder *d, const struct node_path *path, const struct field *field,
                const struct yaml_node *node)
{
    struct port_mapping mapping;
    struct err err = ERR_INIT;

    if (!decode_has_template(node->text) && port_mapping_parse(node->text, &mapping, &err) < 0)
        decode_error(d, path, node->pos, "\"%s\" must be PORT or HOST_PORT:PORT: %s", field->name,
                     err.message);
}

void check_service_name(struct decoder *d, const struct node_path *path, const struct field *field,
                        const struct yaml_node *node)
{
    size_t len = strspn(node->text, "abcdefghijklmnopqrstuvwxyz0123456789-_.");

    (void)field;
    if (node->len > 63 || len < node->len || len == 0 || strchr("-_.", node->text[0]) ||
        node->text[len - 1] == '.' || strstr(node->text, ".."))
        decode_error(d, path, node->pos,
                     "\"%s\" cannot be the name of a service: it becomes a host name, of at most "
                     "63 small letters, digits, -, _ and .",
                     node->text);
    else if (strcmp(node->text, "localhost") == 0 || strspn(node->text, "0123456789.") == len)
        decode_error(d, path, node->pos,
                     "\"%s\" cannot be the name of a service: as a host it means something else",
                     node->text);
}

/* What is not there at all has not been looked at for what it needs. */
void check_service(struct decoder *d, const struct node_path *path, const void *object,
                   const struct yaml_node *node)
{
    (void)object;
    if (yaml_node_is_null(node))
        decode_error(d, path, node->pos, "the container has no \"image\"");
}

void check_ready(struct decoder *d, const struct node_path *path, const void *object,
                 const struct yaml_node *node)
{
    static const char *const looks[] = {"tcp", "http", "command", "log"};

    (void)object;
    for (size_t i = 0; i < sizeof(looks) / sizeof(*looks); i++) {
        const struct yaml_node *look = yaml_node_get(node, looks[i]);

        if (look && !yaml_node_is_null(look))
            return;
    }
    if (!d->unknown_here)
        decode_error(d, path, node->pos,
                     "\"ready\" does not say how to tell; give it tcp, http, command or log");
}

void check_dependency(struct decoder *d, const struct node_path *path, const void *object,
                      const struct yaml_node *node)
{
    const struct spec_dependency *dependency = object;

    if (!dependency->name.text && !d->unknown_here)
        decode_error(d, path, node->pos,
                     "a dependency needs a name, such as {step: build, condition: failed}");
}

/* What only makes sense for files to keep. */
static bool has_keeping_keys(const struct spec_artifact *a)
{
    return a->exclude.len || a->expire_in.text || a->store.text || a->when;
}

void check_artifact(struct decoder *d, const struct node_path *path, const void *object,
                    const struct yaml_node *node)
{
    const struct spec_artifact *a = object;

    if (a->paths.len && a->from.len)
        decode_error(d, path, node->pos,
                     "\"paths\" and \"from\" are two things: write a list of both, such as "
                     "[{from: build}, {paths: dist}]");
    else if (!a->paths.len && !a->from.len && !d->unknown_here)
        decode_error(d, path, node->pos,
                     "artifacts need \"paths\" of files to keep, or \"from\" with jobs to take "
                     "them from");
    else if (a->from.len && has_keeping_keys(a))
        decode_error(d, path, node->pos, "with \"from\" go only \"name\" and \"optional\"");
}

/* Names that are written out; others are compared when they are known. */
static void check_artifact_names(struct decoder *d, const struct node_path *path,
                                 const struct spec_artifacts *artifacts)
{
    for (size_t i = 0; i < artifacts->len; i++) {
        const struct spec_artifact *a = &artifacts->items[i];

        for (size_t j = 0; a->paths.len && j < i; j++) {
            const struct spec_artifact *other = &artifacts->items[j];
            const char *name = a->name.text ? a->name.text : "";

            if (other->paths.len && strcmp(name, other->name.text ? other->name.text : "") == 0) {
                decode_error(d, path, a->pos,
                             "these artifacts have the same name as those on line %u; give them a "
                             "\"name\" of their own",
                             other->pos.line);
                return;
            }
        }
    }
}

void check_matrix(struct decoder *d, const struct node_path *path, const void *object,
                  const struct yaml_node *node)
{
    const struct spec_matrix *matrix = object;

    if (!matrix->axes.len && !matrix->include_count)
        decode_error(d, path, node->pos,
                     "\"matrix\" has no axis; give it one, such as version: [1, 2]");
    for (size_t i = 0; i < matrix->axes.len; i++) {
        const struct spec_match *axis = &matrix->axes.items[i];

        if (!axis->values.len)
            decode_error(d, path, axis->pos, "the axis \"%s\" has no values", axis->key);
    }
}

void check_secret(struct decoder *d, const struct node_path *path, const void *object,
                  const struct yaml_node *node)
{
    const struct spec_secret *secret = object;
    bool is_file = secret->from == SPEC_SECRET_FROM_FILE;

    if (strchr(secret->name.text, '-'))
        decode_error(d, path, secret->name.pos, "\"%s\" cannot be the name of a variable",
                     secret->name.text);
    if (d->unknown_here)
        return;
    if (is_file && !secret->path.text)
        decode_error(d, path, node->pos, "a secret from a file needs a \"path\"");
    if (!is_file && secret->path.text)
        decode_error(d, path, secret->path.pos, "\"path\" goes with \"from: file\"");
    if (is_file && secret->variable.text)
        decode_error(d, path, secret->variable.pos, "\"variable\" goes with \"from: env\"");
}

void check_input(struct decoder *d, const struct node_path *path, const void *object,
                 const struct yaml_node *node)
{
    const struct spec_input *input = object;

    if (d->unknown_here)
        return;
    if (input->type == SPEC_INPUT_CHOICE && !input->options.len)
        decode_error(d, path, node->pos, "a choice needs \"options\"");
    if (input->options.len && input->type != SPEC_INPUT_UNSET && input->type != SPEC_INPUT_CHOICE)
        decode_error(d, path, input->options.items[0].pos, "\"options\" go with \"type: choice\"");
}

void check_cache(struct decoder *d, const struct node_path *path, const void *object,
                 const struct yaml_node *node)
{
    const struct yaml_node *paths = yaml_node_get(node, "paths");

    (void)object;
    if (paths && paths->kind == YAML_KIND_SEQUENCE && !paths->len)
        decode_error(d, path, paths->pos, "the cache has no paths");
}

void check_job(struct decoder *d, const struct node_path *path, const void *object,
               const struct yaml_node *node)
{
    const struct spec_job *job = object;
    CLEANUP_TEXT_INDEX struct text_index ids = {0};
    struct node_path steps = {.up = path, .key = "steps"};

    check_fan_out(d, path, job, node);
    for (size_t i = 0; i < job->step_count; i++) {
        const struct spec_str *id = &job->steps[i].id;
        uint32_t earlier;

        if (!id->text)
            continue;
        if (text_index_find(&ids, id->text, strlen(id->text), &earlier))
            decode_error(d, &(struct node_path){.up = &steps, .index = i}, id->pos,
                         "the id \"%s\" is given twice in this job, first on line %u", id->text,
                         job->steps[earlier].id.pos.line);
        else
            text_index_set(&ids, id->text, strlen(id->text), (uint32_t)i);
    }
    check_artifact_names(d, path, &job->artifacts);
}

/* Whether a command was written, be it one that could not be decoded. */
static bool has_command(const struct yaml_node *step)
{
    const struct yaml_node *command = yaml_node_get(step, "command");

    return command && command->len > 0 && !yaml_node_is_null(command);
}

/* Whether the container's own program can be what the step runs. */
static bool has_entrypoint(const struct spec_step *step)
{
    return step->container && step->container->entrypoint.len > 0;
}

/* A deployment is all that its step does. */
static void check_deployment(struct decoder *d, const struct node_path *path,
                             const struct spec_step *step, bool has_command)
{
    const char *other = step->plugin           ? "plugin"
                        : step->language       ? "language"
                        : step->type           ? "type"
                        : has_command          ? "command"
                        : has_entrypoint(step) ? "entrypoint"
                                               : NULL;

    if (other)
        decode_error(d, path, step->deployment->pos,
                     "\"service\" and \"%s\" cannot be used together", other);
    if (step->background == SPEC_TRUE)
        decode_error(d, path, step->deployment->pos,
                     "a \"service\" needs no background: it stays when the step has ended");
}

static void check_without_command(struct decoder *d, const struct node_path *path,
                                  const struct spec_step *step)
{
    if (step->language)
        decode_error(d, path, step->pos, "the step has a \"language\" and no \"command\" to run");
    else if (!step->plugin && !has_entrypoint(step))
        decode_error(d, path, step->pos,
                     "the step has nothing to run; give it a \"command\", a \"plugin\" or a "
                     "\"type\"");
}

void check_step(struct decoder *d, const struct node_path *path, const void *object,
                const struct yaml_node *node)
{
    const struct spec_step *step = object;
    const struct spec_container *container = step->container;

    if (step->deployment)
        check_deployment(d, path, step, has_command(node));
    else if (step->plugin && step->language)
        decode_error(d, path, step->language->pos,
                     "\"plugin\" and \"language\" cannot be used together");
    else if (step->type)
        check_step_type(d, path, step, has_command(node), node);
    else if (!has_command(node) && !d->unknown_here && !yaml_node_get(node, "type"))
        check_without_command(d, path, step);
    if (step->ready && step->background != SPEC_TRUE)
        decode_error(d, path, step->ready->pos,
                     "\"ready\" is for steps in the background; add background: true");
    if (container && container->sandbox == SPEC_TRUE && container->privileged == SPEC_TRUE)
        decode_error(d, path, node->pos, "\"sandbox\" and \"privileged\" contradict each other");
    for (size_t i = 0; i < step->artifacts.len; i++) {
        if (step->artifacts.items[i].from.len)
            decode_error(d, path, step->artifacts.items[i].pos,
                         "a step takes no artifacts of other jobs; write \"from\" at the job");
    }
    if (step->artifacts.len && step->background == SPEC_TRUE)
        decode_error(d, path, step->artifacts.items[0].pos,
                     "a step in the background keeps no artifacts; write them at the job");
    check_artifact_names(d, path, &step->artifacts);
}
