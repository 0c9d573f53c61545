/* Inventories as Ansible has them: what becomes of each host, in both notations, and what is said
 * about mistakes. */
#include "tests/unit/test.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "load/engine_name.h"
#include "load/inventory.h"
#include "load/inventory_model.h"

struct fixture {
    struct spec_hosts hosts;
    struct diag_list diags;
};

static void read_text(struct fixture *f, enum inventory_format format, const char *text)
{
    inventory_read(text, strlen(text), format, 3, &f->hosts, &f->diags);
}

static void done(struct fixture *f)
{
    spec_hosts_release(&f->hosts);
    diag_list_release(&f->diags);
}

/* A line for each host: "NAME ENGINE [ROLE ROLE] VAR=VALUE VAR=VALUE". */
static char *shown(const struct spec_hosts *hosts)
{
    struct buf out = BUF_INIT;

    for (size_t i = 0; i < hosts->len; i++) {
        const struct spec_host *host = &hosts->items[i];

        assert_int_equal(host->pos.file, 3);
        assert_int_equal(host->engine.pos.file, 3);
        buf_addf(&out, "%s %s [", host->name.text, host->engine.text);
        for (size_t j = 0; j < host->roles.len; j++)
            buf_addf(&out, "%s%s", j ? " " : "", host->roles.items[j].text);
        buf_addch(&out, ']');
        for (size_t j = 0; j < host->vars.len; j++)
            buf_addf(&out, " %s=%s", host->vars.items[j].key, host->vars.items[j].value.text);
        buf_addch(&out, '\n');
    }
    return buf_steal(&out);
}

static void assert_hosts(enum inventory_format format, const char *text, const char *expected)
{
    struct fixture f = {0};
    CLEANUP_FREE char *got = NULL;

    read_text(&f, format, text);
    if (f.diags.len)
        fail_msg("%u:%u: %s", f.diags.items[0].pos.line, f.diags.items[0].pos.column,
                 f.diags.items[0].message);
    got = shown(&f.hosts);
    assert_string_equal(got, expected);
    done(&f);
}

/* The first message, with its place. */
static void assert_refused(enum inventory_format format, const char *text, const char *expected)
{
    struct fixture f = {0};
    CLEANUP_FREE char *got = NULL;

    read_text(&f, format, text);
    if (!f.diags.len)
        fail_msg("no error: %s", text);
    diag_sort(&f.diags);
    assert_int_equal(f.diags.items[0].pos.file, 3);
    got = xasprintf("%u:%u: %s", f.diags.items[0].pos.line, f.diags.items[0].pos.column,
                    f.diags.items[0].message);
    assert_string_equal(got, expected);
    done(&f);
}

#define LOCAL "[all:vars]\nansible_connection=local\n"

static void ini_has_hosts_groups_and_variables(void **state)
{
    (void)state;
    assert_hosts(INVENTORY_INI,
                 "# comment\n ; comment\n\xc3\xbc"
                 "ber a=1\n[web] # comment\nweb-1 b=2 c='x y' "
                 "d=\"q \\\" r\" e=a\\ b # comment\n\tweb-2\r\n[web:vars]\nport = 80\nnote = \"in "
                 "quotes\"\nempty=\n[eu:children]\nweb\n[eu:hosts]\nother\n" LOCAL,
                 "\xc3\xbc"
                 "ber host [] a=1\n"
                 "web-1 host [eu web] port=80 note=in quotes empty= b=2 c=x y d=q \" r e=a b\n"
                 "web-2 host [eu web] port=80 note=in quotes empty=\n"
                 "other host [eu]\n");
    assert_hosts(INVENTORY_INI, "\xef\xbb\xbfx runner_engine=docker", "x docker []\n");
    assert_hosts(INVENTORY_INI, "", "");
}

static void the_nearest_group_wins(void **state)
{
    static const char groups[] =
        "[a]\nx\ny v=host\n[b]\nx\n[top:children]\nmid\n[mid:children]\na\n"
        "[b:vars]\nv=b\n[mid:vars]\nv=mid\nw=mid\n[top:vars]\nv=top\nw=top\n"
        "u=top\n[all:vars]\nu=all\nt=all\nansible_connection=local\n";
    CLEANUP_FREE char *with_a = xasprintf("%s[a:vars]\nv=a\n", groups);

    (void)state;
    assert_hosts(INVENTORY_INI, groups,
                 "x host [b top mid a] u=top t=all v=mid w=mid\n"
                 "y host [top mid a] u=top t=all v=host w=mid\n");
    assert_hosts(INVENTORY_INI, with_a,
                 "x host [b top mid a] u=top t=all v=a w=mid\n"
                 "y host [top mid a] u=top t=all v=host w=mid\n");
}

static void ranges_are_written_out(void **state)
{
    (void)state;
    assert_hosts(INVENTORY_INI, "w[08:10] v=1\nd-[a:c]x\ns[1:7:3]\nm[1:2][A:B]\n" LOCAL,
                 "w08 host [] v=1\nw09 host [] v=1\nw10 host [] v=1\nd-ax host []\nd-bx host []\n"
                 "d-cx host []\ns1 host []\ns4 host []\ns7 host []\nm1A host []\nm1B host []\n"
                 "m2A host []\nm2B host []\n");
    assert_hosts(INVENTORY_YAML, "all: {hosts: {'w[1:2]': {runner_engine: host, v: 1}}}",
                 "w1 host [] v=1\nw2 host [] v=1\n");
}

static void wrong_ranges_are_refused(void **state)
{
    static const char *const cases[] = {"w[2:1]",   "w[1]",   "w[]",      "w[1:2",
                                        "w[a:1]",   "w[a:B]", "w[1:2:0]", "w[1:2:3:4]",
                                        "w[aa:bb]", "w[:3]",  "w[1:2:x]", "w[1:3][z]"};

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        const char *shows = i == 11 ? "w1[z]" : cases[i];
        CLEANUP_FREE char *expected =
            xasprintf("1:1: \"%s\" is no range of hosts; write web[01:50], web[1:9:2] or web[a:f]",
                      shows);

        assert_refused(INVENTORY_INI, cases[i], expected);
    }
    assert_refused(INVENTORY_INI, "w[1:99999999999]", "1:1: there are more than 10000 hosts");
}

static void yaml_has_the_same(void **state)
{
    (void)state;
    assert_hosts(INVENTORY_YAML,
                 "all:\n"
                 "  vars: {ansible_connection: local, u: all}\n"
                 "  hosts:\n"
                 "    lone:\n"
                 "  children:\n"
                 "    eu:\n"
                 "      vars: {u: eu}\n"
                 "      children:\n"
                 "        web:\n"
                 "          hosts: {web-1: {list: [1, {a: b}], none: , yes: on, v: 1.20}}\n"
                 "    ungrouped: {hosts: other}\n"
                 "web:\n"
                 "  hosts: {web-2: {u: own}}\n",
                 "lone host [] u=all\n"
                 "web-1 host [eu web] u=eu list=[1,{\"a\":\"b\"}] none= yes=on v=1.20\n"
                 "other host [] u=all\n"
                 "web-2 host [eu web] u=own\n");
    assert_hosts(INVENTORY_YAML, "web:", "");
    assert_hosts(INVENTORY_YAML, "", "");
}

static void formats_are_told_apart(void **state)
{
    (void)state;
    assert_int_equal(inventory_format_of("a/hosts.yaml"), INVENTORY_YAML);
    assert_int_equal(inventory_format_of("hosts.YML"), INVENTORY_YAML);
    assert_int_equal(inventory_format_of("hosts.json"), INVENTORY_YAML);
    assert_int_equal(inventory_format_of("hosts.ini"), INVENTORY_INI);
    assert_int_equal(inventory_format_of("inventory"), INVENTORY_GUESS);
    assert_hosts(INVENTORY_GUESS, "\n# c\nweb: # c\n  hosts: {a: {runner_engine: host}}",
                 "a host [web]\n");
    assert_hosts(INVENTORY_GUESS, "---\nweb: {hosts: {a: {runner_engine: host}}}",
                 "a host [web]\n");
    assert_hosts(INVENTORY_GUESS, "{\"web\": {\"hosts\": {\"a\": {\"runner_engine\": \"host\"}}}}",
                 "a host [web]\n");
    assert_hosts(INVENTORY_GUESS, "# c\na runner_engine=host", "a host []\n");
    assert_hosts(INVENTORY_GUESS, "[web]\na runner_engine=host", "a host [web]\n");
}

/* What the engine of a host with these variables is. Whether there is such an engine is another
 * question, which is left out by a name that is not known yet. */
static void assert_engine(const char *vars, const char *expected)
{
    struct spec_pairs pairs = {0};
    struct spec_host host = {0};
    struct inventory inventory;
    CLEANUP_DIAG_LIST struct diag_list diags = {0};
    CLEANUP_FREE char *text = xstrdup(vars);
    char *rest = text;
    const struct inventory_host in = {.name = "web-1"};

    inventory_init(&inventory, 3, &diags);
    for (char *word; (word = strsep(&rest, " ")) && *word;) {
        char *value = strchr(word, '=');

        *value = '\0';
        inventory_set(&inventory, &pairs, word, value + 1, (struct src_pos){0});
    }
    if (!inventory_make_host(&inventory, &in, &pairs, &host))
        assert_int_equal(diags.len, 1); /* ssh, where it is not built */
    assert_string_equal(host.engine.text, expected);
    assert_int_equal(host.vars.len, 0);
    free(host.engine.text);
    inventory_release_pairs(&pairs);
    inventory_release(&inventory);
}

static void connections_become_engines(void **state)
{
    (void)state;
    assert_engine("", "ssh://web-1");
    assert_engine("ansible_connection=local ansible_host=x", "host");
    assert_engine("runner_engine=docker ansible_connection=winrm", "docker");
    assert_engine("ansible_host=10.0.0.1 ansible_port=2222 ansible_user=me",
                  "ssh://me@10.0.0.1:2222");
    assert_engine("ansible_ssh_host=::1 ansible_ssh_user=a@b ansible_ssh_pass=p:/%20",
                  "ssh://a%40b:p%3A/%2520@[::1]");
    assert_engine("ansible_user=me ansible_password=${PW}x?", "ssh://me:${PW}x%3F@web-1");
    assert_engine("ansible_ssh_private_key_file=~/.ssh/id&1 ansible_host_key_checking=False",
                  "ssh://web-1?key=~/.ssh/id%261&insecure=true");
    assert_engine("ansible_connection=paramiko ansible_ssh_host_key_checking=true", "ssh://web-1");
}

static void ini_takes_ports_of_hosts(void **state)
{
    (void)state;
    assert_refused(INVENTORY_INI, "web-[1:2]:70000",
                   "1:1: \"70000\" is no port; it must be between 1 and 65535");
    assert_hosts(INVENTORY_INI, "w[1:2]:22 runner_engine=host\n::1 runner_engine=host",
                 "w1 host []\nw2 host []\n::1 host []\n");
}

static void mistakes_have_a_place(void **state)
{
    static const struct {
        enum inventory_format format;
        const char *text;
        const char *expected;
    } cases[] = {
        {INVENTORY_INI, "\n  [web", "2:3: the heading has no \"]\""},
        {INVENTORY_INI, "[web:var]",
         "1:6: \"var\" cannot stand behind a group; write [GROUP], [GROUP:vars] or "
         "[GROUP:children]"},
        {INVENTORY_INI, "[web] x", "1:7: nothing but a comment goes behind \"]\""},
        {INVENTORY_INI, "[a b]",
         "1:2: the group: \"a b\" cannot be a name: no \"!\" or \"&\" may begin it, and no \"*\", "
         "\"?\", \"[\", \"]\", \",\", \"\\\" or space be in it"},
        {INVENTORY_INI, "a b",
         "1:3: \"b\" is no variable; behind the name of a host goes KEY=VALUE"},
        {INVENTORY_INI, "a =b",
         "1:3: \"=b\" is no variable; behind the name of a host goes KEY=VALUE"},
        {INVENTORY_INI, "a b='c", "1:3: the quote is not closed"},
        {INVENTORY_INI, "[w]\nport=80",
         "2:1: the line does not begin with the name of a host; variables of a group stand below "
         "[w:vars]"},
        {INVENTORY_INI, "[w:vars]\nport", "2:1: a variable is written KEY=VALUE"},
        {INVENTORY_INI, "[w:children]\na b", "2:3: one group stands on a line"},
        {INVENTORY_INI, "a ansible_connection=winrm",
         "1:3: there is no engine for connections of the kind \"winrm\"; name one with "
         "runner_engine"},
        {INVENTORY_INI, "a runner_engine=dokcer",
         "1:3: the host \"a\": unknown engine \"dokcer\"; did you mean \"docker\"?"},
        {INVENTORY_INI, "a ansible_port=0",
         "1:3: \"0\" is no port; it must be between 1 and 65535"},
        {INVENTORY_INI, "[a:children]\nb\n[b:children]\nc\n[c:children]\na",
         "1:2: the groups contain each other: \"a\" in \"c\" in \"b\" in \"a\""},
        {INVENTORY_YAML, "web: {host: {a: }}",
         "1:7: unknown key \"host\" in a group; did you mean \"hosts\"?"},
        {INVENTORY_YAML, "web: {x: {a: }}",
         "1:7: unknown key \"x\" in a group; there are hosts, vars and children"},
        {INVENTORY_YAML, "web: [a]", "1:6: a group must be a map, not a list"},
        {INVENTORY_YAML, "web: {hosts: [a]}", "1:14: \"hosts\" must be a map, not a list"},
        {INVENTORY_YAML, "web: {hosts: {a: b}}", "1:18: the variables must be a map, not a string"},
        {INVENTORY_YAML, "[a]", "1:1: the inventory must be a map, not a list"},
        {INVENTORY_YAML, "web:\n  hosts: {",
         "3:1: malformed YAML: did not find expected node content"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
        assert_refused(cases[i].format, cases[i].text, cases[i].expected);
}

static void hosts_of_the_pipeline_file_are_others(void **state)
{
    struct fixture f = {0};

    (void)state;
    f.hosts.items = xcalloc(1, sizeof(*f.hosts.items));
    f.hosts.len = 1;
    f.hosts.items[0].name = (struct spec_str){xstrdup("a"), {.line = 7, .column = 1}};
    read_text(&f, INVENTORY_INI, "b runner_engine=host\na runner_engine=host");
    assert_int_equal(f.diags.len, 1);
    assert_int_equal(f.diags.items[0].pos.line, 2);
    assert_string_equal(f.diags.items[0].message,
                        "the host \"a\" is in the pipeline file, too, on line 7");
    done(&f);
}

static void bytes_of_0_are_refused(void **state)
{
    struct fixture f = {0};

    (void)state;
    inventory_read("a\0b", 3, INVENTORY_INI, 3, &f.hosts, &f.diags);
    assert_int_equal(f.diags.len, 1);
    assert_string_equal(f.diags.items[0].message, "the file holds a NUL byte");
    done(&f);
}

static void there_can_be_too_much(void **state)
{
    static const struct {
        const char *before;
        const char *format;
        int count;
        const char *message;
    } cases[] = {
        {"", "h%d runner_engine=host\n", INVENTORY_HOSTS_MAX + 1,
         "there are more than 10000 hosts"},
        {"", "[g%d]\n", INVENTORY_GROUPS_MAX, "there are more than 1000 groups"},
        {"[all:vars]\n", "v%d=x\n", INVENTORY_VARS_MAX + 1, "there are more than 1000 variables"},
        {"h[1:5000] runner_engine=host\n[all:vars]\n", "v%d=x\n", 100,
         "there are more than 200000 variables and roles of hosts"},
        {"", "%0300d runner_engine=host\n", 1, "the name of the host has more than 255 bytes"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct fixture f = {0};
        CLEANUP_BUF struct buf text = BUF_INIT;

        buf_addstr(&text, cases[i].before);
        for (int j = 0; j < cases[i].count; j++)
            buf_addf(&text, cases[i].format, j);
        read_text(&f, INVENTORY_INI, text.data);
        assert_int_equal(f.diags.len, 1);
        assert_string_equal(f.diags.items[0].message, cases[i].message);
        done(&f);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ini_has_hosts_groups_and_variables),
        cmocka_unit_test(the_nearest_group_wins),
        cmocka_unit_test(ranges_are_written_out),
        cmocka_unit_test(wrong_ranges_are_refused),
        cmocka_unit_test(yaml_has_the_same),
        cmocka_unit_test(formats_are_told_apart),
        cmocka_unit_test(connections_become_engines),
        cmocka_unit_test(ini_takes_ports_of_hosts),
        cmocka_unit_test(mistakes_have_a_place),
        cmocka_unit_test(hosts_of_the_pipeline_file_are_others),
        cmocka_unit_test(bytes_of_0_are_refused),
        cmocka_unit_test(there_can_be_too_much),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
