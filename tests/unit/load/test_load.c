#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/fs.h"
#include "load/diag_print.h"
#include "load/load.h"

static int enter_temp(void **state)
{
    char template[] = "/tmp/test_load.XXXXXX";

    if (!mkdtemp(template) || chdir(template) < 0)
        return -1;
    *state = xstrdup(template);
    return 0;
}

static int leave_temp(void **state)
{
    struct err err = ERR_INIT;
    int result = chdir("/") < 0 ? -1 : fs_remove_tree(*state, &err);

    free(*state);
    return result;
}

static void put(const char *path, const char *text)
{
    struct err err = ERR_INIT;

    assert_int_equal(fs_write_file(path, text, strlen(text), 0644, &err), 0);
}

static struct spec_pipeline *load(const char *text)
{
    CLEANUP_DIAG_LIST struct diag_list diags = {0};
    CLEANUP_LOAD_SOURCE struct load_source source = LOAD_SOURCE_INIT;
    struct spec_pipeline *pipeline;

    load_source_init(&source, "test.yaml", text, strlen(text));
    pipeline = load_pipeline(&source, NULL, &diags);
    if (!pipeline)
        fail_msg("%s", diags.items[0].message);
    return pipeline;
}

static void assert_unreadable(const char *path, const char *message)
{
    CLEANUP_DIAG_LIST struct diag_list diags = {0};
    CLEANUP_LOAD_SOURCE struct load_source source = LOAD_SOURCE_INIT;
    CLEANUP_BUF struct buf text = BUF_INIT;

    assert_int_equal(load_read(path, NULL, &source, &diags), -1);
    diag_print_text(&text, &source, &diags, false);
    assert_string_equal(text.data, message);
}

static void unreadable_files_are_explained(void **state)
{
    struct load_options options = LOAD_OPTIONS_INIT;
    CLEANUP_DIAG_LIST struct diag_list diags = {0};
    CLEANUP_LOAD_SOURCE struct load_source source = LOAD_SOURCE_INIT;

    (void)state;
    assert_unreadable("none.yaml", "none.yaml: error: the file does not exist\n");
    assert_int_equal(mkdir("dir.yaml", 0755), 0);
    assert_unreadable("dir.yaml", "dir.yaml: error: this is a directory, not a pipeline file\n");
    assert_int_equal(symlink("loop", "loop"), 0);
    assert_unreadable("loop", "loop: error: the file cannot be read: Too many levels of symbolic "
                              "links\n");
    put("big.yaml", "name: 0123456789\n");
    options.limits.text_bytes = 10;
    assert_int_equal(load_read("big.yaml", &options, &source, &diags), -1);
    assert_string_equal(diags.items[0].message, "big.yaml is larger than 10 bytes");
}

static void standard_input_is_read(void **state)
{
    CLEANUP_DIAG_LIST struct diag_list diags = {0};
    CLEANUP_LOAD_SOURCE struct load_source source = LOAD_SOURCE_INIT;
    int saved = dup(STDIN_FILENO);
    int fd;

    (void)state;
    put("in.yaml", "name: x\n");
    fd = open("in.yaml", O_RDONLY);
    dup2(fd, STDIN_FILENO);
    assert_int_equal(load_read("-", NULL, &source, &diags), 0);
    dup2(saved, STDIN_FILENO);
    close(fd);
    close(saved);
    assert_string_equal(source.name, "<stdin>");
    assert_string_equal(source.text.data, "name: x\n");
}

static void assert_default(const char *expected)
{
    CLEANUP_FREE char *found = load_find_default(".");

    if (expected)
        assert_string_equal(found, expected);
    else
        assert_null(found);
}

static void default_names_have_an_order(void **state)
{
    CLEANUP_FREE char *elsewhere = NULL;

    assert_default(NULL);
    assert_int_equal(mkdir(".go-idp", 0755), 0);
    put(".go-idp/pipeline.yaml", "");
    assert_default(".go-idp/pipeline.yaml");
    put(".pipeline.yml", "");
    assert_default(".pipeline.yml");
    put(".pipeline.yaml", "");
    assert_default(".pipeline.yaml");
    elsewhere = load_find_default(*state);
    assert_int_equal(strncmp(elsewhere, *state, strlen(*state)), 0);
    assert_string_equal(load_default_names, ".pipeline.yaml, .pipeline.yml, .go-idp/pipeline.yaml");
}

static void assert_str(const struct spec_str *str, const char *expected)
{
    assert_non_null(str->text);
    assert_string_equal(str->text, expected);
    assert_int_not_equal(str->pos.line, 0);
}

static struct spec_pipeline *load_data(const char *name)
{
    CLEANUP_FREE char *path = xasprintf(TEST_DATA "/load/%s/input.yaml", name);
    CLEANUP_BUF struct buf text = BUF_INIT;
    struct err err = ERR_INIT;

    if (fs_read_file(path, 1 << 20, &text, &err) < 0)
        fail_msg("%s", err.message);
    return load(text.data);
}

static void every_step_key_is_decoded(void **state)
{
    CLEANUP_SPEC_PIPELINE struct spec_pipeline *pipeline = load_data("all-supported");
    const struct spec_step *step = &pipeline->stages[0].jobs[0].steps[0];
    const struct spec_container *container = step->container;

    (void)state;
    assert_string_equal(pipeline->file, "test.yaml");
    assert_str(&pipeline->post.always, "a");
    assert_str(&pipeline->post.success, "b\nc");
    assert_str(&pipeline->post.failure, "d");
    assert_str(&pipeline->post.cancelled, "e");
    assert_int_equal(pipeline->common.isolation, SPEC_ISOLATION_STEP);
    assert_int_equal(pipeline->common.timeout_ms, SPEC_UNSET);
    assert_str(&step->name, "1.20");
    assert_str(&step->id, "first");
    assert_str(&step->command, "a\nb");
    assert_int_equal(step->shell_options, SPEC_SHELL_OPTIONS_STRICT);
    assert_str(&step->common.user, "0");
    assert_int_equal(step->common.environment.len, 4);
    assert_string_equal(step->common.environment.items[1].key, "B");
    assert_str(&step->common.environment.items[1].value, "yes");
    assert_str(&step->common.environment.items[2].value, "");
    assert_int_equal(step->common.pull_count, 2);
    assert_int_equal(step->common.pull[0], SPEC_PULL_ALWAYS);
    assert_int_equal(step->common.pull[1], SPEC_PULL_NEVER);
    assert_int_equal(step->common.isolation, SPEC_ISOLATION_JOB);
    assert_int_equal(step->common.timeout_ms, 5400000);
    assert_int_equal(step->common.grace_ms, 0);
    assert_int_equal(step->common.resources->cpus_milli, 1500);
    assert_int_equal(step->common.resources->memory_bytes, 512 << 20);
    assert_int_equal(step->common.resources->pids, 10);
    assert_int_equal(step->common.resources->shm_bytes, 64 << 10);
    assert_int_equal(step->common.resources->disk_bytes, INT64_C(2) << 30);
    assert_str(&container->platform, "linux/amd64");
    assert_int_equal(container->volumes.len, 1);
    assert_str(&container->volumes.items[0], "/a:/b");
    assert_int_equal(container->entrypoint.len, 2);
    assert_true(container->has_entrypoint);
    assert_int_equal(container->privileged, SPEC_TRUE);
    assert_int_equal(container->sandbox, SPEC_FALSE);
    assert_int_equal(container->security->read_only, SPEC_TRUE);
    assert_int_equal(container->security->no_new_privileges, SPEC_TRUE);
    assert_str(&container->security->cap_drop.items[0], "ALL");
    assert_str(&container->security->seccomp, "unconfined");
}

static void the_go_idp_format_is_decoded(void **state)
{
    CLEANUP_SPEC_PIPELINE struct spec_pipeline *pipeline = load_data("go-idp-format");
    const struct spec_stage *stage = &pipeline->stages[0];
    const struct spec_job *job = &stage->jobs[0];

    (void)state;
    assert_int_equal(pipeline->common.timeout_ms, 3600000);
    assert_str(&pipeline->post.always, "echo after");
    assert_int_equal(stage->run_mode, SPEC_RUN_MODE_SERIAL);
    assert_int_equal(stage->max_parallel, SPEC_UNSET);
    assert_int_equal(stage->fail_fast, SPEC_BOOL_UNSET);
    assert_str(&job->common.image_registry_password, "pa$$word");
    assert_int_equal(job->common.timeout_ms, SPEC_UNSET);
    assert_null(job->steps[0].common.engine.text);
    assert_null(job->steps[0].container);
    assert_str(&job->steps[0].common.data_dir_outer, "/var/data");
    assert_str(&job->steps[1].plugin->settings.items[1].value, "1");
    assert_int_equal(job->steps[1].plugin->inherit_environment, SPEC_BOOL_UNSET);
    assert_str(&job->steps[2].language->version, "16");
}

#define AROUND(step)                                                                               \
    "name: p\nstages: [{name: s, jobs: [{name: j, steps: [{name: t, " step "}]}]}]\n"

static void forms_of_values_are_decoded(void **state)
{
    CLEANUP_SPEC_PIPELINE struct spec_pipeline *pipeline =
        load(AROUND("image: b, entrypoint: [], command: x, plugin: "
                    "{image: i, settings: {l: [1, \"a\"], m: {k: true}}}"));
    const struct spec_step *step = &pipeline->stages[0].jobs[0].steps[0];

    (void)state;
    assert_true(step->container->has_entrypoint);
    assert_int_equal(step->container->entrypoint.len, 0);
    assert_str(&step->plugin->settings.items[0].value, "[1,\"a\"]");
    assert_str(&step->plugin->settings.items[1].value, "{\"k\":true}");
    assert_int_equal(step->plugin->pos.line, 2);
}

static void the_deprecated_key_may_say_the_same(void **state)
{
    CLEANUP_SPEC_PIPELINE struct spec_pipeline *pipeline =
        load("name: p\nstages: [{run_mode: serial, mode: serial, name: s, jobs: [{name: j, "
             "steps: [{name: t, command: x}]}]}]\n");

    (void)state;
    assert_int_equal(pipeline->stages[0].run_mode, SPEC_RUN_MODE_SERIAL);
}

static void diagnostics_become_json(void **state)
{
    CLEANUP_DIAG_LIST struct diag_list diags = {0};
    CLEANUP_LOAD_SOURCE struct load_source source = LOAD_SOURCE_INIT;
    json_t *array = json_array();
    char *text;

    (void)state;
    load_source_init(&source, "a.yaml", "name: x\n", 8);
    diag_add(&diags, DIAG_ERROR, (struct src_pos){.line = 1, .column = 7}, "name", "bad \"%s\"",
             "x");
    diag_add(&diags, DIAG_WARNING, (struct src_pos){0}, "", "old");
    diag_print_json(array, &source, &diags);
    text = json_dumps(array, JSON_COMPACT | JSON_PRESERVE_ORDER);
    assert_string_equal(text,
                        "[{\"file\":\"a.yaml\",\"line\":1,\"column\":7,\"severity\":\"error\","
                        "\"path\":\"name\",\"message\":\"bad \\\"x\\\"\"},"
                        "{\"file\":\"a.yaml\",\"line\":null,\"column\":null,"
                        "\"severity\":\"warning\",\"path\":\"\",\"message\":\"old\"}]");
    free(text);
    json_decref(array);
}

static void diagnostics_have_colours_on_demand(void **state)
{
    CLEANUP_DIAG_LIST struct diag_list diags = {0};
    CLEANUP_LOAD_SOURCE struct load_source source = LOAD_SOURCE_INIT;
    CLEANUP_BUF struct buf text = BUF_INIT;

    (void)state;
    load_source_init(&source, "a.yaml", "name: x", 7);
    diag_add(&diags, DIAG_ERROR, (struct src_pos){.line = 1, .column = 7}, "", "bad");
    diag_print_text(&text, &source, &diags, true);
    assert_string_equal(text.data, "a.yaml:1:7: \033[1;31merror:\033[0m bad\n"
                                   "     1 | name: x\n"
                                   "       |       \033[1;32m^\033[0m\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(unreadable_files_are_explained, enter_temp, leave_temp),
        cmocka_unit_test_setup_teardown(standard_input_is_read, enter_temp, leave_temp),
        cmocka_unit_test_setup_teardown(default_names_have_an_order, enter_temp, leave_temp),
        cmocka_unit_test(every_step_key_is_decoded),
        cmocka_unit_test(the_go_idp_format_is_decoded),
        cmocka_unit_test(forms_of_values_are_decoded),
        cmocka_unit_test(the_deprecated_key_may_say_the_same),
        cmocka_unit_test(diagnostics_become_json),
        cmocka_unit_test(diagnostics_have_colours_on_demand),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
