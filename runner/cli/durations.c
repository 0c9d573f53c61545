#include "cli/durations.h"

#include <string.h>

#include "base/fs.h"

enum { REPORT_MAX_BYTES = 256 * 1024 * 1024 };

json_t *durations_read(const char *path, struct err *err)
{
    CLEANUP_BUF struct buf text = BUF_INIT;
    json_error_t problem;
    json_t *report;

    if (fs_read_file(path, REPORT_MAX_BYTES, &text, err) < 0)
        return NULL;
    report = json_loadb(text.data, text.len, 0, &problem);
    if (!report) {
        err_set(err, ERR_INVALID, "%s:%d:%d: %s", path, problem.line, problem.column, problem.text);
    } else if (!json_is_array(json_object_get(report, "stages"))) {
        json_decref(report);
        report = NULL;
        err_set(err, ERR_INVALID, "%s is no report; \"runner exec --report json=FILE\" writes one",
                path);
    }
    return report;
}

static bool is_called(const json_t *object, const char *name)
{
    const char *its = json_string_value(json_object_get(object, "name"));

    return its && strcmp(its, name) == 0;
}

/* Mostly it stands where it stood. */
static const json_t *find(const json_t *list, const struct outline *node)
{
    const json_t *item = json_array_get(list, node->index);

    for (size_t i = 0; !is_called(item, node->name) && i <= json_array_size(list); i++)
        item = json_array_get(list, i);
    return item;
}

static const json_t *find_from_top(const json_t *report, const struct outline *node)
{
    static const char *const keys[] = {"stages", "jobs", "steps"};
    const json_t *up = node->up->up ? find_from_top(report, node->up) : report;

    return find(json_object_get(up, keys[node->level - 1]), node);
}

int64_t durations_of(void *report, const struct outline *step)
{
    const json_t *node = find_from_top(report, step);
    const char *status = json_string_value(json_object_get(node, "status"));
    const json_t *duration = json_object_get(node, "duration_ms");

    if (!status || strcmp(status, "succeeded") != 0 || !json_is_integer(duration))
        return -1;
    return json_integer_value(duration) < 0 ? -1 : json_integer_value(duration);
}
