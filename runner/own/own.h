/* Ownership: who made what, written down before it is made.
 *
 * A run has an id and an owner (this process). Everything it creates outside of the process carries
 * both from the create call on, as labels, annotations or an environment cookie, so that it can be
 * found again without the process; and the run's journal, a file that the owner keeps locked, says
 * where to look (which daemons were used, which directories were made). A journal whose lock is
 * free belongs to a dead owner.
 *
 *     own_run_begin(NULL, &run, err)            journal locked; to be found once it has a note
 *     own_run_note(run, OWN_ENDPOINT, url)      before the first request to that daemon
 *     own_run_note(run, OWN_DIRECTORY, path)    before mkdir
 *     own_run_forget(...)                       after it is gone again
 *     own_run_end(run)                          journal removed
 *
 * Threads: notes may be added from any thread. The lock follows the open file description, so a
 * forked keeper holds it too. Notes survive the death of the process; they are not synced to disk,
 * because a crash of the machine ends everything that they point to, or shows in its labels. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/err.h"
#include "base/map.h"
#include "base/vec.h"

/* Label keys on containers, networks and volumes. */
#define OWN_LABEL_RUN   "dev.runner.run"   /* run id */
#define OWN_LABEL_OWNER "dev.runner.owner" /* own_owner_format() */
#define OWN_LABEL_ROLE  "dev.runner.role"  /* step, holder, watchdog, workspace … */
#define OWN_LABEL_ID    "dev.runner.id"    /* RUN.0.1.2: the job or step it serves */
/* Environment of every process of a run on a host. */
#define OWN_COOKIE "PIPELINE_ID"

#define OWN_RUN_ID_SIZE 32

enum own_kind {
    OWN_ENDPOINT,  /* an engine URL that may hold objects of the run, in the form that both
                    * engine_find() and connect() take: "docker://unix:///var/run/docker.sock",
                    * "host" */
    OWN_DIRECTORY, /* a temporary directory (absolute), removed with everything in it */
};

/* Identity of a process that survives pid reuse, reboots and PID namespaces. */
struct own_owner {
    char boot_id[40];
    unsigned long long pid_namespace; /* inode of /proc/self/ns/pid */
    pid_t pid;
    unsigned long long start_time; /* field 22 of /proc/PID/stat */
};

enum own_liveness { OWN_ALIVE, OWN_DEAD, OWN_FOREIGN /* cannot be told from here */ };

void own_owner_self(struct own_owner *owner);
/* "BOOT/PIDNS/PID/START" */
void own_owner_format(const struct own_owner *owner, char *out, size_t size);
int own_owner_parse(const char *text, struct own_owner *ret, struct err *err)
    __attribute__((warn_unused_result));
enum own_liveness own_owner_liveness(const struct own_owner *owner);

struct own_run;

/* A new run id: 22 characters, that sort by time. */
int own_run_make_id(char out[OWN_RUN_ID_SIZE], struct err *err) __attribute__((warn_unused_result));
/* Makes the run id and the journal in `state_dir`. NULL means the
 * first of these that can be used: $XDG_RUNTIME_DIR/runner, $XDG_STATE_HOME/runner,
 * ~/.local/state/runner, /tmp/runner-UID. A directory that belongs to somebody else, is open to
 * others or is a symbolic link is not used. */
int own_run_begin(const char *state_dir, struct own_run **ret, struct err *err)
    __attribute__((warn_unused_result));
/* The same with an id that was made before. ERR_CONFLICT: there is a journal of such a run; as the
 * one that has nothing noted yet cannot be seen, this keeps only runs apart that follow each
 * other. ERR_INVALID: no run has such an id. */
int own_run_begin_as(const char *state_dir, const char *run_id, struct own_run **ret,
                     struct err *err) __attribute__((warn_unused_result));
const char *own_run_id(const struct own_run *run);
/* The directory of the journal; the caller's. */
char *own_run_state_dir(const struct own_run *run);
/* The labels that every object of the run carries (run and owner). */
const struct strmap *own_run_labels(const struct own_run *run);
/* A directory of the run's own for temporary files, below $TMPDIR or /tmp; made on first use,
 * removed by own_run_end(). Others can enter it (a step may run as another user) but not list it:
 * what is private goes into a subdirectory with mode 0700. */
const char *own_run_temp_dir(struct own_run *run, struct err *err);
/* The descriptor that holds the lock, for a keeper to leave open. */
int own_run_fd(const struct own_run *run);

/* Written to the file before it returns. Noting the same thing twice is harmless. */
int own_run_note(struct own_run *run, enum own_kind kind, const char *what, struct err *err)
    __attribute__((warn_unused_result));
void own_run_forget(struct own_run *run, enum own_kind kind, const char *what);
/* All of them at once: whoever reads the journal finds either all or none. */
void own_run_forget_all(struct own_run *run, enum own_kind kind, const struct strvec *what);
/* Something of the run could not be removed: own_run_end() leaves the journal to the next sweep. */
void own_run_leave(struct own_run *run);
/* Removes what is noted as a directory and then the journal, and frees; NULL is fine. A journal
 * whose directories could not be removed, or of own_run_leave(), stays for the next sweep. Reads
 * the notes back from the file, so that a keeper may call it on the copy that it got by its fork.
 */
void own_run_end(struct own_run *run);
/* Frees without removing anything: what a run that keeps its things does (--keep). The next sweep
 * takes them for a dead owner's. */
void own_run_abandon(struct own_run *run);

/* A journal as a sweep finds it. */
struct own_journal {
    char *path;
    char run_id[OWN_RUN_ID_SIZE];
    bool alive; /* its owner, or the owner's keeper, holds the lock */
    char **endpoints;
    size_t endpoint_count;
    char **directories;
    size_t directory_count;
};

/* Reads all journals in state_dir; NULL: in every directory that own_run_begin() could have chosen.
 * A torn last line, left by a death in mid-write, is ignored. The array and its parts go to the
 * caller: own_journals_free(). */
int own_journals_read(const char *state_dir, struct own_journal **ret, size_t *ret_count,
                      struct err *err) __attribute__((warn_unused_result));
void own_journals_free(struct own_journal *journals, size_t count);
/* What the run itself has noted so far, also when asked by its keeper; `alive` is true. Release
 * with own_journals_free(journal, 1). */
int own_run_journal(const struct own_run *run, struct own_journal **ret, struct err *err)
    __attribute__((warn_unused_result));
/* Removes the noted directories and then the journal itself of a dead owner. ERR_CONFLICT if it has
 * an owner after all. */
int own_journal_remove(const struct own_journal *journal, struct err *err)
    __attribute__((warn_unused_result));
