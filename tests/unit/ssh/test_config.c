/* ssh_config, as ssh(1) reads it. */
#include "tests/unit/test.h"

#include <sys/stat.h>
#include <unistd.h>

#include "apis/ssh/config.h"
#include "apis/ssh/pattern.h"
#include "base/fs.h"

static char dir[] = "/tmp/runner-ssh-config-XXXXXX";
static struct err err;
static struct ctx ctx;

static void write_file(const char *name, const char *text)
{
    CLEANUP_FREE char *path = fs_join(dir, name);

    assert_int_equal(fs_write_file(path, text, strlen(text), 0600, NULL), 0);
}

/* The names that were asked for. */
static struct strvec asked;

static bool resolves(const char *name)
{
    strvec_push(&asked, name);
    return strcmp(name, "web1.b.example.") == 0 || strcmp(name, "anchored.") == 0;
}

static int read_through(const char *jump, const char *alias, const char *user,
                        struct ssh_settings *ret)
{
    CLEANUP_FREE char *path = fs_join(dir, ".ssh/config");
    const struct ssh_config_source source = {
        .home = dir, .local_user = "me", .user_file = path, .jump = jump, .resolves = resolves};

    *ret = (struct ssh_settings){0};
    err_clear(&err);
    strvec_release(&asked);
    return ssh_config_read(&ctx, &source, alias, user, ret, &err);
}

static int read_as(const char *alias, const char *user, struct ssh_settings *ret)
{
    return read_through(NULL, alias, user, ret);
}

static void reads_hosts(void **state)
{
    CLEANUP_SSH_SETTINGS struct ssh_settings s = {0};
    CLEANUP_FREE char *key = fs_join(dir, "keys/web1-deploy-2222");

    (void)state;
    write_file(".ssh/config", "# a comment\n"
                              "User everyone\n"
                              "Host other\n"
                              "    Port 1\n"
                              "Host web* !web9 # and a comment\n"
                              "\tHostName=%h.example.com\n"
                              "  port = 2222\n"
                              "  User late\n"
                              "  IdentityFile ~/keys/%n-%r-%p\n"
                              "  identityfile \"/with space\"\n"
                              "  ProxyJump bastion,%r@inner:23\n"
                              "  StrictHostKeyChecking accept-new\n"
                              "  UserKnownHostsFile /a /b\n"
                              "  ConnectTimeout 7\n"
                              "  ServerAliveInterval 1m\n"
                              "  ConnectionAttempts 3\n"
                              "  IdentitiesOnly yes\n"
                              "  HostKeyAlias farm\n"
                              "  ForwardAgent yes\n"
                              "Host *\n"
                              "  Port 99\n"
                              "  IdentitiesOnly no\n"
                              "  HostName never\n");
    assert_int_equal(read_as("web1", "deploy", &s), 0);
    assert_string_equal(s.host_name, "web1.example.com");
    assert_string_equal(s.user, "everyone");
    assert_int_equal(s.port, 2222);
    assert_int_equal(s.identity_files.len, 2);
    assert_string_equal(s.identity_files.items[1], "/with space");
    assert_string_equal(s.identity_files.items[0], key);
    assert_string_equal(s.proxy_jump, "bastion,deploy@inner:23");
    assert_int_equal(s.strict, SSH_STRICT_ACCEPT_NEW);
    assert_int_equal(s.known_hosts.len, 2);
    assert_string_equal(s.known_hosts.items[1], "/b");
    assert_int_equal(s.connect_timeout_ms, 7000);
    assert_int_equal(s.alive_interval_ms, 60000);
    assert_int_equal(s.connection_attempts, 3);
    assert_true(s.identities_only);
    assert_string_equal(s.host_key_alias, "farm");
    assert_int_equal(s.notes.len, 0);
    ssh_settings_release(&s);
    assert_int_equal(read_as("web9", NULL, &s), 0);
    assert_string_equal(s.host_name, "never");
    assert_false(s.identities_only);
    assert_int_equal(s.port, 99);
}

static void reads_includes_and_matches(void **state)
{
    CLEANUP_SSH_SETTINGS struct ssh_settings s = {0};

    (void)state;
    write_file(".ssh/config", "Include conf.d/*.conf nothing/*\n"
                              "Match exec \"true\"\n"
                              "  Port 1\n"
                              "Match host a.example,b.example user root\n"
                              "  Port 2\n"
                              "Match originalhost a !user root\n"
                              "  Port 3\n"
                              "Host elsewhere\n"
                              "  Include conf.d/one.conf\n"
                              "  ProxyCommand nc %h %p\n");
    write_file(".ssh/conf.d/one.conf", "Host a\nHostName a.example\nHost z\nUser z\n");
    assert_int_equal(read_as("a", "root", &s), 0);
    assert_string_equal(s.host_name, "a.example");
    assert_int_equal(s.port, 2);
    assert_int_equal(s.notes.len, 1);
    assert_non_null(strstr(s.notes.items[0], "/.ssh/config:2: \"Match exec\" is not supported"));
    ssh_settings_release(&s);
    assert_int_equal(read_as("a", NULL, &s), 0);
    assert_int_equal(s.port, 3);
}

/* A host is compared by the name that HostName makes of the one that was given. */
static void matches_hosts_as_they_are_called(void **state)
{
    CLEANUP_SSH_SETTINGS struct ssh_settings s = {0};

    (void)state;
    write_file(".ssh/config", "Match host web1\n  Port 1\n  HostName %h.example\n"
                              "Match host web1\n  Port 2\n  User early\n"
                              "Match host web1.example originalhost web1\n  User late\n"
                              "Match final host web1.example\n  IdentityFile final\n"
                              "Match canonical\n  IdentityFile canonical\n"
                              "Match !final\n  IdentityFile first\n"
                              "Match final exec true\n"
                              "Match all\n  RevokedHostKeys ~/revoked-%h\n");
    assert_int_equal(read_as("web1", NULL, &s), 0);
    assert_string_equal(s.host_name, "web1.example");
    assert_int_equal(s.port, 1);
    assert_string_equal(s.user, "late");
    assert_int_equal(s.identity_files.len, 3);
    assert_string_equal(s.identity_files.items[0], "first");
    assert_string_equal(s.identity_files.items[1], "final");
    assert_string_equal(s.identity_files.items[2], "canonical");
    assert_int_equal(s.notes.len, 1);
    assert_non_null(strstr(s.revoked_keys, "/revoked-web1.example"));
    assert_int_equal(asked.len, 0);
}

#define CANONICAL "CanonicalDomains a.example b.example\nCanonicalizeHostname "
#define BLOCKS                                                                                     \
    "\nHost *.b.example\n  User full\nHost web1\n  Port 7\n"                                       \
    "Match originalhost web1 host web1.b.example\n  HostKeyAlias both\n"

static void makes_names_canonical(void **state)
{
    static const struct {
        const char *text, *jump, *alias;
        const char *name;
        const char *user; /* of the block for full names */
        size_t asked;
    } rows[] = {
        {CANONICAL "yes" BLOCKS, NULL, "web1", "web1.b.example", "full", 2},
        {CANONICAL "no" BLOCKS, NULL, "web1", "web1", NULL, 0},
        {CANONICAL "yes" BLOCKS, NULL, "web2", "web2", NULL, 2},
        {CANONICAL "yes" BLOCKS, NULL, "x.y.b.example", "x.y.b.example", "full", 0},
        {CANONICAL "yes\nCanonicalizeMaxDots 0" BLOCKS, NULL, "x.y", "x.y", NULL, 0},
        {CANONICAL "yes" BLOCKS, NULL, "x.y", "x.y", NULL, 2},
        {CANONICAL "yes" BLOCKS, NULL, "anchored.", "anchored", NULL, 1},
        {CANONICAL "yes" BLOCKS, NULL, "10.1.1.1", "10.1.1.1", NULL, 0},
        {CANONICAL "yes" BLOCKS, NULL, "::1", "::1", NULL, 0},
        {"CanonicalDomains none\nCanonicalizeHostname yes" BLOCKS, NULL, "web1", "web1", NULL, 0},
        /* A jump host would look it up. */
        {CANONICAL "yes" BLOCKS, "gate", "web1", "web1", NULL, 0},
        {CANONICAL "yes" BLOCKS, "none", "web1", "web1.b.example", "full", 2},
        {CANONICAL "always" BLOCKS, "gate", "web1", "web1.b.example", "full", 2},
    };
    CLEANUP_SSH_SETTINGS struct ssh_settings s = {0};

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        write_file(".ssh/config", rows[i].text);
        assert_int_equal(read_through(rows[i].jump, rows[i].alias, NULL, &s), 0);
        assert_string_equal(s.host_name, rows[i].name);
        assert_int_equal(asked.len, rows[i].asked);
        if (rows[i].user)
            assert_string_equal(s.user, rows[i].user);
        else
            assert_null(s.user);
        assert_int_equal(s.port, strcmp(rows[i].alias, "web1") == 0 ? 7 : 0);
        assert_int_equal(s.host_key_alias != NULL, strcmp(rows[i].name, "web1.b.example") == 0);
        ssh_settings_release(&s);
    }
    write_file(".ssh/config", CANONICAL "yes\nCanonicalizeFallbackLocal no\n");
    assert_int_equal(read_as("web2", NULL, &s), -1);
    assert_int_equal(err.code, ERR_NOT_FOUND);
    assert_string_equal(err.message, "web2: no such host in any domain of CanonicalDomains, and "
                                     "CanonicalizeFallbackLocal is \"no\"");
    strvec_release(&asked);
}

static void asks_for_no_name_behind_the_end(void **state)
{
    CLEANUP_SSH_SETTINGS struct ssh_settings s = {0};
    CLEANUP_FREE char *path = fs_join(dir, ".ssh/config");
    const struct ssh_config_source source = {.home = dir, .user_file = path};
    CLEANUP_CTX struct ctx ended;

    (void)state;
    write_file(".ssh/config", CANONICAL "yes\n");
    assert_int_equal(ctx_init_cancel(&ended, &ctx, NULL), 0);
    ctx_cancel(&ended, CTX_CAUSE_USER);
    err_clear(&err);
    assert_int_equal(ssh_config_read(&ended, &source, "web1", NULL, &s, &err), -1);
    assert_int_equal(err.code, ERR_CANCELLED);
}

static void refuses_files_of_others(void **state)
{
    CLEANUP_SSH_SETTINGS struct ssh_settings s = {0};
    CLEANUP_FREE char *path = fs_join(dir, ".ssh/config");
    CLEANUP_FREE char *included = fs_join(dir, ".ssh/conf.d/two.conf");
    CLEANUP_FREE char *message =
        xasprintf("%s: bad permissions: others may write to it; take that away with: chmod go-w %s",
                  included, included);
    const struct ssh_config_source named = {.home = dir,
                                            .user_file = path,
                                            .user_file_is_named = true};

    (void)state;
    write_file(".ssh/config", "User me\n");
    assert_int_equal(chmod(path, 0606), 0);
    assert_int_equal(read_as("a", NULL, &s), -1);
    assert_int_equal(err.code, ERR_DENIED);
    assert_non_null(strstr(err.message, "/.ssh/config: bad permissions: others may write to it"));
    assert_int_equal(ssh_config_read(&ctx, &named, "a", NULL, &s, &err), 0);
    ssh_settings_release(&s);
    assert_int_equal(chmod(path, 0600), 0);
    write_file(".ssh/config", "Include conf.d/two.conf\n");
    write_file(".ssh/conf.d/two.conf", "User me\n");
    assert_int_equal(chmod(included, 0602), 0);
    assert_int_equal(ssh_config_read(&ctx, &named, "a", NULL, &s, &err), -1);
    assert_string_equal(err.message, message);
    assert_int_equal(chmod(included, 0644), 0);
    assert_int_equal(read_as("a", NULL, &s), 0);
    if (geteuid() == 0) {
        /* The group of root has no other members; that one is not of root alone. */
        assert_int_equal(chmod(included, 0664), 0);
        ssh_settings_release(&s);
        assert_int_equal(read_as("a", NULL, &s), 0);
        assert_int_equal(chown(included, 0, 65534), 0);
        ssh_settings_release(&s);
        assert_int_equal(read_as("a", NULL, &s), -1);
        assert_string_equal(err.message, message);
        assert_int_equal(chown(included, 65534, 65534), 0);
        ssh_settings_release(&s);
        assert_int_equal(read_as("a", NULL, &s), -1);
        assert_non_null(strstr(err.message, "two.conf: bad owner: it belongs to neither"));
    }
    assert_int_equal(unlink(included), 0);
}

static void refuses(void **state)
{
    static const struct {
        const char *text;
        enum err_code code;
        const char *message;
    } rows[] = {
        {"Host a\n  Port 0\n", ERR_INVALID, ":2: expected a port from 1 to 65535, found \"0\""},
        {"User\n", ERR_INVALID, ":1: User has no value"},
        {"IdentityFile \"x\n", ERR_INVALID, ":1: a quote is not closed"},
        {"\nIdentitiesOnly perhaps\n", ERR_INVALID, ":2: expected yes or no, found \"perhaps\""},
        {"StrictHostKeyChecking maybe\n", ERR_INVALID,
         ":1: expected yes, no, ask or accept-new, found \"maybe\""},
        {"ProxyCommand nc %h\n", ERR_UNSUPPORTED,
         ":1: ProxyCommand for a is not supported; use ProxyJump"},
        {"Include config\n", ERR_LIMIT, ":1: files are included 16 deep; one includes itself?"},
        {"CanonicalizeHostname maybe\n", ERR_INVALID,
         ":1: expected yes, no or always, found \"maybe\""},
        {"CanonicalizeMaxDots 256\n", ERR_INVALID,
         ":1: expected a number from 0 to 255, found \"256\""},
        {"ConnectTimeout soon\n", ERR_INVALID, ":1: expected a number of seconds, found \"soon\""},
        {"\nIdentityFile ~/${RUNNER_NONE}/key\n", ERR_INVALID,
         ":2: the environment variable RUNNER_NONE has no value; set it, or take ${RUNNER_NONE} "
         "out"},
        {"UserKnownHostsFile /a /${HOME}/b-${RUNNER_NONE}\n", ERR_INVALID,
         ":1: the environment variable RUNNER_NONE has no value; set it, or take ${RUNNER_NONE} "
         "out"},
        {"Include conf.d/${RUNNER_NONE}\n", ERR_INVALID,
         ":1: the environment variable RUNNER_NONE has no value; set it, or take ${RUNNER_NONE} "
         "out"},
        {"IdentityAgent ${HOME\n", ERR_INVALID, ":1: a ${ is not closed by a }"},
        /* What does not count is not looked at. */
        {"IdentityAgent /a\nIdentityAgent ${RUNNER_NONE}\nUser ${RUNNER_NONE}\n"
         "Host b\nIdentityFile ${RUNNER_NONE}\n",
         ERR_NONE, ""},
        {"Host b\nPort 0\nProxyCommand x\n", ERR_NONE, ""},
        {"ProxyJump none\nProxyCommand x\n", ERR_NONE, ""},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        CLEANUP_SSH_SETTINGS struct ssh_settings s = {0};
        CLEANUP_FREE char *message = xasprintf("%s/.ssh/config%s", dir, rows[i].message);

        write_file(".ssh/config", rows[i].text);
        assert_int_equal(read_as("a", NULL, &s), rows[i].code == ERR_NONE ? 0 : -1);
        assert_int_equal(err.code, rows[i].code);
        if (rows[i].code != ERR_NONE)
            assert_string_equal(err.message, message);
    }
}

/* %p and %k are what is connected to and looked up in the end. */
static void replaces_tokens(void **state)
{
    CLEANUP_SSH_SETTINGS struct ssh_settings s = {0};
    CLEANUP_FREE char *path = fs_join(dir, ".ssh/config");
    struct ssh_config_source source = {.home = dir, .local_user = "me", .user_file = path};

    (void)state;
    write_file(".ssh/config", "Port 2222\nIdentityFile /%p/%k/%%\nHostName %h.example\n"
                              "Host aliased\nHostKeyAlias key-of-%h\n");
    assert_int_equal(ssh_config_read(&ctx, &source, "web1", NULL, &s, &err), 0);
    assert_string_equal(s.identity_files.items[0], "/2222/web1/%");
    ssh_settings_release(&s);
    source.port = 2200;
    assert_int_equal(ssh_config_read(&ctx, &source, "aliased", NULL, &s, &err), 0);
    assert_string_equal(s.identity_files.items[0], "/2200/key-of-aliased.example/%");
}

static void matches_patterns(void **state)
{
    (void)state;
    assert_true(ssh_pattern_list_match("*.example.com,!bad.*", ",", "Good.Example.com"));
    assert_false(ssh_pattern_list_match("*.example.com,!bad.*", ",", "bad.example.com"));
    assert_false(ssh_pattern_list_match("!bad", ",", "good"));
    assert_true(ssh_pattern_list_match("h?st**", ",", "host"));
    assert_true(ssh_pattern_list_match("*a*b*c", ",", "xaybyabzc"));
    assert_false(ssh_pattern_list_match("*a*b*c", ",", "xaybyabz"));
    assert_false(ssh_pattern_list_match("", ",", ""));
}

static int set_up(void **state)
{
    CLEANUP_FREE char *nested = NULL;

    (void)state;
    if (!mkdtemp(dir) || ctx_init_root(&ctx, NULL, NULL) < 0)
        return -1;
    nested = fs_join(dir, ".ssh/conf.d");
    return fs_mkdir_p(nested, 0700, NULL);
}

static int tear_down(void **state)
{
    (void)state;
    ctx_release(&ctx);
    return fs_remove_tree(dir, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_hosts),
        cmocka_unit_test(reads_includes_and_matches),
        cmocka_unit_test(matches_hosts_as_they_are_called),
        cmocka_unit_test(makes_names_canonical),
        cmocka_unit_test(asks_for_no_name_behind_the_end),
        cmocka_unit_test(refuses_files_of_others),
        cmocka_unit_test(refuses),
        cmocka_unit_test(replaces_tokens),
        cmocka_unit_test(matches_patterns),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
