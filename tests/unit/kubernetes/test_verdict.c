/* What is made of pods as API servers show them. */
#include "tests/unit/test.h"

#include <jansson.h>

#include "engine/kubernetes/verdict.h"

#define STATE(state) "{'status': {'containerStatuses': [{'name': 'c', 'state': " state "}]}}"

static json_t *parse(const char *text)
{
    char *quoted = strdup(text);
    json_error_t error;
    json_t *value;

    for (char *p = quoted; *p; p++) {
        if (*p == '\'')
            *p = '"';
    }
    value = json_loads(quoted, 0, &error);
    if (!value)
        fail_msg("%s: %s", error.text, quoted);
    free(quoted);
    return value;
}

struct verdict_case {
    const char *pod; /* NULL: never seen */
    bool gone;
    struct verdict expected;
};

static const struct verdict_case coming[] = {
    {NULL, false, {.kind = VERDICT_COMING}},
    {"{}", false, {.kind = VERDICT_COMING}},
    {"{'status': {'phase': 'Pending'}}", false, {.kind = VERDICT_COMING}},
    {"{'status': {'conditions': [{'type': 'PodScheduled', 'status': 'False',"
     " 'reason': 'Unschedulable', 'message': '0/1 nodes are available'}]}}",
     false,
     {.kind = VERDICT_COMING,
      .reason = REASON_UNSCHEDULABLE,
      .unschedulable = true,
      .text = "Unschedulable: 0/1 nodes are available"}},
    {"{'status': {'conditions': [{'type': 'PodScheduled', 'status': 'True'}]}}",
     false,
     {.kind = VERDICT_COMING}},
    {STATE("{'waiting': {'reason': 'ContainerCreating'}}"),
     false,
     {.kind = VERDICT_COMING, .pulling = true, .text = "ContainerCreating"}},
    {STATE("{'waiting': {}}"), false, {.kind = VERDICT_COMING, .pulling = true, .text = "waiting"}},
    {"{'status': {'containerStatuses': [{'name': 'other', 'state': {'running': {}}}]}}",
     false,
     {.kind = VERDICT_COMING}},
    {STATE("{'running': {}}"), false, {.kind = VERDICT_RUNNING}},
    {"{'status': {'initContainerStatuses': [{'name': 'c', 'state': {'running': {}}}]}}",
     false,
     {.kind = VERDICT_RUNNING}},
    {"{'status': {'conditions': [{'type': 'DisruptionTarget', 'status': 'False'}],"
     " 'containerStatuses': [{'name': 'c', 'state': {'running': {}}}]}}",
     false,
     {.kind = VERDICT_RUNNING}},
};

#define REFUSED(why, text_, passes)                                                                \
    {                                                                                              \
        .kind = VERDICT_REFUSED, .reason = why, .pulling = true, .may_pass = passes, .text = text_ \
    }

static const struct verdict_case refused[] = {
    {STATE("{'waiting': {'reason': 'ErrImagePull', 'message': 'manifest for a:1 not found'}}"),
     false, REFUSED(REASON_IMAGE_PULL, "ErrImagePull: manifest for a:1 not found", false)},
    {STATE("{'waiting': {'reason': 'ErrImagePull', 'message': 'denied: no access'}}"), false,
     REFUSED(REASON_IMAGE_PULL, "ErrImagePull: denied: no access", false)},
    {STATE("{'waiting': {'reason': 'ErrImagePull', 'message': '429 Too Many Requests'}}"), false,
     REFUSED(REASON_IMAGE_PULL, "ErrImagePull: 429 Too Many Requests", true)},
    {STATE("{'waiting': {'reason': 'ErrImagePull', 'message': 'toomanyrequests: slow down'}}"),
     false, REFUSED(REASON_IMAGE_PULL, "ErrImagePull: toomanyrequests: slow down", true)},
    {STATE("{'waiting': {'reason': 'ErrImagePull', 'message': 'dial tcp: i/o timeout'}}"), false,
     REFUSED(REASON_IMAGE_PULL, "ErrImagePull: dial tcp: i/o timeout", true)},
    {STATE("{'waiting': {'reason': 'ErrImagePull', 'message': 'no basic auth credentials'}}"),
     false, REFUSED(REASON_IMAGE_PULL, "ErrImagePull: no basic auth credentials", false)},
    /* The pod has a pull secret, and the kubelet has not got it yet. */
    {"{'spec': {'imagePullSecrets': [{'name': 's'}]}, 'status': {'containerStatuses': [{'name': "
     "'c',"
     " 'state': {'waiting': {'reason': 'ErrImagePull', 'message': 'no basic auth "
     "credentials'}}}]}}",
     false,
     {.kind = VERDICT_REFUSED,
      .reason = REASON_IMAGE_PULL,
      .pulling = true,
      .uncredited = true,
      .text = "ErrImagePull: no basic auth credentials"}},
    /* Its message does not say why. */
    {STATE("{'waiting': {'reason': 'ImagePullBackOff', 'message': 'Back-off pulling image'}}"),
     false, REFUSED(REASON_IMAGE_PULL, "ImagePullBackOff: Back-off pulling image", true)},
    {STATE("{'waiting': {'reason': 'InvalidImageName', 'message': 'invalid reference format'}}"),
     false, REFUSED(REASON_IMAGE_PULL, "InvalidImageName: invalid reference format", false)},
    {STATE("{'waiting': {'reason': 'ErrImageNeverPull'}}"), false,
     REFUSED(REASON_IMAGE_PULL, "ErrImageNeverPull", false)},
    {STATE("{'waiting': {'reason': 'CreateContainerConfigError', 'message': 'no such secret'}}"),
     false, REFUSED(REASON_ERROR, "CreateContainerConfigError: no such secret", true)},
    {STATE("{'waiting': {'reason': 'RunContainerError', 'message': 'no such program'}}"), false,
     REFUSED(REASON_ERROR, "RunContainerError: no such program", false)},
};

#define ENDED(why, text_)                                                                          \
    {                                                                                              \
        .kind = VERDICT_ENDED, .reason = why, .text = text_                                        \
    }
#define EXITED(why, code_, text_)                                                                  \
    {                                                                                              \
        .kind = VERDICT_ENDED, .reason = why, .has_code = true, .code = code_, .text = text_       \
    }

static const struct verdict_case ended[] = {
    {STATE("{'terminated': {'exitCode': 3, 'reason': 'Error'}}"), false,
     EXITED(REASON_LOST, 3, "its container has ended with code 3, Error")},
    {STATE("{'terminated': {'exitCode': 0, 'reason': 'Completed', 'message': 'm'}}"), false,
     EXITED(REASON_LOST, 0, "its container has ended with code 0, Completed: m")},
    {STATE("{'terminated': {'exitCode': 137, 'reason': 'OOMKilled'}}"), false,
     EXITED(REASON_OOM, 137, "killed: out of memory")},
    /* A native sidecar that the kubelet starts again. */
    {"{'status': {'initContainerStatuses': [{'name': 'c', 'state': {'waiting': {'reason':"
     " 'CrashLoopBackOff'}}, 'lastState': {'terminated': {'exitCode': 4}}}]}}",
     false, EXITED(REASON_LOST, 4, "its container has ended with code 4")},
    {STATE("{'terminated': {'exitCode': 74, 'reason': 'Error'}}"), false,
     EXITED(REASON_LOST, 74,
            "its container has ended by itself, as nothing was heard of the runner for too long")},
    {"{'status': {'phase': 'Failed', 'reason': 'Evicted', 'message': 'low on memory',"
     " 'containerStatuses': [{'name': 'c', 'state': {'terminated': {'exitCode': 137}}}]}}",
     false, ENDED(REASON_EVICTED, "its pod was ended by the cluster (Evicted): low on memory")},
    {"{'status': {'phase': 'Failed', 'reason': 'Preempting', 'message': 'm'}}", false,
     ENDED(REASON_EVICTED, "its pod was ended by the cluster (Preempting): m")},
    {"{'status': {'phase': 'Failed', 'reason': 'OutOfcpu'}}", false,
     ENDED(REASON_UNSCHEDULABLE, "its pod was ended by the cluster (OutOfcpu)")},
    {"{'status': {'phase': 'Failed', 'reason': 'DeadlineExceeded'}}", false,
     ENDED(REASON_TIMEOUT, "its pod was ended by the cluster (DeadlineExceeded)")},
    {"{'status': {'phase': 'Failed', 'reason': 'NodeLost'}}", false,
     ENDED(REASON_LOST, "its pod was ended by the cluster (NodeLost)")},
    {"{'metadata': {'deletionTimestamp': '2026-01-01T00:00:00Z'}, 'status': {'conditions':"
     " [{'type': 'DisruptionTarget', 'status': 'True', 'reason': 'EvictionByEvictionAPI',"
     " 'message': 'drained'}]}}",
     true, ENDED(REASON_EVICTED, "its pod was evicted (EvictionByEvictionAPI): drained")},
    {STATE("{'running': {}}"), true, ENDED(REASON_LOST, "its pod was deleted by somebody else")},
    {NULL, true, ENDED(REASON_LOST, "its pod was deleted by somebody else")},
    {"{'metadata': {'deletionTimestamp': '2026-01-01T00:00:00Z'},"
     " 'status': {'containerStatuses': [{'name': 'c', 'state': {'running': {}}}]}}",
     false, ENDED(REASON_LOST, "its pod is being deleted by somebody else")},
    /* How it ended is known, and says more than that the pod goes. */
    {"{'metadata': {'deletionTimestamp': '2026-01-01T00:00:00Z'},"
     " 'status': {'containerStatuses': [{'name': 'c', 'state': {'terminated':"
     " {'exitCode': 143, 'reason': 'Error'}}}]}}",
     false, EXITED(REASON_LOST, 143, "its container has ended with code 143, Error")},
};

static void check(const struct verdict_case *cases, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct verdict *expected = &cases[i].expected;
        const char *shown = cases[i].pod ? cases[i].pod : "no pod";
        json_t *pod = cases[i].pod ? parse(cases[i].pod) : NULL;
        struct verdict got;

        memset(&got, 0xff, sizeof(got));
        verdict_of(pod, cases[i].gone, "c", &got);
        if (got.kind != expected->kind || got.reason != expected->reason ||
            got.unschedulable != expected->unschedulable || got.pulling != expected->pulling ||
            got.may_pass != expected->may_pass || got.uncredited != expected->uncredited)
            fail_msg("%s: kind %d, reason %s, %d %d %d %d, \"%s\"", shown, got.kind,
                     reason_name(got.reason), got.unschedulable, got.pulling, got.may_pass,
                     got.uncredited, got.text);
        if (got.has_code != expected->has_code || got.code != expected->code)
            fail_msg("%s: code %d", shown, got.code);
        if (strcmp(got.text, expected->text) != 0)
            fail_msg("%s: \"%s\"", shown, got.text);
        json_decref(pod);
    }
}

static void test_coming_and_running(void **state)
{
    (void)state;
    check(coming, sizeof(coming) / sizeof(*coming));
}

static void test_refused(void **state)
{
    (void)state;
    check(refused, sizeof(refused) / sizeof(*refused));
}

static void test_ended(void **state)
{
    (void)state;
    check(ended, sizeof(ended) / sizeof(*ended));
}

static void test_long_messages_are_cut(void **state)
{
    char text[1200];
    struct verdict got;
    json_t *pod;

    (void)state;
    snprintf(text, sizeof(text), "{'status': {'reason': 'Evicted', 'message': '%0*d'}}", 1000, 0);
    pod = parse(text);
    verdict_of(pod, false, "c", &got);
    assert_memory_equal(got.text, "its pod was ended by the cluster (Evicted): 000", 47);
    assert_true(strlen(got.text) < sizeof(got.text));
    json_decref(pod);
}

/* Of the pod as a whole, what its containers do does not matter. */
static void test_of_pod(void **state)
{
    struct verdict got;
    json_t *pod = parse(STATE("{'terminated': {'exitCode': 3}}"));

    (void)state;
    assert_false(verdict_of_pod(pod, false, &got));
    assert_true(verdict_of_pod(pod, true, &got));
    assert_int_equal(got.reason, REASON_LOST);
    json_decref(pod);
    pod = parse("{'status': {'reason': 'Evicted'}}");
    assert_true(verdict_of_pod(pod, true, &got));
    assert_int_equal(got.reason, REASON_EVICTED);
    json_decref(pod);
}

/* What clusters report about a pod that they have deleted, where its state does not say why. */
static void test_of_events(void **state)
{
    static const struct {
        const char *events;
        enum reason reason; /* REASON_NONE: they say nothing */
        const char *text;
    } cases[] = {
        {"[]", REASON_NONE, ""},
        {"[{'reason': 'Killing', 'message': 'Stopping container a'}]", REASON_NONE, ""},
        {"[{'reason': 'Killing'}, {'reason': 'Preempted', 'message': 'Preempted by x/y on node "
         "n'}]",
         REASON_EVICTED, "its pod was preempted: Preempted by x/y on node n"},
        {"[{'reason': 'TaintManagerEviction', 'message': 'Marking for deletion Pod x/y'},"
         " {'reason': 'NodeNotReady', 'message': 'Node is not ready'}]",
         REASON_LOST, "its node was lost: Node is not ready"},
        {"[{'reason': 'TaintManagerEviction', 'message': 'Marking for deletion Pod x/y'}]",
         REASON_EVICTED, "its pod was evicted from its node: Marking for deletion Pod x/y"},
        {"[{'reason': 'TaintManagerEviction', 'message': 'Cancelling deletion of Pod x/y'}]",
         REASON_NONE, ""},
        {"[{'reason': 'Evicted', 'message': 'low on memory'}]", REASON_EVICTED,
         "its pod was evicted: low on memory"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct verdict got = {.kind = VERDICT_ENDED, .has_code = true, .code = 143};
        json_t *events = parse(cases[i].events);
        bool said = verdict_of_events(events, &got);

        if (said != (cases[i].reason != REASON_NONE) || got.reason != cases[i].reason ||
            got.has_code == said || strcmp(got.text, cases[i].text) != 0)
            fail_msg("%s: reason %s, \"%s\"", cases[i].events, reason_name(got.reason), got.text);
        json_decref(events);
    }
}

#define TWO "{'spec': {'containers': [{'name': 'a'}, {'name': 'b'}]}, 'status': "
#define SIDECAR                                                                                    \
    "{'spec': {'initContainers': [{'name': 'a'}], 'containers': [{'name': 'b'}]}, 'status': "
#define ENDED_A "{'name': 'a', 'state': {'terminated': {}}}"
#define ENDED_B "{'name': 'b', 'state': {'terminated': {}}}"

/* Whether what runs of a pod has ended, and whether none is seen to run. */
static void test_all_ended(void **state)
{
    static const struct {
        const char *pod;
        bool ended;
        bool none_runs;
    } cases[] = {
        {TWO "{'containerStatuses': [" ENDED_A ", " ENDED_B "]}}", true, true},
        {TWO "{'containerStatuses': [" ENDED_A "]}}", false, false},
        {TWO "{}}", false, false},
        {TWO "{'containerStatuses': [" ENDED_A ", {'name': 'b', 'state': {'running': {}}}]}}",
         false, false},
        {TWO "{'containerStatuses': [" ENDED_A ", {'name': 'b', 'state': {'waiting': {}}}]}}",
         false, true},
        {TWO "{'containerStatuses': [" ENDED_A ", {'name': 'b', 'state': {}}]}}", false, false},
        {"{'status': {'containerStatuses': [" ENDED_A "]}}", false, false},
        {SIDECAR "{'containerStatuses': [" ENDED_B "]}}", false, false},
        {SIDECAR "{'containerStatuses': [" ENDED_B "], 'initContainerStatuses': [{'name': 'a',"
                 " 'state': {'running': {}}}]}}",
         false, false},
        {SIDECAR "{'containerStatuses': [" ENDED_B "], 'initContainerStatuses': [" ENDED_A "]}}",
         true, true},
        {"{}", false, false},
    };

    (void)state;
    assert_false(verdict_all_ended(NULL));
    assert_false(verdict_none_runs(NULL));
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        json_t *pod = parse(cases[i].pod);

        if (verdict_all_ended(pod) != cases[i].ended ||
            verdict_none_runs(pod) != cases[i].none_runs)
            fail_msg("%s", cases[i].pod);
        json_decref(pod);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_coming_and_running),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_ended),
        cmocka_unit_test(test_long_messages_are_cut),
        cmocka_unit_test(test_of_pod),
        cmocka_unit_test(test_of_events),
        cmocka_unit_test(test_all_ended),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
