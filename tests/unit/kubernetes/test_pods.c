/* What is known of pods where they may be listed, and not watched. tests/fake/kube.py answers each
 * list when it is told to. */
#include "tests/unit/kube/fake.h"

#include "engine/kubernetes/pods.h"

static struct kube_cluster *cluster;

static int setup(void **state)
{
    (void)state;
    ctx_init_cleanup(&test_ctx, 120000);
    if (make_dir() < 0 || start_fake() < 0)
        return -1;
    cluster = select_user("", "{}");
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    kube_cluster_free(cluster);
    stop_fake();
    remove_dir();
    return 0;
}

/* Until so many lists were asked for: the one before was looked at then. */
static void await_lists(int count)
{
    while (requests_in("polled") < count)
        assert_ok(ctx_sleep(&test_ctx, 20, &test_err));
}

static void answer_list(void)
{
    json_decref(ask_fake("/release/polled"));
}

static void assert_seen(struct tracked_pod *pod, bool there, bool gone)
{
    bool is_gone;
    json_t *object = pod_object(pod, &is_gone);

    assert_int_equal(object != NULL, there);
    assert_int_equal(is_gone, gone);
    json_decref(object);
}

static void await_change(struct tracked_pod *pod, bool gone)
{
    struct pod_listener listener;
    struct pollfd fd;
    bool is_gone = !gone;

    assert_ok(pod_listen(pod, &listener, &test_err));
    fd = (struct pollfd){.fd = listener.fd, .events = POLLIN};
    answer_list();
    while (is_gone != gone) {
        assert_int_equal(ctx_poll(&test_ctx, &fd, 1, -1, &test_err), 1);
        pod_heard(&listener);
        json_decref(pod_object(pod, &is_gone));
    }
    pod_unlisten(pod, &listener);
}

static void lists_where_it_may_not_watch(void **state)
{
    json_t *object = json_pack("{s:{s:s}}", "metadata", "name", "p");
    struct pods *pods;
    struct tracked_pod *pod, *never;

    (void)state;
    assert_ok(pods_start(cluster, "polled", "dev.runner.run=r", &pods, &test_err));
    pod = pods_track(pods, "p");
    never = pods_track(pods, "never");
    /* It is created while a list without it is on its way: it is not one that has gone. */
    await_lists(2);
    pod_set_object(pod, object);
    answer_list();
    await_lists(3);
    assert_seen(pod, true, false);
    await_change(pod, false);
    /* One that has been there has. What was seen of it last stays. */
    await_lists(4);
    assert_seen(pod, true, false);
    await_change(pod, true);
    assert_seen(pod, true, true);
    assert_seen(never, false, false);
    for (int i = 0; i < 8; i++)
        answer_list();
    pods_untrack(pods, never);
    pods_untrack(pods, pod);
    pods_stop(pods);
    json_decref(object);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(lists_where_it_may_not_watch)};

    return cmocka_run_group_tests(tests, setup, teardown);
}
