/* `runner compose`: projects of services on Docker. */
#include <stdio.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/compose_command.h"
#include "load/diag_print.h"

static const char *const formats[] = {"yaml", "json", NULL};
static const char *const policies[] = {"", "always", "missing", "never", NULL};
static const char *const removals[] = {"none", "local", "all", NULL};

#define AT(field) offsetof(struct compose_args, field)

static const struct cli_option options[] = {
    {"file", 'f', CLI_LIST, AT(files), "FILE",
     "a Compose file, over those before it; - is standard input (default: compose.yaml)", NULL,
     NULL},
    {"project-name", 'p', CLI_STRING, AT(project_name), "NAME",
     "the project (default: name in the file, or its directory's)", NULL, NULL},
    {"project-directory", 0, CLI_STRING, AT(project_directory), "DIR",
     "where relative paths begin (default: at the first file)", NULL, NULL},
    {"env-file", 0, CLI_LIST, AT(env_files), "FILE",
     "variables of the files (default: .env beside the first)", NULL, NULL},
    {"profile", 0, CLI_LIST, AT(profiles), "NAME", "services of this profile, too", NULL, NULL},
    {"format", 0, CLI_CHOICE, AT(format), NULL, "config: form of the output", formats, NULL},
    {"services", 0, CLI_FLAG, AT(services), NULL, "config: only the names of the services", NULL,
     NULL},
    {"volumes", 'v', CLI_FLAG, AT(volumes), NULL,
     "config: only the names of the volumes; down: remove them, too", NULL, NULL},
    {"networks", 0, CLI_FLAG, AT(networks), NULL, "config: only the names of the networks", NULL,
     NULL},
    {"images", 0, CLI_FLAG, AT(images), NULL, "config: only the images", NULL, NULL},
    {"profiles", 0, CLI_FLAG, AT(list_profiles), NULL, "config: only the names of the profiles",
     NULL, NULL},
    {"hash", 0, CLI_STRING, AT(hash), "SERVICE",
     "config: only the hash of a service, or of all with \"*\"", NULL, NULL},
    {"quiet", 'q', CLI_FLAG, AT(quiet), NULL, "config: only check", NULL, NULL},
    {"docker-host", 0, CLI_STRING, AT(docker_host), "URL",
     "the daemon (default: as the docker command finds it)", NULL, NULL},
    {"detach", 'd', CLI_FLAG, AT(detach), NULL, "up: what it does anyway", NULL, NULL},
    {"wait", 0, CLI_FLAG, AT(wait), NULL, "up: what it does anyway", NULL, NULL},
    {"no-wait", 0, CLI_FLAG, AT(no_wait), NULL, "up: do not wait until the services are up", NULL,
     NULL},
    {"wait-timeout", 0, CLI_DURATION, AT(wait_timeout_ms), "DURATION",
     "up: take everything back after that time", NULL, NULL},
    {"force-recreate", 0, CLI_FLAG, AT(force_recreate), NULL,
     "up: replace containers although nothing changed", NULL, NULL},
    {"no-recreate", 0, CLI_FLAG, AT(no_recreate), NULL,
     "up: keep containers although their service changed", NULL, NULL},
    {"remove-orphans", 0, CLI_FLAG, AT(remove_orphans), NULL,
     "up, down: remove containers of services that are not in the file", NULL, NULL},
    {"build", 0, CLI_FLAG, AT(build), NULL, "up: build images although they are there", NULL, NULL},
    {"pull", 0, CLI_CHOICE, AT(pull), NULL, "up: instead of what the services say", policies, NULL},
    {"timeout", 't', CLI_MAYBE_INT, AT(stop_timeout_s), "SECONDS",
     "up, down: how long containers may take to stop (default: what they say, else 10)", NULL,
     NULL},
    {"rmi", 0, CLI_CHOICE, AT(remove_images), NULL,
     "down: remove images, too: those without a name of their own, or all", removals, NULL},
    {"all", 'a', CLI_FLAG, AT(all), NULL, "ps: also containers that do not run", NULL, NULL},
    {"follow", 0, CLI_FLAG, AT(follow), NULL, "logs: until the containers end", NULL, NULL},
    {"timestamps", 0, CLI_FLAG, AT(timestamps), NULL, "logs: with the time of each line", NULL,
     NULL},
    {"tail", 'n', CLI_INT, AT(tail), "LINES", "logs: only the last of each container", NULL, NULL},
    {0},
};

static void show(const struct compose_file *file)
{
    CLEANUP_LOAD_SOURCE struct load_source source = LOAD_SOURCE_INIT;
    CLEANUP_BUF struct buf text = BUF_INIT;

    if (!file->diags.len)
        return;
    load_source_init(&source, *file->name ? file->name : "compose", file->text.data,
                     file->text.len);
    diag_print_text(&text, &source, &file->diags, false);
    fputs(text.data, stderr);
}

struct compose_project *compose_command_load(const struct compose_args *args,
                                             const struct strvec *profiles,
                                             enum compose_target target,
                                             struct compose_sources *sources)
{
    const struct compose_options wanted = {
        .files = &args->files,
        .project_name = args->project_name,
        .project_directory = args->project_directory,
        .env_files = &args->env_files,
        .profiles = profiles ? profiles : &args->profiles,
        .target = target,
    };
    struct compose_project *project = compose_load(&wanted, sources);

    for (size_t i = 0; i < sources->len; i++) {
        diag_sort(&sources->items[i]->diags);
        show(sources->items[i]);
    }
    return project;
}

static const struct compose_action actions[] = {
    {"config", compose_command_config}, {"up", compose_command_up},
    {"down", compose_command_down},     {"ps", compose_command_ps},
    {"logs", compose_command_logs},
};

static int run(void *arguments, const struct strvec *operands)
{
    const char *name = operands->len ? operands->items[0] : "";
    CLEANUP_BUF struct buf list = BUF_INIT;

    for (size_t i = 0; i < sizeof(actions) / sizeof(*actions); i++) {
        if (strcmp(actions[i].name, name) == 0)
            return actions[i].run(arguments, operands->items + 1, operands->len - 1);
        buf_addf(&list, "%s%s", i ? ", " : "", actions[i].name);
    }
    if (*name)
        fprintf(stderr, "runner compose: there is no \"%s\"; it is one of: %s\n", name, list.data);
    else
        fprintf(stderr, "runner compose: what to do? It is one of: %s\n", list.data);
    return CLI_EXIT_USAGE;
}

const struct cli_command cmd_compose = {
    .name = "compose",
    .operands = "config|up|down|ps|logs [SERVICE...]",
    .summary = "run projects of services in Compose files on Docker",
    .description =
        "config checks the files and shows what they mean together: variables replaced, files "
        "merged, short forms written out. up creates what is not there, replaces what changed, and "
        "waits until all services are up; when it is cancelled, it takes back what it did. down "
        "removes the project's containers and networks. ps and logs show its containers. With a "
        "project name and no file, down, ps and logs go by the labels of what is there.",
    .options = options,
    .args_size = sizeof(struct compose_args),
    .run = run,
};
