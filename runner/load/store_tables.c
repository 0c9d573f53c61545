/* Files that outlive a job: caches and artifacts. */
#include "load/pipeline_tables.h"

#include "load/rows.h"
#include "spec/spec.h"

static const struct enum_name cache_policies[] = {{"pull-push", SPEC_CACHE_PULL_PUSH},
                                                  {"pull", SPEC_CACHE_PULL},
                                                  {"push", SPEC_CACHE_PUSH},
                                                  {0}};
static const struct enum_name outcomes[] = {{"on_success", SPEC_ON_SUCCESS},
                                            {"on_failure", SPEC_ON_FAILURE},
                                            {"always", SPEC_ALWAYS},
                                            {0}};

#define CACHE(member) IN(struct spec_cache, member)

static const struct field cache_fields[] = {
    {"key", "what the content depends on, such as `deps-{{ hashFiles('go.sum') }}`",
     .kind = FIELD_STRING, .flags = FIELD_REQUIRED | FIELD_EXTENSION, CACHE(key)},
    {"paths", "globs of files and directories in the workdir", .kind = FIELD_STRINGS,
     .flags = FIELD_REQUIRED | FIELD_EXTENSION, CACHE(paths), .check = check_glob},
    {"restore_keys",
     "beginnings of other keys to restore from when there is nothing for `key`; of several entries "
     "the newest",
     .kind = FIELD_STRINGS, EXTENSION, CACHE(restore_keys)},
    {"policy", "`pull`: only restore; `push`: only save", .kind = FIELD_ENUM, EXTENSION,
     CACHE(policy), .names = cache_policies, .default_text = "`pull-push`"},
    {"when", "after which end it is saved", .kind = FIELD_ENUM, EXTENSION, CACHE(when),
     .names = outcomes, .default_text = "`on_success`"},
    {"store", "where it is kept: `local`, or `s3://BUCKET/PREFIX`", .kind = FIELD_STRING, EXTENSION,
     CACHE(store), .check = check_store, .default_text = "`local`"},
};

const struct table cache_table = {
    .name = "cache",
    .help = "Files that are kept from run to run: restored before the first step of the job, or "
            "before the step, and saved at its end unless there is an entry for the key already. A "
            "cache that cannot be restored or saved is no failure. See docs/cache.md.",
    ROWS(cache_fields),
    .size = sizeof(struct spec_cache),
    .pos_offset = offsetof(struct spec_cache, pos),
    .check = check_cache,
};

#define ARTIFACT(member) EXTENSION, IN(struct spec_artifact, member)

static const struct field artifact_fields[] = {
    {"paths",
     "globs of the files to keep, relative to the pipeline's workdir; a directory means "
     "all that is below it",
     .kind = FIELD_STRINGS, ARTIFACT(paths), .check = check_glob},
    {"exclude", "globs of files to leave out", .kind = FIELD_STRINGS, ARTIFACT(exclude),
     .check = check_glob},
    {"name", "what they are called together; with `from`: only those of that name",
     .kind = FIELD_STRING, ARTIFACT(name), .default_text = "`artifacts`, or the id of the step"},
    {"when", "after which end they are kept", .kind = FIELD_ENUM, ARTIFACT(when), .names = outcomes,
     .default_text = "`on_success`"},
    {"expire_in", "how long they are kept, or `never`", .kind = FIELD_STRING, ARTIFACT(expire_in),
     .check = check_expiry, .default_text = "`30 days`"},
    {"optional", "that there are none, or that they cannot be kept, is no failure",
     .kind = FIELD_BOOL, ARTIFACT(optional), .default_text = "`false`"},
    {"store", "where they are kept: `local`, or `s3://BUCKET/PREFIX`", .kind = FIELD_STRING,
     ARTIFACT(store), .check = check_store, .default_text = "`local`"},
    {"from",
     "names of jobs that have ended before: their files come into the workdir before the "
     "first step",
     .kind = FIELD_STRINGS, ARTIFACT(from)},
};

const struct table artifact_table = {
    .name = "set of artifacts",
    .help = "Files that are kept after the run, and files that other jobs have kept. One map, or a "
            "list of them. A job may have both kinds, a step only keeps.",
    ROWS(artifact_fields),
    .size = sizeof(struct spec_artifact),
    .pos_offset = offsetof(struct spec_artifact, pos),
    .check = check_artifact,
};
