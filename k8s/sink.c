#include "k8s/sink.h"

/* Calls a function of the sink, if it has it. */
#define TELL(report, function, ...)                                                                \
    do {                                                                                           \
        if ((report)->sink && (report)->sink->function) {                                          \
            pthread_mutex_lock(&(report)->mu);                                                     \
            (report)->sink->function((report)->sink->arg, __VA_ARGS__);                            \
            pthread_mutex_unlock(&(report)->mu);                                                   \
        }                                                                                          \
    } while (0)

int manifest_report_creating(struct manifest_report *report, const struct manifest *m,
                             struct err *err)
{
    int result;

    if (!report->sink || !report->sink->creating)
        return 0;
    pthread_mutex_lock(&report->mu);
    result = report->sink->creating(report->sink->arg, m, err);
    pthread_mutex_unlock(&report->mu);
    return result;
}

void manifest_report_done(struct manifest_report *report, const struct manifest *m,
                          const char *what)
{
    TELL(report, done, m, what);
}

void manifest_report_note(struct manifest_report *report, const struct manifest *m,
                          const char *text)
{
    TELL(report, note, m, text);
}

int manifest_report_failed(struct manifest_report *report, const struct manifest *m,
                           const char *text)
{
    TELL(report, failed, m, text);
    return -1;
}

void manifest_report_differs(struct manifest_report *report, const struct manifest *m,
                             const char *text)
{
    TELL(report, differs, m, text);
}
