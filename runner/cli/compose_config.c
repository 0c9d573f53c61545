/* `runner compose config`. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "cli/compose_command.h"
#include "cli/option.h"
#include "compose/hash.h"
#include "compose/output.h"

enum format { FORMAT_YAML, FORMAT_JSON };

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Sorted, each once. */
static void print_lines(struct strvec *lines)
{
    if (lines->len)
        qsort(lines->items, lines->len, sizeof(*lines->items), by_text);
    for (size_t i = 0; i < lines->len; i++) {
        if (!i || strcmp(lines->items[i], lines->items[i - 1]) != 0)
            puts(lines->items[i]);
    }
}

static void print_names(const struct compose_project *project, const char *section)
{
    CLEANUP_STRVEC struct strvec names = {0};
    const char *name;
    json_t *value;

    json_object_foreach (json_object_get(project->model, section), name, value)
        strvec_push(&names, name);
    print_lines(&names);
}

static void print_images(const struct compose_project *project)
{
    CLEANUP_STRVEC struct strvec images = {0};
    const char *name;
    json_t *service;

    json_object_foreach (json_object_get(project->model, "services"), name, service) {
        const char *image = compose_string(service, "image");

        if (image)
            strvec_push(&images, image);
        else
            strvec_pushf(&images, "%s-%s", project->name, name);
    }
    print_lines(&images);
}

static void print_profiles(const struct compose_project *project)
{
    json_t *const sections[] = {json_object_get(project->model, "services"), project->disabled};
    CLEANUP_STRVEC struct strvec profiles = {0};
    const char *name;
    json_t *service;

    for (size_t i = 0; i < 2; i++) {
        json_object_foreach (sections[i], name, service)
            compose_strings(service, "profiles", &profiles);
    }
    print_lines(&profiles);
}

static int print_hashes(const struct compose_project *project, const char *wanted)
{
    char hash[SHA256_HEX_SIZE];
    CLEANUP_STRVEC struct strvec lines = {0};
    const char *name;
    json_t *service;

    if (strcmp(wanted, "*") != 0 && !compose_service(project, wanted)) {
        fprintf(stderr, "runner compose config: there is no service \"%s\"\n", wanted);
        return CLI_EXIT_USAGE;
    }
    json_object_foreach (json_object_get(project->model, "services"), name, service) {
        if (strcmp(wanted, "*") != 0 && strcmp(wanted, name) != 0)
            continue;
        compose_service_hash(service, hash);
        strvec_pushf(&lines, "%s %s", name, hash);
    }
    print_lines(&lines);
    return CLI_EXIT_OK;
}

/* Adds what the selected services depend on: each stands behind its dependencies. */
static void select_dependencies(const struct compose_project *project, json_t *services,
                                json_t *selected)
{
    for (size_t i = project->order.len; i-- > 0;) {
        json_t *service = json_object_get(selected, project->order.items[i]);
        const char *name;
        json_t *value;

        json_object_foreach (json_object_get(service, "depends_on"), name, value) {
            if (json_object_get(services, name))
                json_object_set(selected, name, json_object_get(services, name));
        }
    }
}

static int print_model(const struct compose_project *project, const struct compose_args *args,
                       char *const *names, size_t count)
{
    json_t *model = compose_config_json(project);
    json_t *services = json_object_get(model, "services");
    json_t *selected = json_object();
    CLEANUP_BUF struct buf text = BUF_INIT;

    for (size_t i = 0; i < count; i++) {
        if (!json_object_get(services, names[i])) {
            fprintf(stderr, "runner compose config: there is no service \"%s\"\n", names[i]);
            json_decref(selected);
            json_decref(model);
            return CLI_EXIT_USAGE;
        }
        json_object_set(selected, names[i], json_object_get(services, names[i]));
    }
    select_dependencies(project, services, selected);
    if (count)
        json_object_set(model, "services", selected);
    json_decref(selected);
    if (args->format == FORMAT_JSON) {
        json_dumpf(model, stdout, JSON_INDENT(2) | JSON_SORT_KEYS | JSON_REAL_PRECISION(15));
        putchar('\n');
    } else {
        compose_add_yaml(model, &text);
        fputs(text.data, stdout);
    }
    json_decref(model);
    return CLI_EXIT_OK;
}

int compose_command_config(const struct compose_args *args, char *const *operands, size_t count)
{
    CLEANUP_COMPOSE_SOURCES struct compose_sources sources = {0};
    CLEANUP_COMPOSE_PROJECT struct compose_project *project =
        compose_command_load(args, NULL, COMPOSE_TARGET_ANY, &sources);

    if (!project)
        return CLI_EXIT_USAGE;
    if (args->quiet)
        return CLI_EXIT_OK;
    if (args->hash)
        return print_hashes(project, args->hash);
    if (args->images)
        print_images(project);
    else if (args->list_profiles)
        print_profiles(project);
    else if (args->services || args->volumes || args->networks)
        print_names(project, args->services ? "services" : args->volumes ? "volumes" : "networks");
    else
        return print_model(project, args, operands, count);
    return CLI_EXIT_OK;
}
