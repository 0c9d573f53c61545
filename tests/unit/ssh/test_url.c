/* Engine URLs, completed from a configuration. */
#include "tests/unit/test.h"

#include "apis/ssh/url.h"
#include "base/fs.h"

static char dir[] = "/tmp/runner-ssh-url-XXXXXX";
static char config_path[64];
static struct ssh_environment environment;
static struct err err;
static struct ctx ctx;

static struct ssh_target *parse(const char *url)
{
    struct ssh_target *target = NULL;

    err_clear(&err);
    if (ssh_target_parse(&ctx, url, &environment, &target, &err) < 0)
        fail_msg("%s: %s", url, err.message);
    return target;
}

static void parses_passwords(void **state)
{
    CLEANUP_SSH_TARGET struct ssh_target *t = parse("ssh://bob:p%40:w@x@10.0.0.1:2222/");

    (void)state;
    assert_string_equal(t->user, "bob");
    assert_string_equal(t->password, "p@:w@x");
    assert_string_equal(t->host, "10.0.0.1");
    assert_int_equal(t->port, 2222);
    assert_int_equal(t->key_files.len, 0);
    assert_null(t->agent);
    assert_int_equal(t->policy, SSH_HOST_KEY_ACCEPT_NEW);
    assert_null(t->jump);
}

static void parses_keys(void **state)
{
    CLEANUP_SSH_TARGET struct ssh_target *t = parse("ssh://private_key:a/b+/w==@[::1]:22");
    CLEANUP_SSH_TARGET struct ssh_target *as = parse("ssh://private_key:a_b-_w@h?user=eve");

    (void)state;
    assert_string_equal(t->user, "root");
    assert_string_equal(t->host, "::1");
    assert_int_equal(t->private_key.len, 4);
    assert_memory_equal(t->private_key.data, "\x6b\xf6\xfe\xff", 4);
    assert_string_equal(as->user, "eve");
    assert_int_equal(as->private_key.len, 4);
    assert_memory_equal(as->private_key.data, t->private_key.data, 4);
    assert_int_equal(as->policy, SSH_HOST_KEY_ACCEPT_NEW);
    assert_null(as->agent);
}

static void parses_options(void **state)
{
    CLEANUP_FREE char *key = fs_join(dir, "k");
    CLEANUP_SSH_TARGET struct ssh_target *plain = parse("ssh://h");
    CLEANUP_SSH_TARGET struct ssh_target *t =
        parse("ssh://bob@h?key=~/k&passphrase=a%26b&known_hosts=/kh&accept_new=true");
    CLEANUP_SSH_TARGET struct ssh_target *pinned =
        parse("ssh://bob:x@h?host_key=SHA256:abcdefghijklmnop=");
    CLEANUP_SSH_TARGET struct ssh_target *any = parse("ssh://bob@h?insecure=true");
    CLEANUP_SSH_TARGET struct ssh_target *strict = parse("ssh://bob:x@h?known_hosts=/kh");

    (void)state;
    assert_string_equal(plain->user, "me");
    assert_int_equal(plain->port, 22);
    assert_string_equal(plain->agent, "/agent");
    assert_int_equal(plain->key_files.len, 3);
    assert_int_equal(plain->explicit_keys, 0);
    assert_int_equal(plain->policy, SSH_HOST_KEY_KNOWN);
    assert_string_equal(t->key_files.items[0], key);
    assert_int_equal(t->explicit_keys, 1);
    assert_string_equal(t->passphrase, "a&b");
    assert_int_equal(t->known_hosts.len, 1);
    assert_int_equal(t->policy, SSH_HOST_KEY_ACCEPT_NEW);
    assert_true(t->identities_only);
    assert_string_equal(pinned->pin, "SHA256:abcdefghijklmnop");
    assert_int_equal(pinned->policy, SSH_HOST_KEY_PINNED);
    assert_int_equal(any->policy, SSH_HOST_KEY_INSECURE);
    assert_int_equal(strict->policy, SSH_HOST_KEY_KNOWN);
}

/* A key that nobody has looked at is not written where all users believe it. */
static void writes_new_keys_to_files_of_the_user(void **state)
{
    static const char config[] = "Host nowhere\n  UserKnownHostsFile none\n"
                                 "Host alone\n  UserKnownHostsFile none\n"
                                 "  GlobalKnownHostsFile none\n"
                                 "Host own\n  UserKnownHostsFile /a /b\n";
    CLEANUP_SSH_TARGET struct ssh_target *nowhere = NULL;
    CLEANUP_SSH_TARGET struct ssh_target *alone = NULL;
    CLEANUP_SSH_TARGET struct ssh_target *own = NULL;

    (void)state;
    assert_int_equal(fs_write_file(config_path, config, strlen(config), 0600, NULL), 0);
    nowhere = parse("ssh://nowhere");
    alone = parse("ssh://alone");
    own = parse("ssh://own");
    assert_null(nowhere->new_keys);
    assert_int_equal(nowhere->known_hosts.len, 1);
    assert_string_equal(nowhere->known_hosts.items[0], "/etc/ssh/ssh_known_hosts");
    assert_null(alone->new_keys);
    assert_int_equal(alone->known_hosts.len, 0);
    assert_string_equal(own->new_keys, "/a");
    assert_int_equal(own->known_hosts.len, 3);
    unlink(config_path);
}

static void takes_the_configuration(void **state)
{
    static const char config[] = "Host build\n  HostName 10.1.1.1\n  Port 2200\n  User ci\n"
                                 "  ProxyJump gate,root@inner:2022\n  IdentityAgent none\n"
                                 "  StrictHostKeyChecking accept-new\n  HostKeyAlias farm-%p\n"
                                 "Host gate\n  HostName gate.example\n  User guard\n"
                                 "Host loop\n  ProxyJump loop\n"
                                 "Host by-command\n  ProxyCommand nc %h %p\n"
                                 "  RevokedHostKeys ~/revoked\n"
                                 "Host *\n  RevokedHostKeys none\n";
    struct ssh_target *loop = NULL;
    CLEANUP_SSH_TARGET struct ssh_target *t = NULL;
    CLEANUP_SSH_TARGET struct ssh_target *other = NULL;
    CLEANUP_SSH_TARGET struct ssh_target *none = NULL;
    CLEANUP_SSH_TARGET struct ssh_target *keyed = NULL;
    CLEANUP_SSH_TARGET struct ssh_target *by_jump = NULL;

    (void)state;
    assert_int_equal(fs_write_file(config_path, config, strlen(config), 0600, NULL), 0);
    t = parse("ssh://build");
    other = parse("ssh://you@build:1?jump=none");
    none = parse("ssh://build?config=none");
    by_jump = parse("ssh://by-command?jump=gate");
    keyed = parse("ssh://private_key:a2V5@build?jump=none");
    assert_string_equal(t->alias, "build");
    assert_string_equal(t->host, "10.1.1.1");
    assert_int_equal(t->port, 2200);
    assert_string_equal(t->host_key_alias, "farm-2200");
    assert_string_equal(other->host_key_alias, "farm-1");
    assert_string_equal(t->user, "ci");
    assert_null(t->agent);
    assert_int_equal(t->policy, SSH_HOST_KEY_ACCEPT_NEW);
    assert_string_equal(t->jump->host, "inner");
    assert_string_equal(t->jump->user, "root");
    assert_int_equal(t->jump->port, 2022);
    assert_string_equal(t->jump->jump->host, "gate.example");
    assert_string_equal(t->jump->jump->user, "guard");
    assert_null(t->jump->jump->jump);
    assert_string_equal(by_jump->jump->host, "gate.example");
    assert_non_null(strstr(by_jump->revoked_keys, "/revoked"));
    assert_null(by_jump->jump->revoked_keys);
    assert_string_equal(keyed->user, "root");
    assert_string_equal(keyed->host, "10.1.1.1");
    assert_string_equal(other->user, "you");
    assert_int_equal(other->port, 1);
    assert_null(other->jump);
    assert_string_equal(none->host, "build");
    assert_int_equal(none->port, 22);
    assert_int_equal(ssh_target_parse(&ctx, "ssh://loop", &environment, &loop, &err), -1);
    assert_string_equal(err.message, "more than 8 jump hosts; does one name itself as ProxyJump?");
}

static void refuses(void **state)
{
    static const struct {
        const char *url;
        const char *message;
    } rows[] = {
        {"http://h", "ssh URL: expected ssh://[USER@]HOST[:PORT][?OPTION=VALUE&…]"},
        {"ssh://", "ssh URL: the URL names no host"},
        {"ssh://u:secret@", "ssh URL: the URL names no host"},
        {"ssh://h:0", "ssh URL: the port of the URL must be a number from 1 to 65535"},
        {"ssh://u:sec?ret@h", "ssh URL: the port of the URL must be a number from 1 to 65535"},
        {"ssh://::1", "ssh URL: an IPv6 address in a URL is written [ADDRESS]:PORT"},
        {"ssh://h?colour=red",
         "ssh URL: the URL has an unknown parameter \"colour\"; known are key, passphrase, "
         "known_hosts, host_key, accept_new, insecure, user, jump and config"},
        {"ssh://h?insecure=maybe", "the URL's \"insecure\" must be true or false"},
        {"ssh://h?insecure=true&accept_new=true",
         "insecure=true goes together with no other host key option"},
        {"ssh://h?host_key=MD5:ab",
         "host_key must be SHA256:… as ssh-keygen -lf KEY.pub prints it"},
        {"ssh://private_key:!!!@h", "what stands behind private_key: is not base64; make it with: "
                                    "base64 -w0 KEYFILE"},
        {"ssh://@h", "the user is empty"},
        {"ssh://h?jump=a:b", "ProxyJump: the port of the URL must be a number from 1 to 65535"},
        {"ssh://-oProxyCommand=x",
         "ssh URL: the host of the URL holds a character that no host has"},
        {"ssh://u:se@cret/x",
         "ssh URL: nothing may stand behind the host's slash but \"?\" (write %2F for a slash and "
         "%40 for an @ of a password)"},
        {"ssh://h?passphrase=se&cret",
         "ssh URL: a part of the query has no value; an & of one is written %26"},
        {"ssh://h?jump=u:p@gate", "ProxyJump: a jump host is written [USER@]HOST[:PORT]"},
        {"ssh://h?jump=gate/x", "ProxyJump: a jump host is written [USER@]HOST[:PORT]"},
        {"ssh://h?jump=-gate", "ProxyJump: the host of the URL holds a character that no host has"},
        {"ssh://h?config=/no/such/file", "/no/such/file does not exist"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct ssh_target *target = NULL;

        assert_int_equal(ssh_target_parse(&ctx, rows[i].url, &environment, &target, &err), -1);
        assert_null(target);
        assert_string_equal(err.message, rows[i].message);
    }
}

static int set_up(void **state)
{
    (void)state;
    if (!mkdtemp(dir) || ctx_init_root(&ctx, NULL, NULL) < 0)
        return -1;
    snprintf(config_path, sizeof(config_path), "%s/config", dir);
    environment = (struct ssh_environment){.home = dir,
                                           .local_user = (char *)"me",
                                           .agent = (char *)"/agent",
                                           .user_config = config_path};
    return 0;
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
        cmocka_unit_test(parses_passwords), cmocka_unit_test(parses_keys),
        cmocka_unit_test(parses_options),   cmocka_unit_test(takes_the_configuration),
        cmocka_unit_test(refuses),          cmocka_unit_test(writes_new_keys_to_files_of_the_user),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
