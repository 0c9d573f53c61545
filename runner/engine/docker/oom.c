#include "engine/docker/oom.h"

#include <signal.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "engine/docker/instance.h"

#define EVENT_DELAY_MS 200
#define EVENT_WAIT_MS  3000

/* The state of a container that has exited tells; its helper, which has told the code, is about to.
 */
static bool state_tells(const struct ctx *ctx, struct step_container *container)
{
    CLEANUP_DOCKER_CONTAINER struct docker_container found = {0};
    int64_t code;

    return docker_wait_result(ctx, container->wait, &code, NULL) == 0 &&
           docker_container_inspect(ctx, container->client, container->id, &found, NULL) == 0 &&
           found.oom_killed;
}

/* Of one that goes on, the daemon's log of events does; the event may still be under way. */
static bool events_tell(const struct ctx *ctx, struct step_container *container)
{
    const struct docker_filter filters[] = {{"container", container->id}, {"event", "oom"}};
    CLEANUP_HTTP_RESPONSE struct http_response response = HTTP_RESPONSE_INIT;
    int64_t since, until, age_ms = clock_monotonic_ms() - container->begun_ms;
    CLEANUP_BUF struct buf path = BUF_INIT;
    CLEANUP_CTX struct ctx bounded;
    struct http_request request = {.method = "GET"};

    ctx_init(&bounded, ctx);
    ctx_set_timeout(&bounded, EVENT_WAIT_MS, "events");
    until = instance_daemon_ms(&bounded, container->client) + EVENT_DELAY_MS;
    since = until - EVENT_DELAY_MS - age_ms;
    buf_addf(&path, "/events?since=%lld.%03lld&until=%lld.%03lld", (long long)since / 1000,
             (long long)since % 1000, (long long)until / 1000, (long long)until % 1000);
    docker_add_filters(&path, false, filters, 2);
    request.path = path.data;
    return docker_call_raw(&bounded, container->client, &request, &response, NULL) == 0 &&
           response.status == 200 && strstr(response.body.data, "\"oom\"") != NULL;
}

bool oom_killed(const struct ctx *ctx, struct step_container *container, int code)
{
    if (code != 128 + SIGKILL && container->memory_bytes == 0)
        return false;
    return container->shared ? events_tell(ctx, container) : state_tells(ctx, container);
}

void oom_describe(int64_t limit_bytes, char *text, size_t size)
{
    if (limit_bytes > 0 && limit_bytes % (1 << 20) == 0)
        snprintf(text, size, "killed: out of memory (limit %lld MiB)",
                 (long long)(limit_bytes >> 20));
    else if (limit_bytes > 0)
        snprintf(text, size, "killed: out of memory (limit %lld bytes)", (long long)limit_bytes);
    else
        snprintf(text, size, "killed: out of memory");
}
