/* The inventory, and how a job is spread over it. */
#include <string.h>

#include "base/alloc.h"
#include "base/parse.h"
#include "base/text_index.h"
#include "load/decode.h"
#include "load/engine_name.h"
#include "load/hosts.h"
#include "load/pipeline_tables.h"
#include "load/rows.h"
#include "spec/spec.h"

/* --- jobs --- */

static void check_pattern(struct decoder *d, const struct node_path *path,
                          const struct field *field, const struct yaml_node *node)
{
    const char *name = node->text + (*node->text == '!' || *node->text == '&');

    (void)field;
    if (!*name)
        decode_error(d, path, node->pos, "\"run_on\" holds \"%s\", which names no host",
                     node->text);
}

void check_portion(struct decoder *d, const struct node_path *path, const struct field *field,
                   const struct yaml_node *node)
{
    struct portion portion;
    struct err err = ERR_INIT;

    if (!decode_has_template(node->text) && parse_portion(node->text, &portion, &err) < 0)
        decode_error(d, path, node->pos, "\"%s\": %s", field->name, err.message);
}

void check_batch(struct decoder *d, const struct node_path *path, const struct field *field,
                 const struct yaml_node *node)
{
    struct portion portion;

    check_portion(d, path, field, node);
    if (parse_portion(node->text, &portion, NULL) == 0 && !portion.value)
        decode_error(d, path, node->pos, "\"serial\": a batch of %s has no hosts", node->text);
}

#define FAN_OUT(member) EXTENSION, IN(struct spec_fan_out, member)

static const struct field fan_out_fields[] = {
    {"run_on",
     "hosts that the job runs on, once on each: names, roles and globs of them, `all`; `!NAME` "
     "takes away, `&NAME` keeps only those",
     .kind = FIELD_STRINGS, FAN_OUT(run_on), .check = check_pattern},
    {"max_parallel", "most hosts at a time", .kind = FIELD_COUNT, FAN_OUT(max_parallel)},
    {"serial",
     "batches of that many hosts, or percent of all, one after the other; a list: the first "
     "batch, the second, all others",
     .kind = FIELD_STRINGS, FAN_OUT(serial), .check = check_batch,
     .default_text = "all hosts at once"},
    {"ignore_errors", "failures of hosts do not count", .kind = FIELD_BOOL, FAN_OUT(ignore_errors),
     .default_text = "`false`"},
    {"max_failures",
     "how many hosts may fail, or how many percent of a batch, before the others are ended",
     .kind = FIELD_STRING, FAN_OUT(max_failures), .check = check_portion,
     .default_text = "a batch is finished, and the next one not begun"},
};

static void init_fan_out(void *object)
{
    spec_fan_out_init(object);
}

const struct table fan_out_table = {
    .name = "fan-out",
    .help = "These keys of a job say on which hosts it runs, and on how many at a time; see "
            "docs/hosts.md. All of them go with `run_on`.",
    ROWS(fan_out_fields),
    .size = sizeof(struct spec_fan_out),
    .pos_offset = -1,
    .init = init_fan_out,
};

static struct src_pos position_of(const struct yaml_node *job, const char *key)
{
    const struct yaml_node *value = yaml_node_get(job, key);

    return value ? value->pos : job->pos;
}

void check_fan_out(struct decoder *d, const struct node_path *path, const struct spec_job *job,
                   const struct yaml_node *node)
{
    static const char *const others[] = {"max_parallel", "serial", "ignore_errors", "max_failures"};
    const struct spec_fan_out *fan_out = job->fan_out;

    if (!fan_out)
        return;
    if (!fan_out->run_on.len && yaml_node_get(node, "run_on")) {
        decode_error(d, path, position_of(node, "run_on"), "\"run_on\" names no host");
        return;
    }
    for (size_t i = 0; !fan_out->run_on.len && i < sizeof(others) / sizeof(*others); i++) {
        const struct yaml_node *value = yaml_node_get(node, others[i]);

        if (value && !yaml_node_is_null(value))
            decode_error(d, path, value->pos, "\"%s\" goes with \"run_on\"%s", others[i],
                         i || !job->matrix ? "" : "; that of a matrix stands in \"matrix\"");
    }
    if (fan_out->run_on.len && job->common.engine.text)
        decode_error(
            d, path, job->common.engine.pos,
            "a job with \"run_on\" runs on the engines of its hosts; drop \"engine\" here, "
            "or give it to the steps that run elsewhere");
}

/* --- hosts --- */

int host_name_check(const char *name, struct err *err)
{
    if (!*name)
        return err_set(err, ERR_INVALID, "the name is empty");
    if (strcmp(name, "all") == 0)
        return err_set(err, ERR_INVALID, "\"all\" means all hosts and cannot be a name");
    if (strchr("!&", *name) || name[strcspn(name, "*?[],\\ \t\r\n")])
        return err_set(err, ERR_INVALID,
                       "\"%s\" cannot be a name: no \"!\" or \"&\" may begin it, and no \"*\", "
                       "\"?\", \"[\", \"]\", \",\", \"\\\" or space be in it",
                       name);
    return 0;
}

static void check_role(struct decoder *d, const struct node_path *path, const struct field *field,
                       const struct yaml_node *node)
{
    struct err err = ERR_INIT;

    if (!decode_has_template(node->text) && host_name_check(node->text, &err) < 0)
        decode_error(d, path, node->pos, "\"%s\": %s", field->name, err.message);
}

#define HOST(member) IN(struct spec_host, member)

static const struct field host_fields[] = {
    {"name", "what `run_on` and messages call it; taken as it is", .kind = FIELD_TEXT,
     .flags = FIELD_REQUIRED | FIELD_EXTENSION, HOST(name)},
    {"engine", "where steps run that run on it: `host`, `ssh://…` or any other engine",
     .kind = FIELD_STRING, EXTENSION, HOST(engine), .check = check_engine,
     .default_text = "`ssh://NAME`"},
    {"roles", "names that it shares with others, for `run_on`", .kind = FIELD_STRINGS, EXTENSION,
     HOST(roles), .check = check_role},
    {"environment", "variables of the jobs on it; those of the job itself win", .kind = FIELD_PAIRS,
     EXTENSION, HOST(environment)},
    {"vars", "values that expressions find as `host.vars.NAME`; lists and maps as JSON",
     .kind = FIELD_PAIRS, .flags = FIELD_EXTENSION | FIELD_JSON_VALUES, HOST(vars)},
};

const struct table host_table = {
    .name = "host",
    .help = "A machine that jobs may run on; see docs/hosts.md.",
    ROWS(host_fields),
    .size = sizeof(struct spec_host),
    .pos_offset = offsetof(struct spec_host, pos),
    .check = check_host,
};

void check_host(struct decoder *d, const struct node_path *path, const void *object,
                const struct yaml_node *node)
{
    const struct spec_host *host = object;
    const struct yaml_node *given = yaml_node_get(node, "engine");
    CLEANUP_FREE char *engine = NULL;
    struct err err = ERR_INIT;

    if (!host->name.text || d->unknown_here)
        return;
    if (host_name_check(host->name.text, &err) < 0) {
        decode_error(d, path, host->name.pos, "\"name\": %s", err.message);
        return;
    }
    if (given && given->len && !yaml_node_is_null(given))
        return; /* looked at already */
    engine = xasprintf("ssh://%s", host->name.text);
    if (engine_name_check(engine, &err) < 0)
        decode_error(d, path, host->pos, "the host \"%s\" has no \"engine\", so it is %s: %s",
                     host->name.text, engine, err.message);
}

void check_pipeline(struct decoder *d, const struct node_path *path, const void *object,
                    const struct yaml_node *node)
{
    const struct spec_pipeline *pipeline = object;
    CLEANUP_TEXT_INDEX struct text_index names = {0};
    struct node_path hosts = {.up = path, .key = "hosts"};

    (void)node;
    for (size_t i = 0; i < pipeline->hosts.len; i++) {
        const struct spec_str *name = &pipeline->hosts.items[i].name;
        uint32_t earlier;

        if (!name->text)
            continue;
        if (text_index_find(&names, name->text, strlen(name->text), &earlier))
            decode_error(d, &(struct node_path){.up = &hosts, .index = i}, name->pos,
                         "the host \"%s\" is there twice, first on line %u", name->text,
                         pipeline->hosts.items[earlier].name.pos.line);
        else
            text_index_set(&names, name->text, strlen(name->text), (uint32_t)i);
    }
}
