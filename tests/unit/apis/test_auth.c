#include "live.h"

#include <signal.h>
#include <sys/stat.h>

#include "apis/docker/auth.h"
#include "apis/docker/proxies.h"
#include "base/base64.h"
#include "base/fs.h"

static char *dir;
static char *config_env;
static char *path_env;

static int setup(void **state)
{
    char pattern[] = "/tmp/apis-auth-XXXXXX";

    (void)state;
    signal(SIGPIPE, SIG_IGN); /* a helper need not read its input */
    ctx_init_cleanup(&test_ctx, 60000);
    dir = xstrdup(mkdtemp(pattern));
    config_env = xasprintf("DOCKER_CONFIG=%s", dir);
    path_env = xasprintf("PATH=%s:/usr/bin:/bin", dir);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    (void)!fs_remove_tree(dir, NULL);
    free(dir);
    free(config_env);
    free(path_env);
    return 0;
}

static void put(const char *name, const char *text, mode_t mode)
{
    CLEANUP_FREE char *path = fs_join(dir, name);

    assert_ok(fs_write_file(path, text, strlen(text), mode, &test_err));
    assert_int_equal(chmod(path, mode), 0);
}

static int find(const char *registry, struct docker_credentials *ret)
{
    const char *const env[] = {config_env, path_env, NULL};

    docker_credentials_release(ret);
    return docker_credentials_find(&test_ctx, env, registry, NULL, NULL, ret, &test_err);
}

static void test_given(void **state)
{
    const char *const env[] = {config_env, NULL};
    CLEANUP_DOCKER_CREDENTIALS struct docker_credentials c = {0};
    CLEANUP_FREE char *header = NULL;
    CLEANUP_BUF struct buf text = BUF_INIT;

    (void)state;
    assert_ok(docker_credentials_find(&test_ctx, env, "r.io", "me", "p\"w", &c, &test_err));
    header = docker_credentials_header(&c);
    assert_null(strpbrk(header, "+/"));
    assert_ok(base64_decode(&text, header, &test_err));
    assert_string_equal(text.data,
                        "{\"username\":\"me\",\"password\":\"p\\\"w\",\"serveraddress\":\"r.io\"}");
}

static void test_registries(void **state)
{
    const char *const env[] = {config_env, NULL};
    CLEANUP_STRVEC struct strvec found = {0};

    (void)state;
    (void)!fs_remove_tree(dir, NULL);
    assert_int_equal(mkdir(dir, 0700), 0);
    assert_ok(docker_credentials_registries(env, &found, &test_err)); /* no file */
    assert_int_equal(found.len, 0);
    put("config.json",
        "{\"auths\": {\"https://index.docker.io/v1/\": {}, \"r.io:5000/team\": {}},"
        "\"credHelpers\": {\"r.io:5000\": \"x\", \"https://other.io/v2/\": \"y\"}}",
        0600);
    assert_ok(docker_credentials_registries(env, &found, &test_err));
    assert_int_equal(found.len, 3);
    assert_string_equal(found.items[0], "docker.io");
    assert_string_equal(found.items[1], "r.io:5000");
    assert_string_equal(found.items[2], "other.io");
    put("config.json", "{", 0600);
    assert_error(docker_credentials_registries(env, &found, &test_err), ERR_INVALID);
    (void)!fs_remove_tree(dir, NULL);
    assert_int_equal(mkdir(dir, 0700), 0);
}

static void test_auths(void **state)
{
    CLEANUP_DOCKER_CREDENTIALS struct docker_credentials c = {0};
    CLEANUP_FREE char *header = NULL;

    (void)state;
    assert_ok(find("r.io", &c)); /* no file */
    assert_null(docker_credentials_header(&c));
    put("config.json",
        "{\"auths\": {"
        "\"https://index.docker.io/v1/access-token\": {\"auth\": \"bWU6cHc=\"},"
        "\"https://index.docker.io/v1/\": {\"auth\": \"aHViOnM6Mw==\"},"
        "\"r.io:5000/team\": {\"auth\": \"YTpi\"},"
        "\"r.io:5000\": {\"auth\": \"bWU6cHc=\"},"
        "\"path.io/team\": {\"auth\": \"bWU6cHc=\"},"
        "\"https://token.io/v2/\": {\"auth\": \"bWU6\", \"identitytoken\": \"tok\"},"
        "\"plain.io\": {\"username\": \"u\", \"password\": \"p\"},"
        "\"empty.io\": {},"
        "\"bad.io\": {\"auth\": \"bm9jb2xvbg==\"}}}",
        0600);
    assert_ok(find("docker.io", &c));
    assert_string_equal(c.username, "hub");
    assert_string_equal(c.password, "s:3");
    assert_string_equal(c.server_address, "https://index.docker.io/v1/");
    assert_ok(find("r.io:5000", &c));
    assert_string_equal(c.password, "pw");
    assert_ok(find("path.io", &c));
    assert_string_equal(c.password, "pw");
    assert_ok(find("r.io", &c));
    assert_null(c.username);
    assert_ok(find("token.io", &c));
    assert_string_equal(c.identity_token, "tok");
    header = docker_credentials_header(&c);
    assert_non_null(header);
    assert_ok(find("plain.io", &c));
    assert_string_equal(c.password, "p");
    assert_ok(find("empty.io", &c));
    assert_null(c.username);
    assert_error(find("bad.io", &c), ERR_INVALID);
    assert_message("config.json: auth of bad.io is not the base64 form of user:password");
    put("config.json", "{\"auths\": ", 0600);
    assert_error(find("r.io", &c), ERR_INVALID);
    assert_message("/config.json:1:");
}

static void test_helpers(void **state)
{
    CLEANUP_DOCKER_CREDENTIALS struct docker_credentials c = {0};

    (void)state;
    put("config.json",
        "{\"credsStore\": \"store\", \"auths\": {\"fallback.io\": {\"auth\": \"bWU6cHc=\"},"
        " \"t.io:1\": {\"auth\": \"bWU6cHc=\"}},"
        " \"credHelpers\": {\"h.io\": \"one\", \"gone.io\": \"missing\", \"fail.io\": \"fails\","
        " \"t.io:1\": \"\", \"none-given.io\": \"none\", \"half.io\": \"half\","
        " \"odd.io\": \"odd\", \"path.io\": \"../x\"}}",
        0600);
    put("docker-credential-one",
        "#!/bin/sh\nread -r s; echo \"{\\\"ServerURL\\\":\\\"$s\\\",\\\"Username\\\":\\\"$1\\\","
        "\\\"Secret\\\":\\\"for $s\\\"}\"\n",
        0700);
    put("docker-credential-store",
        "#!/bin/sh\nread -r s; case $s in t.io*) echo "
        "'{\"Username\":\"<token>\",\"Secret\":\"t\"}';;"
        " *) echo 'credentials not found in native keychain'; exit 1;; esac\n",
        0700);
    put("docker-credential-fails", "#!/bin/sh\necho 'the keyring is locked'; exit 1\n", 0700);
    put("docker-credential-odd", "#!/bin/sh\necho hello\n", 0700);
    put("docker-credential-none",
        "#!/bin/sh\necho '{\"ServerURL\":\"\",\"Username\":\"\",\"Secret\":\"\"}'\n", 0700);
    put("docker-credential-half", "#!/bin/sh\necho '{\"Username\":\"me\"}'\n", 0700);
    assert_ok(find("h.io", &c));
    assert_string_equal(c.username, "get");
    assert_string_equal(c.password, "for h.io");
    assert_ok(find("t.io", &c));
    assert_null(c.username);
    assert_string_equal(c.identity_token, "t");
    assert_ok(find("t.io:1", &c));
    assert_string_equal(c.username, "me");
    assert_ok(find("none-given.io", &c));
    assert_null(docker_credentials_header(&c));
    assert_error(find("half.io", &c), ERR_PROTOCOL);
    assert_ok(find("none.io", &c));
    assert_null(c.username);
    assert_ok(find("fallback.io", &c));
    assert_string_equal(c.username, "me");
    assert_error(find("gone.io", &c), ERR_NOT_FOUND);
    assert_string_equal(test_err.message, "cannot get the credentials for gone.io: "
                                          "docker-credential-missing: command not found");
    assert_error(find("fail.io", &c), ERR_DENIED);
    assert_string_equal(test_err.message, "docker-credential-fails get failed for fail.io: "
                                          "the keyring is locked");
    assert_error(find("odd.io", &c), ERR_PROTOCOL);
    assert_message("the answer for odd.io is not {Username, Secret}");
    assert_error(find("path.io", &c), ERR_INVALID);
    assert_message("credential helper \"../x\" must be a name, not a path");
}

static void test_names_of_a_registry(void **state)
{
    (void)state;
    assert_true(docker_same_registry("r.io", "r.io"));
    assert_true(docker_same_registry("https://R.io/v2/", "r.io"));
    assert_true(docker_same_registry("r.io:5000/team", "r.io:5000"));
    assert_true(docker_same_registry("docker.io", "docker.io"));
    assert_true(docker_same_registry("https://index.docker.io/v1/", "docker.io"));
    assert_false(docker_same_registry("r.io", "docker.io"));
    assert_false(docker_same_registry("r.io", "r.io:5000"));
    assert_false(docker_same_registry("r.io.example.org", "r.io"));
}

/* All variables as one line. */
static char *proxies_for(const char *daemon_url)
{
    const char *const env[] = {config_env, NULL};
    CLEANUP_STRMAP struct strmap proxies = {0};
    CLEANUP_BUF struct buf line = BUF_INIT;

    assert_ok(docker_proxies_find(env, daemon_url, &proxies, &test_err));
    strmap_foreach (proxy, &proxies)
        buf_addf(&line, "%s=%s ", proxy->key, proxy->value);
    return buf_steal(&line);
}

static void test_proxies(void **state)
{
    static const char *const names[] = {"NO_PROXY", NULL};
    const char *const env[] = {config_env, NULL};
    CLEANUP_STRMAP struct strmap proxies = {0};
    CLEANUP_STRMAP struct strmap variables = {0};
    CLEANUP_FREE char *others = NULL;
    CLEANUP_FREE char *own = NULL;

    (void)state;
    put("config.json",
        "{\"proxies\": {\"default\": {\"httpProxy\": \"http://p\", \"noProxy\": \"a,b\","
        " \"ftpProxy\": \"\"}, \"tcp://h:1\": {\"httpsProxy\": \"s\", \"allProxy\": \"t\"}}}",
        0600);
    others = proxies_for("unix:///var/run/docker.sock");
    assert_string_equal(others,
                        "HTTP_PROXY=http://p http_proxy=http://p NO_PROXY=a,b no_proxy=a,b ");
    own = proxies_for("tcp://h:1");
    assert_string_equal(own, "HTTPS_PROXY=s https_proxy=s ALL_PROXY=t all_proxy=t ");
    /* What is there stays, as does what is not to be there. */
    strmap_set(&proxies, "HTTP_PROXY", "p");
    strmap_set(&proxies, "http_proxy", "p");
    strmap_set(&proxies, "NO_PROXY", "x");
    strmap_set(&variables, "HTTP_PROXY", "mine");
    docker_proxies_add(&proxies, names, &variables);
    assert_int_equal(variables.len, 2);
    assert_string_equal(strmap_get(&variables, "HTTP_PROXY"), "mine");
    assert_string_equal(strmap_get(&variables, "http_proxy"), "p");
    put("config.json", "{", 0600);
    assert_error(docker_proxies_find(env, "x", &proxies, &test_err), ERR_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_given),
        cmocka_unit_test(test_registries),
        cmocka_unit_test(test_auths),
        cmocka_unit_test(test_helpers),
        cmocka_unit_test(test_names_of_a_registry),
        cmocka_unit_test(test_proxies),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
