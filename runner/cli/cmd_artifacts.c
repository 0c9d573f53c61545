/* `runner artifacts`: what jobs have kept. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <jansson.h>

#include "artifact/artifact.h"
#include "base/alloc.h"
#include "base/clock.h"
#include "base/ctx.h"
#include "base/fs.h"
#include "base/fs_writer.h"
#include "base/vec.h"
#include "cli/commands.h"
#include "control/signals.h"

struct artifacts_args {
    char *store;
    char *output;
    bool dry_run;
    bool archive;
    int format;
};

enum { FORMAT_TEXT, FORMAT_JSON, CHUNK_BYTES = 65536 };

static const char *const formats[] = {"text", "json", NULL};

#define LATEST    "latest"
#define AT(field) offsetof(struct artifacts_args, field)

static const struct cli_option options[] = {
    {"store", 0, CLI_STRING, AT(store), "URL", "look into s3://BUCKET/PREFIX, not the local store",
     NULL, NULL},
    {"output", 'o', CLI_STRING, AT(output), "DIR",
     "get: where the files go (the current directory)", NULL, NULL},
    {"archive", 0, CLI_FLAG, AT(archive), NULL, "get: archives NAME.tar.zst instead of their files",
     NULL, NULL},
    {"dry-run", 0, CLI_FLAG, AT(dry_run), NULL, "prune: only show what would be removed", NULL,
     NULL},
    {"format", 0, CLI_CHOICE, AT(format), NULL, "ls: form of the list", formats, NULL},
    {0},
};

struct verb;

struct command {
    const struct ctx *ctx;
    const struct verb *verb;
    const struct artifacts_args *args;
    const struct strvec *operands; /* the verb and what it is about */
    struct object_store *store;
};

/* NULL: not given. */
static const char *operand(const struct command *c, size_t index)
{
    return index + 1 < c->operands->len ? c->operands->items[index + 1] : NULL;
}

/* --- choosing --- */

static bool is_meant(const struct command *c, const struct artifact *a, const char *run)
{
    const char *job = operand(c, 1);
    const char *name = operand(c, 2);

    return (!run || strcmp(a->run, run) == 0) &&
           (!job || strcmp(a->job, job) == 0 || strcmp(a->job_id, job) == 0) &&
           (!name || strcmp(a->name, name) == 0);
}

static int choose(const struct command *c, struct artifact_list *ret, struct err *err)
{
    CLEANUP_ARTIFACT_LIST struct artifact_list all = {0};
    const char *run = operand(c, 0);
    bool latest = run && strcmp(run, LATEST) == 0;

    if (artifact_list(c->ctx, c->store, latest ? NULL : run, &all, err) < 0)
        return -1;
    if (latest && all.len)
        run = all.items[0].run; /* the latest come first */
    vec_foreach (struct artifact *, a, &all) {
        if (!is_meant(c, a, run))
            continue;
        vec_push(ret, *a);
        *a = (struct artifact){0};
    }
    return 0;
}

/* --- ls --- */

static json_t *to_json(const struct artifact *a)
{
    char created[CLOCK_RFC3339_SIZE];
    char expires[CLOCK_RFC3339_SIZE];

    clock_rfc3339(a->created_ms, created);
    clock_rfc3339(a->expires_ms, expires);
    return json_pack("{s:s, s:s, s:s, s:s, s:s, s:I, s:I, s:I, s:s, s:s, s:s?}", "run", a->run,
                     "pipeline", a->pipeline, "job", a->job, "job_id", a->job_id, "name", a->name,
                     "files", (json_int_t)a->file_count, "size", (json_int_t)a->bytes,
                     "archive_size", (json_int_t)a->archive_bytes, "archive_sha256", a->sha256,
                     "created_at", created, "expires_at", a->expires_ms ? expires : NULL);
}

static void list_json(const struct artifact_list *list)
{
    json_t *array = json_array();

    vec_foreach (struct artifact *, a, list)
        json_array_append_new(array, to_json(a));
    json_dumpf(array, stdout, JSON_INDENT(2));
    putchar('\n');
    json_decref(array);
}

static void list_text(const struct artifact_list *list)
{
    printf("%-22s  %-20s  %-16s  %6s  %12s  %s\n", "RUN", "JOB", "NAME", "FILES", "BYTES",
           "EXPIRES");
    vec_foreach (struct artifact *, a, list) {
        char expires[CLOCK_RFC3339_SIZE];

        clock_rfc3339(a->expires_ms, expires);
        printf("%-22s  %-20s  %-16s  %6lld  %12lld  %.10s\n", a->run, a->job, a->name,
               (long long)a->file_count, (long long)a->bytes, a->expires_ms ? expires : "never");
    }
}

static int run_ls(const struct command *c, struct err *err)
{
    CLEANUP_ARTIFACT_LIST struct artifact_list list = {0};

    if (choose(c, &list, err) < 0)
        return -1;
    if (c->args->format == FORMAT_JSON)
        list_json(&list);
    else if (list.len)
        list_text(&list);
    else
        puts("there are no artifacts");
    return CLI_EXIT_OK;
}

/* --- get --- */

static int copy(int in, struct fs_writer *out, const char *name, struct err *err)
{
    ssize_t got;

    do {
        buf_reserve(&out->buf, CHUNK_BYTES);
        got = read(in, out->buf.data + out->buf.len, CHUNK_BYTES);
        if (got > 0) {
            out->buf.len += (size_t)got;
            out->buf.data[out->buf.len] = '\0';
            fs_writer_spill(out);
        }
    } while (got > 0 || (got < 0 && errno == EINTR));
    return got < 0 ? err_errno(err, "cannot read %s", name) : 0;
}

static int get_archive(const struct command *c, const struct artifact *a, const char *dir,
                       struct err *err)
{
    CLEANUP_FREE char *path = xasprintf("%s/%s", dir, strrchr(a->archive, '/') + 1);
    CLEANUP_FS_WRITER struct fs_writer out = FS_WRITER_INIT;
    CLEANUP_FD int in = -1;

    if (c->store->ops->get(c->ctx, c->store, a->archive, &in, NULL, err) < 0 ||
        fs_writer_open(&out, path, 0644, err) < 0 || copy(in, &out, a->archive, err) < 0)
        return -1;
    return fs_writer_commit(&out, err);
}

/* One goes into the directory itself, several each into one of its own. */
static int get_one(const struct command *c, const struct artifact *a, bool alone, struct err *err)
{
    CLEANUP_FREE char *dir = NULL;
    const char *output = c->args->output ? c->args->output : ".";

    if (alone) {
        dir = xstrdup(output);
    } else {
        const char *job = strchr(a->archive, '/') + 1;
        const char *name = strchr(job, '/') + 1;

        dir = xasprintf("%s/%.*s/%.*s", output, (int)(name - 1 - job), job,
                        (int)(strlen(name) - strlen(".tar.zst")), name);
    }
    if (fs_mkdir_p(dir, 0777, err) < 0)
        return -1;
    if ((c->args->archive ? get_archive(c, a, dir, err)
                          : artifact_fetch(c->ctx, c->store, a, dir, err)) < 0)
        return -1;
    printf("%s: %s of %s: %lld file%s\n", dir, a->name, a->job, (long long)a->file_count,
           a->file_count == 1 ? "" : "s");
    return 0;
}

static int run_get(const struct command *c, struct err *err)
{
    CLEANUP_ARTIFACT_LIST struct artifact_list list = {0};

    if (!operand(c, 0))
        return err_set(err, ERR_INVALID, "get needs a RUN, or \"" LATEST "\"; ls shows them");
    if (choose(c, &list, err) < 0)
        return -1;
    if (!list.len)
        return err_set(err, ERR_NOT_FOUND,
                       "there are no such artifacts; runner artifacts ls shows "
                       "what there is");
    vec_foreach (struct artifact *, a, &list) {
        if (get_one(c, a, list.len == 1, err) < 0)
            return err_wrap(err, "%s of %s", a->name, a->job);
    }
    return CLI_EXIT_OK;
}

/* --- prune --- */

static void on_removed(void *arg, const struct artifact *a)
{
    const struct command *c = arg;

    printf("%s %s %s %s\n", c->args->dry_run ? "would remove" : "removed", a->run, a->job, a->name);
}

static int run_prune(const struct command *c, struct err *err)
{
    const struct artifact_prune prune = {.now_ms = clock_wall_ms(),
                                         .dry_run = c->args->dry_run,
                                         .removed = on_removed,
                                         .arg = (void *)(uintptr_t)c};

    return artifact_prune(c->ctx, c->store, &prune, err) < 0 ? -1 : CLI_EXIT_OK;
}

/* --- the command --- */

static const struct verb {
    const char *name;
    size_t operands_max;
    int (*run)(const struct command *c, struct err *err);
} verbs[] = {{"ls", 3, run_ls}, {"get", 3, run_get}, {"prune", 0, run_prune}};

static const struct verb *find_verb(const struct strvec *operands, struct err *err)
{
    const char *name = operands->len ? operands->items[0] : "ls";

    for (size_t i = 0; i < sizeof(verbs) / sizeof(*verbs); i++) {
        if (strcmp(verbs[i].name, name) != 0)
            continue;
        if (operands->len <= verbs[i].operands_max + 1)
            return &verbs[i];
        err_set(err, ERR_INVALID, "%s takes no further \"%s\"", name,
                operands->items[verbs[i].operands_max + 1]);
        return NULL;
    }
    err_set(err, ERR_INVALID, "artifacts knows ls, get and prune, not \"%s\"", name);
    return NULL;
}

static int run_verb(const struct ctx *ctx, void *arg, struct err *err)
{
    CLEANUP_OBJECT_STORE struct object_store *store = NULL;
    struct command *c = arg;

    if (artifact_store_open(c->args->store, &store, err) < 0)
        return -1;
    c->ctx = ctx;
    c->store = store;
    return c->verb->run(c, err);
}

static int run(void *args, const struct strvec *operands)
{
    struct err err = ERR_INIT;
    struct command c = {.verb = find_verb(operands, &err), .args = args, .operands = operands};
    int status;
    int signal;

    if (!c.verb) {
        fprintf(stderr, "runner artifacts: %s\n", err.message);
        return CLI_EXIT_USAGE;
    }
    status = signals_run(run_verb, &c, &signal, &err);
    if (status < 0)
        fprintf(stderr, "runner artifacts: %s\n", err.message);
    if (signal)
        return 128 + signal;
    if (status < 0)
        return err.code == ERR_INVALID ? CLI_EXIT_USAGE : CLI_EXIT_FAILED;
    return status;
}

const struct cli_command cmd_artifacts = {
    .name = "artifacts",
    .operands = "[ls [RUN [JOB [NAME]]] | get RUN [JOB [NAME]] | prune]",
    .summary = "show, get and remove what jobs have kept",
    .description =
        "RUN may be \"latest\". A single artifact is unpacked into the directory itself, "
        "several each into one of its own, JOB/NAME. prune removes what has expired.",
    .options = options,
    .args_size = sizeof(struct artifacts_args),
    .run = run,
};
