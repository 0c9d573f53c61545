#include "fake.h"

#include "apis/docker/image.h"
#include "apis/docker/lines.h"
#include "apis/docker/pull_internal.h"
#include "apis/docker/stream.h"

static struct fake fake;
static struct docker_client *docker;

static int setup(void **state)
{
    CLEANUP_DOCKER_ENDPOINT struct docker_endpoint endpoint = {0};

    (void)state;
    signal(SIGPIPE, SIG_IGN);
    ctx_init_cleanup(&test_ctx, 60000);
    if (fake_start(&fake) < 0 ||
        docker_endpoint_parse(fake.url, NULL, true, &endpoint, &test_err) < 0)
        return -1;
    return docker_client_new(&endpoint, 0, &docker, &test_err);
}

static int teardown(void **state)
{
    (void)state;
    docker_client_free(docker);
    fake_stop(&fake);
    return 0;
}

struct trace {
    struct docker_pull_progress last;
    size_t calls;
    size_t retries;
};

static void on_progress(void *arg, const struct docker_pull_progress *p)
{
    struct trace *t = arg;

    t->last = *p;
    t->calls++;
}

static void on_retry(void *arg, int attempt, const struct err *why)
{
    struct trace *t = arg;

    assert_true(*why->message);
    assert_int_equal(attempt, ++t->retries);
}

static int pull(const char *image, int attempts, struct trace *trace)
{
    struct docker_pull options = {.image = image,
                                  .retry = {.attempts = attempts, .base_ms = 1},
                                  .progress = on_progress,
                                  .progress_arg = trace,
                                  .retrying = on_retry};

    *trace = (struct trace){0};
    return docker_image_pull(&test_ctx, docker, &options, &test_err);
}

static void test_passing_faults(void **state)
{
    static const char *const images[] = {"x.io/busy-2", "x.io/error-2", "x.io/reset-2",
                                         "x.io/words-2"};
    struct trace trace;

    (void)state;
    for (size_t i = 0; i < sizeof(images) / sizeof(*images); i++) {
        assert_ok(pull(images[i], 3, &trace));
        assert_int_equal(trace.retries, 2);
        assert_int_equal(trace.last.layer_count, 1);
        assert_int_equal(trace.last.layer_done_count, 1);
        assert_int_equal(trace.last.bytes, 10);
        assert_int_equal(trace.last.bytes_total, 10);
    }
}

static void test_lasting_faults(void **state)
{
    static const struct {
        const char *image;
        enum err_code code;
        int status;
        size_t retries;
        const char *message;
    } rows[] = {
        {"x.io/busy-99", ERR_IMAGE_PULL, 429, 2, "slow down"},
        {"x.io/error-99", ERR_IMAGE_PULL, 500, 2, "boom"},
        {"x.io/reset-99", ERR_LOST, 0, 2, "the connection to the Docker daemon at unix:///tmp/"},
        {"x.io/words-99", ERR_IMAGE_PULL, 429, 2, "toomanyrequests: limit"},
        {"x.io/denied", ERR_IMAGE_PULL, 401, 0, "pull access denied, unauthorized: log in"},
        {"x.io/status-404", ERR_IMAGE_PULL, 404, 0, "status 404"},
        {"x.io/chunked", ERR_LOST, 0, 2, "broke: "},
        {"x.io/notjson", ERR_PROTOCOL, 0, 0, "the daemon's stream is not JSON: "},
    };
    struct trace trace;

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        assert_error(pull(rows[i].image, 3, &trace), rows[i].code);
        assert_message(rows[i].message);
        assert_int_equal(test_err.errnum, rows[i].status);
        assert_int_equal(trace.retries, rows[i].retries);
    }
}

static void test_cancelled_between_attempts(void **state)
{
    CLEANUP_CTX struct ctx limit;
    struct docker_pull options = {.image = "x.io/busy-98", .retry = {.base_ms = 5000}};

    (void)state;
    ctx_init(&limit, &test_ctx);
    ctx_set_timeout(&limit, 200, "pull");
    assert_error(docker_image_pull(&limit, docker, &options, &test_err), ERR_TIMEOUT);
    assert_string_equal(test_err.message, "pull timeout after 200 milliseconds");
}

static const char stream[] =
    "{\"status\":\"Pulling from library/x\",\"id\":\"latest\"}\r\n"
    "{\"status\":\"Already exists\",\"progressDetail\":{},\"id\":\"aa\"}\r\n"
    "{\"status\":\"Pulling fs layer\",\"progressDetail\":{},\"id\":\"bb\"}\r\n"
    "{\"status\":\"Pulling fs layer\",\"progressDetail\":{},\"id\":\"cc\"}\r\n"
    "{\"status\":\"Downloading\",\"progressDetail\":{\"current\":10,\"total\":100},\"id\":\"bb\"}"
    "\r\n"
    "{\"status\":\"Downloading\",\"progressDetail\":{\"current\":7,\"total\":50},\"id\":\"cc\"}\r\n"
    "{\"status\":\"Download complete\",\"progressDetail\":{},\"id\":\"bb\"}\r\n"
    "{\"status\":\"Extracting\",\"progressDetail\":{\"current\":1,\"total\":100},\"id\":\"bb\"}\r\n"
    "{\"status\":\"Pull complete\",\"progressDetail\":{},\"id\":\"bb\"}\r\n"
    "{\"status\":\"Digest: sha256:0\"}";

static void test_progress_split_everywhere(void **state)
{
    (void)state;
    for (size_t cut = 0; cut <= sizeof(stream) - 1; cut++) {
        struct trace trace = {0};
        struct docker_pull_state pulling = {.progress = on_progress, .arg = &trace};
        struct docker_lines lines = {.partial = BUF_INIT,
                                     .line = docker_pull_line,
                                     .arg = &pulling};

        assert_ok(docker_lines_feed(&lines, stream, cut, &test_err));
        assert_ok(docker_lines_feed(&lines, stream + cut, sizeof(stream) - 1 - cut, &test_err));
        assert_ok(docker_lines_end(&lines, &test_err));
        assert_int_equal(trace.calls, 10);
        assert_int_equal(trace.last.layer_count, 3);
        assert_int_equal(trace.last.layer_done_count, 2);
        assert_int_equal(trace.last.bytes, 107);
        assert_int_equal(trace.last.bytes_total, 150);
        buf_release(&lines.partial);
        docker_pull_state_release(&pulling);
    }
}

static void test_words(void **state)
{
    static const struct {
        const char *message;
        int status;
    } rows[] = {
        {"toomanyrequests: You have reached your pull rate limit.", 429},
        {"pull access denied for x, repository does not exist or may require 'docker login': "
         "denied: requested access to the resource is denied",
         403},
        {"Get \"https://r/v2/\": unauthorized: authentication required", 401},
        {"manifest for r/x:9 not found: manifest unknown: manifest unknown", 404},
        {"no matching manifest for linux/s390x in the manifest list entries", 404},
        {"received unexpected HTTP status: 503 Service Unavailable", 503},
        {"Get \"https://r/v2/\": dial tcp 10.0.0.1:443: i/o timeout", 503},
        {"read tcp 1.2.3.4:5->6.7.8.9:443: read: connection reset by peer", 503},
        {"Get \"https://r/v2/\": EOF", 503},
        {"Get \"https://r/v2/\": x509: certificate signed by unknown authority", 0},
        {"Get \"https://r/v2/\": dial tcp: lookup r: no such host", 0},
        {"write /var/lib/docker/tmp/x: no space left on device", 0},
        {"something else", 77},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
        assert_int_equal(docker_pull_status_of(rows[i].message, 77), rows[i].status);
}

/* A tar in memory could be sent twice, and would then make two images. */
static void test_tar_once(void **state)
{
    const struct docker_tar tar = {.data = "tar", .len = 3};
    CLEANUP_HTTP_RESPONSE struct http_response r = HTTP_RESPONSE_INIT;

    (void)state;
    assert_ok(docker_client_ping(&test_ctx, docker, &test_err));
    assert_error(docker_tar_send(&test_ctx, docker, "POST", "/reset-001", &tar, &r, NULL, NULL,
                                 &test_err),
                 ERR_LOST);
    assert_ok(docker_client_ping(&test_ctx, docker, &test_err));
    assert_ok(docker_tar_send(&test_ctx, docker, "PUT", "/again/reset-01", &tar, &r, NULL, NULL,
                              &test_err));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tar_once),
        cmocka_unit_test(test_passing_faults),
        cmocka_unit_test(test_lasting_faults),
        cmocka_unit_test(test_cancelled_between_attempts),
        cmocka_unit_test(test_progress_split_everywhere),
        cmocka_unit_test(test_words),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
