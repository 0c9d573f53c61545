/* The client against a real server, also through a proxy that fails on purpose (tests/fake/s3.py).
 * Needs RUNNER_TEST_S3 and what else tests/env/s3.sh exports, and fails without. */
#include "tests/unit/test.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "apis/s3/s3.h"
#include "base/alloc.h"
#include "base/fs.h"
#include "base/process.h"

#define assert_ok(expression)                                                                      \
    do {                                                                                           \
        if ((expression) < 0)                                                                      \
            fail_msg("%s: %s (%s, %d)", #expression, err.message, err_code_name(err.code),         \
                     err.errnum);                                                                  \
    } while (0)
#define assert_error(expression, expected)                                                         \
    do {                                                                                           \
        assert_int_equal((expression), -1);                                                        \
        if (err.code != (expected))                                                                \
            fail_msg("%s: %s: %s", #expression, err_code_name(err.code), err.message);             \
    } while (0)

enum { MIB = 1 << 20 };

static struct err err;
static struct ctx ctx;
static struct s3_client *s3;    /* directly */
static struct s3_client *proxy; /* through the proxy */
static int stall_timeout_s;     /* of clients to come; 0: the default */
static char *bucket;            /* of this program alone */
static char *bucket_dir;
static char *proxy_url;
static char *dir;
static pid_t proxy_pid;
static int proxy_stdin = -1;

static const char *variable(const char *name)
{
    const char *value = getenv(name);

    if (!value)
        fail_msg("%s is not set: this test needs an S3 server (tests/env/up.sh)", name);
    return value;
}

static struct s3_client *client(const char *endpoint, const char *in, const char *secret,
                                enum s3_style style)
{
    struct s3_credentials c = {.access_key_id = xstrdup(variable("RUNNER_TEST_S3_KEY")),
                               .secret_access_key = xstrdup(secret)};
    const struct s3_options options = {.bucket = in,
                                       .endpoint = endpoint,
                                       .style = style,
                                       .credentials = &c,
                                       .part_size = S3_PART_SIZE_MIN,
                                       .stall_timeout_s = stall_timeout_s,
                                       .retry = {.base_ms = 1}};
    struct s3_client *ret;

    assert_ok(s3_client_new(&options, &ret, &err));
    s3_credentials_release(&c);
    return ret;
}

static void start_proxy(void)
{
    const char *const env[] = {"PATH=/usr/bin:/bin", NULL};
    const char *const argv[] = {"python3", TEST_DATA "/../fake/s3.py",
                                variable("RUNNER_TEST_S3") + strlen("http://"), dir, NULL};
    char address[64] = "";
    int in[2];
    int out[2];

    assert_int_equal(pipe2(in, O_CLOEXEC) | pipe2(out, O_CLOEXEC), 0);
    assert_ok(process_spawn(&(struct process_options){.argv = argv,
                                                      .envp = env,
                                                      .stdin_fd = in[0],
                                                      .stdout_fd = out[1],
                                                      .stderr_fd = 2},
                            &proxy_pid, &err));
    close(in[0]);
    close(out[1]);
    proxy_stdin = in[1];
    assert_true(read(out[0], address, sizeof(address) - 1) > 1);
    close(out[0]);
    address[strcspn(address, "\n")] = '\0';
    proxy_url = xasprintf("http://%s", address);
}

static int setup(void **state)
{
    char pattern[] = "/tmp/s3-live-XXXXXX";

    (void)state;
    signal(SIGPIPE, SIG_IGN);
    ctx_init_cleanup(&ctx, 120000);
    dir = xstrdup(mkdtemp(pattern));
    bucket = xasprintf("test-%d", (int)getpid());
    bucket_dir = xasprintf("%s/%s", variable("RUNNER_TEST_S3_DATA"), bucket);
    if (mkdir(bucket_dir, 0755) < 0)
        return -1;
    start_proxy();
    s3 = client(variable("RUNNER_TEST_S3"), bucket, variable("RUNNER_TEST_S3_SECRET"),
                S3_STYLE_AUTO);
    proxy = client(proxy_url, bucket, variable("RUNNER_TEST_S3_SECRET"), S3_STYLE_AUTO);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    s3_client_free(s3);
    s3_client_free(proxy);
    close(proxy_stdin);
    waitpid(proxy_pid, NULL, 0);
    (void)!fs_remove_tree(dir, NULL);
    (void)!fs_remove_tree(bucket_dir, NULL);
    free(bucket);
    free(bucket_dir);
    free(proxy_url);
    free(dir);
    return 0;
}

/* --- helpers --- */

static void faults(const char *text)
{
    CLEANUP_FREE char *path = fs_join(dir, "faults");
    CLEANUP_FREE char *requests = fs_join(dir, "requests");

    assert_ok(fs_write_file(path, text, strlen(text), 0600, &err));
    assert_ok(fs_write_file(requests, "", 0, 0600, &err));
}

/* How many requests the proxy has seen that hold the text. */
static int requests(const char *text)
{
    CLEANUP_FREE char *path = fs_join(dir, "requests");
    CLEANUP_BUF struct buf seen = BUF_INIT;
    int count = 0;

    assert_ok(fs_read_file(path, MIB, &seen, &err));
    for (const char *at = seen.data; (at = strstr(at, text)); at++)
        count++;
    return count;
}

/* What has not been used up would be a test that tests nothing. */
static void assert_faults_used(void)
{
    CLEANUP_FREE char *path = fs_join(dir, "faults");
    CLEANUP_BUF struct buf left = BUF_INIT;

    assert_ok(fs_read_file(path, MIB, &left, &err));
    assert_string_equal(left.data, "");
}

/* Bytes of which each position has its own. */
struct pattern {
    int64_t at;
    int64_t size;
};

static char byte_at(int64_t at)
{
    return (char)((at * 7 + at / 251 + at / 65537) & 0xff);
}

static ssize_t read_pattern(void *arg, char *data, size_t size, struct err *e)
{
    struct pattern *p = arg;
    size_t len = 0;

    (void)e;
    while (len < size && len < 100000 && p->at < p->size)
        data[len++] = byte_at(p->at++);
    return (ssize_t)len;
}

static int check_pattern(void *arg, const char *data, size_t len, struct err *e)
{
    struct pattern *p = arg;

    for (size_t i = 0; i < len; i++) {
        if (data[i] != byte_at(p->at++))
            return err_set(e, ERR_CONFLICT, "byte %lld is wrong", (long long)p->at - 1);
    }
    return 0;
}

/* How the pattern's bytes get there; `said` is the size that is promised. */
static int put_bytes(const struct ctx *on, struct s3_client *to, const char *key, struct pattern *p,
                     int64_t said)
{
    const struct s3_source source = {.read = read_pattern, .arg = p, .size = said, .note = "n=1"};

    return s3_put(on, to, key, &source, &err);
}

static void put_pattern(struct s3_client *to, const char *key, int64_t size, bool known)
{
    struct pattern p = {.size = size};

    assert_ok(put_bytes(&ctx, to, key, &p, known ? size : -1));
}

static void assert_pattern(struct s3_client *from, const char *key, int64_t size)
{
    struct pattern p = {0};
    struct s3_info info;

    for (int i = 0; i < 2; i++) {
        if (i == 0)
            assert_ok(s3_head(&ctx, from, key, &info, &err));
        else
            assert_ok(s3_get(&ctx, from, key, check_pattern, &p, &info, &err));
        assert_int_equal(info.size, size);
        assert_true(info.modified_ms > INT64_C(1700000000000));
        assert_string_equal(info.note, "n=1");
    }
    assert_int_equal(p.at, size);
}

static int count_object(void *arg, const struct s3_object *object, struct err *e)
{
    (void)e;
    buf_addf(arg, "%s:%lld ", object->key, (long long)object->size);
    assert_true(*object->etag == '"' && object->modified_ms > INT64_C(1700000000000));
    return 0;
}

static char *list(const char *prefix, int page_size)
{
    struct buf out = BUF_INIT;

    assert_ok(s3_list(&ctx, s3, prefix, page_size, count_object, &out, &err));
    return buf_steal(&out);
}

static void assert_absent(const char *key)
{
    CLEANUP_FREE char *found = list(key, 0);

    assert_string_equal(found, "");
}

/* The server keeps what has been uploaded of parts in directories called .sgwtmp/multipart. */
static void assert_no_uploads(void)
{
    CLEANUP_FREE char *path = fs_join(bucket_dir, ".sgwtmp/multipart");
    const char *const argv[] = {"find", path, "-type", "f", NULL};
    const char *const env[] = {"PATH=/usr/bin:/bin", NULL};
    struct process_options options = PROCESS_OPTIONS_INIT;
    CLEANUP_BUF struct buf out = BUF_INIT;
    int status;

    options.argv = argv;
    options.envp = env;
    assert_ok(process_run(&ctx, &options, NULL, &out, MIB, NULL, &status, &err));
    assert_string_equal(out.data, "");
}

/* --- objects --- */

static void test_sizes(void **state)
{
    static const int64_t sizes[] = {0,
                                    1,
                                    S3_PART_SIZE_MIN - 1,
                                    S3_PART_SIZE_MIN,
                                    S3_PART_SIZE_MIN + 1,
                                    2 * S3_PART_SIZE_MIN,
                                    2 * S3_PART_SIZE_MIN + 12345};

    (void)state;
    for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
        put_pattern(s3, "sizes/known", sizes[i], true);
        assert_pattern(s3, "sizes/known", sizes[i]);
    }
    put_pattern(s3, "sizes/unknown", 0, false);
    assert_pattern(s3, "sizes/unknown", 0);
    put_pattern(s3, "sizes/unknown", 3, false);
    assert_pattern(s3, "sizes/unknown", 3);
    put_pattern(s3, "sizes/unknown", 4 * S3_PART_SIZE_MIN, false);
    assert_pattern(s3, "sizes/unknown", 4 * S3_PART_SIZE_MIN);
    assert_no_uploads();
}

static void test_keys(void **state)
{
    static const char *const keys[] = {"keys/a b+c",  "keys/x=1&y=2?z#f", "keys/grün/日.tar",
                                       "keys/100%25", "keys/q'(1)!*~",    "keys/<x>&\"y\""};
    CLEANUP_FREE char *found = NULL;

    (void)state;
    for (size_t i = 0; i < sizeof(keys) / sizeof(*keys); i++) {
        put_pattern(s3, keys[i], (int64_t)i, true);
        assert_pattern(s3, keys[i], (int64_t)i);
    }
    found = list("keys/", 0);
    for (size_t i = 0; i < sizeof(keys) / sizeof(*keys); i++) {
        assert_non_null(strstr(found, keys[i]));
        assert_ok(s3_delete(&ctx, s3, keys[i], &err));
    }
    assert_absent("keys/");
}

static void test_delete(void **state)
{
    (void)state;
    put_pattern(s3, "delete/a", 10, true);
    assert_ok(s3_delete(&ctx, s3, "delete/a", &err));
    assert_error(s3_head(&ctx, s3, "delete/a", NULL, &err), ERR_NOT_FOUND);
    assert_ok(s3_delete(&ctx, s3, "delete/a", &err));
}

static void test_list_pages(void **state)
{
    CLEANUP_FREE char *all = NULL;
    CLEANUP_FREE char *pages = NULL;
    CLEANUP_FREE char *none = NULL;

    (void)state;
    for (int i = 0; i < 7; i++) {
        CLEANUP_FREE char *key = xasprintf("pages/%d", i);

        put_pattern(s3, key, i, true);
    }
    put_pattern(s3, "pagesX", 1, true);
    all = list("pages/", 0);
    pages = list("pages/", 2);
    none = list("pages/none", 2);
    assert_string_equal(all, "pages/0:0 pages/1:1 pages/2:2 pages/3:3 pages/4:4 pages/5:5 "
                             "pages/6:6 ");
    assert_string_equal(pages, all);
    assert_string_equal(none, "");
    {
        CLEANUP_BUF struct buf out = BUF_INIT;

        faults("");
        assert_ok(s3_list(&ctx, proxy, "pages/", 2, count_object, &out, &err));
        assert_string_equal(out.data, all);
        assert_int_equal(requests("GET"), 4);
    }
}

static int stop_at_2(void *arg, const struct s3_object *object, struct err *e)
{
    (void)arg;
    return strcmp(object->key, "pages/2") == 0 ? err_set(e, ERR_LIMIT, "seen enough") : 0;
}

static void test_list_stopped(void **state)
{
    (void)state;
    assert_error(s3_list(&ctx, s3, "pages/", 2, stop_at_2, NULL, &err), ERR_LIMIT);
    assert_string_equal(err.message, "seen enough");
}

/* Callers cut the prefix off. */
static void test_list_of_others(void **state)
{
    CLEANUP_BUF struct buf out = BUF_INIT;

    (void)state;
    faults("GET swap >pages/ >p\n");
    assert_error(s3_list(&ctx, proxy, "pages/", 0, count_object, &out, &err), ERR_PROTOCOL);
    assert_string_equal(err.message,
                        "a list of S3 objects has \"p0\", which does not begin with \"pages/\"");
    assert_faults_used();
}

/* Names BUCKET.localhost, which libcurl takes for this machine. */
static void test_virtual_style(void **state)
{
    CLEANUP_FREE char *endpoint =
        xasprintf("http://localhost:%s", strrchr(variable("RUNNER_TEST_S3"), ':') + 1);
    CLEANUP_S3_CLIENT struct s3_client *other = NULL;

    (void)state;
    other = client(endpoint, bucket, variable("RUNNER_TEST_S3_SECRET"), S3_STYLE_VIRTUAL);
    put_pattern(other, "virtual/a b", 1234, true);
    assert_pattern(s3, "virtual/a b", 1234);
    assert_pattern(other, "virtual/a b", 1234);
}

static void test_presigned(void **state)
{
    CLEANUP_BUF struct buf url = BUF_INIT;
    CLEANUP_FREE char *base = NULL;
    CLEANUP_HTTP_CLIENT struct http_client *http = NULL;
    CLEANUP_HTTP_RESPONSE struct http_response response = HTTP_RESPONSE_INIT;
    struct http_request request = {.method = "GET"};

    (void)state;
    put_pattern(s3, "signed/a b", 5, true);
    assert_ok(s3_presign(s3, "GET", "signed/a b", 60, &url, &err));
    base = xstrndup(url.data, strlen(variable("RUNNER_TEST_S3")));
    assert_ok(http_client_new(&(struct http_client_options){.base_url = base}, &http, &err));
    request.path = url.data + strlen(base);
    assert_ok(http_perform(&ctx, http, &request, &response, &err));
    assert_int_equal(response.status, 200);
    assert_int_equal(response.body.len, 5);
    /* Another object's path under the same signature. */
    memcpy(strstr(url.data, "a%20b"), "a%20c", 5);
    assert_ok(http_perform(&ctx, http, &request, &response, &err));
    assert_int_equal(response.status, 403);
    assert_error(s3_presign(s3, "GET", "a", 604801, &url, &err), ERR_INVALID);
    assert_string_equal(err.message, "a presigned URL lasts 1 second to 7 days, not 604801 s");
}

/* --- refusals --- */

static void assert_says(const char *method, const char *in, const char *rest)
{
    CLEANUP_FREE char *expected =
        xasprintf("S3 at %s: %s s3://%s/%s", variable("RUNNER_TEST_S3"), method, in, rest);

    assert_string_equal(err.message, expected);
}

static void test_refusals(void **state)
{
    struct pattern p = {.size = 3};
    CLEANUP_S3_CLIENT struct s3_client *thief =
        client(variable("RUNNER_TEST_S3"), bucket, "wrong", S3_STYLE_AUTO);
    CLEANUP_S3_CLIENT struct s3_client *lost =
        client(variable("RUNNER_TEST_S3"), "no-such-bucket", variable("RUNNER_TEST_S3_SECRET"),
               S3_STYLE_AUTO);

    (void)state;
    assert_error(put_bytes(&ctx, thief, "k", &p, 3), ERR_DENIED);
    assert_int_equal(err.errnum, 403);
    assert_says("PUT", bucket,
                "k: SignatureDoesNotMatch: The request signature we calculated "
                "does not match the signature you provided. Check your key and signing "
                "method. (HTTP 403); check the secret access key, and the region");
    p.at = 0;
    assert_error(put_bytes(&ctx, lost, "k", &p, 3), ERR_NOT_FOUND);
    assert_says("PUT", "no-such-bucket",
                "k: NoSuchBucket: The specified bucket does not exist. "
                "(HTTP 404); make it first, or check the endpoint and the region");
    assert_error(s3_get(&ctx, s3, "none", check_pattern, &p, NULL, &err), ERR_NOT_FOUND);
    assert_says("GET", bucket, "none: NoSuchKey: The specified key does not exist. (HTTP 404)");
    assert_error(s3_head(&ctx, s3, "none", NULL, &err), ERR_NOT_FOUND);
    assert_says("HEAD", bucket, "none: there is no such object (HTTP 404)");
}

static void test_clock(void **state)
{
    (void)state;
    faults("HEAD status 403 -\nGET status 403 RequestTimeTooSkewed\n");
    assert_error(s3_head(&ctx, proxy, "k", NULL, &err), ERR_DENIED);
    assert_error(s3_get(&ctx, proxy, "k", check_pattern, NULL, NULL, &err), ERR_DENIED);
    assert_non_null(strstr(err.message, "/k: RequestTimeTooSkewed: The difference is too large. "
                                        "(HTTP 403); the clock of this machine is "));
    assert_non_null(strstr(err.message, " behind the server's: set it, with NTP for example"));
    assert_non_null(strstr(err.message, "m"));
    assert_int_equal(requests("GET"), 1); /* not again */
}

static void test_nobody_there(void **state)
{
    CLEANUP_S3_CLIENT struct s3_client *nobody =
        client("http://127.0.0.1:1", bucket, "x", S3_STYLE_AUTO);

    (void)state;
    assert_error(s3_head(&ctx, nobody, "k", NULL, &err), ERR_UNAVAILABLE);
    assert_string_equal(err.message,
                        "cannot connect to S3 at http://127.0.0.1:1: Connection refused");
}

/* --- faults --- */

static void test_busy(void **state)
{
    (void)state;
    faults("PUT status 503 SlowDown\nPUT status 503 SlowDown\nHEAD status 429 -\n"
           "GET status 500 InternalError\nDELETE status 503 ServiceUnavailable\n");
    put_pattern(proxy, "busy", 1000, true);
    assert_pattern(proxy, "busy", 1000);
    assert_ok(s3_delete(&ctx, proxy, "busy", &err));
    assert_faults_used();
    assert_int_equal(requests("PUT"), 3);
    assert_absent("busy");
}

static void test_busy_for_ever(void **state)
{
    struct pattern p = {.size = 10};

    (void)state;
    faults("PUT status 503 SlowDown\nPUT status 503 SlowDown\nPUT status 503 SlowDown\n"
           "PUT status 503 SlowDown\n");
    assert_error(put_bytes(&ctx, proxy, "busy", &p, 10), ERR_UNAVAILABLE);
    assert_non_null(strstr(err.message, "/busy: SlowDown: On purpose. (HTTP 503)"));
    assert_faults_used();
    assert_absent("busy");
}

static void test_denied_at_once(void **state)
{
    struct pattern p = {.size = 10};

    (void)state;
    faults("PUT status 403 AccessDenied\n");
    assert_error(put_bytes(&ctx, proxy, "denied", &p, 10), ERR_DENIED);
    assert_int_equal(requests("PUT"), 1);
}

/* A server that takes a request and says nothing. */
static void test_silence(void **state)
{
    struct pattern p = {.size = 100};
    CLEANUP_S3_CLIENT struct s3_client *impatient = NULL;
    CLEANUP_CTX struct ctx soon;

    (void)state;
    stall_timeout_s = 1;
    impatient = client(proxy_url, bucket, variable("RUNNER_TEST_S3_SECRET"), S3_STYLE_AUTO);
    stall_timeout_s = 0;
    ctx_init_cleanup(&soon, 30000);
    faults("PUT hang\nGET hang\n");
    assert_ok(put_bytes(&soon, impatient, "silence", &p, 100));
    assert_pattern(impatient, "silence", 100);
    assert_faults_used();
    faults("HEAD hang\nHEAD hang\nHEAD hang\nHEAD hang\n");
    assert_error(s3_head(&soon, impatient, "silence", NULL, &err), ERR_LOST);
    assert_non_null(strstr(err.message, " has carried nothing for 1 s"));
}

static void test_reset_uploads(void **state)
{
    (void)state;
    faults("PUT reset 5000\n");
    put_pattern(proxy, "reset/whole", 3 * MIB, true);
    assert_faults_used();
    assert_pattern(s3, "reset/whole", 3 * MIB);
    /* In the midst of the second part, then its answer, then a refusal of the third. */
    faults("partNumber=2 reset 100000\npartNumber=2 lose\npartNumber=3 status 503 SlowDown\n");
    put_pattern(proxy, "reset/parts", 3 * S3_PART_SIZE_MIN + 77, true);
    assert_faults_used();
    assert_pattern(s3, "reset/parts", 3 * S3_PART_SIZE_MIN + 77);
    assert_int_equal(requests("partNumber=2"), 3);
    assert_no_uploads();
}

static void test_lost_completion(void **state)
{
    (void)state;
    /* What Amazon answers to the second one; this server is content with it. */
    faults("POST ok\nPOST lose\nPOST status 404 NoSuchUpload\n");
    put_pattern(proxy, "lost/completion", 2 * S3_PART_SIZE_MIN, true);
    assert_faults_used();
    assert_int_equal(requests("POST"), 3);
    assert_pattern(s3, "lost/completion", 2 * S3_PART_SIZE_MIN);
    assert_no_uploads();
}

/* The same answers, but the object that is there is another one. */
static void test_completion_refused(void **state)
{
    struct pattern p = {.size = 2 * S3_PART_SIZE_MIN};

    (void)state;
    put_pattern(s3, "lost/other", 5, true);
    faults("POST ok\nPOST reset 0\nPOST status 404 NoSuchUpload\n");
    assert_error(put_bytes(&ctx, proxy, "lost/other", &p, p.size), ERR_NOT_FOUND);
    assert_faults_used();
    assert_pattern(s3, "lost/other", 5);
    assert_no_uploads();
}

static void test_failed_part(void **state)
{
    struct pattern p = {.size = 3 * S3_PART_SIZE_MIN};

    (void)state;
    faults("partNumber=3 status 403 AccessDenied\nDELETE status 503 SlowDown\n");
    assert_error(put_bytes(&ctx, proxy, "failed", &p, p.size), ERR_DENIED);
    assert_non_null(strstr(err.message, "/failed: AccessDenied: On purpose."));
    assert_null(strstr(err.message, "moreover"));
    assert_faults_used();
    assert_absent("failed");
    assert_no_uploads();
}

static void test_cancelled_upload(void **state)
{
    struct pattern p = {.size = 3 * S3_PART_SIZE_MIN};
    struct ctx root;

    (void)state;
    assert_ok(ctx_init_root(&root, NULL, &err));
    faults("");
    p.at = 0;
    ctx_cancel(&root, CTX_CAUSE_USER);
    assert_error(put_bytes(&root, proxy, "cancelled", &p, p.size), ERR_CANCELLED);
    ctx_release(&root);
    assert_int_equal(requests("test-"), 0);
    assert_absent("cancelled");
}

struct cancelling {
    struct pattern p;
    struct ctx *ctx;
};

static ssize_t read_and_cancel(void *arg, char *data, size_t size, struct err *e)
{
    struct cancelling *c = arg;

    if (c->p.at > 2 * S3_PART_SIZE_MIN)
        ctx_cancel(c->ctx, CTX_CAUSE_USER);
    return read_pattern(&c->p, data, size, e);
}

static void test_cancelled_between_parts(void **state)
{
    struct ctx root;
    struct cancelling c = {.p.size = 4 * S3_PART_SIZE_MIN, .ctx = &root};
    const struct s3_source source = {.read = read_and_cancel, .arg = &c, .size = c.p.size};

    (void)state;
    assert_ok(ctx_init_root(&root, NULL, &err));
    faults("");
    assert_error(s3_put(&root, proxy, "cancelled", &source, &err), ERR_CANCELLED);
    ctx_release(&root);
    assert_int_equal(requests("partNumber"), 2);
    assert_int_equal(requests("DELETE"), 1);
    assert_absent("cancelled");
    assert_no_uploads();
}

static void test_source_that_changes(void **state)
{
    struct pattern less = {.size = 10};
    struct pattern more = {.size = 12};
    struct pattern parts = {.size = 2 * S3_PART_SIZE_MIN};

    (void)state;
    assert_error(put_bytes(&ctx, s3, "changed", &less, 11), ERR_CONFLICT);
    assert_string_equal(err.message,
                        "what is to be uploaded has changed meanwhile: fewer than 11 bytes");
    assert_error(put_bytes(&ctx, s3, "changed", &more, 11), ERR_CONFLICT);
    assert_string_equal(err.message,
                        "what is to be uploaded has changed meanwhile: more than 11 bytes");
    assert_error(put_bytes(&ctx, s3, "changed", &parts, parts.size + 9), ERR_CONFLICT);
    assert_absent("changed");
    assert_no_uploads();
}

static void test_broken_downloads(void **state)
{
    struct pattern p = {0};

    (void)state;
    put_pattern(s3, "cut", 300000, true);
    faults("GET cut 1000\nGET cut 100000\nGET lose\n");
    assert_ok(s3_get(&ctx, proxy, "cut", check_pattern, &p, NULL, &err));
    assert_int_equal(p.at, 300000);
    assert_faults_used();
    assert_int_equal(requests("GET"), 4);
}

static int count_bytes(void *arg, const char *data, size_t len, struct err *e)
{
    struct pattern *p = arg;

    (void)data;
    (void)e;
    p->at += (int64_t)len;
    return 0;
}

static void test_download_that_cannot_go_on(void **state)
{
    struct pattern p = {0};

    (void)state;
    assert_ok(s3_get(&ctx, proxy, "cut", count_bytes, &p, NULL, &err));
    faults("GET cut 1000\nGET whole\n");
    assert_error(s3_get(&ctx, proxy, "cut", count_bytes, &p, NULL, &err), ERR_PROTOCOL);
    assert_faults_used();
}

static int replace_object(void *arg, const char *data, size_t len, struct err *e)
{
    struct pattern *p = arg;

    (void)data;
    (void)e;
    if (!p->at)
        put_pattern(s3, "replaced", 200000, true);
    p->at += (int64_t)len;
    return 0;
}

/* The rest must not come from another object than the beginning. */
static void test_object_replaced(void **state)
{
    struct pattern p = {0};

    (void)state;
    put_pattern(s3, "replaced", 100000, true);
    faults("GET cut 1000\n");
    assert_error(s3_get(&ctx, proxy, "replaced", replace_object, &p, NULL, &err), ERR_CONFLICT);
    assert_int_equal(err.errnum, 412);
    assert_int_equal(p.at, 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_keys),
        cmocka_unit_test(test_delete),
        cmocka_unit_test(test_list_pages),
        cmocka_unit_test(test_list_stopped),
        cmocka_unit_test(test_list_of_others),
        cmocka_unit_test(test_virtual_style),
        cmocka_unit_test(test_presigned),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_clock),
        cmocka_unit_test(test_nobody_there),
        cmocka_unit_test(test_busy),
        cmocka_unit_test(test_busy_for_ever),
        cmocka_unit_test(test_denied_at_once),
        cmocka_unit_test(test_silence),
        cmocka_unit_test(test_reset_uploads),
        cmocka_unit_test(test_lost_completion),
        cmocka_unit_test(test_completion_refused),
        cmocka_unit_test(test_failed_part),
        cmocka_unit_test(test_cancelled_upload),
        cmocka_unit_test(test_cancelled_between_parts),
        cmocka_unit_test(test_source_that_changes),
        cmocka_unit_test(test_broken_downloads),
        cmocka_unit_test(test_download_that_cannot_go_on),
        cmocka_unit_test(test_object_replaced),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
