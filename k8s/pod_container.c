#include <string.h>

#include "base/alloc.h"
#include "base/json_text.h"
#include "base/parse.h"
#include "k8s/patch.h"
#include "k8s/pod_internal.h"

#define ID_MAX 2147483647 /* the API's */

/* Of the probe whether a service is still leased. One failure may be a node that is busy. */
enum { LEASE_PERIOD_S = 30, LEASE_TIMEOUT_S = 10, LEASE_FAILURES = 2 };

/* Names of variables and of keys in Secrets are of these. */
#define KEY_CHARACTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_."
#define KEY_MAX        253

static const char *const policies[] = {
    [POD_PULL_IF_NOT_PRESENT] = "IfNotPresent",
    [POD_PULL_ALWAYS] = "Always",
    [POD_PULL_NEVER] = "Never",
};

json_t *pod_strings(const char *const *list)
{
    json_t *array = json_array();

    for (; list && *list; list++)
        json_array_append_new(array, json_safe_string(*list));
    return array;
}

/* -1: it is no number that the API takes. */
static int read_id(const char *text, int64_t *ret)
{
    if (!*text || text[strspn(text, "0123456789")] || parse_int64(text, ret, NULL) < 0)
        return -1;
    return *ret > ID_MAX ? -1 : 0;
}

static int add_user(const struct pod_container *c, json_t *context, struct err *err)
{
    const char *colon = c->user ? strchr(c->user, ':') : NULL;
    CLEANUP_FREE char *user = NULL;
    int64_t uid;
    int64_t gid = -1;

    if (!c->user)
        return 0;
    user = colon ? xstrndup(c->user, (size_t)(colon - c->user)) : xstrdup(c->user);
    if (read_id(user, &uid) < 0 || (colon && read_id(colon + 1, &gid) < 0))
        return err_set(err, ERR_INVALID,
                       "container %s: user \"%.200s\": Kubernetes takes numbers only; write the "
                       "number, such as \"1000\" or \"1000:1000\"",
                       c->name, c->user);
    json_object_set_new(context, "runAsUser", json_integer(uid));
    if (gid >= 0)
        json_object_set_new(context, "runAsGroup", json_integer(gid));
    return 0;
}

/* In Kubernetes' words, which have no "CAP_". */
static json_t *capabilities(const char *const *list)
{
    json_t *array = json_array();

    for (; list && *list; list++) {
        CLEANUP_FREE char *name = xstrdup(*list + (strncasecmp(*list, "CAP_", 4) == 0 ? 4 : 0));

        for (char *p = name; *p; p++) {
            if (*p >= 'a' && *p <= 'z')
                *p = (char)(*p - 'a' + 'A');
        }
        json_array_append_new(array, json_safe_string(name));
    }
    return array;
}

static void add_capabilities(const struct pod_security *security, json_t *context)
{
    json_t *object = json_object();

    if (security->cap_add && *security->cap_add)
        json_object_set_new(object, "add", capabilities(security->cap_add));
    if (security->cap_drop && *security->cap_drop)
        json_object_set_new(object, "drop", capabilities(security->cap_drop));
    if (json_object_size(object))
        json_object_set(context, "capabilities", object);
    json_decref(object);
}

static int add_security(struct pod_builder *b, size_t container, json_t *object, struct err *err)
{
    const struct pod_container *c = &b->spec->containers[container];
    json_t *context = json_object();
    struct setting changes;

    json_object_set_new(object, "securityContext", context);
    if (c->security.privileged)
        json_object_set_new(context, "privileged", json_true());
    if (c->security.read_only)
        json_object_set_new(context, "readOnlyRootFilesystem", json_true());
    if (c->security.no_new_privileges)
        json_object_set_new(context, "allowPrivilegeEscalation", json_false());
    if (c->security.seccomp_unconfined)
        json_object_set_new(context, "seccompProfile", json_pack("{s:s}", "type", "Unconfined"));
    add_capabilities(&c->security, context);
    if (add_user(c, context, err) < 0)
        return -1;
    if (setting_get(&b->containers[container], "security_context", &changes))
        return patch_strategic(context, &changes, err);
    return 0;
}

static void add_relay(const struct pod_spec *spec, const struct pod_container *c, json_t *object)
{
    CLEANUP_FREE char *directory = xasprintf("%s/%s", POD_RELAY_DIR, c->name);
    CLEANUP_FREE char *lease = xasprintf("%lld", (long long)spec->lease_ms);
    const char *const command[] = {POD_HELPER, "relay", directory, lease, NULL};

    json_object_set_new(object, "command", pod_strings(command));
}

static void add_lease(const struct pod_spec *spec, json_t *object)
{
    static const char *const command[] = {POD_HELPER, "leased", POD_LEASE_FILE, NULL};

    json_object_set_new(object, "livenessProbe",
                        json_pack("{s:{s:o}, s:I, s:i, s:i, s:i}", "exec", "command",
                                  pod_strings(command), "initialDelaySeconds",
                                  (json_int_t)(spec->lease_ms / 1000), "periodSeconds",
                                  LEASE_PERIOD_S, "timeoutSeconds", LEASE_TIMEOUT_S,
                                  "failureThreshold", LEASE_FAILURES));
}

static int add_environment(const struct pod_spec *spec, const struct pod_container *c,
                           json_t *object, struct err *err)
{
    json_t *list = json_array();

    json_object_set_new(object, "env", list);
    strmap_foreach (entry, c->environment) {
        CLEANUP_FREE char *key = xasprintf("%s.%s", c->name, entry->key);

        if (!spec->secret)
            return err_set(err, ERR_INVALID, "container %s has an environment, but no Secret",
                           c->name);
        if (!*entry->key || entry->key[strspn(entry->key, KEY_CHARACTERS)] ||
            (entry->key[0] >= '0' && entry->key[0] <= '9') || strlen(key) > KEY_MAX)
            return err_set(err, ERR_INVALID,
                           "container %s: a variable \"%.200s\" cannot be given by Kubernetes; "
                           "names have letters, digits, \"_\", \"-\" and \".\"",
                           c->name, entry->key);
        json_array_append_new(list, json_pack("{s:s, s:{s:{s:o, s:s}}}", "name", entry->key,
                                              "valueFrom", "secretKeyRef", "name",
                                              json_safe_string(spec->secret), "key", key));
    }
    return 0;
}

static int add_program(const struct pod_spec *spec, const struct pod_container *c, json_t *object,
                       struct err *err)
{
    if (c->command)
        json_object_set_new(object, "command", pod_strings(c->command));
    if (c->args)
        json_object_set_new(object, "args", pod_strings(c->args));
    if (c->workdir)
        json_object_set_new(object, "workingDir", json_safe_string(c->workdir));
    if (c->tty)
        json_object_set_new(object, "tty", json_true());
    if (pod_is_sidecar(spec, c))
        json_object_set_new(object, "restartPolicy", json_string("Always"));
    else
        add_lease(spec, object);
    if (c->environment && c->environment->len)
        return add_environment(spec, c, object, err);
    return 0;
}

static int fill_container(struct pod_builder *b, size_t container, json_t *object, struct err *err)
{
    const struct pod_container *c = &b->spec->containers[container];
    json_t *mounts;

    json_object_set_new(object, "name", json_safe_string(c->name));
    json_object_set_new(object, "image", json_safe_string(c->image));
    json_object_set_new(object, "imagePullPolicy", json_string(policies[c->pull]));
    if (!c->service)
        add_relay(b->spec, c, object);
    else if (add_program(b->spec, c, object, err) < 0)
        return -1;
    if (pod_mounts(b, container, &mounts, err) < 0)
        return -1;
    json_object_set_new(object, "volumeMounts", mounts);
    json_object_set(object, "resources", b->resources[container]);
    return add_security(b, container, object, err);
}

static int check_keys(const struct setting *kubernetes, struct err *err)
{
    static const char *const names[] = {"resources", "security_context", "volumes", NULL};
    const char *name;
    json_t *value;

    if (!kubernetes->value)
        return 0;
    json_object_foreach ((json_t *)kubernetes->value, name, value) {
        const struct setting member = setting_member(kubernetes, name, value);
        bool own = false;

        for (size_t i = 0; names[i]; i++)
            own = own || strcmp(name, names[i]) == 0;
        if (!own && pod_knows(name))
            return setting_error(&member, err,
                                 "is of the whole pod; write it in kubernetes of the job");
    }
    return setting_known(kubernetes, names, err);
}

int pod_container(struct pod_builder *b, size_t container, json_t **ret, struct err *err)
{
    json_t *object;

    if (check_keys(&b->containers[container], err) < 0)
        return -1;
    object = json_object();
    if (fill_container(b, container, object, err) < 0) {
        json_decref(object);
        return -1;
    }
    pod_remove_empty(json_object_get(object, "resources"));
    pod_remove_empty(object);
    *ret = object;
    return 0;
}
