#include "store/db.h"

/* Events are kept in blocks of those that were appended together, one a line: a run's end brings
 * thousands. `folded` is what is searched: name and id in lower case. Text is in the order of its
 * bytes everywhere. */

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
};
const int db_sqlite_version = sizeof(db_sqlite_migrations) / sizeof(*db_sqlite_migrations);
