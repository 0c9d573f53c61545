#include "store/submissions.h"

#include <string.h>

#include "store/inside.h"

/* Who has taken a run that ended before it had begun. */
#define DROPPED "-"

#define SQL_SUBMIT                                                                                 \
    "INSERT INTO runner_submissions (run, taken_by, options, file, held_by) "                      \
    "VALUES ($1, $2, $3, $4, $5)"
#define SQL_WAITING                                                                                \
    "SELECT " ROW_COLUMNS ", taken_by FROM runner_submissions JOIN runner_runs ON key = run "      \
    "WHERE taken_by = '' AND state IN ('pending', 'running') "                                     \
    "ORDER BY priority DESC, submitted_ms, run LIMIT $1"
#define SQL_TAKEN                                                                                  \
    "SELECT " ROW_COLUMNS ", taken_by FROM runner_runs JOIN runner_submissions ON key = run "      \
    "WHERE state IN ('pending', 'running') AND taken_by <> '' ORDER BY submitted_ms, id LIMIT $1"
#define SQL_HELD                                                                                   \
    "SELECT " ROW_COLUMNS ", held_by FROM runner_runs JOIN runner_submissions ON key = run "       \
    "WHERE state IN ('pending', 'running') AND held_by <> '' ORDER BY submitted_ms, id LIMIT $1"
#define SQL_PASS_HELD                                                                              \
    "UPDATE runner_submissions SET held_by = $3 WHERE run = (SELECT key FROM runner_runs WHERE "   \
    "id = $1 AND state IN ('pending', 'running')) AND held_by IN ($2, $3) RETURNING run"
#define SQL_READ                                                                                   \
    "SELECT file, options, taken_by, name FROM runner_submissions JOIN runner_runs ON key = run "  \
    "WHERE id = $1"
#define SQL_TAKE                                                                                   \
    "UPDATE runner_submissions SET taken_by = $2 WHERE run = (SELECT key FROM runner_runs WHERE "  \
    "id = $1 AND state IN ('pending', 'running')) AND taken_by IN ('', $2) "                       \
    "RETURNING file, options, taken_by, (SELECT name FROM runner_runs WHERE key = run)"
/* From one to another, of what has not begun. */
#define SQL_PASS                                                                                   \
    "UPDATE runner_submissions SET taken_by = $3 WHERE run = (SELECT key FROM runner_runs WHERE "  \
    "id = $1 AND version = 0 AND state = 'pending') AND taken_by = $2 RETURNING run"
#define SQL_END                                                                                    \
    "UPDATE runner_runs SET state = $2, reason = $3, error = $4, ended_ms = $5, exit_status = "    \
    "$6, "                                                                                         \
    "version = 1 WHERE id = $1 AND version = 0 RETURNING key"
#define SQL_EVENT "INSERT INTO runner_events (run, first, last, lines) VALUES ($1, 1, 1, $2)"

/* --- submitting --- */

struct submitting {
    struct store_submission *submissions;
    size_t count;
};

static struct db_value text_param(const char *text, struct arena *arena)
{
    return row_text(text ? text : "", text ? strlen(text) : 0, arena);
}

static int submit_one(const struct ctx *ctx, struct db *db, struct store_submission *submission,
                      bool again, struct err *err)
{
    CLEANUP_ARENA struct arena arena = {0};
    struct db_value params[5];
    int64_t key = 0;
    int64_t added = store_add_row(ctx, db, submission->run, &key, err);

    if (added < 0)
        return -1;
    submission->result = ERR_NONE;
    if (added == 0) {
        /* Ids are made of chance: it was this one, in an attempt that was written after all. */
        if (!again)
            submission->result = ERR_CONFLICT;
        return 0;
    }
    params[0] = DB_NUMBER(key);
    params[1] = DB_TEXT(submission->taken_by);
    params[2] = text_param(submission->options, &arena);
    params[3] = text_param(submission->file, &arena);
    params[4] = DB_TEXT(submission->held_by);
    return store_run_for_number(ctx, db, SQL_SUBMIT, params, 5, NULL, err) < 0 ? -1 : 0;
}

static int submit_body(const struct ctx *ctx, struct db *db, void *arg, bool again, struct err *err)
{
    const struct submitting *submitting = arg;

    for (size_t i = 0; i < submitting->count; i++) {
        if (submit_one(ctx, db, &submitting->submissions[i], again, err) < 0)
            return -1;
    }
    return 0;
}

static int check_submission(const struct store_submission *submission, struct err *err)
{
    const struct store_run *run = submission->run;

    if (!run->id || !store_id_valid(run->id))
        return err_set(err, ERR_INVALID, "\"%s\" cannot be the id of a run",
                       run->id ? run->id : "");
    if (run->state != STATE_PENDING)
        return err_set(err, ERR_INVALID, "run %s cannot be submitted: it is %s", run->id,
                       state_name(run->state));
    if (strlen(submission->file) > STORE_TEXT_MAX ||
        (submission->options && strlen(submission->options) > STORE_TEXT_MAX))
        return err_set(err, ERR_LIMIT, "the file or the options of run %s have more than %zu bytes",
                       run->id, STORE_TEXT_MAX);
    return 0;
}

int store_submit(const struct ctx *ctx, struct store *store, struct store_submission *submissions,
                 size_t count, struct err *err)
{
    struct submitting submitting = {.submissions = submissions, .count = count};

    for (size_t i = 0; i < count; i++) {
        if (check_submission(&submissions[i], err) < 0)
            return -1;
    }
    return store_work(ctx, store, DB_WRITE_SYNCED, submit_body, &submitting, err);
}

/* --- looking --- */

struct looking {
    const char *sql;
    int64_t limit;
    struct store_runs found;
};

static int take_run(void *arg, const struct db_value *row, struct err *err)
{
    struct store_runs *runs = &((struct looking *)arg)->found;
    const struct db_value *whose = &row[ROW_COLUMN_COUNT];
    struct store_run run;

    (void)err;
    if (row_read(row, &runs->arena, &run, NULL) < 0) {
        runs->left_out++;
        return 0;
    }
    run.owner = arena_strndup(&runs->arena, whose->text, whose->len);
    vec_push(runs, run);
    return 0;
}

static int look_body(const struct ctx *ctx, struct db *db, void *arg, bool again, struct err *err)
{
    struct looking *looking = arg;
    const struct db_value limit = DB_NUMBER(looking->limit);
    const struct db_query query = {
        .sql = looking->sql,
        .keep = true,
        .params = &limit,
        .param_count = 1,
        .row = take_run,
        .arg = looking,
    };

    (void)again;
    store_runs_release(&looking->found);
    looking->found.left_out = 0;
    return db->ops->run(ctx, db, &query, err) < 0 ? -1 : 0;
}

static int look(const struct ctx *ctx, struct store *store, const char *sql, int64_t limit,
                struct store_runs *ret, struct err *err)
{
    struct looking looking = {.sql = sql, .limit = limit > 0 ? limit : INT64_MAX};

    if (store_work(ctx, store, DB_READ, look_body, &looking, err) < 0) {
        store_runs_release(&looking.found);
        return -1;
    }
    looking.found.total = (int64_t)looking.found.len;
    *ret = looking.found;
    return 0;
}

int store_waiting(const struct ctx *ctx, struct store *store, int64_t limit, struct store_runs *ret,
                  struct err *err)
{
    return look(ctx, store, SQL_WAITING, limit, ret, err);
}

int store_taken(const struct ctx *ctx, struct store *store, struct store_runs *ret, struct err *err)
{
    return look(ctx, store, SQL_TAKEN, 0, ret, err);
}

int store_held(const struct ctx *ctx, struct store *store, struct store_runs *ret, struct err *err)
{
    return look(ctx, store, SQL_HELD, 0, ret, err);
}

/* --- those that are held --- */

struct passing_held {
    const char *const *ids;
    size_t count;
    const char *from;
    const char *to;
    struct strvec passed;
};

static int pass_held_body(const struct ctx *ctx, struct db *db, void *arg, bool again,
                          struct err *err)
{
    struct passing_held *passing = arg;

    (void)again; /* who has it already gets it */
    strvec_release(&passing->passed);
    for (size_t i = 0; i < passing->count; i++) {
        const struct db_value params[] = {
            DB_TEXT(passing->ids[i]),
            DB_TEXT(passing->from),
            DB_TEXT(passing->to),
        };
        int64_t rows = store_run_for_number(ctx, db, SQL_PASS_HELD, params, 3, NULL, err);

        if (rows < 0)
            return -1;
        if (rows > 0)
            strvec_push(&passing->passed, passing->ids[i]);
    }
    return 0;
}

int store_pass_held(const struct ctx *ctx, struct store *store, const char *const *ids,
                    size_t count, const char *from, const char *to, struct strvec *ret,
                    struct err *err)
{
    struct passing_held passing = {.ids = ids, .count = count, .from = from, .to = to};
    int status = store_work(ctx, store, DB_WRITE_SYNCED, pass_held_body, &passing, err);

    for (size_t i = 0; status == 0 && i < passing.passed.len; i++)
        strvec_push(ret, passing.passed.items[i]);
    strvec_release(&passing.passed);
    return status;
}

/* --- what is on its way --- */

static int take_moment(void *arg, const struct db_value *row, struct err *err)
{
    (void)err;
    *(struct store_moment *)arg = (struct store_moment){row[0].number, row[1].number};
    return 0;
}

static int moment_body(const struct ctx *ctx, struct db *db, void *arg, bool again, struct err *err)
{
    const struct db_query query = {.sql = db->ops->moment, .row = take_moment, .arg = arg};

    (void)again;
    return db->ops->run(ctx, db, &query, err) < 0 ? -1 : 0;
}

int store_moment(const struct ctx *ctx, struct store *store, struct store_moment *ret,
                 struct err *err)
{
    return store_work(ctx, store, DB_READ, moment_body, ret, err);
}

/* --- one of them --- */

struct passing {
    const char *id;
    const char *from;
    const char *to;
    const struct store_drop *drop;
    struct store_submitted found;
};

void store_submitted_release(struct store_submitted *submitted)
{
    arena_release(&submitted->arena);
}

static int take_submitted(void *arg, const struct db_value *row, struct err *err)
{
    struct store_submitted *found = arg;

    (void)err;
    found->file = arena_strndup(&found->arena, row[0].text, row[0].len);
    found->options = arena_strndup(&found->arena, row[1].text, row[1].len);
    found->taken_by = arena_strndup(&found->arena, row[2].text, row[2].len);
    found->name = arena_strndup(&found->arena, row[3].text, row[3].len);
    return 0;
}

/* Returns how many rows there were. */
static int64_t run_for_submitted(const struct ctx *ctx, struct db *db, const char *sql,
                                 const struct db_value *params, size_t count,
                                 struct store_submitted *ret, struct err *err)
{
    const struct db_query query = {
        .sql = sql,
        .keep = true,
        .params = params,
        .param_count = count,
        .row = take_submitted,
        .arg = ret,
    };

    arena_release(&ret->arena);
    return db->ops->run(ctx, db, &query, err);
}

static int not_found(const char *id, struct err *err)
{
    return err_set(err, ERR_NOT_FOUND, "there is no run %s in the store that was submitted", id);
}

/* Says why nothing was changed. If an attempt before may have done it, and the row is as that would
 * have left it, it did. */
static int refused(const struct ctx *ctx, struct db *db, const struct passing *passing, bool again,
                   struct err *err)
{
    const struct db_value id = DB_TEXT(passing->id);
    CLEANUP_STORE_SUBMITTED struct store_submitted now = {0};
    int64_t rows = run_for_submitted(ctx, db, SQL_READ, &id, 1, &now, err);

    if (rows < 0)
        return -1;
    if (rows == 0)
        return not_found(passing->id, err);
    if (again && strcmp(now.taken_by, passing->to) == 0)
        return 0;
    if (*now.taken_by && strcmp(now.taken_by, passing->to) != 0)
        return err_set(err, ERR_CONFLICT, "run %s has been taken already", passing->id);
    if (passing->from && *passing->from)
        return err_set(err, ERR_CONFLICT, "run %s has not been taken", passing->id);
    return err_set(err, ERR_CONFLICT, "run %s does not wait any more", passing->id);
}

static int read_body(const struct ctx *ctx, struct db *db, void *arg, bool again, struct err *err)
{
    struct passing *passing = arg;
    const struct db_value id = DB_TEXT(passing->id);
    int64_t rows = run_for_submitted(ctx, db, SQL_READ, &id, 1, &passing->found, err);

    (void)again;
    if (rows < 0)
        return -1;
    return rows == 0 ? not_found(passing->id, err) : 0;
}

static int take_body(const struct ctx *ctx, struct db *db, void *arg, bool again, struct err *err)
{
    struct passing *passing = arg;
    const struct db_value params[] = {DB_TEXT(passing->id), DB_TEXT(passing->to)};
    int64_t rows = run_for_submitted(ctx, db, SQL_TAKE, params, 2, &passing->found, err);

    (void)again; /* who has it already gets it */
    if (rows < 0)
        return -1;
    return rows == 0 ? refused(ctx, db, passing, false, err) : 0;
}

static int64_t pass(const struct ctx *ctx, struct db *db, const struct passing *passing,
                    struct err *err)
{
    const struct db_value params[] = {
        DB_TEXT(passing->id),
        DB_TEXT(passing->from),
        DB_TEXT(passing->to),
    };

    return store_run_for_number(ctx, db, SQL_PASS, params, 3, NULL, err);
}

static int pass_body(const struct ctx *ctx, struct db *db, void *arg, bool again, struct err *err)
{
    struct passing *passing = arg;
    int64_t passed = pass(ctx, db, passing, err);

    if (passed < 0)
        return -1;
    return passed == 0 ? refused(ctx, db, passing, again, err) : 0;
}

static int drop_body(const struct ctx *ctx, struct db *db, void *arg, bool again, struct err *err)
{
    struct passing *passing = arg;
    const struct store_drop *drop = passing->drop;
    CLEANUP_ARENA struct arena arena = {0};
    const struct db_value params[] = {
        DB_TEXT(drop->id),
        DB_TEXT(state_name(drop->state)),
        DB_TEXT(reason_name(drop->reason)),
        text_param(drop->error, &arena),
        DB_NUMBER(drop->ended_ms),
        DB_NUMBER(drop->exit_status),
    };
    struct db_value event[] = {DB_NUMBER(0), text_param(drop->event, &arena)};
    int64_t passed = pass(ctx, db, passing, err);
    int64_t key = 0;
    int64_t ended;

    if (passed <= 0)
        return passed < 0 ? -1 : refused(ctx, db, passing, again, err);
    ended = store_run_for_number(ctx, db, SQL_END, params, 6, &key, err);
    if (ended < 0)
        return -1;
    if (ended == 0)
        return err_set(err, ERR_CONFLICT, "run %s has begun", drop->id);
    event[0] = DB_NUMBER(key);
    return store_run_for_number(ctx, db, SQL_EVENT, event, 2, NULL, err) < 0 ? -1 : 0;
}

static int work_on(const struct ctx *ctx, struct store *store, enum db_mode mode, store_body body,
                   struct passing *passing, struct store_submitted *ret, struct err *err)
{
    if (!store_id_valid(passing->id))
        return not_found(passing->id, err);
    if (store_work(ctx, store, mode, body, passing, err) < 0) {
        store_submitted_release(&passing->found);
        return -1;
    }
    if (ret)
        *ret = passing->found;
    return 0;
}

int store_read_submitted(const struct ctx *ctx, struct store *store, const char *id,
                         struct store_submitted *ret, struct err *err)
{
    struct passing passing = {.id = id};

    return work_on(ctx, store, DB_READ, read_body, &passing, ret, err);
}

int store_take(const struct ctx *ctx, struct store *store, const char *id, const char *taken_by,
               struct store_submitted *ret, struct err *err)
{
    struct passing passing = {.id = id, .to = taken_by};

    return work_on(ctx, store, DB_WRITE_SYNCED, take_body, &passing, ret, err);
}

int store_give_back(const struct ctx *ctx, struct store *store, const char *id,
                    const char *taken_by, struct err *err)
{
    struct passing passing = {.id = id, .from = taken_by, .to = ""};

    return work_on(ctx, store, DB_WRITE_SYNCED, pass_body, &passing, NULL, err);
}

int store_drop(const struct ctx *ctx, struct store *store, const struct store_drop *drop,
               struct err *err)
{
    struct passing passing = {
        .id = drop->id,
        .from = drop->taken_by ? drop->taken_by : "",
        .to = DROPPED,
        .drop = drop,
    };

    return work_on(ctx, store, DB_WRITE_SYNCED, drop_body, &passing, NULL, err);
}
