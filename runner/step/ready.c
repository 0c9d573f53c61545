#include "step/ready.h"

#include <stdlib.h>
#include <string.h>

#include "base/address.h"
#include "base/alloc.h"

static const char *own(struct readiness *r, const char *text)
{
    char *copy = xstrdup(text);

    strvec_push_owned(&r->owned, copy);
    return copy;
}

static void add_address(struct readiness *r, enum probe_kind kind, const struct address *address)
{
    r->probes[r->probe_count++] =
        (struct probe){.kind = kind,
                       .host = address->host ? own(r, address->host) : NULL,
                       .port = address->port,
                       .path = address->path ? own(r, address->path) : NULL};
}

static int add_log(struct readiness *r, const char *text, struct err *err)
{
    size_t offset;

    if (expr_pattern_compile(text, strlen(text), &r->log, &offset, err) < 0)
        return -1;
    r->log_text = own(r, text);
    return 0;
}

static void add_command(struct readiness *r, const char *shell, const char *script)
{
    strvec_push(&r->argv, shell ? shell : "sh");
    strvec_push(&r->argv, "-c");
    strvec_push(&r->argv, script);
    r->probes[r->probe_count++] =
        (struct probe){.kind = PROBE_COMMAND, .argv = (const char *const *)r->argv.items};
}

/* In the order of their costs: the first that does not hold is what is told. */
static int add_all(const struct plan *plan, const struct plan_settings *settings, const char *shell,
                   const struct spec_ready *spec, struct readiness *r, struct err *err)
{
    CLEANUP_FREE char *tcp = NULL;
    CLEANUP_FREE char *http = NULL;
    CLEANUP_FREE char *log = NULL;
    CLEANUP_ADDRESS struct address tcp_address = {0};
    CLEANUP_ADDRESS struct address http_address = {0};

    if (plan_expand(plan, settings, &spec->tcp, &tcp, NULL, NULL, err) < 0 ||
        plan_expand(plan, settings, &spec->http, &http, NULL, NULL, err) < 0 ||
        plan_expand(plan, settings, &spec->log, &log, NULL, NULL, err) < 0 ||
        (log && add_log(r, log, err) < 0))
        return -1;
    if (tcp && address_parse(tcp, &tcp_address, err) < 0)
        return -1;
    if (tcp)
        add_address(r, PROBE_TCP, &tcp_address);
    if (http && address_parse_http(http, &http_address, err) < 0)
        return -1;
    if (http)
        add_address(r, PROBE_HTTP, &http_address);
    if (spec->command.text)
        add_command(r, shell, spec->command.text);
    return 0;
}

int readiness_lower(const struct plan *plan, const struct plan_settings *settings,
                    const char *shell, const struct spec_ready *spec, struct readiness **ret,
                    struct err *err)
{
    struct readiness *r = xcalloc(1, sizeof(*r));

    r->timeout_ms = spec->timeout_ms == SPEC_UNSET ? READY_TIMEOUT_DEFAULT_MS : spec->timeout_ms;
    r->interval_ms =
        spec->interval_ms == SPEC_UNSET ? READY_INTERVAL_DEFAULT_MS : spec->interval_ms;
    if (add_all(plan, settings, shell, spec, r, err) < 0) {
        readiness_free(r);
        return err_wrap(err, "ready");
    }
    *ret = r;
    return 0;
}

void readiness_add_image(struct readiness **readiness)
{
    struct readiness *r = *readiness;
    bool alone = !r;

    if (alone) {
        r = xcalloc(1, sizeof(*r));
        r->timeout_ms = READY_TIMEOUT_DEFAULT_MS;
        r->interval_ms = READY_INTERVAL_DEFAULT_MS;
        *readiness = r;
    }
    memmove(&r->probes[1], &r->probes[0], r->probe_count * sizeof(*r->probes));
    r->probe_count++;
    r->probes[0] = (struct probe){.kind = PROBE_IMAGE, .listening = alone};
}

void readiness_free(struct readiness *r)
{
    if (!r)
        return;
    expr_pattern_free(r->log);
    strvec_release(&r->argv);
    strvec_release(&r->owned);
    free(r);
}
