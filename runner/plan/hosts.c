#include "plan/hosts.h"

#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/nearest.h"
#include "base/utf8.h"
#include "plan/settings.h"

/* --- choosing --- */

struct choice {
    const struct plan *plan;
    struct diag_list *diags;
    VEC(struct spec_str)
    patterns;          /* with their signs */
    bool *chosen;      /* by index in the inventory */
    bool has_positive; /* a pattern has no sign */
    bool failed;
};

static bool is_called(const char *pattern, const char *name)
{
    return strcmp(pattern, name) == 0 || fnmatch(pattern, name, 0) == 0;
}

static bool matches(const char *pattern, const struct plan_host *host)
{
    if (strcmp(pattern, "all") == 0 || is_called(pattern, host->spec->name.text))
        return true;
    for (size_t i = 0; i < host->roles.len; i++) {
        if (is_called(pattern, host->roles.items[i]))
            return true;
    }
    return false;
}

static void report_unmatched(struct choice *c, const char *pattern, struct src_pos pos,
                             bool is_error)
{
    struct nearest nearest = {.text = pattern};
    CLEANUP_BUF struct buf hint = BUF_INIT;
    const struct plan *plan = c->plan;

    for (size_t i = 0; i < plan->host_count; i++) {
        nearest_offer(&nearest, plan->hosts[i].spec->name.text);
        for (size_t j = 0; j < plan->hosts[i].roles.len; j++)
            nearest_offer(&nearest, plan->hosts[i].roles.items[j]);
    }
    if (!plan->host_count)
        buf_addstr(&hint, "; there are none: write them in \"hosts\" or \"hosts_file\"");
    else if (nearest.best)
        buf_addf(&hint, "; did you mean \"%s\"?", nearest.best);
    diag_add(c->diags, is_error ? DIAG_ERROR : DIAG_WARNING, pos, "",
             "\"run_on\": no host and no role is called \"%s\"%s", pattern, hint.data);
    c->failed = c->failed || is_error;
}

/* What one pattern with that sign does; `sign` is '\0' for none. */
static void apply(struct choice *c, char sign, const char *pattern, struct src_pos pos)
{
    bool any = false;

    for (size_t i = 0; i < c->plan->host_count; i++) {
        bool is_match = matches(pattern, &c->plan->hosts[i]);

        any = any || is_match;
        if (sign == '\0')
            c->chosen[i] = c->chosen[i] || is_match;
        else
            c->chosen[i] = c->chosen[i] && is_match == (sign == '&');
    }
    if (!any)
        report_unmatched(c, pattern, pos, sign == '\0');
}

static char sign_of(const char *pattern)
{
    return *pattern == '!' || *pattern == '&' ? *pattern : '\0';
}

/* First what adds, then what keeps, then what takes away, whatever their order. */
static void apply_all(struct choice *c)
{
    static const char signs[] = {'\0', '&', '!'};

    for (size_t i = 0; !c->has_positive && i < c->plan->host_count; i++)
        c->chosen[i] = true;
    for (size_t s = 0; s < sizeof(signs); s++) {
        vec_foreach (struct spec_str *, pattern, &c->patterns) {
            if (sign_of(pattern->text) == signs[s])
                apply(c, signs[s], pattern->text + (signs[s] != '\0'), pattern->pos);
        }
    }
}

/* Appends the patterns between the commas of a text. */
static void split(const struct spec_str *text, struct choice *c)
{
    const char *at = text->text;

    while (*at) {
        size_t len;
        size_t end;

        at += strspn(at, ", \t\n");
        len = strcspn(at, ",");
        for (end = len; end > 0 && strchr(" \t\n", at[end - 1]);)
            end--;
        if (end > 0)
            vec_push(&c->patterns, ((struct spec_str){xstrndup(at, end), text->pos}));
        at += len;
    }
}

static void report_none(const struct choice *c, struct src_pos pos)
{
    const char *why = c->patterns.len ? "" : ": it is empty";

    if (c->plan->host_count)
        diag_add(c->diags, DIAG_ERROR, pos, "", "\"run_on\" chooses no host%s", why);
    else
        diag_add(c->diags, DIAG_ERROR, pos, "",
                 "\"run_on\" chooses no host: there are none; write them in \"hosts\" or "
                 "\"hosts_file\"");
}

int plan_hosts_choose(const struct plan *plan, const struct spec_strs *patterns,
                      struct plan_hosts *ret, struct diag_list *diags)
{
    CLEANUP_FREE bool *chosen = xcalloc(plan->host_count, sizeof(*chosen));
    struct choice c = {.plan = plan, .diags = diags, .chosen = chosen};

    for (size_t i = 0; i < patterns->len; i++)
        split(&patterns->items[i], &c);
    vec_foreach (struct spec_str *, pattern, &c.patterns)
        c.has_positive = c.has_positive || sign_of(pattern->text) == '\0';
    if (c.patterns.len)
        apply_all(&c);
    for (size_t i = 0; i < plan->host_count && !c.failed; i++) {
        if (chosen[i])
            vec_push(ret, &plan->hosts[i]);
    }
    if (!ret->len && !c.failed)
        report_none(&c, patterns->items[0].pos);
    vec_foreach (struct spec_str *, pattern, &c.patterns)
        free(pattern->text);
    vec_release(&c.patterns);
    return ret->len ? 0 : -1;
}

/* --- batches --- */

static size_t size_of(const struct portion *size, size_t count)
{
    size_t hosts = (size_t)(size->is_percent ? (int64_t)count * size->value / 100 : size->value);

    return hosts ? hosts : 1;
}

uint32_t plan_hosts_batch(const struct portion *sizes, size_t size_count, size_t index,
                          size_t count)
{
    uint32_t batch = 1;
    size_t end = 0;

    while (size_count) {
        size_t number = batch < size_count ? batch : size_count;

        end += size_of(&sizes[number - 1], count);
        if (index < end)
            break;
        batch++;
    }
    return batch;
}

/* --- the inventory --- */

char *plan_engine_shown(const char *engine)
{
    const char *authority = strstr(engine, "://");
    const char *at = authority ? memrchr(authority, '@', strcspn(authority, "?#")) : NULL;
    CLEANUP_FREE char *bare =
        at ? xasprintf("%.*s%s", (int)(authority + 3 - engine), engine, at + 1) : xstrdup(engine);
    char *secret = strstr(bare, "passphrase=");

    if (!secret)
        return steal_ptr(&bare);
    secret += strlen("passphrase=");
    return xasprintf("%.*s***%s", (int)(secret - bare), bare, secret + strcspn(secret, "&#"));
}

static void expand_pairs(const struct plan *plan, const struct spec_pairs *pairs, struct strmap *to,
                         struct diag_list *diags)
{
    for (size_t i = 0; i < pairs->len; i++) {
        CLEANUP_FREE char *value =
            plan_expand_at(plan, &plan->scope, &pairs->items[i].value, diags);

        if (value)
            strmap_set(to, pairs->items[i].key, value);
    }
}

static void init_host(struct plan *plan, const struct spec_host *spec, struct plan_host *host,
                      struct diag_list *diags)
{
    CLEANUP_DIAG_LIST struct diag_list said_elsewhere = {0};
    CLEANUP_FREE char *engine = NULL;

    host->spec = spec;
    spec_common_init(&host->common);
    host->common.environment = spec->environment;
    host->common.engine = spec->engine;
    if (!spec->engine.text) {
        host->own_engine = xasprintf("ssh://%s", spec->name.text);
        host->common.engine = (struct spec_str){host->own_engine, spec->name.pos};
    }
    engine = plan_expand_at(plan, &plan->scope, &host->common.engine, &said_elsewhere);
    host->engine = plan_engine_shown(engine ? engine : host->common.engine.text);
    for (size_t i = 0; i < spec->roles.len; i++) {
        char *role = plan_expand_at(plan, &plan->scope, &spec->roles.items[i], diags);

        if (role)
            strvec_push_owned(&host->roles, role);
    }
    expand_pairs(plan, &spec->vars, &host->vars, diags);
    expand_pairs(plan, &spec->environment, &host->environment, &said_elsewhere);
}

void plan_hosts_init(struct plan *plan, struct diag_list *diags)
{
    const struct spec_hosts *hosts = &plan->spec->hosts;

    plan->hosts = xcalloc(hosts->len, sizeof(*plan->hosts));
    plan->host_count = hosts->len;
    for (size_t i = 0; i < hosts->len; i++)
        init_host(plan, &hosts->items[i], &plan->hosts[i], diags);
}

void plan_hosts_release(struct plan *plan)
{
    for (size_t i = 0; i < plan->host_count; i++) {
        struct plan_host *host = &plan->hosts[i];

        free(host->own_engine);
        free(host->engine);
        strvec_release(&host->roles);
        strmap_release(&host->vars);
        strmap_release(&host->environment);
    }
    free(plan->hosts);
}

/* --- expressions --- */

static json_t *text_value(const char *text)
{
    return utf8_valid(text, strlen(text)) ? json_string(text) : json_null();
}

static json_t *map_value(const struct strmap *map)
{
    json_t *object = json_object();

    strmap_foreach (entry, map) {
        if (utf8_valid(entry->key, strlen(entry->key)))
            json_object_set_new(object, entry->key, text_value(entry->value));
    }
    return object;
}

static json_t *roles_value(const struct plan_host *host)
{
    json_t *list = json_array();

    for (size_t i = 0; i < host->roles.len; i++)
        json_array_append_new(list, text_value(host->roles.items[i]));
    return list;
}

json_t *plan_host_json(const struct plan_host *host)
{
    return json_pack("{s: o, s: o, s: o, s: o, s: o}", "name", text_value(host->spec->name.text),
                     "engine", text_value(host->engine), "roles", roles_value(host), "environment",
                     map_value(&host->environment), "vars", map_value(&host->vars));
}

struct expr_value plan_host_value(const struct plan_host *host, const char *const *path, size_t len)
{
    const char *member = len > 1 ? path[1] : "";
    const struct strmap *map = strcmp(member, "vars") == 0          ? &host->vars
                               : strcmp(member, "environment") == 0 ? &host->environment
                                                                    : NULL;
    json_t *json;
    struct expr_value value;

    if (strcmp(member, "name") == 0)
        return expr_string(host->spec->name.text);
    if (strcmp(member, "engine") == 0)
        return expr_string(host->engine);
    if (map && len > 2)
        return expr_string(strmap_get(map, path[2]));
    json = map                            ? map_value(map)
           : strcmp(member, "roles") == 0 ? roles_value(host)
                                          : plan_host_json(host);
    value = expr_from_json(json);
    json_decref(json);
    return value;
}
