/* One line for each request, when somebody wants to see them: what it was is remembered while its
 * head is there, and told with what became of it. The query is left out, as it may hold what others
 * must not see. */
#include <inttypes.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/logger.h"
#include "base/utf8.h"
#include "server/transport_inside.h"

struct transport_note {
    int64_t began_ms;
    char *what;
    char *who;
};

void transport_note(struct web_call *call, const struct web_request *request)
{
    CLEANUP_BUF struct buf path = BUF_INIT;

    if (!logger_enabled(LOGGER_DEBUG))
        return;
    transport_log(call);
    if (request->path)
        utf8_add_visible(&path, request->path);
    call->note = xcalloc(1, sizeof(*call->note));
    call->note->began_ms = clock_monotonic_ms();
    call->note->what =
        xasprintf("%s %s", request->method ? request->method : "?", path.len ? path.data : "?");
    call->note->who = xasprintf("%s, %s", request->peer && *request->peer ? request->peer : "local",
                                request->user ? request->user : "nobody");
}

void transport_log(struct web_call *call)
{
    struct transport_note *note = steal_ptr(&call->note);
    int64_t passed_ms;

    if (!note)
        return;
    passed_ms = clock_monotonic_ms() - note->began_ms;
    if (call->status)
        log_debug("server", "%s: %d, %" PRIu64 " bytes, %" PRId64 " ms, %s", note->what,
                  call->status, call->written, passed_ms, note->who);
    else
        log_debug("server", "%s: gone before an answer, %" PRId64 " ms, %s", note->what, passed_ms,
                  note->who);
    free(note->what);
    free(note->who);
    free(note);
}
