/* The variables with which Ansible says how a host is reached become its engine; all others are for
 * expressions. */
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/parse.h"
#include "load/decode.h"
#include "load/engine_name.h"
#include "load/inventory_model.h"
#include "yaml/yaml_tree.h"

/* What variables are about. */
enum about {
    ABOUT_ENGINE,
    ABOUT_CONNECTION,
    ABOUT_HOST,
    ABOUT_PORT,
    ABOUT_USER,
    ABOUT_PASSWORD,
    ABOUT_KEY,
    ABOUT_KEY_CHECKING,
    ABOUT_COUNT,
};

static const struct {
    const char *name;
    enum about about;
} known[] = {
    {"runner_engine", ABOUT_ENGINE},
    {"ansible_connection", ABOUT_CONNECTION},
    {"ansible_host", ABOUT_HOST},
    {"ansible_ssh_host", ABOUT_HOST},
    {"ansible_port", ABOUT_PORT},
    {"ansible_ssh_port", ABOUT_PORT},
    {"ansible_user", ABOUT_USER},
    {"ansible_ssh_user", ABOUT_USER},
    {"ansible_password", ABOUT_PASSWORD},
    {"ansible_ssh_password", ABOUT_PASSWORD},
    {"ansible_ssh_pass", ABOUT_PASSWORD},
    {"ansible_ssh_private_key_file", ABOUT_KEY},
    {"ansible_private_key_file", ABOUT_KEY},
    {"ansible_host_key_checking", ABOUT_KEY_CHECKING},
    {"ansible_ssh_host_key_checking", ABOUT_KEY_CHECKING},
};

/* The value of each; NULL: not given. */
struct connection {
    const struct spec_str *values[ABOUT_COUNT];
};

static bool is_about_connection(const char *name, enum about *ret)
{
    for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++) {
        if (strcmp(known[i].name, name) == 0) {
            *ret = known[i].about;
            return true;
        }
    }
    return false;
}

/* Percent-encoded but for ${…}, whose values are not known yet. */
static void add_encoded(struct buf *out, const char *text)
{
    static const char plain[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~/";

    while (*text) {
        const char *close = strncmp(text, "${", 2) == 0 ? strchr(text, '}') : NULL;

        if (close) {
            buf_add(out, text, (size_t)(close + 1 - text));
            text = close + 1;
        } else if (strchr(plain, *text)) {
            buf_addch(out, *text++);
        } else {
            buf_addf(out, "%%%02X", (unsigned char)*text++);
        }
    }
}

static bool check_port(struct inventory *inv, const struct spec_str *port)
{
    int64_t value;

    if (!port || decode_has_template(port->text) ||
        (parse_int64(port->text, &value, NULL) == 0 && value > 0 && value < 65536))
        return true;
    inventory_error(inv, port->pos, "\"%s\" is no port; it must be between 1 and 65535",
                    port->text);
    return false;
}

static bool is_false(const struct spec_str *text)
{
    struct yaml_node node = {.kind = YAML_KIND_SCALAR};
    bool value;

    if (!text)
        return false;
    node.text = text->text;
    node.len = (uint32_t)strlen(text->text);
    return yaml_node_bool(&node, &value) && !value;
}

static char *ssh_url(const struct connection *c, const char *name)
{
    const char *host = c->values[ABOUT_HOST] ? c->values[ABOUT_HOST]->text : name;
    const char *separator = "?";
    struct buf url = BUF_INIT;

    buf_addstr(&url, "ssh://");
    if (c->values[ABOUT_USER])
        add_encoded(&url, c->values[ABOUT_USER]->text);
    if (c->values[ABOUT_USER] && c->values[ABOUT_PASSWORD]) {
        buf_addch(&url, ':');
        add_encoded(&url, c->values[ABOUT_PASSWORD]->text);
    }
    buf_addf(&url, strchr(host, ':') && *host != '[' ? "%s[%s]" : "%s%s",
             c->values[ABOUT_USER] ? "@" : "", host);
    if (c->values[ABOUT_PORT])
        buf_addf(&url, ":%s", c->values[ABOUT_PORT]->text);
    if (c->values[ABOUT_KEY]) {
        buf_addf(&url, "%skey=", separator);
        add_encoded(&url, c->values[ABOUT_KEY]->text);
        separator = "&";
    }
    if (is_false(c->values[ABOUT_KEY_CHECKING]))
        buf_addf(&url, "%sinsecure=true", separator);
    return buf_steal(&url);
}

/* The engine by the kind of connection; NULL: there is none, which has been added. */
static char *make_engine(struct inventory *inv, const struct connection *c, const char *name)
{
    static const char *const over_ssh[] = {"ssh", "smart", "paramiko", "paramiko_ssh",
                                           "ansible.builtin.ssh"};
    const struct spec_str *kind = c->values[ABOUT_CONNECTION];

    if (c->values[ABOUT_ENGINE])
        return xstrdup(c->values[ABOUT_ENGINE]->text);
    if (kind &&
        (strcmp(kind->text, "local") == 0 || strcmp(kind->text, "ansible.builtin.local") == 0))
        return xstrdup("host");
    for (size_t i = 0; i < sizeof(over_ssh) / sizeof(*over_ssh); i++) {
        if (!kind || strcmp(kind->text, over_ssh[i]) == 0)
            return check_port(inv, c->values[ABOUT_PORT]) ? ssh_url(c, name) : NULL;
    }
    inventory_error(inv, kind->pos,
                    "there is no engine for connections of the kind \"%s\"; name one with "
                    "runner_engine",
                    kind->text);
    return NULL;
}

static bool check_engine_of(struct inventory *inv, const struct inventory_host *host,
                            const struct spec_str *engine)
{
    struct err err = ERR_INIT;

    if (decode_has_template(engine->text) || engine_name_check(engine->text, &err) == 0)
        return true;
    inventory_error(inv, engine->pos, "the host \"%s\": %s", host->name, err.message);
    return false;
}

bool inventory_make_host(struct inventory *inv, const struct inventory_host *host,
                         const struct spec_pairs *vars, struct spec_host *ret)
{
    struct connection c = {0};

    for (size_t i = 0; i < vars->len; i++) {
        const struct spec_pair *var = &vars->items[i];
        enum about about;

        if (is_about_connection(var->key, &about))
            c.values[about] = &var->value;
        else
            inventory_set(inv, &ret->vars, var->key, var->value.text, var->value.pos);
    }
    ret->engine.text = make_engine(inv, &c, host->name);
    if (!ret->engine.text)
        return false;
    ret->engine.pos = c.values[ABOUT_ENGINE]       ? c.values[ABOUT_ENGINE]->pos
                      : c.values[ABOUT_CONNECTION] ? c.values[ABOUT_CONNECTION]->pos
                                                   : host->pos;
    return check_engine_of(inv, host, &ret->engine);
}
