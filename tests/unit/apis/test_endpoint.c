#include "live.h"

#include <sys/socket.h>
#include <sys/un.h>

#include "base/fs.h"

static char *home;
static char *home_env;

static int setup(void **state)
{
    char pattern[] = "/tmp/apis-endpoint-XXXXXX";

    (void)state;
    home = xstrdup(mkdtemp(pattern));
    home_env = xasprintf("HOME=%s", home);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    free(home_env);
    (void)!fs_remove_tree(home, NULL);
    free(home);
    return 0;
}

static void put(const char *name, const char *text)
{
    CLEANUP_FREE char *path = fs_join(home, name);
    CLEANUP_FREE char *dir = xstrdup(path);

    *strrchr(dir, '/') = '\0';
    assert_ok(fs_mkdir_p(dir, 0700, &test_err));
    assert_ok(fs_write_file(path, text, strlen(text), 0600, &test_err));
}

static void test_parse(void **state)
{
    static const struct {
        const char *url, *base_url, *socket;
    } rows[] = {
        {"unix:///run/d.sock", "http://docker", "/run/d.sock"},
        {"tcp://host", "http://host:2375", NULL},
        {"tcp://host:99", "http://host:99", NULL},
        {"tcp://[::1]", "http://[::1]:2375", NULL},
        {"tcp://[::1]:99/", "http://[::1]:99", NULL},
        {"http://host:1/prefix", "http://host:1/prefix", NULL},
        {"https://host", "https://host:2376", NULL},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        CLEANUP_DOCKER_ENDPOINT struct docker_endpoint e = {0};

        assert_ok(docker_endpoint_parse(rows[i].url, NULL, true, &e, &test_err));
        assert_string_equal(e.base_url, rows[i].base_url);
        assert_string_equal(e.unix_socket ? e.unix_socket : "-",
                            rows[i].socket ? rows[i].socket : "-");
        assert_false(e.insecure);
    }
}

static void test_parse_errors(void **state)
{
    static const struct {
        const char *url;
        enum err_code code;
        const char *message;
    } rows[] = {
        {"/run/d.sock", ERR_INVALID, "expected unix://PATH, tcp://HOST:PORT or https://…"},
        {"unix://d.sock", ERR_INVALID, "the socket's path must begin with a slash"},
        {"tcp://", ERR_INVALID, "the host name is missing"},
        {"tcp://:2375", ERR_INVALID, "the host name is missing"},
        {"ftp://x", ERR_INVALID, "expected unix://PATH"},
        {"ssh://me@host", ERR_UNSUPPORTED,
         "Docker host \"ssh://me@host\": ssh:// is not supported; forward the socket"},
        {"npipe:////./pipe/docker", ERR_UNSUPPORTED, "npipe:// is not supported"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct docker_endpoint e = {0};

        assert_error(docker_endpoint_parse(rows[i].url, NULL, true, &e, &test_err), rows[i].code);
        assert_message(rows[i].message);
        assert_null(e.url);
    }
}

static void test_tls(void **state)
{
    CLEANUP_FREE char *certs = fs_join(home, "certs");
    CLEANUP_FREE char *cert_path = xasprintf("DOCKER_CERT_PATH=%s", certs);
    const char *const verified[] = {home_env, cert_path, "DOCKER_TLS_VERIFY=1",
                                    "DOCKER_HOST=tcp://h", NULL};
    const char *const trusting[] = {home_env, cert_path, "DOCKER_TLS=1", "DOCKER_HOST=tcp://h",
                                    NULL};
    CLEANUP_DOCKER_ENDPOINT struct docker_endpoint e = {0};

    (void)state;
    assert_error(docker_endpoint_find(NULL, verified, &e, &test_err), ERR_INVALID);
    assert_null(e.url);
    assert_message("certs/ca.pem, which the server is verified with, does not exist");
    put("certs/ca.pem", "x");
    put("certs/cert.pem", "x");
    assert_error(docker_endpoint_find(NULL, verified, &e, &test_err), ERR_INVALID);
    assert_message("has only one of cert.pem and key.pem");
    put("certs/key.pem", "x");
    assert_ok(docker_endpoint_find(NULL, verified, &e, &test_err));
    assert_string_equal(e.base_url, "https://h:2376");
    assert_string_equal(e.source, "DOCKER_HOST");
    assert_non_null(strstr(e.ca_file, "certs/ca.pem"));
    assert_non_null(strstr(e.key_file, "certs/key.pem"));
    assert_false(e.insecure);
    docker_endpoint_release(&e);
    assert_ok(docker_endpoint_find(NULL, trusting, &e, &test_err));
    assert_true(e.insecure);
}

static void test_contexts(void **state)
{
    const char *const env[] = {home_env, NULL};
    const char *const named[] = {home_env, "DOCKER_CONTEXT=far", NULL};
    const char *const trusting[] = {home_env, "DOCKER_CONTEXT=trusting", NULL};
    const char *const public[] = {home_env, "DOCKER_CONTEXT=public", NULL};
    const char *const wrong[] = {home_env, "DOCKER_CONTEXT=none", NULL};
    const char *const host[] = {home_env, "DOCKER_CONTEXT=far", "DOCKER_HOST=unix:///x", NULL};
    CLEANUP_DOCKER_ENDPOINT struct docker_endpoint e = {0};

    (void)state;
    put(".docker/config.json", "{\"currentContext\": \"near\"}");
    put(".docker/contexts/meta/aa/meta.json",
        "{\"Name\": \"near\", \"Endpoints\": {\"docker\": {\"Host\": \"unix:///near\"}}}");
    put(".docker/contexts/meta/bb/meta.json",
        "{\"Name\": \"far\", \"Endpoints\": {\"docker\": {\"Host\": \"tcp://far:2376\","
        " \"SkipTLSVerify\": false}}}");
    put(".docker/contexts/meta/cc/meta.json", "broken");
    put(".docker/contexts/tls/bb/docker/ca.pem", "x");
    assert_ok(docker_endpoint_find(NULL, env, &e, &test_err));
    assert_string_equal(e.unix_socket, "/near");
    assert_string_equal(e.source, "context \"near\"");
    docker_endpoint_release(&e);
    assert_ok(docker_endpoint_find(NULL, named, &e, &test_err));
    assert_string_equal(e.base_url, "https://far:2376");
    assert_non_null(strstr(e.ca_file, "tls/bb/docker/ca.pem"));
    assert_null(e.cert_file);
    docker_endpoint_release(&e);
    put(".docker/contexts/meta/dd/meta.json",
        "{\"Name\": \"trusting\", \"Endpoints\": {\"docker\": {\"Host\": \"tcp://t\","
        " \"SkipTLSVerify\": true}}}");
    assert_ok(docker_endpoint_find(NULL, trusting, &e, &test_err));
    assert_string_equal(e.base_url, "https://t:2376");
    assert_true(e.insecure);
    docker_endpoint_release(&e);
    put(".docker/contexts/meta/ee/meta.json",
        "{\"Name\": \"public\", \"Endpoints\": {\"docker\": {\"Host\": \"tcp://p\"}}}");
    put(".docker/contexts/tls/ee/docker/cert.pem", "x");
    put(".docker/contexts/tls/ee/docker/key.pem", "x");
    assert_ok(docker_endpoint_find(NULL, public, &e, &test_err));
    assert_string_equal(e.base_url, "https://p:2376");
    assert_non_null(strstr(e.cert_file, "tls/ee/docker/cert.pem"));
    assert_null(e.ca_file);
    assert_false(e.insecure);
    docker_endpoint_release(&e);
    assert_error(docker_endpoint_find(NULL, wrong, &e, &test_err), ERR_INVALID);
    assert_message("Docker context \"none\" does not exist in ");
    assert_ok(docker_endpoint_find(NULL, host, &e, &test_err));
    assert_string_equal(e.unix_socket, "/x");
    docker_endpoint_release(&e);
    assert_ok(docker_endpoint_find("tcp://given:1", host, &e, &test_err));
    assert_string_equal(e.base_url, "http://given:1");
    assert_string_equal(e.source, "--docker-host");
    put(".docker/config.json", "{\"currentContext\":");
    docker_endpoint_release(&e);
    assert_error(docker_endpoint_find(NULL, env, &e, &test_err), ERR_INVALID);
    assert_message("/.docker/config.json:1:");
    put(".docker/config.json", "{}");
}

static void test_sockets(void **state)
{
    CLEANUP_FREE char *runtime = xasprintf("XDG_RUNTIME_DIR=%s", home);
    CLEANUP_FREE char *path = fs_join(home, "podman/podman.sock");
    const char *const env[] = {home_env, runtime, NULL};
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    CLEANUP_FD int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CLEANUP_DOCKER_ENDPOINT struct docker_endpoint e = {0};

    (void)state;
    if (fs_exists("/var/run/docker.sock")) {
        print_message("a Docker socket exists here: only its precedence is looked at\n");
        assert_ok(docker_endpoint_find(NULL, env, &e, &test_err));
        assert_string_equal(e.unix_socket, "/var/run/docker.sock");
        return;
    }
    put("podman/x", "");
    snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_ok(docker_endpoint_find(NULL, env, &e, &test_err));
    assert_string_equal(e.unix_socket, path);
    assert_string_equal(e.source, "default socket");
}

static void test_hosts(void **state)
{
    static const struct {
        const char *url;
        const char *host;
    } cases[] = {
        {"tcp://10.0.0.7:2376", "10.0.0.7"},
        {"tcp://daemon.example.org", "daemon.example.org"},
        {"https://[fd00::7]:2376/x", "fd00::7"},
        {"ssh://me@far:22", "far"},
    };
    const struct docker_endpoint local = {.url = (char *)"unix:///run/docker.sock",
                                          .unix_socket = (char *)"/run/docker.sock"};
    CLEANUP_FREE char *own = docker_endpoint_host(&local);

    (void)state;
    assert_string_equal(own, "127.0.0.1");
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        const struct docker_endpoint endpoint = {.url = (char *)cases[i].url};
        CLEANUP_FREE char *host = docker_endpoint_host(&endpoint);

        assert_string_equal(host, cases[i].host);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse),   cmocka_unit_test(test_parse_errors),
        cmocka_unit_test(test_tls),     cmocka_unit_test(test_contexts),
        cmocka_unit_test(test_sockets), cmocka_unit_test(test_hosts),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
