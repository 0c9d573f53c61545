/* Whether a step in the background is ready: from here, as steps have the runner's network. */
#include <unistd.h>

#include "base/cleanup.h"
#include "base/dial.h"
#include "base/last_line.h"
#include "engine/host/private.h"

#define COMMAND_GRACE_MS 1000

struct quiet_output {
    struct output output;
    struct last_line said;
};

static void quiet_write(struct output *output, const struct ctx *ctx, enum output_stream stream,
                        const void *data, size_t len)
{
    (void)ctx;
    (void)stream;
    last_line_add(&((struct quiet_output *)output)->said, data, len);
}

static void quiet_note(struct output *output, const char *text)
{
    (void)output;
    (void)text;
}

static int check_command(const struct ctx *ctx, struct place *place, const struct runnable *running,
                         const struct probe *probe, struct err *err)
{
    struct quiet_output quiet = {.output = {.write = quiet_write, .note = quiet_note}};
    struct runnable command = *running;
    struct exit_record record = {0};

    command.argv = probe->argv;
    command.files = NULL;
    command.file_count = 0;
    command.placed = NULL;
    command.placed_count = 0;
    command.returns = NULL;
    command.return_count = 0;
    command.grace_ms = COMMAND_GRACE_MS;
    if (host_run(ctx, place, &command, &quiet.output, &record, err) < 0)
        return -1;
    if (record.kind == EXIT_CODE && record.code == 0)
        return 0;
    return err_set(err, ERR_UNAVAILABLE, "the command ends with %d%s%s", record.code,
                   *quiet.said.text ? ": " : "", quiet.said.text);
}

int host_check(const struct ctx *ctx, struct place *place, const struct runnable *running,
               const struct probe *probe, struct err *err)
{
    const char *host = probe->host ? probe->host : "localhost";
    CLEANUP_FD int fd = -1;
    int status;

    switch (probe->kind) {
    case PROBE_TCP:
        return dial_tcp(ctx, host, probe->port, &fd, err);
    case PROBE_HTTP:
        if (dial_http(ctx, host, probe->port, probe->path, &status, err) < 0)
            return -1;
        if (status < 200 || status > 399)
            return err_set(err, ERR_UNAVAILABLE, "http://%s:%u%s answers with status %d", host,
                           probe->port, probe->path, status);
        return 0;
    case PROBE_COMMAND:
        return check_command(ctx, place, running, probe, err);
    case PROBE_IMAGE:
        break;
    }
    return err_set(err, ERR_UNSUPPORTED, "this cannot be asked on the host");
}
