#include "server/submit.h"

#include <stdlib.h>
#include <string.h>

#include "load/diag_print.h"
#include "server/inside.h"

enum { PRIORITY_MAX = 1000000 };

void submitted_release(struct submitted *submitted)
{
    json_decref(submitted->diagnostics);
    free(submitted->lines);
}

static void tell_diagnostics(struct prepared *p, struct submitted *ret)
{
    CLEANUP_BUF struct buf lines = BUF_INIT;

    ret->diagnostics = json_array();
    diag_sort(&p->diags);
    diag_print_json(ret->diagnostics, &p->source, &p->diags);
    prepared_diagnostics(p, &lines);
    ret->lines = buf_steal(&lines);
}

/* What is wrong with the file is told now, and not by a run that fails; the rest is seen by the
 * run, which is somewhere else. *ret_name: what the pipeline calls itself, the caller's. */
static int look_at(struct server *server, const char *file, const struct prepare_args *args,
                   struct submitted *ret, char **ret_name, struct err *err)
{
    struct prepared p = PREPARED_INIT;
    struct err why = ERR_INIT;
    int result = prepared_text(&p, args, "pipeline", file, strlen(file));

    if (result == 0)
        result = prepared_plan(&p, args, server->options.kinds, &why);
    if (result < 0 && !why.code) {
        tell_diagnostics(&p, ret);
        err_set(err, ERR_INVALID, "the pipeline file is not valid");
    } else {
        *ret_name = xstrdup(p.spec && p.spec->name.text ? p.spec->name.text : "");
        result = 0;
    }
    prepared_release(&p);
    return result;
}

static int read_more(const json_t *options, int64_t *ret_priority, const char **ret_name,
                     struct err *err)
{
    const json_t *priority = json_object_get(options, "priority");
    const json_t *name = json_object_get(options, "name");

    if (priority && !json_is_null(priority)) {
        if (!json_is_integer(priority) || json_integer_value(priority) < -PRIORITY_MAX ||
            json_integer_value(priority) > PRIORITY_MAX)
            return err_set(err, ERR_INVALID, "\"priority\" must be a number from %d to %d",
                           -PRIORITY_MAX, PRIORITY_MAX);
        *ret_priority = json_integer_value(priority);
    }
    if (name && !json_is_null(name)) {
        if (!json_is_string(name))
            return err_set(err, ERR_INVALID, "\"name\" must be a text");
        *ret_name = json_string_value(name);
    }
    return 0;
}

static int submit(const struct ctx *ctx, struct server *server, const char *file,
                  const struct submission_options *options, int64_t priority, const char *name,
                  const char *client, struct submitted *ret, struct err *err)
{
    struct prepare_args args = queue_launching_args(server->options.launching, options);
    CLEANUP_FREE char *own_name = NULL;
    int result = -1;

    args.directory = server->options.launching->workdir;
    if (look_at(server, file, &args, ret, &own_name, err) == 0)
        result = queue_submit(ctx, server->queue,
                              &(struct submission){
                                  .file = file,
                                  .name = name && *name ? name : own_name,
                                  .client = client,
                                  .priority = priority,
                                  .options = options,
                                  .held = !options->detached,
                              },
                              ret->id, err);
    queue_launching_args_release(&args);
    return result;
}

int server_submit(const struct ctx *ctx, struct server *server, const char *file,
                  const json_t *options, bool detach, const char *client, struct submitted *ret,
                  struct err *err)
{
    CLEANUP_SUBMISSION_OPTIONS struct submission_options read = {0};
    const char *name = NULL;
    int64_t priority = 0;

    if (atomic_load(&server->draining))
        return err_set(err, ERR_UNAVAILABLE, "the server is about to end, and begins nothing new");
    if (queue_check_size(strlen(file), err) < 0)
        return -1;
    if (options && (submission_options_from_json(options, &read, err) < 0 ||
                    read_more(options, &priority, &name, err) < 0))
        return -1;
    read.detached = read.detached || detach;
    ret->detached = read.detached;
    return submit(ctx, server, file, &read, priority, name, client, ret, err);
}
