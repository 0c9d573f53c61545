/* libFuzzer harness: any bytes as a Compose file, for every target; as a file of variables; as a
 * command. What a file means is printed as YAML, which must mean the same when it is read again.
 *
 *     build/fuzz/tests/fuzz_compose -max_len=2000 -timeout=5 corpus/ */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/utf8.h"
#include "compose/env_file.h"
#include "compose/hash.h"
#include "compose/output.h"
#include "compose/reader.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void check_text(const char *text)
{
    if (!utf8_valid(text, strlen(text)))
        abort();
}

static struct compose_project *load(const char *text, enum compose_target target,
                                    struct compose_sources *sources)
{
    CLEANUP_STRMAP struct strmap environment = {0};
    CLEANUP_BUF struct buf said = BUF_INIT;
    const struct compose_options options = {.text = text,
                                            .text_name = "fuzz.yaml",
                                            .project_name = "fuzz",
                                            .project_directory = "/nonexistent",
                                            .no_env_file = true,
                                            .environment = &environment,
                                            .target = target};
    struct compose_project *project;

    strmap_set(&environment, "A", "value");
    strmap_set(&environment, "B", "$A");
    strmap_set(&environment, "N", "5");
    project = compose_load(&options, sources);
    if ((project != NULL) != (compose_sources_error_count(sources) == 0))
        abort();
    compose_sources_format(sources, &said);
    check_text(said.data);
    return project;
}

static void hash_all(const struct compose_project *project)
{
    char hash[SHA256_HEX_SIZE];
    const char *name;
    json_t *value;

    json_object_foreach (json_object_get(project->model, "services"), name, value)
        compose_service_hash(value, hash);
    json_object_foreach (json_object_get(project->model, "networks"), name, value)
        compose_network_hash(value, hash);
    if (project->order.len != json_object_size(json_object_get(project->model, "services")))
        abort();
}

/* Services can do without such that no profile has; then the printed file lacks them. */
static void read_again(const struct compose_project *project)
{
    CLEANUP_COMPOSE_SOURCES struct compose_sources sources = {0};
    CLEANUP_COMPOSE_PROJECT struct compose_project *again = NULL;
    CLEANUP_BUF struct buf text = BUF_INIT;
    json_t *shown = compose_config_json(project);
    json_t *shown_again;

    compose_add_yaml(shown, &text);
    again = load(text.data, COMPOSE_TARGET_ANY, &sources);
    if (again) {
        shown_again = compose_config_json(again);
        if (!json_object_size(project->disabled) && !json_equal(shown, shown_again))
            abort();
        json_decref(shown_again);
    } else if (!json_object_size(project->disabled)) {
        abort();
    }
    json_decref(shown);
}

static void load_all(const char *text)
{
    for (int target = COMPOSE_TARGET_DOCKER; target <= COMPOSE_TARGET_ANY; target++) {
        CLEANUP_COMPOSE_SOURCES struct compose_sources sources = {0};
        CLEANUP_COMPOSE_PROJECT struct compose_project *project =
            load(text, (enum compose_target)target, &sources);

        if (project)
            hash_all(project);
        if (project && target == COMPOSE_TARGET_ANY)
            read_again(project);
    }
}

static void read_variables(const char *text, size_t len)
{
    CLEANUP_STRMAP struct strmap outside = {0};
    const struct compose_env_lookup lookup = {.first = &outside};

    strmap_set(&outside, "A", "value");
    for (int raw = 0; raw < 2; raw++) {
        CLEANUP_STRMAP struct strmap found = {0};
        struct err err = ERR_INIT;

        if (compose_env_file_parse("f", text, len, raw, &lookup, &found, &err) < 0 &&
            strncmp(err.message, "f:", 2) != 0)
            abort();
    }
}

static void read_values(const char *text)
{
    CLEANUP_BUF struct buf shown = BUF_INIT;
    json_t *words = json_array();
    struct err err = ERR_INIT;
    const char *rest;
    int64_t ns;
    int64_t again;

    if (compose_split_command(text, words, &rest, &err) < 0 && err.code != ERR_INVALID)
        abort();
    json_decref(words);
    if (compose_parse_duration(text, &ns, NULL) < 0)
        return;
    compose_add_duration(&shown, ns);
    if (compose_parse_duration(shown.data, &again, NULL) < 0 || again != ns)
        abort();
}

/* Many of them make files that are allowed, but too large to be tried often. */
static size_t count_aliases(const char *text)
{
    size_t count = 0;

    while ((text = strchr(text, '*'))) {
        count++;
        text++;
    }
    return count;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    CLEANUP_BUF struct buf text = BUF_INIT;

    buf_add(&text, data, len);
    if (count_aliases(text.data) < 20)
        load_all(text.data);
    read_variables(text.data, text.len);
    read_values(text.data);
    return 0;
}
