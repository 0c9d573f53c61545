#include "report/report.h"

#include <string.h>

#include "base/fs.h"

const struct report_format *const report_formats[] = {&report_json, &report_junit, &report_html,
                                                      NULL};

static const struct report_format *find(const char *name, size_t size)
{
    for (const struct report_format *const *f = report_formats; *f; f++) {
        if (strlen((*f)->name) == size && memcmp((*f)->name, name, size) == 0)
            return *f;
    }
    return NULL;
}

int report_parse(const char *text, struct report *ret, struct err *err)
{
    const char *equals = strchr(text, '=');
    const struct report_format *format = equals ? find(text, (size_t)(equals - text)) : NULL;

    if (!format || !equals[1])
        return err_set(err, ERR_INVALID,
                       "--report takes json=FILE, junit=FILE or html=FILE, not \"%s\"", text);
    if (fs_check_writable(equals + 1, err) < 0)
        return err_wrap(err, "the report has no place");
    *ret = (struct report){format, equals + 1};
    return 0;
}

int report_write(const struct report *report, const struct report_source *source, struct err *err)
{
    CLEANUP_FS_WRITER struct fs_writer out = FS_WRITER_INIT;

    if (fs_writer_open(&out, report->path, 0644, err) < 0 ||
        report->format->write(source, &out, err) < 0 || fs_writer_commit(&out, err) < 0)
        return err_wrap(err, "cannot write the report");
    return 0;
}
