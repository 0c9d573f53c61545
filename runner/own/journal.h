/* The journal file: internal to own/.
 *
 * STATE/RUNID.journal, mode 0600, one JSON object a line, only ever appended to:
 *
 *     {"note":"endpoint","what":"docker://unix:///var/run/docker.sock"}
 *     {"forget":"directory","what":"/tmp/runner-…"} */
#pragma once

#include "base/buf.h"
#include "base/vec.h"
#include "own/own.h"

#define JOURNAL_SUFFIX ".journal"

const char *journal_kind_name(enum own_kind kind);
/* Directories that may hold journals, best first; the strings are the vector's. */
void journal_state_dirs(const char *state_dir, struct strvec *out);
/* One line, complete with its newline; nothing if `what` is not UTF-8. */
void journal_format(struct buf *line, const char *verb, enum own_kind kind, const char *what);
/* Reads the whole file from its beginning, whatever the position of fd. */
int journal_read_fd(int fd, const char *path, struct own_journal *ret, struct err *err)
    __attribute__((warn_unused_result));
void journal_release(struct own_journal *journal);
/* Removes directories (all are tried; the first failure is the error) and then, unless it is to be
 * kept, the file. */
int journal_discard(const struct own_journal *journal, bool keep_file, struct err *err);
