/* Which files make a project, what it is called, and the way through the steps. */
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/fs.h"
#include "base/interpolate.h"
#include "compose/env_file.h"
#include "compose/loader.h"
#include "compose/reader.h"

struct loading {
    struct compose_loader l;
    const struct compose_options *options;
    struct compose_project *project;
    struct strvec profiles;
    VEC(struct compose_file *)
    files;
};

/* Of the project as a whole. */
static int fail(struct loading *s, const char *message)
{
    diag_add(&s->l.sources->items[0]->diags, DIAG_ERROR, (struct src_pos){0}, "", "%s", message);
    return -1;
}

static void take_environment(struct loading *s)
{
    struct strmap *to = &s->project->environment;

    if (s->options->environment) {
        strmap_merge(to, s->options->environment);
        return;
    }
    for (char **entry = environ; entry && *entry; entry++) {
        const char *equals = strchr(*entry, '=');
        CLEANUP_FREE char *name = equals ? xstrndup(*entry, (size_t)(equals - *entry)) : NULL;

        if (name && !strmap_has(to, name))
            strmap_set(to, name, equals + 1);
    }
}

/* "a:b" or "a,b" → items. */
static void split_list(const char *text, const char *separator, struct strvec *out)
{
    size_t width = strlen(separator);
    const char *end;

    for (; (end = strstr(text, separator)); text = end + width) {
        if (end > text)
            strvec_push_owned(out, xstrndup(text, (size_t)(end - text)));
    }
    if (*text)
        strvec_push(out, text);
}

/* The first of the names in a directory; false: none is there. */
static bool find_in(const char *directory, const char *const *names, struct strvec *out)
{
    for (; *names; names++) {
        CLEANUP_FREE char *path = fs_join(directory, *names);

        if (fs_exists(path)) {
            strvec_push(out, path);
            return true;
        }
    }
    return false;
}

static int find_default_files(struct loading *s)
{
    static const char *const names[] = {"compose.yaml", "compose.yml", "docker-compose.yml",
                                        "docker-compose.yaml", NULL};
    static const char *const overrides[] = {"compose.override.yml", "compose.override.yaml",
                                            "docker-compose.override.yml",
                                            "docker-compose.override.yaml", NULL};
    const char *start = s->options->project_directory;
    CLEANUP_FREE char *directory = fs_absolute(start ? start : ".");

    for (;;) {
        char *slash = strrchr(directory, '/');

        if (find_in(directory, names, &s->project->files)) {
            find_in(directory, overrides, &s->project->files);
            return 0;
        }
        if (!slash || !slash[1])
            return fail(s, "there is no compose.yaml, compose.yml, docker-compose.yml or "
                           "docker-compose.yaml here or above; name the file");
        slash[slash == directory] = '\0';
    }
}

static int find_files(struct loading *s)
{
    const char *separator = strmap_get(&s->project->environment, "COMPOSE_PATH_SEPARATOR");
    const char *listed = strmap_get(&s->project->environment, "COMPOSE_FILE");
    CLEANUP_STRVEC struct strvec names = {0};

    if (s->options->text)
        return 0;
    if (s->options->files && s->options->files->len)
        strvec_extend(&names, s->options->files->items);
    else if (listed)
        split_list(listed, separator && *separator ? separator : ":", &names);
    if (!names.len)
        return find_default_files(s);
    for (size_t i = 0; i < names.len; i++) {
        if (strcmp(names.items[i], "-") == 0)
            strvec_push(&s->project->files, "-");
        else
            strvec_push_owned(&s->project->files, fs_absolute(names.items[i]));
    }
    return 0;
}

static void find_directory(struct loading *s)
{
    const char *given = s->options->project_directory;

    if (given && *given) {
        s->project->working_dir = fs_absolute(given);
        return;
    }
    for (size_t i = 0; i < s->project->files.len; i++) {
        const char *path = s->project->files.items[i];
        const char *slash = strrchr(path, '/');

        if (slash) {
            s->project->working_dir =
                slash == path ? xstrdup("/") : xstrndup(path, (size_t)(slash - path));
            return;
        }
    }
    s->project->working_dir = fs_absolute(".");
}

static bool is_directory(const char *path)
{
    struct stat st;

    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

/* Under the environment. */
static int read_env_files(struct loading *s)
{
    const struct strvec *given = s->options->env_files;
    struct strmap *environment = &s->project->environment;
    const char *listed = strmap_get(environment, "COMPOSE_ENV_FILES");
    const char *disabled = strmap_get(environment, "COMPOSE_DISABLE_ENV_FILE");
    CLEANUP_STRVEC struct strvec files = {0};
    bool none = s->options->no_env_file;
    const struct compose_env_lookup lookup = {.first = environment};
    CLEANUP_STRMAP struct strmap found = {0};
    CLEANUP_FREE char *usual = fs_join(s->project->working_dir, ".env");
    struct err err = ERR_INIT;

    if (given && given->len)
        strvec_extend(&files, given->items);
    else if (listed && !none)
        split_list(listed, ",", &files);
    if (disabled)
        (void)compose_parse_bool(disabled, &none);
    if (files.len) {
        for (size_t i = 0; i < files.len; i++) {
            if (compose_env_file_read(files.items[i], false, &lookup, &found, &err) < 0)
                return fail(s, err.message);
        }
    } else if (!none && fs_exists(usual) && !is_directory(usual) &&
               compose_env_file_read(usual, false, &lookup, &found, &err) < 0) {
        return fail(s, err.message);
    }
    strmap_foreach (variable, &found) {
        if (!strmap_has(environment, variable->key))
            strmap_set(environment, variable->key, variable->value);
    }
    return 0;
}

static void find_profiles(struct loading *s)
{
    const char *listed = strmap_get(&s->project->environment, "COMPOSE_PROFILES");

    if (s->options->profiles && s->options->profiles->len)
        strvec_extend(&s->profiles, s->options->profiles->items);
    else if (listed)
        split_list(listed, ",", &s->profiles);
}

static int open_files(struct loading *s)
{
    int result = 0;

    if (s->options->text) {
        struct compose_file *file =
            compose_source_add(s->l.sources,
                               s->options->text_name ? s->options->text_name : "<text>");

        buf_addstr(&file->text, s->options->text);
        vec_push(&s->files, file);
    }
    for (size_t i = 0; i < s->project->files.len; i++) {
        struct compose_file *file;
        struct err err = ERR_INIT;

        if (compose_source_read(s->l.sources, s->project->files.items[i], &file, &err) < 0)
            result = fail(s, err.message);
        else
            vec_push(&s->files, file);
    }
    return result;
}

static char *normal_name(const char *text)
{
    struct buf name = BUF_INIT;

    for (; *text; text++) {
        char c = *text >= 'A' && *text <= 'Z' ? *text | 0x20 : *text;
        bool first = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');

        if (first || (name.len && (c == '_' || c == '-')))
            buf_addch(&name, c);
    }
    return buf_steal(&name);
}

static const char *lookup(void *arg, const char *name)
{
    return strmap_get(arg, name);
}

/* `name` of the last file that has one; NULL: none has. Files that are no YAML are complained about
 * when they are read. */
static char *name_of_files(struct loading *s)
{
    const struct interpolate_scope scope = {.lookup = lookup,
                                            .arg = &s->project->environment,
                                            .bare = true};
    char *name = NULL;

    for (size_t i = 0; i < s->files.len; i++) {
        const struct buf *text = &s->files.items[i]->text;
        struct yaml_limits limits = YAML_LIMITS_INIT;
        CLEANUP_DIAG_LIST struct diag_list ignored = {0};
        CLEANUP_YAML_TREE struct yaml_tree *tree = NULL;
        const struct yaml_node *node;
        struct buf expanded = BUF_INIT;

        if (!strstr(text->data, "name"))
            continue;
        limits.local_tags = true;
        tree = yaml_tree_parse(text->data, text->len, &limits, &ignored);
        node = tree ? yaml_node_get(yaml_tree_root(tree), "name") : NULL;
        if (node && node->kind == YAML_KIND_SCALAR && node->len &&
            interpolate(node->text, &scope, &expanded, NULL, NULL) == 0) {
            free(name);
            name = buf_steal(&expanded);
        }
        buf_release(&expanded);
    }
    return name;
}

static int set_name(struct loading *s)
{
    const char *given = s->options->project_name;
    const char *from_environment = strmap_get(&s->project->environment, "COMPOSE_PROJECT_NAME");
    const char *directory = strrchr(s->project->working_dir, '/');
    CLEANUP_FREE char *written = NULL;

    if (!given || !*given)
        given = from_environment && *from_environment ? from_environment : NULL;
    if (given) {
        s->project->name = normal_name(given);
        if (strcmp(s->project->name, given) != 0) {
            CLEANUP_FREE char *message = xasprintf(
                "the project name \"%s\" is not valid; it has lower-case letters, digits, \"_\" "
                "and \"-\", and begins with a letter or a digit",
                given);

            return fail(s, message);
        }
    } else {
        written = name_of_files(s);
        s->project->name = normal_name(written ? written : directory ? directory + 1 : "");
    }
    if (!*s->project->name)
        return fail(s, "the project has no name; give it one with \"name\" or on the command line");
    strmap_set(&s->project->environment, "COMPOSE_PROJECT_NAME", s->project->name);
    return 0;
}

static int prepare(struct loading *s)
{
    take_environment(s);
    if (find_files(s) < 0)
        return -1;
    find_directory(s);
    if (read_env_files(s) < 0 || open_files(s) < 0)
        return -1;
    find_profiles(s);
    return set_name(s);
}

static bool has_errors(const struct loading *s)
{
    return compose_sources_error_count(s->l.sources) > 0;
}

static void load(struct loading *s)
{
    struct compose_unit unit = {.directory = s->project->working_dir,
                                .environment = &s->project->environment,
                                .first = s->files.items[0]};

    s->project->model = compose_unit_load(&s->l, &unit, s->files.items, s->files.len);
    if (has_errors(s))
        return;
    compose_apply_profiles(s->project, &s->profiles);
    compose_normalise(&s->l, s->project);
    compose_check(&s->l, s->project);
    compose_order(&s->l, s->project);
    if (s->l.target != COMPOSE_TARGET_SWARM)
        compose_drop_unused(s->project->model);
}

struct compose_project *compose_load(const struct compose_options *options,
                                     struct compose_sources *sources)
{
    CLEANUP_COMPOSE_PROJECT struct compose_project *project = xcalloc(1, sizeof(*project));
    struct loading s = {.l = {.sources = sources, .target = options->target},
                        .options = options,
                        .project = project};
    bool failed;

    compose_source_add(sources, "");
    project->sources = sources;
    project->disabled = json_object();
    project->places = s.l.places = compose_places_new();
    if (prepare(&s) == 0)
        load(&s);
    failed = has_errors(&s) || !project->model;
    strvec_release(&s.profiles);
    vec_release(&s.files);
    return failed ? NULL : steal_ptr(&project);
}
