/* The final states as one JSON document. */
#include <stdlib.h>

#include "event/json.h"
#include "report/report.h"

static int write_json(const struct report_source *source, struct fs_writer *out, struct err *err)
{
    json_t *tree = node_tree_to_json(source->root, source->run_id);
    char *text = json_dumps(tree, JSON_INDENT(2));

    (void)err;
    if (text)
        buf_addstr(&out->buf, text);
    free(text);
    json_decref(tree);
    return 0;
}

const struct report_format report_json = {.name = "json", .write = write_json};
