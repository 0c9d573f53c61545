/* What the containers of a pod ask for, and may use. */
#include "tests/unit/k8s/pod_test.h"

static void test_resources(void **state)
{
    static const char job[] = "{'resources': {'requests': {'cpu': 4, 'memory': '1Mi', 'x/y': 1},"
                              " 'limits': {'cpu': '9', 'x/y': 1}}}";
    static const char own[] = "{'resources': {'requests': {'memory': '0.5k'}, 'limits':"
                              " {'ephemeral-storage': '2G', 'cpu': null}}}";
    struct pod_container c = step("main");
    struct pod_spec spec = spec_of(&c, 1);
    json_t *of_job = parse(job);
    json_t *of_container = parse(own);
    json_t *pod;

    (void)state;
    c.resources =
        (struct pod_resources){.cpus_milli = 1500, .memory_bytes = 1 << 30, .disk_bytes = 5};
    pod = build(&spec);
    check(pod, "spec/containers/0/resources",
          "{'limits': {'cpu': '1500m', 'memory': '1073741824', 'ephemeral-storage': '5'},"
          " 'requests': {'cpu': '1500m', 'memory': '1073741824', 'ephemeral-storage': '5'}}");
    json_decref(pod);
    spec.kubernetes = of_job;
    c.kubernetes = of_container;
    pod = build(&spec);
    check(pod, "spec/containers/0/resources",
          "{'limits': {'cpu': '1500m', 'memory': '1073741824', 'ephemeral-storage': '2G',"
          "            'x/y': '1'},"
          " 'requests': {'cpu': '1500m', 'memory': '0.5k', 'ephemeral-storage': '2G',"
          "              'x/y': '1'}}");
    json_decref(pod);
    c.kubernetes = NULL;
    c.service = true;
    pod = build(&spec);
    check(pod, "spec/containers/0/resources",
          "{'limits': {'cpu': '1500m', 'memory': '1073741824', 'ephemeral-storage': '5'},"
          " 'requests': {'cpu': '1500m', 'memory': '1073741824', 'ephemeral-storage': '5'}}");
    json_decref(pod);
    json_decref(of_job);
    json_decref(of_container);
    check_with("{'resources': {'requests': {'cpu': 0.25, 'memory': 1.5e9}}}", NULL,
               "spec/containers/0/resources",
               "{'requests': {'cpu': '0.25', 'memory': '1500000000.0'}}");
}

static void test_refused_resources(void **state)
{
    (void)state;
    refuse("{'resources': {'cpu': 1}}", NULL,
           "kubernetes.resources.cpu is not known; known are limits, requests");
    refuse(NULL, "{'resources': {'limits': 1}}",
           "container main: kubernetes.resources.limits must be a map");
    refuse("{'resources': {'requests': {'cpu': []}}}", NULL,
           "kubernetes.resources.requests.cpu must be a quantity, such as \"500m\" or \"64Mi\"");
    refuse("{'resources': {'requests': {'cpu': -0.5}}}", NULL,
           "kubernetes.resources.requests.cpu must not be less than nothing");
    refuse(NULL,
           "{'resources': {'limits': {'nvidia.com/gpu': 1}, 'requests':"
           " {'nvidia.com/gpu': 2}}}",
           "container main: kubernetes.resources.requests[\"nvidia.com/gpu\"] is more than the "
           "limit: 2 of 1");
}

static void test_shared_requests(void **state)
{
    struct pod_container c[] = {step("a"), step("b"), step("db"), step("c")};
    struct pod_spec spec = spec_of(c, 4);
    json_t *gpu = parse("{'resources': {'limits': {'cpu': '1.5', 'nvidia.com/gpu': 1,"
                        " 'hugepages-2Mi': '4Mi', 'a.kubernetes.io/x': 1}}}");
    json_t *pod;

    (void)state;
    c[0].resources = (struct pod_resources){.cpus_milli = 500, .memory_bytes = 1 << 20};
    c[1].resources = (struct pod_resources){.cpus_milli = 1000, .memory_bytes = 1 << 20};
    c[2].resources = (struct pod_resources){9000, 9 << 20, 5, 0};
    c[2].service = true;
    c[3].kubernetes = gpu;
    pod = build(&spec);
    check(pod, "spec/containers/0/resources",
          "{'limits': {'cpu': '500m', 'memory': '1048576'},"
          " 'requests': {'cpu': '0', 'memory': '1048576', 'a.kubernetes.io/x': '0'}}");
    check(pod, "spec/containers/1/resources",
          "{'limits': {'cpu': '1000m', 'memory': '1048576'},"
          " 'requests': {'cpu': '0', 'memory': '0', 'a.kubernetes.io/x': '0'}}");
    check(pod, "spec/containers/2/resources/requests",
          "{'cpu': '9000m', 'memory': '9437184', 'ephemeral-storage': '5'}");
    check(pod, "spec/containers/3/resources/requests",
          "{'cpu': '1.5', 'memory': '0', 'nvidia.com/gpu': '1', 'hugepages-2Mi': '4Mi',"
          " 'a.kubernetes.io/x': '1'}");
    json_decref(pod);
    spec.overlapping = true;
    pod = build(&spec);
    check(pod, "spec/containers/0/resources/requests", "{'cpu': '500m', 'memory': '1048576'}");
    check(pod, "spec/containers/1/resources/requests", "{'cpu': '1000m', 'memory': '1048576'}");
    check(pod, "spec/containers/3/resources/requests/cpu", "'1.5'");
    json_decref(pod);
    json_decref(gpu);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_resources),
        cmocka_unit_test(test_refused_resources),
        cmocka_unit_test(test_shared_requests),
    };

    return cmocka_run_group_tests_name("pod_resources", tests, setup, teardown);
}
