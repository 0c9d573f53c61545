#include "engine/idp/script.h"

#include <ctype.h>
#include <string.h>

#include "base/alloc.h"
#include "base/base64.h"
#include "base/utf8.h"

enum {
    VARIABLE_MAX = (128 << 10) - 1, /* MAX_ARG_STRLEN, without the NUL behind it */
    PIECE_BYTES = 96 << 10,
    /* Of 2 MiB, which arguments and environment of a program may have with the usual limit of the
     * stack; the agent gives the script twice. */
    TOTAL_MAX = 1536 << 10,
};

#define HELPER_VARIABLE "RUNNER_IDP_HELPER"
#define PIECE_VARIABLE  "RUNNER_IDP_REQUEST_"
#define WORKDIR         "PIPELINE_WORKDIR"

/* What agents put into the environment of a command about the command itself; the script is among
 * it. */
#define OF_THE_AGENT                                                                               \
    "GO_ZOOX_COMMAND_ENGINE GO_ZOOX_COMMAND_ID GO_ZOOX_COMMAND_SHELL GO_ZOOX_COMMAND_USER "        \
    "GO_ZOOX_COMMAND_WORKDIR GO_ZOOX_COMMAND_COMMAND GO_ZOOX_COMMAND_IMAGE "                       \
    "GO_ZOOX_COMMAND_MEMORY GO_ZOOX_COMMAND_CPU GO_ZOOX_COMMAND_PLATFORM "                         \
    "GO_ZOOX_COMMAND_NETWORK GO_ZOOX_COMMAND_DISABLE_NETWORK"

/* Shells drop other names, and set some themselves; by PATH the script finds its own programs. */
static bool passes_shells(const char *name)
{
    static const char *const own[] = {"PATH", "PWD", "OLDPWD", "PPID", "SHLVL",  "IFS", "OPTIND",
                                      "PS1",  "PS2", "PS4",    "_",    "LINENO", "ENV"};

    for (size_t i = 0; i < sizeof(own) / sizeof(*own); i++) {
        if (strcmp(own[i], name) == 0)
            return false;
    }
    if (!isalpha((unsigned char)*name) && *name != '_')
        return false;
    while (isalnum((unsigned char)*name) || *name == '_')
        name++;
    return !*name;
}

int idp_script_environment(struct idp_script *script, const struct runnable *runnable,
                           struct err *err)
{
    strmap_foreach (entry, runnable->environment) {
        bool passes = passes_shells(entry->key) && utf8_valid(entry->value, strlen(entry->value));

        if (strlen(entry->key) + 1 + strlen(entry->value) > VARIABLE_MAX)
            return err_set(err, ERR_LIMIT,
                           "the variable %s has more than %d KiB, which no program can be given",
                           entry->key, (VARIABLE_MAX + 1) >> 10);
        strmap_set(passes ? &script->environment : &script->rest, entry->key, entry->value);
    }
    return 0;
}

static size_t add_pieces(struct idp_script *script, const struct buf *request)
{
    CLEANUP_BUF struct buf text = BUF_INIT;
    size_t count = 0;

    base64_encode(&text, request->data, request->len);
    for (size_t at = 0; at < text.len; at += PIECE_BYTES, count++) {
        CLEANUP_FREE char *name = xasprintf(PIECE_VARIABLE "%zu", count);
        CLEANUP_FREE char *piece =
            xstrndup(text.data + at, text.len - at < PIECE_BYTES ? text.len - at : PIECE_BYTES);

        strmap_set(&script->environment, name, piece);
    }
    explicit_bzero(text.data, text.len);
    return count;
}

static int check_total(const struct idp_script *script, struct err *err)
{
    size_t total = 2 * script->text.len;

    strmap_foreach (entry, &script->environment)
        total += strlen(entry->key) + strlen(entry->value) + 2;
    if (total > TOTAL_MAX)
        return err_set(err, ERR_LIMIT,
                       "environment and files of the step make %zu KiB, and an IDP agent takes %d",
                       total >> 10, TOTAL_MAX >> 10);
    return 0;
}

static void add_variables(struct buf *text, size_t pieces)
{
    buf_addstr(text, "__runner_helper=$" HELPER_VARIABLE "\n__runner_request=");
    for (size_t i = 0; i < pieces; i++)
        buf_addf(text, "$" PIECE_VARIABLE "%zu", i);
    buf_addstr(text, "\nunset " HELPER_VARIABLE " " OF_THE_AGENT);
    for (size_t i = 0; i < pieces; i++)
        buf_addf(text, " " PIECE_VARIABLE "%zu", i);
    buf_addch(text, '\n');
}

/* A private directory, where programs can be executed, with the helper and its input. */
static void add_directory(struct buf *text, const char *token)
{
    buf_addf(text,
             "__runner_dir=\n"
             "for __runner_in in \"${TMPDIR:-/tmp}\" /tmp /var/tmp /dev/shm \"$PWD\"; do\n"
             "    mkdir -m 700 \"$__runner_in/.runner-%s\" || continue\n"
             "    __runner_dir=$__runner_in/.runner-%s\n"
             "    printf %%s \"$__runner_helper\" | base64 -d "
             ">\"$__runner_dir/" HELPER_ATTENDED_PROGRAM "\" &&\n"
             "        chmod 700 \"$__runner_dir/" HELPER_ATTENDED_PROGRAM "\" &&\n"
             "        \"$__runner_dir/" HELPER_ATTENDED_PROGRAM "\" hold </dev/null &&\n"
             "        mkfifo -m 600 \"$__runner_dir/" HELPER_ATTENDED_INPUT "\" && break\n"
             "    rm -rf \"$__runner_dir\"\n"
             "    __runner_dir=\n"
             "done 2>/dev/null\n"
             "if [ -z \"$__runner_dir\" ]; then\n"
             "    echo '" HELPER_MESSAGE_PREFIX "run a program here: the machine of the agent "
             "needs base64, mkfifo, and a directory of $TMPDIR, /tmp, /var/tmp and /dev/shm where "
             "programs can be written and executed' >&2\n"
             "    exit %d\n"
             "fi\n",
             token, token, HELPER_EXIT_CANNOT);
}

/* The fifo is open for both directions here, so that opening it never waits; who writes the request
 * must not be able to read it, or would wait for ever behind a helper that has gone. What is told
 * first is that the helper is there, which removes the directory even if the shell is killed. */
static void add_run(struct buf *text, const char *token)
{
    buf_addf(text,
             "exec 3<>\"$__runner_dir/" HELPER_ATTENDED_INPUT "\"\n"
             "\"$__runner_dir/" HELPER_ATTENDED_PROGRAM "\" attended \"$__runner_dir\" "
             "<\"$__runner_dir/" HELPER_ATTENDED_INPUT "\" 3>&- &\n"
             "__runner_pid=$!\n"
             "printf '\\036%%s %%s\\n' %s $$\n"
             "printf %%s \"$__runner_request\" | base64 -d >/proc/$$/fd/3 3>&-\n"
             "wait $__runner_pid\n"
             "exit $?\n",
             token);
}

int idp_script_make(struct idp_script *script, const char *token,
                    const struct helper_program *helper, const struct runnable *runnable,
                    const struct buf *request, struct err *err)
{
    CLEANUP_BUF struct buf program = BUF_INIT;
    size_t pieces;

    base64_encode(&program, helper->data, helper->size);
    strmap_set(&script->environment, HELPER_VARIABLE, program.data);
    pieces = add_pieces(script, request);
    add_variables(&script->text, pieces);
    if (!runnable->workdir && strmap_has(&script->environment, WORKDIR))
        buf_addstr(&script->text, WORKDIR "=$PWD\n");
    add_directory(&script->text, token);
    add_run(&script->text, token);
    return check_total(script, err);
}

void idp_script_signal(struct buf *out, const char *token, unsigned long pid, int signal)
{
    char message[HELPER_HEADER_SIZE];

    helper_signal(message, signal);
    buf_addf(out, "case $(readlink /proc/%lu/fd/3) in\n*/.runner-%s/*) printf '", pid, token);
    for (size_t i = 0; i < sizeof(message); i++)
        buf_addf(out, "\\%03o", (unsigned char)message[i]);
    buf_addf(out, "' >/proc/%lu/fd/3 ;;\nesac\n", pid);
}

void idp_script_release(struct idp_script *script)
{
    buf_release(&script->text);
    strmap_release(&script->environment);
    strmap_release(&script->rest);
}
