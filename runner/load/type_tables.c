/* What `config` takes, by the step's `type`. */
#include "load/pipeline_tables.h"

#include "load/rows.h"
#include "spec/spec.h"

#define CONFIG(member) EXTENSION, IN(struct spec_config, member)
#define REQUIRED_CONFIG(member)                                                                    \
    .flags = FIELD_EXTENSION | FIELD_REQUIRED, IN(struct spec_config, member)

/* A table of that struct; `title` is its name. */
#define CONFIG_TABLE(title)                                                                        \
    .name = "config of " title, .size = sizeof(struct spec_config),                                \
    .pos_offset = offsetof(struct spec_config, pos), .init = init_config

static void init_config(void *object)
{
    spec_config_init(object);
}

static const struct field fetch_code_fields[] = {
    {"repository", "URL or path of the git repository; a user and password in it go into no log",
     .kind = FIELD_STRING, REQUIRED_CONFIG(repository)},
    {"ref", "branch, tag or commit", .kind = FIELD_STRING, CONFIG(ref),
     .default_text = "the repository's own branch"},
    {"path", "directory for the files, in the workdir; empty, not there, or from an earlier run",
     .kind = FIELD_STRING, CONFIG(path), .default_text = "the workdir itself"},
    {"depth", "how many commits of history", .kind = FIELD_COUNT, CONFIG(depth),
     .default_text = "all of it"},
    {"submodules", "with all submodules, and theirs", .kind = FIELD_BOOL, CONFIG(submodules),
     .default_text = "`false`"},
    {"clean", "throw away what an earlier run, or you, left there beside or in place of the commit",
     .kind = FIELD_BOOL, CONFIG(clean), .default_text = "`false`"},
    {"username", "for `http` and `https`", .kind = FIELD_STRING, CONFIG(username),
     .default_text = "`git` with a password"},
    {"password", "likewise, or a token; it is masked", .kind = FIELD_STRING, CONFIG(password)},
};

const struct table fetch_code_table = {
    CONFIG_TABLE("fetch_code"),
    .help = "A commit of a git repository becomes files. Its id is the output `commit`.",
    ROWS(fetch_code_fields),
};

static const struct enum_name build_tools[] = {
    {"make", SPEC_TOOL_MAKE},     {"cmake", SPEC_TOOL_CMAKE},
    {"go", SPEC_TOOL_GO},         {"cargo", SPEC_TOOL_CARGO},
    {"npm", SPEC_TOOL_NPM},       {"maven", SPEC_TOOL_MAVEN},
    {"gradle", SPEC_TOOL_GRADLE}, {0}};
static const struct enum_name test_tools[] = {
    {"make", SPEC_TOOL_MAKE},     {"cmake", SPEC_TOOL_CMAKE},   {"go", SPEC_TOOL_GO},
    {"cargo", SPEC_TOOL_CARGO},   {"npm", SPEC_TOOL_NPM},       {"maven", SPEC_TOOL_MAVEN},
    {"gradle", SPEC_TOOL_GRADLE}, {"pytest", SPEC_TOOL_PYTEST}, {0}};

#define DIRECTORY                                                                                  \
    {                                                                                              \
        "directory", "where it works, in the workdir", .kind = FIELD_STRING, CONFIG(path),         \
                                                       .default_text = "the workdir itself"        \
    }
#define ARGS                                                                                       \
    {                                                                                              \
        "args", "further arguments of the tool", .kind = FIELD_STRINGS, CONFIG(args)               \
    }

static const struct field build_fields[] = {
    {"tool", "what builds; without it the step's `command` does", .kind = FIELD_ENUM, CONFIG(tool),
     .names = build_tools},
    {"targets", "what is built: targets, packages, goals, tasks, or the script of npm",
     .kind = FIELD_STRINGS, CONFIG(targets), .default_text = "what is usual, see docs/types.md"},
    ARGS,
    DIRECTORY,
};

const struct table build_table = {
    CONFIG_TABLE("build"),
    .help = "A program is built, by a tool or by the step's `command`.",
    ROWS(build_fields),
};

static const struct field test_fields[] = {
    {"tool", "what tests; without it the step's `command` does", .kind = FIELD_ENUM, CONFIG(tool),
     .names = test_tools},
    {"targets", "what is tested: targets, packages, goals, tasks, files, or the script of npm",
     .kind = FIELD_STRINGS, CONFIG(targets), .default_text = "what is usual, see docs/types.md"},
    ARGS,
    DIRECTORY,
};

const struct table test_table = {
    CONFIG_TABLE("test"),
    .help = "A program is tested, by a tool or by the step's `command`.",
    ROWS(test_fields),
};

static const struct enum_name scan_tools[] = {{"trivy", SPEC_TOOL_TRIVY},
                                              {"gitleaks", SPEC_TOOL_GITLEAKS},
                                              {"semgrep", SPEC_TOOL_SEMGREP},
                                              {"bandit", SPEC_TOOL_BANDIT},
                                              {0}};
static const struct enum_name severities[] = {{"low", SPEC_SEVERITY_LOW},
                                              {"medium", SPEC_SEVERITY_MEDIUM},
                                              {"high", SPEC_SEVERITY_HIGH},
                                              {"critical", SPEC_SEVERITY_CRITICAL},
                                              {0}};

static const struct field security_scan_fields[] = {
    {"tool", "what scans", .kind = FIELD_ENUM, REQUIRED_CONFIG(tool), .names = scan_tools},
    {"path", "file or directory that is scanned, in the workdir", .kind = FIELD_STRING,
     CONFIG(path), .default_text = "the workdir itself"},
    {"image", "container image that is scanned in place of files, by `trivy`", .kind = FIELD_STRING,
     CONFIG(image)},
    {"severity", "the least that counts as a finding; `gitleaks` has no severities",
     .kind = FIELD_ENUM, CONFIG(severity), .names = severities,
     .default_text = "all that the tool reports"},
    {"report", "file that gets the findings, as JSON", .kind = FIELD_STRING, CONFIG(report)},
    ARGS,
};

const struct table security_scan_table = {
    CONFIG_TABLE("security_scan"),
    .help = "Files or an image are looked through; the step fails if there is a finding.",
    ROWS(security_scan_fields),
};

static const struct enum_name deploy_tools[] = {{"copy", SPEC_TOOL_COPY},
                                                {"rsync", SPEC_TOOL_RSYNC},
                                                {0}};

static const struct field deploy_fields[] = {
    {"tool", "what deploys; without it the step's `command` does", .kind = FIELD_ENUM, CONFIG(tool),
     .names = deploy_tools},
    {"source", "files and directories, or globs of such; `DIRECTORY/` means what is in it",
     .kind = FIELD_STRINGS, CONFIG(source)},
    {"destination", "directory they go to; with `rsync` also `HOST:DIRECTORY`, over ssh",
     .kind = FIELD_STRING, CONFIG(destination)},
    {"delete", "with `rsync`: remove what the source does not have", .kind = FIELD_BOOL,
     CONFIG(remove), .default_text = "`false`"},
    ARGS,
    DIRECTORY,
};

const struct table deploy_table = {
    CONFIG_TABLE("deploy"),
    .help = "Files go to where they are used, by a tool or by the step's `command`.",
    ROWS(deploy_fields),
    .check = check_deploy,
};

static const struct enum_name methods[] = {
    {"GET", SPEC_METHOD_GET},     {"POST", SPEC_METHOD_POST},     {"PUT", SPEC_METHOD_PUT},
    {"PATCH", SPEC_METHOD_PATCH}, {"DELETE", SPEC_METHOD_DELETE}, {0}};
static const struct enum_name formats[] = {{"json", SPEC_MESSAGE_JSON},
                                           {"discord", SPEC_MESSAGE_DISCORD},
                                           {"dingtalk", SPEC_MESSAGE_DINGTALK},
                                           {"wecom", SPEC_MESSAGE_WECOM},
                                           {"plain", SPEC_MESSAGE_PLAIN},
                                           {0}};

static const struct field notify_fields[] = {
    {"url", "where the request goes", .kind = FIELD_STRING, REQUIRED_CONFIG(url),
     .check = check_web_url},
    {"message", "text for people", .kind = FIELD_STRING, CONFIG(message)},
    {"format",
     "what the message becomes; `json` is `{\"text\": …}`, which Slack, Mattermost, Google Chat "
     "and Teams take",
     .kind = FIELD_ENUM, CONFIG(format), .names = formats, .default_text = "`json`"},
    {"body", "what is sent in place of a message, as it is", .kind = FIELD_STRING, CONFIG(body)},
    {"method", "of the request", .kind = FIELD_ENUM, CONFIG(method), .names = methods,
     .default_text = "`POST`"},
    {"headers", "of the request", .kind = FIELD_PAIRS, CONFIG(headers)},
};

const struct table notify_table = {
    CONFIG_TABLE("notify"),
    .help = "A request to a web hook. An answer of 400 or more fails the step.",
    ROWS(notify_fields),
    .check = check_notify,
};

static const struct field custom_setting = {"config", "any setting", .kind = FIELD_PAIRS,
                                            .flags = FIELD_EXTENSION | FIELD_JSON_VALUES,
                                            IN(struct spec_config, settings)};

const struct table custom_table = {
    CONFIG_TABLE("custom"),
    .help = "Any keys. The step's `command` finds them as `PIPELINE_CONFIG_<KEY>`; lists and maps "
            "as JSON.",
    .others = &custom_setting,
};

const struct enum_name step_type_names[] = {{"fetch_code", SPEC_TYPE_FETCH_CODE},
                                            {"build", SPEC_TYPE_BUILD},
                                            {"test", SPEC_TYPE_TEST},
                                            {"security_scan", SPEC_TYPE_SECURITY_SCAN},
                                            {"deploy", SPEC_TYPE_DEPLOY},
                                            {"notify", SPEC_TYPE_NOTIFY},
                                            {"custom", SPEC_TYPE_CUSTOM},
                                            {0}};

const struct table *const step_type_configs[SPEC_TYPE_COUNT] = {
    [SPEC_TYPE_FETCH_CODE] = &fetch_code_table,
    [SPEC_TYPE_BUILD] = &build_table,
    [SPEC_TYPE_TEST] = &test_table,
    [SPEC_TYPE_SECURITY_SCAN] = &security_scan_table,
    [SPEC_TYPE_DEPLOY] = &deploy_table,
    [SPEC_TYPE_NOTIFY] = &notify_table,
    [SPEC_TYPE_CUSTOM] = &custom_table,
};
