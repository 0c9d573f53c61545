/* libFuzzer harness: JSON as `kubernetes` of a job and of its containers, as a patch of a pod and
 * as a patch of any document; and any bytes as a quantity. The JSON is the text of the input if it
 * begins as one, else it is made of words that mean something here, as the bytes say. The builders
 * must not change what they are given, and errors must be one line.
 *
 *     build/fuzz/tests/fuzz_pod -max_len=1000 -timeout=5 corpus/ */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "k8s/patch.h"
#include "k8s/pod.h"
#include "k8s/quantity.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static const char *const words[] = {
    "affinity",
    "annotations",
    "args",
    "command",
    "config_map",
    "containerPort",
    "containers",
    "dns",
    "empty_dir",
    "env",
    "host_aliases",
    "hostnames",
    "image_pull_secrets",
    "initContainers",
    "ip",
    "kubernetes.io/arch",
    "labels",
    "limits",
    "main",
    "medium",
    "metadata",
    "mount",
    "mountPath",
    "name",
    "node_selector",
    "ownerReferences",
    "pod_patch",
    "policy",
    "ports",
    "protocol",
    "pvc",
    "read_only",
    "requests",
    "resources",
    "runner-tools",
    "secret",
    "security_context",
    "service_account",
    "size",
    "size_limit",
    "spec",
    "storage_class",
    "sub_path",
    "tolerations",
    "topologySpreadConstraints",
    "uid",
    "volumeMounts",
    "volumes",
    "whenUnsatisfiable",
    "workspace",
    "$patch",
    "delete",
    "replace",
    "finalizers",
    "op",
    "path",
    "from",
    "value",
    "add",
    "remove",
    "move",
    "copy",
    "test",
    "",
    "/",
    "/a",
    "/spec/containers/0/command",
    "/spec/containers/-",
    "/spec/volumes/1",
    "/metadata",
    "100m",
    "1.5Gi",
    "1e400",
    "-1",
};
#define WORDS (sizeof(words) / sizeof(words[0]))

struct input {
    const uint8_t *data;
    size_t len;
};

static unsigned next(struct input *in)
{
    if (!in->len)
        return 0;
    in->len--;
    return *in->data++;
}

static json_t *make(struct input *in, int depth)
{
    unsigned kind = next(in);
    json_t *value;

    switch (depth > 6 ? kind % 4 : kind % 8) {
    case 0:
        return json_null();
    case 1:
        return json_string(words[next(in) % WORDS]);
    case 2:
        return json_integer((json_int_t)next(in) - 100);
    case 3:
        return kind & 8 ? json_real(next(in) / 16.0) : json_boolean(kind & 16);
    case 4:
    case 5:
        value = json_array();
        for (unsigned i = 0; i < kind / 32; i++)
            json_array_append_new(value, make(in, depth + 1));
        return value;
    default:
        value = json_object();
        for (unsigned i = 0; i <= kind / 32; i++) {
            const char *name = words[next(in) % WORDS];

            json_object_set_new(value, name, make(in, depth + 1));
        }
        return value;
    }
}

static void check_message(const struct err *err)
{
    if (err->code != ERR_INVALID || !err->message[0] || strchr(err->message, '\n'))
        abort();
}

static void build(const json_t *of_job, const json_t *of_container)
{
    const struct pod_container containers[] = {
        {.name = "main", .image = "i", .resources = {.cpus_milli = 5}, .kubernetes = of_container},
        {.name = "db", .image = "i", .service = true, .resources = {.shm_bytes = 5}},
        {.name = "other", .image = "i", .resources = {.memory_bytes = 5}, .kubernetes = of_job},
    };
    const struct pod_spec spec = {.name = "n",
                                  .ns = "ns",
                                  .architecture = "amd64",
                                  .tools = "t",
                                  .workspace = "/w",
                                  .workspace_claim = "c",
                                  .containers = containers,
                                  .container_count = 3,
                                  .kubernetes = of_job};
    struct err err = ERR_INIT;
    json_t *pod = pod_build(&spec, &err);
    json_t *claim = NULL;

    if (!pod)
        check_message(&err);
    json_decref(pod);
    if (pod_claim_spec(of_job, &claim, &err) < 0)
        check_message(&err);
    json_decref(claim);
}

static void patch_document(const json_t *document, const json_t *text)
{
    const struct setting setting = {.name = "patch", .value = text};
    struct err err = ERR_INIT;
    json_t *copy = json_deep_copy(document);

    if (patch_json(&copy, &setting, &err) < 0)
        check_message(&err);
    if (json_is_object(copy) && patch_strategic(copy, &setting, &err) < 0)
        check_message(&err);
    free(json_dumps(copy, JSON_ENCODE_ANY));
    json_decref(copy);
}

static void quantity(const char *text)
{
    struct quantity q = {0};
    struct quantity one = {1, 0};
    struct err err = ERR_INIT;

    if (quantity_parse(text, &q, &err) < 0)
        check_message(&err);
    else if (quantity_compare(&q, &one) != -quantity_compare(&one, &q) || q.nano <= -1000000000 ||
             q.nano >= 1000000000 || (q.whole > 0 && q.nano < 0) || (q.whole < 0 && q.nano > 0))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    CLEANUP_BUF struct buf text = BUF_INIT;
    struct input in = {data, len};
    json_t *value;
    json_t *wrapped;
    json_t *before;

    buf_add(&text, data, len);
    quantity(text.data);
    if (len && (*data == '[' || *data == '{'))
        value = json_loadb(text.data, text.len, JSON_ALLOW_NUL, NULL);
    else
        value = make(&in, 0);
    if (!value)
        return 0;
    before = json_deep_copy(value);
    wrapped = json_pack("{s:O}", "pod_patch", value);
    build(value, value);
    build(NULL, value);
    build(wrapped, NULL);
    patch_document(json_object_get(value, "spec"), json_object_get(value, "pod_patch"));
    patch_document(json_array_get(value, 0), json_array_get(value, 1));
    patch_document(value, value);
    if (!json_equal(value, before))
        abort();
    json_decref(before);
    json_decref(wrapped);
    json_decref(value);
    return 0;
}
