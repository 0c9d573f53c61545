/* When something runs, how often, and beside what. */
#include "load/pipeline_tables.h"

#include "load/rows.h"
#include "spec/spec.h"

static const struct enum_name conditions[] = {{"succeeded", SPEC_CONDITION_SUCCEEDED},
                                              {"failed", SPEC_CONDITION_FAILED},
                                              {"completed", SPEC_CONDITION_COMPLETED},
                                              {0}};
static const struct enum_name backoffs[] = {{"constant", SPEC_BACKOFF_CONSTANT},
                                            {"linear", SPEC_BACKOFF_LINEAR},
                                            {"exponential", SPEC_BACKOFF_EXPONENTIAL},
                                            {0}};

#define DEPENDENCY(member) EXTENSION, IN(struct spec_dependency, member)

static const struct field dependency_fields[] = {
    {"step", "id or name of a step of the job", .kind = FIELD_STRING, DEPENDENCY(name)},
    {"job", "name of a job of the stage", .kind = FIELD_STRING, DEPENDENCY(name)},
    {"stage", "name of a stage", .kind = FIELD_STRING, DEPENDENCY(name)},
    {"condition", "how that must have ended", .kind = FIELD_ENUM, DEPENDENCY(condition),
     .names = conditions, .default_text = "`succeeded`"},
};

const struct table dependency_table = {
    .name = "dependency",
    .help = "What has to end before a stage, job or step starts, and how. A plain string is its "
            "name.",
    ROWS(dependency_fields),
    .size = sizeof(struct spec_dependency),
    .pos_offset = offsetof(struct spec_dependency, pos),
    .check = check_dependency,
    .short_form = &dependency_fields[0],
};

#define WHEN(member) EXTENSION, IN(struct spec_when, member)

static const struct field when_fields[] = {
    {"env", "variables and the globs that their values match", .kind = FIELD_MATCHES, WHEN(env)},
    {"exists", "globs of files in the workdir, one of which exists", .kind = FIELD_STRINGS,
     WHEN(exists), .check = check_glob},
    {"changed", "globs of files, one of which differs from the commit before",
     .kind = FIELD_STRINGS, WHEN(changed), .check = check_glob},
    {"branch", "globs of the branch", .kind = FIELD_STRINGS, WHEN(branch), .check = check_glob},
    {"event", "globs of the event that started the run, such as `push` or `manual`",
     .kind = FIELD_STRINGS, WHEN(event), .check = check_glob},
    {"status", "`success`, `failure` or both: how all before it went", .kind = FIELD_STRINGS,
     WHEN(status), .check = check_status},
    {"expr", "an expression, as in `if`", .kind = FIELD_EXPRESSION, WHEN(expr)},
};

const struct table when_table = {
    .name = "when",
    .help = "Conditions, all of which must hold; otherwise it is skipped.",
    ROWS(when_fields),
    .size = sizeof(struct spec_when),
    .pos_offset = offsetof(struct spec_when, pos),
};

#define FLOW(member) EXTENSION, IN(struct spec_flow, member)

static const struct field flow_fields[] = {
    {"if", "expression; when it is false, it is skipped", .kind = FIELD_EXPRESSION, FLOW(condition),
     .default_text = "`success()`"},
    {"when", "conditions, see below", .kind = FIELD_OBJECT, FLOW(when), .table = &when_table},
    {"depends_on",
     "what has to end first; replaces the order of the file at this level; `[]`: nothing",
     .kind = FIELD_OBJECTS, .flags = FIELD_EXTENSION | FIELD_ONE | FIELD_EMPTY,
     .given_offset = offsetof(struct spec_flow, has_depends_on),
     COUNTED(struct spec_flow, depends_on, depends_on_count), .table = &dependency_table},
    {"allow_failure", "failures that do not count: all, or those exit codes",
     .kind = FIELD_FAILURES, FLOW(allow_failure), .default_text = "`false`"},
};

const struct table flow_table = {
    .name = "order and conditions",
    .help = "These keys may be given on a stage, a job or a step. They are not inherited.",
    ROWS(flow_fields),
    .size = sizeof(struct spec_flow),
    .pos_offset = -1,
};

#define RETRY(member) EXTENSION, IN(struct spec_retry, member)

static const struct field retry_fields[] = {
    {"attempts", "how often it is tried at most, the first time included", .kind = FIELD_COUNT,
     RETRY(attempts), .default_text = "`2`"},
    {"delay", "pause before the second attempt", .kind = FIELD_DURATION, RETRY(delay_ms),
     .default_text = "none"},
    {"backoff", "how the pause grows from attempt to attempt", .kind = FIELD_ENUM, RETRY(backoff),
     .names = backoffs, .default_text = "`constant`"},
    {"max_delay", "longest pause", .kind = FIELD_DURATION, RETRY(max_delay_ms),
     .default_text = "`5m`"},
    {"jitter", "shorten each pause by a random part of up to a half", .kind = FIELD_BOOL,
     RETRY(jitter), .default_text = "`false`"},
    {"on",
     "only after these: exit codes, `timeout`, `lost`, `oom`, `image_pull`, `engine`, `evicted`, "
     "`unschedulable`",
     .kind = FIELD_STRINGS, RETRY(on), .check = check_retry_cause, .default_text = "every failure"},
    {"not_on", "not after these", .kind = FIELD_STRINGS, RETRY(not_on), .check = check_retry_cause},
};

static const struct field retry_again = {"retry", "further attempts", .kind = FIELD_COUNT,
                                         RETRY(again)};

static void init_retry(void *object)
{
    spec_retry_init(object);
}

const struct table retry_table = {
    .name = "retry",
    .help =
        "A failed attempt is repeated. A plain number says how often it is tried again. What was "
        "cancelled is never tried again, and no attempt goes on beyond the limits of the levels "
        "above.",
    ROWS(retry_fields),
    .size = sizeof(struct spec_retry),
    .pos_offset = offsetof(struct spec_retry, pos),
    .init = init_retry,
    .short_form = &retry_again,
};

#define MATRIX(member) EXTENSION, IN(struct spec_matrix, member)

static const struct field matrix_axis = {"axis", "values of a further axis", .kind = FIELD_MATCHES,
                                         MATRIX(axes)};

static const struct field matrix_fields[] = {
    {"include", "further combinations, or further keys of those that match",
     .kind = FIELD_PAIRS_LIST, EXTENSION, COUNTED(struct spec_matrix, include, include_count)},
    {"exclude", "combinations to leave out", .kind = FIELD_PAIRS_LIST, EXTENSION,
     COUNTED(struct spec_matrix, exclude, exclude_count)},
    {"max_parallel", "most of its jobs at a time", .kind = FIELD_COUNT, MATRIX(max_parallel)},
    {"fail_fast", "the first of its jobs that fails cancels the others of it", .kind = FIELD_BOOL,
     MATRIX(fail_fast), .default_text = "that of the stage"},
};

static void init_matrix(void *object)
{
    spec_matrix_init(object);
}

const struct table matrix_table = {
    .name = "matrix",
    .help = "The job runs once for each combination of the axes' values, found as `matrix.NAME` in "
            "expressions. Every key that is not listed here is the name of an axis, with a list of "
            "values.",
    ROWS(matrix_fields),
    .size = sizeof(struct spec_matrix),
    .pos_offset = offsetof(struct spec_matrix, pos),
    .init = init_matrix,
    .check = check_matrix,
    .others = &matrix_axis,
};

#define POST(member) EXTENSION, IN(struct spec_post, member)

static const struct field post_fields[] = {
    {"always", "runs whatever happened", .kind = FIELD_SCRIPT, POST(always)},
    {"success", "runs after success", .kind = FIELD_SCRIPT, POST(success)},
    {"failure", "runs after failure or timeout", .kind = FIELD_SCRIPT, POST(failure)},
    {"cancelled", "runs after a cancel", .kind = FIELD_SCRIPT, POST(cancelled)},
};

const struct table post_table = {
    .name = "post",
    .help = "Scripts for the end of the pipeline, a stage or a job. A plain string is the same as "
            "`always`.",
    ROWS(post_fields),
    .size = sizeof(struct spec_post),
    .pos_offset = offsetof(struct spec_post, pos),
    .short_form = &post_fields[0],
};

static const struct field concurrency_fields[] = {
    {"group", "its name; of one name one at a time", .kind = FIELD_STRING,
     .flags = FIELD_REQUIRED | FIELD_EXTENSION, IN(struct spec_concurrency, group)},
    {"cancel_in_progress", "end the runs that are before it, with SIGTERM, instead of waiting",
     .kind = FIELD_BOOL, EXTENSION, IN(struct spec_concurrency, cancel_in_progress),
     .default_text = "`false`"},
};

const struct table concurrency_table = {
    .name = "concurrency",
    .help = "Runs, or jobs, of one group exclude each other on this machine, for one user, in the "
            "order in which they come. A plain string is the group. The wait does not count for "
            "a `timeout` of its own level. Jobs of one run only wait for each other.",
    ROWS(concurrency_fields),
    .size = sizeof(struct spec_concurrency),
    .pos_offset = offsetof(struct spec_concurrency, pos),
    .short_form = &concurrency_fields[0],
};
