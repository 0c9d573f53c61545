/* tests/fake/kube.py as a process beside a test, and kubeconfigs that lead to it. */
#pragma once

#include "tests/unit/kube/kube_test.h"

#include <fcntl.h>
#include <sys/wait.h>

#include "apis/http/http.h"
#include "base/json_at.h"
#include "base/process.h"

static pid_t fake_pid;
static int fake_stdin;
static int fake_port;

static inline int start_fake(void)
{
    const char *const env[] = {"PATH=/usr/bin:/bin", NULL};
    const char *const argv[] = {"python3", TEST_DATA "/../fake/kube.py", NULL};
    char port[16] = "";
    int in[2];
    int out[2];

    if (pipe2(in, O_CLOEXEC) < 0 || pipe2(out, O_CLOEXEC) < 0)
        return -1;
    struct process_options options = {
        .argv = argv, .envp = env, .stdin_fd = in[0], .stdout_fd = out[1], .stderr_fd = 2};

    if (process_spawn(&options, &fake_pid, &test_err) < 0)
        return -1;
    close(in[0]);
    close(out[1]);
    fake_stdin = in[1];
    if (read(out[0], port, sizeof(port) - 1) <= 0)
        return -1;
    close(out[0]);
    fake_port = (int)strtol(port, NULL, 10);
    return fake_port > 0 ? 0 : -1;
}

static inline void stop_fake(void)
{
    close(fake_stdin);
    waitpid(fake_pid, NULL, 0);
}

static inline struct kube_cluster *select_user(const char *cluster_more, const char *user)
{
    struct kube_cluster *ret = NULL;
    CLEANUP_FREE char *text =
        xasprintf("current-context: c\n"
                  "contexts: [{name: c, context: {cluster: k, user: u}}]\n"
                  "clusters: [{name: k, cluster: {server: 'http://127.0.0.1:%d'%s}}]\n"
                  "users: [{name: u, user: %s}]\n",
                  fake_port, cluster_more, user);

    assert_ok(select_text(text, &ret));
    return ret;
}

/* What it answers to a GET of its own, which no kube_client makes; a new reference. */
static inline json_t *ask_fake(const char *path)
{
    CLEANUP_BUF struct buf url = BUF_INIT;
    struct http_client *http = NULL;
    CLEANUP_HTTP_RESPONSE struct http_response response = HTTP_RESPONSE_INIT;
    struct http_request request = {.method = "GET", .path = path};
    json_t *answer;

    buf_addf(&url, "http://127.0.0.1:%d", fake_port);
    assert_ok(
        http_client_new(&(struct http_client_options){.base_url = url.data}, &http, &test_err));
    assert_ok(http_perform(&test_ctx, http, &request, &response, &test_err));
    answer = json_loadb(response.body.data, response.body.len, 0, NULL);
    http_client_free(http);
    return answer;
}

static inline int requests_in(const char *ns)
{
    CLEANUP_FREE char *path = xasprintf("/requests/%s", ns);
    json_t *answer = ask_fake(path);
    int count = (int)json_at_int(answer, "count");

    json_decref(answer);
    return count;
}

/* The fake, and a client of it. */
static inline int fake_open(struct kube_cluster **ret_cluster, struct kube_client **ret_client)
{
    if (make_dir() < 0 || start_fake() < 0)
        return -1;
    *ret_cluster = select_user("", "{}");
    *ret_client = kube_client_new(*ret_cluster);
    return 0;
}

static inline void fake_close(struct kube_cluster *cluster, struct kube_client *client)
{
    kube_client_free(client);
    kube_cluster_free(cluster);
    stop_fake();
    remove_dir();
}
