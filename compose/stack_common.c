#include <stdarg.h>
#include <string.h>

#include "base/alloc.h"
#include "compose/stack_internal.h"

const char *stack_kind_name(enum stack_kind kind)
{
    static const char *const names[] = {
        [STACK_SERVICE] = "service",
        [STACK_NETWORK] = "network",
        [STACK_SECRET] = "secret",
        [STACK_CONFIG] = "config",
    };

    return names[kind];
}

void stack_say(const struct stack_sink *sink, enum stack_note note, const char *fmt, ...)
{
    CLEANUP_BUF struct buf text = BUF_INIT;
    va_list args;

    if (!sink || !sink->note)
        return;
    va_start(args, fmt);
    buf_vaddf(&text, fmt, args);
    va_end(args);
    sink->note(sink->arg, note, text.data);
}

int stack_announce(const struct stack_run *run, enum stack_kind kind, const char *name,
                   struct err *err)
{
    const struct stack_sink *sink = &run->options->sink;

    if (sink->about_to_create && sink->about_to_create(sink->arg, kind, name, err) < 0)
        return -1;
    stack_say(sink, STACK_NOTE_STEP, "creating %s %s", stack_kind_name(kind), name);
    return 0;
}

void stack_refused(const struct stack_run *run, enum stack_kind kind, const char *name)
{
    const struct stack_sink *sink = &run->options->sink;

    if (sink->refused)
        sink->refused(sink->arg, kind, name);
}

void stack_record_created(struct stack_record *record, enum stack_kind kind, const char *id,
                          const char *name)
{
    vec_push(&record->created, ((struct stack_thing){kind, xstrdup(id), xstrdup(name)}));
}

void stack_record_release(struct stack_record *record)
{
    vec_foreach (struct stack_thing *, thing, &record->created) {
        free(thing->id);
        free(thing->name);
    }
    vec_release(&record->created);
    strvec_release(&record->updated);
    strvec_release(&record->removed);
    strvec_release(&record->unchanged);
}

char *stack_scoped(const struct stack_run *run, const char *key)
{
    return xasprintf("%s_%s", run->options->name, key);
}

struct docker_filter stack_filter(const char *name, struct buf *text)
{
    buf_addf(text, STACK_LABEL_NAMESPACE "=%s", name);
    return (struct docker_filter){"label", text->data};
}

bool stack_is_global(const struct docker_service *service)
{
    const json_t *mode = json_object_get(service->spec, "Mode");

    return json_object_get(mode, "Global") || json_object_get(mode, "GlobalJob");
}

int stack_time_compare(const char *a, const char *b)
{
    size_t whole = strlen("2026-01-02T03:04:05");
    int order = strncmp(a, b, whole);

    if (order || strlen(a) < whole || strlen(b) < whole)
        return order;
    a += whole;
    b += whole;
    while (*a == *b && *a) {
        a++;
        b++;
    }
    /* A fraction that ends first is the smaller one. */
    if ((*a >= '0' && *a <= '9') == (*b >= '0' && *b <= '9'))
        return (*a > *b) - (*a < *b);
    return *a >= '0' && *a <= '9' ? 1 : -1;
}

int stack_check_name(const char *name, struct err *err)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
    size_t plain = strspn(name, letters);

    if (!plain || strspn(name + plain, "_-.0123456789abcdefghijklmnopqrstuvwxyz"
                                       "ABCDEFGHIJKLMNOPQRSTUVWXYZ") != strlen(name + plain))
        return err_set(err, ERR_INVALID,
                       "\"%s\" cannot be the name of a stack: it takes letters, digits, \"_\", "
                       "\"-\" and \".\", a letter or digit first",
                       name);
    return 0;
}
