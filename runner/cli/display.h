/* How commands show a run while it goes on, be it theirs or elsewhere: the options, and the sink
 * that belongs to them.
 *
 *     display_prepare(&options)                          a process of one thread
 *     display_start(&options, bus, run_id, &display, err)
 *     …                                                  events
 *     display_summary(display, root)
 *     display_finish(display, &end, status)               until all is written
 */
#pragma once

#include "event/event.h"
#include "event/output_queue.h"

/* Auto is tty on a terminal and plain elsewhere. */
enum display_progress {
    DISPLAY_AUTO,
    DISPLAY_TTY,
    DISPLAY_PLAIN,
    DISPLAY_JSON,
};

struct display_options {
    int progress; /* enum display_progress */
    bool no_color;
    bool timestamps;
};

extern const char *const display_progress_choices[];

/* Rows of an option table, for an argument struct `of` with a member struct display_options
 * `display`. */
/* clang-format off */
#define DISPLAY_OPTIONS(of)                                                                        \
    {"progress", 0, CLI_CHOICE, offsetof(of, display.progress), NULL, "how to show the run",       \
     display_progress_choices, NULL},                                                              \
    {"timestamps", 0, CLI_FLAG, offsetof(of, display.timestamps), NULL,                            \
     "put the time before each line", NULL, NULL},                                                 \
    {"no-color", 0, CLI_FLAG, offsetof(of, display.no_color), NULL, "no colours", NULL, NULL}
/* clang-format on */

struct display;

/* Finds out what auto means, and blocks signals that a live display reads. */
void display_prepare(struct display_options *options);
/* The bus and the id are borrowed until display_finish(). */
int display_start(const struct display_options *options, struct event_bus *bus, const char *run_id,
                  struct display **ret, struct err *err) __attribute__((warn_unused_result));
/* The table at the end, for people. Nothing is live any more; notes of display_say() may follow. */
void display_summary(struct display *display, const struct node *root);
/* A line on standard error, behind all that was shown before. */
void display_say(struct display *display, const char *text);
struct display_end {
    const struct ctx *ctx; /* of the run */
    /* The first signal that came; 0: none. */
    int (*first_signal)(const void *arg);
    const void *arg;
    const char *who; /* comes before what could not be written */
};

/* Waits until all is written, which a reader that does not read holds up: when the context ends, or
 * ended before, that is given up a little later; but whoever has pressed ^C can do that a second
 * time. Frees. Returns the exit status of the command, which would be `status`: that of the signal
 * when something was given up, and a failure, which is said, when something could not be written.
 * NULL is fine. */
int display_finish(struct display *display, const struct display_end *end, int status);
/* The same where what becomes of the output does not matter any more. */
void display_drop(struct display *display, const struct ctx *ctx);
