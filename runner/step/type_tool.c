/* Types whose work a tool does: build, test, security_scan, deploy. A tool is a row with the
 * commands of the shell that do it, in which @name@ stands for what the step says. */
#include <string.h>

#include "base/alloc.h"
#include "step/type.h"

struct tool {
    const char *program;      /* that must be there */
    const char *wrapper;      /* of the project, taken in its place if it is there: "$tool" */
    const char *image;        /* that has it; NULL: there is no usual one */
    const char *work;         /* what to do, of build, security_scan and deploy; NULL: it cannot */
    const char *test;         /* likewise of test */
    const char *scan_image;   /* likewise of security_scan with an `image` */
    const char *work_targets; /* when none are given */
    const char *test_targets;
    const char *each_target; /* what stands before every target; "": nothing */
    bool one_target;
    const char *report; /* what stands before the name of a report */
    const char *severities[SPEC_SEVERITY_COUNT];
};

static const struct tool tools[SPEC_TOOL_COUNT] = {
    [SPEC_TOOL_MAKE] = {.program = "make",
                        .work = "make @args@ @targets@",
                        .test = "make @args@ @targets@",
                        .test_targets = "test"},
    [SPEC_TOOL_CMAKE] = {.program = "cmake",
                         .work = "cmake -S . -B build @args@\ncmake --build build @targets@",
                         .test = "ctest --test-dir build --output-on-failure @args@",
                         .each_target = "--target "},
    [SPEC_TOOL_GO] = {.program = "go",
                      .image = "golang:latest",
                      .work = "go build @args@ @targets@",
                      .test = "go test @args@ @targets@",
                      .work_targets = "./...",
                      .test_targets = "./..."},
    [SPEC_TOOL_CARGO] = {.program = "cargo",
                         .image = "rust:latest",
                         .work = "cargo build @args@ @targets@",
                         .test = "cargo test @args@ @targets@",
                         .each_target = "--package "},
    [SPEC_TOOL_NPM] = {.program = "npm",
                       .image = "node:latest",
                       .work = "if [ -e package-lock.json ]; then npm ci; else npm install; fi\n"
                               "npm run @targets@ -- @args@",
                       .test = "npm run @targets@ -- @args@",
                       .work_targets = "build",
                       .test_targets = "test",
                       .one_target = true},
    [SPEC_TOOL_MAVEN] = {.program = "mvn",
                         .wrapper = "./mvnw",
                         .image = "maven:latest",
                         .work = "\"$tool\" --batch-mode @args@ @targets@",
                         .test = "\"$tool\" --batch-mode @args@ @targets@",
                         .work_targets = "package",
                         .test_targets = "test"},
    [SPEC_TOOL_GRADLE] = {.program = "gradle",
                          .wrapper = "./gradlew",
                          .image = "gradle:latest",
                          .work = "\"$tool\" --no-daemon @args@ @targets@",
                          .test = "\"$tool\" --no-daemon @args@ @targets@",
                          .work_targets = "assemble",
                          .test_targets = "check"},
    [SPEC_TOOL_PYTEST] = {.program = "pytest", .test = "pytest @args@ @targets@"},
    [SPEC_TOOL_TRIVY] = {.program = "trivy",
                         .image = "aquasec/trivy:latest",
                         .work = "trivy fs --exit-code 1 @severity@ @report@ @args@ @path@",
                         .scan_image =
                             "trivy image --exit-code 1 @severity@ @report@ @args@ @image@",
                         .report = "--format json --output ",
                         .severities = {[SPEC_SEVERITY_LOW] = "--severity LOW,MEDIUM,HIGH,CRITICAL",
                                        [SPEC_SEVERITY_MEDIUM] = "--severity MEDIUM,HIGH,CRITICAL",
                                        [SPEC_SEVERITY_HIGH] = "--severity HIGH,CRITICAL",
                                        [SPEC_SEVERITY_CRITICAL] = "--severity CRITICAL"}},
    [SPEC_TOOL_GITLEAKS] =
        {.program = "gitleaks",
         .image = "zricethezav/gitleaks:latest",
         /* The history of a repository, or files alone. */
         .work = "history=--no-git\n"
                 "[ ! -e @path@/.git ] || history=\n"
                 "gitleaks detect --no-banner --redact $history --source @path@ @report@ @args@",
         .report = "--report-format json --report-path "},
    [SPEC_TOOL_SEMGREP] = {.program = "semgrep",
                           .image = "semgrep/semgrep:latest",
                           .work = "export SEMGREP_RULES=\"${SEMGREP_RULES:-auto}\"\n"
                                   "semgrep scan --error @severity@ @report@ @args@ @path@",
                           .report = "--json --output ",
                           .severities = {[SPEC_SEVERITY_LOW] =
                                              "--severity INFO --severity WARNING --severity ERROR",
                                          [SPEC_SEVERITY_MEDIUM] =
                                              "--severity WARNING --severity ERROR",
                                          [SPEC_SEVERITY_HIGH] = "--severity ERROR",
                                          [SPEC_SEVERITY_CRITICAL] = "--severity ERROR"}},
    [SPEC_TOOL_BANDIT] = {.program = "bandit",
                          .work = "bandit --quiet @severity@ @report@ @args@ --recursive @path@",
                          .report = "--format json --output ",
                          .severities = {[SPEC_SEVERITY_LOW] = "--severity-level low",
                                         [SPEC_SEVERITY_MEDIUM] = "--severity-level medium",
                                         [SPEC_SEVERITY_HIGH] = "--severity-level high",
                                         [SPEC_SEVERITY_CRITICAL] = "--severity-level high"}},
    [SPEC_TOOL_COPY] = {.program = "cp",
                        .work = "mkdir -p -- @destination@\n"
                                "cp -R @args@ -- @contents@ @destination@/"},
    [SPEC_TOOL_RSYNC] = {.program = "rsync",
                         .work = "rsync -a @delete@ @args@ -- @source@ @destination@"},
};

/* What is known about one step while its script is made. */
struct work {
    const struct step_context *context;
    struct step_lowered *lowered;
    const struct tool *tool;
    const struct spec_config *config;
    const char *commands; /* that are chosen of the row */
    const char *targets;  /* likewise */
    struct err *err;
};

/* --- what stands for @name@ --- */

/* A word that the tool cannot take for an option. */
static int add_operand(const struct work *w, const char *key, const char *text, struct buf *script)
{
    if (text[0] == '-')
        return err_set(w->err, ERR_INVALID,
                       "\"%s\" cannot begin with \"-\", as \"%s\" does; options are for \"args\"",
                       key, text);
    type_add_word(script, text);
    return 0;
}

static int add_string(const struct work *w, const char *key, const struct spec_str *string,
                      const char *preset, struct buf *script)
{
    const char *text;

    if (lower_text(w->context, w->lowered, string, &text, w->err) < 0)
        return -1;
    if (!text || !*text)
        text = preset;
    return add_operand(w, key, text, script);
}

/* What expands to nothing is left out. */
static int add_args(const struct work *w, struct buf *script)
{
    for (size_t i = 0; i < w->config->args.len; i++) {
        const char *text;

        if (lower_text(w->context, w->lowered, &w->config->args.items[i], &text, w->err) < 0)
            return -1;
        if (*text) {
            buf_addstr(script, i ? " " : "");
            type_add_word(script, text);
        }
    }
    return 0;
}

static int add_targets(const struct work *w, struct buf *script)
{
    size_t count = 0;

    for (size_t i = 0; i < w->config->targets.len; i++) {
        const char *text;

        if (lower_text(w->context, w->lowered, &w->config->targets.items[i], &text, w->err) < 0)
            return -1;
        if (!*text)
            continue;
        if (count++ && w->tool->one_target)
            return err_set(w->err, ERR_INVALID, "%s takes one target at a time; make it two steps",
                           w->tool->program);
        buf_addf(script, "%s%s", count > 1 ? " " : "",
                 w->tool->each_target ? w->tool->each_target : "");
        if (add_operand(w, "targets", text, script) < 0)
            return -1;
    }
    if (!count && w->targets)
        buf_addstr(script, w->targets);
    return 0;
}

static int add_severity(const struct work *w, struct buf *script)
{
    const char *option = w->tool->severities[w->config->severity];

    buf_addstr(script, option ? option : "");
    return 0;
}

static int add_report(const struct work *w, struct buf *script)
{
    if (!w->config->report.text)
        return 0;
    buf_addstr(script, w->tool->report);
    return add_string(w, "report", &w->config->report, "report.json", script);
}

static int add_path(const struct work *w, struct buf *script)
{
    return add_string(w, "path", &w->config->path, ".", script);
}

static int add_image(const struct work *w, struct buf *script)
{
    return add_string(w, "image", &w->config->image, "", script);
}

static int add_destination(const struct work *w, struct buf *script)
{
    return add_string(w, "destination", &w->config->destination, ".", script);
}

static int add_delete(const struct work *w, struct buf *script)
{
    buf_addstr(script, w->config->remove == SPEC_TRUE ? "--delete" : "");
    return 0;
}

/* All of it quoted but * and ?, which the shell expands. */
static void add_glob(struct buf *script, const char *text)
{
    while (*text) {
        size_t plain = strcspn(text, "*?");

        if (plain) {
            CLEANUP_FREE char *part = xstrndup(text, plain);

            type_add_word(script, part);
            text += plain;
        } else {
            buf_addch(script, *text++);
        }
    }
}

static int add_files(const struct work *w, const char *behind_slash, struct buf *script)
{
    for (size_t i = 0; i < w->config->source.len; i++) {
        const char *text;

        if (lower_text(w->context, w->lowered, &w->config->source.items[i], &text, w->err) < 0)
            return -1;
        if (!*text || text[0] == '-')
            return err_set(w->err, ERR_INVALID, "\"source\" cannot be \"%s\"", text);
        buf_addstr(script, i ? " " : "");
        add_glob(script, text);
        if (text[strlen(text) - 1] == '/')
            buf_addstr(script, behind_slash);
    }
    return 0;
}

static int add_source(const struct work *w, struct buf *script)
{
    return add_files(w, "", script);
}

/* For cp, to which "directory/" is the directory itself. */
static int add_contents(const struct work *w, struct buf *script)
{
    return add_files(w, ".", script);
}

static const struct {
    const char *name;
    int (*add)(const struct work *w, struct buf *script);
} places[] = {
    {"args", add_args},     {"targets", add_targets},   {"severity", add_severity},
    {"report", add_report}, {"path", add_path},         {"image", add_image},
    {"source", add_source}, {"contents", add_contents}, {"destination", add_destination},
    {"delete", add_delete},
};

/* --- the script --- */

static int add_place(const struct work *w, const char *name, size_t len, struct buf *script)
{
    for (size_t i = 0; i < sizeof(places) / sizeof(*places); i++) {
        if (strlen(places[i].name) == len && memcmp(places[i].name, name, len) == 0)
            return places[i].add(w, script);
    }
    return err_set(w->err, ERR_UNSUPPORTED, "the commands of %s name nothing known",
                   w->tool->program);
}

static int add_commands(const struct work *w, struct buf *script)
{
    for (const char *at = w->commands; *at;) {
        size_t plain = strcspn(at, "@");
        size_t name;

        buf_add(script, at, plain);
        at += plain;
        if (!*at)
            break;
        name = strcspn(at + 1, "@");
        if (add_place(w, at + 1, name, script) < 0)
            return -1;
        at += name + 2;
    }
    buf_addch(script, '\n');
    return 0;
}

/* Keys that this tool has no use for must not be passed over. */
static int check_keys(const struct work *w)
{
    const struct spec_config *c = w->config;
    const struct {
        const char *key;
        bool given;
        bool used;
    } keys[] = {
        {"targets", c->targets.len > 0, strstr(w->commands, "@targets@")},
        {"delete", c->remove == SPEC_TRUE, strstr(w->commands, "@delete@")},
        {"severity", c->severity, w->tool->severities[c->severity]},
        {"path", c->image.text && c->path.text, false},
    };

    for (size_t i = 0; i < sizeof(keys) / sizeof(*keys); i++) {
        if (keys[i].given && !keys[i].used)
            return err_set(w->err, ERR_INVALID, "\"%s\" means nothing to %s%s; leave it out",
                           keys[i].key, w->tool->program,
                           c->image.text ? " with an \"image\"" : "");
    }
    return 0;
}

static int choose_commands(struct work *w, enum spec_type type)
{
    w->commands = type == SPEC_TYPE_TEST  ? w->tool->test
                  : w->config->image.text ? w->tool->scan_image
                                          : w->tool->work;
    w->targets = type == SPEC_TYPE_TEST ? w->tool->test_targets : w->tool->work_targets;
    if (!w->commands)
        return err_set(w->err, ERR_INVALID, "%s cannot scan an \"image\"; that is what trivy does",
                       w->tool->program);
    return check_keys(w);
}

static void add_program(const struct work *w, struct buf *script)
{
    const struct tool *tool = w->tool;

    buf_addf(script, "tool=%s\n", tool->program);
    if (tool->wrapper)
        buf_addf(script, "[ ! -x %s ] || tool=%s\n", tool->wrapper, tool->wrapper);
    type_add_need(w->context, w->lowered, "$tool", tool->program, tool->image, script);
}

int type_lower_tool(const struct step_context *context, struct step_lowered *lowered,
                    struct err *err)
{
    const struct spec_step *spec = context->step->spec;
    struct work w = {.context = context,
                     .lowered = lowered,
                     .tool = &tools[spec->config->tool],
                     .config = spec->config,
                     .err = err};
    CLEANUP_BUF struct buf script = BUF_INIT;

    if (choose_commands(&w, spec->type) < 0)
        return -1;
    type_set_image(lowered, w.tool->image);
    add_program(&w, &script);
    if (add_commands(&w, &script) < 0)
        return -1;
    lower_environment(context, &lowered->environment);
    lower_script(lowered, "sh", true, lower_own(lowered, buf_steal(&script)), NULL);
    return 0;
}
