#include "engine/kubernetes/pending.h"

#include <string.h>

#include "base/clock.h"
#include "engine/kubernetes/lanes.h"
#include "engine/kubernetes/loss.h"
#include "engine/kubernetes/verdict.h"

enum {
    SCHEDULE_MS = 300000, /* unless `schedule_timeout` says otherwise */
    PULL_MS = 600000,     /* unless `pull_timeout` does */
    QUIET_MS = 1500,      /* what does not take longer needs no words */
    LOOK_MS = 1000,
};

struct wait {
    struct kubernetes_place *place;
    struct place_container *container;
    struct output *output;
    int64_t begun_ms;
    int64_t scheduled_ms; /* when it had a node; 0: it has none */
    size_t seen;          /* reports */
    int uncredited;       /* pulls without credentials that are over */
    bool was_uncredited;
    struct verdict verdict;
    char said[sizeof(((struct verdict *)NULL)->text)];
};

/* Behind the reason in one word, for which the pod's state and a report of it have two. */
static const char *message_of(const char *text)
{
    const char *message = strstr(text, ": ");

    return message ? message : text;
}

/* One line, once. */
static void say(struct wait *wait, const char *text)
{
    char line[sizeof(wait->said) + 64];
    char *at;

    if (strcmp(message_of(wait->said), message_of(text)) == 0)
        return;
    snprintf(wait->said, sizeof(wait->said), "%s", text);
    snprintf(line, sizeof(line), "waiting for the pod: %s", text);
    for (at = line; *at; at++) {
        if (*at == '\n')
            *at = ' ';
    }
    wait->output->note(wait->output, line);
}

static void say_reports(struct wait *wait)
{
    CLEANUP_STRVEC struct strvec reports = {0};

    pod_reports(wait->place->tracked, &wait->seen, &reports);
    for (size_t i = 0; i < reports.len; i++)
        say(wait, reports.items[i]);
}

static bool has_node(const json_t *pod)
{
    return json_string_value(json_object_get(json_object_get(pod, "spec"), "nodeName")) != NULL;
}

static int refuse(enum reason reason, const char *text, struct exit_record *ret)
{
    *ret = (struct exit_record){.kind = EXIT_LOST, .reason = reason};
    snprintf(ret->detail, sizeof(ret->detail), "%.*s", (int)sizeof(ret->detail) - 1, text);
    return 1;
}

static int too_late(struct wait *wait, enum reason reason, const char *what, const char *key,
                    int64_t limit_ms, struct exit_record *ret)
{
    char limit[CLOCK_DURATION_SIZE];
    char text[sizeof(ret->detail) + 512];

    clock_format_limit(limit_ms, limit, sizeof(limit));
    snprintf(text, sizeof(text), "%s after %s (`%s`)%s%s", what, limit, key,
             *wait->verdict.text ? ": " : "", wait->verdict.text);
    return refuse(reason, text, ret);
}

static int image_failed(struct wait *wait, struct err *err)
{
    return err_set(err, ERR_IMAGE_PULL, "image %s: %s", wait->container->pod.image,
                   wait->verdict.text);
}

static int pull_too_late(struct wait *wait, int64_t limit_ms, struct err *err)
{
    char limit[CLOCK_DURATION_SIZE];

    clock_format_limit(limit_ms, limit, sizeof(limit));
    return err_set(err, ERR_IMAGE_PULL, "image %s was not there after %s (`pull_timeout`)%s%s",
                   wait->container->pod.image, limit, *wait->verdict.text ? ": " : "",
                   wait->verdict.text);
}

/* 2: wait on. */
static int judge_coming(struct wait *wait, struct exit_record *ret, struct err *err)
{
    int64_t now = clock_monotonic_ms();
    int64_t schedule_ms =
        wait->place->schedule_timeout_ms > 0 ? wait->place->schedule_timeout_ms : SCHEDULE_MS;
    int64_t pull_ms =
        wait->container->pull_timeout_ms > 0 ? wait->container->pull_timeout_ms : PULL_MS;

    if (!wait->scheduled_ms && now - wait->begun_ms >= schedule_ms)
        return too_late(wait, REASON_UNSCHEDULABLE, "its pod had no node", "schedule_timeout",
                        schedule_ms, ret);
    if (wait->scheduled_ms && now - wait->scheduled_ms >= pull_ms)
        return pull_too_late(wait, pull_ms, err);
    if (now - wait->begun_ms >= QUIET_MS) {
        say_reports(wait);
        if (wait->verdict.unschedulable)
            say(wait, wait->verdict.text);
    }
    return 2;
}

/* A kubelet that has not got the pull secret yet has it at its next attempt. */
static bool may_pass(struct wait *wait)
{
    const struct verdict *verdict = &wait->verdict;

    if (wait->was_uncredited && !verdict->uncredited)
        wait->uncredited++;
    wait->was_uncredited = verdict->uncredited;
    return verdict->may_pass || (verdict->uncredited && wait->uncredited == 0);
}

static int judge(struct wait *wait, struct exit_record *ret, struct err *err)
{
    const struct verdict *verdict = &wait->verdict;

    switch (verdict->kind) {
    case VERDICT_RUNNING:
        return 0;
    case VERDICT_ENDED:
        /* Quick, but it ran: there is a log, and its own exit code. */
        if (wait->container->service_name && verdict->has_code)
            return 0;
        loss_explain(wait->place, &wait->verdict);
        return refuse(verdict->reason, verdict->text, ret);
    case VERDICT_REFUSED:
        if (!may_pass(wait))
            return verdict->reason == REASON_IMAGE_PULL
                       ? image_failed(wait, err)
                       : refuse(verdict->reason, verdict->text, ret);
        say(wait, verdict->text);
        return judge_coming(wait, ret, err);
    case VERDICT_COMING:
        break;
    }
    return judge_coming(wait, ret, err);
}

static int look(struct wait *wait, struct exit_record *ret, struct err *err)
{
    bool gone;
    json_t *pod = pod_object(wait->place->tracked, &gone);
    int result;

    if (!wait->scheduled_ms && has_node(pod))
        wait->scheduled_ms = clock_monotonic_ms();
    verdict_of(pod, gone, wait->container->pod.name, &wait->verdict);
    if (wait->verdict.kind == VERDICT_COMING && lane_pool_met(&wait->container->lanes))
        wait->verdict.kind = VERDICT_RUNNING;
    result = judge(wait, ret, err);
    json_decref(pod);
    return result;
}

int pending_await(const struct ctx *ctx, struct kubernetes_place *place,
                  struct place_container *container, struct output *output, struct exit_record *ret,
                  struct err *err)
{
    struct wait wait = {.place = place,
                        .container = container,
                        .output = output,
                        .begun_ms = clock_monotonic_ms()};
    struct pod_listener listener;
    struct pollfd fd;
    int result;

    if (pod_listen(place->tracked, &listener, err) < 0)
        return -1;
    fd = (struct pollfd){.fd = listener.fd, .events = POLLIN};
    while ((result = look(&wait, ret, err)) == 2) {
        if (ctx_poll(ctx, &fd, 1, LOOK_MS, err) < 0) {
            result = -1;
            break;
        }
        pod_heard(&listener);
    }
    pod_unlisten(place->tracked, &listener);
    return result;
}
