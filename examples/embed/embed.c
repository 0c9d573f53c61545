/* A program that runs pipelines by itself, with a kind of steps of its own (docs/embedding.md).
 *
 *     cc -o embed embed.c $(pkg-config --cflags --libs runner) && ./embed
 */
#include <runner/runner.h>
#include <runner/step/kind.h>

#include <semaphore.h>
#include <stdio.h>
#include <string.h>

static const char greeting[] = "name: greeting\n"
                               "stages:\n"
                               "- name: greet\n"
                               "  jobs:\n"
                               "  - name: everybody\n"
                               "    steps:\n"
                               "    - {name: first, command: \"@greet world\"}\n"
                               "    - {name: second, command: \"echo and $WHO\"}\n";

static const char endless[] = "name: endless\n"
                              "stages:\n"
                              "- name: wait\n"
                              "  jobs:\n"
                              "  - name: long\n"
                              "    steps:\n"
                              "    - {name: sleep, command: \"sleep 600\"}\n";

/* --- a kind of steps: those whose command begins with "@greet " --- */

#define PREFIX "@greet "

static bool is_greeting(const struct spec_step *step)
{
    return step->command.text && strncmp(step->command.text, PREFIX, strlen(PREFIX)) == 0;
}

/* What it becomes: a program and its arguments, on whatever engine the step has. */
static int lower_greeting(const struct step_context *context, struct step_lowered *lowered,
                          struct err *err)
{
    (void)err;
    strvec_push(&lowered->argv, "/bin/echo");
    strvec_push(&lowered->argv, "hello");
    strvec_push(&lowered->argv, context->step->spec->command.text + strlen(PREFIX));
    return 0;
}

static const struct step_kind greet = {.name = "greet",
                                       .claims = is_greeting,
                                       .lower = lower_greeting};
static const struct step_kind *const kinds[] = {&greet, NULL};

/* --- what is seen of a run --- */

/* `arg` is a semaphore, posted at the end, or NULL. */
static int show(void *arg, const struct runner_event *event)
{
    if (event->kind == RUNNER_STDOUT || event->kind == RUNNER_STDERR)
        printf("step %s: %.*s", event->node, (int)event->size, event->data);
    else if (event->kind == RUNNER_NOTE)
        printf("note: %s\n", event->data);
    else if (event->kind == RUNNER_END && arg)
        sem_post(arg);
    return 0;
}

static int fail(const struct err *err)
{
    fprintf(stderr, "embed: %s\n", err->message);
    return 1;
}

static int wait_and_tell(struct runner *runner, const char *id, struct err *err)
{
    struct runner_status status;

    if (runner_wait(NULL, runner, id, &status, err) < 0)
        return -1;
    printf("%s: %s, exit status %d%s%s\n", status.name, state_name(status.state),
           status.exit_status, *status.error ? ", " : "", status.error);
    runner_status_release(&status);
    return 0;
}

static int run_to_the_end(struct runner *runner, struct err *err)
{
    static const char *const env[] = {"WHO=everybody", NULL};
    const struct runner_pipeline pipeline = {.text = greeting, .env = env};
    char id[RUNNER_ID_SIZE];

    if (runner_start(NULL, runner, &pipeline, id, err) < 0)
        return -1;
    /* In this thread; runner_subscribe() does the same beside it. */
    if (runner_follow(NULL, runner, id, NULL, show, NULL, err) < 0)
        return -1;
    return wait_and_tell(runner, id, err);
}

static int run_and_cancel(struct runner *runner, struct err *err)
{
    const struct runner_pipeline pipeline = {.text = endless};
    struct runner_subscription *subscription;
    char id[RUNNER_ID_SIZE];
    sem_t seen;
    int result = -1;

    sem_init(&seen, 0, 0);
    if (runner_start(NULL, runner, &pipeline, id, err) < 0 ||
        runner_subscribe(runner, id, NULL, show, &seen, &subscription, err) < 0)
        return -1;
    if (runner_cancel(NULL, runner, id, "it takes too long", "embed", err) == 0) {
        while (sem_wait(&seen) < 0)
            ;
        result = wait_and_tell(runner, id, err);
    }
    runner_unsubscribe(subscription);
    sem_destroy(&seen);
    return result;
}

int main(void)
{
    const struct runner_options options = {.step_kinds = kinds};
    struct runner *runner;
    struct err err = ERR_INIT;
    int result = 0;

    /* Forks: before this program has threads. */
    if (runner_new(&options, &runner, &err) < 0)
        return fail(&err);
    if (run_to_the_end(runner, &err) < 0 || run_and_cancel(runner, &err) < 0)
        result = fail(&err);
    runner_free(runner);
    return result;
}
