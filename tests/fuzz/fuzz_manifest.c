/* libFuzzer harness: any bytes as manifests, what is made of them, and how they would be shown.
 *
 *     build/fuzz/tests/fuzz_manifest -max_len=4000 -timeout=5 corpus/ */
#include <stdlib.h>
#include <string.h>

#include "k8s/apply.h"
#include "k8s/diff.h"
#include "k8s/ready.h"
#include "k8s/refusal.h"
#include "k8s/text_diff.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void look_at(const struct manifest *m)
{
    CLEANUP_BUF struct buf old_text = BUF_INIT;
    CLEANUP_BUF struct buf new_text = BUF_INIT;
    CLEANUP_BUF struct buf out = BUF_INIT;
    json_t *body = manifest_body(m, "label", "value");

    ready_of(m->object, &out);
    ready_endpoints(m->object, &out);
    refusal_add_text(m->object, &out);
    manifest_diff_texts(m->object, body, &old_text, &new_text);
    text_diff_add(&out, "a", "b", old_text.data, new_text.data);
    if (manifest_rank(m) >= RANK_COUNT || !m->name || !m->kind)
        abort();
    json_decref(body);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    CLEANUP_MANIFEST_LIST struct manifest_list list = {0};
    CLEANUP_BUF struct buf text = BUF_INIT;
    struct err err = ERR_INIT;

    buf_add(&text, data, len);
    if (manifest_list_add_text(&list, "f", text.data, text.len, &err) < 0 &&
        (!err.message[0] || strchr(err.message, '\n')))
        abort();
    vec_foreach (const struct manifest *, m, &list.items)
        look_at(m);
    return 0;
}
