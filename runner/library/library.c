#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/fs.h"
#include "history/history.h"
#include "library/library.h"
#include "library/rows.h"
#include "load/load.h"

/* --- rows --- */

/* Those that were added by the process so far, and those of the runner. */
static const struct engine **all_engines;
static const struct step_kind **all_kinds;

static size_t count_rows(const void *const *rows)
{
    size_t count = 0;

    while (rows && rows[count])
        count++;
    return count;
}

/* A new table. Those before stay, as somebody may still look at them. */
static const void **join_rows(const void *const *first, const void *const *then)
{
    static VEC(const void **)
    tables;

    size_t first_count = count_rows(first);
    size_t then_count = count_rows(then);
    const void **joined = xcalloc(first_count + then_count + 1, sizeof(*joined));

    if (first_count)
        memcpy(joined, first, first_count * sizeof(*joined));
    memcpy(joined + first_count, then, then_count * sizeof(*joined));
    vec_push(&tables, joined);
    return joined;
}

static void add_rows(const struct runner_options *options)
{
    load_extend(options->engine_names, options->service_kinds);
    if (!all_engines || options->engines)
        all_engines =
            (const struct engine **)join_rows((const void *const *)options->engines,
                                              (const void *const *)(all_engines ? all_engines
                                                                                : runner_engines));
    if (!all_kinds || options->step_kinds)
        all_kinds = (const struct step_kind **)
            join_rows((const void *const *)options->step_kinds,
                      (const void *const *)(all_kinds ? all_kinds : runner_step_kinds));
}

/* --- beginning and end --- */

/* That of a sanitizer does not count. */
static bool has_threads(void)
{
#ifdef __SANITIZE_THREAD__
    return false;
#else
    struct stat st;

    return stat("/proc/self/task", &st) == 0 && st.st_nlink > 3;
#endif
}

static int start_launcher(struct runner *runner, const struct runner_options *options,
                          struct err *err)
{
    struct object_store_places places = {.dir = options->cache_dir,
                                         .max_bytes = options->cache_bytes};
    const struct launcher_options launcher = {
        .run = {.engines = all_engines,
                .kinds = all_kinds,
                .services = {.docker_host = options->docker_host,
                             .kubeconfig = options->kubeconfig,
                             .context = options->context,
                             .ns = options->ns},
                .jobs = options->jobs,
                .keep = options->keep,
                .open_store = object_store_open_at,
                .open_store_arg = &places},
        .history = runner->history,
        .log_bytes = options->log_bytes,
    };

    return launcher_start(&launcher, &runner->launcher, err);
}

static char *user_name(void)
{
    const char *name = getenv("LOGNAME");

    if (!name || !*name)
        name = getenv("USER");
    return name && *name ? xstrdup(name) : xasprintf("%ld", (long)geteuid());
}

static int find_places(struct runner *runner, const struct runner_options *options, struct err *err)
{
    char here[PATH_MAX];

    if (!getcwd(here, sizeof(here)))
        return err_errno(err, "cannot find the current directory");
    runner->directory = xstrdup(here);
    runner->user = user_name();
    runner->history = history_dir(options->history, err);
    if (!runner->history)
        return err_wrap(err, "there is no place for the records of runs");
    runner->runs = fs_join(runner->history, "runs");
    return 0;
}

int runner_new(const struct runner_options *options, struct runner **ret, struct err *err)
{
    static const struct runner_options none = {0};
    struct runner *runner;

    if (!options)
        options = &none;
    if (has_threads())
        return err_set(err, ERR_CONFLICT,
                       "runner_new() forks, and must be called before this process has threads");
    runner = xcalloc(1, sizeof(*runner));
    *runner = (struct runner){.forever = {.cancel = {.event_fd = -1}},
                              .starting = {.event_fd = -1},
                              .mu = PTHREAD_MUTEX_INITIALIZER};
    add_rows(options);
    runner->kinds = all_kinds;
    if (find_places(runner, options, err) < 0 || start_launcher(runner, options, err) < 0 ||
        ctx_init_root(&runner->forever, NULL, err) < 0 ||
        gate_init(&runner->starting, 1, err) < 0) {
        runner_free(runner);
        return -1;
    }
    *ret = runner;
    return 0;
}

void runner_free(struct runner *runner)
{
    if (!runner)
        return;
    launcher_stop(runner->launcher);
    gate_release(&runner->starting);
    ctx_release(&runner->forever);
    strvec_release(&runner->started);
    pthread_mutex_destroy(&runner->mu);
    free(runner->history);
    free(runner->runs);
    free(runner->directory);
    free(runner->user);
    free(runner);
}
