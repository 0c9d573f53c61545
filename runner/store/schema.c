#include "store/db.h"

/* Events are kept in blocks of those that were appended together, one a line: a run's end brings
 * thousands. `folded` is what is searched: name and id in lower case. Text is in the order of its
 * bytes everywhere.
 *
 * A submission is taken by a server, or "-": it ended before it had begun. It is held by the server
 * at which its client waits for it, if one does. */

const char *const db_sqlite_migrations[] = {
    "CREATE TABLE runner_runs (\n"
    "    key INTEGER PRIMARY KEY,\n"
    "    id TEXT NOT NULL UNIQUE,\n"
    "    name TEXT NOT NULL,\n"
    "    state TEXT NOT NULL,\n"
    "    reason TEXT NOT NULL,\n"
    "    origin TEXT NOT NULL,\n"
    "    owner TEXT NOT NULL,\n"
    "    submitted_ms INTEGER NOT NULL,\n"
    "    started_ms INTEGER NOT NULL,\n"
    "    ended_ms INTEGER NOT NULL,\n"
    "    error TEXT NOT NULL,\n"
    "    exit_status INTEGER NOT NULL,\n"
    "    version INTEGER NOT NULL,\n"
    "    log_bytes INTEGER NOT NULL,\n"
    "    directory TEXT NOT NULL,\n"
    "    client TEXT NOT NULL,\n"
    "    priority INTEGER NOT NULL,\n"
    "    folded TEXT NOT NULL\n"
    ") STRICT;\n"
    "CREATE INDEX runner_runs_newest ON runner_runs (submitted_ms, id, state, folded);\n"
    "CREATE INDEX runner_runs_state ON runner_runs (state, submitted_ms, id);\n"
    "CREATE TABLE runner_events (\n"
    "    run INTEGER NOT NULL REFERENCES runner_runs ON DELETE CASCADE,\n"
    "    last INTEGER NOT NULL,\n"
    "    first INTEGER NOT NULL,\n"
    "    lines TEXT NOT NULL,\n"
    "    PRIMARY KEY (run, last)\n"
    ") STRICT;\n"
    "CREATE TABLE runner_snapshots (\n"
    "    run INTEGER PRIMARY KEY REFERENCES runner_runs ON DELETE CASCADE,\n"
    "    version INTEGER NOT NULL,\n"
    "    tree TEXT NOT NULL\n"
    ") STRICT;\n",
    "CREATE TABLE runner_submissions (\n"
    "    run INTEGER PRIMARY KEY REFERENCES runner_runs ON DELETE CASCADE,\n"
    "    taken_by TEXT NOT NULL,\n"
    "    options TEXT NOT NULL,\n"
    "    file TEXT NOT NULL\n"
    ") STRICT;\n"
    "CREATE INDEX runner_submissions_waiting ON runner_submissions (run) WHERE taken_by = '';\n",
    "ALTER TABLE runner_submissions ADD COLUMN held_by TEXT NOT NULL DEFAULT '';\n",
};
const int db_sqlite_version = sizeof(db_sqlite_migrations) / sizeof(*db_sqlite_migrations);

const char *const db_postgresql_migrations[] = {
    "CREATE TABLE runner_meta (version BIGINT NOT NULL);\n"
    "INSERT INTO runner_meta VALUES (0);\n"
    "CREATE TABLE runner_runs (\n"
    "    key BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,\n"
    "    id TEXT COLLATE \"C\" NOT NULL UNIQUE,\n"
    "    name TEXT NOT NULL,\n"
    "    state TEXT COLLATE \"C\" NOT NULL,\n"
    "    reason TEXT NOT NULL,\n"
    "    origin TEXT NOT NULL,\n"
    "    owner TEXT NOT NULL,\n"
    "    submitted_ms BIGINT NOT NULL,\n"
    "    started_ms BIGINT NOT NULL,\n"
    "    ended_ms BIGINT NOT NULL,\n"
    "    error TEXT NOT NULL,\n"
    "    exit_status BIGINT NOT NULL,\n"
    "    version BIGINT NOT NULL,\n"
    "    log_bytes BIGINT NOT NULL,\n"
    "    directory TEXT NOT NULL,\n"
    "    client TEXT NOT NULL,\n"
    "    priority BIGINT NOT NULL,\n"
    "    folded TEXT COLLATE \"C\" NOT NULL\n"
    ");\n"
    "CREATE INDEX runner_runs_newest ON runner_runs (submitted_ms, id);\n"
    "CREATE INDEX runner_runs_state ON runner_runs (state, submitted_ms, id);\n"
    "CREATE TABLE runner_events (\n"
    "    run BIGINT NOT NULL REFERENCES runner_runs ON DELETE CASCADE,\n"
    "    last BIGINT NOT NULL,\n"
    "    first BIGINT NOT NULL,\n"
    "    lines TEXT NOT NULL,\n"
    "    PRIMARY KEY (run, last)\n"
    ");\n"
    "CREATE TABLE runner_snapshots (\n"
    "    run BIGINT PRIMARY KEY REFERENCES runner_runs ON DELETE CASCADE,\n"
    "    version BIGINT NOT NULL,\n"
    "    tree TEXT NOT NULL\n"
    ");\n",
    "CREATE TABLE runner_submissions (\n"
    "    run BIGINT PRIMARY KEY REFERENCES runner_runs ON DELETE CASCADE,\n"
    "    taken_by TEXT NOT NULL,\n"
    "    options TEXT NOT NULL,\n"
    "    file TEXT NOT NULL\n"
    ");\n"
    "CREATE INDEX runner_submissions_waiting ON runner_submissions (run) WHERE taken_by = '';\n",
    "ALTER TABLE runner_submissions ADD COLUMN held_by TEXT NOT NULL DEFAULT '';\n",
};
const int db_postgresql_version =
    sizeof(db_postgresql_migrations) / sizeof(*db_postgresql_migrations);
