#include "engine/remote/check.h"

#include "base/alloc.h"
#include "engine/remote/program.h"
#include "helper/helper.h"

/* `input`: what it reads; NULL: nothing. */
static int ask(const struct ctx *ctx, const struct remote *remote, const char *const *argv,
               const struct buf *input, struct err *err)
{
    struct remote_text text = {.data = input};
    const struct remote_program program = {.argv = argv,
                                           .read = input ? remote_read_text : NULL,
                                           .arg = &text};
    CLEANUP_BUF struct buf said = BUF_INIT;
    int code = -1;

    if (remote_run(ctx, remote, &program, &code, &said, err) < 0)
        return -1;
    if (code == 0)
        return 0;
    return err_set(err, ERR_UNAVAILABLE, "%s%sexit code %d", said.data, said.len ? ", " : "", code);
}

static int ask_port(const struct ctx *ctx, const struct remote *remote, const struct probe *probe,
                    struct err *err)
{
    CLEANUP_FREE char *number = xasprintf("%u", probe->port);
    bool http = probe->kind == PROBE_HTTP;
    const char *const argv[] = {remote->helper,
                                "probe",
                                http ? "http" : "tcp",
                                probe->host ? probe->host : "127.0.0.1",
                                number,
                                http ? probe->path : NULL,
                                NULL};

    return ask(ctx, remote, argv, NULL, err);
}

/* With the environment and in the directory of what runs there: a command of its own has those of a
 * login, or of its container. */
static int ask_command(const struct ctx *ctx, const struct remote *remote, const char *workdir,
                       const struct runnable *running, const struct probe *probe, struct err *err)
{
    const char *const argv[] = {remote->helper, "exec", NULL};
    CLEANUP_BUF struct buf request = BUF_INIT;

    if (running->workdir)
        workdir = running->workdir;
    helper_request_begin(&request);
    for (const char *const *arg = probe->argv; *arg; arg++)
        helper_request_string(&request, HELPER_ARG, *arg);
    if (running->environment)
        helper_request_env(&request, running->environment);
    if (workdir)
        helper_request_string(&request, HELPER_CWD, workdir);
    if (helper_request_end(&request, err) < 0)
        return -1;
    return ask(ctx, remote, argv, &request, err);
}

int remote_check(const struct ctx *ctx, const struct remote *remote, const char *workdir,
                 const struct runnable *running, const struct probe *probe, struct err *err)
{
    switch (probe->kind) {
    case PROBE_TCP:
    case PROBE_HTTP:
        return ask_port(ctx, remote, probe, err);
    case PROBE_COMMAND:
        return ask_command(ctx, remote, workdir, running, probe, err);
    case PROBE_IMAGE:
        break;
    }
    return err_set(err, ERR_UNSUPPORTED, "no such probe");
}
