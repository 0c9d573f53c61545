/* Pods that tests build, and what is looked for in them. */
#pragma once

#include "tests/unit/k8s/k8s_test.h"

#include "base/cleanup.h"
#include "k8s/pod.h"

static struct strmap labels;

static inline struct pod_container step(const char *name)
{
    return (struct pod_container){.name = name, .image = "alpine:3"};
}

static inline struct pod_spec spec_of(const struct pod_container *containers, size_t count)
{
    return (struct pod_spec){
        .name = "job-1",
        .ns = "build",
        .labels = &labels,
        .architecture = "amd64",
        .tools = "job-tools",
        .secret = "job-env",
        .workspace = "/workspace",
        .lease_ms = 60000,
        .grace_s = 10,
        .containers = containers,
        .container_count = count,
    };
}

static inline json_t *build(const struct pod_spec *spec)
{
    json_t *pod = pod_build(spec, &test_err);

    if (!pod)
        fail_msg("%s", test_err.message);
    return pod;
}

/* A pod of one container for steps, with that `kubernetes` of the job and of the step. */
static inline json_t *build_with(const char *job, const char *container, struct err *err)
{
    struct pod_container c = step("main");
    struct pod_spec spec = spec_of(&c, 1);
    json_t *of_job = job ? parse(job) : NULL;
    json_t *of_container = container ? parse(container) : NULL;
    json_t *pod;

    spec.kubernetes = of_job;
    c.kubernetes = of_container;
    pod = pod_build(&spec, err);
    json_decref(of_job);
    json_decref(of_container);
    return pod;
}

static inline void check_with(const char *job, const char *container, const char *path,
                              const char *expected)
{
    json_t *pod = build_with(job, container, &test_err);

    if (!pod)
        fail_msg("%s", test_err.message);
    check(pod, path, expected);
    json_decref(pod);
}

static inline void refuse(const char *job, const char *container, const char *message)
{
    err_clear(&test_err);
    if (build_with(job, container, &test_err))
        fail_msg("accepted: %s %s", job ? job : "", container ? container : "");
    assert_string_equal(test_err.message, message);
    assert_int_equal(test_err.code, ERR_INVALID);
}

static inline int setup(void **state)
{
    (void)state;
    strmap_set(&labels, "dev.runner.run", "r1");
    return 0;
}

static inline int teardown(void **state)
{
    (void)state;
    strmap_release(&labels);
    return 0;
}
