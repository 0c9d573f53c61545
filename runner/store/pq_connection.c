#include "store/pq_connection.h"

#include <errno.h>
#include <string.h>

#include "base/alloc.h"
#include "base/buf.h"

/* Types of columns, which PostgreSQL never changes: pg_type.dat. */
enum { OID_INT8 = 20, OID_INT4 = 23 };
enum { PARAMS_MAX = 24, COLUMNS_MAX = 24 };

static char *make_place(const char *url)
{
    const char *authority = strstr(url, "://") + 3;
    size_t len = strcspn(authority, "/?");
    const char *end = authority + strcspn(authority, "?");
    const char *at = memrchr(authority, '@', len);

    return xasprintf("%.*s%.*s", (int)(authority - url), url,
                     (int)(end - (at ? at + 1 : authority)), at ? at + 1 : authority);
}

int pq_connection_init(struct pq_connection *connection, const char *url, int64_t wait_ms,
                       struct err *err)
{
    *connection = (struct pq_connection){.pq = libpq_load(err), .wait_ms = wait_ms};
    if (!connection->pq)
        return -1;
    connection->url = xstrdup(url);
    connection->place = make_place(url);
    return 0;
}

void pq_connection_close(struct pq_connection *connection)
{
    if (connection->handle)
        connection->pq->finish(connection->handle);
    connection->handle = NULL;
}

void pq_connection_release(struct pq_connection *connection)
{
    pq_connection_close(connection);
    free(connection->url);
    free(connection->place);
}

/* The first line of what libpq says, and no more: the others are advice. */
static void add_reason(const struct pq_connection *connection, struct buf *out)
{
    const char *message = connection->pq->errorMessage(connection->handle);

    buf_add(out, message, strcspn(message, "\n"));
    if (!out->len)
        buf_addstr(out, "the connection was closed");
}

static int lost(struct pq_connection *connection, struct err *err)
{
    CLEANUP_BUF struct buf reason = BUF_INIT;

    add_reason(connection, &reason);
    pq_connection_close(connection);
    connection->failure = PQ_FAILURE_LOST;
    return err_set(err, ERR_UNAVAILABLE, "%s does not answer: %s", connection->place, reason.data);
}

/* It stands still, be it that its machine does: what was sent may be done when it goes on. */
static int silent(struct pq_connection *connection, struct err *err)
{
    pq_connection_close(connection);
    connection->failure = PQ_FAILURE_LOST;
    return err_set(err, ERR_UNAVAILABLE, "%s does not answer: it has said nothing for %lld ms",
                   connection->place, (long long)connection->silence_ms);
}

/* The context ended in the middle of something: the server rolls back when it sees that nobody is
 * there. */
static int ended(struct pq_connection *connection)
{
    pq_connection_close(connection);
    connection->failure = PQ_FAILURE_FINAL;
    return -1;
}

static void ignore_notice(void *arg, const char *message)
{
    (void)arg;
    (void)message;
}

static int refused(struct pq_connection *connection, struct err *err)
{
    if (connection->pq->connectionNeedsPassword(connection->handle)) {
        pq_connection_close(connection);
        connection->failure = PQ_FAILURE_FINAL;
        return err_set(err, ERR_DENIED,
                       "%s wants a password; give one by PGPASSWORD, or in ~/.pgpass",
                       connection->place);
    }
    return lost(connection, err);
}

static int wait_for(const struct ctx *ctx, struct pq_connection *connection, short events,
                    struct err *err)
{
    struct pollfd fd = {.fd = connection->pq->socket(connection->handle), .events = events};
    int ready;

    if (fd.fd < 0)
        return lost(connection, err);
    ready = ctx_poll(ctx, &fd, 1, connection->silence_ms ? (int)connection->silence_ms : -1, err);
    if (ready < 0)
        return ended(connection);
    return ready == 0 ? silent(connection, err) : fd.revents;
}

static int connect_steps(const struct ctx *ctx, struct pq_connection *connection, struct err *err)
{
    PostgresPollingStatusType step = PGRES_POLLING_WRITING;

    if (connection->pq->status(connection->handle) == CONNECTION_BAD)
        return refused(connection, err);
    while (step != PGRES_POLLING_OK) {
        if (step == PGRES_POLLING_FAILED)
            return refused(connection, err);
        if (wait_for(ctx, connection, step == PGRES_POLLING_READING ? POLLIN : POLLOUT, err) < 0)
            return -1;
        step = connection->pq->connectPoll(connection->handle);
    }
    return 0;
}

/* A statement whose context has ended is not to go on in the server. Systems that cannot tell
 * refuse this, and are used without. */
static int notice_absence(const struct ctx *ctx, struct pq_connection *connection, struct err *err)
{
    const struct db_query query = {.sql = "SET client_connection_check_interval = 500"};

    if (connection->pq->serverVersion(connection->handle) < 140000)
        return 0;
    if (pq_connection_run(ctx, connection, &query, err) < 0 && !connection->handle)
        return -1;
    connection->failure = PQ_FAILURE_NONE;
    return 0;
}

static int start_session(const struct ctx *ctx, struct pq_connection *connection, struct err *err)
{
    char sql[64];

    connection->pq->setnonblocking(connection->handle, 1);
    connection->pq->setNoticeProcessor(connection->handle, ignore_notice, NULL);
    snprintf(sql, sizeof(sql), "SET lock_timeout = %lld", (long long)connection->wait_ms);
    if (pq_connection_run(ctx, connection, &(struct db_query){.sql = sql}, err) < 0)
        return -1;
    return notice_absence(ctx, connection, err);
}

/* What comes before the URL can be said otherwise by it. */
static const char *const keywords[] = {
    "fallback_application_name", "keepalives_idle", "keepalives_interval", "keepalives_count",
    "tcp_user_timeout",          "dbname",          "client_encoding",     NULL,
};

int pq_connection_open(const struct ctx *ctx, struct pq_connection *connection, struct err *err)
{
    const char *const values[] = {
        "runner", "10", "5", "3", "20000", connection->url, "UTF8", NULL,
    };
    struct ctx limited;

    connection->failure = PQ_FAILURE_NONE;
    connection->handle = connection->pq->connectStartParams(keywords, values, 1);
    if (!connection->handle)
        return err_set(err, ERR_SYSTEM, "%s: out of memory", connection->place);
    ctx_init(&limited, ctx);
    ctx_set_timeout(&limited, connection->wait_ms, "connection");
    if (connect_steps(&limited, connection, err) == 0 &&
        start_session(&limited, connection, err) == 0)
        return 0;
    if (ctx_done(&limited) && !ctx_done(ctx)) {
        connection->failure = PQ_FAILURE_LOST;
        err_set(err, ERR_UNAVAILABLE, "%s does not answer", connection->place);
    }
    pq_connection_close(connection);
    return -1;
}

static int send(struct pq_connection *connection, const struct db_query *query)
{
    const char *values[PARAMS_MAX];
    char numbers[PARAMS_MAX][24];

    if (!query->param_count)
        return connection->pq->sendQuery(connection->handle, query->sql);
    for (size_t i = 0; i < query->param_count; i++) {
        values[i] = query->params[i].text;
        if (!values[i]) {
            snprintf(numbers[i], sizeof(numbers[i]), "%lld", (long long)query->params[i].number);
            values[i] = numbers[i];
        }
    }
    return connection->pq->sendQueryParams(connection->handle, query->sql, (int)query->param_count,
                                           NULL, values, NULL, NULL, 0);
}

/* Sends what is left, reading what comes meanwhile: the server may wait for that. */
static int flush(const struct ctx *ctx, struct pq_connection *connection, struct err *err)
{
    for (;;) {
        int left = connection->pq->flush(connection->handle);
        int events;

        if (left == 0)
            return 0;
        events = left < 0 ? -1 : wait_for(ctx, connection, POLLIN | POLLOUT, err);
        if (left < 0)
            return lost(connection, err);
        if (events < 0)
            return -1;
        if ((events & POLLIN) && !connection->pq->consumeInput(connection->handle))
            return lost(connection, err);
    }
}

static int next_result(const struct ctx *ctx, struct pq_connection *connection, PGresult **ret,
                       struct err *err)
{
    while (connection->pq->isBusy(connection->handle)) {
        if (wait_for(ctx, connection, POLLIN, err) < 0)
            return -1;
        if (!connection->pq->consumeInput(connection->handle))
            return lost(connection, err);
    }
    *ret = connection->pq->getResult(connection->handle);
    return 0;
}

/* What the server says by its codes (PostgreSQL, appendix A), and what follows from it. */
static const struct {
    const char *sqlstate; /* or the beginning of it */
    enum pq_failure failure;
    enum err_code code;
    int errnum;
    const char *advice;
} refusals[] = {
    {"40001", PQ_FAILURE_AGAIN, ERR_CONFLICT, 0, ""},
    {"40P01", PQ_FAILURE_AGAIN, ERR_CONFLICT, 0, ""},
    {"57P", PQ_FAILURE_LOST, ERR_UNAVAILABLE, 0, ""},
    {"08", PQ_FAILURE_LOST, ERR_UNAVAILABLE, 0, ""},
    {"55P03", PQ_FAILURE_FINAL, ERR_UNAVAILABLE, 0, "; another program holds a lock for too long"},
    {"53100", PQ_FAILURE_FINAL, ERR_SYSTEM, ENOSPC, "; make room on the server"},
    {"25006", PQ_FAILURE_FINAL, ERR_DENIED, 0, "; name a server that can be written to"},
    {"42501", PQ_FAILURE_FINAL, ERR_DENIED, 0,
     "; let the user create tables there, or name another schema: ?options=-csearch_path%3DNAME"},
    {"3F000", PQ_FAILURE_FINAL, ERR_INVALID, 0, "; create the schema of the search_path"},
    {"", PQ_FAILURE_FINAL, ERR_SYSTEM, 0, ""},
};

static int refuse(struct pq_connection *connection, const PGresult *result, struct err *err)
{
    const char *sqlstate = connection->pq->resultErrorField(result, PG_DIAG_SQLSTATE);
    const char *message = connection->pq->resultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
    size_t i = 0;

    /* libpq's own: nothing came any more. */
    if (!sqlstate)
        return lost(connection, err);
    while (strncmp(sqlstate, refusals[i].sqlstate, strlen(refusals[i].sqlstate)) != 0)
        i++;
    connection->failure = refusals[i].failure;
    err_set(err, refusals[i].code, "%s: %s (%s)%s", connection->place, message ? message : "failed",
            sqlstate, refusals[i].advice);
    if (err)
        err->errnum = refusals[i].errnum;
    return -1;
}

static int give_row(struct pq_connection *connection, const PGresult *result, int number,
                    const struct db_query *query, struct err *err)
{
    const struct libpq *pq = connection->pq;
    struct db_value row[COLUMNS_MAX] = {0};
    int count = pq->nfields(result);

    for (int i = 0; i < count && i < COLUMNS_MAX; i++) {
        Oid type = pq->ftype(result, i);

        if (pq->getisnull(result, number, i))
            continue;
        if (type == OID_INT8 || type == OID_INT4) {
            row[i].number = strtoll(pq->getvalue(result, number, i), NULL, 10);
        } else {
            row[i].text = pq->getvalue(result, number, i);
            row[i].len = (size_t)pq->getlength(result, number, i);
        }
    }
    return query->row(query->arg, row, err);
}

static int take_result(struct pq_connection *connection, const PGresult *result,
                       const struct db_query *query, int64_t *rows, struct err *err)
{
    ExecStatusType status = connection->pq->resultStatus(result);
    int enough = 0;

    if (status != PGRES_TUPLES_OK)
        return status == PGRES_COMMAND_OK || status == PGRES_EMPTY_QUERY
                   ? 0
                   : refuse(connection, result, err);
    *rows += connection->pq->ntuples(result);
    for (int i = 0; query->row && enough == 0 && i < connection->pq->ntuples(result); i++)
        enough = give_row(connection, result, i, query, err);
    if (enough < 0)
        connection->failure = PQ_FAILURE_FINAL;
    return enough < 0 ? -1 : 0;
}

int64_t pq_connection_run(const struct ctx *ctx, struct pq_connection *connection,
                          const struct db_query *query, struct err *err)
{
    int64_t rows = 0;
    int status = 0;

    if (query->param_count > PARAMS_MAX)
        return err_set(err, ERR_LIMIT, "a statement with %zu parameters", query->param_count);
    if (!send(connection, query))
        return lost(connection, err);
    if (flush(ctx, connection, err) < 0)
        return -1;
    for (;;) {
        PGresult *result = NULL;

        if (next_result(ctx, connection, &result, status < 0 ? NULL : err) < 0)
            return -1;
        if (!result)
            return status < 0 ? -1 : rows;
        /* The first failure counts; the others are read to their end. */
        if (status == 0)
            status = take_result(connection, result, query, &rows, err);
        connection->pq->clear(result);
        if (!connection->handle)
            return -1;
    }
}
