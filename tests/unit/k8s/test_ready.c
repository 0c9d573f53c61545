/* What is ready, and what is said about what is not, by the status that servers give. */
#include "tests/unit/k8s/k8s_test.h"

#include "k8s/ready.h"

struct row {
    const char *object;
    enum ready ready;
    const char *why; /* NULL: nothing */
};

static void check_rows(const struct row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        CLEANUP_BUF struct buf why = BUF_INIT;
        json_t *object = parse(rows[i].object);

        if (ready_of(object, &why) != rows[i].ready ||
            strcmp(why.data, rows[i].why ? rows[i].why : "") != 0)
            fail_msg("%s: %d, \"%s\"", rows[i].object, (int)ready_of(object, &why), why.data);
        json_decref(object);
    }
}

#define CHECK_ROWS(rows) check_rows(rows, sizeof(rows) / sizeof(*(rows)))

#define DEPLOYMENT "{'apiVersion': 'apps/v1', 'kind': 'Deployment', 'metadata': {'generation': 2}, "
#define SEEN       "'observedGeneration': 2, "

static void test_deployment(void **state)
{
    static const struct row rows[] = {
        {DEPLOYMENT "'spec': {'replicas': 2}}", READY_NOT_YET,
         "its controller has not seen it yet"},
        {DEPLOYMENT "'spec': {'replicas': 2}, 'status': {'observedGeneration': 1, "
                    "'updatedReplicas': 2, 'replicas': 2, 'availableReplicas': 2}}",
         READY_NOT_YET, "its controller has not seen it yet"},
        {DEPLOYMENT "'spec': {'replicas': 2}, 'status': {" SEEN "'updatedReplicas': 1}}",
         READY_NOT_YET, "1 of 2 new replicas have been made"},
        {DEPLOYMENT "'spec': {}, 'status': {" SEEN "'updatedReplicas': 1, 'replicas': 3, "
                    "'availableReplicas': 3}}",
         READY_NOT_YET, "2 old replicas have not ended"},
        {DEPLOYMENT "'spec': {'replicas': 2}, 'status': {" SEEN
                    "'updatedReplicas': 2, 'replicas': 2, 'availableReplicas': 1}}",
         READY_NOT_YET, "1 of 2 replicas are available"},
        {DEPLOYMENT "'spec': {'replicas': 2}, 'status': {" SEEN
                    "'updatedReplicas': 2, 'replicas': 2, 'availableReplicas': 2}}",
         READY_YES, NULL},
        {DEPLOYMENT "'spec': {'replicas': 0}, 'status': {" SEEN "'conditions': []}}", READY_YES,
         NULL},
        {DEPLOYMENT "'spec': {'replicas': 2, 'paused': true}, 'status': {" SEEN "'replicas': 1}}",
         READY_YES, NULL},
        {DEPLOYMENT "'spec': {}, 'status': {" SEEN "'conditions': [{'type': 'Progressing', "
                    "'status': 'False', 'reason': 'ProgressDeadlineExceeded', 'message': "
                    "'too slow'}]}}",
         READY_FAILED, "ProgressDeadlineExceeded: too slow"},
        {"{'apiVersion': 'apps/v1', 'kind': 'Deployment', 'metadata': {'deletionTimestamp': "
         "'2026-01-01T00:00:00Z'}}",
         READY_NOT_YET, "is being deleted"},
    };

    (void)state;
    CHECK_ROWS(rows);
}

#define STATEFULSET "{'apiVersion': 'apps/v1', 'kind': 'StatefulSet', 'spec': {'replicas': 3"
#define DAEMONSET   "{'apiVersion': 'apps/v1', 'kind': 'DaemonSet', 'spec': {"

static void test_sets(void **state)
{
    static const struct row rows[] = {
        {STATEFULSET "}, 'status': {'readyReplicas': 2}}", READY_NOT_YET,
         "2 of 3 replicas are ready"},
        {STATEFULSET "}, 'status': {'readyReplicas': 3, 'updatedReplicas': 1, "
                     "'currentRevision': 'a', 'updateRevision': 'b'}}",
         READY_NOT_YET, "1 of 3 replicas have been updated"},
        {STATEFULSET "}, 'status': {'readyReplicas': 3, 'updatedReplicas': 3, "
                     "'currentRevision': 'b', 'updateRevision': 'b'}}",
         READY_YES, NULL},
        {STATEFULSET ", 'updateStrategy': {'type': 'OnDelete'}}, 'status': {'readyReplicas': 3, "
                     "'currentRevision': 'a', 'updateRevision': 'b'}}",
         READY_YES, NULL},
        {STATEFULSET ", 'updateStrategy': {'rollingUpdate': {'partition': 2}}}, 'status': "
                     "{'readyReplicas': 3, 'currentRevision': 'a', 'updateRevision': 'b'}}",
         READY_NOT_YET, "0 of 1 replicas have been updated"},
        {STATEFULSET ", 'updateStrategy': {'rollingUpdate': {'partition': 2}}}, 'status': "
                     "{'readyReplicas': 3, 'updatedReplicas': 1, 'currentRevision': 'a', "
                     "'updateRevision': 'b'}}",
         READY_YES, NULL},
        {DAEMONSET "}, 'status': {'desiredNumberScheduled': 2, 'updatedNumberScheduled': 1}}",
         READY_NOT_YET, "1 of 2 pods have been updated"},
        {DAEMONSET "}, 'status': {'desiredNumberScheduled': 2, 'updatedNumberScheduled': 2, "
                   "'numberAvailable': 1}}",
         READY_NOT_YET, "1 of 2 pods are available"},
        {DAEMONSET "'updateStrategy': {'type': 'OnDelete'}}, 'status': "
                   "{'desiredNumberScheduled': 2, 'numberAvailable': 2}}",
         READY_YES, NULL},
        {DAEMONSET "}, 'status': {'desiredNumberScheduled': 0}}", READY_YES, NULL},
        {"{'apiVersion': 'apps/v1', 'kind': 'ReplicaSet', 'spec': {'replicas': 2}, 'status': "
         "{'availableReplicas': 1, 'conditions': [{'type': 'ReplicaFailure', 'status': 'True', "
         "'reason': 'FailedCreate', 'message': 'exceeded quota'}]}}",
         READY_NOT_YET, "FailedCreate: exceeded quota"},
        {"{'apiVersion': 'v1', 'kind': 'ReplicationController', 'spec': {'replicas': 1}, "
         "'status': {'availableReplicas': 1}}",
         READY_YES, NULL},
    };

    (void)state;
    CHECK_ROWS(rows);
}

static void test_jobs_and_pods(void **state)
{
    static const struct row rows[] = {
        {"{'apiVersion': 'batch/v1', 'kind': 'Job', 'spec': {'completions': 3}, 'status': "
         "{'succeeded': 1, 'active': 1, 'failed': 2}}",
         READY_NOT_YET, "1 of 3 pods have succeeded, 2 failed, 1 run"},
        {"{'apiVersion': 'batch/v1', 'kind': 'Job', 'status': {'conditions': [{'type': 'Complete', "
         "'status': 'True'}]}}",
         READY_YES, NULL},
        {"{'apiVersion': 'batch/v1', 'kind': 'Job', 'spec': {'suspend': true}}", READY_YES, NULL},
        {"{'apiVersion': 'batch/v1', 'kind': 'Job', 'status': {'conditions': [{'type': 'Failed', "
         "'status': 'True', 'reason': 'BackoffLimitExceeded', 'message': 'limit'}]}}",
         READY_FAILED, "BackoffLimitExceeded: limit"},
        {"{'apiVersion': 'batch/v1beta1', 'kind': 'CronJob', 'spec': {}}", READY_YES, NULL},
        {"{'apiVersion': 'v1', 'kind': 'Pod'}", READY_NOT_YET, "is new and not ready"},
        {"{'apiVersion': 'v1', 'kind': 'Pod', 'status': {'phase': 'Pending', 'conditions': "
         "[{'type': 'PodScheduled', 'status': 'False', 'reason': 'Unschedulable', 'message': "
         "'0/1 nodes'}]}}",
         READY_NOT_YET, "Unschedulable: 0/1 nodes"},
        {"{'apiVersion': 'v1', 'kind': 'Pod', 'status': {'phase': 'Pending', 'containerStatuses': "
         "[{'name': 'c', 'state': {'waiting': {'reason': 'ErrImagePull'}}}]}}",
         READY_NOT_YET, "is Pending and not ready, container c: ErrImagePull"},
        {"{'apiVersion': 'v1', 'kind': 'Pod', 'status': {'phase': 'Running', 'conditions': "
         "[{'type': 'Ready', 'status': 'False'}]}}",
         READY_NOT_YET, "is Running and not ready"},
        {"{'apiVersion': 'v1', 'kind': 'Pod', 'status': {'phase': 'Running', 'conditions': "
         "[{'type': 'Ready', 'status': 'True'}]}}",
         READY_YES, NULL},
        {"{'apiVersion': 'v1', 'kind': 'Pod', 'status': {'phase': 'Succeeded'}}", READY_YES, NULL},
        {"{'apiVersion': 'v1', 'kind': 'Pod', 'status': {'phase': 'Failed', 'containerStatuses': "
         "[{'name': 'c', 'state': {'terminated': {'reason': 'Error', 'exitCode': 3}}}]}}",
         READY_FAILED, "has failed, container c: Error, exit code 3"},
        {"{'apiVersion': 'v1', 'kind': 'Pod', 'status': {'phase': 'Failed', 'reason': 'Evicted'}}",
         READY_FAILED, "Evicted"},
    };

    (void)state;
    CHECK_ROWS(rows);
}

static void test_others(void **state)
{
    static const struct row rows[] = {
        {"{'apiVersion': 'v1', 'kind': 'PersistentVolumeClaim', 'status': {'phase': 'Pending'}}",
         READY_NOT_YET, "has no volume yet (Pending)"},
        {"{'apiVersion': 'v1', 'kind': 'PersistentVolumeClaim', 'status': {'phase': 'Bound'}}",
         READY_YES, NULL},
        {"{'apiVersion': 'v1', 'kind': 'PersistentVolumeClaim', 'status': {'phase': 'Lost'}}",
         READY_FAILED, "its volume is lost"},
        {"{'apiVersion': 'v1', 'kind': 'PersistentVolume', 'status': {'phase': 'Failed', "
         "'message': 'm'}}",
         READY_FAILED, "has failed: m"},
        {"{'apiVersion': 'v1', 'kind': 'Service', 'spec': {'type': 'ClusterIP', 'selector': "
         "{'a': 'b'}}}",
         READY_NOT_YET, "has no endpoints: it selects no pod that runs"},
        {"{'apiVersion': 'v1', 'kind': 'Service', 'spec': {'clusterIP': 'None', 'selector': "
         "{'a': 'b'}}}",
         READY_YES, NULL},
        {"{'apiVersion': 'v1', 'kind': 'Service', 'spec': {'type': 'ExternalName', 'selector': "
         "{'a': 'b'}}}",
         READY_YES, NULL},
        {"{'apiVersion': 'v1', 'kind': 'Service', 'spec': {}}", READY_YES, NULL},
        {"{'apiVersion': 'v1', 'kind': 'Namespace', 'status': {'phase': 'Active'}}", READY_YES,
         NULL},
        {"{'apiVersion': 'v1', 'kind': 'Namespace', 'metadata': {'deletionTimestamp': 'x'}, "
         "'status': {'phase': 'Terminating'}}",
         READY_FAILED, "is being deleted; wait until it is gone"},
        {"{'apiVersion': 'apiextensions.k8s.io/v1', 'kind': 'CustomResourceDefinition'}",
         READY_NOT_YET, "is not established"},
        {"{'apiVersion': 'apiextensions.k8s.io/v1', 'kind': 'CustomResourceDefinition', 'status': "
         "{'conditions': [{'type': 'NamesAccepted', 'status': 'False', 'reason': "
         "'PluralConflict', 'message': 'in use'}]}}",
         READY_FAILED, "PluralConflict: in use"},
        {"{'apiVersion': 'apiextensions.k8s.io/v1', 'kind': 'CustomResourceDefinition', 'status': "
         "{'conditions': [{'type': 'NamesAccepted', 'status': 'True'}, {'type': 'Established', "
         "'status': 'True'}]}}",
         READY_YES, NULL},
        {"{'apiVersion': 'v1', 'kind': 'ConfigMap'}", READY_YES, NULL},
        {"{'apiVersion': 'x.io/v1', 'kind': 'Thing', 'metadata': {'generation': 2}, 'status': "
         "{'observedGeneration': 1}}",
         READY_NOT_YET, "its controller has not seen it yet"},
        {"{'apiVersion': 'x.io/v1', 'kind': 'Thing', 'status': {'conditions': [{'type': 'Ready', "
         "'status': 'Unknown', 'reason': 'R', 'message': 'm'}]}}",
         READY_NOT_YET, "is not ready: R: m"},
        {"{'apiVersion': 'x.io/v1', 'kind': 'Thing', 'status': {'conditions': [{'type': "
         "'Available', 'status': 'False', 'reason': 'R'}]}}",
         READY_NOT_YET, "is not available: R"},
        {"{'apiVersion': 'x.io/v1', 'kind': 'Thing', 'status': {'conditions': [{'type': "
         "'Stalled', 'status': 'True', 'message': 'm'}]}}",
         READY_FAILED, "m"},
        {"{'apiVersion': 'x.io/v1', 'kind': 'Deployment', 'status': {'conditions': [{'type': "
         "'Ready', 'status': 'True'}]}}",
         READY_YES, NULL},
    };

    (void)state;
    CHECK_ROWS(rows);
}

static void test_endpoints(void **state)
{
    static const struct row rows[] = {
        {"{}", READY_NOT_YET, "has no endpoints: it selects no pod that runs"},
        {"{'subsets': [{'notReadyAddresses': [{}, {}]}]}", READY_NOT_YET,
         "has no endpoints: of 2 pods that it selects none is ready"},
        {"{'subsets': [{'notReadyAddresses': [{}]}, {'addresses': [{}]}]}", READY_YES, NULL},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        CLEANUP_BUF struct buf why = BUF_INIT;
        json_t *object = parse(rows[i].object);

        assert_int_equal(ready_endpoints(object, &why), rows[i].ready);
        assert_string_equal(why.data, rows[i].why ? rows[i].why : "");
        json_decref(object);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_deployment),    cmocka_unit_test(test_sets),
        cmocka_unit_test(test_jobs_and_pods), cmocka_unit_test(test_others),
        cmocka_unit_test(test_endpoints),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
