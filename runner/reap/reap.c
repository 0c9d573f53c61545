#include "reap/reap.h"

#include <string.h>

#include "base/vec.h"
#include "reap/sweep.h"

struct reaping {
    const struct ctx *ctx;
    const struct engine *const *engines;
    const struct engine_services *services;
    const struct reap_request *request;
    struct own_journal *journals;
    size_t journal_count;
    struct strvec endpoints; /* to be asked, each once */
    size_t named_count;      /* of those: the first, which somebody has named */
    struct strmap swept;     /* those that were, without failure */
    struct strmap seen;      /* "KIND NAME": a thing may turn up in several sweeps */
    struct reap_result result;
};

static void on_found(void *arg, const char *kind, const char *name, const char *run_id)
{
    struct reaping *r = arg;
    CLEANUP_FREE char *key = xasprintf("%s %s", kind, name);

    if (strmap_has(&r->seen, key))
        return;
    strmap_set(&r->seen, key, "");
    r->result.found++;
    if (r->request->found)
        r->request->found(r->request->arg, kind, name, run_id);
}

static void on_failed(struct reaping *r, const char *what, const struct err *err)
{
    r->result.failed++;
    if (r->request->failed)
        r->request->failed(r->request->arg, what, err);
}

static void add_endpoint(struct reaping *r, const char *url)
{
    for (size_t i = 0; i < r->endpoints.len; i++) {
        if (strcmp(r->endpoints.items[i], url) == 0)
            return;
    }
    strvec_push(&r->endpoints, url);
}

static void choose_endpoints(struct reaping *r)
{
    for (size_t i = 0; r->request->endpoints && i < r->request->endpoints->len; i++)
        add_endpoint(r, r->request->endpoints->items[i]);
    for (size_t i = 0; i < r->journal_count; i++) {
        const struct own_journal *journal = &r->journals[i];

        /* The last first: it may need the others. */
        for (size_t k = journal->endpoint_count; !journal->alive && k-- > 0;)
            add_endpoint(r, journal->endpoints[k]);
    }
    r->named_count = r->endpoints.len;
    for (const struct engine *const *engine = r->engines; *engine; engine++) {
        if (r->request->all && (*engine)->sweep && !((*engine)->capabilities & ENGINE_DEPLOYS))
            add_endpoint(r, (*engine)->name);
    }
}

static bool has_endpoint(const struct own_journal *journal, const char *url)
{
    for (size_t i = 0; i < journal->endpoint_count; i++) {
        if (strcmp(journal->endpoints[i], url) == 0)
            return true;
    }
    return false;
}

/* What any dead owner left on it; and by their names the runs whose journals tell that they are
 * dead, as an engine may not be able to: their owners may have lived before the last reboot. */
static int sweep_one(struct reaping *r, const char *url, struct err *err)
{
    struct sweep_request request = {.dry_run = r->request->dry_run,
                                    .found = on_found,
                                    .found_arg = r};
    size_t count;

    if (sweep_endpoint(r->ctx, r->engines, r->services, url, &request, &count, err) < 0)
        return -1;
    for (size_t i = 0; i < r->journal_count; i++) {
        if (r->journals[i].alive || !has_endpoint(&r->journals[i], url))
            continue;
        request.run_id = r->journals[i].run_id;
        if (sweep_endpoint(r->ctx, r->engines, r->services, url, &request, &count, err) < 0)
            return -1;
    }
    return 0;
}

static int sweep_endpoints(struct reaping *r, struct err *err)
{
    for (size_t i = 0; i < r->endpoints.len; i++) {
        const char *url = r->endpoints.items[i];
        struct err why = ERR_INIT;

        if (ctx_check(r->ctx, err) < 0)
            return -1;
        if (sweep_one(r, url, &why) == 0)
            strmap_set(&r->swept, url, "");
        else if (i < r->named_count || why.code != ERR_NOT_FOUND) /* else it is not set up here */
            on_failed(r, url, &why);
    }
    return ctx_check(r->ctx, err);
}

/* Whether nothing of the run can be left but its own directories. */
static bool is_clean(const struct reaping *r, const struct own_journal *journal)
{
    for (size_t i = 0; i < journal->endpoint_count; i++) {
        if (!strmap_has(&r->swept, journal->endpoints[i]))
            return false;
    }
    return true;
}

static void remove_journals(struct reaping *r)
{
    for (size_t i = 0; i < r->journal_count; i++) {
        const struct own_journal *journal = &r->journals[i];
        struct err err = ERR_INIT;

        if (journal->alive || !is_clean(r, journal))
            continue;
        for (size_t k = 0; k < journal->directory_count; k++)
            on_found(r, "directory", journal->directories[k], journal->run_id);
        on_found(r, "journal", journal->path, journal->run_id);
        if (!r->request->dry_run && own_journal_remove(journal, &err) < 0)
            on_failed(r, journal->path, &err);
    }
}

int reap_run(const struct ctx *ctx, const struct engine *const *engines,
             const struct engine_services *services, const struct reap_request *request,
             struct reap_result *ret, struct err *err)
{
    struct reaping r = {.ctx = ctx, .engines = engines, .services = services, .request = request};
    int result;

    if (own_journals_read(NULL, &r.journals, &r.journal_count, err) < 0)
        return -1;
    choose_endpoints(&r);
    result = sweep_endpoints(&r, err);
    if (result == 0)
        remove_journals(&r);
    if (result == 0)
        *ret = r.result;
    own_journals_free(r.journals, r.journal_count);
    strvec_release(&r.endpoints);
    strmap_release(&r.swept);
    strmap_release(&r.seen);
    return result;
}
