/* Reports: files that say how a run went, written at its end.
 * Source: command line reference, `--report`. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/fs_writer.h"
#include "event/node.h"
#include "report/log_spool.h"

/* What a report is made from: everything has ended. */
struct report_source {
    const struct node *root;
    const char *run_id;
    const struct log_spool *logs; /* NULL unless some format wants output */
};

struct report_format {
    const char *name; /* "json" in `--report json=FILE` */
    bool wants_output;
    int (*write)(const struct report_source *source, struct fs_writer *out, struct err *err);
};

struct report {
    const struct report_format *format;
    const char *path; /* borrowed */
};

/* NULL-terminated. */
extern const struct report_format *const report_formats[];

/* Reads "FORMAT=FILE", and looks whether that file can be written: after an hour's run it is too
 * late. The path borrows from `text`. */
int report_parse(const char *text, struct report *ret, struct err *err)
    __attribute__((warn_unused_result));
int report_write(const struct report *report, const struct report_source *source, struct err *err)
    __attribute__((warn_unused_result));

extern const struct report_format report_json;
/* JUnit XML, as GitLab and Jenkins read it: a test suite for each job, a test case for each step.
 */
extern const struct report_format report_junit;
/* One page without anything outside of it. */
extern const struct report_format report_html;
