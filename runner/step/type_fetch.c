/* `type: fetch_code`. The script is the same for all steps: what differs are its parameters, and
 * the credentials, which a credential helper of its own takes from the environment. Git asks that
 * helper for the repository's host alone, so that a submodule elsewhere cannot ask for them. */
#include <string.h>

#include "base/alloc.h"
#include "base/percent.h"
#include "step/type.h"

#define IMAGE             "alpine/git:latest"
#define VARIABLE_USERNAME "PIPELINE_GIT_USERNAME"
#define VARIABLE_PASSWORD "PIPELINE_GIT_PASSWORD"

/* $1 repository, $2 ref, $3 path, $4 depth, $5 clean, $6 submodules, $7 where the credentials are
 * for. An abbreviated commit cannot be asked for, and some servers do not give a commit by its id:
 * both are then looked for in all branches. */
static const char script[] =
    "fail() { printf '%s\\n' \"$1\" >&2; exit 1; }\n"
    "mkdir -p -- \"$3\"\n"
    "cd -- \"$3\"\n"
    "helper='!f() { [ \"$1\" = get ] || exit 0; "
    "printf \"username=%s\\npassword=%s\\n\" \"$" VARIABLE_USERNAME "\" \"$" VARIABLE_PASSWORD
    "\"; }; f'\n"
    "directory=$(pwd -P)\n"
    "if [ -n \"$7\" ]; then\n"
    "    run() { git -c safe.directory=\"$directory\" -c credential.helper= "
    "-c \"credential.$origin.helper=$helper\" \"$@\"; }\n"
    "else\n"
    "    run() { git -c safe.directory=\"$directory\" \"$@\"; }\n"
    "fi\n"
    "url=$1 ref=$2 depth=$4 clean=$5 submodules=$6 origin=$7\n"
    "export GIT_TERMINAL_PROMPT=0 GIT_SSH_COMMAND=\"${GIT_SSH_COMMAND:-ssh -oBatchMode=yes}\"\n"
    "if ! [ -e .git ]; then\n"
    "    [ -z \"$(ls -A)\" ] || fail \"$directory is not empty and no git repository; empty it, or "
    "give \\\"config\\\" another \\\"path\\\"\"\n"
    "    git -c init.defaultBranch=main init -q\n"
    "fi\n"
    "known=$(run config --get remote.origin.url) || known=\n"
    "[ \"${known:-$url}\" = \"$url\" ] || fail \"$directory holds another repository than $url; "
    "remove it, or give \\\"config\\\" another \\\"path\\\"\"\n"
    "run config remote.origin.url \"$url\"\n"
    "set -- --tags\n"
    "if [ -n \"$depth\" ]; then\n"
    "    set -- --no-tags --depth=\"$depth\"\n"
    "elif [ \"$(run rev-parse --is-shallow-repository)\" = true ]; then\n"
    "    set -- --tags --unshallow\n"
    "fi\n"
    "commit=\n"
    "case $ref in\n"
    "*[!0-9a-f]* | '' | [0-9a-f] | [0-9a-f][0-9a-f] | [0-9a-f][0-9a-f][0-9a-f])\n"
    "    run fetch -q \"$@\" -- origin \"${ref:-HEAD}\" ;;\n"
    "*)\n"
    "    if ! run fetch -q \"$@\" -- origin \"$ref\" 2>/dev/null; then\n"
    "        run fetch -q -- origin '+refs/heads/*:refs/remotes/origin/*'\n"
    "        commit=$(run rev-parse -q --verify \"$ref^{commit}\") || "
    "fail \"there is no branch, tag or commit $ref in $url\"\n"
    "    fi ;;\n"
    "esac\n"
    "[ -n \"$commit\" ] || commit=$(run rev-parse --verify 'FETCH_HEAD^{commit}')\n"
    "run checkout -q ${clean:+--force} --detach \"$commit\"\n"
    "[ -z \"$clean\" ] || run clean -ffdxq\n"
    "if [ -n \"$submodules\" ]; then\n"
    "    run submodule --quiet sync --recursive\n"
    "    run submodule --quiet update --init --recursive ${clean:+--force} "
    "${depth:+--depth=\"$depth\"}\n"
    "fi\n"
    "run --no-pager log -1 --no-color --format='HEAD is now at %h %s'\n"
    "printf 'commit=%s\\n' \"$commit\" >>\"$PIPELINE_OUTPUT\"\n";

/* What a step is given, expanded; strings belong to the step. */
struct request {
    const char *repository; /* without credentials */
    const char *ref;
    const char *path;
    const char *username;
    const char *password;
    const char *origin; /* "https://host:port"; "": there are no credentials */
};

/* Takes user and password out of an http or https URL. */
static void split_url(struct step_lowered *lowered, struct request *r)
{
    const char *url = r->repository;
    const char *host;
    const char *end;
    const char *at;
    const char *colon;
    CLEANUP_BUF struct buf username = BUF_INIT;
    CLEANUP_BUF struct buf password = BUF_INIT;

    if (strncmp(url, "http://", 7) != 0 && strncmp(url, "https://", 8) != 0)
        return;
    host = strstr(url, "://") + 3;
    end = host + strcspn(host, "/?#");
    at = memrchr(host, '@', (size_t)(end - host));
    r->origin =
        lower_own(lowered, xasprintf("%.*s%.*s", (int)(host - url), url,
                                     (int)(end - (at ? at + 1 : host)), at ? at + 1 : host));
    if (!at)
        return;
    colon = memchr(host, ':', (size_t)(at - host));
    percent_decode(host, (size_t)((colon ? colon : at) - host), &username);
    if (colon)
        percent_decode(colon + 1, (size_t)(at - colon - 1), &password);
    if (!r->username)
        r->username = lower_own(lowered, buf_steal(&username));
    if (!r->password)
        r->password = lower_own(lowered, buf_steal(&password));
    r->repository = lower_own(lowered, xasprintf("%s%s", r->origin, end));
}

static int expand_request(const struct step_context *context, struct step_lowered *lowered,
                          struct request *ret, struct err *err)
{
    const struct spec_config *config = context->step->spec->config;
    const struct {
        const struct spec_str *from;
        const char **to;
    } strings[] = {
        {&config->repository, &ret->repository},
        {&config->ref, &ret->ref},
        {&config->path, &ret->path},
        {&config->username, &ret->username},
        {&config->password, &ret->password},
    };

    for (size_t i = 0; i < sizeof(strings) / sizeof(*strings); i++) {
        if (lower_text(context, lowered, strings[i].from, strings[i].to, err) < 0)
            return -1;
        if (*strings[i].to && !**strings[i].to)
            *strings[i].to = NULL;
    }
    return 0;
}

/* While nothing is to run, a secret need not be there. */
static bool is_known(const struct step_context *context)
{
    return !context->plan->inputs.incomplete;
}

/* What git would take for an option, a refspec or a line of its protocols. */
static int check_request(const struct step_context *context, struct request *r, struct err *err)
{
    if (!r->repository && !is_known(context))
        r->repository = "";
    if (!r->repository)
        return err_set(err, ERR_INVALID, "\"repository\" is empty");
    if (r->repository[0] == '-')
        return err_set(err, ERR_INVALID, "\"repository\" cannot begin with \"-\"");
    if (r->ref && (strchr("-+", r->ref[0]) || strpbrk(r->ref, " \t\n:*?[\\^~")))
        return err_set(err, ERR_INVALID, "\"ref\" must be a branch, tag or commit, not \"%s\"",
                       r->ref);
    if ((r->username && strpbrk(r->username, "\r\n")) ||
        (r->password && strpbrk(r->password, "\r\n")))
        return err_set(err, ERR_INVALID,
                       "\"username\" and \"password\" must be of one line; check what they are "
                       "made of");
    return 0;
}

static void set_credentials(struct step_lowered *lowered, struct request *r)
{
    if (!r->password) {
        r->origin = "";
        return;
    }
    strmap_set(&lowered->environment, VARIABLE_USERNAME, r->username ? r->username : "git");
    strmap_set(&lowered->environment, VARIABLE_PASSWORD, r->password);
    if (*r->password)
        strvec_push(&lowered->passwords, r->password);
}

int type_lower_fetch_code(const struct step_context *context, struct step_lowered *lowered,
                          struct err *err)
{
    const struct spec_config *config = context->step->spec->config;
    struct request r = {.origin = ""};
    CLEANUP_BUF struct buf text = BUF_INIT;
    CLEANUP_FREE char *depth =
        config->depth > 0 ? xasprintf("%lld", (long long)config->depth) : xstrdup("");

    if (expand_request(context, lowered, &r, err) < 0 || check_request(context, &r, err) < 0)
        return -1;
    split_url(lowered, &r);
    if (r.password && !*r.origin && is_known(context))
        return err_set(err, ERR_INVALID,
                       "\"password\" is for repositories with http:// or https:// only");
    lower_environment(context, &lowered->environment);
    set_credentials(lowered, &r);
    type_set_image(lowered, IMAGE);
    type_add_need(context, lowered, "git", "git", IMAGE, &text);
    buf_addstr(&text, script);
    lower_script(lowered, "sh", true, lower_own(lowered, buf_steal(&text)),
                 (const char *const[]){"fetch_code", r.repository, r.ref ? r.ref : "",
                                       r.path ? r.path : ".", depth,
                                       config->clean == SPEC_TRUE ? "yes" : "",
                                       config->submodules == SPEC_TRUE ? "yes" : "", r.origin,
                                       NULL});
    return 0;
}
