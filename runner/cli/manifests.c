#include "cli/manifests.h"

#include <ctype.h>
#include <stdio.h>

#include "base/alloc.h"

/* --- what is printed --- */

/* Texts of servers, programs and files may have escape sequences. */
static void print_lines(FILE *to, const char *text)
{
    for (; *text; text++)
        fputc(*text == '\n' || *text == '\t' || !iscntrl((unsigned char)*text) ? *text : '?', to);
    fputc('\n', to);
    fflush(to);
}

static void add_title(struct buf *out, const struct manifest *m)
{
    manifest_add_title(out, m->api_version, m->kind, m->name);
}

static void print_done(void *arg, const struct manifest *m, const char *what)
{
    CLEANUP_BUF struct buf line = BUF_INIT;

    (void)arg;
    add_title(&line, m);
    buf_addf(&line, " %s", what);
    print_lines(stdout, line.data);
}

static void print_note(void *arg, const struct manifest *m, const char *text)
{
    const struct cli_manifests *manifests = arg;
    CLEANUP_BUF struct buf line = BUF_INIT;

    buf_addf(&line, "runner %s: ", manifests->command);
    add_title(&line, m);
    buf_addf(&line, ": %s", text);
    print_lines(stderr, line.data);
}

static void print_failed(void *arg, const struct manifest *m, const char *text)
{
    const struct cli_manifests *manifests = arg;
    CLEANUP_BUF struct buf line = BUF_INIT;

    buf_addf(&line, "runner %s: ", manifests->command);
    if (m->pos.line)
        buf_addf(&line, "%s:%u: ", m->source, m->pos.line);
    add_title(&line, m);
    buf_addf(&line, ": %s", text);
    print_lines(stderr, line.data);
}

static void print_diff(void *arg, const struct manifest *m, const char *text)
{
    (void)arg;
    (void)m;
    for (; *text; text++)
        putchar(*text == '\n' || *text == '\t' || !iscntrl((unsigned char)*text) ? *text : '?');
}

/* --- what is read --- */

static const char *unless_empty(const char *text)
{
    return text && *text ? text : NULL;
}

static int read_files(const struct cli_manifest_args *args, struct manifest_list *list,
                      struct err *err)
{
    if (!args->files.len)
        return err_set(err, ERR_INVALID, "-f FILE says which manifests");
    for (size_t i = 0; i < args->files.len; i++) {
        if (manifest_list_add_path(list, args->files.items[i], args->recursive, err) < 0)
            return -1;
    }
    if (!list->items.len)
        return err_set(err, ERR_INVALID, "%s has no objects in it", args->files.items[0]);
    return 0;
}

static int find_cluster(const struct cli_manifest_args *args, struct kube_cluster **ret,
                        struct err *err)
{
    CLEANUP_KUBE_CONFIG struct kube_config *config = NULL;
    struct kube_env env;

    kube_env_read(&env);
    env.file = unless_empty(args->kubeconfig);
    if (kube_config_load(&env, &config, err) < 0)
        return -1;
    return kube_config_select(config, unless_empty(args->context), unless_empty(args->ns), ret,
                              err);
}

int cli_manifests_open(const char *command, const struct cli_manifest_args *args,
                       struct cli_manifests *ret)
{
    struct err err = ERR_INIT;
    int status = CLI_EXIT_OK;

    *ret = (struct cli_manifests){
        .command = command,
        .sink = {.arg = ret,
                 .done = print_done,
                 .note = print_note,
                 .failed = print_failed,
                 .differs = print_diff},
    };
    if (read_files(args, &ret->list, &err) < 0)
        status = CLI_EXIT_USAGE;
    else if (find_cluster(args, &ret->cluster, &err) < 0)
        status = err.code == ERR_NOT_FOUND ? CLI_EXIT_UNAVAILABLE : CLI_EXIT_USAGE;
    if (status != CLI_EXIT_OK)
        fprintf(stderr, "runner %s: %s\n", command, err.message);
    return status;
}

void cli_manifests_release(struct cli_manifests *m)
{
    manifest_list_release(&m->list);
    kube_cluster_free(m->cluster);
}

int cli_manifests_status(const struct cli_manifests *m, int result, int signal,
                         const struct err *err)
{
    if (result < 0)
        fprintf(stderr, "runner %s: %s\n", m->command, err->message);
    if (signal)
        return 128 + signal;
    if (result >= 0)
        return CLI_EXIT_OK;
    return cli_exit_of(err);
}
